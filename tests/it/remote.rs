//! A table on another machine: its tools over standard input and output, its hooks and its wakes. The two machines are two homes.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Home, Network, Process, eventually, mode, set_mode};

/// The machine of the table, and another one with bob's client on it.
struct Machines {
    table: Home,
    server: Network,
    alice: String,
    bob: String,
    here: Home,
}

impl Machines {
    fn new() -> Self {
        let table = Home::new();
        let server = Network::start(&table);
        let join = |name: &str| {
            let joined = server.client().call("register", json!({ "name": name })).ok();
            joined["token"].as_str().unwrap().to_owned()
        };
        let (alice, bob) = (join("alice"), join("bob"));
        Self { alice, bob, here: Home::new(), table, server }
    }

    /// Where bob's machine keeps his token already.
    fn set_up() -> Self {
        let machines = Self::new();
        let done = machines.set_up_with(&machines.bob);
        assert!(done.status.success(), "{done:?}");
        machines
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Keeps a token; no client is installed there.
    fn set_up_with(&self, token: &str) -> Output {
        let arguments = ["setup", "gemini", "--token-stdin", "--yes"];
        feed(self.command().args(arguments).env("PATH", "/nonexistent"), token.as_bytes())
    }

    /// The program on bob's machine.
    fn command(&self) -> Command {
        let mut command = self.here.command();
        command.env("TEAM_TABLE_URL", self.url());
        command
    }

    fn credentials(&self) -> PathBuf {
        self.here.path().join("credentials.toml")
    }

    /// Runs a hook of a Claude Code whose process is `client`.
    fn hook(&self, client: &Child, event: &str, name: &str, input: Value) -> Output {
        let mut input = input;
        input["session_id"] = "s1".into();
        input["hook_event_name"] = name.into();
        let mut command = self.command();
        command.env("CLAUDE_PID", client.id().to_string()).args(["hook", "claude", event]);
        feed(&mut command, input.to_string().as_bytes())
    }

    fn send(&self, content: &str) -> Value {
        let message =
            json!({ "sender": "alice", "recipient": "bob", "content": content, "token": self.alice });
        self.server.client().call("send_message", message).ok()
    }
}

pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What does not read its input to the end closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Stands for a client: a process that does nothing until it is ended.
fn client() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn end(mut client: Child) {
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn the_tools_of_a_table_elsewhere_are_served_over_stdio() {
    let machines = Machines::set_up();
    let mut bob = Process::spawn(&mut machines.command());
    let seen = bob.call("heartbeat", json!({ "name": "bob" })).ok();
    assert_eq!(seen["name"], "bob");
    machines.send("hello");
    let got = bob.call("get_messages", json!({ "agent_name": "bob" })).ok();
    assert_eq!(got["messages"][0]["content"], "hello");
    bob.call("heartbeat", json!({ "name": "alice" })).refused("permission_denied");
    assert_eq!(bob.end(), Some(0));
    assert!(!machines.here.db().exists(), "no table is made here");
}

#[test]
fn a_call_that_is_cancelled_here_is_cancelled_there() {
    let machines = Machines::set_up();
    let mut child = machines.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let wait = json!({ "name": "get_messages", "arguments": { "agent_name": "bob", "wait_seconds": 50 } });
    writeln!(input, "{}", json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": wait }))
        .unwrap();
    machines.server.wait_for_metric("team_table_waiting_members", |waiting| waiting > 0.0);
    let cancelled =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    writeln!(input, "{cancelled}").unwrap();
    machines.server.wait_for_metric("team_table_waiting_members", |waiting| waiting == 0.0);
    machines.send("for later");
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(machines.table.count("SELECT count(*) FROM inbox WHERE read_at IS NULL"), 1);
}

#[test]
fn a_call_outlives_a_restart_of_the_server_and_a_server_that_is_gone_is_named() {
    let machines = Machines::set_up();
    let mut bob = Process::spawn(&mut machines.command());
    bob.call("heartbeat", json!({ "name": "bob" })).ok();
    let Machines { server, table, here, .. } = machines;
    let address = server.address.clone();
    drop(server);
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    bob.say("heartbeat", json!({ "name": "bob" }));
    let again = Network::with(&table, &["--host", "127.0.0.1", "--port", &port]);
    assert_eq!(bob.hear().unwrap().ok()["name"], "bob");
    drop(again);
    bob.say("heartbeat", json!({ "name": "bob" }));
    let line = bob.lines.recv().unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    let words = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{line}"));
    assert!(words.contains(&format!("http://{address} cannot be reached: ")), "{words}");
    drop(here);
}

#[test]
fn a_message_wakes_a_session_on_another_machine() {
    let machines = Machines::set_up();
    let bob = client();
    let started = said(&machines.hook(&bob, "start", "SessionStart", json!({ "source": "startup" })));
    let context = started["hookSpecificOutput"]["additionalContext"].as_str().unwrap();
    assert!(context.starts_with("You sit at the team table as bob (agent). Here: alice."), "{context}");
    let bell = PathBuf::from(started["hookSpecificOutput"]["watchPaths"][0].as_str().unwrap());
    assert!(bell.starts_with(machines.here.path()));
    let members = machines.server.client().call("list_members", json!({ "token": machines.alice })).ok();
    let presence = (&members["members"][1]["presence"], &members["members"][1]["wakes"]);
    assert_eq!(presence, (&json!("idle"), &json!(true)), "{members}");

    assert_eq!(machines.send("please review PR 5")["seen"], "wakes");
    eventually("the bell is rung", || fs::read(&bell).is_ok_and(|text| !text.is_empty()).then_some(()));
    let woken = machines.hook(&bob, "bell", "FileChanged", json!({}));
    assert_eq!(woken.status.code(), Some(2), "{woken:?}");
    let notice = String::from_utf8(woken.stderr).unwrap();
    assert!(notice.contains("#1 from alice (agent), thread 1: \"please review PR 5\""), "{notice}");
    let wakes = "SELECT count(*) FROM decisions WHERE hook = 'wake' AND outcome = 'allow'";
    assert_eq!(machines.table.count(wakes), 1, "the policies of the table were asked");

    // Busy: it is told at its next step.
    machines.hook(&bob, "prompt", "UserPromptSubmit", json!({ "prompt": "go on" }));
    assert_eq!(machines.send("one more")["seen"], "next_step");
    let step = said(&machines.hook(&bob, "tool", "PostToolBatch", json!({})));
    assert!(step["hookSpecificOutput"]["additionalContext"].as_str().unwrap().contains("one more"), "{step}");

    machines.hook(&bob, "end", "SessionEnd", json!({ "reason": "exit" }));
    assert_eq!(machines.table.count("SELECT count(*) FROM seats"), 0);
    assert!(!bell.exists());
    end(bob);
}

#[test]
fn what_waits_for_the_rings_of_a_session_ends_with_its_process() {
    let machines = Machines::set_up();
    let bob = client();
    said(&machines.hook(&bob, "start", "SessionStart", json!({})));
    assert_eq!(machines.table.count("SELECT count(*) FROM seats"), 1);
    let lock = eventually("it waits", || beside_the_bells(&machines, "lock"));
    let is_held = || fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err());
    eventually("it has the lock", || is_held().then_some(()));
    end(bob);
    // It waits for a ring, and looks then.
    machines.send("anybody there?");
    eventually("it is over", || (!lock.exists()).then_some(()));
    eventually("the seat is given up", || {
        (machines.table.count("SELECT count(*) FROM seats") == 0).then_some(())
    });
}

/// The file about bob's only session with this ending.
fn beside_the_bells(machines: &Machines, ending: &str) -> Option<PathBuf> {
    let files = fs::read_dir(machines.here.path().join("table.db.bells")).ok()?;
    files.map(|file| file.unwrap().path()).find(|file| file.extension().is_some_and(|end| end == ending))
}

#[test]
fn what_a_hook_was_told_that_ended_without_the_answer_is_told_again() {
    let machines = Machines::set_up();
    let bob = client();
    said(&machines.hook(&bob, "start", "SessionStart", json!({})));
    machines.hook(&bob, "prompt", "UserPromptSubmit", json!({ "prompt": "work" }));
    machines.send("read me");
    let step = || machines.hook(&bob, "tool", "PostToolBatch", json!({}));
    assert!(said(&step()).to_string().contains("read me"));
    assert!(step().stdout.is_empty(), "it was told once");
    // As a hook leaves it that was ended while it asked.
    let lock = eventually("it waits", || beside_the_bells(&machines, "lock"));
    let mark = fs::File::create(lock.with_extension("asked")).unwrap();
    mark.set_modified(std::time::SystemTime::now() - std::time::Duration::from_mins(1)).unwrap();
    assert!(said(&step()).to_string().contains("read me"));
    assert!(step().stdout.is_empty(), "once more, and no more");
    end(bob);
}

#[test]
fn a_table_elsewhere_is_asked_with_its_own_token_and_no_other() {
    let machines = Machines::set_up();
    let mut bob = Process::spawn(machines.command().env("TEAM_TABLE_TOKEN", "tt_of_another_table"));
    assert_eq!(bob.call("heartbeat", json!({ "name": "bob" })).ok()["name"], "bob");
}

#[test]
fn two_agents_of_one_machine_are_told_apart_by_the_address() {
    let machines = Machines::set_up();
    assert!(machines.set_up_with(&machines.alice).status.success());
    let unnamed = machines.command().args(["wait", "--timeout", "1s"]).output().unwrap();
    assert!(String::from_utf8_lossy(&unnamed.stderr).contains("of several agents are kept"), "{unnamed:?}");
    for name in ["alice", "bob"] {
        let url = machines.url().replacen("://", &format!("://{name}@"), 1);
        let mut agent = Process::spawn(machines.command().env("TEAM_TABLE_URL", url));
        assert_eq!(agent.call("heartbeat", json!({ "name": name })).ok()["name"], name);
    }
}

#[test]
fn one_agent_sits_in_one_session_elsewhere_and_nobody_names_another_s() {
    let machines = Machines::set_up();
    let (first, second) = (client(), client());
    said(&machines.hook(&first, "start", "SessionStart", json!({})));
    said(&machines.hook(&second, "start", "SessionStart", json!({})));
    assert_eq!(machines.table.count("SELECT count(*) FROM seats"), 1, "a token opens one seat at a time");
    let key: String = machines.table.sql().query_row("SELECT key FROM seats", [], |row| row.get(0)).unwrap();
    // Alice knows the name of bob's session, and asks for its ring with her token.
    let session = key.splitn(3, ':').nth(2).unwrap();
    let asked = json!({ "session": session, "after": null, "seconds": 0 });
    let answer = post(&machines, "/seat/ring", &machines.alice, &asked.to_string());
    assert_eq!(answer.0, 200);
    assert_eq!(serde_json::from_str::<Value>(&answer.1).unwrap()["here"], false, "{}", answer.1);
    end(first);
    end(second);
}

#[test]
fn wait_is_told_of_news_of_a_table_elsewhere() {
    let machines = Machines::set_up();
    let nothing = machines.command().args(["wait", "--timeout", "1s"]).output().unwrap();
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(2), 0), "{nothing:?}");
    let waiting = machines.command().args(["wait", "bob", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    machines.server.wait_for_metric("team_table_waiting_members", |waiting| waiting > 0.0);
    machines.send("wake up");
    let done = waiting.wait_with_output().unwrap();
    assert_eq!(said(&done), json!({ "agent": "bob", "count": 1, "messages": [1] }));
    let again = machines.command().args(["wait", "--timeout", "1s"]).output().unwrap();
    assert_eq!(again.status.code(), Some(2), "what was shown is not new: {again:?}");
    let other = machines.command().args(["wait", "alice"]).output().unwrap();
    assert!(String::from_utf8_lossy(&other.stderr).contains("is bob's, not alice's"), "{other:?}");
}

#[test]
fn a_token_is_kept_owner_only_after_the_table_has_known_it() {
    let machines = Machines::new();
    let refused = machines.set_up_with("tt_wrong");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not know this token"), "{refused:?}");
    assert!(!machines.credentials().exists());
    let kept = machines.set_up_with(&machines.bob);
    assert!(String::from_utf8_lossy(&kept.stdout).contains("knows this token as bob"), "{kept:?}");
    let mode = mode(&machines.credentials());
    assert_eq!(mode & 0o777, 0o600);
    // Others could read it: it is not used.
    set_mode(&machines.credentials(), 0o644);
    let open = machines.command().args(["wait", "--timeout", "1s"]).output().unwrap();
    assert!(String::from_utf8_lossy(&open.stderr).contains("others can read the tokens"), "{open:?}");
    set_mode(&machines.credentials(), 0o600);
    let doctor = machines.here.command().args(["doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let found =
        report["findings"].as_array().unwrap().iter().find(|it| it["what"] == "table elsewhere").unwrap();
    assert_eq!(found["ok"], true, "{found}");
    let undone =
        machines.command().args(["setup", "gemini", "--undo", "--yes"]).env("PATH", "/nonexistent").output();
    assert!(undone.unwrap().status.success());
    assert!(!machines.credentials().exists());
}

#[test]
fn a_hook_whose_table_is_gone_fails_open_and_leaves_a_line() {
    let machines = Machines::set_up();
    let bob = client();
    let Machines { here, .. } = &machines;
    let mut command = here.command();
    command.env("TEAM_TABLE_URL", "http://127.0.0.1:1").env("TEAM_TABLE_TOKEN", "tt_x");
    command.env("CLAUDE_PID", bob.id().to_string()).args(["hook", "claude", "stop"]);
    let output = feed(&mut command, b"{\"session_id\":\"s1\"}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    let log = fs::read_to_string(here.path().join("hooks.log")).unwrap();
    assert!(log.contains("the table at http://127.0.0.1:1 cannot be reached"), "{log}");
    end(bob);
}

#[test]
fn commands_for_the_database_of_this_machine_refuse_a_table_elsewhere() {
    let machines = Machines::new();
    let output = machines.command().args(["agent", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("works on the database of its own machine"));
    for wrong in ["table.example.com", "ftp://x", "https://", "https://@x", "http://x y"] {
        let output = machines.here.command().args(["--url", wrong, "wait"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {output:?}");
    }
}

/// A request with a token; status and body.
fn post(machines: &Machines, path: &str, token: &str, body: &str) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut response = ureq::Agent::from(config)
        .post(format!("{}{path}", machines.url()))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .send(body)
        .unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

#[test]
fn a_seat_elsewhere_takes_no_garbage_and_no_foreign_token() {
    let machines = Machines::new();
    let event = |session: &str| {
        json!({ "event": "start", "client": "claude", "session": session, "folder": "/", "attended": true,
                "typed": false, "wakes": true })
        .to_string()
    };
    let cases = [
        ("/seat/event", "tt_wrong", event("s"), 401),
        ("/seat/event", &machines.bob, event(""), 400),
        ("/seat/event", &machines.bob, event(&"s".repeat(257)), 400),
        ("/seat/event", &machines.bob, "{".into(), 400),
        ("/seat/event", &machines.bob, "{\"event\":\"fly\"}".into(), 400),
        ("/seat/ring", &machines.bob, "[]".into(), 400),
        ("/seat/news", "", "{\"seconds\":0,\"shown\":0}".into(), 401),
        ("/seat/news", &machines.bob, "{\"seconds\":0,\"shown\":0}".into(), 200),
    ];
    for (path, token, body, status) in cases {
        let answer = post(&machines, path, token, &body);
        assert_eq!(answer.0, status, "{path} {body}: {answer:?}");
    }
    assert_eq!(machines.table.count("SELECT count(*) FROM seats"), 0);
    // The token ends while it waits: so does the wait.
    let asked = std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| post(&machines, "/seat/news", &machines.bob, "{\"seconds\":50,\"shown\":0}"));
        machines.server.wait_for_metric("team_table_waiting_members", |waiting| waiting > 0.0);
        machines.table.succeed(&["agent", "revoke", "bob"]);
        waiting.join().unwrap()
    });
    assert_eq!(asked.0, 401, "{asked:?}");
}
