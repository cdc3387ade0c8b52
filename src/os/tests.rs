use std::io::{ErrorKind, Write as _};
use std::process::Stdio;

use super::*;

#[test]
fn what_is_made_private_is_seen_to_be_private() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a").join("b");
    create_private_folder(&inner).unwrap();
    create_private_folder(&inner).unwrap();
    let file = inner.join("f");
    drop(open_private(&file, Private::New).unwrap());
    for path in [&inner, &file] {
        let found = Access::at(path).unwrap();
        assert!(
            found.is_ours && !found.others_use && !found.others_write && !found.everybody_writes,
            "{found:?}"
        );
    }
    assert_eq!(Access::of(&File::open(&file).unwrap()).unwrap(), Access::at(&file).unwrap());
    let mut beside = new_beside(&inner, Readers::Owner).unwrap();
    beside.write_all(b"whole").unwrap();
    replace_file(beside, &file).unwrap();
    assert!(!Access::at(&file).unwrap().others_use);
    assert_eq!(std::fs::read(&file).unwrap(), b"whole");
}

#[test]
fn what_others_can_use_is_taken_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    std::fs::write(&file, "x").unwrap();
    let kept_open = File::open(&file).unwrap();
    make_private(&file).unwrap();
    let found = Access::at(&file).unwrap();
    assert!(found.is_ours && !found.others_use && !found.others_write, "{found:?}");
    assert_eq!(Access::of(&kept_open).unwrap(), found);
    std::fs::write(&file, "mine").unwrap();
    assert!(!Access::at(&file).unwrap().others_use);
}

#[test]
fn a_file_takes_the_access_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let [private, plain, taken] = ["private", "plain", "taken"].map(|name| folder.path().join(name));
    drop(open_private(&private, Private::New).unwrap());
    drop(open_private(&taken, Private::New).unwrap());
    std::fs::write(&plain, "x").unwrap();
    let as_made = Access::at(&plain).unwrap();
    assert_ne!(as_made, Access::at(&private).unwrap());
    copy_access(&plain, &taken).unwrap();
    assert_eq!(Access::at(&taken).unwrap(), as_made);
    copy_access(&private, &taken).unwrap();
    assert_eq!(Access::at(&taken).unwrap(), Access::at(&private).unwrap());
}

#[test]
fn a_private_file_is_opened_in_four_ways() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    let write = |how, text: &[u8]| open_private(&file, how).and_then(|mut file| file.write_all(text));
    write(Private::New, b"one").unwrap();
    assert_eq!(write(Private::New, b"x").unwrap_err().kind(), ErrorKind::AlreadyExists);
    write(Private::Append, b"two").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"onetwo");
    open_private(&file, Private::Keep).unwrap().lock().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"onetwo");
    write(Private::Replace, b"three").unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"three");
}

#[test]
fn a_file_is_known_by_another_name_and_its_successor_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    std::fs::write(&one, "x").unwrap();
    let id = FileId::at(&one).unwrap();
    std::fs::rename(&one, &other).unwrap();
    assert_eq!(FileId::at(&other).unwrap(), id);
    std::fs::write(&one, "x").unwrap();
    assert_ne!(FileId::at(&one).unwrap(), id);
    assert_eq!(FileId::at(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(FileId::at(folder.path()).is_ok());
}

#[test]
fn only_a_plain_file_is_opened_as_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(open_plain(folder.path()).unwrap().is_none());
    assert_eq!(open_plain(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    let file = folder.path().join("f");
    std::fs::write(&file, "x").unwrap();
    assert!(open_plain(&file).unwrap().is_some());
}

#[test]
fn this_process_and_its_parent_are_known() {
    let this = process(std::process::id()).unwrap();
    assert_eq!(this.parent, parent_process());
    assert!(this.is_ours && this.started > 0 && !this.program.is_empty(), "{this:?}");
    if let Some(parent) = process(this.parent) {
        assert!(parent.started <= this.started, "{parent:?} {this:?}");
    }
    assert_eq!(process(u32::MAX - 1), None);
}

#[test]
fn a_command_ends_with_all_that_it_started() {
    let line = if cfg!(windows) { "ping -n 60 127.0.0.1 >NUL" } else { "sleep 60 & sleep 60" };
    let mut group = Group::start(shell(line).stdin(Stdio::null()).stdout(Stdio::null())).unwrap();
    assert!(group.child().try_wait().unwrap().is_none());
    assert!(!group.kill().unwrap().success());
    let quoted = shell("echo \"a b\"").output().unwrap();
    assert!(String::from_utf8_lossy(&quoted.stdout).contains("a b"));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = spawn("team-table-no-such-program", |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("team-table-no-such-program"));
}
