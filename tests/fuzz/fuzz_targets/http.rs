//! Bytes as anybody may send them to the HTTP port: answered in HTTP or hung up on, never with a fault of ours, and the next
//! connection is served.

#![no_main]

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use team_table::mcp::{HttpLimits, HttpOptions, serve_http};
use team_table_fuzz::{Desk, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// After the input: ends a head that was not ended, and asks for the end of the connection.
const LAST: &[u8] = b"\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
/// How long a body may take to arrive, and how long a response may be silent before it counts as endless.
const SHORT: Duration = Duration::from_millis(50);

static SERVER: LazyLock<(Desk, SocketAddr)> = LazyLock::new(|| {
    let desk = Desk::open();
    let (listener, address) = desk.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    });
    let limits = HttpLimits {
        head_timeout: SHORT,
        body_timeout: SHORT,
        failed_tokens: u32::MAX,
        ..HttpLimits::default()
    };
    let options = HttpOptions { limits, ..HttpOptions::default() };
    desk.runtime.spawn(serve_http(desk.table.clone(), listener, options, CancellationToken::new()));
    (desk, address)
});

fuzz_target!(|data: &[u8]| {
    let (desk, address) = &*SERVER;
    desk.runtime.block_on(async {
        let mut stream = TcpStream::connect(address).await.expect("the server accepts");
        // A connection that was hung up on takes no more bytes.
        let _ = stream.write_all(&[data, LAST].concat()).await;
        let mut response = Vec::new();
        while let Ok(Ok(1..)) = tokio::time::timeout(SHORT * 2, stream.read_buf(&mut response)).await {}
        let is_http = response.is_empty() || response.starts_with(b"HTTP/1.");
        let status = response.get(9..12);
        assert!(is_http && status != Some(b"500"), "{}", String::from_utf8_lossy(&response));
    });
    // Now and then: is it still there?
    if data.len() % 16 == 0 {
        desk.runtime.block_on(async {
            let mut stream = TcpStream::connect(address).await.expect("the server accepts");
            stream.write_all(LAST.trim_ascii_start()).await.expect("the server reads");
            let mut response = Vec::new();
            let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut response)).await;
            assert!(matches!(read, Ok(Ok(_))) && response.starts_with(b"HTTP/1.1 200"), "{response:?}");
        });
    }
});
