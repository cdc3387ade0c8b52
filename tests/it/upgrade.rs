//! Opening what is there: databases of the Python Team Table are taken over with all they hold; what is newer,
//! damaged or somebody else's is refused and left as it is.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};
use team_table::domain::clock;
use team_table::storage::{ChainReport, Db, OpenError, OpenOptions};

use crate::harness::{Agent, Desk, Home, START, mode, numbers, set_mode, strings};

const PYTHON_0_1: &str = include_str!("../data/python-0.1.sql");
const PYTHON_0_2: &str = include_str!("../data/python-0.2.1.sql");

fn make(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// A folder with an old database in it.
fn old(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("team_table.db");
    make(&path, sql);
    (dir, path)
}

fn backups(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains(".bak-"))
        .collect();
    found.sort();
    found
}

/// Every row of every table, as text.
fn dump(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut rows = Vec::new();
    for table in tables {
        let mut all = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = all.column_count();
        let mut found = all.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<_> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            rows.push(format!("{table}: {}", cells.join(" | ")));
        }
    }
    rows
}

fn member<'a>(members: &'a Value, name: &str) -> &'a Value {
    members.as_array().unwrap().iter().find(|member| member["name"] == name).unwrap()
}

/// What both versions of the Python Team Table kept.
fn check_common(desk: &Desk, alice: &Agent<'_>, bob: &Agent<'_>) {
    let members = alice.call("list_members", json!({ "include_inactive": true })).ok()["members"].clone();
    assert_eq!(members.as_array().unwrap().len(), 4);
    let expected = json!({
        "name": "alice", "role": "lead", "capabilities": ["planning", "review"], "status": "active",
        "registered_at": "2025-03-01T10:00:00.123+00:00",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&member(&members, "alice")[field], value);
    }
    let carol = member(&members, "carol");
    assert_eq!((&carol["status"], &carol["capabilities"]), (&json!("inactive"), &json!([])));
    assert_eq!(carol["last_heartbeat"], "2025-03-01T12:00:00.999+00:00");

    let tasks = alice.call("list_tasks", json!({})).ok()["tasks"].clone();
    assert_eq!(numbers(&tasks, "id"), [1, 2, 3, 5]);
    assert_eq!(strings(&tasks, "status"), ["done", "pending", "in_progress", "blocked"]);
    assert_eq!(strings(&tasks, "priority"), ["high", "medium", "low", "low"]);
    assert_eq!(strings(&tasks, "assignee"), ["bob", "", "alice", "carol"]);
    assert_eq!(strings(&tasks, "result"), ["merged", "", "", "no budget"]);
    assert_eq!(strings(&tasks, "creator"), ["alice", "alice", "bob", "ghost"]);
    assert_eq!(tasks[0]["updated_at"], "2025-03-01T15:00:00.200+00:00");
    assert_eq!(tasks[0]["description"], "with tests");

    let entries = alice.call("get_shared_context", json!({})).ok()["entries"].clone();
    assert_eq!(strings(&entries, "key"), ["bob/notes", "repo"]);
    assert_eq!(strings(&entries, "value"), ["line one\nline two", "git@example.org:x.git"]);
    assert_eq!(numbers(&entries, "version"), [1, 1]);
    assert_eq!(strings(&entries, "updated_at")[1], "2025-03-01T10:30:00.500+00:00");

    // Read, unread, read broadcasts, and archived ones, which had left the inbox.
    let inbox = |agent: &Agent<'_>| {
        agent.call("get_messages", json!({ "include_read": true, "peek": true })).ok()["messages"].clone()
    };
    let of_bob = inbox(bob);
    assert_eq!(numbers(&of_bob, "id"), [1, 2, 4, 7]);
    let read: Vec<bool> = of_bob.as_array().unwrap().iter().map(|message| message["read"] == true).collect();
    assert_eq!(read, [true, false, true, false]);
    assert_eq!(of_bob[1]["content"], "still unread: it's \"quoted\" 🎉");
    assert_eq!(of_bob[0]["created_at"], "2025-03-01T10:10:00.111+00:00");
    assert_eq!(numbers(&bob.call("get_messages", json!({})).ok()["messages"], "id"), [2, 7]);
    let of_alice = inbox(alice);
    assert_eq!(numbers(&of_alice, "id"), [8, 12]);
    assert!(of_alice.as_array().unwrap().iter().all(|message| message["read"] == false));
    assert_eq!(desk.count("SELECT count(*) FROM messages"), 8, "archived ones are kept");

    // Audit rows are kept in order, in the chain.
    let audit = desk
        .sql()
        .prepare("SELECT at, agent, action, target_type, target_id, details FROM audit ORDER BY id LIMIT 4")
        .unwrap()
        .query_map([], |row| {
            Ok(format!(
                "{} {} {} {} {} {}",
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
                row.get::<_, String>(4)?,
                row.get::<_, String>(5)?
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect::<Vec<_>>();
    assert_eq!(
        audit,
        [
            "1740823200123 alice register member alice {\"role\": \"lead\"}",
            "1740823800111 alice send_message message 1 {\"recipient\": \"bob\"}",
            "1740825600000 bob issue_token token  {}",
            "1740826200010 bob archive_messages   {\"archived_count\": 2}",
        ]
    );
    assert!(
        matches!(desk.db().read(|tx| tx.verify_audit()).unwrap(), ChainReport::Intact { rows } if rows >= 4)
    );
    assert!(desk.db().read(|tx| tx.integrity()).unwrap().is_empty());

    // And life goes on where it stopped.
    let reply = json!({ "recipient": "bob", "content": "re", "reply_to": 12 });
    let sent = alice.call("send_message", reply).ok();
    assert_eq!((&sent["id"], &sent["thread_id"]), (&json!(13), &json!(12)));
    assert_eq!(alice.call("create_task", json!({ "title": "new" })).ok()["id"], 6);
    assert_eq!(
        alice.call("share_context", json!({ "key": "repo", "value": "x", "expected_version": 1 })).ok()["version"],
        2
    );
}

#[test]
fn a_database_of_0_2_is_taken_over_with_its_tokens() {
    let (dir, path) = old(PYTHON_0_2);
    let before = dump(&path);
    let desk = Desk::on(&path);
    let [copy] = &backups(dir.path())[..] else { panic!("there is no single backup") };
    assert_eq!(dump(copy), before, "the backup holds what there was");
    assert_eq!((mode(copy), mode(&path)), (0o600, 0o600));

    let alice = Agent::known(&desk, "alice", "alice-python-token");
    let bob = Agent::known(&desk, "bob", "bob-python-token");
    check_common(&desk, &alice, &bob);
    let heartbeat = |name: &str, token: &str| {
        desk.call("heartbeat", json!({ "name": name, "token": token })).code().to_owned()
    };
    for (name, token, code) in [
        ("alice", "alice-revoked-token", "unauthenticated"),
        ("ghost", "ghost-python-token", "unauthenticated"),
        ("carol", "carol-python-token", "unauthenticated"),
        ("alice", "bob-python-token", "permission_denied"),
        ("alice", "alice-python-token", "ok"),
    ] {
        assert_eq!(heartbeat(name, token), code, "{name} {token}");
    }
    // Rotating ends the old token; the role the operator had granted stays.
    let renewed = alice.call("register", json!({})).ok();
    assert_eq!(renewed["role"], "lead");
    assert_eq!(heartbeat("alice", "alice-python-token"), "unauthenticated");
    assert_eq!(heartbeat("alice", renewed["token"].as_str().unwrap()), "ok");
    // One who had left comes back with the old token.
    desk.call("register", json!({ "name": "carol", "token": "carol-python-token" })).ok();
    // A broadcast that was hidden does not come back.
    let now = desk.clock.now();
    let dave = team_table::auth::Token::mint().unwrap();
    let hash = dave.hash();
    desk.db().write(move |tx| tx.rotate_token("Dave 2.0", &hash, now)).unwrap();
    let dave = Agent::known(&desk, "Dave 2.0", &dave.reveal());
    assert_eq!(
        numbers(&dave.call("get_messages", json!({ "include_read": true })).ok()["messages"], "id"),
        [4]
    );
}

#[test]
fn a_database_of_0_1_without_tokens_is_taken_over_and_its_names_are_safe() {
    let (dir, path) = old(PYTHON_0_1);
    let before = dump(&path);
    let desk = Desk::on(&path);
    assert_eq!(dump(&backups(dir.path())[0]), before);
    // Nobody has a token yet, and nobody can take an active name: the operator hands tokens out.
    for name in ["alice", "bob"] {
        desk.call("register", json!({ "name": name })).refused("already_exists");
    }
    let token = |name: &'static str| {
        let token = team_table::auth::Token::mint().unwrap();
        let hash = token.hash();
        desk.db().write(move |tx| tx.rotate_token(name, &hash, START)).unwrap();
        token.reveal()
    };
    let (alice, bob) =
        (Agent::known(&desk, "alice", &token("alice")), Agent::known(&desk, "bob", &token("bob")));
    check_common(&desk, &alice, &bob);
}

/// 0.1 databases made before messages could be archived lack the column.
#[test]
fn a_database_from_before_archiving_is_taken_over() {
    let sql = PYTHON_0_1.replace(",\n    archived_at TEXT\n", "\n");
    let sql = sql.split("INSERT INTO messages").next().unwrap();
    let (_dir, path) = old(&format!(
        "{sql} INSERT INTO messages VALUES (1, 'alice', 'bob', 'm', '2025-01-01T00:00:00+00:00', 0);"
    ));
    let desk = Desk::on(&path);
    assert_eq!(desk.count("SELECT count(*) FROM inbox WHERE read_at IS NULL"), 1);
}

/// Times there had microseconds; ours have milliseconds, to the last one.
#[test]
fn no_millisecond_is_lost_on_the_way() {
    let mut sql = PYTHON_0_1.split("INSERT INTO").next().unwrap().to_owned();
    for at in 0..1_000 {
        let time = format!("2025-03-01T10:{:02}:{:02}.{at:03}456+00:00", at % 60, at % 59);
        writeln!(
            sql,
            "INSERT INTO shared_context VALUES (\'{}\', \'v\', \'alice\', \'{time}\');",
            &time[..23]
        )
        .unwrap();
    }
    let (_dir, path) = old(&sql);
    let desk = Desk::on(&path);
    let connection = desk.sql();
    let mut all = connection.prepare("SELECT key, updated_at FROM context").unwrap();
    let rows = all.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let wrong: Vec<_> =
        rows.map(Result::unwrap).filter(|(key, at)| clock::format(*at) != format!("{key}+00:00")).collect();
    assert!(wrong.is_empty(), "{} of 1000 are off, such as {:?}", wrong.len(), wrong.first());
}

#[test]
fn opening_again_changes_nothing_and_copies_nothing() {
    let (dir, path) = old(PYTHON_0_2);
    let open = || Db::open(&path, OpenOptions::default()).unwrap();
    open().close();
    let (after, copies) = (dump(&path), backups(dir.path()));
    open().close();
    assert_eq!((dump(&path), backups(dir.path())), (after, copies));
}

#[test]
fn processes_that_open_an_old_database_at_once_upgrade_it_once() {
    let home = Home::new();
    make(&home.db(), PYTHON_0_2);
    let before = dump(&home.db());
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = home.command();
            command.args(["agent", "list", "--all", "--json"]).stdout(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(listed["members"].as_array().unwrap().len(), 4);
    }
    let copies = backups(home.path());
    assert_eq!(copies.len(), 1);
    assert_eq!(dump(&copies[0]), before);
    assert_eq!(home.count("SELECT count(*) FROM audit"), 4);
}

#[test]
fn processes_that_create_a_database_at_once_make_one() {
    let home = Home::new();
    let start = |name: String| {
        let mut daemon = home.command();
        daemon
            .args(["poll", &name, "--once", "--register"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..6).map(|at| start(format!("agent-{at}"))).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(home.count("SELECT user_version FROM pragma_user_version"), 7);
}

/// A database of ours with something in it, closed.
fn ours() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("table.db");
    let desk = Desk::on(&path);
    let (alice, _bob) = (desk.join("alice"), desk.join("bob"));
    for _ in 0..200 {
        alice.send("bob", &"filler ".repeat(100));
    }
    desk.table.close();
    drop(desk);
    // The last connection has put everything into the file.
    assert!(
        !path.with_extension("db-wal").exists()
            || fs::metadata(path.with_extension("db-wal")).unwrap().len() == 0
    );
    (dir, path)
}

/// The binary refuses in one line and leaves every file as it was.
#[track_caller]
fn refused_by_the_program(path: &Path, words: &str) {
    let home = Home::new();
    fs::copy(path, home.db()).unwrap();
    let before = fs::read(home.db()).unwrap();
    for arguments in [&["serve"][..], &["agent", "list"], &["audit", "verify"]] {
        let output = home.run(arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(
            complaint.starts_with("team-table: ") && complaint.contains(words),
            "{arguments:?}: {complaint}"
        );
        assert!(complaint.contains(home.db().to_str().unwrap()), "{complaint}");
        assert!(output.stdout.is_empty());
        assert_eq!(fs::read(home.db()).unwrap(), before, "{arguments:?} changed the file");
    }
    assert!(backups(home.path()).is_empty());
}

#[track_caller]
fn refused(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = Db::open(path, OpenOptions::default()).map(|_| ()).unwrap_err();
    assert_eq!(fs::read(path).unwrap(), before, "{error}");
    error
}

#[test]
fn a_newer_database_is_refused_and_untouched() {
    let (_dir, path) = ours();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE").unwrap();
    drop(connection);
    assert!(matches!(refused(&path), OpenError::Newer { found: 99, .. }));
    refused_by_the_program(&path, "version 99");
}

#[test]
fn foreign_files_are_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.db");
    for garbage in [&b"x"[..], b"SQLite format 3", &[0; 4096], "# notes\n".repeat(1_000).as_bytes()] {
        fs::write(&path, garbage).unwrap();
        assert!(matches!(refused(&path), OpenError::Corrupt { .. }));
    }
    refused_by_the_program(&path, "not an SQLite database");
}

#[test]
fn a_damaged_database_is_refused_and_untouched() {
    let (_dir, path) = ours();
    let whole = fs::read(&path).unwrap();
    let damage = |at: usize, with: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let cases = [
        ("cut in half", whole[..whole.len() / 2].to_vec()),
        ("cut by a byte", whole[..whole.len() - 1].to_vec()),
        ("cut in the header", whole[..50].to_vec()),
        ("header overwritten", damage(0, &[0xff; 100])),
        ("first page overwritten", damage(100, &[0xff; 3_000])),
        ("page size nonsense", damage(16, &[0x12, 0x34])),
    ];
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let error = refused(&path);
        assert!(matches!(error, OpenError::Corrupt { .. }), "{what}: {error}");
        refused_by_the_program(&path, "damaged");
    }
}

#[test]
fn another_program_s_database_is_refused_and_untouched() {
    let (_dir, path) =
        old("CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('https://example.org');");
    assert!(matches!(refused(&path), OpenError::Foreign { .. }));
    refused_by_the_program(&path, "another program");
    // Tables of the same names are not enough.
    let (_dir, path) =
        old("CREATE TABLE messages (id INTEGER, body TEXT); CREATE TABLE members (name TEXT);");
    assert!(matches!(refused(&path), OpenError::Foreign { .. }));
}

/// A checkpoint copies page by page, the first page first. Killed in the middle, it leaves a file whose header
/// promises more pages than there are; all of them are in the log beside it.
#[test]
fn a_checkpoint_that_was_killed_in_the_middle_is_no_damage() {
    let desk = Desk::new();
    let (alice, _bob) = (desk.join("alice"), desk.join("bob"));
    for _ in 0..30 {
        alice.send("bob", &"filler ".repeat(1_000));
    }
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("table.db");
    let mut main = fs::read(&desk.path).unwrap();
    let log = fs::read(format!("{}-wal", desk.path.display())).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let page = number(8) as usize;
    let mut frames = (32..log.len()).step_by(24 + page).rev();
    let first_page = frames.find(|at| number(*at) == 1).expect("the first page was changed") + 24;
    main[..page].copy_from_slice(&log[first_page..first_page + page]);
    let promised = u32::from_be_bytes(main[28..32].try_into().unwrap()) as usize * page;
    assert!(promised > main.len(), "the test does not show what it should");
    fs::write(&copy, &main).unwrap();
    fs::write(format!("{}-wal", copy.display()), &log).unwrap();
    let again = Db::open(&copy, OpenOptions::default()).unwrap();
    assert!(again.read(|tx| tx.integrity()).unwrap().is_empty());
    again.close();
    drop(again);
    let found: i64 = Connection::open(&copy)
        .unwrap()
        .query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, 30);
}

#[test]
fn files_and_folder_are_the_owner_s_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep").join("er").join("table.db");
    let desk = Desk::on(&path);
    desk.join("alice");
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(path.parent().unwrap().parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(Path::new(&format!("{}{suffix}", path.display()))), 0o600, "{suffix}");
    }
}

#[test]
fn a_file_that_others_can_read_is_taken_from_them() {
    let (_dir, path) = ours();
    set_mode(&path, 0o644);
    let desk = Desk::on(&path);
    desk.join("carol");
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(Path::new(&format!("{}{suffix}", path.display()))), 0o600, "{suffix}");
    }
}

#[test]
fn an_upgrade_that_fails_leaves_the_original_and_no_copy() {
    let home = Home::new();
    let python = Connection::open(home.db()).unwrap();
    python.execute_batch(PYTHON_0_2).unwrap();
    // In the way of a table of ours.
    python.execute_batch("CREATE TABLE blobs (x)").unwrap();
    drop(python);
    for _ in 0..3 {
        assert_eq!(home.run(&["agent", "list"]).status.code(), Some(1));
        assert_eq!(backups(home.path()), Vec::<PathBuf>::new());
    }
    let members: i64 = Connection::open(home.db())
        .unwrap()
        .query_row("SELECT count(*) FROM members", [], |row| row.get(0))
        .unwrap();
    assert!(members > 0);
}
