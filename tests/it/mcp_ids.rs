//! Whatever line a client writes: if its id can be read, it is answered under that id.

use proptest::prelude::*;
use serde_json::Value;
use team_table::mcp::serve_lines;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::mcp_support::{PATIENCE, table};

/// Ids as they are written and as they are read, both JSON; `N` keeps each apart from those of the other lines.
const IDS: [(&str, &str); 7] = [
    ("N", "N"),
    ("N.5", "N.5"),
    ("18446744073709550N", "18446744073709550N"),
    ("-N", "-N"),
    (r#""xN""#, r#""xN""#),
    (r#""N \ud83d""#, r#""N \ufffd""#),
    (r#""\\ud83dN""#, r#""\\ud83dN""#),
];

/// The rest of a request, from sound to absurd.
fn rest() -> impl Strategy<Value = String> {
    let method = prop_oneof![
        Just(r#""ping""#),
        Just(r#""tools/list""#),
        Just(r#""tools/call""#),
        Just(r#""initialize""#),
        Just(r#""no/such""#),
        Just(r#""notifications/initialized""#),
        Just("7"),
        Just("null"),
    ];
    let params = prop_oneof![
        Just(String::new()),
        Just(r#","params":{"name":"list_members","arguments":{}}"#.to_owned()),
        Just(r#","params":{"name":"register","arguments":"{}"}"#.to_owned()),
        Just(r#","params":{"name":"register","arguments":{"name":"a \ud83d"}}"#.to_owned()),
        Just(r#","params":{"cursor":""}"#.to_owned()),
        Just(r#","params":[1,2]"#.to_owned()),
        Just(r#","params":"text""#.to_owned()),
        // A second `id` would replace the one that is asked under.
        "[a-z]{1,8}"
            .prop_filter("no second id", |name| name != "id")
            .prop_map(|name| format!(r#","params":{{"{name}":null}},"{name}":[{{}}]"#)),
    ];
    let version =
        prop_oneof![9 => Just(r#""jsonrpc":"2.0","#), 1 => Just(r#""jsonrpc":"1.0","#), 1 => Just("")];
    (version, method, params)
        .prop_map(|(version, method, params)| format!("{version}\"method\":{method}{params}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_readable_id_is_answered(
        lines in proptest::collection::vec((0..IDS.len(), rest(), proptest::collection::vec("\\PC{0,12}", 0..2), any::<bool>()), 1..12)
    ) {
        let mut text = String::new();
        let mut asked: Vec<Value> = Vec::new();
        for (n, (id, rest, rubbish, batched)) in lines.into_iter().enumerate() {
            for line in rubbish {
                // Text that happens to be JSON has an id of its own.
                text.extend(["~", &line, "\n"]);
            }
            let number = (n + 100).to_string();
            let (written, read) = IDS[id];
            let (written, read) = (written.replace('N', &number), read.replace('N', &number));
            let request = format!("{{\"id\":{written},{rest}}}");
            text.extend(if batched { ["[7,", &request, "]\n"] } else { [&request, "", "\n"] });
            asked.push(serde_json::from_str(&read).unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let unanswered = runtime.block_on(async {
            let (stop, (ours, theirs)) = (CancellationToken::new(), tokio::io::duplex(1 << 20));
            let (input, output) = tokio::io::split(theirs);
            let serving = tokio::spawn(serve_lines(table().await, None, input, output, stop.clone()));
            let (read, mut write) = tokio::io::split(ours);
            write.write_all(text.as_bytes()).await.unwrap();
            let mut answers = BufReader::new(read).lines();
            let mut left = asked;
            let listening = async {
                while !left.is_empty() {
                    let Ok(Some(line)) = answers.next_line().await else { break };
                    let answer: Value = serde_json::from_str(&line).unwrap();
                    left.retain(|id| *id != answer["id"]);
                }
            };
            let _ = tokio::time::timeout(PATIENCE, listening).await;
            stop.cancel();
            serving.await.unwrap();
            left
        });
        prop_assert!(unanswered.is_empty(), "not answered: {unanswered:?} of {text}");
    }
}
