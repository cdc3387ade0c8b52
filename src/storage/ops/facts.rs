//! The facts policies may ask for, each an indexed read. The catalogue with its parameters is in
//! `domain::facts`; requests that reach this file have been checked against it.

use serde_json::{Value, json};

use super::decisions::REVIEW;
use super::seats::WakeScope;
use crate::domain::clock::{self, Millis};
use crate::domain::decision::{Fact, FactRequest, WAKE};
use crate::domain::message::Origin;
use crate::storage::error::{Error, Result};
use crate::storage::tx::ReadTx;
use crate::storage::value::params;

/// Messages of a thread looked at for its depth and participants: more than any loop limit.
const THREAD_WINDOW: i64 = 1_000;

/// Earlier messages of a thread among which a repetition is looked for.
const REPEAT_WINDOW: i64 = 100;
/// White space around a text that does not make it another one.
const BLANKS: &str = " \t\r\n";

/// What the facts of one question are about.
#[derive(Debug, Clone, Default)]
pub struct FactScope {
    /// Time of the question; windows end here.
    pub now: Millis,
    /// The caller of the tool, or the sender of the message: member row and name.
    pub principal: Option<(i64, String)>,
    /// The task acted on.
    pub task: Option<i64>,
    /// The context key acted on.
    pub context: Option<String>,
    /// The member acted on.
    pub member: Option<String>,
    /// For a message under review.
    pub review: Option<ReviewScope>,
    /// For a message that wants to wake its recipient.
    pub wake: Option<WakeScope>,
}

/// What the facts of a review are about.
#[derive(Debug, Clone)]
pub struct ReviewScope {
    /// The agent whose inbox it is.
    pub agent_id: i64,
    /// Its name.
    pub agent: String,
    /// Who sent the message, by name.
    pub sender: String,
    /// The message.
    pub message_id: i64,
    /// Its thread.
    pub thread_id: i64,
    /// When the daemon's run began.
    pub run_started: Millis,
    /// The daemon's `--max-messages`.
    pub max_replies: i64,
}

/// A parameter's JSON, `null` when it was not given.
fn parameter(request: &FactRequest, name: &str) -> Value {
    request.params.get(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

fn window_start(request: &FactRequest, now: Millis) -> Millis {
    now - parameter(request, "window_seconds").as_i64().unwrap_or(0) * clock::SECOND
}

fn count_json((count, oldest): (i64, Option<Millis>)) -> Value {
    json!({ "count": count, "oldest": oldest })
}

impl ReadTx<'_> {
    /// Two numbers that move whenever a fact, a member or a token may have changed: the newest event's and the
    /// newest decision's.
    pub fn facts_version(&self) -> Result<(i64, i64)> {
        Ok((self.last_event()?, self.last_decision()?))
    }

    /// The facts asked for, and the log's numbers they were read at.
    pub fn facts_at(&self, requests: &[FactRequest], scope: &FactScope) -> Result<(Vec<Fact>, (i64, i64))> {
        Ok((self.facts(requests, scope)?, self.facts_version()?))
    }

    /// Computes the facts asked for.
    ///
    /// # Errors
    /// A fact that is not in the catalogue.
    pub fn facts(&self, requests: &[FactRequest], scope: &FactScope) -> Result<Vec<Fact>> {
        requests
            .iter()
            .map(|request| Ok(Fact { request: request.clone(), value: self.fact(request, scope)? }))
            .collect()
    }

    fn fact(&self, request: &FactRequest, scope: &FactScope) -> Result<Value> {
        match request.name.as_str() {
            "calls.attempted" => self.calls(request, scope, None),
            "calls.allowed" => self.calls(request, scope, Some("allow")),
            "calls.denied" => self.calls(request, scope, Some("deny")),
            "messages.sent" => self.messages_sent(request, scope),
            "replies.sent" => self.replies_sent(request, scope, false),
            "replies.sent_to_sender" => self.replies_sent(request, scope, true),
            "thread.auto_depth" => self.auto_depth(scope),
            "thread.participants" => self.participants(scope),
            "thread.repeated" => self.repeated(scope),
            "target.task" => self.target_task(scope),
            "target.context" => self.target_context(scope),
            "target.member" => self.target_member(scope),
            "member.role" => {
                let name = parameter(request, "name");
                let member = self.member(name.as_str().unwrap_or_default())?.filter(|member| member.active);
                Ok(json!(member.map(|member| member.role)))
            }
            "wake.in_hour" => match &scope.wake {
                Some(wake) => Ok(json!(self.wakes_in_hour(wake, scope.now)?)),
                None => Ok(json!(0)),
            },
            "wake.ping_pong" => match &scope.wake {
                Some(wake) => Ok(json!(self.ping_pong(wake)?)),
                None => Ok(json!(0)),
            },
            "wake.since_person" => match &scope.wake {
                Some(wake) => Ok(json!(self.wakes_since_person(wake)?)),
                None => Ok(json!(0)),
            },
            "limits.max_replies" => Ok(json!(scope.review.as_ref().map(|review| review.max_replies))),
            unknown => Err(Error::Fault(format!("unknown fact {unknown}"))),
        }
    }

    /// Calls that were refused by the server's own rules count as attempted, not as allowed; held ones that a
    /// person approved count as allowed when they pass.
    fn calls(&self, request: &FactRequest, scope: &FactScope, outcome: Option<&str>) -> Result<Value> {
        let Some((agent, _)) = scope.principal else { return Ok(count_json((0, None))) };
        let tools = match parameter(request, "tools") {
            Value::Array(tools) if !tools.is_empty() => {
                tools.into_iter().filter_map(|tool| tool.as_str().map(str::to_owned)).collect()
            }
            _ => self.tools_of(agent)?,
        };
        let since = window_start(request, scope.now);
        let (mut count, mut oldest) = (0_i64, None);
        // Eight at a time, the last one again where there are fewer: one statement, a range for each.
        for tools in tools.chunks(8) {
            let tool = |n: usize| tools.get(n).or(tools.last());
            let counted: Option<(i64, Option<Millis>)> = self.one(
                "SELECT count(*), min(at) FROM decisions
                  WHERE agent_id = ?1 AND action IN (?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) AND at > ?2
                    AND (?3 IS NULL OR (?3 = 'allow' AND done AND outcome IN ('allow', 'escalate'))
                         OR (?3 <> 'allow' AND outcome = ?3))",
                params![
                    agent,
                    since,
                    outcome,
                    tool(0),
                    tool(1),
                    tool(2),
                    tool(3),
                    tool(4),
                    tool(5),
                    tool(6),
                    tool(7)
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let (more, first) = counted.unwrap_or_default();
            count += more;
            oldest = [oldest, first].into_iter().flatten().min();
        }
        Ok(count_json((count, oldest)))
    }

    /// The tools a member has ever called: a look-up for each, however often it did. Reviews of its inbox are
    /// no calls of its own.
    fn tools_of(&self, agent: i64) -> Result<Vec<String>> {
        self.all(
            "WITH RECURSIVE called (action) AS (
                 SELECT min(action) FROM decisions WHERE agent_id = ?1
                 UNION ALL
                 SELECT (SELECT min(action) FROM decisions WHERE agent_id = ?1 AND action > called.action)
                   FROM called WHERE called.action IS NOT NULL)
             SELECT action FROM called WHERE action IS NOT NULL AND action <> ?2 AND action <> ?3",
            params![agent, REVIEW, WAKE],
            |row| row.get(0),
        )
    }

    fn messages_sent(&self, request: &FactRequest, scope: &FactScope) -> Result<Value> {
        let Some((id, _)) = scope.principal else { return Ok(count_json((0, None))) };
        let recipient = parameter(request, "recipient");
        let counted = self.one(
            "SELECT count(*), min(created_at) FROM messages
              WHERE sender_id = ?1 AND created_at > ?2 AND origin = 'agent' AND (?3 IS NULL OR recipient = ?3)",
            params![id, window_start(request, scope.now), recipient.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(count_json(counted.unwrap_or_default()))
    }

    /// Automatic replies of the agent since its daemon started, since its last escalation was resolved,
    /// or within a window.
    fn replies_sent(&self, request: &FactRequest, scope: &FactScope, to_sender: bool) -> Result<Value> {
        let Some(review) = &scope.review else { return Ok(count_json((0, None))) };
        let since = match parameter(request, "since").as_str() {
            Some("run") => review.run_started - 1,
            Some("escalation") => self.last_resolved(review.agent_id)?,
            _ => window_start(request, scope.now),
        };
        let message = to_sender.then_some(review.message_id);
        // The sender is the member that wrote the message under review, not an earlier holder of the name.
        let counted = self.one(
            "SELECT count(*), min(created_at) FROM messages
              WHERE sender_id = ?1 AND created_at > ?2 AND origin = 'automatic'
                AND (?3 IS NULL OR EXISTS (SELECT 1 FROM messages this
                         JOIN inbox i ON i.member_id = this.sender_id AND i.message_id = messages.id
                        WHERE this.id = ?3))",
            params![review.agent_id, since, message],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(count_json(counted.unwrap_or_default()))
    }

    /// Automatic replies of an agent since a person last resolved one of its escalations.
    pub fn automatic_replies(&self, agent_id: i64) -> Result<i64> {
        self.number(
            "SELECT count(*) FROM messages WHERE sender_id = ?1 AND created_at > ?2 AND origin = 'automatic'",
            [agent_id, self.last_resolved(agent_id)?],
        )
    }

    fn last_resolved(&self, agent_id: i64) -> Result<Millis> {
        let last = self.one(
            "SELECT max(resolved_at) FROM escalations WHERE agent_id = ?1 AND hook = 'escalation'",
            [agent_id],
            |row| row.get::<Option<Millis>>(0),
        )?;
        Ok(last.flatten().unwrap_or(0))
    }

    /// How many automatic messages in a row the thread ends in, the one under review included.
    fn auto_depth(&self, scope: &FactScope) -> Result<Value> {
        let Some(review) = &scope.review else { return Ok(json!(0)) };
        let mut depth = 0_i64;
        self.while_wanted(
            "SELECT origin FROM messages WHERE thread_id = ?1 AND id <= ?2 ORDER BY id DESC LIMIT ?3",
            params![review.thread_id, review.message_id, THREAD_WINDOW],
            |row| Ok(row.text(0)? == Origin::Automatic.as_str()),
            |automatic| {
                depth += i64::from(automatic);
                automatic
            },
        )?;
        Ok(json!(depth))
    }

    fn participants(&self, scope: &FactScope) -> Result<Value> {
        let Some(review) = &scope.review else { return Ok(json!([])) };
        let names: Vec<String> = self.all(
            "SELECT DISTINCT sender FROM (SELECT sender FROM messages WHERE thread_id = ?1 ORDER BY id DESC LIMIT ?2)
             ORDER BY sender",
            params![review.thread_id, THREAD_WINDOW],
            |row| row.get(0),
        )?;
        Ok(json!(names))
    }

    /// How many of the messages before the one under review are by its sender and say what it says. Another
    /// holder of the sender's name is somebody else.
    fn repeated(&self, scope: &FactScope) -> Result<Value> {
        let Some(review) = &scope.review else { return Ok(json!(0)) };
        let count = self.number(
            "SELECT count(*) FROM messages this, (SELECT sender, sender_id, content FROM messages
                WHERE thread_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3) earlier
              WHERE this.id = ?2 AND earlier.sender = this.sender AND earlier.sender_id IS this.sender_id
                AND trim(earlier.content, ?4) = trim(this.content, ?4)",
            params![review.thread_id, review.message_id, REPEAT_WINDOW, BLANKS],
        )?;
        Ok(json!(count))
    }

    fn target_task(&self, scope: &FactScope) -> Result<Value> {
        let Some(task) = scope.task.map(|id| self.task(id)).transpose()?.flatten() else {
            return Ok(Value::Null);
        };
        let creator = self.name_of(&task.creator, task.creator_id)?;
        let assignee = self.name_of(&task.assignee, task.assignee_id)?;
        let reviewer = self.name_of(&task.reviewer, task.reviewer_id)?;
        Ok(json!({
                "id": task.id, "title": task.title, "status": task.status.as_str(),
                "priority": task.priority.as_str(), "creator": creator,
                "assignee": assignee, "reviewer": reviewer,
        }))
    }

    /// A name as policies compare it: the name of a member that has left is empty, even if another member holds it now.
    fn name_of(&self, name: &str, id: Option<i64>) -> Result<String> {
        let Some(id) = id else { return Ok(name.to_owned()) };
        let current =
            self.one("SELECT 1 FROM members WHERE id = ?1 AND current = 1", [id], |_| Ok(()))?.is_some();
        Ok(if current { name.to_owned() } else { format!("{name} (former)") })
    }

    fn target_context(&self, scope: &FactScope) -> Result<Value> {
        let entry = scope.context.as_ref().map(|key| self.context_entry(key, scope.now)).transpose()?;
        let Some(entry) = entry.flatten() else { return Ok(Value::Null) };
        let set_by = self.name_of(&entry.set_by, entry.set_by_id)?;
        Ok(
            json!({ "key": entry.key, "set_by": set_by, "version": entry.version, "updated_at": entry.updated_at }),
        )
    }

    fn target_member(&self, scope: &FactScope) -> Result<Value> {
        let member = scope.member.as_ref().map(|name| self.member(name)).transpose()?.flatten();
        Ok(member.map_or(Value::Null, |member| {
            json!({
                "name": member.name, "role": member.role, "capabilities": member.capabilities,
                "status": member.status(), "presence": member.presence(scope.now),
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Draft;
    use crate::domain::principal::Principal;
    use crate::storage::{Db, OpenOptions, Registration};

    fn join(db: &Db, name: &str, at: Millis) -> Principal {
        let wanted = Registration {
            name: name.into(),
            role: "agent".into(),
            capabilities: Vec::new(),
            proof: None,
            token: Some(*blake3::hash(format!("{name} of {at}").as_bytes()).as_bytes()),
        };
        db.write(move |tx| tx.register(&wanted, at)).unwrap().into_principal(true)
    }

    /// Sends a message; its number and its thread's.
    fn send(db: &Db, from: &Principal, to: &str, content: &str, reply_to: Option<i64>) -> (i64, i64) {
        let draft = Draft {
            content: content.to_owned().into(),
            reply_to,
            idempotency_key: None,
            origin: Origin::Agent,
            person: None,
        };
        let (from, to) = (from.clone(), to.to_owned());
        let sent = db.write(move |tx| tx.send_message(&from, &to, &draft, 1)).unwrap();
        (sent.id, sent.thread_id)
    }

    fn repeated(db: &Db, (message_id, thread_id): (i64, i64)) -> Value {
        let review = ReviewScope {
            agent_id: 1,
            agent: "alice".into(),
            sender: "not looked at".into(),
            message_id,
            thread_id,
            run_started: 0,
            max_replies: 13,
        };
        let scope = FactScope { review: Some(review), ..FactScope::default() };
        let request =
            FactRequest { name: "thread.repeated".into(), params: std::collections::BTreeMap::new() };
        db.read(|tx| tx.facts(std::slice::from_ref(&request), &scope)).unwrap().remove(0).value
    }

    #[test]
    fn a_repetition_is_the_same_text_by_the_same_sender_earlier_in_the_same_thread() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("t.db"), OpenOptions::default()).unwrap();
        let (alice, bob) = (join(&db, "alice", 1), join(&db, "bob", 1));
        let first = send(&db, &bob, "alice", "Any news?", None);
        assert_eq!(repeated(&db, first), 0);
        let thread = Some(first.0);
        let padded = send(&db, &bob, "alice", "\n Any news?\t\r\n", thread);
        assert_eq!(repeated(&db, padded), 1, "white space around it is no difference");
        assert_eq!(repeated(&db, first), 0, "what came later does not count");
        for (content, times) in [("any news?", 0), ("Any  news?", 0), ("Any news", 0), ("Any news?", 2)] {
            assert_eq!(repeated(&db, send(&db, &bob, "alice", content, thread)), times, "{content:?}");
        }
        let echo = send(&db, &alice, "bob", "Any news?", thread);
        assert_eq!(repeated(&db, echo), 0, "somebody else said it");
        let elsewhere = send(&db, &bob, "alice", "Any news?", None);
        assert_eq!(repeated(&db, elsewhere), 0, "another thread");
        assert_eq!(repeated(&db, (first.0 + 1_000, first.1)), 0, "no such message");
        let (member, latter) = (db.read(|tx| tx.member("bob")).unwrap().unwrap(), elsewhere.0);
        db.write(move |tx| tx.deregister(&member, 2)).unwrap();
        let bob = join(&db, "bob", 3);
        send(&db, &alice, "bob", "Hello again.", Some(latter));
        let heard = send(&db, &alice, "bob", "Any news?", thread);
        assert_eq!(repeated(&db, heard), 1);
        let answer = send(&db, &bob, "alice", "Any news?", Some(heard.0));
        assert_eq!(answer.1, first.1);
        assert_eq!(repeated(&db, answer), 0, "it was another bob who said it");
    }

    #[test]
    fn a_repetition_is_looked_for_among_the_last_hundred_messages() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("t.db"), OpenOptions::default()).unwrap();
        let (_, bob) = (join(&db, "alice", 1), join(&db, "bob", 1));
        let first = send(&db, &bob, "alice", "Any news?", None);
        for n in 1..REPEAT_WINDOW {
            send(&db, &bob, "alice", &n.to_string(), Some(first.0));
        }
        let again = send(&db, &bob, "alice", "Any news?", Some(first.0));
        assert_eq!(repeated(&db, again), 1, "it is the hundredth before");
        let later = send(&db, &bob, "alice", "Any news?", Some(first.0));
        assert_eq!(repeated(&db, later), 1, "the first is out of sight, the other is not");
    }
}
