//! Tool calls with whatever a model may write: every call ends, in a result or in a failure with a code that the contract
//! knows, and never in a fault of ours.
//!
//! An input is lines. A line of a tool's name, a space and a JSON object is that call as it stands; any other line becomes calls of
//! all kinds, each argument drawn by a byte from what models get right and wrong.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use team_table::tools::{ToolSpec, registry};
use team_table_fuzz::Desk;

/// The codes of the contract but `internal`: with nothing broken around it, that one is a fault of ours.
const CODES: [&str; 9] = [
    "invalid_argument",
    "unauthenticated",
    "permission_denied",
    "not_found",
    "already_exists",
    "failed_precondition",
    "resource_exhausted",
    "unavailable",
    "approval_required",
];

static DESK: LazyLock<Desk> = LazyLock::new(Desk::open);

fuzz_target!(|data: &[u8]| {
    for line in data.split(|byte| *byte == b'\n').take(16) {
        match written_out(line) {
            Some((tool, arguments)) => call(tool, arguments),
            None => {
                let mut bytes = line.iter().copied();
                while let Some(tool) = bytes.next() {
                    let spec = registry().nth(usize::from(tool) % registry().len()).expect("one of them");
                    call(spec, drawn(spec, &mut bytes));
                }
            }
        }
    }
});

fn call(spec: &ToolSpec, mut arguments: Map<String, Value>) {
    // A long poll would hold up the run; whether it ends is what other tests are for.
    if let Some(wait) = arguments.get_mut("wait_seconds") {
        let seconds = wait.as_f64().or_else(|| wait.as_str()?.trim().parse().ok());
        if seconds.is_some_and(|seconds| (1.0..=55.0).contains(&seconds)) {
            *wait = json!(0);
        }
    }
    let reply = DESK.call(spec.name, arguments.clone());
    let text = |key: &str| reply.body.get(key).and_then(Value::as_str).unwrap_or_default();
    let right = if reply.is_error {
        CODES.contains(&text("code")) && !text("error").is_empty() && !text("hint").is_empty()
    } else {
        !reply.body.is_empty() && !reply.body.contains_key("code")
    };
    assert!(right, "{} {arguments:?}: {reply:?}", spec.name);
}

fn written_out(line: &[u8]) -> Option<(&'static ToolSpec, Map<String, Value>)> {
    let (tool, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let spec = registry().find(|spec| spec.name == tool)?;
    Some((spec, serde_json::from_str(json).ok()?))
}

/// Arguments for a tool: each of its parameters left out, right, almost right or wrong.
fn drawn(spec: &ToolSpec, bytes: &mut impl Iterator<Item = u8>) -> Map<String, Value> {
    let properties =
        spec.input_schema.get("properties").and_then(Value::as_object).expect("an object's schema");
    let mut arguments = Map::new();
    for (name, property) in properties {
        let byte = bytes.next().unwrap_or_default();
        let number = i64::from(byte >> 4);
        let value = match (byte & 15, property.get("type").and_then(Value::as_str)) {
            (0, _) if name != "token" => continue,
            (0..=8, _) if name == "token" => continue,
            (1..=8, Some("integer")) => json!(number),
            (1..=8, Some("boolean")) => json!(number % 2 == 0),
            (1..=8, Some("array")) => (0..number % 4).collect(),
            (1..=8, _) => match name.as_str() {
                "role" => json!(["agent", "lead", "coder"][byte as usize % 3]),
                "status" => json!(
                    ["in_progress", "done", "blocked", "awaiting_review", "cancelled"][byte as usize % 5]
                ),
                "priority" => json!(["high", "medium", "low"][byte as usize % 3]),
                "key" | "prefix" => json!(["alice/plan", "plan", "bob/", "*"][byte as usize % 4]),
                _ => json!(["alice", "bob", "lead"][byte as usize % 3]),
            },
            (9, _) => Value::Null,
            (10, _) => json!(number.to_string()),
            (11, _) => json!(format!("[{number}, \"{number}\"]")),
            (12, _) => json!(i64::MIN + number),
            (13, _) => json!(f64::from(byte) * 1e300),
            (14, _) => json!("\u{0}%_'\"\\\u{202e}é".repeat(byte as usize * 8)),
            _ => json!({ "a": [number, null] }),
        };
        arguments.insert(name.clone(), value);
    }
    arguments
}
