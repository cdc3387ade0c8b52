//! A table with poll daemons: members who write through the database, daemons as processes of their own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;
use team_table::auth::Token;
use team_table::domain::clock::Clock;
use team_table::domain::message::{Draft, Message, Origin};
use team_table::domain::principal::Principal;
use team_table::storage::{Answer, Db, OpenOptions, Registration};

use crate::harness::{Home, PATIENCE, eventually};

/// Waits until something can be seen.
#[track_caller]
pub(crate) fn until(what: &str, mut seen: impl FnMut() -> bool) {
    eventually(what, || seen().then_some(()));
}

pub(crate) struct Office {
    pub(crate) home: Home,
    pub(crate) db: Db,
}

impl Office {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let db = Db::open(&home.db(), OpenOptions::default()).unwrap();
        Self { home, db }
    }

    pub(crate) fn with_set(set: &str) -> Self {
        let office = Self::new();
        office.swap_set(set);
        office
    }

    /// Replaces the policy set as an editor does, in one step.
    pub(crate) fn swap_set(&self, set: &str) {
        let folder = self.home.path().join("policies");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("new"), set).unwrap();
        fs::rename(folder.join("new"), folder.join("policy-set.toml")).unwrap();
    }

    pub(crate) fn join(&self, name: &str) -> Principal {
        let wanted = Registration {
            name: name.into(),
            role: "agent".into(),
            capabilities: Vec::new(),
            proof: None,
            token: Some(Token::mint().unwrap().hash()),
        };
        let now = Clock::System.now();
        let member = self.db.write(move |tx| tx.register(&wanted, now)).unwrap();
        Principal {
            id: member.id,
            name: member.name,
            role: member.role,
            capabilities: member.capabilities,
            authenticated: true,
        }
    }

    fn draft(content: &str, reply_to: Option<i64>, origin: Origin) -> Draft<'static> {
        Draft { content: content.to_owned().into(), reply_to, idempotency_key: None, origin, person: None }
    }

    /// A message that somebody wrote.
    pub(crate) fn send(&self, from: &Principal, to: &str, content: &str, reply_to: Option<i64>) -> Message {
        self.send_by(Origin::Agent, from, to, content, reply_to)
    }

    pub(crate) fn send_by(
        &self,
        origin: Origin,
        from: &Principal,
        to: &str,
        content: &str,
        reply_to: Option<i64>,
    ) -> Message {
        let (from, to, now) = (from.clone(), to.to_owned(), Clock::System.now());
        let draft = Self::draft(content, reply_to, origin);
        self.db.write(move |tx| tx.send_message(&from, &to, &draft, now)).unwrap()
    }

    pub(crate) fn broadcast(&self, from: &Principal, content: &str) -> Message {
        let (from, now) = (from.clone(), Clock::System.now());
        let draft = Self::draft(content, None, Origin::Agent);
        self.db.write(move |tx| tx.broadcast(&from, None, &draft, now)).unwrap()
    }

    /// A member has read a message itself.
    pub(crate) fn mark_read(&self, who: &Principal, message: &Message) {
        let (who, id, now) = (who.clone(), message.id, Clock::System.now());
        self.db.write(move |tx| tx.mark_read(&who, &[id], now)).unwrap();
    }

    fn ids(&self, who: &Principal, only_unread: bool) -> Vec<i64> {
        let sql = self.home.sql();
        let mut statement = sql
            .prepare(
                "SELECT message_id FROM inbox
                  WHERE member_id = ?1 AND (read_at IS NULL AND handled_at IS NULL OR NOT ?2)
                  ORDER BY message_id",
            )
            .unwrap();
        let rows = statement.query_map(rusqlite::params![who.id, only_unread], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// What neither the member has read nor its daemon has handled.
    pub(crate) fn unread(&self, who: &Principal) -> Vec<i64> {
        self.ids(who, true)
    }

    /// Everything a member ever got.
    pub(crate) fn received(&self, who: &Principal) -> Vec<Message> {
        let ids = self.ids(who, false);
        ids.into_iter().map(|id| self.db.read(|tx| tx.message(id)).unwrap().unwrap()).collect()
    }

    /// What answers a message.
    pub(crate) fn answers(&self, message: &Message) -> Vec<String> {
        let sql = self.home.sql();
        let mut statement =
            sql.prepare("SELECT content FROM messages WHERE reply_to = ?1 ORDER BY id").unwrap();
        let rows = statement.query_map([message.id], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    pub(crate) fn resolve(&self, id: i64, answer: Answer) {
        let now = Clock::System.now();
        self.db
            .write(move |tx| {
                tx.resolve_escalation(&team_table::domain::person::Actor::Operator, id, &answer, None, now)
            })
            .unwrap();
    }

    /// The open escalations: agent, policy, code.
    pub(crate) fn open(&self) -> Vec<(String, String, String)> {
        let rows = self.db.read(|tx| tx.escalations(None, false, 100)).unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row.agent, row.policy, row.code)).collect();
        rows.sort();
        rows
    }

    pub(crate) fn command(&self, agent: &str, more: &[&str]) -> Command {
        let mut command = self.home.command();
        command.args(["poll", agent, "--register", "--json"]).args(more);
        command
    }

    pub(crate) fn poll(&self, agent: &str, more: &[&str]) -> Poll {
        Poll::spawn(&mut self.command(agent, more))
    }

    /// A daemon that answers for its agent now.
    #[track_caller]
    pub(crate) fn started(&self, agent: &str, more: &[&str]) -> Poll {
        let poll = self.poll(agent, more);
        poll.next("started");
        poll
    }

    /// Answers what is there; what the daemon said.
    #[track_caller]
    pub(crate) fn once(&self, agent: &str, more: &[&str]) -> Vec<Value> {
        let more: Vec<&str> = ["--once"].iter().chain(more).copied().collect();
        let output = self.command(agent, &more).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A running daemon.
pub(crate) struct Poll {
    pub(crate) child: Child,
    notes: Receiver<Value>,
}

impl Poll {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, notes) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let note: Value =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(note["event"].is_string() && note["at"].is_string(), "{line}");
                if sender.send(note).is_err() {
                    break;
                }
            }
        });
        Self { child, notes }
    }

    /// The next note of that kind; those before it are passed over.
    #[track_caller]
    pub(crate) fn next(&self, event: &str) -> Value {
        self.next_of(&[event])
    }

    #[track_caller]
    pub(crate) fn next_of(&self, events: &[&str]) -> Value {
        let mut before = Vec::new();
        loop {
            match self.notes.recv_timeout(PATIENCE) {
                Ok(note) if events.contains(&note["event"].as_str().unwrap()) => return note,
                Ok(note) => before.push(note),
                Err(problem) => panic!("no {events:?} ({problem}), but {before:?}"),
            }
        }
    }

    /// Whether nothing is said for so long.
    pub(crate) fn silent_for(&self, time: Duration) -> Result<(), Value> {
        match self.notes.recv_timeout(time) {
            Ok(note) => Err(note),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Value::Null),
        }
    }

    /// Sends a signal; the exit status.
    pub(crate) fn signal(&mut self, name: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
        eventually("the process ends", || self.child.try_wait().unwrap()).code()
    }

    /// `kill -9`, and waited for.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
