//! "It changed", told to every request that listens. Must not depend on what changed.

use tokio::sync::watch;

/// A bell. A clone hears what is told from the moment it was made, so a request that was cloned before its
/// client got an answer misses nothing that the client does after it.
pub(super) struct News {
    teller: watch::Sender<()>,
    from: watch::Receiver<()>,
}

impl News {
    pub(super) fn tell(&self) {
        self.teller.send_replace(());
    }

    /// Changes once for everything told since this clone was made.
    pub(super) fn since(&self) -> watch::Receiver<()> {
        self.from.clone()
    }
}

impl Default for News {
    fn default() -> Self {
        let (teller, from) = watch::channel(());
        Self { teller, from }
    }
}

impl Clone for News {
    fn clone(&self) -> Self {
        Self { teller: self.teller.clone(), from: self.teller.subscribe() }
    }
}
