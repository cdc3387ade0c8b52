//! The console over HTTP: sessions, who may do what, foreign pages, live parts, hostile words. What a browser makes of it is
//! driven in `.ci/console`.

use std::sync::Arc;
use std::time::Duration;

use team_table::auth::Secret;
use team_table::console::{self, ConsoleOptions, PolicyFiles};
use team_table::domain::clock::Clock;
use team_table::domain::decision::Hook;
use team_table::domain::person::{Actor, Role};
use team_table::mcp::HttpOptions;
use team_table::storage::{Answer, AuditFilter, Invitation, NewEscalation};
use team_table::tools::Table;
use tokio_util::sync::CancellationToken;

use crate::mcp_support::{Client, PATIENCE, Response, Server, table};

/// A server with the console, and the table behind it.
struct Desk {
    server: Server,
    table: Table,
    origin: String,
}

impl Desk {
    async fn start() -> Self {
        Self::with(CancellationToken::new()).await
    }

    async fn with(closing: CancellationToken) -> Self {
        let table = table().await;
        let beside = |name: &str| table.db().path().with_file_name(name);
        let policies = PolicyFiles { dir: beside("policies"), state: beside("policy-state") };
        let options = ConsoleOptions {
            base: "/console".into(),
            secure: false,
            clock: Clock::System,
            policies,
            closing,
        };
        let console = Some(console::router(&table, options));
        let allowed_hosts = vec!["table.example.com".to_owned()];
        let options = HttpOptions { console, allowed_hosts, ..HttpOptions::default() };
        let server = Server::on(table.clone(), "127.0.0.1:0".parse().unwrap(), options).await;
        let origin = format!("http://{}", server.address);
        Self { server, table, origin }
    }

    /// A link for a person; its code.
    fn invite(&self, name: &str, role: Role, agents: &[&str]) -> String {
        let code = Secret::mint().unwrap();
        let wanted = Invitation {
            name: name.into(),
            role: Some(role),
            agents: (!agents.is_empty()).then(|| agents.iter().map(|&name| name.to_owned()).collect()),
            link: code.hash(),
        };
        let now = self.table.db().now(&Clock::System);
        self.table.db().write(move |tx| tx.invite(&Actor::Operator, &wanted, now)).unwrap();
        code.reveal()
    }

    /// Waits for the first policy set: on a runtime with several threads.
    fn policies_are_loaded(&self) {
        tokio::task::block_in_place(|| drop(self.table.policies().current()));
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.server.send(&format!("POST {path}"), &all, body).await
    }

    /// Follows a link; the cookie.
    async fn join(&self, code: &str) -> String {
        let joined = self.post("/console/join", &[("origin", &self.origin)], &format!("code={code}")).await;
        assert_eq!(joined.status, 303, "{}", joined.body);
        let cookie = joined.header("set-cookie").unwrap();
        for word in ["HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=2592000"] {
            assert!(cookie.contains(word), "{word}: {cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }

    /// A person who has signed in.
    async fn person(&self, name: &str, role: Role, agents: &[&str]) -> String {
        let code = self.invite(name, role, agents);
        self.join(&code).await
    }

    async fn get(&self, path: &str, cookie: &str) -> Response {
        self.server.send(&format!("GET {path}"), &[("cookie", cookie)], "").await
    }

    async fn send_form(&self, path: &str, cookie: &str, body: &str) -> Response {
        self.post(path, &[("cookie", cookie), ("origin", &self.origin)], body).await
    }

    /// A call of an agent that waits for a person; its number.
    fn hold(&self, agent: &str, arguments: &str) -> i64 {
        let (agent, arguments) = (agent.to_owned(), arguments.to_owned());
        self.table
            .db()
            .write(move |tx| {
                let agent_id = tx.member(&agent)?.map(|member| member.id);
                let held = NewEscalation {
                    hook: Hook::Authorization,
                    agent: agent.clone(),
                    agent_id,
                    asker: agent,
                    action: "create_task".into(),
                    subject: *blake3::hash(arguments.as_bytes()).as_bytes(),
                    arguments,
                    message_id: None,
                    thread_id: None,
                    policy: "tool-authorization".into(),
                    module: "m".into(),
                    code: "needs_approval".into(),
                    message: "a person must approve that".into(),
                    facts: "[]".into(),
                    holds_inbox: false,
                    approvals: 1,
                    decision_id: 1,
                };
                tx.escalate(&held, 1_000)
            })
            .unwrap()
    }

    fn status(&self, escalation: i64) -> String {
        self.table.db().read(|tx| tx.escalation(escalation)).unwrap().unwrap().status
    }
}

#[tokio::test]
async fn a_link_works_once_and_looking_at_it_uses_nothing_up() {
    let desk = Desk::start().await;
    let code = desk.invite("anna", Role::Operator, &[]);
    for _ in 0..2 {
        let shown = desk.get(&format!("/console/join/{code}"), "").await;
        assert!(shown.status == 200 && shown.body.contains("Sign in as"), "{}", shown.body);
    }
    let cookie = desk.join(&code).await;
    assert!(desk.get("/console/", &cookie).await.body.contains("Nothing waits for you"));
    // Used, never made, an agent's token: the same page.
    let mut pages = Vec::new();
    for code in [code.as_str(), "tp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x", "tt_x"] {
        let shown = desk.get(&format!("/console/join/{code}"), "").await;
        let joined = desk.post("/console/join", &[("origin", &desk.origin)], &format!("code={code}")).await;
        assert_eq!((shown.status, joined.status), (404, 404));
        assert!(joined.header("set-cookie").is_none());
        pages.extend([shown.body, joined.body]);
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "what is not valid says why");
    desk.server.stop().await;
}

#[tokio::test]
async fn a_secret_that_somebody_planted_is_replaced() {
    let desk = Desk::start().await;
    let first = desk.person("anna", Role::Operator, &[]).await;
    let name = first.split('=').next().unwrap().to_owned();
    let planted = format!("{name}=tp_planted");
    assert_eq!(desk.get("/console/", &planted).await.status, 401);
    let code = desk.invite("ben", Role::Operator, &[]);
    let joined = desk
        .post("/console/join", &[("origin", &desk.origin), ("cookie", &first)], &format!("code={code}"))
        .await;
    let second = joined.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(second != first && second != planted);
    // The session that this browser had before is over.
    assert_eq!(desk.get("/console/", &first).await.status, 401);
    assert!(desk.get("/console/", &second).await.body.contains("ben"));
    desk.server.stop().await;
}

#[tokio::test]
async fn without_a_session_nothing_is_shown_and_nothing_happens() {
    let desk = Desk::start().await;
    let token = desk.server.register("alice").await;
    let held = desk.hold("alice", "{}");
    for path in [
        "/console/",
        "/console/members",
        "/console/board",
        "/console/tasks/1",
        "/console/live?view=/",
        "/console/nothing",
    ] {
        let page = desk.get(path, "").await;
        assert!(page.status == 401 && !page.body.contains("alice"), "{path}: {}", page.body);
        // An agent's token is no session.
        let bearer = format!("Bearer {token}");
        let page = desk.server.send(&format!("GET {path}"), &[("authorization", &bearer)], "").await;
        assert_eq!(page.status, 401, "{path}");
    }
    let sent = desk.send_form(&format!("/console/needs/{held}"), "", "do=approve").await;
    assert_eq!((sent.status, desk.status(held).as_str()), (401, "open"));
    desk.server.stop().await;
}

#[tokio::test]
async fn forms_of_other_pages_are_refused() {
    let desk = Desk::start().await;
    desk.server.register("alice").await;
    let cookie = desk.person("anna", Role::Operator, &[]).await;
    let held = desk.hold("alice", "{}");
    let path = format!("/console/needs/{held}");
    let elsewhere = "http://127.0.0.1:1";
    let foreign: [&[(&str, &str)]; 5] = [
        &[("cookie", &cookie)],
        &[("cookie", &cookie), ("origin", elsewhere)],
        &[("cookie", &cookie), ("origin", "null")],
        &[("cookie", &cookie), ("origin", "https://evil.example")],
        &[("cookie", &cookie), ("origin", &desk.origin), ("sec-fetch-site", "same-site")],
    ];
    for headers in foreign {
        let sent = desk.post(&path, headers, "do=approve").await;
        assert_eq!((sent.status, desk.status(held).as_str()), (403, "open"), "{headers:?}");
        // A page that reads with the person's cookie gets nothing, either.
        assert!(sent.header("access-control-allow-credentials").is_none());
    }
    assert_eq!(desk.send_form(&path, &cookie, "do=approve").await.status, 303);
    assert_eq!(desk.status(held), "approved");
    desk.server.stop().await;
}

#[tokio::test]
async fn forms_pass_under_the_name_by_which_the_server_is_reached_and_no_other() {
    let desk = Desk::start().await;
    let at_name = async |request: &str, origin: &str, body: &str| {
        let stream = tokio::net::TcpStream::connect(desk.server.address).await.unwrap();
        let mut client = Client::over(stream, "table.example.com".into());
        client.send(request, &[("origin", origin)], body).await;
        client.response().await
    };
    let own = "https://table.example.com";
    let code = format!("code={}", desk.invite("anna", Role::Operator, &[]));
    for origin in ["https://other.example", "https://table.example.com:8443", "null"] {
        assert_eq!(at_name("POST /console/join", origin, &code).await.status, 403, "{origin}");
    }
    // The name opens the console to its own pages, not the tools to them.
    let tools = at_name("POST /mcp", own, "{}").await;
    assert_eq!(tools.status, 403, "{}", tools.body);
    let joined = at_name("POST /console/join", own, &code).await;
    assert_eq!(joined.status, 303, "{}", joined.body);
    let cookie = joined.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-") && cookie.contains("; Secure") && cookie.contains("Path=/;"),
        "{cookie}"
    );
    assert!(joined.header("access-control-allow-origin").is_none());
    // A plain cookie that another page of this host planted does not come before it.
    let host_only = cookie.split(';').next().unwrap();
    let planted = format!(
        "{}=tp_planted; {host_only}",
        host_only.strip_prefix("__Host-").unwrap().split('=').next().unwrap()
    );
    assert_eq!(desk.get("/console/", &planted).await.status, 200);
    desk.server.stop().await;
}

#[tokio::test]
async fn every_response_forbids_frames_inline_code_and_keeping() {
    let desk = Desk::start().await;
    let cookie = desk.person("anna", Role::Viewer, &[]).await;
    for path in
        ["/console/", "/console/nothing", "/console/join/x", "/console/health", "/console/live?view=/none"]
    {
        let page = desk.get(path, &cookie).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(!page.body.contains(" style=") && !page.body.contains(" onclick"), "{path}");
    }
    desk.server.stop().await;
}

#[tokio::test]
async fn a_role_ends_where_it_ends_and_the_record_names_the_person() {
    let desk = Desk::start().await;
    for agent in ["alice", "bob"] {
        desk.server.register(agent).await;
    }
    let (of_alice, of_bob) = (desk.hold("alice", "{\"a\":1}"), desk.hold("bob", "{\"b\":1}"));
    let viewer = desk.person("vera", Role::Viewer, &[]).await;
    let approver = desk.person("anna", Role::Approver, &["alice"]).await;
    let decide = async |cookie: &str, item: i64| {
        desk.send_form(&format!("/console/needs/{item}"), cookie, "do=deny&text=not+today").await.status
    };
    assert_eq!(decide(&viewer, of_alice).await, 409);
    assert_eq!(desk.status(of_alice), "open");
    let page = desk.get(&format!("/console/needs/{of_alice}"), &viewer).await;
    assert!(page.status == 200 && !page.body.contains("value=\"deny\""), "{}", page.body);
    // An approver sees and decides what is theirs.
    assert_eq!(desk.get(&format!("/console/needs/{of_bob}"), &approver).await.status, 404);
    decide(&approver, of_bob).await;
    assert_eq!(desk.status(of_bob), "open");
    assert_eq!(decide(&approver, of_alice).await, 303);
    assert_eq!(desk.status(of_alice), "denied");
    for form in ["/console/health/verify", "/console/people/sessions/1/revoke"] {
        let sent = desk.send_form(form, &approver, "").await;
        assert!(sent.status == 403 || sent.status == 404, "{form}: {}", sent.status);
    }
    let rows = desk
        .table
        .db()
        .read(|tx| {
            let filter =
                AuditFilter { agent: Some("person:anna".into()), limit: 20, ..AuditFilter::default() };
            tx.audit_rows(&filter)
        })
        .unwrap();
    assert!(rows.iter().any(|row| row.action == "resolve_escalation"), "{rows:?}");
    let note = desk.table.db().read(|tx| tx.message(1)).unwrap().unwrap();
    assert!(note.content.contains("not today"), "{}", note.content);
    assert_eq!((note.sender.as_str(), note.person.as_deref()), ("operator", Some("anna")));
    desk.server.stop().await;
}

#[tokio::test]
async fn of_two_persons_one_wins_and_the_other_keeps_what_was_typed() {
    let desk = Desk::start().await;
    desk.server.register("alice").await;
    let (anna, ben) =
        (desk.person("anna", Role::Operator, &[]).await, desk.person("ben", Role::Operator, &[]).await);
    let held = desk.hold("alice", "{}");
    let path = format!("/console/needs/{held}");
    let (first, second) = tokio::join!(
        desk.send_form(&path, &anna, "do=approve&text=fine"),
        desk.send_form(&path, &ben, "do=deny&text=my+long+reason")
    );
    let (winner, loser) = if first.status == 303 { ("approved by", &second) } else { ("denied by", &first) };
    assert_eq!(loser.status, 409, "{}", loser.body);
    let typed = if first.status == 303 { "my long reason" } else { "fine" };
    assert!(loser.body.contains(typed), "what was typed is lost: {}", loser.body);
    assert!(loser.body.contains("already by"), "{winner}: {}", loser.body);
    assert_ne!(desk.status(held), "open");
    desk.server.stop().await;
}

/// Reads events until one has this name.
async fn event(stream: &mut Client, name: &str) -> String {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), stream.event())
            .await
            .expect("no event came")
            .unwrap();
        if event.event == name {
            return event.data;
        }
    }
}

async fn open_stream(desk: &Desk, cookie: &str, query: &str) -> Client {
    let mut stream = desk.server.connect().await;
    stream.send(&format!("GET /console/live?{query}"), &[("cookie", cookie)], "").await;
    assert_eq!(stream.head().await.status, 200);
    stream
}

#[tokio::test]
async fn an_open_page_gets_what_changes_and_nothing_after_its_session_ends() {
    let desk = Desk::start().await;
    desk.server.register("alice").await;
    let cookie = desk.person("anna", Role::Operator, &[]).await;
    let mut stream = open_stream(&desk, &cookie, "view=/").await;
    assert!(event(&mut stream, "list").await.contains("Nothing waits"));
    let held = desk.hold("alice", "{\"title\":\"new one\"}");
    assert!(event(&mut stream, "list").await.contains(&format!("/needs/{held}")));
    assert!(event(&mut stream, "count").await.contains('1'));
    // What another process or person decides disappears by itself.
    let now = desk.table.db().now(&Clock::System);
    desk.table
        .db()
        .write(move |tx| tx.resolve_escalation(&Actor::Operator, held, &Answer::Deny, None, now))
        .unwrap();
    assert!(event(&mut stream, "list").await.contains("Nothing waits"));
    desk.table.db().write(move |tx| tx.remove_person(&Actor::Operator, "anna", now)).unwrap();
    desk.hold("alice", "{\"title\":\"a secret\"}");
    event(&mut stream, "ended").await;
    assert!(stream.event().await.is_none(), "the stream goes on");
    assert_eq!(desk.get("/console/", &cookie).await.status, 401);
    desk.server.stop().await;
}

#[tokio::test]
async fn a_page_that_was_cut_off_gets_only_what_it_has_not() {
    let desk = Desk::start().await;
    desk.server.register("alice").await;
    let cookie = desk.person("anna", Role::Operator, &[]).await;
    let mut stream = open_stream(&desk, &cookie, "view=/").await;
    event(&mut stream, "list").await;
    let have = loop {
        let event = stream.event().await.unwrap();
        if event.event == "count" {
            break event.id.unwrap();
        }
    };
    drop(stream);
    desk.hold("alice", "{}");
    let mut stream = open_stream(&desk, &cookie, &format!("view=/&have={have}")).await;
    assert!(event(&mut stream, "list").await.contains("/needs/1"));
    desk.server.stop().await;
}

#[tokio::test]
async fn a_session_has_a_bounded_number_of_open_pages() {
    let desk = Desk::start().await;
    let (anna, ben) =
        (desk.person("anna", Role::Operator, &[]).await, desk.person("ben", Role::Operator, &[]).await);
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(open_stream(&desk, &anna, "view=/").await);
    }
    let refused = desk.get("/console/live?view=/", &anna).await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("close some of them"), "{}", refused.body);
    open.push(open_stream(&desk, &ben, "view=/").await);
    // One that is closed makes room.
    drop(open.remove(0));
    let room = async {
        loop {
            let mut stream = desk.server.connect().await;
            stream.send("GET /console/live?view=/", &[("cookie", &anna)], "").await;
            if stream.head().await.status == 200 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, room).await.expect("a closed page keeps its place");
    drop(open);
    desk.server.stop().await;
}

/// What was decided for others hides nothing of what was decided for an approver's agents.
#[tokio::test]
async fn an_approver_sees_what_was_decided_for_their_agents_however_much_came_after() {
    let desk = Desk::start().await;
    for name in ["alice", "bob"] {
        desk.server.register(name).await;
    }
    let ben = desk.person("ben", Role::Approver, &["alice"]).await;
    let held = desk.hold("alice", "{}");
    let db = desk.table.db();
    let now = db.now(&Clock::System);
    db.write(move |tx| tx.resolve_escalation(&Actor::Operator, held, &Answer::Deny, None, now)).unwrap();
    let sql = rusqlite::Connection::open(desk.table.db().path()).unwrap();
    let names = "hook, action, arguments, status, created_at, resolved_at, policy, module, code, message, facts, subject, asker";
    sql.execute_batch(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO escalations (agent, agent_id, {names})
         SELECT 'bob', (SELECT id FROM members WHERE name = 'bob'), {names} FROM escalations, n WHERE id = {held}"
    ))
    .unwrap();
    let page = desk.get("/console/?show=decided", &ben).await;
    assert!(page.body.contains(&format!("/needs/{held}?show=decided")), "{}", page.body);
    desk.server.stop().await;
}

#[tokio::test]
async fn open_pages_do_not_hold_up_the_end_of_the_server() {
    let closing = CancellationToken::new();
    let desk = Desk::with(closing.clone()).await;
    let cookie = desk.person("anna", Role::Operator, &[]).await;
    let mut stream = open_stream(&desk, &cookie, "view=/health").await;
    event(&mut stream, "numbers").await;
    closing.cancel();
    while stream.event().await.is_some() {}
    desk.server.stop().await;
}

#[tokio::test]
async fn what_agents_write_is_text() {
    let desk = Arc::new(Desk::start().await);
    let token = desk.server.register("alice").await;
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}evil\u{0}\u{1b}[31m javascript:alert(3) </pre></textarea>";
    let hostile_json = serde_json::json!(hostile).to_string();
    let created = desk
        .server
        .call("create_task", serde_json::json!({ "creator": "alice", "title": hostile, "description": "x".repeat(5_000), "token": token }))
        .await;
    assert!(created.get("error").is_none(), "{created}");
    for (tool, arguments) in [
        ("broadcast", serde_json::json!({ "sender": "alice", "content": hostile, "token": token })),
        (
            "share_context",
            serde_json::json!({ "agent_name": "alice", "key": "alice/k", "value": hostile, "token": token }),
        ),
    ] {
        desk.server.call(tool, arguments).await;
    }
    desk.hold("alice", &format!("{{\"title\":{hostile_json}}}"));
    let cookie = desk.person("anna", Role::Operator, &[]).await;
    for path in [
        "/console/",
        "/console/needs/1",
        "/console/board",
        "/console/tasks/1",
        "/console/threads",
        "/console/threads/1",
        "/console/context",
        "/console/context?key=alice/k",
        "/console/search?q=evil",
        "/console/members",
        "/console/search?q=%3Cscript%3E",
        "/console/board?assignee=%22%3E%3Cscript%3E",
    ] {
        let page = desk.get(path, &cookie).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(!page.body.contains("<script>") && !page.body.contains("<img"), "{path}: {}", page.body);
        for hidden in ['\u{202e}', '\u{0}', '\u{1b}'] {
            assert!(!page.body.contains(hidden), "{path} has {hidden:?}");
        }
    }
    let task = desk.get("/console/tasks/1", &cookie).await;
    assert!(task.body.contains("U+202E") && task.body.contains("Show all 5000 characters"));
    Arc::into_inner(desk).unwrap().server.stop().await;
}

// ---------------------------------------------------------------- policies

/// What the form of `rate-limit` sends with these settings.
fn rate_limit(max_messages: &str) -> String {
    format!(
        "setting.max_messages={max_messages}&setting.max_changes=120&setting.window_seconds=60\
         &setting.limit_messages=on&setting.limit_changes=on"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_a_form_that_is_tried_over_what_was_recorded_and_installed() {
    let desk = Desk::start().await;
    desk.policies_are_loaded();
    let anna = desk.person("anna", Role::Operator, &[]).await;
    let set_file = desk.table.db().path().with_file_name("policies").join("policy-set.toml");
    let page = desk.get("/console/policies/rate-limit", &anna).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for part in [
        "name=\"setting.max_messages\" value=\"30\" min=\"1\"",
        "Length of the sliding window in seconds.",
        "It takes a whole number from 1 to 86400. Default: 60.",
        "name=\"setting.limit_messages\" checked",
    ] {
        assert!(page.body.contains(part), "{part} is not in {}", page.body);
    }

    // What is wrong stands beside its field, with what was typed; nothing is changed.
    let wrong = rate_limit("ten%3Cb%3E");
    for action in ["try", "install"] {
        let refused = desk.send_form(&format!("/console/policies/rate-limit/{action}"), &anna, &wrong).await;
        assert_eq!(refused.status, 409, "{}", refused.body);
        for part in [
            "1 field is not right",
            "&quot;ten&lt;b&gt;&quot; is not a whole number, at least 1",
            "value=\"ten&lt;b&gt;\"",
        ] {
            assert!(refused.body.contains(part), "{part} is not in {}", refused.body);
        }
    }
    // What the policy itself refuses, too.
    let refused = desk
        .send_form(
            "/console/policies/tool-authorization/install",
            &anna,
            "mode=enforce&setting.extra_roles=&setting.roles=%7B%22nobody%22%3A%7B%7D%7D",
        )
        .await;
    assert!(
        refused.status == 409 && refused.body.contains("roles.nobody is no known role"),
        "{}",
        refused.body
    );
    assert!(!set_file.exists());

    let tried = desk.send_form("/console/policies/rate-limit/try", &anna, &rate_limit("12")).await;
    assert_eq!((tried.status, tried.header("location")), (303, Some("/console/trials/1")));
    let trial = loop {
        let page = desk.get("/console/trials/1", &anna).await;
        if !page.body.contains("<progress") {
            break page.body;
        }
        tokio::task::yield_now().await;
    };
    assert!(
        trial.contains("Nothing would have come out otherwise") && trial.contains("Install in the shadow"),
        "{trial}"
    );
    assert!(trial.contains("{&quot;max_messages&quot;:12}"), "{trial}");
    assert!(!set_file.exists(), "a trial changes nothing");

    let from_trial = "settings=%7B%22max_messages%22%3A12%7D&mode=shadow";
    let installed = desk.send_form("/console/policies/rate-limit/install", &anna, from_trial).await;
    assert_eq!(
        (installed.status, installed.header("location")),
        (303, Some("/console/policies/rate-limit-next")),
        "{}",
        installed.body
    );
    let page = desk.get("/console/policies/rate-limit-next", &anna).await.body;
    for part in ["value=\"12\"", "Let it decide instead of rate-limit", "How it agreed with the live ones"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let reported = desk.send_form("/console/policies/rate-limit-next/report", &anna, "").await;
    assert_eq!(reported.header("location"), Some("/console/trials/2"));
    let replaced = desk.send_form("/console/policies/rate-limit-next/replace", &anna, "").await;
    assert_eq!(replaced.status, 303, "{}", replaced.body);
    let text = std::fs::read_to_string(&set_file).unwrap();
    assert!(text.contains("max_messages = 12") && text.contains("enforce"), "{text}");
    let rows = desk
        .table
        .db()
        .read(|tx| {
            tx.audit_rows(&AuditFilter {
                agent: Some("person:anna".into()),
                limit: 9,
                ..AuditFilter::default()
            })
        })
        .unwrap();
    let actions: Vec<_> =
        rows.iter().map(|row| row.action.as_str()).filter(|action| action.starts_with("policy_")).collect();
    assert_eq!(actions, ["policy_promote", "policy_settings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_operator_changes_policies_or_sees_the_forms() {
    let desk = Desk::start().await;
    desk.policies_are_loaded();
    let set_file = desk.table.db().path().with_file_name("policies").join("policy-set.toml");
    for (name, role) in [("vera", Role::Viewer), ("paul", Role::Approver)] {
        let cookie = desk.person(name, role, &[]).await;
        let page = desk.get("/console/policies/rate-limit", &cookie).await;
        assert!(page.status == 200 && !page.body.contains("setting.max_messages"), "{}", page.body);
        for action in
            ["try", "install", "promote", "replace", "enable", "disable", "rollback", "remove", "report", "x"]
        {
            let form = format!("mode=enforce&{}", rate_limit("12"));
            let refused =
                desk.send_form(&format!("/console/policies/rate-limit/{action}"), &cookie, &form).await;
            assert_eq!(refused.status, 409, "{action}");
            assert!(refused.body.contains("this needs the role operator"), "{action}: {}", refused.body);
        }
        assert_eq!(desk.send_form("/console/trials/1/stop", &cookie, "").await.status, 403);
    }
    assert!(!set_file.exists());
}

#[tokio::test]
async fn data_routes_take_a_session_in_authorization_and_nothing_else() {
    let desk = Desk::start().await;
    let token = desk.server.register("alice").await;
    let held = desk.hold("alice", "{}");
    let code = desk.invite("anna", Role::Operator, &[]);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let send = async |request: &str, headers: &[(&str, &str)], body: &str| {
        desk.server.send(request, headers, body).await
    };
    // A form of another page, and one of our own: the code is no credential of a browser.
    let form = format!("code={code}");
    for headers in [&[("origin", "https://evil.example")][..], &[("origin", &desk.origin)], &[]] {
        let answer = send("POST /console/data/sign-in", headers, &form).await;
        assert!(answer.status == 401 || answer.status == 403, "{}: {}", answer.status, answer.body);
    }
    let seen = send(&format!("GET /console/join/{code}"), &[], "").await;
    assert_eq!(seen.status, 200, "the link is not used up");
    let body = "{\"machine\":\"m\"}";
    let signed = send("POST /console/data/sign-in", &[("authorization", &bearer(&code))], body).await;
    assert_eq!(signed.status, 200, "{}", signed.body);
    assert!(signed.header("set-cookie").is_none() && signed.header("location").is_none());
    assert_eq!(signed.header("cache-control"), Some("no-store"));
    let secret = signed.json()["session"].as_str().unwrap().to_owned();
    let again = send("POST /console/data/sign-in", &[("authorization", &bearer(&code))], body).await;
    assert_eq!((again.status, again.json()["code"].as_str()), (401, Some("unauthenticated")));

    let cookie = desk.person("ben", Role::Operator, &[]).await;
    let decision = format!("/console/data/escalations/{held}");
    for request in
        ["GET /console/data/board?limit=1", &format!("POST {decision}"), "POST /console/data/sign-out"]
    {
        let body = if request.starts_with("POST") { "{\"answer\":\"approve\",\"note\":null}" } else { "" };
        let wrong: [&[(&str, &str)]; 5] = [
            &[("origin", &desk.origin)],
            &[("origin", &desk.origin), ("cookie", &cookie)],
            &[("authorization", &bearer(&token))],
            &[("authorization", &bearer(&code))],
            &[("authorization", "Bearer"), ("cookie", &cookie), ("origin", &desk.origin)],
        ];
        for headers in wrong {
            let answer = send(request, headers, body).await;
            let refused = (answer.status, answer.json()["code"].as_str() == Some("unauthenticated"));
            assert_eq!(refused, (401, true), "{request} {headers:?}: {}", answer.body);
        }
    }
    assert_eq!(desk.status(held), "open");

    let known = bearer(&secret);
    let headers = [("authorization", known.as_str())];
    let board = send("GET /console/data/board?limit=1", &headers, "").await;
    assert_eq!((board.status, board.header("content-type")), (200, Some("application/json")));
    for (request, status) in [
        ("GET /console/data/board", 400),
        ("GET /console/data/board?limit=x", 400),
        ("GET /console/data/board?limit=1001", 400),
        ("GET /console/data/tasks?limit=1&ready=false&status=over", 400),
        ("GET /console/data/nothing", 404),
        ("GET /console/data/task?number=99", 404),
    ] {
        let answer = send(request, &headers, "").await;
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
        assert!(answer.json()["hint"].is_string(), "{request}");
    }
    for body in ["", "{}", "{\"answer\":\"maybe\",\"note\":null}"] {
        assert_eq!(send(&format!("POST {decision}"), &headers, body).await.status, 400, "{body}");
    }
    // A person's session is no agent's token.
    let call = serde_json::json!({ "name": "list_tasks", "arguments": {} });
    let answer = desk.server.rpc("tools/call", call, &headers).await;
    assert_eq!(answer["result"]["structuredContent"]["code"], "unauthenticated", "{answer}");
    assert_eq!(send("POST /console/data/sign-out", &headers, "{}").await.status, 200);
    assert_eq!(send("GET /console/data/board?limit=1", &headers, "").await.status, 401);
    desk.server.stop().await;
}
