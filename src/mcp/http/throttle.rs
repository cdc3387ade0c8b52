//! Rate limits per address for what no client does often for a good reason: presenting invalid tokens, and registering. A guess at 256 random bits is hopeless anyway, so this is about load, log noise and a table full of
//! strangers. Must not depend on what a token is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

/// Addresses tracked at once. When that many are failing at the same time, new addresses are not tracked: evicting a blocked
/// one would unblock it.
const MAX_ADDRESSES: usize = 16_384;

/// What a server counts, on all its transports together.
#[derive(Debug)]
pub(crate) struct Throttles {
    /// Tokens that are not valid.
    pub(crate) failed_tokens: Throttle,
    /// Registrations that no token came with.
    pub(crate) newcomers: Throttle,
    /// Requests refused for failed tokens.
    pub(crate) refused: Counter,
}

/// Occurrences per address within a window that starts with the first of them.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: u32,
    window: Duration,
    seen: Mutex<HashMap<IpAddr, Window>>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    failures: u32,
    /// The fingerprints of what was presented, each counted once; at most `limit`.
    presented: Vec<Fingerprint>,
}

impl Window {
    const fn starting(since: Instant) -> Self {
        Self { since, failures: 0, presented: Vec::new() }
    }
}

/// Tells one token from another in a few bytes.
type Fingerprint = u64;

fn fingerprint(token: &str) -> Fingerprint {
    Fingerprint::from_le_bytes(*blake3::hash(token.as_bytes()).as_bytes().first_chunk().unwrap_or(&[0; 8]))
}

impl Throttle {
    /// `limit` occurrences within `window` block an address until that window ends.
    pub(super) fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, seen: Mutex::default() }
    }

    /// It happened once more, by `address`. The same `presented` text counts once in a window: an agent whose token died
    /// presents it with every call and guesses nothing.
    pub(crate) fn record(&self, address: IpAddr, presented: Option<&str>, now: Instant) {
        let mut seen = self.seen.lock();
        let address = network(address);
        if !seen.contains_key(&address) && seen.len() >= MAX_ADDRESSES {
            seen.retain(|_, window| now < window.since + self.window);
            if seen.len() >= MAX_ADDRESSES {
                return;
            }
        }
        let window = seen.entry(address).or_insert(Window::starting(now));
        if now >= window.since + self.window {
            *window = Window::starting(now);
        }
        if let Some(presented) = presented.map(fingerprint) {
            if window.failures >= self.limit || window.presented.contains(&presented) {
                return;
            }
            window.presented.push(presented);
        }
        window.failures = window.failures.saturating_add(1);
    }

    /// How long `address` has to wait, if it is blocked.
    pub(crate) fn blocked(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let seen = self.seen.lock();
        let window = seen.get(&network(address))?;
        let end = window.since + self.window;
        (window.failures >= self.limit && now < end).then(|| end - now)
    }
}

/// What one customer is handed: an IPv4 address, or an IPv6 /64, within which anybody can change address at
/// will.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(1);

    #[test]
    fn an_address_is_blocked_at_the_limit_until_its_window_ends() {
        let failed = Throttle::new(3, WINDOW);
        let (bad, good): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let start = Instant::now();
        for _ in 0..2 {
            failed.record(bad, None, start);
        }
        assert_eq!(failed.blocked(bad, start), None);
        failed.record(bad, None, start + Duration::from_secs(50));
        assert_eq!(failed.blocked(bad, start + Duration::from_secs(50)), Some(Duration::from_secs(10)));
        assert_eq!(failed.blocked(good, start), None);
        assert_eq!(failed.blocked(bad, start + WINDOW), None);
        failed.record(bad, None, start + WINDOW);
        assert_eq!(failed.blocked(bad, start + WINDOW), None, "a new window starts from nothing");
    }

    #[test]
    fn the_same_text_counts_once_and_different_ones_each() {
        let failed = Throttle::new(3, WINDOW);
        let (address, now): (IpAddr, Instant) = ([192, 0, 2, 1].into(), Instant::now());
        for _ in 0..100 {
            failed.record(address, Some("dead"), now);
        }
        failed.record(address, Some("dead too"), now);
        assert_eq!(failed.blocked(address, now), None);
        for guess in 0..100 {
            failed.record(address, Some(&format!("guess {guess}")), now);
        }
        assert!(failed.blocked(address, now).is_some());
        assert_eq!(failed.seen.lock()[&address].presented.len(), 3, "memory is bounded");
    }

    #[test]
    fn a_whole_ipv6_64_counts_as_one_and_a_mapped_address_as_its_ipv4() {
        let failed = Throttle::new(1, WINDOW);
        let now = Instant::now();
        failed.record("2001:db8::1".parse().unwrap(), None, now);
        assert!(failed.blocked("2001:db8::ffff".parse().unwrap(), now).is_some());
        assert!(failed.blocked("2001:db8:0:1::1".parse().unwrap(), now).is_none());
        failed.record("::ffff:192.0.2.9".parse().unwrap(), None, now);
        assert!(failed.blocked("192.0.2.9".parse().unwrap(), now).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let failed = Throttle::new(1, WINDOW);
        let now = Instant::now();
        for n in 0..20_000_u32 {
            failed.record(std::net::Ipv4Addr::from_bits(n).into(), None, now);
        }
        assert_eq!(failed.seen.lock().len(), MAX_ADDRESSES);
        failed.record([192, 0, 2, 1].into(), None, now + WINDOW);
        assert_eq!(failed.seen.lock().len(), 1, "what has expired makes room");
    }
}
