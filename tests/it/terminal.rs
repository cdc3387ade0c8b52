//! What a person sees and types at a terminal: the program on a pseudo-terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::harness::{Home, eventually};
use crate::office::Office;

pub(crate) struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Self {
        let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let [input, output, errors] = [0; 3].map(|_| theirs.try_clone().unwrap());
        let child = command.stdin(input).stdout(output).stderr(errors).spawn().unwrap();
        // The command holds the other end; without it, reading ends when the program does.
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        drop(theirs);
        let keys = File::from(ours);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (keys.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { child, keys, screen }
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Waits until the text stands on the screen, after what was waited for before.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        eventually(text, || Some(self.screen()).filter(|screen| screen.contains(text)))
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    pub(crate) fn ends(mut self) -> Option<i32> {
        eventually("the program ends", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_program_says_what_it_is_and_serves() {
    let home = Home::new();
    let mut terminal = Terminal::start(&mut home.command());
    let greeting = terminal.shows("serving now; Ctrl-D ends");
    for part in ["team-table setup", "team-table demo", "team-table --help"] {
        assert!(greeting.contains(part), "{greeting}");
    }
    terminal.types("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\n");
    terminal.shows("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}");
    terminal.types("\u{4}");
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn open_escalations_are_walked_through() {
    let set = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n\
               [policy.settings.roles.agent]\nescalate = [\"broadcast\"]\n";
    let office = Office::with_set(set);
    let bob = office.join("bob");
    let mut server = office.home.start();
    let token = server.join("alice");
    let [first, second] =
        ["Should we sell?", "Should we buy?"].map(|text| office.send(&bob, "alice", text, None));
    office.once("alice", &[]);
    let held = json!({ "sender": "alice", "content": "lunch", "token": token });
    server.call("broadcast", held.clone()).refused("approval_required");

    let mut terminal = Terminal::start(office.home.command().args(["escalation", "resolve"]));
    let shown = terminal.shows("[r]eply, [x] dismiss, [s]kip, [q]uit?");
    assert!(shown.contains("escalation 1 for alice") && shown.contains("Should we sell?"), "{shown}");
    terminal.types("nonsense\nr\n");
    terminal.shows("reply: ");
    terminal.types("- yes, today\n");
    terminal.shows("escalation 1: answered to bob");
    terminal.shows("escalation 2 for alice");
    terminal.types("s\n");
    terminal.shows("[a]pprove, [d]eny, [s]kip, [q]uit?");
    terminal.types("a\n");
    terminal.shows("note (empty for none):");
    terminal.types("once\n");
    terminal.shows("escalation 3: ");
    assert_eq!(terminal.ends(), Some(0));

    assert!(office.answers(&first).contains(&"- yes, today".to_owned()));
    assert!(!office.answers(&second).iter().any(|answer| answer.contains("closed")), "skipped");
    assert_eq!(office.open().len(), 1);
    server.call("broadcast", held).ok();
}

#[test]
fn warnings_are_coloured_unless_the_person_wants_none() {
    for (no_color, coloured) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let office = Office::new();
        let (_, bob) = (office.join("alice"), office.join("bob"));
        office.send(&bob, "alice", "Should we sell?", None);
        let mut command = office.home.command();
        command.args(["poll", "alice", "--once"]);
        command.envs(no_color.map(|value| ("NO_COLOR", value)));
        let terminal = Terminal::start(&mut command);
        let screen = terminal.shows("team-table escalation resolve 1");
        assert_eq!(screen.contains("\u{1b}[1;33m"), coloured, "{no_color:?}: {screen:?}");
    }
}
