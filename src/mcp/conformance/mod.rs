//! What the MCP conformance suite wants to find in a server, for the feature `conformance` and nothing else: its tools,
//! resources and prompts, served at `/mcp` by the product's own router, guard and transport in place of the
//! product's [`Server`](super::server). So the scenarios that a server of thirteen tools cannot answer are still run
//! against our transport, not against somebody's example.
//!
//! The names and texts are the suite's. Four of its tools are missing: they ask the client back in the middle of
//! a call under a revision of sessions, and a server without sessions has no way to hear the answer.
//! Must not depend on the table and on transports.

#![expect(
    deprecated,
    reason = "the suite asks for what the newest revision deprecates: logs, sampling, subscriptions"
)]

mod content;
mod jobs;
mod news;
mod prompts;
mod resources;
mod rounds;

use std::sync::LazyLock;

use rmcp::handler::server::common::schema_for_empty_input;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, CompleteRequestParams,
    CompleteResult, CompletionInfo, GetPromptRequestParams, GetPromptResponse, GetTaskParams, GetTaskResult,
    Implementation, InitializeResult, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, SetLevelRequestMethod, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use news::News;

/// The suite's server. A clone answers one request; all of them share the tasks and the news.
#[derive(Clone, Default)]
pub(super) struct Fixtures {
    tasks: TaskManager,
    tools_changed: News,
    prompts_changed: News,
}

static TOOLS: LazyLock<Vec<Tool>> =
    LazyLock::new(|| [content::tools(), rounds::tools(), jobs::tools()].concat());

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_logging()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_tasks()
            .build();
        InitializeResult::new(capabilities)
            .with_server_info(Implementation::new("team-table-conformance", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.clone()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match params.name.as_ref() {
            "test_trigger_tool_change" => self.tools_changed.tell(),
            "test_trigger_prompt_change" => self.prompts_changed.tell(),
            _ => {}
        }
        let can = context.client_capabilities().unwrap_or_default();
        if let Some(response) = rounds::call(&params, &can)? {
            return Ok(response);
        }
        if let Some(response) = jobs::call(&self.tasks, &params, &can).await? {
            return Ok(response);
        }
        content::call(&params, &context).await.map(Into::into)
    }

    async fn get_task(
        &self,
        params: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&params.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        params: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.update_task(&params.task_id, params.input_responses)
    }

    async fn cancel_task(
        &self,
        params: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&params.task_id)
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::list()))
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&params)
    }

    async fn complete(
        &self,
        params: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let fitting = ["test", "testValue1", "testValue2", "paris", "party"].map(str::to_owned).into_iter();
        let fitting = fitting.filter(|value| value.starts_with(&params.argument.value)).collect();
        let completion = CompletionInfo::with_all_values(fitting);
        completion.map(CompleteResult::new).map_err(|error| ErrorData::internal_error(error, None))
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&params.uri).map(Into::into)
    }

    // Under the older revisions a subscription and a log level belong to a session. Without one they are taken
    // note of and forgotten.
    async fn subscribe(
        &self,
        params: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        resources::read(&params.uri).map(drop)
    }

    async fn unsubscribe(
        &self,
        params: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        resources::read(&params.uri).map(drop)
    }

    async fn set_level(
        &self,
        _params: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if is_stateless(&context) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let (mut tools, mut prompts) = (self.tools_changed.since(), self.prompts_changed.since());
        loop {
            // What the listener did not ask for is refused here, and the client is gone on the next turn if it is
            // gone at all.
            let _ = tokio::select! {
                () = context.cancelled() => return Ok(()),
                Ok(()) = tools.changed() => context.sink().notify_tool_list_changed().await,
                Ok(()) = prompts.changed() => context.sink().notify_prompt_list_changed().await,
            };
        }
    }
}

/// Whether the request is under 2026-07-28 or later.
fn is_stateless(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version() >= Some(ProtocolVersion::V_2026_07_28)
}

/// A tool without arguments.
fn plain(name: &'static str, description: &'static str) -> Tool {
    Tool::new(name, description, schema_for_empty_input())
}

/// A tool with the arguments that a JSON Schema describes.
fn tool(name: &'static str, description: &'static str, schema: Value) -> Tool {
    let schema = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    Tool::new(name, description, schema)
}

/// A text argument; empty when it is missing.
fn text<'a>(arguments: Option<&'a JsonObject>, name: &str) -> &'a str {
    arguments.and_then(|arguments| arguments.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// The refusal of a call that needs more than its client can do.
fn missing(capabilities: ClientCapabilities) -> ErrorData {
    ErrorData::missing_required_client_capability(capabilities)
}
