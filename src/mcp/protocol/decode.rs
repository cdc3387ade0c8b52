//! One JSON text to one MCP message, with an answer for every way in which it is none: a client that sends
//! rubbish is told so and goes on. rmcp's own line codec drops most of it silently. Must not depend on where the
//! text came from.

use rmcp::model::ClientJsonRpcMessage;
use serde_json::{Value, json};

/// The largest message a client may send, in bytes.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;

/// What a text turned out to be.
pub(crate) enum Decoded {
    /// A message for the service.
    Message(Box<ClientJsonRpcMessage>),
    /// Nothing that may be answered: an empty line, or an unknown notification.
    Nothing,
    /// No message; this JSON-RPC error is the answer.
    Refused(Value),
    /// What a revision up to 2025-03-26 may send: several at once, each for [`decode_value`].
    Batch(Vec<Value>),
}

/// Messages that a batch may hold. A megabyte of empty ones would ask for an answer of many.
pub(super) const MAX_BATCH: usize = 50;

/// Reads one message.
pub(crate) fn decode(text: &[u8]) -> Decoded {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii();
    if text.is_empty() {
        return Decoded::Nothing;
    }
    if let Ok(message) = serde_json::from_slice(text) {
        return Decoded::Message(Box::new(message));
    }
    // JavaScript sends half of a pair where it has cut a text: the text is read as far as it is one.
    if let Some(mended) = without_lone_surrogates(text) {
        return decode(&mended);
    }
    match serde_json::from_slice::<Value>(text) {
        // The parser's own words would tell a client nothing it can use.
        Err(_) => refused(&Value::Null, PARSE_ERROR, "parse error: not JSON in UTF-8"),
        Ok(Value::Array(items)) if (1..=MAX_BATCH).contains(&items.len()) => Decoded::Batch(items),
        Ok(Value::Array(_)) => refused(
            &Value::Null,
            INVALID_REQUEST,
            &format!("invalid request: a batch holds 1 to {MAX_BATCH} messages"),
        ),
        Ok(value) => decode_value(value),
    }
}

/// Reads one message of a batch.
pub(crate) fn decode_value(value: Value) -> Decoded {
    if let Ok(message) = serde_json::from_value(value.clone()) {
        return Decoded::Message(Box::new(message));
    }
    match value {
        // JSON-RPC forbids an answer to a notification, however odd it is.
        Value::Object(object) if object.contains_key("method") && !object.contains_key("id") => {
            Decoded::Nothing
        }
        value => {
            let id = value.get("id").filter(|id| id.is_string() || id.is_number()).unwrap_or(&Value::Null);
            refused(id, INVALID_REQUEST, "invalid request: not an MCP message")
        }
    }
}

/// The answer to a batch under a revision that has none.
pub(crate) fn no_batches() -> Value {
    error(&Value::Null, INVALID_REQUEST, "invalid request: this revision of MCP has no batches")
}

/// The text with each escaped surrogate that has no partner as U+FFFD; `None` when there is none.
pub(crate) fn without_lone_surrogates(text: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| -> Option<u16> {
        let escape = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
    };
    let (mut mended, mut found, mut at) = (Vec::with_capacity(text.len()), false, 0);
    while let Some(byte) = text.get(at) {
        let length = match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                found = true;
                mended.extend_from_slice(b"\\ufffd");
                at += 6;
                continue;
            }
            // The character after a backslash begins no escape of its own.
            _ if *byte == b'\\' => 2,
            _ => 1,
        };
        mended.extend_from_slice(
            text.get(at..at + length).unwrap_or_else(|| text.get(at..).unwrap_or_default()),
        );
        at += length;
    }
    found.then_some(mended)
}

/// The answer to a message of more than [`MAX_MESSAGE`] bytes, which is not read to its end.
pub(crate) fn too_long() -> Value {
    error(
        &Value::Null,
        INVALID_REQUEST,
        &format!("invalid request: a message may have at most {MAX_MESSAGE} bytes"),
    )
}

fn refused(id: &Value, code: i32, message: &str) -> Decoded {
    Decoded::Refused(error(id, code, message))
}

/// rmcp's error type leaves an unknown id out; JSON-RPC 2.0 wants it null.
fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &[u8]) -> (Value, i64) {
        match decode(text) {
            Decoded::Refused(error) => (error["id"].clone(), error["error"]["code"].as_i64().unwrap()),
            Decoded::Message(message) => panic!("taken for a message: {message:?}"),
            Decoded::Nothing => panic!("silently dropped"),
            Decoded::Batch(items) => panic!("taken for a batch: {items:?}"),
        }
    }

    #[test]
    fn rubbish_has_its_error_code_and_the_id_if_it_can_be_told() {
        let deep = "[".repeat(100_000);
        for text in [b"{".as_slice(), b"nonsense", b"\xff\xfe{}", b"{\"id\":\"\xff\"}", deep.as_bytes()] {
            assert_eq!(refusal(text), (Value::Null, -32_700));
        }
        assert_eq!(refusal(b"[]"), (Value::Null, -32_600));
        assert_eq!(refusal(b"7"), (Value::Null, -32_600));
        assert_eq!(refusal(br#"{"id":7}"#), (json!(7), -32_600));
        assert_eq!(refusal(br#"{"id":"a","method":"ping"}"#), (json!("a"), -32_600), "jsonrpc is missing");
        assert_eq!(refusal(br#"{"jsonrpc":"1.0","id":{},"method":"ping"}"#), (Value::Null, -32_600));
        let twice = br#"{"jsonrpc":"2.0","id":7,"method":"ping","id":[{}]}"#;
        assert_eq!(refusal(twice), (Value::Null, -32_600), "of two ids the last counts, and it is none");
    }

    #[test]
    fn half_a_pair_is_read_and_every_number_is_an_id() {
        let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        for cut in [r#""cut \ud83d""#, r#""\ude00 end""#, r#""\ud83d\ud83d\ude00""#] {
            assert!(matches!(decode(ping(cut).as_bytes()), Decoded::Message(_)), "{cut}");
        }
        // An escaped backslash before a "u" is no escape of a character.
        assert_eq!(without_lone_surrogates(br#""\\ud83d""#), None);
        assert_eq!(without_lone_surrogates(br#""\ud83d\ude00""#), None);
        for id in ["1.5", "9223372036854775808"] {
            let expected: Value = serde_json::from_str(id).unwrap();
            assert_eq!(refusal(ping(id).as_bytes()), (expected, -32_600), "{id}");
        }
    }

    #[test]
    fn a_batch_is_read_message_by_message_and_is_bounded() {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let Decoded::Batch(items) = decode(format!("[{ping},7,{{\"id\":2}}]").as_bytes()) else { panic!() };
        let read: Vec<Decoded> = items.into_iter().map(decode_value).collect();
        assert!(
            matches!(&read[..], [Decoded::Message(_), Decoded::Refused(_), Decoded::Refused(error)] if error["id"] == 2)
        );
        let long = format!("[{}]", vec![ping; MAX_BATCH + 1].join(","));
        assert_eq!(refusal(long.as_bytes()), (Value::Null, -32_600));
    }

    #[test]
    fn blank_lines_and_unknown_notifications_are_not_answered() {
        for text in [b"".as_slice(), b" \t\r", br#"{"method":"x"}"#, br#"{"jsonrpc":"2.0","method":3}"#] {
            assert!(matches!(decode(text), Decoded::Nothing));
        }
    }

    #[test]
    fn a_message_may_be_padded_and_carry_a_byte_order_mark() {
        let text = b"\xEF\xBB\xBF  {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r";
        assert!(matches!(decode(text), Decoded::Message(_)));
    }
}
