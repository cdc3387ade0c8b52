//! JSON schemas as real clients can read them: inline, no boolean subschemas, no lists of types, no
//! `anyOf`, and as few bytes as their budget asks for: 9 KiB for all tools.

use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// The schema of a tool's parameters, with the `token` every tool takes.
pub(super) fn input<P: JsonSchema>() -> Arc<Map<String, Value>> {
    let mut schema = generate::<P>(Null::LeftOut);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("token".into(), json!({ "type": "string" }));
    }
    Arc::new(schema)
}

/// The schema of a tool's result. Nothing is required: the TypeScript SDK holds the `structuredContent` of errors to it as
/// well, and would not hand over one that does not fit. Text is what a value is if nothing is said: every byte is read by
/// every agent at every start.
pub(super) fn output<O: JsonSchema>() -> Arc<Map<String, Value>> {
    let mut schema = generate::<O>(Null::Returned);
    schema.remove("required");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            if *property == json!({ "type": "string" }) {
                *property = json!({});
            }
        }
    }
    Arc::new(schema)
}

/// What becomes of "or null", which a schema can only say by a list of types or `anyOf`.
#[derive(Clone, Copy)]
enum Null {
    /// A parameter is left out rather than null.
    LeftOut,
    /// A result may be null, and clients that check results would refuse it: the type becomes words.
    Returned,
}

fn generate<T: JsonSchema>(null: Null) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.as_object_mut().map(std::mem::take).unwrap_or_default();
    simplify(&mut schema, null);
    schema.remove("description");
    schema
}

/// Removes what breaks clients and what no client uses.
fn simplify(schema: &mut Map<String, Value>, null: Null) {
    for needless in ["title", "format", "$schema", "default"] {
        schema.remove(needless);
    }
    schema.retain(|_, value| !value.is_boolean());
    if let Some(Value::Array(types)) = schema.get("type") {
        let one = types.iter().filter_map(Value::as_str).find(|name| *name != "null").map(str::to_owned);
        let (key, value) = match (null, one) {
            (Null::LeftOut, Some(one)) => ("type", one),
            (Null::Returned, Some(one)) => ("description", format!("{one} or null")),
            (_, None) => return,
        };
        schema.remove("type");
        schema.insert(key.to_owned(), value.into());
    }
    for (key, value) in schema.iter_mut() {
        match value {
            Value::Object(children) if key == "properties" => {
                children
                    .values_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|child| simplify(child, null));
            }
            Value::Object(child) if key == "items" => simplify(child, null),
            _ => {}
        }
    }
}
