//! An MCP client for the streamable HTTP transport, as small as the demonstration needs: rmcp's client over
//! one POST for each message. Must not depend on what the tools do.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
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
pub struct ClientError(String);

fn failed(error: impl std::fmt::Display) -> ClientError {
    ClientError(error.to_string())
}

/// A connected client.
pub struct Client {
    service: RunningService<RoleClient, ()>,
}

impl Client {
    /// Connects to the `/mcp` of a server and initializes.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn connect(server: SocketAddr) -> Result<Self, ClientError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let service = serve_client((), Http { server, sender, receiver }).await.map_err(failed)?;
        Ok(Self { service })
    }

    /// Calls a tool; gives whether it failed, and the result's object.
    ///
    /// # Errors
    /// When there is no answer, or one without a result object.
    pub async fn call(
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
            let answer = post(server, serde_json::to_vec(&item).map_err(failed)?).await?;
            if !answer.is_empty() {
                sender.send(serde_json::from_slice(&answer).map_err(failed)?).await.map_err(failed)?;
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

async fn post(server: SocketAddr, body: Vec<u8>) -> Result<Bytes, ClientError> {
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
    let answer = response.into_body().collect().await.map_err(failed)?.to_bytes();
    connection.abort();
    if status.is_success() { Ok(answer) } else { Err(failed(format!("the server answered {status}"))) }
}
