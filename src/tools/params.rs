//! Reading arguments the way models write them: numbers as text, lists as JSON text, `null` for "left out".

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::refusal::Refusal;

/// Most characters of an error's words: enough for the longest list of parameters.
const MAX_ERROR: usize = 300;

/// A number, or text that holds one.
pub(super) fn integer<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    match Value::deserialize(input)? {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| whole(number.as_f64()?))
            .ok_or_else(|| D::Error::custom(format!("{number} is not a whole number"))),
        Value::String(text) => text
            .trim()
            .parse()
            .map_err(|_| D::Error::custom(format!("{:?} is not a whole number", short(&text)))),
        other => Err(D::Error::custom(format!("{} is not a whole number", kind(&other)))),
    }
}

/// As [`integer`], for a parameter that may be left out.
pub(super) fn optional_integer<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    integer(input).map(Some)
}

/// `true`, `false`, or text that says so.
pub(super) fn boolean<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    match Value::deserialize(input)? {
        Value::Bool(value) => Ok(value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(D::Error::custom(format!("{} is not true or false", kind(&other)))),
    }
}

/// A list, or text that holds one as JSON.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(input: D) -> Result<Vec<T>, D::Error> {
    let value = match Value::deserialize(input)? {
        Value::String(text) if text.trim().is_empty() => return Ok(Vec::new()),
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|_| D::Error::custom(format!("{:?} is not a list, nor JSON for one", short(&text))))?,
        other => other,
    };
    let read = serde_json::from_value(value.clone());
    // Numbers are taken as text here as well as alone.
    let read = read.or_else(|error| {
        let items = value.as_array().into_iter().flatten();
        let numbers = items.map(|item| match item {
            Value::String(text) => text.trim().parse::<i64>().map_or_else(|_| item.clone(), Value::from),
            other => other.clone(),
        });
        serde_json::from_value(numbers.collect()).map_err(|_| error)
    });
    read.map_err(|error| D::Error::custom(format!("not a list of the right kind: {error}")))
}

/// A whole number that came with a decimal point, such as `3.0`.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads a tool's parameters. `schema` is for the hint.
pub(super) fn parse<P: DeserializeOwned>(
    arguments: Map<String, Value>,
    schema: &Map<String, Value>,
) -> Result<P, Refusal> {
    let given = arguments.into_iter().filter(|(_, value)| !value.is_null()).collect();
    serde_path_to_error::deserialize(Value::Object(given)).map_err(|error| {
        let path = error.path().to_string();
        // An unknown name is in the message already, cut short.
        let known = schema.get("properties").and_then(|all| all.get(path.split(['.', '[']).next()?));
        let place = known.map_or_else(String::new, |_| format!("{path}: "));
        Refusal::invalid(format!("wrong arguments: {place}{}", brief(error.inner())), expected(schema))
    })
}

/// What serde says, without most of an argument that it repeats.
fn brief(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.char_indices().nth(MAX_ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// `sender (string, required), reply_to (integer), …`
fn expected(schema: &Map<String, Value>) -> String {
    let required = schema.get("required").and_then(Value::as_array);
    let one = |(name, property): (&String, &Value)| {
        let kind = property.get("type").and_then(Value::as_str).unwrap_or("value");
        let must = required.is_some_and(|all| all.iter().any(|it| it == name));
        format!("{name} ({kind}{})", if must { ", required" } else { "" })
    };
    let all: Vec<String> =
        schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(one).collect();
    format!("it takes {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default, deserialize_with = "optional_integer")]
        id: Option<i64>,
        #[serde(default, deserialize_with = "boolean")]
        peek: bool,
        #[serde(default, deserialize_with = "list")]
        tags: Vec<String>,
        #[serde(default, deserialize_with = "list")]
        ids: Vec<i64>,
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test takes a json!() as it is")]
    fn sample(value: Value) -> Result<Sample, Refusal> {
        let schema = json!({ "properties": { "id": {}, "peek": {}, "tags": {}, "ids": {} } });
        parse(value.as_object().unwrap().clone(), schema.as_object().unwrap())
    }

    #[test]
    fn arguments_are_read_as_models_write_them() {
        let read = sample(json!({ "id": "7", "peek": "True", "tags": "[\"a\", \"b\"]" })).unwrap();
        assert_eq!((read.id, read.peek, read.tags), (Some(7), true, vec!["a".to_owned(), "b".to_owned()]));
        let read = sample(json!({ "id": null, "tags": ["a"] })).unwrap();
        assert_eq!((read.id, read.peek, read.tags.len()), (None, false, 1));
        assert_eq!(sample(json!({ "id": 3.0 })).unwrap().id, Some(3));
        assert_eq!(sample(json!({ "ids": ["4", 5, " 6 "] })).unwrap().ids, [4, 5, 6]);
    }

    #[test]
    fn bad_arguments_are_named() {
        for (value, words) in [
            (json!({ "id": "x" }), "\"x\" is not a whole number"),
            (json!({ "id": 1.5 }), "1.5 is not a whole number"),
            (json!({ "peek": 1 }), "a number is not true or false"),
            (json!({ "tags": "a" }), "is not a list"),
            (json!({ "tags": [1] }), "not a list of the right kind"),
            (json!({ "tags": [1] }), "wrong arguments: tags: "),
            (json!({ "id": "x" }), "wrong arguments: id: "),
            (json!({ "tagz": [] }), "unknown field `tagz`"),
        ] {
            let refusal = sample(value.clone()).unwrap_err();
            assert!(refusal.message.contains(words), "{value}: {}", refusal.message);
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(text in ".*", number in any::<f64>()) {
            let _ = sample(json!({ "id": text, "tags": text }));
            let _ = sample(json!({ "id": number }));
        }
    }
}
