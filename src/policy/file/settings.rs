//! The settings of a policy as JSON with one spelling, and the digest of it that decisions record.

use serde_json::Value;

/// JSON text with object keys sorted and no spaces: equal values have equal text.
#[must_use]
pub(crate) fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// The digest (hex blake3) of settings.
#[must_use]
pub fn settings_digest(settings: &Value) -> String {
    blake3::hash(canonical_json(settings).as_bytes()).to_hex().to_string()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(&Value::from(key.as_str()), out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        let a: Value = serde_json::from_str(r#"{"b": [1, {"d":2,"c":"x\"y"}], "a": null}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"a":null,"b":[1,{"c":"x\"y","d":2}]}"#).unwrap();
        assert_eq!(canonical_json(&a), r#"{"a":null,"b":[1,{"c":"x\"y","d":2}]}"#);
        assert_eq!(settings_digest(&a), settings_digest(&b));
    }
}
