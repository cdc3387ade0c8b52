//! The clients of the load generator: a process of its own on standard input and output, or a kept-alive connection to a
//! server's `/mcp`; and what the kernel says about a process. Must not know what is called, or how often.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A program that offers the tools.
#[derive(Clone)]
pub(crate) struct Program(Vec<String>);

impl Program {
    /// The program of this build, or the one of `--program=FILE`.
    pub(crate) fn ours() -> Self {
        Self(vec![option("program").unwrap_or_else(|| env!("CARGO_BIN_EXE_team-table").to_owned())])
    }

    /// The server of `--compare=COMMAND`, whose words are separated by spaces.
    pub(crate) fn peer() -> Option<Self> {
        option("compare").map(|command| Self(command.split_whitespace().map(str::to_owned).collect()))
    }

    /// Its command on a database, with nothing of the caller's environment but the PATH.
    pub(crate) fn on(&self, db: &Path) -> Command {
        let mut command = Command::new(&self.0[0]);
        command
            .args(&self.0[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", db.parent().unwrap())
            .env("TEAM_TABLE_DB", db);
        command
    }
}

/// The value of `--NAME=VALUE`.
fn option(name: &str) -> Option<String> {
    let start = format!("--{name}=");
    std::env::args().find_map(|argument| argument.strip_prefix(&start).map(str::to_owned))
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;
/// How long a process may take to answer, or to end: longer than a start and a wait for a lock together.
const ANSWER: Duration = Duration::from_secs(20);

/// What stands for the answer of a process that gave none and is gone.
pub(crate) const SILENCE: &str = r#"{"error":"no answer; the process has ended or was ended"}"#;

/// Starts at a time: a start takes all of a processor.
const STARTS: usize = 4;

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A tool call as a client sends it.
pub(crate) fn request(tool: &str, arguments: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
        .to_string()
}

/// Whether the tool did what it was asked to. Told from the text, as it is asked after every call; a tool that returns
/// text says `error` in there.
pub(crate) fn failed(reply: &str) -> bool {
    reply.contains(r#""isError":true"#) || reply.contains(r#""error""#) || reply.contains(r#"\"error\""#)
}

/// What the tool returned, as an object or as text that is JSON; null if it is neither.
pub(crate) fn result(reply: &str) -> Value {
    let reply: Value = serde_json::from_str(reply).unwrap_or_default();
    let text = reply["result"]["content"][0]["text"].as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

pub(crate) enum Client {
    Stdio(Process),
    Http(Connection),
}

impl Client {
    /// Sends a request and waits for its answer, which may be [`SILENCE`].
    pub(crate) fn ask(&mut self, request: &str) -> String {
        match self {
            Self::Stdio(process) => process.ask(request),
            Self::Http(connection) => connection.ask(request),
        }
    }

    /// A call that must go well; what it returned.
    pub(crate) fn tool(&mut self, tool: &str, arguments: &Value) -> Value {
        let reply = self.ask(&request(tool, arguments));
        assert!(!failed(&reply), "{tool}: {reply}");
        result(&reply)
    }
}

/// The program as a process of its own.
pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    /// A socket, which Node.js gives its children too: its reader need not wait for ever.
    output: BufReader<UnixStream>,
}

impl Process {
    /// Starts it; it has not been spoken to.
    pub(crate) fn spawn(program: &Program, db: &Path) -> Self {
        let (output, its) = UnixStream::pair().unwrap();
        output.set_read_timeout(Some(ANSWER)).unwrap();
        let mut command = program.on(db);
        let mut child = command
            .env("TEAM_TABLE_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(OwnedFd::from(its))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { input: child.stdin.take(), child, output: BufReader::new(output) }
    }

    pub(crate) fn initialize(&mut self) {
        self.ask(INITIALIZE);
        self.send(INITIALIZED);
    }

    fn send(&mut self, line: &str) {
        // In one write, as clients do. A process that is gone shows when its answer is read.
        let _ = self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes());
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(line);
        loop {
            let mut reply = String::new();
            if !self.output.read_line(&mut reply).is_ok_and(|bytes| bytes > 0) {
                self.child.kill().unwrap();
                return SILENCE.to_owned();
            }
            // The server's own notifications and requests are none of the load's business.
            if !reply.contains("\"method\":") {
                return reply;
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        if self.output.read_to_end(&mut Vec::new()).is_err() {
            self.child.kill().unwrap();
        }
        self.child.wait().unwrap();
    }
}

/// Our program as an HTTP server on a free port.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(program: &Program, db: &Path) -> Self {
        let mut child = program
            .on(db)
            .args(["--transport", "streamable-http", "--host", "127.0.0.1", "--port", "0"])
            .env("TEAM_TABLE_LOG", "info")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server does not come up");
            if let Some((_, address)) = line.split_once("address=") {
                break address.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        // It may go on logging.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A connection of one HTTP client.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = Self(BufReader::new(stream));
        connection.ask(INITIALIZE);
        connection
    }

    fn ask(&mut self, body: &str) -> String {
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the server hung up");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }
}

/// Clients of one program on one database; with an HTTP server, if that is how they reach it.
pub(crate) struct Clients {
    // Before the server, so that they hang up first.
    pub(crate) all: Vec<Client>,
    server: Option<Server>,
}

impl Clients {
    pub(crate) fn stdio(program: &Program, db: &Path, count: usize) -> Self {
        // The first makes the database.
        let mut first = Process::spawn(program, db);
        first.initialize();
        let mut all = vec![first];
        while all.len() < count {
            let some = STARTS.min(count - all.len());
            let mut some: Vec<_> = (0..some).map(|_| Process::spawn(program, db)).collect();
            some.iter_mut().for_each(Process::initialize);
            all.append(&mut some);
        }
        Self { all: all.into_iter().map(Client::Stdio).collect(), server: None }
    }

    pub(crate) fn http(program: &Program, db: &Path, count: usize) -> Self {
        let server = Server::start(program, db);
        let all = (0..count).map(|_| Client::Http(Connection::open(server.address))).collect();
        Self { all, server: Some(server) }
    }

    /// The processes that serve them.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let own = self.all.iter().filter_map(|client| match client {
            Client::Stdio(process) => Some(process.id()),
            Client::Http(_) => None,
        });
        own.chain(self.server.as_ref().map(Server::id)).collect()
    }
}

impl Drop for Clients {
    /// All may end at once.
    fn drop(&mut self) {
        for client in &mut self.all {
            if let Client::Stdio(process) = client {
                process.input = None;
            }
        }
    }
}

/// Processor time of a process, ended threads included, in steps of 10 ms.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name may have spaces; what follows its bracket has not.
    let ticks = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
}

/// A line of a process's `status` that is in KiB: `VmRSS` now, `VmHWM` at most so far.
pub(crate) fn memory(process: u32, what: &str) -> u64 {
    memory_if_alive(process, what).unwrap()
}

/// The same of a process that may have ended.
pub(crate) fn memory_if_alive(process: u32, what: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
