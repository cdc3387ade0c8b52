//! The database file under a running process: locks that a second open must not drop, a path that leads to another file,
//! a schema that a newer program has changed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use team_table::storage::{Db, OpenOptions};

use crate::harness::{Desk, Home, PATIENCE};

/// The POSIX locks that this process holds on a file, as the kernel lists them.
fn locks(file: &Path) -> usize {
    let inode = fs::metadata(file).unwrap().ino();
    let pid = std::process::id().to_string();
    fs::read_to_string("/proc/locks")
        .unwrap()
        .lines()
        .filter(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.contains(&"POSIX")
                && fields.contains(&pid.as_str())
                && fields.iter().any(|field| field.ends_with(&format!(":{inode}")))
        })
        .count()
}

/// Closing a file descriptor drops all locks of the process on that file. Another process then takes the database for
/// unused and deletes the log that is being written.
#[test]
fn a_second_open_keeps_the_locks_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let first = Db::open(&path, OpenOptions::default()).unwrap();
    first.write(|tx| tx.probe()).unwrap();
    let held = locks(&path);
    assert!(held > 0, "a connection in WAL mode holds a lock for as long as it lives");
    let second = Db::open(&path, OpenOptions::default()).unwrap();
    assert!(locks(&path) >= held, "opening dropped locks");
    second.read(|tx| tx.integrity()).unwrap();
    drop(second);
    assert!(locks(&path) >= held, "closing dropped locks");
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    drop(Db::open(&link, OpenOptions::default()));
    assert!(locks(&path) >= held, "opening by another name dropped locks");
}

#[test]
fn a_database_that_is_no_longer_at_its_path_is_refused_until_it_is_back() {
    type Displace = fn(&Path);
    let removed: Displace = |path| fs::remove_file(path).unwrap();
    let replaced: Displace = |path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    };
    let folder_renamed: Displace = |path| {
        let folder = path.parent().unwrap();
        fs::rename(folder, folder.with_extension("elsewhere")).unwrap();
    };
    for displace in [removed, replaced, folder_renamed] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table").join("t.db");
        let desk = Desk::on(&path);
        let alice = desk.join("alice");
        alice.call("share_context", json!({ "key": "k", "value": "v" })).ok();
        displace(&path);
        let refused = alice.call("share_context", json!({ "key": "k", "value": "w" })).refused("unavailable");
        assert!(refused["error"].as_str().unwrap().contains("replaced"), "{refused}");
        assert!(!refused.to_string().contains("t.db"), "no paths for clients: {refused}");
        alice.call("get_shared_context", json!({ "key": "k" })).refused("unavailable");
        assert!(desk.ready().is_err());
    }
    let dir = tempfile::tempdir().unwrap();
    let (folder, aside) = (dir.path().join("table"), dir.path().join("aside"));
    let desk = Desk::on(&folder.join("t.db"));
    let alice = desk.join("alice");
    fs::rename(&folder, &aside).unwrap();
    alice.call("share_context", json!({ "key": "k", "value": "v" })).refused("unavailable");
    fs::rename(&aside, &folder).unwrap();
    alice.call("share_context", json!({ "key": "k", "value": "v" })).ok();
    assert!(desk.ready().is_ok());
}

#[test]
fn a_process_older_than_the_schema_says_that_it_must_be_restarted() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    desk.flush();
    let newer = rusqlite::Connection::open(&desk.path).unwrap();
    newer.execute_batch("PRAGMA user_version = 99; ALTER TABLE members RENAME TO people").unwrap();
    for (tool, arguments) in
        [("share_context", json!({ "key": "k", "value": "v" })), ("list_members", json!({}))]
    {
        let refused = alice.call(tool, arguments).refused("unavailable");
        assert!(refused["error"].as_str().unwrap().starts_with("team-table was upgraded"), "{refused}");
        assert!(refused["hint"].as_str().unwrap().contains("restart"), "{refused}");
    }
}

/// Anyone may ask whether a server is ready; the answer must not cost a commit each time.
#[test]
fn the_readiness_probe_writes_at_most_once_a_second() {
    let desk = Desk::new();
    let commits = desk.db().commits();
    let before = *commits.borrow();
    for _ in 0..200 {
        desk.ready().unwrap();
    }
    // However slow the machine is: one write for each second that it took, and one more.
    let writes = *commits.borrow() - before;
    assert!(writes < 100, "{writes} commits for 200 questions");
}

/// A process that is suspended with the write lock in its hands, and one that goes on with a file that is gone.
#[test]
fn the_doctor_names_the_process_that_holds_others_up() {
    let home = Home::unlimited();
    let mut server = home.start();
    server.join("alice");
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage_file::a_process_that_holds_the_write_lock", "--ignored", "--nocapture"])
        .env("TEAM_TABLE_TEST_OUTSIDE", home.db())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holds it")));
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &writer.id().to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("-STOP");
    let doctor = || String::from_utf8(home.run(&["doctor"]).stdout).unwrap();
    let end = Instant::now() + PATIENCE;
    let said = format!("process {} (", writer.id());
    while !doctor().contains(&said) {
        assert!(Instant::now() < end, "{}", doctor());
    }
    let found = doctor();
    assert!(
        found.contains("is suspended and holds the write lock")
            && found.contains("none was written since 2")
            && found.contains("kill -CONT"),
        "{found}"
    );
    signal("-CONT");
    writer.kill().unwrap();
    writer.wait().unwrap();
    // Now the file goes, under the server.
    fs::remove_file(home.db()).unwrap();
    let found = doctor();
    assert!(found.contains("still uses a file that was removed"), "{found}");
}

/// Not a test by itself: the other process of the test above.
#[test]
#[ignore = "run by the_doctor_names_the_process_that_holds_others_up, in a process of its own"]
fn a_process_that_holds_the_write_lock() {
    let outside = rusqlite::Connection::open(std::env::var("TEAM_TABLE_TEST_OUTSIDE").unwrap()).unwrap();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("holds it");
    // Until the other side ends it.
    let _ = std::io::stdin().read_line(&mut String::new());
}
