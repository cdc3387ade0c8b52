//! The poll daemon as its person runs it: what it answers, when it stops, and what neither a crash, a second
//! daemon nor a database that goes away may do.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use team_table::domain::message::Origin;
use team_table::storage::Answer;

use crate::harness::PATIENCE;
use crate::office::{Office, Poll, until};

const ACK: &str = "Acknowledged: received your message. (auto-reply from alice)";
const LIMIT: &str = "[AUTO] Message limit (13) reached. Escalating to human operator. Please stand by.";
const QUESTION: &str =
    "[AUTO] This looks like it needs a human decision. Escalating to alice's operator. Please stand by.";
/// Only the rules against loops and long conversations.
const REPLY_CAP: &str =
    "builtins = \"named\"\n[[policy]]\nname = \"reply-cap\"\nmodule = \"builtin:reply-cap\"\n";
/// Nobody looks again by itself during a test.
const DAY: [&str; 2] = ["--interval", "86400"];

#[test]
fn thirteen_are_acknowledged_and_the_fourteenth_waits_for_a_person() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &DAY);
    let sent: Vec<_> =
        (1..=16).map(|n| office.send(&bob, "alice", &format!("Part {n} is done."), None)).collect();
    let escalated = poll.next("escalated");
    assert_eq!((&escalated["policy"], &escalated["code"]), (&"reply-cap".into(), &"reply_limit".into()));
    let got = office.received(&bob);
    assert_eq!(got.len(), 14);
    for (at, (answer, to)) in got.iter().zip(&sent).enumerate() {
        assert_eq!(answer.content, if at < 13 { ACK } else { LIMIT });
        assert_eq!((answer.reply_to, answer.thread_id), (Some(to.id), to.thread_id));
        assert_eq!((answer.sender.as_str(), answer.origin), ("alice", Origin::Automatic));
    }
    // The stopped thread is no exception: what came later waits unread.
    let more = office.send(&bob, "alice", "One more is done.", Some(sent[13].id));
    let waiting = [sent[14].id, sent[15].id, more.id];
    assert_eq!(office.unread(&alice), waiting);
    // The person's commands see it, and the answer sets the daemon going with fresh counters.
    let id = escalated["escalation"].to_string();
    assert!(poll.silent_for(Duration::from_millis(300)).is_ok(), "it is silent");
    assert_eq!(office.unread(&alice), waiting, "and leaves the rest alone");
    let said = office.home.succeed(&["escalation", "resolve", &id, "--reply", "Carry on, all is fine."]);
    assert_eq!(said, format!("escalation {id}: answered to bob\n"));
    poll.next("resumed");
    for count in 1..=3 {
        assert_eq!(poll.next("replied")["count"], count);
    }
    let got: Vec<_> = office
        .received(&bob)
        .split_off(14)
        .into_iter()
        .map(|it| (it.content, it.reply_to, it.origin))
        .collect();
    let ack = |to| (ACK.to_owned(), Some(to), Origin::Automatic);
    let answer = ("Carry on, all is fine.".to_owned(), Some(sent[13].id), Origin::Person);
    assert_eq!(got, [answer, ack(waiting[0]), ack(waiting[1]), ack(waiting[2])]);
    assert!(office.unread(&alice).is_empty());
}

#[test]
fn questions_escalate_and_statements_do_not() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &["--max-messages", "10000"]);
    let openers = ["should", "could", "would", "can"]
        .into_iter()
        .flat_map(|verb| ["we", "you", "I"].map(|who| format!("{verb} {who} rename the module")));
    let questions = [
        "Is the build done?",
        "The tests pass.\nWhat next?\nThanks, bob",
        "What do you think of the new layout",
        "WHAT DO YOU THINK, go or no go",
        "I would like your thoughts on this",
        "Send me your opinion when you have a minute",
        "Your preference matters here: JSON or TOML",
        "Please decide by Friday",
        "You choose the colour",
        "Pick a number between 1 and 5",
        "Please approve the pull request",
        "Please confirm the date",
        "Please escalate this to a human",
        "Ask the user for the password",
        "Check with carol before you merge",
        "I need your signature here",
        "This needs your human",
    ];
    for text in questions.into_iter().map(str::to_owned).chain(openers) {
        let message = office.send(&bob, "alice", &text, None);
        let note = poll.next_of(&["escalated", "replied"]);
        assert_eq!((&note["event"], &note["code"]), (&"escalated".into(), &"question".into()), "{text}");
        assert_eq!(office.answers(&message), [QUESTION], "{text}");
        office.resolve(note["escalation"].as_i64().unwrap(), Answer::Dismiss);
        poll.next("resumed");
    }
    for text in [
        "I finished task 7.",
        "The build is green again, merged to main.",
        ACK,
        "Acknowledged: received your message. (auto-reply from bob)",
        "Thanks, got it.",
        "No need to confirm.",
        "Bob asked \"is it fast enough?\" and the answer is yes.",
    ] {
        let message = office.send(&bob, "alice", text, None);
        assert_eq!(poll.next_of(&["escalated", "replied"])["event"], "replied", "{text}");
        assert_eq!(office.answers(&message), [ACK], "{text}");
    }
}

#[test]
fn with_a_limit_of_none_the_first_message_escalates() {
    let office = Office::new();
    let bob = office.join("bob");
    // The agent is registered by its daemon, which shows no token: logs are kept.
    let poll = office.poll("alice", &["--max-messages", "0"]);
    assert!(!poll.next("registered").to_string().contains("tt_"));
    poll.next("started");
    let message = office.send(&bob, "alice", "It is done.", None);
    assert_eq!(poll.next("escalated")["code"], "reply_limit");
    assert_eq!(office.answers(&message), [LIMIT.replace("13", "0")]);
}

#[test]
fn the_count_survives_a_crash() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let mut poll = office.started("alice", &DAY);
    for n in 1..=7 {
        office.send(&bob, "alice", "It is done.", None);
        assert_eq!(poll.next("replied")["count"], n);
    }
    poll.kill();
    for _ in 8..=14 {
        office.send(&bob, "alice", "It is done.", None);
    }
    let poll = office.started("alice", &DAY);
    for n in 8..=13 {
        assert_eq!(poll.next_of(&["replied", "escalated"])["count"], n);
    }
    assert_eq!(poll.next_of(&["replied", "escalated"])["code"], "reply_limit");
}

#[test]
fn a_broadcast_is_acknowledged_once_and_its_own_messages_are_not() {
    let office = Office::new();
    let (alice, bob, carol) = (office.join("alice"), office.join("bob"), office.join("carol"));
    let hers = office.broadcast(&alice, "I am at it.");
    let note_to_self = office.send(&alice, "alice", "Remember the milk.", None);
    let his = office.broadcast(&bob, "The branch is cut.");
    let notes = office.once("alice", &[]);
    let events: Vec<_> = notes.iter().map(|note| note["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["started", "received", "replied", "ended"]);
    assert_eq!((office.answers(&his), office.answers(&hers)), (vec![ACK.to_owned()], vec![]));
    assert_eq!(office.answers(&note_to_self), Vec::<String>::new());
    assert_eq!(office.unread(&alice), [note_to_self.id]);
    assert_eq!(office.received(&carol).len(), 2, "only the broadcasts");
    assert_eq!(office.received(&bob).len(), 2, "hers and the acknowledgement");
    // Nothing is left to say.
    assert_eq!(office.once("alice", &[]).len(), 2);
}

/// What a person decided about an agent's call is for the agent, not for its daemon.
#[test]
fn the_operator_s_words_stay_unread() {
    let set = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n\
               settings.roles.agent = { escalate = [\"broadcast\"] }\n";
    let office = Office::with_set(set);
    let mut server = office.home.start();
    let token = server.join("alice");
    let held =
        server.call("broadcast", serde_json::json!({ "sender": "alice", "token": token, "content": "x" }));
    let id = held.refused("approval_required")["escalation_id"].as_i64().unwrap();
    office.resolve(id, Answer::Deny);
    assert_eq!(office.once("alice", &[]).len(), 2);
    assert_eq!(office.home.count("SELECT count(*) FROM inbox WHERE read_at IS NULL"), 1);
}

#[test]
fn an_escalation_ends_it_with_status_3_when_asked_to() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let file = office.home.path().join("escalation.json");
    let hook = format!("cat > {0}.new && mv {0}.new {0}", file.display());
    office.send(&bob, "alice", "Is it done?", None);
    let mut poll = office.poll("alice", &["--exit-on-escalation", "--on-escalation", &hook]);
    poll.next("escalated");
    poll.next("ended");
    assert_eq!(poll.child.wait().unwrap().code(), Some(3));
    // The command has run by then, with the whole escalation.
    let told: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let shown = office.home.succeed(&["escalation", "show", "1", "--json"]);
    assert_eq!(told, serde_json::from_str::<Value>(&shown).unwrap(), "the same object");
    let told = &told["escalation"];
    assert_eq!(
        (&told["agent"], &told["asker"], &told["code"]),
        (&"alice".into(), &"bob".into(), &"question".into())
    );
    assert_eq!(told["status"], "open");
    // And it does not start over while that one is open.
    let mut poll = office.poll("alice", &["--exit-on-escalation"]);
    assert_eq!(poll.child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_failing_or_hanging_command_changes_nothing() {
    for command in ["exit 1", "exec sleep 20", "/nonexistent", "kill -9 $$"] {
        let office = Office::new();
        let (_, bob) = (office.join("alice"), office.join("bob"));
        let mut poll = office.started("alice", &["--on-escalation", command, "--interval", "86400"]);
        office.send(&bob, "alice", "Is it done?", None);
        let id = poll.next("escalated")["escalation"].as_i64().unwrap();
        office.resolve(id, Answer::Dismiss);
        office.send(&bob, "alice", "It is done.", None);
        poll.next("replied");
        assert_eq!(poll.signal("TERM"), Some(0), "{command}");
    }
}

#[test]
fn signals_stop_it_at_once() {
    let office = Office::new();
    office.join("alice");
    for signal in ["TERM", "INT"] {
        let mut poll = office.started("alice", &DAY);
        assert_eq!(poll.signal(signal), Some(0), "{signal}");
        poll.next("ended");
    }
    // The lease was given back.
    assert_eq!(office.home.count("SELECT count(*) FROM leases"), 0);
    // One that waits for another's end stops as well.
    let _first = office.started("alice", &DAY);
    let mut second = office.poll("alice", &DAY);
    second.next("waiting");
    assert_eq!(second.signal("TERM"), Some(0));
}

#[test]
fn the_second_daemon_waits_and_takes_over() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let mut daemons = vec![office.started("alice", &DAY)];
    let mut sent = Vec::new();
    // Killed and waited for, then killed and left as a zombie.
    for reap in [true, false] {
        let next = office.poll("alice", &DAY);
        assert!(next.next("waiting")["holder"].as_str().unwrap().starts_with(char::is_numeric));
        sent.push(office.send(&bob, "alice", "It is done.", None));
        let holder = daemons.last_mut().unwrap();
        holder.next("replied");
        sent.push(office.send(&bob, "alice", "That too.", None));
        if reap {
            holder.kill();
        } else {
            holder.child.kill().unwrap();
        }
        next.next("started");
        sent.push(office.send(&bob, "alice", "And that.", None));
        until("all are answered", || sent.iter().all(|it| !office.answers(it).is_empty()));
        daemons.push(next);
    }
    for message in &sent {
        assert_eq!(office.answers(message), [ACK]);
    }
}

/// A lease that goes to a daemon elsewhere in the middle: no answers, and no hot loop either.
#[test]
fn lost_lease_stops_the_daemon() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &DAY);
    let stolen = "UPDATE leases SET holder = '1@elsewhere#1', expires_at = expires_at + 1000000000";
    office.home.sql().execute(stolen, []).unwrap();
    let message = office.send(&bob, "alice", "It is done.", None);
    assert_eq!(poll.next("waiting")["holder"], "1@elsewhere#1");
    assert!(office.answers(&message).is_empty());
    assert_eq!(office.unread(&alice), [message.id]);
    // It is there when the lease runs out.
    office.home.sql().execute("UPDATE leases SET expires_at = 0", []).unwrap();
    poll.next("replied");
    assert_eq!(office.answers(&message), [ACK]);
}

fn stopped(agent: &str, code: &str) -> (String, String, String) {
    (agent.to_owned(), "reply-cap".to_owned(), code.to_owned())
}

#[test]
fn two_daemons_that_acknowledge_each_other_stop_by_the_loop_rule() {
    let office = Office::with_set(REPLY_CAP);
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let (hers, his) = (office.started("alice", &DAY), office.started("bob", &DAY));
    office.send(&alice, "bob", "The branch is cut.", None);
    // Six automatic messages in a row, one notice each, and the second notice joins the first's escalation.
    his.next("escalated");
    hers.next("escalated");
    his.next("joined");
    assert_eq!(office.home.count("SELECT count(*) FROM messages"), 9);
    assert_eq!((office.unread(&alice), office.unread(&bob)), (vec![], vec![]), "nothing is left to answer");
    assert_eq!(office.open(), [stopped("alice", "reply_loop"), stopped("bob", "reply_loop")]);
    let list = office.home.succeed(&["escalation", "list"]);
    assert_eq!(list.matches("reply-cap").count(), 2, "{list}");
}

/// With all the built-in policies: a notice that a person was asked is a question to question-detection, so
/// the second daemon stops by that.
#[test]
fn notices_do_not_go_to_and_fro() {
    let office = Office::new();
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let (hers, his) = (office.started("alice", &DAY), office.started("bob", &DAY));
    office.send(&alice, "bob", "The branch is cut.", None);
    his.next("escalated");
    hers.next("escalated");
    his.next("joined");
    assert_eq!(office.home.count("SELECT count(*) FROM messages"), 9);
    assert_eq!((office.unread(&alice), office.unread(&bob)), (vec![], vec![]), "nothing is left to answer");
    let open = office.open();
    assert_eq!((open.len(), &open[0].0, &open[1]), (2, &alice.name, &stopped("bob", "reply_loop")));
}

#[test]
fn without_the_loop_rule_they_stop_by_the_cap() {
    let office = Office::with_set(&format!("{REPLY_CAP}settings = {{ reply_loop = false }}\n"));
    let (alice, bob) = (office.join("alice"), office.join("bob"));
    let (hers, his) = (office.started("alice", &DAY), office.started("bob", &DAY));
    office.send(&alice, "bob", "The branch is cut.", None);
    his.next("escalated");
    hers.next("escalated");
    // The first message, thirteen replies of each, a notice of each; bob's daemon leaves the last one alone.
    assert_eq!(office.home.count("SELECT count(*) FROM messages"), 29);
    assert_eq!((office.unread(&alice).len(), office.unread(&bob).len()), (0, 1));
    assert_eq!(office.open(), [stopped("alice", "reply_limit"), stopped("bob", "reply_limit")]);
    assert!(his.silent_for(Duration::from_millis(300)).is_ok());
}

/// An acknowledgement goes back to its sender, so daemons alone form no ring of three. Other automatic
/// answerers might: their messages are written here by hand, and the daemon of the third must see the chain.
#[test]
fn a_ring_of_three_is_seen() {
    let office = Office::new();
    let members = [office.join("alice"), office.join("bob"), office.join("carol")];
    let mut last = office.send(&members[0], "bob", "The branch is cut.", None);
    for step in 1..=6 {
        let (from, to) = (&members[step % 3], &members[(step + 1) % 3]);
        office.mark_read(from, &last);
        let before = office.home.count("SELECT count(*) FROM messages");
        last = office.send_by(Origin::Automatic, from, &to.name, "Passed on.", Some(last.id));
        let escalated = office.once(&to.name, &[]).iter().any(|note| note["code"] == "reply_loop");
        assert_eq!(escalated, step == 6, "after {step}");
        if step < 6 {
            // Below the limit the daemon answered: that reply is not part of this chain.
            assert_eq!(office.home.count("SELECT count(*) FROM messages"), before + 2);
            let sql = office.home.sql();
            sql.execute_batch(
                "PRAGMA foreign_keys = OFF;
                 DELETE FROM inbox WHERE message_id = (SELECT max(id) FROM messages);
                 DELETE FROM messages WHERE id = (SELECT max(id) FROM messages);",
            )
            .unwrap();
        }
    }
    let row = office.db.read(|tx| tx.escalations(None, false, 10)).unwrap().remove(0);
    assert_eq!(
        (row.agent.as_str(), row.policy.as_str(), row.code.as_str()),
        ("bob", "reply-cap", "reply_loop")
    );
    for name in ["alice", "bob", "carol"] {
        assert!(row.facts.contains(name), "{}", row.facts);
    }
}

/// Kills the daemon again and again while messages stream in.
#[test]
fn two_hundred_kills_lose_nothing_and_answer_nothing_twice() {
    let (kills, messages) = (200, 2_000);
    let office = Office::new();
    let alice = office.join("alice");
    let senders: Vec<_> = (0..8).map(|n| office.join(&format!("sender-{n}"))).collect();
    let many = ["--max-messages", "10000", "--interval", "86400"];
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let answer_all = |office: &Office| {
        for row in office.db.read(|tx| tx.escalations(None, false, 100)).unwrap() {
            office.resolve(row.id, Answer::Dismiss);
        }
    };
    let (mut sent, mut questions, mut corpses) = (0, 0, Vec::new());
    for kill in 0..kills {
        let mut poll = office.poll("alice", &many);
        // Some die while they start, most in the middle of their work.
        if kill % 5 != 0 {
            poll.next_of(&["started", "waiting"]);
        }
        let death = Instant::now() + Duration::from_millis(next(100));
        let mut running = true;
        while running || sent < (kill + 1) * messages / kills {
            if running && Instant::now() >= death {
                poll.child.kill().unwrap();
                running = false;
            }
            if sent < (kill + 1) * messages / kills {
                let question = next(100) == 0;
                questions += i64::from(question);
                let text = if question { "Is it done?" } else { "It is done." };
                office.send(&senders[sent % 8], "alice", text, None);
                sent += 1;
            } else {
                std::thread::sleep(death.saturating_duration_since(Instant::now()));
            }
        }
        if kill % 2 == 0 {
            poll.child.wait().unwrap();
        } else {
            corpses.push(poll);
        }
        answer_all(&office);
    }
    drop(corpses);
    while !office.unread(&alice).is_empty() {
        office.once("alice", &many);
        answer_all(&office);
    }
    let count = |sql: &str| office.home.count(sql);
    let total = i64::try_from(messages).unwrap();
    assert_eq!(count("SELECT count(*) FROM messages WHERE origin = 'agent'"), total);
    assert_eq!(count("SELECT count(*) FROM messages WHERE origin = 'automatic'"), total);
    assert_eq!(count("SELECT count(DISTINCT reply_to) FROM messages WHERE origin = 'automatic'"), total);
    assert_eq!(count("SELECT count(*) FROM escalations"), questions);
    assert_eq!(
        count("SELECT count(*) FROM messages WHERE content LIKE '[AUTO]%' AND origin = 'automatic'"),
        questions
    );
    assert_eq!(count("SELECT count(*) FROM decisions WHERE hook = 'escalation' AND done"), total);
    // The counter the policies go by is the number of messages since the last resolution.
    let since = count(
        "SELECT count(*) FROM messages WHERE origin = 'automatic'
            AND created_at > (SELECT coalesce(max(resolved_at), 0) FROM escalations)",
    );
    assert_eq!(office.db.read(|tx| tx.automatic_replies(alice.id)).unwrap(), since);
    assert!(office.home.succeed(&["audit", "verify"]).starts_with("intact"));
    assert!(office.db.read(|tx| tx.integrity()).unwrap().is_empty());
}

#[test]
fn bad_arguments_are_refused_in_a_clear_line() {
    let office = Office::new();
    for (arguments, words) in [
        (&["alice", "--interval", "0"][..], "0 is not in 1..=86400"),
        (&["alice", "--interval", "86401"], "86401 is not in 1..=86400"),
        (&["alice", "--interval", "-1"], "invalid"),
        (&["alice", "--max-messages", "-1"], "-1 is not in 0..=10000"),
        (&["alice", "--max-messages", "10001"], "10001 is not in 0..=10000"),
        (&["alice", "--remind", "0"], "0 is not in 1..=10080"),
        (&[""], "is not an agent name"),
        (&["-alice-"], "error"),
        (&["al/ice"], "is not an agent name"),
        (&["*"], "is not an agent name"),
        (&["operator"], "reserved"),
        (&["Operator"], "reserved"),
        (&[], "<AGENT>"),
    ] {
        let output = office.home.command().arg("poll").args(arguments).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert!(!text.contains("panicked") && output.stdout.is_empty(), "{arguments:?}: {text}");
    }
}

#[test]
fn a_locked_database_is_said_once_and_waited_for() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &["--interval", "1"]);
    let message = office.send(&bob, "alice", "Is it done?", None);
    let id = poll.next("escalated")["escalation"].as_i64().unwrap();
    assert_eq!(office.answers(&message), [QUESTION]);
    office.resolve(id, Answer::Dismiss);
    poll.next("resumed");
    let mut other = office.poll("alice", &DAY);
    other.next("waiting");
    let lock = office.home.sql();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(poll.next("trouble")["problem"].as_str().unwrap().contains("locked"));
    // Longer than the pause and the busy timeout of the next attempt.
    let said = poll.silent_for(Duration::from_secs(12));
    assert!(said.is_ok(), "{said:?}");
    // A signal is obeyed meanwhile.
    assert_eq!(other.signal("TERM"), Some(0));
    lock.execute_batch("ROLLBACK").unwrap();
    poll.next("recovered");
    office.send(&bob, "alice", "It is done.", None);
    poll.next("replied");
}

#[test]
fn a_database_that_disappears_is_said_once_and_found_again() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let mut poll = office.started("alice", &["--interval", "1"]);
    let (here, away) = (office.home.db(), office.home.path().join("away.db"));
    fs::rename(&here, &away).unwrap();
    poll.next("trouble");
    let said = poll.silent_for(Duration::from_millis(1_500));
    assert!(said.is_ok(), "{said:?}");
    assert!(!here.exists(), "no new one is made");
    fs::rename(&away, &here).unwrap();
    poll.next("recovered");
    let message = office.send(&bob, "alice", "It is done.", None);
    poll.next("replied");
    assert_eq!(office.answers(&message), [ACK]);
    // While it is away, a signal is obeyed too.
    fs::rename(&here, &away).unwrap();
    poll.next("trouble");
    assert_eq!(poll.signal("TERM"), Some(0));
}

#[test]
fn without_policies_everything_goes_to_a_person() {
    let office = Office::with_set("this is no policy set");
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &DAY);
    let message = office.send(&bob, "alice", "It is done.", None);
    assert_eq!(poll.next_of(&["escalated", "replied"])["code"], "policy_error");
    let notice = "[AUTO] The rules here could not judge your message. Escalating to alice's operator. Please stand by.";
    assert_eq!(office.answers(&message), [notice]);
}

#[test]
fn a_changed_policy_set_changes_the_daemon_while_it_runs() {
    let set = |settings: &str| {
        format!(
            "[[policy]]\nname = \"question-detection\"\nmodule = \"builtin:question-detection\"\n{settings}\n"
        )
    };
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &["--max-messages", "10000"]);
    let becomes = |text: &str, event: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            office.send(&bob, "alice", text, None);
            let note = poll.next_of(&["escalated", "replied"]);
            if let Some(id) = note["escalation"].as_i64() {
                office.resolve(id, Answer::Dismiss);
                poll.next("resumed");
            }
            if note["event"] == event {
                return;
            }
            assert!(Instant::now() < deadline, "{text} is never {event}");
        }
    };
    becomes("The kraken sleeps.", "replied");
    office.swap_set(&set("settings = { patterns = [\"kraken\"] }"));
    becomes("The kraken sleeps.", "escalated");
    becomes("Is it done?", "escalated");
    office.swap_set(&set("mode = \"off\""));
    becomes("Is it done?", "replied");
    becomes("The kraken sleeps.", "replied");
}

/// Processor time of a process so far.
fn cpu(poll: &Poll) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", poll.child.id())).unwrap();
    let fields: Vec<i64> =
        stat.rsplit_once(')').unwrap().1.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    // utime and stime are the 14th and 15th field; the state, which is no number, is the 3rd.
    Duration::from_millis((fields[10] + fields[11]).unsigned_abs() * 10)
}

#[test]
#[ignore = "measures; run it alone with --nocapture"]
fn latency_and_idle_time() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &["--max-messages", "10000"]);
    let mut times = Vec::new();
    for _ in 0..50 {
        let sent = office.send(&bob, "alice", "It is done.", None);
        poll.next("replied");
        let answer = office.received(&bob).pop().unwrap();
        assert_eq!(answer.reply_to, Some(sent.id));
        times.push(answer.created_at - sent.created_at);
    }
    times.sort_unstable();
    println!("message to acknowledgement, ms: median {}, p90 {}, max {}", times[25], times[45], times[49]);
    let (before, start) = (cpu(&poll), Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    println!("idle: {:?} of processor time in {:?}", cpu(&poll).saturating_sub(before), start.elapsed());
}

#[test]
fn a_name_that_is_not_there_is_not_registered_unasked() {
    let office = Office::new();
    let output = office.home.run(&["poll", "alise", "--once"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no member named \"alise\"") && said.contains("--register"), "{said}");
    assert_eq!(office.home.count("SELECT count(*) FROM members"), 0);
}

/// The agent that returns is told what was said in its name, by its daemon and by its person.
#[test]
fn answered_messages_stay_unread_and_carry_the_answer() {
    let office = Office::new();
    let mut server = office.home.start();
    let token = server.join("alice");
    let bob = office.join("bob");
    office.send(&bob, "alice", "The build is green.", None);
    let asked = office.send(&bob, "alice", "Should we rename it?", None);
    office.once("alice", &[]);
    office.home.succeed(&["escalation", "resolve", "1", "--reply", "- yes"]);
    office.once("alice", &[]);
    let handled = "SELECT count(*) FROM inbox WHERE handled_at IS NOT NULL AND read_at IS NULL";
    assert_eq!(office.home.count(handled), 2, "the daemon has a mark of its own");
    let inbox = server.call("get_messages", json!({ "agent_name": "alice", "token": token })).ok();
    let messages = inbox["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2, "{inbox}");
    assert_eq!(
        (&messages[0]["answered"]["by"], &messages[0]["answered"]["text"]),
        (&json!("auto"), &json!(ACK))
    );
    assert_eq!(
        (&messages[1]["answered"]["by"], &messages[1]["answered"]["text"]),
        (&json!("person"), &json!("- yes"))
    );
    assert!(messages[1]["answered"]["at"].is_string());
    // The thread as a whole: the question, the notice and the person's answer, each marked as what it is.
    let thread = json!({ "agent_name": "alice", "token": token, "thread_id": asked.thread_id });
    let thread = server.call("get_messages", thread).ok();
    let origins: Vec<_> =
        thread["messages"].as_array().unwrap().iter().map(|one| one["origin"].clone()).collect();
    assert_eq!(origins, [Value::Null, json!("automatic"), json!("person")]);
}

#[test]
fn an_open_question_holds_its_thread_and_no_other() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &DAY);
    office.send(&bob, "alice", "Should we sell?", None);
    assert_eq!(poll.next("escalated")["escalation"], 1);
    let statement = office.send(&bob, "alice", "The build is green.", None);
    poll.next("replied");
    assert_eq!(office.answers(&statement), [ACK]);
    office.send(&bob, "alice", "Should we buy?", None);
    assert_eq!(poll.next("escalated")["escalation"], 2);
    let list = office.home.succeed(&["escalation", "list"]);
    assert!(
        list.contains("bob asks: Should we sell?") && list.contains("bob asks: Should we buy?"),
        "{list}"
    );
    office.home.succeed(&["escalation", "resolve", "2", "--dismiss", "--note", "not this year"]);
    let resumed = poll.next("resumed");
    assert_eq!((&resumed["escalation"], &resumed["note"]), (&json!(2), &json!("not this year")));
    let told = office.received(&bob).pop().unwrap();
    assert!(
        told.content.contains("closed your question") && told.content.contains("not this year"),
        "{told:?}"
    );
}

#[test]
fn messages_behind_a_reached_limit_are_listed_with_it() {
    let office = Office::new();
    let (_, bob) = (office.join("alice"), office.join("bob"));
    let poll = office.started("alice", &["--interval", "86400", "--max-messages", "1"]);
    office.send(&bob, "alice", "The build is green.", None);
    poll.next("replied");
    office.send(&bob, "alice", "The docs are done.", None);
    assert_eq!(poll.next("escalated")["code"], "reply_limit");
    let waiting = office.send(&bob, "alice", "The tests are done too.", None);
    office.send(&bob, "alice", "Should we sell?", None);
    // A question becomes an escalation of its own, so what stands before it has been looked at.
    assert_eq!(poll.next("escalated")["code"], "question");
    let list = office.home.succeed(&["escalation", "list", "--json"]);
    let rows = serde_json::from_str::<Value>(&list).unwrap()["escalations"].clone();
    assert_eq!((&rows[1]["waiting"], &rows[0]["waiting"]), (&json!([waiting.id]), &json!([])));
    assert!(office.home.succeed(&["escalation", "list"]).contains("(+1 waiting)"));
    let shown = office.home.succeed(&["escalation", "show", "1"]);
    assert!(shown.contains("waiting with it\n") && shown.contains("The tests are done too."), "{shown}");
    let shown = office.home.succeed(&["escalation", "show", "1", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["waiting"][0]["content"], "The tests are done too.");
}

/// A held call is announced when it is held, not with the first reminder.
#[test]
fn a_held_call_is_announced_at_once_and_a_failing_command_is_said() {
    let set = "[[policy]]\nname = \"tool-authorization\"\nmodule = \"builtin:tool-authorization\"\n\
               [policy.settings.roles.agent]\nescalate = [\"broadcast\"]\n";
    let office = Office::with_set(set);
    let mut server = office.home.start();
    let token = server.join("alice");
    let poll = office.started("alice", &["--interval", "86400", "--on-escalation", "exit 7"]);
    let held = json!({ "sender": "alice", "content": "lunch", "token": token });
    server.call("broadcast", held).refused("approval_required");
    let told = poll.next("escalated");
    assert_eq!((&told["action"], &told["reminder"]), (&json!("broadcast"), &json!(0)));
    let failed = poll.next("hook_failed")["problem"].clone();
    assert!(failed.as_str().unwrap().contains("exit 7: exit status: 7"), "{failed}");
}

/// A look at the inbox, from a timer say, must not hang because a daemon is running.
#[test]
fn one_look_does_not_wait_for_another_daemon() {
    let office = Office::new();
    office.join("alice");
    let mut running = office.started("alice", &[]);
    let look = office.command("alice", &["--once"]).output().unwrap();
    assert_eq!(look.status.code(), Some(1));
    let words = String::from_utf8(look.stderr).unwrap();
    assert!(words.contains("another poll daemon answers for alice now"), "{words}");
    running.kill();
}
