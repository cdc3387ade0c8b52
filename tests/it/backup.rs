//! Copies that are made while everything runs, and their way back.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Home, mode};

#[test]
fn a_copy_of_a_running_table_is_whole_and_leads_back() {
    let home = Home::unlimited();
    let mut server = home.start();
    let token = server.join("alice");
    let share = |server: &mut crate::harness::Process, key: &str| {
        let entry = json!({ "agent_name": "alice", "key": key, "value": "v", "token": token });
        server.call("share_context", entry).ok();
    };
    share(&mut server, "before");
    let copy = home.path().join("copy.db");
    let name = copy.to_str().unwrap().to_owned();
    let said = home.succeed(&["backup", &name]);
    assert!(said.contains("chain intact") && said.contains("team-table restore"), "{said}");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(format!("{name}.json")).unwrap()).unwrap();
    assert_eq!(manifest["blake3"], json!(blake3::hash(&fs::read(&copy).unwrap()).to_hex().as_str()));
    let mode = mode(&copy);
    assert_eq!(mode & 0o777, 0o600);
    assert!(!home.run(&["backup", &name]).status.success(), "a copy is never written over");
    share(&mut server, "after");
    // While a process runs, nothing is put back.
    let refused = home.run(&["restore", &name]);
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("is in use: stop every client"));
    drop(server);
    let said = home.succeed(&["restore", &name]);
    assert!(said.contains("what was there is kept as"), "{said}");
    let keys = |file: &std::path::Path| -> i64 {
        let db = rusqlite::Connection::open(file).unwrap();
        db.query_row("SELECT count(*) FROM context", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(keys(&home.db()), 1);
    let kept = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.contains("before-restore") && !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    assert_eq!(keys(&kept.unwrap()), 2, "what was there is kept with its log");
    assert!(home.succeed(&["audit", "verify"]).starts_with("intact"));
}

#[test]
fn a_copy_that_must_not_be_believed_is_refused() {
    let home = Home::new();
    home.make_db();
    let copy = home.path().join("copy.db");
    let name = copy.to_str().unwrap().to_owned();
    home.succeed(&["backup", &name]);
    let refused = |why: &str| {
        let output = home.run(&["restore", &name]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{why}: {said}");
    };
    rusqlite::Connection::open(&copy).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    refused("knows up to");
    rusqlite::Connection::open(&copy).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    refused("not the file that its manifest");
    fs::write(&copy, "no database").unwrap();
    refused("copy.db");
}

#[test]
fn the_doctor_tells_a_plain_copy_from_a_restored_backup() {
    let home = Home::new();
    let mut server = home.start();
    server.join("alice");
    let copy = home.path().join("copy.db");
    fs::copy(home.db(), &copy).unwrap();
    let doctor = |db: &Path| {
        let output = home.command().env("TEAM_TABLE_DB", db).arg("doctor").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!doctor(&home.db()).contains("copy:"));
    let found = doctor(&copy);
    assert!(found.contains("note   copy: this file was copied or moved here"), "{found}");
    // As the notice says: a backup of it, put back, is a file of its own.
    let [backup, restored] = ["backup.db", "restored.db"].map(|name| home.path().join(name));
    for (db, command, file) in [(&copy, "backup", &backup), (&restored, "restore", &backup)] {
        let output =
            home.command().env("TEAM_TABLE_DB", db).args([command, file.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert!(!doctor(&restored).contains("copy:"));
}
