//! MCP on standard input and output, for the one client that started this process: ends with its input, on a
//! signal, or when that client is gone, and answers what is under way before it does. Must not write anything
//! but MCP to standard output.

use std::io;
use std::pin::pin;
use std::time::Duration;

use rmcp::service::serve_directly;
use rmcp::transport::stdio_pipes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::lines::LineTransport;
use crate::mcp::protocol::Server;
use crate::os::{EndSignal, ParentWatch};
use crate::tools::Table;

/// How long calls under way may go on once it is time to end: their replies are written, and we are gone
/// within a second all the same. A long poll is cut off; what it would have returned stays unread.
const DRAIN: Duration = Duration::from_millis(700);

/// Longest wait for the policies at the end of the input.
const FIRST_LOAD: Duration = Duration::from_mins(1);

/// How often we look whether the process that started us still lives. Its end usually closes our input too,
/// but not if another of its children inherited the other side of the pipe.
const PARENT_CHECK: Duration = Duration::from_millis(500);

/// Serves one client on standard input and output. `token` proves the agent behind it where a call brings
/// none; `seats` are the keys that the seat of the client's session may have.
///
/// Returns when the input ended, on SIGTERM or SIGINT (SIGHUP reloads the policies), or when the parent process is gone; replies to
/// calls under way have been written then, within 700 ms. **The caller must end the process right after**
/// ([`std::process::exit`]): where standard input is no pipe, a thread blocks in a read that nothing can
/// interrupt, and dropping the runtime would wait for it.
///
/// # Errors
///
/// If the signal handlers cannot be installed. A client that goes away or writes nonsense is no error.
pub async fn serve_stdio(table: Table, token: Option<String>, seats: Vec<String>) -> io::Result<()> {
    let stop = CancellationToken::new();
    cancel_on_signal_or_parent_exit(stop.clone())?;
    let (input, output) = stdio_pipes();
    serve(Server::stdio(table.clone(), token, seats), table, input, output, stop).await;
    Ok(())
}

/// Serves one client on any pair of byte streams until the input ends or `stop` is cancelled; what
/// [`serve_stdio`] does with the process's own, for embedding and for tests in one process.
pub async fn serve_lines<R, W>(
    table: Table,
    token: Option<String>,
    input: R,
    output: W,
    stop: CancellationToken,
) where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    serve(Server::stdio(table.clone(), token, Vec::new()), table, input, output, stop).await;
}

async fn serve<R, W>(server: Server, policies: Table, input: R, output: W, stop: CancellationToken)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    // On a fresh installation compiling the policies takes seconds, and calls that were piped in wait for them: the end of
    // the input must not cut them off, nor the next start find nothing compiled again.
    let settle = move || {
        tokio::task::spawn_blocking(move || {
            let _ = policies.policies().wait_for(FIRST_LOAD, |_| true);
        })
    };
    let transport = LineTransport::new(input, output, stop.clone(), settle);
    // Without rmcp's handshake: its state machine ends the process when the first line is a notification and
    // refuses a call that comes before `initialize`. Ours answers both, as over HTTP.
    let mut serving = pin!(serve_directly(server, transport, None).waiting());
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = stop.cancelled() => tokio::time::timeout(DRAIN, serving).await.ok(),
    };
    match ended {
        Some(Ok(_)) => {}
        Some(Err(error)) => tracing::error!(%error, "the service loop failed"),
        None => tracing::info!("calls still running were cut off"),
    }
}

/// Cancels `stop` on a signal to end, or when the process that started us is gone.
pub(super) fn cancel_on_signal_or_parent_exit(stop: CancellationToken) -> io::Result<()> {
    let mut end = EndSignal::listen()?;
    let parent = ParentWatch::begin();
    let mut checks = tokio::time::interval(PARENT_CHECK);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = end.next() => break,
                () = stop.cancelled() => break,
                _ = checks.tick() => if parent.is_gone() { break },
            }
        }
        stop.cancel();
    });
    Ok(())
}
