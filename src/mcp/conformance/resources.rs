//! The suite's resources: one text, one binary, one to watch, and a template.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

use super::content::PNG;

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
const WATCHED: &str = "test://watched-resource";

pub(super) fn list() -> Vec<Resource> {
    vec![
        Resource::new(TEXT, "static-text").with_description("a text").with_mime_type("text/plain"),
        Resource::new(BINARY, "static-binary").with_description("an image").with_mime_type("image/png"),
        Resource::new(WATCHED, "watched")
            .with_description("one to subscribe to")
            .with_mime_type("text/plain"),
    ]
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = ResourceTemplate::new("test://template/{id}/data", "template");
    vec![template.with_description("the data of an id").with_mime_type("application/json")]
}

/// # Errors
///
/// If there is no such resource.
pub(super) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let contents = match (uri, id) {
        (TEXT, _) => text(uri, "text/plain", "This is the content of the static text resource."),
        (WATCHED, _) => text(uri, "text/plain", "This is the content of the watched resource."),
        (BINARY, _) => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        (_, Some(id)) => {
            let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
            text(uri, "application/json", &data.to_string())
        }
        _ => return Err(ErrorData::resource_not_found("resource not found", Some(json!({"uri": uri})))),
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

/// A text resource's contents.
pub(super) fn text(uri: &str, mime_type: &str, text: &str) -> ResourceContents {
    ResourceContents::text(text, uri).with_mime_type(mime_type)
}
