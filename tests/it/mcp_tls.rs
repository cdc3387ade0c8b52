//! TLS: the same table over https, a certificate replaced under way, and who is turned away before a word of
//! HTTP is spoken.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use team_table::mcp::{HttpOptions, Tls};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::cli::{complaint, doctor, finding};
use crate::harness::{Home, Network, Process, set_mode};
use crate::mcp_support::{Client, NEVER, PATIENCE, Server, call, mcp, rpc};

/// A certificate for `localhost`, with its key.
struct Identity {
    cert: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Self {
        Self::until(2040, 1, 2)
    }

    fn until(year: i32, month: u8, day: u8) -> Self {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        Self { cert: cert.pem(), key: key.serialize_pem(), der: cert.der().clone() }
    }
}

/// The two files that a server reads.
struct Files(TempDir);

impl Files {
    fn of(identity: &Identity) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put(identity);
        files
    }

    /// Puts both files right again.
    fn put(&self, identity: &Identity) {
        if self.cert().is_dir() {
            fs::remove_dir(self.cert()).unwrap();
        }
        fs::write(self.cert(), &identity.cert).unwrap();
        fs::write(self.key(), &identity.key).unwrap();
        self.key_mode(0o600);
    }

    fn key_mode(&self, mode: u32) {
        set_mode(&self.key(), mode);
    }

    fn cert(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// As flags, after others.
    fn flags(&self, more: &[&str]) -> Vec<String> {
        let (cert, key) = (self.cert().display().to_string(), self.key().display().to_string());
        let tls = ["--tls-cert".into(), cert, "--tls-key".into(), key];
        more.iter().map(|flag| (*flag).to_owned()).chain(tls).collect()
    }

    fn process(&self, home: &Home, host: &str) -> Network {
        let flags = self.flags(&["--host", host]);
        Network::with(home, &flags.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn options(&self) -> HttpOptions {
        let tls = Tls::load(&self.cert(), &self.key()).unwrap();
        HttpOptions { tls: Some(Arc::new(tls)), ..HttpOptions::default() }
    }
}

/// What a client wants of the handshake.
#[derive(Clone, Copy)]
struct Wants<'a> {
    versions: &'a [&'static SupportedProtocolVersion],
    protocol: &'a [u8],
}

const USUAL: Wants<'static> = Wants { versions: ALL_VERSIONS, protocol: b"http/1.1" };

/// A handshake with a server that must show exactly this certificate.
async fn shake_hands(
    server: SocketAddr,
    trusted: &Identity,
    wants: Wants<'_>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(wants.versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![wants.protocol.to_vec()];
    let stream = TcpStream::connect(server).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
    tokio::time::timeout(PATIENCE, shaken).await.expect("the server is silent")
}

async fn connect(server: SocketAddr, trusted: &Identity) -> Client {
    Client::over(shake_hands(server, trusted, USUAL).await.unwrap(), "localhost".into())
}

/// The body of a GET on a connection of its own.
async fn get(server: SocketAddr, trusted: &Identity, path: &str) -> String {
    let mut client = connect(server, trusted).await;
    client.send(&format!("GET {path}"), &[], "").await;
    client.response().await.body
}

/// A client that speaks no TLS, or not much.
async fn raw(server: SocketAddr) -> Client {
    Client::new(TcpStream::connect(server).await.unwrap())
}

/// The first message of a handshake by a client that knows nothing newer than `version`.
fn hello(version: [u8; 2]) -> Vec<u8> {
    // No session, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression; P-256; ECDSA with SHA-256.
    let end = [0, 0, 2, 0xc0, 0x2b, 1, 0];
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    let body = [&version[..], &[7; 32], &end, &[0, 16], &extensions].concat();
    let length = |bytes: usize| u8::try_from(bytes).unwrap();
    [&[0x16, 3, 1, 0, length(body.len() + 4), 1, 0, 0, length(body.len())][..], &body].concat()
}

#[tokio::test]
async fn the_whole_protocol_is_spoken_over_both_versions() {
    let identity = Identity::new();
    let files = Files::of(&identity);
    let server = Server::with(files.options()).await;
    let versions: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];
    for (version, name) in versions.into_iter().zip(["alice", "bob"]) {
        let stream = shake_hands(server.address, &identity, Wants { versions: version, ..USUAL });
        let stream = stream.await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(version[0].version));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut client = Client::over(stream, "localhost".into());
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        client.send("POST /mcp", &mcp(&[]), &rpc(1, "initialize", hello)).await;
        assert_eq!(client.response().await.json()["result"]["protocolVersion"], "2025-11-25");
        client.send("POST /mcp", &mcp(&[]), &rpc(2, "tools/list", json!({}))).await;
        assert_eq!(client.response().await.json()["result"]["tools"].as_array().unwrap().len(), 13);
        client.send("POST /mcp", &mcp(&[]), &call(3, "register", json!({"name": name}))).await;
        assert_eq!(client.response().await.json()["result"]["structuredContent"]["name"], name);

        let mut session = connect(server.address, &identity).await;
        session.send("GET /sse", &[], "").await;
        assert_eq!(session.head().await.status, 200);
        let endpoint = format!("POST {}", session.event().await.unwrap().data);
        client.send(&endpoint, &mcp(&[]), &call(4, "list_members", json!({}))).await;
        assert_eq!(client.response().await.status, 202);
        let reply = session.event().await.unwrap().json();
        assert_eq!(reply["result"]["structuredContent"]["code"], "unauthenticated", "{reply}");

        client.send("GET /metrics", &[("host", "evil.example")], "").await;
        assert_eq!(client.response().await.status, 403, "the guard stands behind TLS as before");
    }
    for (path, body) in [("/healthz", "ok"), ("/readyz", "ready")] {
        assert_eq!(get(server.address, &identity, path).await, body);
    }
    server.stop().await;
}

#[tokio::test]
async fn large_bodies_survive_tls_in_both_directions() {
    let identity = Identity::new();
    let server = Server::with(Files::of(&identity).options()).await;
    let mut client = connect(server.address, &identity).await;
    client.send("POST /mcp", &mcp(&[]), &call(1, "register", json!({"name": "alice"}))).await;
    let joined = client.response().await.json();
    let bearer = format!("Bearer {}", joined["result"]["structuredContent"]["token"].as_str().unwrap());
    // Of four bytes a character: more than the buffers on the way hold.
    let value = "\u{1f427}".repeat(50_000);
    let share = json!({"agent_name": "alice", "key": "birds", "value": value});
    for (tool, arguments) in [("share_context", share), ("get_shared_context", json!({"key": "birds"}))] {
        client.send("POST /mcp", &mcp(&[("authorization", &bearer)]), &call(2, tool, arguments)).await;
        let reply = client.response().await.json();
        assert_eq!(reply["result"]["structuredContent"]["value"], value.as_str(), "{tool}");
    }
    server.stop().await;
}

#[tokio::test]
async fn other_protocols_and_older_versions_are_refused_in_the_handshake() {
    let identity = Identity::new();
    let server = Server::with(Files::of(&identity).options()).await;
    let h2 = shake_hands(server.address, &identity, Wants { protocol: b"h2", ..USUAL }).await;
    assert!(h2.unwrap_err().to_string().contains("NoApplicationProtocol"));
    // An alert is fatal (2) and says why: 70 is "protocol version".
    let (alert, version): (&[u8], u8) = (&[0x15, 3, 3, 0, 2, 2], 70);
    for old in [[3, 0], [3, 1], [3, 2]] {
        let mut client = raw(server.address).await;
        client.write(&hello(old)).await;
        assert_eq!(client.closed_bytes().await, [alert, &[version]].concat(), "{old:?}");
    }
    // Only the version was wrong with that: the same hello of a TLS 1.2 client is answered (2 is its answer's kind).
    let mut client = raw(server.address).await;
    client.write(&hello([3, 3])).await;
    let answer = client.bytes(6).await;
    assert_eq!((answer[0], answer[5]), (0x16, 2), "{answer:?}");
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_plain_http_client_is_hung_up_on_and_leaves_nothing_behind() {
    let identity = Identity::new();
    let server = Server::with(Files::of(&identity).options()).await;
    for request in ["GET /healthz", "POST /mcp"] {
        let mut client = raw(server.address).await;
        client.send(request, &[("authorization", "Bearer tt_x")], "").await;
        let answer = client.closed_bytes().await;
        assert!(
            answer.is_empty() || (answer.len() == 7 && answer[0] == 0x15),
            "more than an alert: {answer:?}"
        );
    }
    raw(server.address).await.write(&vec![0; 100_000]).await;
    while !get(server.address, &identity, "/metrics").await.contains("\nteam_table_http_connections 1\n") {}
    server.stop().await;
}

#[tokio::test]
async fn stalled_handshakes_hold_up_nobody_and_take_part_in_the_limit() {
    let identity = Identity::new();
    let mut options = Files::of(&identity).options();
    options.limits.connections = 3;
    // That others are served has nothing to do with these being cut, nor with the end of the drain time.
    (options.limits.handshake_timeout, options.limits.drain) = (NEVER, NEVER);
    let server = Server::with(options).await;
    let silent = raw(server.address).await;
    let mut half = raw(server.address).await;
    half.write(&hello([3, 3])[..40]).await;
    assert_eq!(get(server.address, &identity, "/healthz").await, "ok");
    // With a third that stalls there is no room, and no plain word is said to who comes then.
    let third = loop {
        let mut third = raw(server.address).await;
        third.write(&hello([3, 3])).await;
        // The connection from above may not have ended yet.
        if third.read().await {
            break third;
        }
    };
    assert_eq!(raw(server.address).await.closed().await, "");
    server.tell_to_stop();
    for client in [silent, half, third] {
        assert!(!client.closed().await.contains("HTTP"));
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut() {
    let identity = Identity::new();
    let mut options = Files::of(&identity).options();
    options.limits.handshake_timeout = Duration::from_millis(200);
    let server = Server::with(options).await;
    // The silent, those who stop in the middle of a message, and those who do not answer ours.
    for bytes in [0, 1, 40, hello([3, 3]).len()] {
        let mut client = raw(server.address).await;
        client.write(&hello([3, 3])[..bytes]).await;
        client.closed().await;
    }
    // Whoever is through has the time of a request.
    assert_eq!(get(server.address, &identity, "/healthz").await, "ok");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let identity = Identity::new();
    let mut options = Files::of(&identity).options();
    options.limits.write_timeout = Duration::from_millis(200);
    let server = Server::with(options).await;
    let mut deaf = shake_hands(server.address, &identity, USUAL).await.unwrap();
    // Replies pile up until no more fits on the way; then nothing is read either, until the server gives up.
    let piling =
        async { while deaf.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_ok() {} };
    tokio::time::timeout(PATIENCE, piling).await.expect("the server waits for ever");
    server.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_nobody() {
    let (first, second) = (Identity::new(), Identity::new());
    let home = Home::new();
    let files = Files::of(&first);
    let process = files.process(&home, "127.0.0.1");
    let address: SocketAddr = process.address.parse().unwrap();
    let mut kept_alive = connect(address, &first).await;
    let mut stream = connect(address, &first).await;
    stream.send("GET /sse", &[], "").await;
    stream.head().await;
    let endpoint = format!("POST {}", stream.event().await.unwrap().data);

    files.put(&second);
    assert_eq!(get(address, &first, "/healthz").await, "ok", "nothing is read before it is asked for");
    process.hang_up();
    process.logs("TLS certificate in use");
    let shown_old = shake_hands(address, &first, USUAL).await;
    assert!(shown_old.unwrap_err().to_string().contains("certificate"));
    // The stream goes on, fed over a new connection and over one from before.
    let mut fresh = connect(address, &second).await;
    for (id, poster) in [(1, &mut fresh), (2, &mut kept_alive)] {
        poster.send(&endpoint, &mcp(&[]), &rpc(id, "ping", json!({}))).await;
        assert_eq!(poster.response().await.status, 202);
        assert_eq!(stream.event().await.unwrap().json()["id"], id);
    }

    let spoil: [(&str, &dyn Fn()); 4] = [
        ("not the key of the certificate", &|| fs::write(files.key(), &first.key).unwrap()),
        ("chmod 600", &|| files.key_mode(0o640)),
        ("no certificate", &|| fs::write(files.cert(), "").unwrap()),
        ("No such file", &|| fs::remove_file(files.cert()).unwrap()),
    ];
    for (why, spoil) in spoil {
        files.put(&second);
        spoil();
        process.hang_up();
        let log = process.logs("was not replaced");
        assert!(log.contains("ERROR") && log.contains(why), "{log}");
        assert_eq!(get(address, &second, "/healthz").await, "ok", "after {why}");
    }
    files.put(&first);
    process.hang_up();
    process.logs("TLS certificate in use");
    assert_eq!(get(address, &first, "/healthz").await, "ok", "and it can still be replaced");
    fresh.send("GET /healthz", &[], "").await;
    assert_eq!(fresh.response().await.body, "ok");
}

#[tokio::test]
async fn plaintext_warning_only_without_tls() {
    let home = Home::new();
    Network::with(&home, &["--host", "0.0.0.0"]).logs("tokens cross the network in the clear");
    let identity = Identity::new();
    let files = Files::of(&identity);
    let process = files.process(&home, "0.0.0.0");
    // What is said at the start is said before anything is served.
    assert_eq!(get(process.address.parse().unwrap(), &identity, "/healthz").await, "ok");
    process.hang_up();
    let log = process.logs("TLS certificate in use");
    assert!(!log.contains("in the clear"), "{log}");
}

#[test]
fn unusable_certificates_are_named_before_the_port_opens() {
    let home = Home::new();
    let (good, other) = (Identity::new(), Identity::new());
    let files = Files::of(&good);
    let run = |flags: &[String]| home.command().args(flags).output().unwrap();
    let network = ["--transport", "streamable-http", "--host", "127.0.0.1", "--port", "0"];

    for (flag, file, words) in [
        ("--tls-cert", files.cert(), "TEAM_TABLE_TLS_CERT needs TEAM_TABLE_TLS_KEY"),
        ("--tls-key", files.key(), "TEAM_TABLE_TLS_KEY needs TEAM_TABLE_TLS_CERT"),
    ] {
        let by_flag = home.command().args(network).arg(flag).arg(&file).output().unwrap();
        let variable = words.split(' ').next().unwrap();
        let by_environment = home.command().args(network).env(variable, &file).output().unwrap();
        for output in [by_flag, by_environment] {
            let line = complaint(output, 2);
            assert!(line.contains(words), "{line}");
        }
    }
    for stdio in [&["--transport", "stdio"][..], &["serve"]] {
        let line = complaint(run(&files.flags(stdio)), 2);
        assert!(line.contains("TEAM_TABLE_TLS_CERT") && line.contains("TEAM_TABLE_TRANSPORT"), "{line}");
    }

    let large = format!("{}{}", good.cert, "#".repeat(1024 * 1024));
    let broken = good.cert.replacen("MII", "!!!", 1);
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let write = |file: PathBuf, text: &str| fs::write(file, text).unwrap();
    let cases: [(&str, &str, &dyn Fn()); 13] = [
        ("certificate", "No such file", &|| fs::remove_file(files.cert()).unwrap()),
        ("certificate", "directory", &|| {
            fs::remove_file(files.cert()).unwrap();
            fs::create_dir(files.cert()).unwrap();
        }),
        ("certificate", "no certificate in PEM form", &|| write(files.cert(), "")),
        ("certificate", "no certificate in PEM form", &|| write(files.cert(), &good.key)),
        ("certificate", "base64", &|| write(files.cert(), &broken)),
        ("certificate", "not what it should be", &|| write(files.cert(), no_certificate)),
        ("certificate", "larger than", &|| write(files.cert(), &large)),
        ("key", "No such file", &|| fs::remove_file(files.key()).unwrap()),
        ("key", "no private key in PEM form", &|| write(files.key(), "")),
        ("key", "no private key in PEM form", &|| write(files.key(), &good.cert)),
        ("key", "not the key of the certificate", &|| write(files.key(), &other.key)),
        ("key", "chmod 600", &|| files.key_mode(0o640)),
        ("key", "chmod 600", &|| files.key_mode(0o604)),
    ];
    for (what, words, spoil) in cases {
        files.put(&good);
        spoil();
        let file = if what == "key" { files.key() } else { files.cert() };
        let line = complaint(run(&files.flags(&network)), 1);
        for part in [&format!("the TLS {what} {} cannot", file.display()), words, "TEAM_TABLE_TLS_CERT"] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
    }
    assert!(!home.db().exists(), "nothing is made before the files are right");
    files.put(&good);
    let mut list = home.command();
    list.env("TEAM_TABLE_TLS_CERT", files.cert()).env("TEAM_TABLE_TLS_KEY", files.key());
    home.make_db();
    let listed = list.args(["agent", "list"]).output().unwrap();
    assert!(listed.status.success(), "an operator's command is no server");
}

#[test]
fn the_doctor_looks_at_the_certificate() {
    let home = Home::new();
    let files = Files::of(&Identity::new());
    let look = || {
        let flags = files.flags(&["--transport", "sse", "--host", "127.0.0.1", "--port", "0"]);
        let (status, report) = doctor(&home, &flags.iter().map(String::as_str).collect::<Vec<_>>());
        (status, finding(&report, "certificate").clone())
    };
    let (status, found) = look();
    assert_eq!((status, &found["ok"]), (Some(0), &json!(true)), "{found}");
    assert!(found["found"].as_str().unwrap().contains("valid until 2040-01-02T00:00:00"), "{found}");
    files.put(&Identity::until(2020, 5, 6));
    let (status, found) = look();
    assert_eq!((status, &found["ok"]), (Some(1), &json!(false)), "{found}");
    assert!(found["found"].as_str().unwrap().contains("expired at 2020-05-06T00:00:00"), "{found}");
    files.key_mode(0o644);
    let (status, found) = look();
    assert_eq!(status, Some(1));
    assert!(found["found"].as_str().unwrap().contains("chmod 600"), "{found}");
}

#[test]
fn a_table_elsewhere_is_entered_where_its_certificate_is_vouched_for() {
    let (table, here) = (Home::new(), Home::new());
    let files = Files::of(&Identity::new());
    let server = files.process(&table, "127.0.0.1");
    let token = table.start().join("bob");
    let port = server.address.rsplit_once(':').unwrap().1;
    let url = format!("https://localhost:{port}");
    let set_up = |more: &[&str]| {
        let mut command = here.command();
        command
            .env("PATH", "/nonexistent")
            .args(["setup", "gemini", "--token-stdin", "--yes", "--url", &url])
            .args(more);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may end before it reads.
        let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
        child.wait_with_output().unwrap()
    };
    let stranger = set_up(&[]);
    assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
    assert!(
        String::from_utf8_lossy(&stranger.stderr).contains("cannot be reached: invalid peer certificate"),
        "{stranger:?}"
    );
    let cert = files.cert();
    let known = set_up(&["--ca", cert.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&known.stdout).contains("knows this token as bob"), "{known:?}");
    let mut bob = Process::spawn(here.command().args(["--url", &url]));
    assert_eq!(bob.call("heartbeat", json!({ "name": "bob" })).ok()["name"], "bob");
}

#[test]
fn a_person_signs_in_from_a_command_line_where_the_certificate_is_vouched_for() {
    let (table, here) = (Home::new(), Home::new());
    let files = Files::of(&Identity::new());
    let server = files.process(&table, "127.0.0.1");
    let url = format!("https://localhost:{}", server.address.rsplit_once(':').unwrap().1);
    let invited =
        table.succeed(&["person", "invite", "anna", "--role", "viewer", "--server", &url, "--json"]);
    let invited: serde_json::Value = serde_json::from_str(&invited).unwrap();
    let link = invited["link"].as_str().unwrap();
    let stranger = here.run(&["person", "sign-in", link]);
    let said = String::from_utf8(stranger.stderr).unwrap();
    assert!(said.contains("cannot be reached: invalid peer certificate"), "{said}");
    assert!(said.contains("--ca FILE of team-table setup or person sign-in"), "{said}");
    let cert = files.cert();
    here.succeed(&["person", "sign-in", link, "--ca", cert.to_str().unwrap()]);
    let board = here.succeed(&["board", "--url", &url]);
    assert!(board.starts_with("there are no tasks yet"), "{board}");
}
