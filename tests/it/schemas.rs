//! What `tools/list` says of the tools: their budget, what real clients stumble over, and that it is true.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use team_table::tools::{ToolSpec, registry};

use crate::harness::{Agent, Desk, object};

const TOOLS: [&str; 13] = [
    "register",
    "deregister",
    "list_members",
    "heartbeat",
    "send_message",
    "get_messages",
    "broadcast",
    "create_task",
    "list_tasks",
    "claim_task",
    "update_task",
    "share_context",
    "get_shared_context",
];

fn spec(name: &str) -> &'static ToolSpec {
    registry().find(|spec| spec.name == name).unwrap()
}

#[test]
fn there_are_exactly_the_thirteen_tools() {
    let names: Vec<&str> = registry().map(|spec| spec.name).collect();
    assert_eq!(names, TOOLS);
}

#[test]
fn definitions_are_as_they_were_reviewed() {
    let listed: Vec<Value> = registry()
        .map(|spec| {
            json!({
                "name": spec.name, "title": spec.title, "description": spec.description,
                "inputSchema": *spec.input_schema, "outputSchema": *spec.output_schema,
                "readOnly": spec.read_only, "destructive": spec.destructive, "idempotent": spec.idempotent,
            })
        })
        .collect();
    insta::assert_json_snapshot!("tools", listed);
}

#[test]
fn the_definitions_fit_their_budget() {
    let bytes: usize = registry()
        .map(|spec| {
            let listed = json!({ "name": spec.name, "description": spec.description, "inputSchema": *spec.input_schema });
            listed.to_string().len()
        })
        .sum();
    assert!(bytes < 8 * 1024, "names, descriptions and input schemas take {bytes} bytes");
}

/// Calls `look` on every schema within a schema.
fn walk(schema: &Map<String, Value>, path: &str, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    look(path, schema);
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    let property = property.as_object();
                    let property = property.unwrap_or_else(|| panic!("{path}.{name} is no object schema"));
                    walk(property, &format!("{path}.{name}"), look);
                }
            }
            ("items", value) => {
                let items = value.as_object().unwrap_or_else(|| panic!("{path}[] is no object schema"));
                walk(items, &format!("{path}[]"), look);
            }
            _ => {}
        }
    }
}

#[test]
fn no_schema_has_what_clients_stumble_over() {
    for spec in registry() {
        for schema in [&spec.input_schema, &spec.output_schema] {
            assert_eq!(schema["type"], "object", "{}", spec.name);
            walk(schema, spec.name, &mut |path, schema| {
                for word in ["anyOf", "oneOf", "allOf", "not", "$ref", "$defs", "additionalProperties"] {
                    assert!(!schema.contains_key(word), "{path} has {word}");
                }
                for (key, value) in schema {
                    assert!(!value.is_boolean(), "{path}.{key} is a boolean");
                    assert!(key != "type" || value.is_string(), "{path}: type is {value}");
                    assert!(!value.is_null(), "{path}.{key} is null");
                }
            });
        }
    }
}

#[test]
fn every_parameter_of_the_contract_is_there_and_no_other() {
    let parameters = [
        ("register", "name role capabilities token", "name"),
        ("deregister", "name token", "name"),
        ("list_members", "include_inactive agent_name token after", ""),
        ("heartbeat", "name token", "name"),
        (
            "send_message",
            "sender recipient content token reply_to idempotency_key",
            "sender recipient content",
        ),
        (
            "get_messages",
            "agent_name include_read token limit wait_seconds peek thread_id before_id after_id",
            "",
        ),
        ("broadcast", "sender content token idempotency_key", "sender content"),
        (
            "create_task",
            "title creator description assignee priority token depends_on parent_id reviewer idempotency_key",
            "title creator",
        ),
        ("list_tasks", "status assignee reviewer token agent_name ready limit after_id", ""),
        ("claim_task", "task_id agent_name token", "agent_name"),
        ("update_task", "task_id status result agent_name token", "task_id status agent_name"),
        ("share_context", "agent_name key value token ttl_seconds expected_version", "agent_name key value"),
        ("get_shared_context", "key token agent_name prefix limit after", ""),
    ];
    assert_eq!(parameters.map(|(tool, ..)| tool), TOOLS);
    for (tool, all, required) in parameters {
        let schema = &spec(tool).input_schema;
        let listed: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(listed, all.split(' ').collect(), "{tool}");
        let listed: BTreeSet<&str> = schema.get("required").map_or(BTreeSet::new(), |required| {
            required.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
        });
        assert_eq!(listed, required.split(' ').filter(|name| !name.is_empty()).collect(), "{tool}");
    }
}

/// A validator for the little of JSON Schema that our schemas use, as strict as the clients'.
fn validate(schema: &Map<String, Value>, value: &Value, path: &str) -> Result<(), String> {
    if let Some(kind) = schema.get("type") {
        let fits = match kind.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            other => panic!("{path}: the validator does not know {other}"),
        };
        if !fits {
            return Err(format!("{path} is {value}, not {kind}"));
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{path} lacks {name}"));
        }
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            validate(property.as_object().unwrap(), inner, &format!("{path}.{name}"))?;
        }
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for item in list {
            validate(items.as_object().unwrap(), item, &format!("{path}[]"))?;
        }
    }
    Ok(())
}

/// Every tool's results of every form, with optional fields empty and filled.
fn results(desk: &Desk) -> Vec<(&'static str, Value)> {
    let (alice, bob) = (desk.join("alice"), desk.join("bob"));
    let mut results = vec![("register", desk.call("register", json!({ "name": "carol" })).ok())];
    let mut call = |agent: &Agent<'_>, tool: &'static str, arguments: Value| {
        let result = agent.call(tool, arguments).ok();
        results.push((tool, result.clone()));
        result
    };
    let first = call(&alice, "send_message", json!({ "recipient": "bob", "content": "x" }));
    call(&bob, "heartbeat", json!({}));
    call(&bob, "send_message", json!({ "recipient": "alice", "content": "y", "reply_to": first["id"] }));
    call(&bob, "get_messages", json!({ "include_read": true }));
    call(&bob, "broadcast", json!({ "content": "z" }));
    call(&alice, "list_members", json!({ "include_inactive": true }));
    let parent = call(&alice, "create_task", json!({ "title": "parent" }));
    let child = json!({ "title": "child", "parent_id": parent["id"], "depends_on": [parent["id"]], "reviewer": "bob" });
    call(&alice, "create_task", child);
    call(&alice, "list_tasks", json!({}));
    call(&alice, "claim_task", json!({}));
    call(&alice, "update_task", json!({ "task_id": parent["id"], "status": "done" }));
    call(&alice, "share_context", json!({ "key": "k", "value": "v" }));
    call(&alice, "share_context", json!({ "key": "t", "value": "v", "ttl_seconds": 60 }));
    call(&alice, "get_shared_context", json!({ "key": "k" }));
    call(&alice, "get_shared_context", json!({ "key": "t" }));
    call(&alice, "get_shared_context", json!({}));
    call(&bob, "deregister", json!({}));
    results
}

#[test]
fn every_result_fits_its_output_schema_and_every_field_is_described() {
    let results = results(&Desk::new());
    let covered: BTreeSet<&str> = results.iter().map(|(tool, _)| *tool).collect();
    assert_eq!(covered, BTreeSet::from(TOOLS));
    for (tool, result) in &results {
        let schema = &spec(tool).output_schema;
        validate(schema, result, tool).unwrap_or_else(|error| panic!("{error}: {result}"));
        let described = schema["properties"].as_object().unwrap();
        // Any result may carry the badge; a moved task is described by what a move changes.
        let moves = ["claim_task", "update_task"].contains(tool);
        for field in object(result.clone()).keys().filter(|field| *field != "_notification" && !moves) {
            assert!(described.contains_key(field), "{tool} returns {field}, which its schema leaves out");
        }
    }
    for tool in TOOLS {
        let described = spec(tool).output_schema["properties"].as_object().unwrap();
        for field in described
            .keys()
            .filter(|field| !["_notification", "error", "code", "hint"].contains(&field.as_str()))
        {
            let returned = results.iter().any(|(of, result)| *of == tool && result.get(field).is_some());
            assert!(returned, "the schema of {tool} describes {field}, which it never returns");
        }
    }
}

/// The TypeScript SDK puts an error's `structuredContent` to the output schema too, and throws away what
/// does not fit: the agent would never read the hint.
#[test]
fn an_error_fits_the_output_schema_too() {
    let desk = Desk::new();
    for spec in registry() {
        let error = desk.call(spec.name, json!({ "no_such": 1 })).refused("invalid_argument");
        validate(&spec.output_schema, &error, spec.name).unwrap();
    }
}

#[test]
fn annotations_tell_the_truth() {
    let read_only = ["list_members", "list_tasks", "get_shared_context"];
    let idempotent = ["list_members", "list_tasks", "get_shared_context", "heartbeat"];
    let destructive = ["register", "deregister", "update_task", "share_context"];
    for spec in registry() {
        assert_eq!(spec.read_only, read_only.contains(&spec.name), "{}", spec.name);
        assert_eq!(spec.idempotent, idempotent.contains(&spec.name), "{}", spec.name);
        assert_eq!(spec.destructive, destructive.contains(&spec.name), "{}", spec.name);
    }
}

/// What a read-only tool may leave behind: the decision on it, and that its caller was seen.
#[test]
fn a_read_only_tool_changes_nothing() {
    let desk = Desk::new();
    let alice = desk.join("alice");
    alice.post("a task");
    alice.call("share_context", json!({ "key": "k", "value": "v" })).ok();
    let (tables, connection) =
        (["members", "messages", "inbox", "tasks", "context", "events", "audit", "tokens"], desk.sql());
    let dump = || -> Vec<String> {
        let mut rows = Vec::new();
        for table in tables {
            let mut all = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = all.column_count();
            let mut found = all.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                let cells: Vec<_> = (0..columns).map(|at| row.get_ref(at).unwrap()).collect();
                rows.push(format!("{table} {cells:?}"));
            }
        }
        rows
    };
    let before = dump();
    for spec in registry().filter(|spec| spec.read_only) {
        alice.call(spec.name, json!({})).ok();
    }
    desk.flush();
    assert_eq!(dump(), before);
}
