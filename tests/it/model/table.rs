//! The table as the contract tells it, in plain collections: what every call answers, and what it changes. It must not
//! know of databases, processes, policies or clocks, so that it cannot go wrong where the server does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::name_parameter;

/// Stands for what is not foretold: times and fresh tokens.
pub(super) const ANYTHING: &str = "?";

/// Who is no member, and is answered by those to whom it wrote.
pub(super) const OPERATOR: &str = "operator";

/// A code of the contract.
type Code = &'static str;

/// What a call comes to.
#[derive(Debug)]
pub(super) struct Prediction {
    /// Whose call it is, once that is proven.
    pub(super) caller: Option<usize>,
    pub(super) outcome: Result<Done, Code>,
}

#[derive(Debug)]
pub(super) enum Done {
    /// Exactly this.
    Is(Value),
    /// As many of these, from the first on, as `limit` and the length of a result let through.
    List { name: &'static str, items: Vec<Value>, limit: usize, last_first: bool },
}

/// One holder of a name; who takes it later is another.
#[derive(Debug)]
pub(super) struct Holder {
    name: String,
    role: String,
    granted: bool,
    capabilities: Value,
    active: bool,
    /// Message and whether it was read.
    inbox: BTreeMap<i64, bool>,
    /// Not seen for longer than a task waits.
    pub(super) away: bool,
}

#[derive(Debug)]
struct Token {
    text: String,
    holder: usize,
    revoked: bool,
}

#[derive(Debug)]
struct Message {
    /// `None` for the operator.
    sender: Option<usize>,
    key: Option<String>,
    view: Value,
}

#[derive(Debug)]
struct Task {
    creator: usize,
    assignee: Option<usize>,
    reviewer: Option<usize>,
    /// Of its messages.
    thread: Option<i64>,
    key: Option<String>,
    /// All but whether it is stale.
    view: Value,
}

#[derive(Debug)]
struct Entry {
    view: Value,
    /// The holder of the name that the key begins with.
    owner: Option<usize>,
    expires: bool,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    holders: Vec<Holder>,
    /// The present or last holder of each name.
    names: BTreeMap<String, usize>,
    tokens: Vec<Token>,
    messages: Vec<Message>,
    tasks: Vec<Task>,
    context: BTreeMap<String, Entry>,
}

fn text<'a>(arguments: &'a Value, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or("")
}

fn number(arguments: &Value, name: &str) -> Option<i64> {
    arguments.get(name).and_then(Value::as_i64)
}

fn flag(arguments: &Value, name: &str) -> bool {
    arguments.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn limit(arguments: &Value) -> usize {
    usize::try_from(number(arguments, "limit").unwrap_or(50)).unwrap()
}

fn key(arguments: &Value) -> Option<String> {
    arguments.get("idempotency_key").and_then(Value::as_str).map(str::to_owned)
}

fn is_privileged(role: &str) -> bool {
    ["admin", "lead"].contains(&role)
}

const STATUSES: [&str; 6] = ["pending", "in_progress", "blocked", "awaiting_review", "done", "cancelled"];

/// The arrows of the contract.
fn leads_to(from: &str, to: &str) -> bool {
    match from {
        "pending" | "blocked" => ["in_progress", "cancelled"].contains(&to),
        "in_progress" => ["done", "blocked", "awaiting_review", "cancelled"].contains(&to),
        "awaiting_review" => ["done", "in_progress", "cancelled"].contains(&to),
        _ => false,
    }
}

fn within_limits(tool: &str, arguments: &Value) -> Result<(), Code> {
    let filled = |name| !text(arguments, name).trim().is_empty();
    let good = (1..=200).contains(&number(arguments, "limit").unwrap_or(50))
        && match tool {
            "send_message" | "broadcast" => filled("content"),
            "create_task" => filled("title"),
            "update_task" => STATUSES.contains(&text(arguments, "status")),
            "list_tasks" => !filled("status") || STATUSES.contains(&text(arguments, "status")),
            "share_context" => {
                filled("key") && number(arguments, "expected_version").is_none_or(|version| version >= 0)
            }
            _ => true,
        };
    if good { Ok(()) } else { Err("invalid_argument") }
}

/// Tools that only look.
pub(super) fn reads(tool: &str) -> bool {
    ["list_members", "list_tasks", "get_shared_context", "get_messages"].contains(&tool)
}

impl Table {
    /// Foretells a call, and makes its change. What `get_messages` returns is marked read by [`Self::mark_read`], and
    /// a fresh token is noted by [`Self::issue`], once it is known.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value, token: Option<&str>) -> Prediction {
        let name = text(arguments, name_parameter(tool));
        let proven = match (tool, token) {
            ("register", None) => Ok(None),
            (_, None) => Err("unauthenticated"),
            (_, Some(token)) => self.authenticate(token, name, tool == "register").map(Some),
        };
        let caller = match proven {
            Ok(caller) => caller,
            Err(code) => return Prediction { caller: None, outcome: Err(code) },
        };
        if let Some(caller) = caller.filter(|_| !reads(tool)) {
            self.holders[caller].away = false;
        }
        let outcome = within_limits(tool, arguments).and_then(|()| self.carry_out(tool, arguments, caller));
        Prediction { caller, outcome }
    }

    fn authenticate(&self, token: &str, name: &str, registers: bool) -> Result<usize, Code> {
        let token = self.tokens.iter().find(|one| one.text == token && !one.revoked);
        let at = token.ok_or("unauthenticated")?.holder;
        let holder = &self.holders[at];
        if !registers && !self.is_seated(at) {
            return Err("unauthenticated");
        }
        if name.is_empty() || name == holder.name { Ok(at) } else { Err("permission_denied") }
    }

    fn is_seated(&self, at: usize) -> bool {
        self.holders[at].active && self.names.get(&self.holders[at].name) == Some(&at)
    }

    /// The active member of that name.
    fn member(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied().filter(|at| self.holders[*at].active)
    }

    fn carry_out(&mut self, tool: &str, arguments: &Value, caller: Option<usize>) -> Result<Done, Code> {
        if tool == "register" {
            return self.register(arguments, caller);
        }
        let caller = caller.unwrap();
        match tool {
            "deregister" => {
                self.holders[caller].active = false;
                Ok(Done::Is(json!({ "status": "deregistered", "name": self.holders[caller].name })))
            }
            "heartbeat" => Ok(Done::Is(
                json!({ "status": "ok", "name": self.holders[caller].name, "last_heartbeat": ANYTHING }),
            )),
            "list_members" => Ok(self.list_members(arguments, caller)),
            "send_message" | "broadcast" => self.send(tool, arguments, caller),
            "get_messages" => Ok(self.get_messages(arguments, caller)),
            "create_task" => self.create_task(arguments, caller),
            "list_tasks" => Ok(self.list_tasks(arguments, caller)),
            "claim_task" => self.claim_task(arguments, caller),
            "update_task" => self.update_task(arguments, caller),
            "share_context" => self.share_context(arguments, caller),
            "get_shared_context" => self.get_shared_context(arguments),
            other => panic!("no tool {other}"),
        }
    }

    fn register(&mut self, arguments: &Value, proof: Option<usize>) -> Result<Done, Code> {
        let (name, role) = (text(arguments, "name"), arguments["role"].as_str().unwrap_or("agent"));
        let capabilities = arguments.get("capabilities").cloned().unwrap_or_else(|| json!([]));
        let holder = self.names.get(name).copied();
        let renewed = holder.filter(|_| holder == proof);
        // The one thing that the policies of the test refuse.
        if !["agent", "coder", "reviewer", "lead"].contains(&role) {
            return Err("permission_denied");
        }
        if is_privileged(role) && !renewed.is_some_and(|at| self.holders[at].granted) {
            return Err("permission_denied");
        }
        if self.member(name).is_some() && renewed.is_none() {
            return Err("already_exists");
        }
        let at = if let Some(at) = renewed {
            self.tokens.iter_mut().filter(|token| token.holder == at).for_each(|token| token.revoked = true);
            let holder = &mut self.holders[at];
            if !holder.granted {
                role.clone_into(&mut holder.role);
            }
            (holder.capabilities, holder.active, holder.away) = (capabilities, true, false);
            at
        } else {
            self.holders.push(Holder {
                name: name.to_owned(),
                role: role.to_owned(),
                granted: false,
                capabilities,
                active: true,
                inbox: BTreeMap::new(),
                away: false,
            });
            self.names.insert(name.to_owned(), self.holders.len() - 1);
            self.holders.len() - 1
        };
        let mut registered = self.member_view(at, false);
        registered.as_object_mut().unwrap().remove("presence");
        registered["token"] = json!(ANYTHING);
        Ok(Done::Is(registered))
    }

    /// Notes the token that the present holder of a name was given.
    pub(super) fn issue(&mut self, name: &str, token: &str) {
        let holder = self.names[name];
        self.tokens.push(Token { text: token.to_owned(), holder, revoked: false });
    }

    /// Tokens that holders of a name were given, the last first.
    pub(super) fn tokens_of(&self, name: &str) -> Vec<&str> {
        let given = self.tokens.iter().filter(|token| self.holders[token.holder].name == name);
        given.map(|token| token.text.as_str()).rev().collect()
    }

    fn member_view(&self, at: usize, itself: bool) -> Value {
        let holder = &self.holders[at];
        let presence = match (holder.active, holder.away) {
            // A call that only looks is noted after it.
            (true, true) if itself => ANYTHING,
            (true, false) => "online",
            _ => "away",
        };
        json!({
            "name": holder.name, "role": holder.role, "capabilities": holder.capabilities,
            "status": if holder.active { "active" } else { "inactive" },
            "registered_at": ANYTHING, "last_heartbeat": ANYTHING, "presence": presence,
        })
    }

    /// By name: the order is that of times, which are not foretold.
    fn list_members(&self, arguments: &Value, caller: usize) -> Done {
        let all = self.names.values().copied();
        let wanted = all.filter(|at| self.holders[*at].active || flag(arguments, "include_inactive"));
        let items = wanted.map(|at| self.member_view(at, at == caller)).collect();
        Done::List { name: "members", items, limit: usize::MAX, last_first: false }
    }

    fn send(&mut self, tool: &str, arguments: &Value, caller: usize) -> Result<Done, Code> {
        let key = key(arguments);
        let same = |one: &&Message| key.is_some() && one.key == key && one.sender == Some(caller);
        let to = if tool == "broadcast" { "*" } else { text(arguments, "recipient") };
        if let Some(sent) = self.messages.iter().find(same) {
            let answered = arguments.get("reply_to").cloned().unwrap_or_default();
            let repeats = sent.view["content"] == arguments["content"]
                && (&sent.view["recipient"], &sent.view["reply_to"]) == (&json!(to), &answered);
            return if repeats { Ok(Done::Is(sent_view(tool, &sent.view))) } else { Err("already_exists") };
        }
        let recipients: Vec<usize> = if tool == "broadcast" {
            (0..self.holders.len()).filter(|at| *at != caller && self.is_seated(*at)).collect()
        } else if to == OPERATOR {
            Vec::new()
        } else {
            vec![self.member(to).ok_or("not_found")?]
        };
        let id = i64::try_from(self.messages.len()).unwrap() + 1;
        let reply_to = number(arguments, "reply_to");
        let thread = match reply_to {
            None => id,
            Some(answered) => {
                let known = usize::try_from(answered - 1).ok().and_then(|at| self.messages.get(at));
                let message = known.ok_or("not_found")?;
                if message.sender != Some(caller) && !self.holders[caller].inbox.contains_key(&answered) {
                    return Err("not_found");
                }
                message.view["thread_id"].as_i64().unwrap()
            }
        };
        if to == OPERATOR && !self.operator_wrote(caller, thread) {
            return Err("not_found");
        }
        let view = json!({
            "id": id, "sender": self.holders[caller].name, "content": arguments["content"], "created_at": ANYTHING,
            "recipient": to,
            "thread_id": thread, "reply_to": reply_to,
        });
        for at in recipients {
            self.holders[at].inbox.insert(id, false);
        }
        let answer = sent_view(tool, &view);
        self.messages.push(Message { sender: Some(caller), key, view });
        Ok(Done::Is(answer))
    }

    /// Whether a message of the operator's in this thread lies in an agent's inbox.
    fn operator_wrote(&self, agent: usize, thread: i64) -> bool {
        self.messages.iter().any(|message| {
            message.sender.is_none()
                && message.view["thread_id"] == thread
                && self.holders[agent].inbox.contains_key(&message.view["id"].as_i64().unwrap())
        })
    }

    /// The operator writes to an agent; false when there is no such agent, or no message to answer.
    pub(super) fn write(&mut self, name: &str, reply_to: Option<i64>, content: &str) -> bool {
        let Some(to) = self.member(name) else { return false };
        let id = i64::try_from(self.messages.len()).unwrap() + 1;
        let answered = |reply_to: i64| self.messages.get(usize::try_from(reply_to - 1).ok()?);
        let thread = match reply_to.map(answered) {
            None => id,
            Some(None) => return false,
            Some(Some(message)) => message.view["thread_id"].as_i64().unwrap(),
        };
        let view = json!({
            "id": id, "sender": OPERATOR, "content": content, "created_at": ANYTHING, "recipient": name,
            "thread_id": thread, "reply_to": reply_to, "origin": "person",
        });
        self.holders[to].inbox.insert(id, false);
        self.messages.push(Message { sender: None, key: None, view });
        true
    }

    fn message(&self, id: i64) -> &Value {
        &self.messages[usize::try_from(id - 1).unwrap()].view
    }

    fn get_messages(&self, arguments: &Value, caller: usize) -> Done {
        let history = flag(arguments, "include_read");
        let (thread, before) = (number(arguments, "thread_id"), number(arguments, "before_id"));
        if let Some(thread) = thread {
            // A thread as a whole, the newest page of it.
            let items = self.messages.iter().rev().map(|message| &message.view).filter(|view| {
                view["thread_id"] == thread
                    && before.is_none_or(|before| view["id"].as_i64().unwrap() < before)
            });
            let items = items.filter_map(|view| {
                let id = view["id"].as_i64().unwrap();
                let read = self.holders[caller].inbox.get(&id).copied();
                let own = self.messages[usize::try_from(id - 1).unwrap()].sender == Some(caller);
                let mut view = view.clone();
                view["read"] = json!(read.unwrap_or(true));
                let is_read = || self.holders.iter().any(|holder| holder.inbox.get(&id) == Some(&true));
                if own && view["recipient"] != "*" && is_read() {
                    view["read_at"] = ANYTHING.into();
                }
                (own || read.is_some()).then_some(view)
            });
            return Done::List {
                name: "messages",
                items: items.collect(),
                limit: limit(arguments),
                last_first: true,
            };
        }
        let wanted = self.holders[caller]
            .inbox
            .iter()
            .filter(|(id, read)| (history || !**read) && before.is_none_or(|before| **id < before));
        let mut items: Vec<Value> = wanted
            .map(|(id, read)| {
                let mut view = self.message(*id).clone();
                view["read"] = json!(read);
                view
            })
            .collect();
        if history {
            items.reverse();
        }
        Done::List { name: "messages", items, limit: limit(arguments), last_first: history }
    }

    pub(super) fn mark_read(&mut self, reader: usize, ids: &[i64]) {
        for id in ids {
            // One's own words of a thread lie in no inbox of one's own.
            if let Some(read) = self.holders[reader].inbox.get_mut(id) {
                *read = true;
            }
        }
    }

    /// Number of unread messages, and the beginnings of the first two.
    pub(super) fn badge(&self, holder: usize) -> Option<Value> {
        let unread: Vec<i64> =
            self.holders[holder].inbox.iter().filter(|(_, read)| !**read).map(|(id, _)| *id).collect();
        let preview: Vec<String> = unread
            .iter()
            .take(2)
            .map(|id| {
                let message = self.message(*id);
                let beginning: String = text(message, "content").chars().take(100).collect();
                format!("{}: {beginning}", text(message, "sender"))
            })
            .collect();
        (!unread.is_empty())
            .then(|| json!({ "unread_messages": unread.len(), "preview": preview, "action": ANYTHING }))
    }

    // ------------------------------------------------------------ tasks

    fn task(&self, id: i64) -> Result<&Value, Code> {
        let task = usize::try_from(id - 1).ok().and_then(|at| self.tasks.get(at));
        task.map(|task| &task.view).ok_or("not_found")
    }

    fn is_stale(&self, task: &Value) -> bool {
        let here = |at: &usize| self.member(&self.holders[*at].name) == Some(*at);
        let assignee = self.the(task).assignee.filter(here);
        task["status"] == "in_progress" && assignee.is_some_and(|at| self.holders[at].away)
    }

    fn task_view(&self, id: i64, caller: usize) -> Value {
        let mut view = self.task(id).unwrap().clone();
        let own = view["assignee"] == self.holders[caller].name.as_str();
        let stale = self.is_stale(&view);
        // As with presence.
        view["stale"] = if stale && own { json!(ANYTHING) } else { json!(stale) };
        view
    }

    fn the(&self, task: &Value) -> &Task {
        &self.tasks[usize::try_from(task["id"].as_i64().unwrap() - 1).unwrap()]
    }

    /// Tells a member of a task, in the task's own thread.
    fn tell(&mut self, from: usize, to: Option<usize>, task: i64, what: &str, more: &[&str]) {
        let Some(to) = to.filter(|to| *to != from) else { return };
        let id = i64::try_from(self.messages.len()).unwrap() + 1;
        let task = &mut self.tasks[usize::try_from(task - 1).unwrap()];
        let thread = *task.thread.get_or_insert(id);
        let mut content = format!("Task {} {} {what}.", task.view["id"], task.view["title"]);
        for line in more.iter().filter(|line| !line.is_empty()) {
            content.extend(["\n", line]);
        }
        let view = json!({
            "id": id, "sender": self.holders[from].name, "content": content, "created_at": ANYTHING,
            "recipient": self.holders[to].name, "thread_id": thread, "reply_to": null, "origin": "task",
        });
        self.holders[to].inbox.insert(id, false);
        self.messages.push(Message { sender: Some(from), key: None, view });
    }

    fn waits(&self, task: &Value) -> bool {
        let depends_on = task["depends_on"].as_array().unwrap();
        depends_on.iter().any(|id| self.task(id.as_i64().unwrap()).unwrap()["status"] != "done")
    }

    fn is_ready(&self, task: &Value) -> bool {
        task["status"] == "pending" && !self.waits(task)
    }

    fn create_task(&mut self, arguments: &Value, caller: usize) -> Result<Done, Code> {
        let key = key(arguments);
        let same = |one: &Task| key.is_some() && one.key == key && one.creator == caller;
        let depends_on = arguments.get("depends_on").and_then(Value::as_array).into_iter().flatten();
        let depends_on: BTreeSet<i64> = depends_on.map(|id| id.as_i64().unwrap()).collect();
        if let Some(at) = self.tasks.iter().position(same) {
            let view = &self.tasks[at].view;
            let now = json!({
                "title": arguments["title"], "description": text(arguments, "description"),
                "priority": arguments["priority"].as_str().unwrap_or("medium"), "depends_on": depends_on,
                "parent_id": number(arguments, "parent_id"), "reviewer": text(arguments, "reviewer"),
            });
            if now.as_object().unwrap().iter().any(|(part, value)| view[part] != *value) {
                return Err("already_exists");
            }
            return Ok(Done::Is(self.task_view(i64::try_from(at).unwrap() + 1, caller)));
        }
        let parent = number(arguments, "parent_id");
        for id in &depends_on {
            if self.task(*id)?["status"] == "cancelled" {
                return Err("failed_precondition");
            }
        }
        let member = |name: &str| match text(arguments, name) {
            "" => Ok(None),
            given => self.member(given).map(Some).ok_or("not_found"),
        };
        let (assignee, reviewer) = (member("assignee")?, member("reviewer")?);
        if assignee.is_some() && assignee == reviewer {
            return Err("invalid_argument");
        }
        if let Some(parent) = parent {
            self.task(parent)?;
        }
        let id = i64::try_from(self.tasks.len()).unwrap() + 1;
        let view = json!({
            "id": id, "title": arguments["title"], "description": text(arguments, "description"),
            "status": "pending", "priority": arguments["priority"].as_str().unwrap_or("medium"),
            "creator": self.holders[caller].name, "assignee": text(arguments, "assignee"), "result": "",
            "created_at": ANYTHING, "updated_at": ANYTHING, "depends_on": depends_on, "parent_id": parent,
            "reviewer": text(arguments, "reviewer"),
        });
        let priority = text(&view, "priority").to_owned();
        self.tasks.push(Task { creator: caller, assignee, reviewer, thread: None, key, view });
        let next = format!("Next: start it with claim_task task_id={id}");
        self.tell(caller, assignee, id, &format!("is assigned to you (priority {priority})"), &[&next]);
        Ok(Done::Is(self.task_view(id, caller)))
    }

    fn list_tasks(&self, arguments: &Value, caller: usize) -> Done {
        let (status, assignee) = (text(arguments, "status"), text(arguments, "assignee"));
        let reviewer = text(arguments, "reviewer");
        let after = number(arguments, "after_id").unwrap_or(0);
        let wanted = self.tasks.iter().map(|task| &task.view).filter(|task| {
            (status.is_empty() || task["status"] == status)
                && (assignee.is_empty() || task["assignee"] == assignee)
                && (reviewer.is_empty() || task["reviewer"] == reviewer)
                && (!flag(arguments, "ready") || self.is_ready(task))
                && task["id"].as_i64().unwrap() > after
        });
        let items = wanted.map(|task| self.task_view(task["id"].as_i64().unwrap(), caller)).collect();
        Done::List { name: "tasks", items, limit: limit(arguments), last_first: false }
    }

    /// Mine before anybody's, then by priority, then by age.
    fn best_ready(&self, caller: usize) -> Option<i64> {
        let order = |task: &Value| {
            let rank = ["high", "medium", "low"].iter().position(|word| task["priority"] == *word);
            (task["assignee"] == "", rank, task["id"].as_i64())
        };
        let open = self.tasks.iter().map(|task| &task.view).filter(|task| self.is_ready(task));
        let open = open.filter(|task| {
            let task = self.the(task);
            task.assignee.is_none_or(|at| at == caller) && task.reviewer != Some(caller)
        });
        open.min_by_key(|task| order(task)).and_then(|task| task["id"].as_i64())
    }

    fn claim_task(&mut self, arguments: &Value, caller: usize) -> Result<Done, Code> {
        let name = self.holders[caller].name.clone();
        let id = number(arguments, "task_id").or_else(|| self.best_ready(caller)).ok_or("not_found")?;
        let task = self.task(id)?;
        if self.the(task).reviewer == Some(caller) {
            return Err("permission_denied");
        }
        if !self.is_stale(task) {
            if task["status"] != "pending" {
                return Err("failed_precondition");
            }
            self.check_assignee(task, caller)?;
            if self.waits(task) {
                return Err("failed_precondition");
            }
        }
        let task = &mut self.tasks[usize::try_from(id - 1).unwrap()];
        task.assignee = Some(caller);
        let task = &mut task.view;
        (task["status"], task["assignee"]) = (json!("in_progress"), json!(name));
        Ok(Done::Is(self.task_view(id, caller)))
    }

    /// A task with an assignee is that one's to start, a lead's or an admin's.
    fn check_assignee(&self, task: &Value, caller: usize) -> Result<(), Code> {
        let holder = &self.holders[caller];
        let free = self.the(task).assignee.is_none_or(|at| at == caller);
        if free || is_privileged(&holder.role) { Ok(()) } else { Err("permission_denied") }
    }

    fn update_task(&mut self, arguments: &Value, caller: usize) -> Result<Done, Code> {
        let (name, role) = (self.holders[caller].name.clone(), self.holders[caller].role.as_str());
        let (id, to) = (number(arguments, "task_id").unwrap(), text(arguments, "status"));
        let task = self.task(id)?;
        let Task { creator, assignee, reviewer, .. } = *self.the(task);
        let involved = creator == caller || [assignee, reviewer].contains(&Some(caller));
        if !involved && !is_privileged(role) {
            return Err("permission_denied");
        }
        let from = text(task, "status");
        if !leads_to(from, to) {
            return Err("failed_precondition");
        }
        let withdraws = to == "cancelled" && ["pending", "awaiting_review"].contains(&from);
        if withdraws && creator != caller && !is_privileged(role) {
            return Err("permission_denied");
        }
        if from == "pending" && to == "in_progress" {
            if reviewer == Some(caller) {
                return Err("permission_denied");
            }
            self.check_assignee(task, caller)?;
            if self.waits(task) {
                return Err("failed_precondition");
            }
        }
        if to == "done" && reviewer.is_some() {
            let may_approve = reviewer == Some(caller) || is_privileged(role);
            if assignee == Some(caller) || (from == "awaiting_review" && !may_approve) {
                return Err("permission_denied");
            }
        }
        let (from, said) = (from.to_owned(), text(arguments, "result"));
        let task = &mut self.tasks[usize::try_from(id - 1).unwrap()];
        if to == "in_progress" && assignee.is_none() {
            task.assignee = Some(caller);
            task.view["assignee"] = json!(name);
        }
        task.view["status"] = json!(to);
        let before = text(&task.view, "result").to_owned();
        if before.is_empty() && !said.is_empty() {
            task.view["result"] = json!(said);
        } else if !said.is_empty() && said != before {
            task.view["result"] = json!(format!("{before}\n\n{name}: {said}"));
        }
        self.tell_moved(caller, id, &from, to, said, [Some(creator), assignee, reviewer]);
        Ok(Done::Is(self.task_view(id, caller)))
    }

    /// Whom a move concerns, in the order of their seats.
    fn tell_moved(
        &mut self,
        caller: usize,
        id: i64,
        from: &str,
        to: &str,
        said: &str,
        [creator, assignee, reviewer]: [Option<usize>; 3],
    ) {
        let verdict = format!(
            "Next: update_task task_id={id} to done, or to in_progress with a result that says what is missing"
        );
        let (mut whom, what, next) = match (from, to) {
            (_, "awaiting_review") => (vec![reviewer.or(creator)], "awaits your review", verdict.as_str()),
            ("awaiting_review", "in_progress") => {
                (vec![assignee], "was sent back to you after review", "Next: go on with it")
            }
            (_, "done") => (vec![creator, assignee], "is done", ""),
            (_, "cancelled") => (vec![creator, assignee, reviewer], "was cancelled", ""),
            _ => return,
        };
        whom.sort_unstable();
        whom.dedup();
        for member in whom {
            self.tell(caller, member, id, what, &[said, next]);
        }
        let waiting = |task: &Task| {
            let depends_on = task.view["depends_on"].as_array().unwrap().contains(&json!(id));
            depends_on && task.view["status"] == "pending"
        };
        let dependents: Vec<i64> = self
            .tasks
            .iter()
            .filter(|task| waiting(task))
            .map(|task| task.view["id"].as_i64().unwrap())
            .collect();
        for other in dependents {
            let task = self.task(other).unwrap();
            let Task { creator, assignee, .. } = *self.the(task);
            if to == "cancelled" {
                let next = format!(
                    "Next: it can never start: update_task task_id={other} to cancelled, and post it anew if it is needed"
                );
                let what = format!("depends on task {id}, which was cancelled");
                self.tell(caller, Some(creator), other, &what, &[&next]);
            } else if to == "done" && !self.waits(task) {
                let next = format!("Next: claim_task task_id={other} starts it");
                let what = "waits for no other task any more";
                self.tell(caller, assignee.or(Some(creator)), other, what, &[&next]);
            }
        }
    }

    // ------------------------------------------------------------ shared context

    fn share_context(&mut self, arguments: &Value, caller: usize) -> Result<Done, Code> {
        let (key, holder) = (text(arguments, "key"), &self.holders[caller]);
        if let Some((owner, _)) = key.split_once('/')
            && self.names.contains_key(owner)
            && (owner != holder.name
                || self.context.get(key).and_then(|entry| entry.owner).is_some_and(|at| at != caller))
            && !is_privileged(&holder.role)
        {
            return Err("permission_denied");
        }
        let version = self.context.get(key).map_or(0, |entry| entry.view["version"].as_i64().unwrap());
        if number(arguments, "expected_version").is_some_and(|expected| expected != version) {
            return Err("failed_precondition");
        }
        let expires = arguments.get("ttl_seconds").is_some();
        let view = json!({
            "key": key, "value": arguments["value"], "set_by": holder.name, "updated_at": ANYTHING,
            "version": version + 1, "expires_at": expires.then_some(ANYTHING),
        });
        let owner = key.split_once('/').and_then(|(owner, _)| self.names.get(owner).copied());
        self.context.insert(key.to_owned(), Entry { view: view.clone(), owner, expires });
        Ok(Done::Is(view))
    }

    fn get_shared_context(&self, arguments: &Value) -> Result<Done, Code> {
        let (key, prefix) = (text(arguments, "key"), text(arguments, "prefix"));
        if !key.is_empty() {
            return self.context.get(key).map(|entry| Done::Is(entry.view.clone())).ok_or("not_found");
        }
        let wanted = self.context.iter().filter(|(key, _)| key.starts_with(prefix));
        let items = wanted.map(|(_, entry)| entry.view.clone()).collect();
        Ok(Done::List { name: "entries", items, limit: limit(arguments), last_first: false })
    }

    // ------------------------------------------------------------ what happens besides calls

    /// The operator grants a role; false when there is nobody of that name.
    pub(super) fn grant(&mut self, name: &str, role: &str) -> bool {
        let Some(at) = self.names.get(name) else { return false };
        role.clone_into(&mut self.holders[*at].role);
        self.holders[*at].granted = true;
        true
    }

    /// A member is not seen for twenty minutes.
    pub(super) fn leave_alone(&mut self, name: &str) {
        if let Some(at) = self.names.get(name) {
            self.holders[*at].away = true;
        }
    }

    /// How many there are, those of old among them.
    pub(super) fn holders(&self) -> usize {
        self.holders.len()
    }

    pub(super) fn is_away(&self, holder: usize) -> bool {
        self.holders[holder].away
    }

    pub(super) fn seen(&mut self, holder: usize) {
        self.holders[holder].away = false;
    }

    /// The time of an entry that has one is over.
    pub(super) fn expire(&mut self, key: &str) {
        self.context.retain(|one, entry| one != key || !entry.expires);
    }
}

/// What a sender is answered: nobody sits in a seat here, so a message is seen later.
fn sent_view(tool: &str, message: &Value) -> Value {
    let mut view = message.clone();
    if tool == "send_message" {
        view["seen"] = "later".into();
    }
    view
}
