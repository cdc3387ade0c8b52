//! JSON schemas as real clients can read them: inline, no boolean subschemas, no lists of types, no
//! `anyOf`, and as few bytes as the budget of tools.md asks for.

use std::sync::Arc;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// The schema of a tool's parameters, with the `token` every tool takes.
pub(super) fn input<P: JsonSchema>() -> Arc<Map<String, Value>> {
    let mut schema = generate::<P>();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("token".into(), json!({ "type": "string" }));
    }
    Arc::new(schema)
}

/// The schema of a tool's result, with the badge any result may carry.
pub(super) fn output<O: JsonSchema>() -> Arc<Map<String, Value>> {
    let mut schema = generate::<O>();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("_notification".into(), json!({ "type": "object" }));
    }
    Arc::new(schema)
}

fn generate<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.as_object_mut().map(std::mem::take).unwrap_or_default();
    simplify(&mut schema);
    schema.remove("description");
    schema
}

/// Takes out what clients stumble over, or nobody needs.
fn simplify(schema: &mut Map<String, Value>) {
    for needless in ["title", "format", "$schema", "default"] {
        schema.remove(needless);
    }
    schema.retain(|_, value| !value.is_boolean());
    if let Some(Value::Array(types)) = schema.get("type") {
        let one = types.iter().find(|name| *name != "null").cloned();
        schema.extend(one.map(|name| ("type".to_owned(), name)));
    }
    for (key, value) in schema.iter_mut() {
        match value {
            Value::Object(children) if key == "properties" => {
                children.values_mut().filter_map(Value::as_object_mut).for_each(simplify);
            }
            Value::Object(child) if key == "items" => simplify(child),
            _ => {}
        }
    }
}
