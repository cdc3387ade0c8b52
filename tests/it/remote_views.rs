//! The views and decisions of a table on another machine, by a person's session. The two machines are two homes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use team_table::domain::clock::Clock;
use team_table::domain::decision::Hook;
use team_table::domain::person::{Actor, Person, Role};
use team_table::domain::task::{Priority, Status, TaskDraft};
use team_table::storage::{NewEscalation, Recipient};

use crate::browse_cli::{HOSTILE, draft, post, share, update};
use crate::cli::complaint;
use crate::harness::{Home, Network, numbers};
use crate::office::Office;
use crate::remote::feed;
use crate::terminal::Terminal;

/// The machine of the table, and another one on which persons look at it.
struct Machines {
    office: Office,
    server: Network,
    here: Home,
}

impl Machines {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(flags: &[&str]) -> Self {
        let office = Office::new();
        let server = Network::with(&office.home, &[&["--host", "127.0.0.1"], flags].concat());
        Self { server, office, here: Home::new() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// A link for a person.
    fn invite(&self, name: &str, role: &str, agents: &str) -> String {
        let mut arguments = vec!["person", "invite", name, "--role", role, "--json", "--server"];
        let url = self.url();
        arguments.push(&url);
        if !agents.is_empty() {
            arguments.extend(["--agents", agents]);
        }
        let invited: Value = serde_json::from_str(&self.office.home.succeed(&arguments)).unwrap();
        invited["link"].as_str().unwrap().to_owned()
    }

    /// Follows a link that comes by a pipe.
    fn sign_in(&self, link: &str) -> Output {
        feed(self.here.command().args(["person", "sign-in"]), link.as_bytes())
    }

    /// A person who has signed in on the other machine.
    #[track_caller]
    fn person(&self, name: &str, role: &str, agents: &str) {
        let done = self.sign_in(&self.invite(name, role, agents));
        assert!(done.status.success(), "{done:?}");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.here.command();
        command.args(arguments).args(["--url", &self.url()]).stdin(Stdio::null());
        command
    }

    /// Runs a command on the other machine.
    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn read(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeed(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn credentials(&self) -> std::path::PathBuf {
        self.here.path().join("credentials.toml")
    }

    fn sql(&self, sql: &str) {
        self.office.home.sql().execute(sql, []).unwrap();
    }

    /// A call of an agent that waits for so many persons; its number.
    fn hold(&self, agent: &str, arguments: &str, approvals: i64) -> i64 {
        hold(&self.office, agent, arguments, approvals)
    }

    fn status(&self, escalation: i64) -> String {
        self.office.db.read(|tx| tx.escalation(escalation)).unwrap().unwrap().status
    }
}

fn hold(office: &Office, agent: &str, arguments: &str, approvals: i64) -> i64 {
    let (agent, arguments, now) = (agent.to_owned(), arguments.to_owned(), Clock::System.now());
    let held = move |agent_id| NewEscalation {
        hook: Hook::Authorization,
        agent: agent.clone(),
        agent_id,
        asker: agent.clone(),
        action: "create_task".into(),
        subject: *blake3::hash(arguments.as_bytes()).as_bytes(),
        arguments: arguments.clone(),
        message_id: None,
        thread_id: None,
        policy: "tool-authorization".into(),
        module: "m".into(),
        code: "needs_approval".into(),
        message: "a person must approve that".into(),
        facts: "[{\"name\":\"f\"}]".into(),
        holds_inbox: false,
        approvals,
        decision_id: 1,
    };
    office
        .db
        .write(move |tx| {
            let agent_id = tx.member(&held(None).agent)?.map(|member| member.id);
            tx.escalate(&held(agent_id), now)
        })
        .unwrap()
}

/// Something of everything that a view shows.
fn fill(office: &Office) {
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let whole = post(office, &bob, draft("whole"));
    let base = post(office, &alice, TaskDraft { assignee: "alice".into(), ..draft("the base") });
    let task = TaskDraft {
        description: format!("first line\nsecond line {HOSTILE}"),
        assignee: "alice".into(),
        priority: Priority::High,
        depends_on: vec![base],
        parent_id: Some(whole),
        reviewer: "bob".into(),
        ..draft(HOSTILE)
    };
    let task = post(office, &bob, task);
    post(office, &bob, TaskDraft { depends_on: vec![task], ..draft("after") });
    for number in 0..3 {
        post(office, &bob, draft(&format!("more {number}")));
    }
    update(office, &alice, base, Status::InProgress, "");
    update(office, &alice, base, Status::Blocked, "no key");
    let first = office.send(&alice, "bob", "what is\nthe walnut plan?", None);
    office.mark_read(&bob, &first);
    let answer = office.send(&bob, "alice", "there is none", Some(first.id));
    office.broadcast(&bob, HOSTILE);
    let anna = Actor::Person(Person {
        id: 1,
        name: "anna".into(),
        role: Role::Operator,
        agents: Vec::new(),
        created_at: 0,
        removed_at: None,
    });
    let now = office.db.now(&Clock::System);
    let to = Recipient::Agent("alice".into());
    office.db.write(move |tx| tx.write_as(&anna, &to, Some(answer.id), "make one", now)).unwrap();
    share(office, &alice, "plan", "one\ntwo walnuts");
    share(office, &bob, "plan", HOSTILE);
    share(office, &alice, "alice/notes & more?", "x");
    let asked = office.send(&bob, "alice", "Should we rename it?", None);
    office.send(&bob, "alice", "Or not?", Some(asked.id));
    office.once("alice", &[]);
    hold(office, "alice", "{\"title\":\"a\"}", 2);
    hold(office, "bob", "{\"title\":\"b\"}", 1);
    office.home.succeed(&["escalation", "resolve", "2", "--approve", "--note", "for the record"]);
    office.home.succeed(&["escalation", "resolve", "3", "--deny"]);
    office.home.sql().execute("UPDATE escalations SET reminders = 3 WHERE id = 1", []).unwrap();
}

#[test]
fn every_view_and_every_refusal_is_the_same_here_and_over_the_network() {
    let machines = Machines::new();
    fill(&machines.office);
    machines.person("anna", "operator", "");
    let views: &[&[&str]] = &[
        &["board"],
        &["board", "--limit", "2"],
        &["task", "list"],
        &["task", "list", "--limit", "2"],
        &["task", "list", "--before", "3", "--limit", "1"],
        &["task", "list", "--status", "blocked"],
        &["task", "list", "--assignee", ""],
        &["task", "list", "--creator", "bob", "--priority", "high"],
        &["task", "list", "--ready"],
        &["task", "show", "1"],
        &["task", "show", "2"],
        &["task", "show", "3"],
        &["message", "list"],
        &["message", "list", "--agent", "alice", "--limit", "1"],
        &["message", "list", "--before", "2"],
        &["message", "thread", "2"],
        &["message", "thread", "2", "--limit", "1"],
        &["message", "thread", "2", "--before", "3"],
        &["context", "list"],
        &["context", "list", "--limit", "1"],
        &["context", "list", "--prefix", "alice/", "--after", "a"],
        &["context", "show", "plan"],
        &["context", "show", "alice/notes & more?"],
        &["search", "walnut"],
        &["search", "the", "--kind", "task", "--kind", "message", "--limit", "1"],
        &["search", "walnut", "--agent", "bob"],
        &["escalation", "list"],
        &["escalation", "list", "--all"],
        &["escalation", "list", "--all", "--agent", "bob"],
        &["escalation", "show", "1"],
        &["escalation", "show", "2"],
        &["escalation", "show", "3"],
    ];
    for view in views {
        let json: Value =
            serde_json::from_str(&machines.office.home.succeed(&[view, &["--json"][..]].concat())).unwrap();
        let is_empty = json.as_object().unwrap().values().all(|it| it.as_array().is_some_and(Vec::is_empty));
        assert!(!is_empty, "{view:?} compares nothing");
        assert_eq!(json, machines.read(view), "{view:?}");
        assert_eq!(machines.office.home.succeed(view), machines.succeed(view), "{view:?}");
    }
    for refused in [
        &["task", "show", "99"][..],
        &["task", "show", "-1"],
        &["message", "thread", "99"],
        &["message", "thread", "3"],
        &["context", "show", "no such"],
        &["search", "*"],
        &["search", "x", "--kind", "mail"],
        &["escalation", "show", "99"],
        &["escalation", "resolve", "99", "--approve"],
        &["escalation", "resolve", "1", "--approve"],
        &["escalation", "resolve", "1"],
        &["escalation", "resolve", "2", "--reply", "x"],
        &["escalation", "resolve", "3", "--deny"],
        &["escalation", "resolve"],
    ] {
        let (there, here) = (machines.office.home.run(refused), machines.run(refused));
        assert!(!there.status.success() && there == here, "{refused:?}: {there:?}\n{here:?}");
    }
    // Nothing of the table is on this machine.
    assert!(!machines.here.db().exists());
    let line = complaint(machines.run(&["task", "list", "--limit", "1001"]), 1);
    assert!(line.contains("at most 1000 rows are sent at once; ask for fewer with --limit"), "{line}");
    for local in [&["agent", "list"][..], &["person", "list"], &["policy", "list"]] {
        assert!(complaint(machines.run(local), 2).contains("works on the database of its own machine"));
    }
}

#[test]
fn a_link_signs_in_once_and_the_session_is_kept_owner_only() {
    let machines = Machines::new();
    let link = machines.invite("anna", "approver", "");
    // What cannot be kept is found before the link is used up.
    fs::write(machines.credentials(), "").unwrap();
    fs::set_permissions(machines.credentials(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(complaint(machines.sign_in(&link), 1).contains("others can read the tokens"));
    fs::remove_file(machines.credentials()).unwrap();

    let done = machines.sign_in(&format!("{link}\n"));
    let said = String::from_utf8(done.stdout).unwrap();
    let url = machines.url();
    assert!(said.starts_with(&format!("signed in at {url} as anna (approver); ")), "{said}");
    let secret = fs::read_to_string(machines.credentials()).unwrap();
    assert!(secret.starts_with("[[person]]\n") && secret.contains("token = \"tp_"), "{secret}");
    assert_eq!(fs::metadata(machines.credentials()).unwrap().permissions().mode() & 0o777, 0o600);
    let sessions: Value =
        serde_json::from_str(&machines.office.home.succeed(&["person", "sessions", "--json"])).unwrap();
    assert!(sessions["sessions"][0]["device"].as_str().unwrap().starts_with("team-table on "), "{sessions}");

    // Used, never made, an agent's token, too old: the same words.
    let expired = machines.invite("anna", "approver", "");
    machines.sql("UPDATE person_links SET expires_at = 1 WHERE used_at IS NULL");
    let never = format!("{url}/console/join/tp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for link in [&link, &expired, &never, &never.replace("tp_", "tt_")] {
        let said = complaint(machines.sign_in(link), 1);
        let words = "this link is not valid (any more); a link works once, within 15 minutes";
        assert!(said.starts_with(&format!("team-table: {words}")), "{said}");
    }
    for text in
        ["", "tp_x", &url, "ftp://h/console/join/x", "http://x@h/console/join/x", "http://h/console/join/"]
    {
        assert!(complaint(machines.sign_in(text), 2).contains("this is no link to sign in"), "{text}");
    }
    assert_eq!(fs::read_to_string(machines.credentials()).unwrap(), secret, "what was kept stays");

    // Another link of the same person: the session of before is over. This link stands on the command line.
    let again = machines.invite("anna", "operator", "");
    let done = machines.here.run(&["person", "sign-in", &again, "--json"]);
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done, json!({ "url": url, "person": "anna", "role": "operator" }));
    assert_eq!(machines.office.home.count("SELECT count(*) FROM person_sessions"), 1);
    machines.succeed(&["board"]);
}

#[test]
fn a_session_that_has_ended_is_refused_and_says_how_to_sign_in() {
    let machines = Machines::new();
    let url = machines.url();
    let line = complaint(machines.run(&["board"]), 2);
    assert!(line.contains(&format!("nobody is signed in at {url} from here")), "{line}");
    assert!(line.contains("team-table person sign-in"), "{line}");
    machines.person("anna", "operator", "");
    let line = complaint(machines.run(&["board", "--as", "ben"]), 2);
    assert!(line.contains(&format!("ben is not signed in at {url} from here")), "{line}");
    machines.succeed(&["board", "--as", "Anna"]);
    for (end, again) in [
        ("DELETE FROM person_sessions", "operator"),
        ("UPDATE person_sessions SET seen_at = 1", "viewer"),
        ("UPDATE persons SET removed_at = 1", ""),
    ] {
        machines.sql(end);
        for command in [&["board"][..], &["escalation", "list"], &["escalation", "resolve", "1", "--deny"]] {
            let line = complaint(machines.run(command), 1);
            assert!(line.contains("this session has ended, or never was; sign in again"), "{end}: {line}");
        }
        if !again.is_empty() {
            machines.person("anna", again, "");
            machines.succeed(&["board"]);
        }
    }
    machines.person("ben", "operator", "");
    machines.succeed(&["board", "--as", "ben"]);
    let out = |more: &[&str]| machines.here.run(&[&["person", "sign-out"], more].concat());
    let line = complaint(out(&[]), 2);
    assert!(line.contains(&format!("(anna at {url}, ben at {url}): add --as NAME and --url URL")), "{line}");
    let said = String::from_utf8(out(&["--as", "ben"]).stdout).unwrap();
    assert_eq!(said, format!("the session of ben at {url} has ended, and is forgotten here\n"));
    assert_eq!(machines.office.home.count("SELECT count(*) FROM person_sessions WHERE person_id > 1"), 0);
    let said = String::from_utf8(out(&["--url", &url]).stdout).unwrap();
    assert_eq!(said, format!("the session of anna at {url} had ended already, and is forgotten here\n"));
    assert!(!machines.credentials().exists(), "nothing is left to keep");
    for (arguments, words) in [
        (&["board", "--as", "anna"][..], "add --url"),
        (&["person", "list", "--as", "anna"], "add --url"),
        (&["person", "sign-out"], "nothing to sign out of"),
    ] {
        assert!(complaint(machines.here.run(arguments), 2).contains(words), "{arguments:?}");
    }
}

#[test]
fn a_person_decides_over_the_network_what_is_theirs_and_the_record_names_them() {
    let machines = Machines::new();
    for agent in ["alice", "bob"] {
        machines.office.join(agent);
    }
    let [first, of_bob, second] = [("alice", "{\"a\":1}"), ("bob", "{\"b\":1}"), ("alice", "{\"a\":2}")]
        .map(|(agent, arguments)| machines.hold(agent, arguments, 1));
    machines.person("vera", "viewer", "");
    machines.person("anna", "approver", "alice");
    let line = complaint(machines.run(&["escalation", "list"]), 2);
    let url = machines.url();
    assert!(line.contains(&format!("(vera at {url}, anna at {url}): add --as NAME")), "{line}");

    let decide = |number: i64, more: &[&str]| {
        machines.run(&[&["escalation", "resolve", &number.to_string()], more].concat())
    };
    let line = complaint(decide(first, &["--deny", "--as", "vera"]), 1);
    assert!(line.contains("alice does not answer to vera; an operator can give you the agent"), "{line}");
    let line = complaint(decide(of_bob, &["--approve", "--as", "anna"]), 1);
    assert!(line.contains("bob does not answer to anna"), "{line}");
    assert_eq!([first, of_bob, second].map(|number| machines.status(number)), ["open"; 3]);

    // A viewer sees all, an approver what they decide.
    let ids = |who: &str, more: &[&str]| {
        let arguments = [&["escalation", "list", "--as", who], more].concat();
        numbers(&machines.read(&arguments)["escalations"], "id")
    };
    assert_eq!(ids("vera", &[]), [second, of_bob, first]);
    assert_eq!(ids("anna", &[]), [second, first]);
    assert_eq!(ids("anna", &["--agent", "bob"]), [] as [i64; 0]);
    let shown = machines.run(&["escalation", "show", &of_bob.to_string(), "--as", "anna"]);
    assert!(complaint(shown, 1).contains(&format!("there is no escalation {of_bob}")));

    let said = decide(first, &["--deny", "--note", "not today", "--as", "anna"]);
    assert_eq!(
        String::from_utf8(said.stdout).unwrap(),
        format!("escalation {first}: denied, and alice is told\n")
    );
    let done = machines.read(&["escalation", "resolve", &second.to_string(), "--approve", "--as", "anna"]);
    assert_eq!(
        done,
        json!({ "escalation": second, "done": "alice may make this call once, within an hour" })
    );
    let row =
        machines.read(&["escalation", "show", &first.to_string(), "--as", "anna"])["escalation"].clone();
    assert_eq!(
        [&row["status"], &row["resolved_by"], &row["note"]],
        [&json!("denied"), &json!("anna"), &json!("not today")]
    );
    let by_anna = "SELECT count(*) FROM audit WHERE agent = 'person:anna' AND action = 'resolve_escalation'";
    assert_eq!(machines.office.home.count(by_anna), 2);

    // An agent taken away is not decided for from the next request on.
    let third = machines.hold("alice", "{\"a\":3}", 1);
    machines.office.home.succeed(&["person", "invite", "anna", "--role", "viewer"]);
    assert!(complaint(decide(third, &["--deny", "--as", "anna"]), 1).contains("does not answer to anna"));
}

#[test]
fn two_persons_approve_over_the_network_and_one_of_them_is_not_enough() {
    let machines = Machines::new();
    machines.office.join("alice");
    let held = machines.hold("alice", "{}", 2).to_string();
    machines.person("anna", "operator", "");
    machines.person("ben", "operator", "");
    let approve = |who: &str| machines.run(&["escalation", "resolve", &held, "--approve", "--as", who]);
    let said = String::from_utf8(approve("anna").stdout).unwrap();
    assert!(said.contains("approved by 1 of 2: another person must approve it too"), "{said}");
    assert!(complaint(approve("anna"), 1).contains("anna has approved escalation 1 already"));
    let row = machines.read(&["escalation", "show", &held, "--as", "ben"])["escalation"].clone();
    assert_eq!((&row["status"], &row["approved_by"]), (&json!("open"), &json!(["anna"])));
    assert!(machines.succeed(&["escalation", "list", "--as", "ben"]).contains("(1 of 2 approvals: anna)"));
    let said = String::from_utf8(approve("ben").stdout).unwrap();
    assert!(said.contains("alice may make this call once"), "{said}");
    assert_eq!(machines.status(1), "approved");
}

#[test]
fn at_a_terminal_all_that_is_open_is_gone_through() {
    let machines = Machines::new();
    let (_, bob) = (machines.office.join("alice"), machines.office.join("bob"));
    let asked = machines.office.send(&bob, "alice", "Should we rename it?", None);
    machines.office.once("alice", &[]);
    let held = machines.hold("alice", "{}", 1);
    machines.person("anna", "operator", "");
    let mut terminal = Terminal::start(&mut machines.command(&["escalation", "resolve"]));
    terminal.shows("[r]eply, [x] dismiss, [s]kip, [q]uit? ");
    terminal.types("r\n");
    terminal.shows("reply: ");
    terminal.types("Yes, rename it.\n");
    terminal.shows("escalation 1: answered to bob");
    terminal.shows("[a]pprove, [d]eny, [s]kip, [q]uit? ");
    terminal.types("d\n");
    terminal.shows("note (empty for none): ");
    terminal.types("\n");
    terminal.shows("denied, and alice is told");
    assert_eq!(terminal.ends(), Some(0));
    assert_eq!(machines.office.answers(&asked).last().unwrap(), "Yes, rename it.");
    assert_eq!(machines.status(held), "denied");
}

#[test]
fn watch_tells_what_comes_over_the_network_and_outlives_a_restart_of_the_server() {
    let machines = Machines::new();
    machines.office.join("alice");
    machines.hold("alice", "{\"n\":1}", 1);
    machines.person("anna", "operator", "");
    let mut watch =
        machines.command(&["escalation", "watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["arguments"], json!({ "n": 1 }));
    let Machines { office, server, here } = machines;
    let port = server.address.rsplit_once(':').unwrap().1.to_owned();
    drop(server);
    hold(&office, "alice", "{\"n\":2}", 1);
    let _again = Network::with(&office.home, &["--host", "127.0.0.1", "--port", &port]);
    assert_eq!(next()["arguments"], json!({ "n": 2 }), "each once");
    watch.kill().unwrap();
    watch.wait().unwrap();
    drop(here);
}

#[test]
fn a_server_below_a_path_is_entered_by_its_whole_address() {
    let machines = Machines::with(&["--path-prefix", "/team"]);
    let link = machines.invite("anna", "viewer", "").replace("/console/", "/team/console/");
    let done = machines.sign_in(&link);
    assert!(done.status.success(), "{done:?}");
    let url = format!("{}/team", machines.url());
    let board = machines.here.run(&["board", "--url", &url]);
    assert!(board.status.success(), "{board:?}");
}

#[test]
fn a_server_without_a_console_is_named() {
    let machines = Machines::with(&["--console", "off"]);
    let words = "it serves no console (--console off), or is of an older version";
    assert!(complaint(machines.sign_in(&machines.invite("anna", "viewer", "")), 1).contains(words));
    keep(&machines.here, &machines.url());
    assert!(complaint(machines.run(&["board"]), 1).contains(words));
}

/// Keeps a session for an address, as `person sign-in` does.
fn keep(home: &Home, url: &str) {
    let file = home.path().join("credentials.toml");
    // An agent's token for the same table is another one's.
    let text = format!(
        "[[table]]\nurl = \"{url}\"\nname = \"bob\"\ntoken = \"tt_x\"\n\n\
         [[person]]\nurl = \"{url}\"\nname = \"anna\"\ntoken = \"tp_x\"\n"
    );
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A server that gives one answer to every request; its address.
fn answering(head: &str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut request = BufReader::new(&stream);
            let mut line = String::new();
            let mut length = 0;
            while request.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(("content-length", value)) = line.trim().to_lowercase().split_once(": ") {
                    length = value.parse().unwrap();
                }
                line.clear();
            }
            let _ = request.read_exact(&mut vec![0; length]);
            // A client that has read enough is gone.
            let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
        }
    });
    url
}

#[test]
fn what_a_hostile_server_answers_is_text() {
    let home = Home::new();
    let refusal = json!({ "code": "not_found", "message": HOSTILE, "hint": format!("a\nteam-table: forged {HOSTILE}") });
    let long = json!({ "code": "not_found", "message": "x".repeat(100_000), "hint": "y" });
    let task = json!({
        "id": 1, "title": HOSTILE, "description": HOSTILE, "status": "pending", "priority": "high",
        "creator": HOSTILE, "assignee": HOSTILE, "result": HOSTILE, "created_at": HOSTILE,
        "updated_at": HOSTILE, "depends_on": [], "parent_id": null, "reviewer": HOSTILE, "stale": false,
        "waits_for": [],
    });
    let shown = json!({
        "task": task, "assignee_seen": HOSTILE, "depends_on": [], "needed_by": [], "parts": [],
        "part_of": { "id": 2, "title": HOSTILE, "status": "done" }, "thread_id": 1,
        "changes": [{ "id": 1, "at": format!("{HOSTILE}\nforged"), "agent": HOSTILE, "action": format!("{HOSTILE}\nforged"),
                      "target_type": "", "target_id": "", "details": HOSTILE, "decision_id": null }],
    });
    let json = |value: Value| value.to_string().into_bytes();
    for (head, body, status, words) in [
        ("404 Not Found", json(refusal), 1, "\\u{1b}[2J"),
        ("404 Not Found", json(long), 1, "xxxx…; y"),
        ("200 OK", b"\x1b[2J<html>".to_vec(), 1, "answered something else than was asked for"),
        ("200 OK", json(json!({ "task": HOSTILE })), 1, "answered something else than was asked for"),
        ("302 Found", HOSTILE.as_bytes().to_vec(), 1, "answered 302 Found: \\u{1b}[2J"),
        ("500 Oops", vec![0xff; 3_000], 1, "answered 500"),
        ("200 OK", vec![b'['; 17 << 20], 1, "length limit exceeded"),
        ("200 OK", json(shown), 0, "task      1 \\u{1b}[2J"),
    ] {
        let url = answering(head, body);
        keep(&home, &url);
        let output = home.run(&["task", "show", "1", "--url", &url]);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(
            !said.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}' || c == '\u{2028}'),
            "{said:?}"
        );
        assert!(
            said.lines().all(|line| !line.starts_with("forged") && !line.starts_with("team-table: forged")),
            "{said}"
        );
        assert!(said.len() < 6_000, "{}", said.len());
    }
    // A name that is none, and a session that it would be kept under.
    let signed = json!({ "person": "a\nb", "role": HOSTILE, "session": "tp_x" });
    let link = format!("{}/console/join/tp_x", answering("200 OK", json(signed)));
    fs::remove_file(home.path().join("credentials.toml")).unwrap();
    let said = complaint(home.run(&["person", "sign-in", &link]), 1);
    assert!(said.contains("name"), "{said}");
    assert!(!home.path().join("credentials.toml").exists());
}
