//! An MCP client for the streamable HTTP transport, as small as the demonstration needs: rmcp's client over
//! one POST for each message. Must not depend on what the tools do.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RunningService, RxJsonRpcMessage, TxJsonRpcMessage, serve_client};
use rmcp::transport::Transport;
use rmcp::{RoleClient, model::JsonObject};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Messages that may wait to be read.
const QUEUE: usize = 16;

/// A client that did not get an answer it understands.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ClientError(String);

fn failed(error: impl std::fmt::Display) -> ClientError {
    ClientError(error.to_string())
}

/// A connected client.
pub(super) struct Client {
    service: RunningService<RoleClient, ()>,
}

impl Client {
    /// Connects to the `/mcp` of a server and initializes.
    ///
    /// # Errors
    /// When there is no answer.
    pub(super) async fn connect(server: SocketAddr) -> Result<Self, ClientError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let service = serve_client((), Http { server, sender, receiver }).await.map_err(failed)?;
        Ok(Self { service })
    }

    /// Calls a tool; gives whether it failed, and the result's object.
    ///
    /// # Errors
    /// When there is no answer, or one without a result object.
    pub(super) async fn call(
        &self,
        tool: &'static str,
        arguments: JsonObject,
    ) -> Result<(bool, Value), ClientError> {
        let result = self.service.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments));
        let result = result.await.map_err(failed)?;
        let body = result.structured_content.ok_or_else(|| failed("a result without an object"))?;
        Ok((result.is_error == Some(true), body))
    }
}

/// Each message is a POST; its answer, if it has one, is what is received.
struct Http {
    server: SocketAddr,
    sender: mpsc::Sender<RxJsonRpcMessage<RoleClient>>,
    receiver: mpsc::Receiver<RxJsonRpcMessage<RoleClient>>,
}

impl Transport<RoleClient> for Http {
    type Error = ClientError;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), ClientError>> + Send + 'static {
        let (server, sender) = (self.server, self.sender.clone());
        async move {
            for answer in post(server, serde_json::to_vec(&item).map_err(failed)?).await? {
                sender.send(serde_json::from_str(&answer).map_err(failed)?).await.map_err(failed)?;
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        self.receiver.recv().await
    }

    async fn close(&mut self) -> Result<(), ClientError> {
        self.receiver.close();
        Ok(())
    }
}

/// Sends a message; gives the messages that answer it.
async fn post(server: SocketAddr, body: Vec<u8>) -> Result<Vec<String>, ClientError> {
    let stream = TcpStream::connect(server).await.map_err(failed)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let request = http::Request::post("/mcp")
        .header(HOST, server.to_string())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(Full::<Bytes>::from(body).map_err(|error: Infallible| error))
        .map_err(failed)?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    // A server may answer a request with a stream of events, which ours does when the answer takes long.
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_stream = kind.starts_with(b"text/event-stream");
    let answer = response.into_body().collect().await.map_err(failed)?.to_bytes();
    connection.abort();
    if !status.is_success() {
        return Err(failed(format!("the server answered {status}")));
    }
    let answer = String::from_utf8(answer.to_vec()).map_err(failed)?;
    Ok(if is_stream {
        events(&answer)
    } else {
        Some(answer).filter(|text| !text.is_empty()).into_iter().collect()
    })
}

/// The data of the events in a stream that has ended.
fn events(stream: &str) -> Vec<String> {
    let data = |event: &str| {
        let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    stream.split("\n\n").map(data).filter(|data| !data.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_without_data_are_skipped() {
        let stream = "id: 0\nretry: 3000\ndata:\n\n: ping\n\nevent: message\ndata: {\"a\":\ndata:1}\n\n";
        assert_eq!(events(stream), ["{\"a\":\n1}"]);
    }
}
