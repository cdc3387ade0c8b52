//! Attacks by way of files, and on the person at the terminal, that the other modules do not make. `SECURITY.md` names the
//! test for every threat.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::guests::guest;
use crate::harness::{Home, PROGRAM, Process, UNLIMITED, eventually};
use crate::office::Office;

/// Ends a line, begins another one, clears the screen, hides what follows: with an escape, and with a single character.
const TRICK: &str = "a\nFORGED\r\u{1b}[2J\u{9b}31m\u{202e}z";

/// Nothing that a terminal obeys, and no line of somebody else's making.
#[track_caller]
fn harmless(what: &str, text: &str) {
    let tricky = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!text.contains(tricky), "{what}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("FORGED")), "{what}: {text}");
    assert!(text.contains("FORGED"), "{what} does not show the attack at all: {text}");
}

const HOLDING: &str = "\
[[policy]]
name = \"question-detection\"
module = \"builtin:question-detection\"
[[policy]]
name = \"tool-authorization\"
module = \"builtin:tool-authorization\"
settings.roles.agent = { escalate = [\"create_task\"] }
";

#[test]
fn no_words_of_agents_play_tricks_on_the_operator_s_terminal() {
    let office = Office::with_set(HOLDING);
    let (_, bob, _) = (office.join("alice"), office.join("bob"), office.join("dora"));
    let mut process = office.home.start();
    let carol = process.join("carol");
    let held = json!({ "creator": "carol", "title": TRICK, "description": TRICK, "token": carol });
    process.call("create_task", held).refused("approval_required");
    let message = json!({ "sender": "carol", "recipient": "alice", "content": TRICK, "token": carol });
    process.call("send_message", message).ok();
    // What the daemon says to a person, and to a program.
    for (agent, more) in [("alice", &[][..]), ("dora", &["--json"])] {
        office.send(&bob, agent, &format!("{TRICK}: should we?"), None);
        let output = office.home.run(&[&["poll", agent, "--once"], more].concat());
        harmless(&format!("poll {more:?}"), &String::from_utf8(output.stdout).unwrap());
    }
    // Names are checked today; a database of the Python Team Table may hold any.
    let sql = office.home.sql();
    for change in [
        "UPDATE members SET name = ?1 WHERE name = 'carol'",
        "UPDATE escalations SET asker = ?1, agent = ?1",
        "UPDATE messages SET sender = ?1",
        "UPDATE decisions SET agent = ?1",
        "INSERT INTO audit (id, at, agent, action, target_type, target_id, details, hash)
         SELECT max(id) + 1, 0, ?1, ?1, ?1, ?1, ?1, x'00' FROM audit",
    ] {
        sql.execute(change, [TRICK]).unwrap();
    }
    let held = sql.query_row("SELECT id FROM escalations WHERE action = 'create_task'", [], |row| row.get(0));
    let asked =
        sql.query_row("SELECT max(id) FROM escalations WHERE hook = 'escalation'", [], |row| row.get(0));
    let decision =
        sql.query_row("SELECT max(id) FROM decisions WHERE action = 'create_task'", [], |row| row.get(0));
    let [held, asked, decision] =
        [held, asked, decision].map(|number: Result<i64, _>| number.unwrap().to_string());
    for arguments in [
        &["agent", "list", "--all"][..],
        &["audit", "list"],
        &["policy", "log"],
        &["policy", "explain", &decision],
        &["escalation", "list", "--all"],
        &["escalation", "show", &held],
        &["escalation", "show", &asked],
    ] {
        for more in [&[][..], &["--json"]] {
            let output = office.home.run(&[arguments, more].concat());
            let text = String::from_utf8(output.stdout).unwrap();
            harmless(&format!("{arguments:?} {more:?}"), &text);
            if !more.is_empty() {
                let value: Value = serde_json::from_str(&text).unwrap();
                assert!(holds(&value, &|text| text.contains(TRICK)), "a program gets it as it is: {value}");
            }
        }
    }
    for more in [&[][..], &["--json"]] {
        let mut command = office.home.command();
        command.args(["escalation", "watch"]).args(more).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut watch = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(watch.stdout.take().unwrap()).read_line(&mut line).unwrap();
        watch.kill().unwrap();
        watch.wait().unwrap();
        harmless("watch", &line);
    }
}

/// Whether any text in a value is so.
fn holds(value: &Value, such: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => such(text),
        Value::Array(all) => all.iter().any(|one| holds(one, such)),
        Value::Object(all) => all.values().any(|one| holds(one, such)),
        _ => false,
    }
}

#[test]
fn an_escalation_command_gets_text_and_never_runs_it() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let [told, bait] = ["told", "bait"].map(|name| office.home.path().join(name));
    let touch = format!("touch {}", bait.display());
    let attack =
        format!("Should we? '; {touch}; ' \" `{touch}` $({touch}) \" \\' | {touch} & {touch} \n{touch}\n");
    office.send(&bob, "alice", &attack, None);
    let hook = format!("cat > '{}'", told.display());
    let mut poll = office.poll("alice", &["--exit-on-escalation", "--on-escalation", &hook]);
    poll.next("ended");
    assert_eq!(poll.child.wait().unwrap().code(), Some(3));
    let told: Value = serde_json::from_slice(&fs::read(told).unwrap()).unwrap();
    let content = told["escalation"]["arguments"]["content"].as_str().unwrap();
    assert!(content.contains("$(touch"), "the attack is not in it: {told}");
    assert!(!bait.exists());
}

#[test]
fn one_event_is_one_line_of_the_log() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    office.send(&bob, "alice", "Should we?", None);
    // Of all that is logged as it is, this can be made to hold anything.
    let hook = format!("exit 7 #{TRICK}");
    let mut command = office.command("alice", &["--exit-on-escalation", "--on-escalation", &hook]);
    let output = command.env("TEAM_TABLE_LOG", "warn").stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.lines().filter(|line| line.contains("hook_failed")).count(), 1, "{told}");
    harmless("what is told", &told);
}

/// Everything below a folder, with its mode.
fn modes(folder: &Path, found: &mut Vec<(PathBuf, u32)>) {
    found.push((folder.to_owned(), folder.metadata().unwrap().permissions().mode() & 0o777));
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            modes(&path, found);
        } else {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            found.push((path, mode));
        }
    }
}

#[test]
fn everything_that_is_kept_is_the_owner_s_alone_whatever_the_umask() {
    let home = Home::unlimited();
    let guest_file = home.path().join("guest.wasm");
    fs::write(&guest_file, guest("abstains")).unwrap();
    let table = home.path().join("kept").join("t");
    // A database that is taken over leaves a copy beside it; one that is new makes its folder itself.
    let old = home.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o700)).unwrap();
    let python = Connection::open(old.join("t.db")).unwrap();
    python.execute_batch(include_str!("../data/python-0.2.1.sql")).unwrap();
    drop(python);
    fs::set_permissions(old.join("t.db"), fs::Permissions::from_mode(0o644)).unwrap();
    for folder in [&table, &old] {
        let command = |more: &[&str]| {
            let mut open = Command::new("sh");
            open.args(["-c", "umask 000; exec \"$@\"", "sh", PROGRAM]).args(more).env_clear();
            open.envs(home.command().get_envs().filter_map(|(name, value)| Some((name, value?))));
            open.env("TEAM_TABLE_DB", folder.join("t.db"));
            open
        };
        let install =
            command(&["policy", "install", guest_file.to_str().unwrap(), "--name", "guest"]).output();
        let said = install.unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let mut process = Process::spawn(&mut command(&[]));
        process.join("somebody");
        let mut found = Vec::new();
        modes(folder, &mut found);
        let names: Vec<_> =
            found.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
        for part in [
            "t.db",
            "t.db-wal",
            "t.db-shm",
            "t.db.policy-cache",
            "t.db.policy-state",
            "in-force.json",
            "lock",
        ] {
            assert!(names.contains(&part), "{part} is not among {names:?}");
        }
        assert_eq!(names.iter().any(|name| name.contains(".bak-")), *folder == old);
        for (path, mode) in &found {
            // What decides is no secret, and lies in a folder that only its owner opens.
            let policy = path.parent().unwrap().ends_with("policies") && path.extension().is_some();
            let open_to = if policy { mode & 0o022 } else { mode & 0o077 };
            assert_eq!(open_to, 0, "{} has mode {mode:o}", path.display());
        }
        assert_eq!(process.end(), Some(0));
    }
}

/// What `policy list` says of a set that must be refused.
#[track_caller]
fn refused(home: &Home) -> String {
    let output = home.run(&["policy", "list"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("REFUSED: "), "{said}");
    said
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_policy_comes_from_its_own_folder_only_and_from_nobody_else() {
    let home = Home::unlimited();
    let folder = home.path().join("policies");
    let set = folder.join("policy-set.toml");
    // A good module, wherever an attacker may point.
    let outside = home.path().join("outside.wasm");
    fs::write(&outside, guest("abstains")).unwrap();
    symlink(&outside, folder.join("link.wasm")).unwrap();
    fs::create_dir(folder.join("below")).unwrap();
    fs::copy(&outside, folder.join("below/in.wasm")).unwrap();
    fs::copy(&outside, folder.join(".hidden.wasm")).unwrap();
    let text = |module: &str| format!("{UNLIMITED}\n[[policy]]\nname = \"guest\"\nmodule = {module:?}\n");
    for module in [
        "../outside.wasm",
        outside.to_str().unwrap(),
        "below/in.wasm",
        "below\\in.wasm",
        ".hidden.wasm",
        "..",
    ] {
        fs::write(&set, text(module)).unwrap();
        let said = refused(&home);
        assert!(said.contains("must be a file name in the policy directory"), "{module}: {said}");
    }
    fs::write(&set, text("link.wasm")).unwrap();
    assert!(refused(&home).contains("symlinks are not followed"));
    for name in ["../x", "x/../../y", "X", "."] {
        let output = home.run(&["policy", "install", outside.to_str().unwrap(), "--name", name]);
        assert!(!output.status.success(), "{name}");
    }
    // Nor is a set file followed elsewhere, or taken from where everybody may write.
    fs::write(&set, UNLIMITED).unwrap();
    home.succeed(&["policy", "list"]);
    let elsewhere = home.path().join("elsewhere.toml");
    fs::rename(&set, &elsewhere).unwrap();
    symlink(&elsewhere, &set).unwrap();
    assert!(refused(&home).contains("symlinks are not followed"));
    fs::remove_file(&set).unwrap();
    fs::write(&set, text("guest.wasm")).unwrap();
    fs::copy(&outside, folder.join("guest.wasm")).unwrap();
    home.succeed(&["policy", "list"]);
    for (path, usual) in [(set.clone(), 0o644), (folder.clone(), 0o755), (folder.join("guest.wasm"), 0o644)] {
        chmod(&path, usual | 0o002);
        assert!(refused(&home).contains("can be written to by everybody"), "{}", path.display());
        chmod(&path, usual);
        home.succeed(&["policy", "list"]);
    }
    // With nothing that can be trusted, nothing is allowed.
    fs::remove_dir_all(format!("{}.policy-state", home.db().display())).unwrap();
    chmod(&set, 0o666);
    home.start().call("register", json!({ "name": "alice" })).refused("permission_denied");
}

#[test]
fn a_cache_or_state_folder_that_leads_elsewhere_is_not_used() {
    let home = Home::unlimited();
    for name in ["policy-cache", "policy-state"] {
        let decoy = home.path().join(format!("decoy-{name}"));
        fs::create_dir(&decoy).unwrap();
        let link = PathBuf::from(format!("{}.{name}", home.db().display()));
        if link.exists() {
            fs::remove_dir_all(&link).unwrap();
        }
        symlink(&decoy, &link).unwrap();
        let output = home.run(&["policy", "list"]);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(fs::read_dir(&decoy).unwrap().count(), 0, "{name} was followed: {log}");
        // Whatever else it does, it goes on judging or refuses; it does not judge less.
        let mut process = home.start();
        process.call("register", json!({ "name": name, "role": "nonsense" })).refused("permission_denied");
        fs::remove_file(&link).unwrap();
    }
}

/// A user who owns nothing here.
const NOBODY: u32 = 65_534;

/// The program where everybody can run it, and an empty folder of another user's. Only root can make one; elsewhere none.
fn home_of_another() -> Option<(tempfile::TempDir, PathBuf, PathBuf)> {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, home) = (dir.path().join("team-table"), dir.path().join("home"));
    fs::copy(PROGRAM, &program).unwrap();
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).ok()?;
    Some((dir, program, home))
}

fn run_at(program: &Path, db: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    // A process that another test starts meanwhile holds the copy open for writing until its own exec.
    let output = eventually("the copy can be run", || {
        match Command::new(program).args(arguments).env_clear().env("TEAM_TABLE_DB", db).output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => None,
            done => Some(done.unwrap()),
        }
    });
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn owners(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push((path.clone(), path.symlink_metadata().unwrap().uid()));
        if path.is_dir() {
            found.extend(owners(&path));
        }
    }
    found
}

#[test]
fn root_at_another_users_table_leaves_nothing_that_locks_the_owner_out() {
    let Some((_dir, program, home)) = home_of_another() else {
        eprintln!("only root can make another user's folder: not tested here");
        return;
    };
    let db = home.join("table").join("table.db");
    // As with `sudo`: the first start, and one on a table that is there.
    for name in ["alice", "bob"] {
        let (status, words) = run_at(&program, &db, &["poll", name, "--once", "--register"]);
        assert_eq!(status, Some(0), "{words}");
    }
    let (status, words) = run_at(&program, &db, &["policy", "disable", "rate-limit"]);
    assert_eq!(status, Some(0), "{words}");
    let files = owners(&home);
    assert!(files.len() > 4, "{files:?}");
    assert!(files.iter().all(|(_, owner)| *owner == NOBODY), "{files:?}");

    // Where the owner cannot run it, it is refused before anything is touched.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let (status, words) = run_at(&program, &db, &["agent", "list"]);
    assert_eq!(status, Some(1), "{words}");
    assert!(words.contains("belongs to user 65534") && words.contains("sudo -u"), "{words}");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    // What an older version left behind is found, with the mend.
    chown(home.join("table/table.db"), Some(0), Some(0)).unwrap();
    let (status, words) = run_at(&program, &db, &["doctor"]);
    assert_eq!(status, Some(1), "{words}");
    assert!(words.contains("belongs to user 0, the table to user 65534"), "{words}");
    assert!(words.contains("sudo chown -R 65534") && !words.contains("restore a backup"), "{words}");
}
