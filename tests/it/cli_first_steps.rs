//! What a person meets first: completions, manual pages, settings as clients write them.

use std::fs;

use crate::harness::Home;

#[test]
fn completions_and_manual_pages_name_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.succeed(&["completions", shell]);
        for command in ["escalation", "backup", "rotate-token"] {
            assert!(script.contains(command), "{command} is not in the completions for {shell}");
        }
    }
    let pages = home.path().join("man");
    fs::create_dir(&pages).unwrap();
    home.succeed(&["man", pages.to_str().unwrap()]);
    for page in ["team-table.1", "team-table-poll.1", "team-table-policy-install.1"] {
        assert!(fs::read_to_string(pages.join(page)).unwrap().contains(".TH"), "{page}");
    }
}

#[test]
fn a_server_for_clients_refuses_a_database_that_depends_on_the_folder() {
    let home = Home::new();
    let output = home.run(&["--db", "t.db"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("use an absolute path or ~/"), "{said}");
}

#[test]
fn the_demo_tells_its_story_to_the_end() {
    let home = Home::new();
    let story = home.succeed(&["demo"]);
    assert!(
        story.contains("its audit chain is whole") && story.contains("That was the whole story"),
        "{story}"
    );
}
