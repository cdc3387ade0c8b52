//! The stdio transport as a process: what a client may throw at it, and how it ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::harness::UNLIMITED;
use crate::mcp_support::{PATIENCE, call, rpc};

const PROGRAM: &str = env!("CARGO_BIN_EXE_team-table");

pub(crate) fn command(home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env("HOME", home.path())
        .env("TEAM_TABLE_DB", home.path().join("t.db"))
        .env("TEAM_TABLE_LOG", "trace");
    command.env_remove("TEAM_TABLE_TOKEN").env_remove("TEAM_TABLE_TRANSPORT").stderr(Stdio::null());
    command
}

/// A running process, spoken to line by line.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) lines: mpsc::Receiver<String>,
    _home: tempfile::TempDir,
}

impl Process {
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Without a rate limit.
    pub(crate) fn unlimited() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("policies")).unwrap();
        std::fs::write(home.path().join("policies/policy-set.toml"), UNLIMITED).unwrap();
        Self::start_in(home)
    }

    fn start_in(home: tempfile::TempDir) -> Self {
        let mut child = command(&home).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { input: child.stdin.take(), child, lines, _home: home }
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.as_mut().unwrap().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn say(&mut self, line: impl AsRef<str>) {
        self.write(format!("{}\n", line.as_ref()));
    }

    /// The next line of output, which is always MCP.
    fn hear(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("the server is silent");
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("not MCP on standard output: {error}: {line}"))
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(rpc(1, method, params));
        let reply = self.hear();
        assert_eq!(reply["id"], 1, "{reply}");
        reply
    }

    pub(crate) fn register(&mut self, name: &str) -> String {
        let reply = self.ask("tools/call", json!({"name": "register", "arguments": {"name": name}}));
        reply["result"]["structuredContent"]["token"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }

    /// Everything still said until the end of output, and how the process ended.
    fn end(mut self) -> (Vec<Value>, Option<i32>) {
        self.input = None;
        let rest = self.lines.iter().map(|line| serde_json::from_str(&line).unwrap()).collect();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As with `printf … | team-table` right after the installation: compiling the policies takes longer than the input.
#[test]
fn piped_calls_are_answered_on_a_fresh_installation() {
    let mut process = Process::start();
    process.say(call(1, "register", json!({"name": "alice"})));
    process.say(call(2, "list_tasks", json!({"status": "nonsense"})));
    let (replies, status) = process.end();
    assert_eq!(status, Some(0));
    let answered: Vec<_> = replies.iter().map(|reply| (&reply["id"], reply["result"].is_object())).collect();
    assert_eq!(answered.len(), 2, "{replies:?}");
    assert!(answered.iter().all(|(_, is_result)| *is_result), "{replies:?}");
}

#[test]
fn a_notification_or_a_call_may_come_first() {
    let mut process = Process::start();
    process.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    process.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#);
    process.say(r#"{"jsonrpc":"2.0","method":"notifications/nobody/knows"}"#);
    let token = process.register("alice");
    assert!(token.starts_with("tt_"), "{token}");
    assert_eq!(process.end().1, Some(0));
}

#[test]
fn every_revision_is_agreed_to_and_a_future_one_becomes_the_newest() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2099-01-01"] {
        let mut process = Process::start();
        let client = json!({"name": "test", "version": "1"});
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let result = process.ask("initialize", hello)["result"].take();
        let agreed = if version == "2099-01-01" { "2025-11-25" } else { version };
        assert_eq!(result["protocolVersion"], agreed);
        assert_eq!(result["serverInfo"]["name"], "team-table");
        assert_eq!(result["capabilities"], json!({"tools": {}}), "tools and nothing else");
        assert!(result["instructions"].as_str().is_some_and(|text| !text.is_empty() && text.len() <= 4096));
        process.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(process.ask("ping", json!({}))["result"], json!({}));
    }
}

#[test]
fn the_stateless_revision_is_served() {
    let mut process = Process::start();
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}});
    let found = process.ask("server/discover", json!({"_meta": meta}));
    let versions = found["result"]["supportedVersions"].as_array().unwrap_or_else(|| panic!("{found}"));
    assert_eq!(versions.len(), 5, "{found}");
    let listed = process.ask("tools/list", json!({"_meta": meta}));
    assert!(!listed["result"]["tools"].as_array().unwrap().is_empty());
    let called =
        process.ask("tools/call", json!({"name": "register", "arguments": {"name": "alice"}, "_meta": meta}));
    assert_eq!(called["result"]["structuredContent"]["name"], "alice", "{called}");
    assert_eq!(called["result"]["resultType"], "complete");
}

#[test]
fn undeclared_methods_are_not_found() {
    let mut process = Process::start();
    for method in [
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/read",
        "resources/templates/list",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "logging/setLevel",
        "tasks/get",
        "subscriptions/listen",
        "no/such/method",
    ] {
        let params = match method {
            "completion/complete" => {
                json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "x", "value": "y"}})
            }
            "logging/setLevel" => json!({"level": "info"}),
            "prompts/get" => json!({"name": "x"}),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => json!({"uri": "x:y"}),
            "tasks/get" => json!({"taskId": "x"}),
            "subscriptions/listen" => json!({"notifications": {}}),
            _ => json!({}),
        };
        assert_eq!(process.ask(method, params)["error"]["code"], -32_601, "{method}");
    }
}

#[test]
fn an_unknown_tool_is_a_protocol_error_and_wrong_arguments_are_a_result() {
    let mut process = Process::start();
    let unknown = process.ask("tools/call", json!({"name": "nope", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32_602, "{unknown}");
    let malformed = process.ask("tools/call", json!({"name": "register", "arguments": [1]}));
    assert_eq!(malformed["error"]["code"], -32_602, "{malformed}");
    let cursor = process.ask("tools/list", json!({"cursor": "x"}));
    assert_eq!(cursor["error"]["code"], -32_602, "{cursor}");
    for arguments in [json!({"name": "register", "arguments": {}}), json!({"name": "register"})] {
        let wrong = process.ask("tools/call", arguments);
        assert_eq!(wrong["result"]["isError"], true, "{wrong}");
        assert_eq!(wrong["result"]["structuredContent"]["code"], "invalid_argument");
    }
}

#[test]
fn structured_content_and_text_carry_the_same_bytes() {
    let mut process = Process::start();
    process.say(call(1, "register", json!({"name": "alice"})));
    let line = process.lines.recv_timeout(PATIENCE).unwrap();
    let reply: Value = serde_json::from_str(&line).unwrap();
    let text = reply["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(reply["result"]["isError"], false);
    assert!(line.contains(&format!("\"structuredContent\":{text}")), "{line}");
}

#[test]
fn tools_are_described_in_full() {
    let mut process = Process::start();
    let reply = process.ask("tools/list", json!({}));
    let tools = reply["result"]["tools"].as_array().unwrap();
    assert!(reply["result"]["nextCursor"].is_null());
    for tool in tools {
        let hints = &tool["annotations"];
        assert_eq!(hints["openWorldHint"], false);
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert!(tool["title"].is_string() && tool["description"].as_str().unwrap().len() <= 4096);
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            check_schema(schema, true);
        }
    }
    let named = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap();
    // What is left out is the protocol's default: no reader, destructive, not idempotent.
    assert_eq!(
        named("get_messages")["annotations"],
        json!({ "destructiveHint": false, "openWorldHint": false })
    );
    assert_eq!(named("update_task")["annotations"], json!({ "openWorldHint": false }));
    let definitions = serde_json::to_string(&tools).unwrap().len();
    assert!(definitions < 9 * 1024, "the definitions take {definitions} bytes as they are sent");
    assert_eq!(named("list_members")["annotations"]["readOnlyHint"], true);
    let loaded = tools.iter().filter(|tool| tool["_meta"]["anthropic/alwaysLoad"] == true).count();
    assert!(loaded > 0 && loaded < tools.len(), "a few tools, not all");
}

/// What the TypeScript SDK, opencode and Gemini cannot digest: one such schema and the whole list is gone.
fn check_schema(schema: &Value, top: bool) {
    let Value::Object(fields) = schema else { panic!("a schema that is no object: {schema}") };
    assert!(!fields.contains_key("$ref"), "{schema}");
    assert!(!fields.get("type").is_some_and(Value::is_array), "{schema}");
    assert!(!top || !(fields.contains_key("anyOf") || fields.contains_key("oneOf")), "{schema}");
    for property in
        fields.get("properties").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
    {
        check_schema(property, false);
    }
    for key in ["items", "not"] {
        fields.get(key).into_iter().for_each(|inner| check_schema(inner, false));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let all = fields.get(key).and_then(Value::as_array).into_iter().flatten();
        all.for_each(|inner| check_schema(inner, false));
    }
}

#[test]
fn rubbish_is_answered_and_survived() {
    let mut process = Process::start();
    let big = format!("{{\"pad\":\"{}\"}}", "x".repeat(1024 * 1024));
    let cases: [(&[u8], Value, i64); 8] = [
        (b"nonsense\n", Value::Null, -32_700),
        (b"{\"jsonrpc\":\n", Value::Null, -32_700),
        (b"\xff\xfe\n", Value::Null, -32_700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\x28\"}\n", Value::Null, -32_700),
        (b"[]\n", Value::Null, -32_600),
        (b"{\"jsonrpc\":\"1.0\",\"id\":5,\"method\":\"ping\"}\n", json!(5), -32_600),
        (b"{\"id\":\"a\"}\n", json!("a"), -32_600),
        (b"\n  \r\n\"x\"\r\n", Value::Null, -32_600),
    ];
    for (line, id, code) in cases {
        process.write(line);
        let reply = process.hear();
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&id, &json!(code)), "{reply}");
        assert!(reply.as_object().unwrap().contains_key("id"), "an unknown id is null, not absent");
    }
    process.say(&big);
    assert_eq!(process.hear()["error"]["code"], -32_600, "a line over 1 MiB");
    process.write(format!("{}\r\n", rpc(7, "ping", json!({}))));
    assert_eq!(process.hear(), json!({"jsonrpc": "2.0", "id": 7, "result": {}}), "CRLF, after all that");
    assert_eq!(process.end(), (vec![], Some(0)));
}

#[test]
fn an_endless_line_does_not_fill_memory() {
    let mut process = Process::start();
    // Compiling the policies takes memory too; a call waits until that is done.
    process.register("alice");
    let before = peak_memory(&process);
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..64 {
        process.write(&piece);
    }
    assert_eq!(process.hear()["error"]["code"], -32_600, "answered before the line ends");
    process.write("\n");
    assert_eq!(process.ask("ping", json!({}))["result"], json!({}));
    let grown = peak_memory(&process) - before;
    assert!(grown < 16 * 1024, "{grown} KiB");
}

/// KiB of memory the process has had at most.
fn peak_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn replies_under_way_are_written_before_the_end() {
    let mut process = Process::start();
    let token = process.register("alice");
    let calls: String = (0..200).map(|id| call(id, "list_members", json!({"token": token})) + "\n").collect();
    // The last line need not end in a newline.
    process.write(calls.trim_end());
    let (replies, code) = process.end();
    let mut ids: Vec<_> = replies.iter().map(|reply| reply["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<_>>());
    assert_eq!(code, Some(0));
}

#[test]
fn calls_under_way_are_bounded() {
    let mut process = Process::start();
    let token = process.register("alice");
    // One of them is refused, whichever comes last.
    for id in 1000..1257 {
        process.say(call(id, "get_messages", json!({"token": token, "wait_seconds": 50})));
    }
    let refused = process.hear();
    assert_eq!(refused["result"]["structuredContent"]["code"], "resource_exhausted", "{refused}");
    assert_eq!(process.ask("ping", json!({}))["result"], json!({}));
}

#[test]
fn no_level_of_logging_shows_a_token() {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(&home);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.env("TEAM_TABLE_TOKEN", "tt_in_the_environment").spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", call(1, "list_members", json!({"token": "tt_in_the_arguments"}))).unwrap();
    writeln!(input, "{}", call(2, "list_members", json!({}))).unwrap();
    // Before the end of the input, after which the first calls of all are not waited for as long as a busy machine may need
    // to compile the policies.
    let replies = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
    assert_eq!(replies.map_while(Result::ok).count(), 2);
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8(output.stderr).unwrap().contains("tt_in_the"));
}

#[test]
fn a_cancelled_call_stops_and_is_not_answered() {
    let mut process = Process::start();
    let token = process.register("alice");
    process.say(call(5, "get_messages", json!({"token": token, "wait_seconds": 50})));
    process.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#);
    assert_eq!(process.ask("ping", json!({}))["result"], json!({}));
    assert_eq!(process.end(), (vec![], Some(0)));
}

#[test]
fn a_client_that_stops_reading_its_output_ends_it() {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(&home).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", rpc(1, "ping", json!({}))).unwrap();
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait().unwrap().code()));
    let code = end.recv_timeout(PATIENCE);
    drop(input);
    assert_eq!(code.expect("it goes on for nobody"), Some(0));
}

#[test]
fn a_long_poll_tells_its_progress() {
    let mut process = Process::start();
    let (alice, bob) = (process.register("alice"), process.register("bob"));
    let wait = json!({"name": "get_messages", "_meta": {"progressToken": "p"},
        "arguments": {"agent_name": "alice", "token": alice, "wait_seconds": 50}});
    process.say(rpc(8, "tools/call", wait));
    let note = process.hear();
    assert_eq!(note["method"], "notifications/progress", "{note}");
    assert_eq!(note["params"]["progressToken"], "p");
    assert!(note["params"]["progress"].as_f64().unwrap() > 0.0);
    let send = json!({"sender": "bob", "recipient": "alice", "content": "hello", "token": bob});
    process.say(call(9, "send_message", send));
    let mut ids = [process.hear()["id"].as_i64(), process.hear()["id"].as_i64()];
    ids.sort_unstable();
    assert_eq!(ids, [Some(8), Some(9)]);
}
