//! The HTTP server: routes, checks in front of them, connections, TLS.

mod accept;
pub(super) mod bearer;
mod counters;
mod guard;
mod health;
mod lenient;
mod linger;
mod options;
mod origin;
mod router;
mod seats;
mod state;
mod throttle;
mod tls;

pub use options::{HttpLimits, HttpOptions};
pub use origin::check_allowed;
pub use router::serve_http;
#[cfg(feature = "conformance")]
pub use router::serve_http_with;
pub use tls::{Tls, TlsError};

pub(super) use counters::Counted;
pub(super) use lenient::is_json;
pub(super) use state::{App, refusal};
pub(super) use throttle::Throttles;
pub(super) use tls::read_chain;
