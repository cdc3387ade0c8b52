//! What the tests share: a table in this process whose clock stands still, and the built program as a process
//! of its own, both called the same way.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Map, Value, json};
use team_table::domain::clock::Clock;
use team_table::events::Hub;
use team_table::policy::{HostConfig, PolicyHost};
use team_table::storage::{Db, OpenOptions};
use team_table::tools::{Request, Table, TableOptions, Transport};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_team-table");

/// Longer than anything here takes; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Where fixed clocks begin: 2026-11-22T09:30:00Z.
pub(crate) const START: i64 = 1_795_339_800_000;

/// A set without `rate-limit`, for tests that send more in a minute than an agent may.
pub(crate) const UNLIMITED: &str = "\
builtins = \"named\"
[[policy]]
name = \"tool-authorization\"
module = \"builtin:tool-authorization\"
";

/// Compiled policies, kept between the runs of the tests: compiling them is what takes time.
fn policy_cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cache")
}

/// Starts the policies of a folder and waits until they are loaded.
fn policies(dir: &Path) -> Arc<PolicyHost> {
    let host = PolicyHost::start(HostConfig {
        dir: dir.to_owned(),
        cache_dir: Some(policy_cache()),
        state_dir: Some(dir.join("state")),
        clock: Arc::new(|| START),
    })
    .unwrap();
    let status = host.wait_for(PATIENCE, |_| true).expect("the policies do not load");
    assert_eq!(status.error, None);
    Arc::new(host)
}

/// A folder with a policy set; `None` for the built-in one.
fn policy_folder(set: Option<&str>) -> TempDir {
    // Shared ones live as long as the process and are never removed: not in everybody's `/tmp`.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if let Some(set) = set {
        fs::write(dir.path().join("policy-set.toml"), set).unwrap();
    }
    dir
}

/// A host that tests share. It judges by what it is given, so nothing of one test shows in another.
fn shared(cell: &'static OnceLock<(TempDir, Arc<PolicyHost>)>, set: Option<&str>) -> Arc<PolicyHost> {
    let (_, host) = cell.get_or_init(|| {
        let dir = policy_folder(set);
        let host = policies(dir.path());
        (dir, host)
    });
    Arc::clone(host)
}

/// The policies every installation begins with.
pub(crate) fn default_policies() -> Arc<PolicyHost> {
    static HOST: OnceLock<(TempDir, Arc<PolicyHost>)> = OnceLock::new();
    shared(&HOST, None)
}

fn unlimited_policies() -> Arc<PolicyHost> {
    static HOST: OnceLock<(TempDir, Arc<PolicyHost>)> = OnceLock::new();
    shared(&HOST, Some(UNLIMITED))
}

/// The answer to a tool call, whichever way it was made.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) body: Value,
    pub(crate) is_error: bool,
}

impl Answer {
    /// The result of a call that must have gone well.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(!self.is_error, "{}", self.body);
        self.body
    }

    /// The body of a call that must have failed with `code`, with all that an error must say.
    #[track_caller]
    pub(crate) fn refused(self, code: &str) -> Value {
        assert!(self.is_error, "not refused: {}", self.body);
        assert_eq!(self.body["code"], code, "{}", self.body);
        for part in ["error", "hint"] {
            assert!(self.body[part].as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        }
        self.body
    }

    /// `ok`, or the code of the error.
    pub(crate) fn code(&self) -> &str {
        if self.is_error { self.body["code"].as_str().unwrap() } else { "ok" }
    }
}

/// A table of its own in this process. Its clock moves only when told.
pub(crate) struct Desk {
    pub(crate) table: Table,
    pub(crate) clock: Clock,
    pub(crate) path: PathBuf,
    runtime: Runtime,
    policies: Option<TempDir>,
    _dir: Option<TempDir>,
}

impl Desk {
    /// Without a rate limit.
    pub(crate) fn new() -> Self {
        Self::build(None, unlimited_policies(), true, OpenOptions::default())
    }

    /// With the policies every installation begins with.
    pub(crate) fn with_defaults() -> Self {
        Self::build(None, default_policies(), true, OpenOptions::default())
    }

    /// Where names are believed.
    pub(crate) fn trusting() -> Self {
        Self::build(None, unlimited_policies(), false, OpenOptions::default())
    }

    /// With a policy set of its own.
    pub(crate) fn with_set(set: &str) -> Self {
        Self::with_modules(set, &[])
    }

    /// With a policy set of its own and the modules it names.
    pub(crate) fn with_modules(set: &str, modules: &[(&str, Vec<u8>)]) -> Self {
        let dir = policy_folder(None);
        for (file, bytes) in modules {
            fs::write(dir.path().join(file), bytes).unwrap();
        }
        fs::write(dir.path().join("policy-set.toml"), set).unwrap();
        let host = policies(dir.path());
        Self { policies: Some(dir), ..Self::build(None, host, true, OpenOptions::default()) }
    }

    /// On a database that is there already.
    pub(crate) fn on(path: &Path) -> Self {
        Self::build(Some(path), unlimited_policies(), true, OpenOptions::default())
    }

    /// That waits only so long for a locked database.
    pub(crate) fn impatient(busy_timeout: Duration) -> Self {
        let options = OpenOptions { busy_timeout, ..OpenOptions::default() };
        Self::build(None, unlimited_policies(), true, options)
    }

    fn build(
        path: Option<&Path>,
        policies: Arc<PolicyHost>,
        require_tokens: bool,
        options: OpenOptions,
    ) -> Self {
        let dir = path.is_none().then(|| tempfile::tempdir().unwrap());
        let path = path
            .map_or_else(|| dir.as_ref().unwrap().path().join("table").join("team_table.db"), Path::to_owned);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let clock = Clock::fixed(START);
        let db = Db::open(&path, options).unwrap();
        let hub = runtime.block_on(async { Hub::start(db.clone()) });
        let table = Table::new(db, policies, hub, TableOptions { require_tokens, clock: clock.clone() });
        Self { table, clock, path, runtime, policies: None, _dir: dir }
    }

    pub(crate) fn db(&self) -> &Db {
        self.table.db()
    }

    pub(crate) const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The folder of a policy set of its own.
    pub(crate) fn policy_dir(&self) -> &Path {
        self.policies.as_ref().unwrap().path()
    }

    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.call_as(tool, arguments, None)
    }

    /// A call whose connection brought a token along.
    pub(crate) fn call_as(&self, tool: &str, arguments: Value, bearer: Option<&str>) -> Answer {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = Request {
            tool: tool.to_owned(),
            arguments,
            bearer: bearer.map(str::to_owned),
            transport: Transport::Http,
            seats: Vec::new(),
        };
        let reply = self.runtime.block_on(self.table.call(request)).unwrap();
        Answer { body: Value::Object(reply.body), is_error: reply.is_error }
    }

    /// Whether a reply would be counted against the caller's address.
    pub(crate) fn counts_as_bad_token(&self, tool: &str, arguments: Value) -> bool {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let request = Request {
            tool: tool.to_owned(),
            arguments,
            bearer: None,
            transport: Transport::Http,
            seats: Vec::new(),
        };
        self.runtime.block_on(self.table.call(request)).unwrap().bad_token
    }

    /// Seats an agent.
    #[track_caller]
    pub(crate) fn join(&self, name: &str) -> Agent<'_> {
        let token = self.call("register", json!({ "name": name })).ok()["token"].as_str().unwrap().to_owned();
        Agent { desk: self, name: name.to_owned(), token }
    }

    /// Seats an agent and grants it a role, as the operator does.
    #[track_caller]
    pub(crate) fn join_as(&self, name: &str, role: &str) -> Agent<'_> {
        let agent = self.join(name);
        let (name, role, now) = (name.to_owned(), role.to_owned(), self.clock.now());
        self.db().write(move |tx| tx.grant(&name, &role, now)).unwrap();
        agent
    }

    /// Waits until everything queued before is committed.
    pub(crate) fn flush(&self) {
        self.db().write(|_| Ok(())).unwrap();
    }

    /// Whether the readiness probe would say yes. Asked where a file can be taken away from a process that has it open.
    #[cfg(unix)]
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.runtime.block_on(self.table.ready())
    }

    /// A connection that looks at the file from the outside.
    pub(crate) fn sql(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    /// A count from the outside.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// An agent at a [`Desk`].
pub(crate) struct Agent<'a> {
    desk: &'a Desk,
    pub(crate) name: String,
    pub(crate) token: String,
}

/// The parameter in which a tool takes its caller's name.
pub(crate) fn name_parameter(tool: &str) -> &'static str {
    match tool {
        "register" | "deregister" | "heartbeat" => "name",
        "send_message" | "broadcast" => "sender",
        "create_task" => "creator",
        _ => "agent_name",
    }
}

impl<'a> Agent<'a> {
    /// An agent that has its token already.
    pub(crate) fn known(desk: &'a Desk, name: &str, token: &str) -> Self {
        Self { desk, name: name.to_owned(), token: token.to_owned() }
    }

    /// Calls a tool as this agent; name and token are filled in.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Answer {
        let mut arguments = arguments;
        arguments[name_parameter(tool)] = json!(self.name);
        arguments["token"] = json!(self.token);
        self.desk.call(tool, arguments)
    }

    /// A message to `recipient`; its id.
    #[track_caller]
    pub(crate) fn send(&self, recipient: &str, content: &str) -> i64 {
        let sent = self.call("send_message", json!({ "recipient": recipient, "content": content })).ok();
        sent["id"].as_i64().unwrap()
    }

    /// A task that anyone may take; its id.
    #[track_caller]
    pub(crate) fn post(&self, title: &str) -> i64 {
        self.call("create_task", json!({ "title": title })).ok()["id"].as_i64().unwrap()
    }

    /// Moves a task.
    pub(crate) fn update(&self, task: i64, status: &str) -> Answer {
        self.call("update_task", json!({ "task_id": task, "status": status }))
    }

    /// The contents of the unread messages, which are then read.
    #[track_caller]
    pub(crate) fn read(&self) -> Vec<String> {
        strings(&self.call("get_messages", json!({})).ok()["messages"], "content")
    }
}

/// One field of every object of a list.
#[track_caller]
pub(crate) fn strings(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

/// One number of every object of a list.
#[track_caller]
pub(crate) fn numbers(list: &Value, field: &str) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|one| one[field].as_i64().unwrap()).collect()
}

/// A folder with a database for processes, with the policies compiled already.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// With the policies every installation begins with.
    pub(crate) fn new() -> Self {
        Self::with_set(None)
    }

    /// Without a rate limit.
    pub(crate) fn unlimited() -> Self {
        Self::with_set(Some(UNLIMITED))
    }

    pub(crate) fn with_set(set: Option<&str>) -> Self {
        drop((default_policies(), unlimited_policies()));
        let home = Self { dir: tempfile::tempdir().unwrap() };
        warm_up(&home.db());
        if let Some(set) = set {
            fs::create_dir(home.path().join("policies")).unwrap();
            fs::write(home.path().join("policies").join("policy-set.toml"), set).unwrap();
        }
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path().join("table.db")
    }

    pub(crate) fn sql(&self) -> Connection {
        let connection = Connection::open(self.db()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The program, with nothing of the tests' own environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.path())
            .env("TEAM_TABLE_DB", self.db())
            .env("TEAM_TABLE_LOG", "error");
        command
    }

    /// Runs an operator's command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Makes the database, as the first start of a server does.
    pub(crate) fn make_db(&self) {
        drop(Db::open(&self.db(), OpenOptions::default()).unwrap());
    }

    /// Runs an operator's command that must succeed; its standard output.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn start(&self) -> Process {
        Process::spawn(&mut self.command())
    }
}

/// Puts the compiled policies of earlier tests beside a database, for a process that starts on it.
pub(crate) fn warm_up(db: &Path) {
    let mut cache = db.as_os_str().to_owned();
    cache.push(".policy-cache");
    copy_folder(&policy_cache(), Path::new(&cache));
}

/// Copies a folder of plain files, with their modes.
fn copy_folder(from: &Path, to: &Path) {
    team_table::os::create_private_folder(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        // Another test's host may just be replacing it.
        if fs::copy(entry.path(), &copy).is_ok() {
            set_mode(&copy, 0o600);
        }
    }
}

/// Who may use a file or folder, as Unix writes it. Elsewhere: as if it were this user's alone, or everybody's.
pub(crate) fn mode(path: &Path) -> u32 {
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777;
    #[cfg(not(unix))]
    let mode = match (team_table::os::Access::at(path).unwrap().others_use, path.is_dir()) {
        (false, false) => 0o600,
        (false, true) => 0o700,
        (true, _) => 0o777,
    };
    mode
}

/// Sets it on Unix. Elsewhere a file that is to be this user's alone becomes so, and others stay as they are.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    #[cfg(not(unix))]
    if mode & 0o077 == 0 {
        team_table::os::make_private(path).unwrap();
    }
}

/// A running server on standard input and output.
pub(crate) struct Process {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    pub(crate) lines: Receiver<String>,
    last_id: i64,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the program does not start");
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { input: child.stdin.take(), child, lines, last_id: 0 }
    }

    /// Sends a call without waiting for its answer; its id. False when the process is gone.
    pub(crate) fn say(&mut self, tool: &str, arguments: Value) -> bool {
        self.last_id += 1;
        let params = json!({ "name": tool, "arguments": arguments });
        let line = json!({ "jsonrpc": "2.0", "id": self.last_id, "method": "tools/call", "params": params });
        self.input.as_mut().is_some_and(|input| writeln!(input, "{line}").is_ok())
    }

    /// The next answer; `None` when the process is gone.
    pub(crate) fn hear(&mut self) -> Option<Answer> {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("the server is silent"),
        };
        let reply: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let result = &reply["result"];
        assert!(result.is_object(), "{line}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result["structuredContent"]);
        let is_error = result["isError"].as_bool().unwrap_or(false);
        Some(Answer { body: result["structuredContent"].clone(), is_error })
    }

    /// Calls a tool and waits for the answer.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        assert!(self.say(tool, arguments), "the server does not listen");
        self.hear().expect("the server is gone")
    }

    /// Registers an agent; its token.
    #[track_caller]
    pub(crate) fn join(&mut self, name: &str) -> String {
        let joined = self.call("register", json!({ "name": name })).ok();
        joined["token"].as_str().unwrap().to_owned()
    }

    /// Closes the input and waits for the end.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.input = None;
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running HTTP server, as a process of its own.
pub(crate) struct Network {
    child: Child,
    pub(crate) address: String,
    log: Mutex<Receiver<String>>,
}

impl Network {
    /// Waits until it listens.
    pub(crate) fn start(home: &Home) -> Self {
        Self::with(home, &["--host", "127.0.0.1"])
    }

    /// With more flags, the address among them.
    pub(crate) fn with(home: &Home, flags: &[&str]) -> Self {
        let mut command = home.command();
        command.args(["--transport", "sse"]).args(flags);
        let mut child = command
            .env("TEAM_TABLE_PORT", "0")
            .env("TEAM_TABLE_LOG", "team_table=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program does not start");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.split_once("address=").map(|(_, rest)| rest.to_owned()));
        // Somebody must take what it logs from here on, whether it is wanted or not.
        let (sender, log) = channel();
        std::thread::spawn(move || lines.for_each(|line| drop(sender.send(line))));
        let address = address.expect("the server ended").split_whitespace().next().unwrap().to_owned();
        Self { child, address, log: Mutex::new(log) }
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// What it logs, up to the next line with these words.
    #[track_caller]
    pub(crate) fn logs(&self, words: &str) -> String {
        let (log, mut text) = (self.log.lock().unwrap(), String::new());
        while !text.lines().next_back().is_some_and(|line| line.contains(words)) {
            let line = log.recv_timeout(PATIENCE);
            text += &line.unwrap_or_else(|problem| panic!("no {words:?} ({problem}), but {text}"));
            text.push('\n');
        }
        text
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> NetworkClient {
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build();
        NetworkClient { agent: config.into(), base: format!("http://{}", self.address) }
    }

    /// A number of `/metrics`, by its name and labels.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let text = self.client().get("/metrics");
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Asks for a number until it is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        eventually(name, || self.metric(name).filter(|value| wanted(*value)));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of a [`Network`].
pub(crate) struct NetworkClient {
    agent: ureq::Agent,
    base: String,
}

impl NetworkClient {
    pub(crate) fn get(&self, path: &str) -> String {
        let mut response = self.agent.get(format!("{}{path}", self.base)).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Answer {
        let params = json!({ "name": tool, "arguments": arguments });
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let mut response = self
            .agent
            .post(format!("{}/mcp", self.base))
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .send(request.to_string())
            .unwrap();
        let reply: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
        let result = &reply["result"];
        let is_error = result["isError"].as_bool().unwrap_or(false);
        Answer { body: result["structuredContent"].clone(), is_error }
    }
}

/// Asks again and again, until there is an answer or [`PATIENCE`] is at its end.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `{}` as a map, for requests.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}
