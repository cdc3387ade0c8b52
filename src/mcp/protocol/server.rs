//! What a client can ask once its bytes have become a request: who we are, which tools there are, call one.
//! The same [`Server`] answers on every transport and keeps nothing about a caller between two requests, so a
//! handshake is never required and a restarted server serves its old clients.
//! Must not depend on transports and on what a tool does.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult,
    CancelledNotificationParam, CompleteRequestMethod, CompleteRequestParams, CompleteResult, ConstString,
    CustomRequest, CustomResult, DiscoverRequestMethod, ErrorCode, Implementation, InitializeRequestParams,
    InitializeResult, InitializeResultMethod, ListPromptsRequestMethod, ListPromptsResult,
    ListResourceTemplatesRequestMethod, ListResourceTemplatesResult, ListResourcesRequestMethod,
    ListResourcesResult, ListToolsRequestMethod, ListToolsResult, MetaObject, PaginatedRequestParams,
    ProgressNotificationParam, ProtocolVersion, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::caller::Caller;
use super::recent::Recent;
use crate::mcp::http::Throttles;
use crate::tools::{self, Reply, Request, Table, ToolSpec, Transport};

/// How often a running call tells a client that asked for it that it is still at work. opencode gives up
/// after 60 s of silence and Claude Code after 300 s; a long poll lasts up to 55 s.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// How long one progress notification may take to leave. While it does the call itself is not polled, so this
/// is also the longest a client that does not read can hold up its own call.
const PROGRESS_SEND_LIMIT: Duration = Duration::from_secs(1);

/// Calls that one stdio process or SSE session may have running at once. Sub-agents share a connection and
/// each may hold a long poll; beyond this the answer is `resource_exhausted`. (Streamable HTTP is bounded by
/// its connections.)
const MAX_CALLS_IN_FLIGHT: usize = 256;

/// Characters of a client's own text that an error repeats.
const MAX_ECHO: usize = 64;

/// The MCP server over a [`Table`]; cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    table: Table,
    transport: Transport,
    /// The token of the one agent behind a stdio process; network callers bring theirs with each request.
    token: Option<Arc<str>>,
    /// The keys that the seat of the client's session may have; none on a network transport.
    seats: Arc<[String]>,
    throttles: Option<Arc<Throttles>>,
    in_flight: Option<Arc<Semaphore>>,
    /// The last answers of one connection; on a shared server, where requests of many clients have the same ids, none.
    recent: Option<Arc<Mutex<Recent>>>,
}

impl Server {
    /// A server for the agent on the other end of standard input and output.
    pub(crate) fn stdio(table: Table, token: Option<String>, seats: Vec<String>) -> Self {
        Self { token: token.map(Into::into), seats: seats.into(), ..Self::new(table, Transport::Stdio, None) }
            .for_connection()
    }

    /// A server for one network transport; what an address may not do often is counted in `throttles`.
    pub(crate) fn network(table: Table, transport: Transport, throttles: Arc<Throttles>) -> Self {
        Self::new(table, transport, Some(throttles))
    }

    fn new(table: Table, transport: Transport, throttles: Option<Arc<Throttles>>) -> Self {
        Self {
            table,
            transport,
            token: None,
            seats: Arc::default(),
            throttles,
            in_flight: None,
            recent: None,
        }
    }

    /// This server for one connection that carries many calls at once, with [`MAX_CALLS_IN_FLIGHT`] of its
    /// own.
    pub(crate) fn for_connection(&self) -> Self {
        Self {
            in_flight: Some(Arc::new(Semaphore::new(MAX_CALLS_IN_FLIGHT))),
            recent: Some(Arc::default()),
            ..self.clone()
        }
    }

    async fn call(
        &self,
        params: CallToolRequestParams,
        caller: Caller,
        thread: Option<String>,
    ) -> Result<Reply, ErrorData> {
        let Ok(_slot) = self.in_flight.as_deref().map(Semaphore::try_acquire).transpose() else {
            return Ok(failure(
                "resource_exhausted",
                &format!("more than {MAX_CALLS_IN_FLIGHT} calls are running on this connection"),
                "wait for some of them to finish, then call again",
            ));
        };
        let throttled = self.throttles.as_deref().zip(caller.address);
        let argument = params.arguments.as_ref().and_then(|arguments| arguments.get("token")?.as_str());
        let argument = argument.map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned);
        // A token in the arguments, valid or not, never makes a newcomer.
        let knocks = params.name == tools::NEWCOMERS_TOOL && argument.is_none();
        let bearer = caller.bearer.or_else(|| self.token.as_deref().map(str::to_owned));
        let presented = argument.or_else(|| bearer.clone());
        if !knocks
            && let Some((throttles, address)) = throttled
            && let Some(wait) = throttles.failed_tokens.blocked(address, Instant::now())
            && let Some(token) = &presented
            && !self.table.knows_token(token).await
        {
            throttles.refused.inc();
            return Ok(failure(
                "resource_exhausted",
                "too many invalid tokens have come from this address, and this one is not valid either",
                &format!(
                    "use the token that register returned last, or try again in {} seconds; {}",
                    wait.as_secs() + 1,
                    crate::auth::if_lost("NAME")
                ),
            ));
        }
        if knocks
            && let Some((throttles, address)) = throttled
            && let Some(wait) = throttles.newcomers.blocked(address, Instant::now())
        {
            return Ok(failure(
                "resource_exhausted",
                "too many agents have registered from this address",
                &format!(
                    "try again in {} seconds; with your own token you can renew at once",
                    wait.as_secs() + 1
                ),
            ));
        }
        let request = Request {
            tool: params.name.clone().into_owned(),
            arguments: params.arguments.unwrap_or_default(),
            bearer,
            transport: self.transport,
            seats: self.seats.iter().cloned().chain(thread).collect(),
        };
        // On the heap: rmcp moves the future around it several times, and it is large.
        match caught(Box::pin(self.table.call_unconfirmed(request))).await {
            Ok(Ok(reply)) => {
                if let Some((throttles, address)) = throttled {
                    if reply.bad_token {
                        throttles.failed_tokens.record(address, presented.as_deref(), Instant::now());
                    }
                    // Refused and held registrations are recorded too.
                    if knocks && (!reply.is_error || reply.body.contains_key("decision_id")) {
                        throttles.newcomers.record(address, None, Instant::now());
                    }
                }
                Ok(reply)
            }
            Ok(Err(tools::UnknownToolError(_))) => {
                Err(ErrorData::invalid_params(format!("unknown tool: {}", echo(&params.name)), None))
            }
            Err(panic) => {
                let panic = panic_text(panic.as_ref());
                tracing::error!(tool = %echo(&params.name), panic, "a tool panicked");
                Ok(failure(
                    "internal",
                    "the server made a mistake while answering",
                    "try again; if it happens again, tell the person who runs this server",
                ))
            }
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let identity = Implementation::new("team-table", env!("CARGO_PKG_VERSION")).with_title("Team Table");
        InitializeResult::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(identity)
            .with_instructions(tools::INSTRUCTIONS)
    }

    /// As the default, but what the peer is remembered by is the revision agreed on, not the one asked for: a
    /// client that names a revision from the future would otherwise be held to rules that were not negotiated.
    async fn initialize(
        &self,
        mut request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        let result = self.negotiate_initialize(&request)?;
        request.protocol_version = result.protocol_version.clone();
        context.peer.set_peer_info(request);
        Ok(result)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // Everything fits the first page, so no cursor was ever handed out.
        // An empty one is how some clients leave it out.
        if request.and_then(|page| page.cursor).is_some_and(|cursor| !cursor.is_empty()) {
            return Err(ErrorData::invalid_params("unknown cursor", None));
        }
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
        let caller = Caller::of(&context.extensions);
        // Codex has one process for all its sessions, and names the session in each call.
        let thread = (self.transport == Transport::Stdio)
            .then(|| Some(format!("codex:{}", context.meta.get("threadId")?.as_str()?)))
            .flatten();
        let mut call = pin!(self.call(params, caller, thread));
        let progress = context.meta.get_progress_token();
        let started = Instant::now();
        let mut ticks = tokio::time::interval_at(started + PROGRESS_EVERY, PROGRESS_EVERY);
        loop {
            tokio::select! {
                biased;
                reply = &mut call => {
                    return reply.map(|mut reply| {
                        match (reply.delivery.take(), &self.recent) {
                            (Some(delivery), Some(recent)) => {
                                let mut recent = recent.lock();
                                recent.push(context.id.clone(), delivery, Instant::now());
                                // Withdrawn before it was noted: rmcp drops the answer.
                                if context.ct.is_cancelled() {
                                    recent.withdraw(&context.id, Instant::now());
                                }
                            }
                            (Some(delivery), None) => delivery.arrived(),
                            (None, _) => {}
                        }
                        encode(reply).into()
                    });
                }
                // The client cancelled its request or is gone: this answer is not read.
                () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
                _ = ticks.tick(), if progress.is_some() => {
                    if let Some(token) = progress.clone() {
                        let note = ProgressNotificationParam::new(token, started.elapsed().as_secs_f64());
                        // Whether it arrives is the client's affair; the call's own answer matters.
                        let sent = context.peer.notify_progress(note);
                        let _ = tokio::time::timeout(PROGRESS_SEND_LIMIT, sent).await;
                    }
                }
            }
        }
    }

    /// A cancellation that crosses the answer: the client drops what it gets, so it has not got it.
    async fn on_cancelled(
        &self,
        params: CancelledNotificationParam,
        _context: NotificationContext<RoleServer>,
    ) {
        if let (Some(id), Some(recent)) = (&params.request_id, &self.recent) {
            recent.lock().withdraw(id, Instant::now());
        }
    }

    // rmcp answers these with empty lists although we declare no such capability.
    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListPromptsRequestMethod>())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourcesRequestMethod>())
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Err(ErrorData::method_not_found::<ListResourceTemplatesRequestMethod>())
    }

    async fn complete(
        &self,
        _request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        Err(ErrorData::method_not_found::<CompleteRequestMethod>())
    }

    /// rmcp also sends here what names one of our methods but does not parse as it.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        // The stateless revision has no `initialize` that could be malformed.
        let stateless = context.meta.protocol_version() >= Some(ProtocolVersion::V_2026_07_28);
        let ours = match request.method.as_str() {
            CallToolRequestMethod::VALUE | ListToolsRequestMethod::VALUE | DiscoverRequestMethod::VALUE => {
                true
            }
            InitializeResultMethod::VALUE => !stateless,
            _ => false,
        };
        let method = echo(&request.method);
        let arguments = request.params.as_ref().and_then(|params| params.get("arguments"));
        Err(if ours {
            let why = match arguments {
                Some(Value::String(_)) => {
                    ": `arguments` is text; it is taken as a JSON object, such as {\"name\": \"alice\"}"
                }
                Some(Value::Object(_) | Value::Null) | None => "",
                Some(_) => ": `arguments` is taken as a JSON object, such as {\"name\": \"alice\"}",
            };
            ErrorData::invalid_params(format!("malformed params of {method}{why}"), None)
        } else {
            ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("unknown method: {method}"), None)
        })
    }
}

/// The definitions of `tools/list`, made once.
static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| tools::registry().map(definition).collect());

fn definition(spec: &ToolSpec) -> Tool {
    // Only what differs from the protocol's defaults: every byte is read by every agent at every start.
    let mut hints = ToolAnnotations::new().open_world(false);
    if spec.read_only {
        hints = hints.read_only(true);
    } else if !spec.destructive {
        hints = hints.destructive(false);
    }
    if spec.idempotent && !spec.read_only {
        hints = hints.idempotent(true);
    }
    let tool = Tool::new(spec.name, spec.description, Arc::clone(&spec.input_schema))
        .with_title(spec.title)
        .with_raw_output_schema(Arc::clone(&spec.output_schema))
        .with_annotations(hints);
    if spec.always_load {
        // Claude Code hides tools behind its tool search unless they ask not to be.
        let meta = Map::from_iter([("anthropic/alwaysLoad".to_owned(), Value::Bool(true))]);
        tool.with_meta(MetaObject(meta))
    } else {
        tool
    }
}

/// Some clients show the model only `structuredContent`, others only `content`: both carry the same bytes.
fn encode(reply: Reply) -> CallToolResult {
    let body = Value::Object(reply.body);
    if reply.is_error { CallToolResult::structured_error(body) } else { CallToolResult::structured(body) }
}

fn failure(code: &str, error: &str, hint: &str) -> Reply {
    let body = match json!({"error": error, "code": code, "hint": hint}) {
        Value::Object(body) => body,
        _ => Map::new(),
    };
    Reply { body, is_error: true, bad_token: false, delivery: None }
}

/// Runs `call`, turning a panic in it into an error: rmcp never answers a request whose handler unwound.
async fn caught<T>(call: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut call = pin!(call);
    // A future that panicked is not polled again, so no broken state can be seen through it.
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

fn echo(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_tool_becomes_an_answer() {
        let panic = caught(async { panic!("broken {}", 1) }).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(panic_text(panic.as_ref()), "broken 1");
        let panic = caught(async { panic!("broken") }).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(panic_text(panic.as_ref()), "broken");
        assert_eq!(caught(async { 7 }).await.unwrap(), 7);
    }
}
