//! From a listener to HTTP/1.1 connections, each with its timeouts and all of them bounded, and the graceful
//! end. Must not depend on what is served.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::counters::{Counted, Counters};
use super::linger::Linger;
use super::options::HttpLimits;
use super::tls::Tls;

/// Bytes of a request's head; more gets 431.
const MAX_HEAD: usize = 32 * 1024;

/// Bytes a connection buffers for its peer before the response has to wait. hyper's own 400 KiB are for
/// downloads.
const MAX_BUFFER: usize = 64 * 1024;

/// Pause after a failed `accept`: most often the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection over the limit is told.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// The address at the other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerAddress(pub(super) IpAddr);

/// Serves `router` until `shutdown`, then cancels `closing` so that endless responses end, lets the others
/// finish within the drain time, and cuts off what is left.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: HttpLimits,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
    closing: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener) => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            counters.connections_refused.inc();
            // A TLS client would take these plain words for garbage: it is just hung up on.
            if tls.is_none() {
                refuse(stream);
            }
            continue;
        };
        let counted = Counted::new(&counters.connections);
        let (peer, router, closing) = (PeerAddress(peer.ip()), router.clone(), closing.clone());
        // Beneath TLS, where every byte that the peer takes counts.
        let stream = Linger::new(unless_deaf(stream, limits.write_timeout), closing.clone());
        // Two tasks rather than one: a plain connection has no need for the room of a TLS one.
        if let Some(tls) = tls.clone() {
            connections.spawn(async move {
                let _held = (slot, counted);
                if let Some(stream) = shake_hands(&tls, stream, limits, &closing).await {
                    serve_connection(stream, peer, router, limits, closing).await;
                }
            });
        } else {
            connections.spawn(async move {
                let _held = (slot, counted);
                serve_connection(stream, peer, router, limits, closing).await;
            });
        }
    }
    drop(listener);
    closing.cancel();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "cutting off connections that did not finish in time"
        );
    }
    connections.shutdown().await;
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    // With Nagle's algorithm on, a reply written in two pieces takes 44 ms on a kept-alive connection instead
    // of 0.3: the second piece waits for the acknowledgement of the first, which the client delays.
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

/// A stream whose peer must keep reading: hyper bounds how long a request may take to arrive but not how long a response
/// may take to leave.
fn unless_deaf<S: AsyncRead + AsyncWrite>(stream: S, limit: Duration) -> Pin<Box<TimeoutStream<S>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limit));
    Box::pin(stream)
}

fn refuse(stream: TcpStream) {
    // A fresh socket takes these few bytes at once; a peer that is gone already needs no answer.
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(BUSY);
    }
}

/// The stream inside a TLS connection; none if the handshake fails, takes too long or meets the end of the
/// server, which waits for calls only.
async fn shake_hands<S>(
    tls: &Tls,
    stream: S,
    limits: HttpLimits,
    closing: &CancellationToken,
) -> Option<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(limits.handshake_timeout, tls.handshake(stream)) => shaken,
        () = closing.cancelled() => return None,
    };
    match shaken {
        Ok(Ok(stream)) => return Some(stream),
        // Scanners and plain HTTP clients knock all day.
        Ok(Err(error)) => tracing::debug!(%error, "no TLS handshake"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
    None
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: PeerAddress,
    router: Router,
    limits: HttpLimits,
    closing: CancellationToken,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        // A router is always ready.
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Peers vanish and time out all day.
        tracing::debug!(%error, "connection ended early");
    }
}

/// Whether only this machine can reach `listener`.
pub(super) fn is_loopback(listener: &TcpListener) -> io::Result<bool> {
    Ok(listener.local_addr()?.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up_and_one_that_does_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut ours = unless_deaf(ours, Duration::from_millis(20));
        let reader = tokio::spawn(async move {
            let mut read = vec![0; 64];
            theirs.read_exact(&mut read).await.unwrap();
            theirs
        });
        ours.write_all(&[1; 64]).await.unwrap();
        let _deaf = reader.await.unwrap();
        let failed = ours.write_all(&[1; 64]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn accepted_connections_do_not_wait_for_acknowledgements() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(accept(&listener).await.unwrap().0.nodelay().unwrap());
    }
}
