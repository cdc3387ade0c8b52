//! A connection that ends politely. A refusal can come while the client is still sending its request; closing with
//! unread bytes would reset the connection, and the client would get a broken pipe in place of the refusal. So the
//! writing half is closed first, and a bounded amount of what still arrives is read and dropped (nginx calls it a
//! lingering close). Must not depend on the content.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Bytes that are read and dropped at most.
const MAX_DROPPED: usize = 16 * 1024 * 1024;

/// How long they are waited for at most.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A stream whose shutdown waits, within bounds, for the peer to have finished too.
pub(super) struct Linger<S> {
    stream: S,
    /// The server ends: nothing is waited for any more.
    closing: CancellationToken,
    /// Ends the wait; there once our half is closed.
    over: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    dropped: usize,
}

impl<S> Linger<S> {
    pub(super) fn new(stream: S, closing: CancellationToken) -> Self {
        Self { stream, closing, over: None, dropped: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.over.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            let closing = self.closing.clone();
            self.over = Some(Box::pin(async move {
                let _ = tokio::time::timeout(MAX_WAIT, closing.cancelled()).await;
            }));
        }
        let this = &mut *self;
        if this.over.as_mut().is_none_or(|over| over.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Ok(()));
        }
        while this.dropped < MAX_DROPPED {
            let mut room = [MaybeUninit::uninit(); 16 * 1024];
            let mut bytes = ReadBuf::uninit(&mut room);
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut bytes)) {
                Ok(()) if !bytes.filled().is_empty() => this.dropped += bytes.filled().len(),
                // The peer has finished, one way or the other.
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn lingering_close_drains_the_peer_after_our_fin() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut ours = Linger::new(ours, CancellationToken::new());
        ours.write_all(b"no").await.unwrap();
        let ending = tokio::spawn(async move {
            ours.shutdown().await.unwrap();
            ours.dropped
        });
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"no", "the answer and its end come before the rest was sent");
        theirs.write_all(&vec![0; 100_000]).await.unwrap();
        drop(theirs);
        assert_eq!(ending.await.unwrap(), 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_bounded_in_bytes_in_time_and_by_the_end_of_the_server() {
        let endless = async {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let (mut ours, mut theirs) = (Linger::new(ours, CancellationToken::new()), theirs);
            let sender =
                tokio::spawn(async move { while theirs.write_all(&vec![0; 1 << 16]).await.is_ok() {} });
            ours.shutdown().await.unwrap();
            let dropped = ours.dropped;
            drop(ours);
            sender.await.unwrap();
            dropped
        };
        assert!((MAX_DROPPED..MAX_DROPPED + 16 * 1024).contains(&endless.await));

        let started = tokio::time::Instant::now();
        let (ours, _theirs) = tokio::io::duplex(8);
        Linger::new(ours, CancellationToken::new()).shutdown().await.unwrap();
        assert_eq!(started.elapsed().as_secs(), MAX_WAIT.as_secs());

        let started = tokio::time::Instant::now();
        let (closing, (ours, _theirs)) = (CancellationToken::new(), tokio::io::duplex(8));
        closing.cancel();
        Linger::new(ours, closing).shutdown().await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
