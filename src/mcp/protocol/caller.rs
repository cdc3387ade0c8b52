//! Who sent a network request, as far as HTTP tells: a credential and an address. Which agent that is, `auth`
//! decides per request; nothing here outlives one.

use std::fmt;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use rmcp::model::Extensions;

/// What the transport knows of the sender of one request.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    /// The token of an `Authorization: Bearer` header.
    pub(crate) bearer: Option<String>,
    /// The peer's address, by which invalid tokens are counted; none on stdio.
    pub(crate) address: Option<IpAddr>,
}

impl Caller {
    /// The caller the transport attached to a message: directly (HTTP+SSE) or through the HTTP request rmcp
    /// keeps beside it (streamable HTTP). Standard input attaches nothing.
    pub(super) fn of(extensions: &Extensions) -> Self {
        let direct = extensions.get::<Self>();
        direct.or_else(|| extensions.get::<Parts>()?.extensions.get::<Self>()).cloned().unwrap_or_default()
    }
}

// The token must not reach a log through `{:?}`.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bearer = self.bearer.as_ref().map(|_| "…");
        f.debug_struct("Caller").field("bearer", &bearer).field("address", &self.address).finish()
    }
}

/// The token of an `Authorization: Bearer` header; other schemes are ignored.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_header_is_read_whatever_the_case_of_its_scheme() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            bearer(&headers)
        };
        assert_eq!(read("Bearer tt_1").as_deref(), Some("tt_1"));
        assert_eq!(read("bearer  tt_1 ").as_deref(), Some("tt_1"));
        assert_eq!(read("Basic dTpw"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(read("tt_1"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_caller_does_not_show_its_token() {
        let caller = Caller { bearer: Some("tt_secret".into()), address: None };
        assert!(!format!("{caller:?}").contains("tt_secret"));
    }
}
