//! MCP as lines of JSON over a pair of byte streams: the transport of standard input and output, made to
//! outlive whatever a client writes. Malformed, oversized and binary lines are answered and skipped, and
//! memory stays bounded. Must not depend on the kind of the streams.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::TxJsonRpcMessage;
use rmcp::transport::Transport;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::mcp::protocol::{Decoded, MAX_MESSAGE, decode, decode_value, too_long};

/// Replies that may wait to be written. A client that keeps asking without reading is not read from until it
/// does.
const MAX_UNWRITTEN: usize = 1024;

/// Bytes of line buffer kept from one line to the next.
const KEPT_BUFFER: usize = 64 * 1024;

/// Lines in, lines out, until end of input, a failed write, or `stop`; whichever it is, `stop` is cancelled
/// then.
pub(super) struct LineTransport<R, W> {
    input: BufReader<R>,
    /// The line read so far. Kept here because rmcp drops `receive` whenever something else happens first.
    line: Vec<u8>,
    /// What is left of a batch.
    batch: VecDeque<Value>,
    /// The current line was too long and is being skipped.
    skipping: bool,
    /// The error reply to the line before, on its way out.
    refusal: Option<JoinHandle<io::Result<()>>>,
    output: Output<W>,
    stop: CancellationToken,
    /// The input has ended.
    ended: bool,
    /// What the end of the input waits for, until it is begun.
    settle: Option<Box<dyn FnOnce() -> JoinHandle<()> + Send>>,
    settling: Option<JoinHandle<()>>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> LineTransport<R, W> {
    /// `settle` begins what the end of the input waits for: what was read before it can be answered then.
    pub(super) fn new(
        input: R,
        output: W,
        stop: CancellationToken,
        settle: impl FnOnce() -> JoinHandle<()> + Send + 'static,
    ) -> Self {
        let output = Output {
            writer: Arc::new(Mutex::new(output)),
            unwritten: Arc::new(Semaphore::new(MAX_UNWRITTEN)),
            stop: stop.clone(),
        };
        Self {
            input: BufReader::new(input),
            line: Vec::new(),
            batch: VecDeque::new(),
            skipping: false,
            refusal: None,
            output,
            stop,
            ended: false,
            settle: Some(Box::new(settle)),
            settling: None,
        }
    }

    /// The writing half, for answers that do not come from rmcp.
    pub(super) fn output(&self) -> Output<W> {
        self.output.clone()
    }

    /// Moves input to `self.line` up to the end of the line. Cancel-safe: nothing is awaited between taking
    /// bytes from the input and keeping them.
    async fn read_line(&mut self) -> io::Result<Line> {
        loop {
            // A terminal has more after its end: Ctrl-D counts once, and this is asked again after it.
            let available = if self.ended { &[] } else { self.input.fill_buf().await? };
            if available.is_empty() {
                self.ended = true;
                // A last line need not end in a newline.
                let whole = !self.line.is_empty() && !self.skipping;
                return Ok(if whole { Line::Whole } else { Line::End });
            }
            let newline = available.iter().position(|&byte| byte == b'\n');
            let (part, taken) = match newline {
                Some(at) => (available.get(..at).unwrap_or_default(), at + 1),
                None => (available, available.len()),
            };
            let was_skipping = self.skipping;
            if !was_skipping && self.line.len() + part.len() <= MAX_MESSAGE {
                self.line.extend_from_slice(part);
            } else {
                self.skipping = true;
            }
            self.input.consume(taken);
            let overflowed = self.skipping && !was_skipping;
            if newline.is_some() {
                self.skipping = false;
            }
            if overflowed {
                return Ok(Line::TooLong);
            }
            if newline.is_some() && !was_skipping {
                return Ok(Line::Whole);
            }
        }
    }

    fn reset_line(&mut self) {
        self.line.clear();
        self.line.shrink_to(KEPT_BUFFER);
    }
}

enum Line {
    /// `self.line` holds a line.
    Whole,
    /// The line exceeded [`MAX_MESSAGE`]; the rest of it is skipped.
    TooLong,
    End,
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.output.clone().write(message)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let stop = self.stop.clone();
        loop {
            if let Some(refusal) = &mut self.refusal {
                // Its failure has already stopped us.
                let _ = refusal.await;
                self.refusal = None;
            }
            if let Some(item) = self.batch.pop_front() {
                match decode_value(item) {
                    Decoded::Message(message) => return Some(*message),
                    Decoded::Refused(error) => {
                        self.refusal = Some(tokio::spawn(self.output.clone().write(error)));
                    }
                    Decoded::Nothing | Decoded::Batch(_) => {}
                }
                continue;
            }
            let line = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                line = async {
                    // Closing is not something we do to it, so this only ever waits.
                    let _ = self.output.unwritten.acquire().await;
                    self.read_line().await
                } => line,
            };
            let decoded = match line {
                Ok(Line::Whole) => decode(&self.line),
                Ok(Line::TooLong) => Decoded::Refused(too_long()),
                Ok(Line::End) => {
                    if let Some(settle) = self.settle.take() {
                        self.settling = Some(settle());
                    }
                    if let Some(settling) = &mut self.settling {
                        tokio::select! {
                            _ = settling => {}
                            () = stop.cancelled() => {}
                        }
                    }
                    stop.cancel();
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read the input any more");
                    stop.cancel();
                    return None;
                }
            };
            self.reset_line();
            match decoded {
                Decoded::Message(message) => return Some(*message),
                Decoded::Nothing => {}
                Decoded::Batch(items) => self.batch = items.into(),
                Decoded::Refused(error) => {
                    self.refusal = Some(tokio::spawn(self.output.clone().write(error)));
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.writer.lock().await.flush().await
    }
}

/// The writing half, shared by the replies under way.
pub(super) struct Output<W> {
    writer: Arc<Mutex<W>>,
    unwritten: Arc<Semaphore>,
    stop: CancellationToken,
}

impl<W> Clone for Output<W> {
    fn clone(&self) -> Self {
        Self {
            writer: Arc::clone(&self.writer),
            unwritten: Arc::clone(&self.unwritten),
            stop: self.stop.clone(),
        }
    }
}

impl<W: AsyncWrite + Unpin> Output<W> {
    pub(super) async fn write(self, message: impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(&message)?;
        line.push(b'\n');
        let _waiting = self.unwritten.acquire().await;
        let mut writer = self.writer.lock().await;
        let written = async {
            writer.write_all(&line).await?;
            writer.flush().await
        }
        .await;
        if written.is_err() {
            // The client has closed its end.
            self.stop.cancel();
        }
        written
    }
}
