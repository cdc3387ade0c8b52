//! Lines as a client may write them to standard input: whatever they are, the lines that come back are JSON-RPC, and a good
//! request after them is answered.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use team_table::mcp::serve_lines;
use team_table_fuzz::{Desk, PATIENCE};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

/// The id of the request after the input.
const PROBE: &str = "the request after the input";

static DESK: LazyLock<Desk> = LazyLock::new(Desk::open);

fuzz_target!(|data: &[u8]| {
    let table = DESK.table.clone();
    DESK.runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (input, output) = tokio::io::split(theirs);
        let serving = tokio::spawn(serve_lines(table, None, input, output, CancellationToken::new()));
        let (read, mut write) = tokio::io::split(ours);
        let probe = json!({ "jsonrpc": "2.0", "id": PROBE, "method": "ping" });
        let sent = [data, b"\n", probe.to_string().as_bytes(), b"\n"].concat();
        let writing = tokio::spawn(async move {
            write.write_all(&sent).await.expect("the server reads");
            write
        });
        let mut lines = BufReader::new(read).lines();
        let answered = async {
            loop {
                let line = lines.next_line().await.expect("UTF-8").expect("the server has not ended");
                let message: Value = serde_json::from_str(&line).expect("JSON");
                assert_eq!(message["jsonrpc"], "2.0", "{line}");
                if message["id"] == PROBE {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("a good request is not answered");
        // What is under way may be a long poll.
        serving.abort();
        writing.await.expect("all was written");
    });
});
