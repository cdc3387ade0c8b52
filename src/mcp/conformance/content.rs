//! The suite's tools that answer by themselves: every kind of content, errors, progress, logs, schemas and headers.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ContentBlock, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{is_stateless, plain, resources, text, tool};

/// One red pixel.
pub(super) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";

/// Two samples of silence.
const WAV: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQIAAACAgA==";

/// Between the steps of the tools that take several.
const STEP: Duration = Duration::from_millis(50);

pub(super) fn tools() -> Vec<Tool> {
    let name = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let region = json!({
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
        "required": ["region"],
    });
    vec![
        plain("test_simple_text", "answers with text"),
        plain("test_image_content", "answers with an image"),
        plain("test_audio_content", "answers with sound"),
        plain("test_embedded_resource", "answers with a resource"),
        plain("test_multiple_content_types", "answers with text, an image and a resource"),
        plain("test_error_handling", "fails"),
        plain("test_tool_with_progress", "tells how far it is"),
        plain("test_tool_with_logging", "logs three messages"),
        plain("test_logging_tool", "logs three messages"),
        plain("test_trigger_tool_change", "tells listeners that the tools changed"),
        plain("test_trigger_prompt_change", "tells listeners that the prompts changed"),
        tool("greet", "says hello", name),
        tool("test_custom_header", "has an argument that travels in a header too", region),
        tool("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", schema()),
    ]
}

fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

/// # Errors
///
/// If there is no such tool.
pub(super) async fn call(
    params: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let says = |text: &str| vec![ContentBlock::text(text)];
    let resource = |uri, mime_type, text| ContentBlock::resource(resources::text(uri, mime_type, text));
    let blocks = match params.name.as_ref() {
        "test_simple_text" => says("This is a simple text response for testing."),
        "test_image_content" => vec![ContentBlock::image(PNG, "image/png")],
        "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
        "test_embedded_resource" => {
            vec![resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
        }
        "test_multiple_content_types" => vec![
            ContentBlock::text("Multiple content types test:"),
            ContentBlock::image(PNG, "image/png"),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ],
        "test_error_handling" => {
            return Ok(CallToolResult::error(says("This tool intentionally returns an error for testing")));
        }
        "test_tool_with_progress" => {
            progress(context).await;
            says("Progress was told.")
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            log(context).await;
            says("Three messages were logged to whoever asked for them.")
        }
        "test_trigger_tool_change" | "test_trigger_prompt_change" => says("Listeners were told."),
        "greet" => says(&format!("Hello, {}!", text(params.arguments.as_ref(), "name"))),
        "test_custom_header" => says(text(params.arguments.as_ref(), "region")),
        "json_schema_2020_12_tool" => says("The schema is what matters."),
        _ => return Err(ErrorData::invalid_params("unknown tool", None)),
    };
    Ok(CallToolResult::success(blocks))
}

async fn progress(context: &RequestContext<RoleServer>) {
    for done in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let note = ProgressNotificationParam::new(token, done).with_total(100.0);
            // A client that is gone does not hear it.
            let _ = context.peer.notify_progress(note).await;
        }
        sleep(STEP).await;
    }
}

async fn log(context: &RequestContext<RoleServer>) {
    // The newer revision says with each request whether logs are wanted; the older ones say so once in a session.
    let wanted = context.meta.log_level().is_some() || !is_stateless(context);
    for step in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if wanted {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, Value::from(step));
            // As above.
            let _ = context.peer.notify_logging_message(message).await;
        }
        sleep(STEP).await;
    }
}
