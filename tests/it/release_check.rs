//! `upgrade --check`: what it compares, what it refuses, and that it goes only where it is sent.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::cli::complaint;
use crate::harness::Home;

fn release(version: &str) -> Value {
    json!({
        "name": "team-table", "version": version, "commit": "0cffee8", "date": "2026-11-27",
        "files": [
            { "file": "other.zip", "kind": "archive", "target": "no-such-target", "size": 1, "sha256": "00" },
        ],
    })
}

/// A server that answers each path with what `answer` makes of it; its address.
fn serve(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream: TcpStream = stream;
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            assert!(!request.to_lowercase().contains("authorization"), "{request}");
            let path = request.split(' ').nth(1).unwrap_or_default();
            // The client may have heard enough.
            let _ = stream.write_all(answer(path).as_bytes());
        }
    });
    address
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn redirect(target: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

#[test]
fn a_release_is_compared_with_this_program() {
    let home = Home::new();
    let path = home.path().join("release.json");
    let file = path.to_str().unwrap();
    for (version, status, words) in [
        ("0.0.9", 0, "This program is newer."),
        (env!("CARGO_PKG_VERSION"), 0, "This program is up to date."),
        ("99.0.0-rc.1", 1, "There is a newer version."),
    ] {
        fs::write(&path, release(version).to_string()).unwrap();
        let output = home.run(&["upgrade", "--check", file]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(
            text.contains(words) && text.contains(&format!("there: {version} 0cffee8 2026-11-27\n")),
            "{text}"
        );
        // It is not known how a program below target/ was installed.
        assert_eq!(text.contains("npm install"), status == 1, "{text}");
        assert!(!text.contains("other.zip"), "{text}");
        let output = home.run(&["upgrade", "--json", "--check", file]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&answer["newer"], &answer["there"]["version"]), (&json!(status == 1), &json!(version)));
        assert_eq!(answer["this"]["version"], env!("CARGO_PKG_VERSION"));
    }
    assert!(!home.db().exists(), "it needs no database");
}

#[test]
fn what_is_no_release_has_status_two() {
    let home = Home::new();
    let path = home.path().join("release.json");
    let file = path.to_str().unwrap();
    assert!(complaint(home.run(&["upgrade", "--check", file]), 2).contains("No such file"));
    let mut foreign = release("1.0.0");
    foreign["name"] = "other\u{1b}[2J".into();
    for (text, words) in [
        ("{".to_owned(), "no release.json"),
        (json!({ "name": "team-table" }).to_string(), "missing field `version`"),
        (release("tomorrow\u{1b}]0;x\u{7}").to_string(), "is no version"),
        (foreign.to_string(), "release.json of other"),
        (" ".repeat(1024 * 1024 + 1), "longer than"),
    ] {
        fs::write(&path, text).unwrap();
        let said = complaint(home.run(&["upgrade", "--check", file]), 2);
        assert!(said.contains(words) && !said.contains('\u{1b}'), "{said}");
    }
    for address in ["http://", "http://127.0.0.1:1/release.json"] {
        complaint(home.run(&["upgrade", "--check", address]), 2);
    }
}

#[test]
fn hostile_words_of_a_release_move_no_cursor() {
    let home = Home::new();
    let path = home.path().join("release.json");
    let mut hostile = release("99.0.0");
    hostile["commit"] = "\u{1b}[2J\nThis program is up to date.".into();
    fs::write(&path, hostile.to_string()).unwrap();
    let output = home.run(&["upgrade", "--check", path.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        !text.contains('\u{1b}') && !text.lines().any(|line| line == "This program is up to date."),
        "{text}"
    );
}

#[test]
fn a_release_is_read_from_an_address_that_the_user_names() {
    let home = Home::new();
    let address = serve(|path| match path {
        "/release.json" => ok(&release("99.0.0").to_string()),
        "/latest" => redirect("/release.json"),
        "/circle" => redirect("/circle"),
        "/file" => redirect("file:///etc/passwd"),
        // The length is not announced: the end is that of the connection.
        "/endless" => format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(1024 * 1024 + 1)),
        _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
    });
    for path in ["/release.json", "/latest"] {
        let output = home.run(&["upgrade", "--check", &format!("{address}{path}")]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code() == Some(1) && text.contains("there: 99.0.0"), "{path}: {text}");
    }
    for (path, words) in [
        ("/circle", "redirects more than 5 times"),
        ("/file", "is no address"),
        ("/endless", "longer than 1048576 bytes"),
        ("/none", "404"),
    ] {
        let said = complaint(home.run(&["upgrade", "--check", &format!("{address}{path}")]), 2);
        assert!(said.contains(words), "{path}: {said}");
    }
}

#[test]
fn doctor_asks_one_server_whether_it_is_ready() {
    let home = Home::new();
    let ready = serve(|path| if path == "/readyz" { ok("ready") } else { redirect("/readyz") });
    let text = home.succeed(&["doctor", "--ready", &format!("{ready}/")]);
    assert!(text.contains("is ready") && text.lines().count() == 1, "{text}");
    let busy = serve(|_| "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned());
    let output = home.run(&["doctor", "--ready", &busy]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("WRONG") && text.contains("503"), "{text}");
    assert!(!home.db().exists());
}
