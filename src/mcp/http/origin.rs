//! Which browser pages and host names may speak to this server. A page of any site can send requests to a
//! server on its reader's machine; `Origin` tells us which, and `Host` betrays a name that was rebound to a
//! loopback address. Pure rules over header values; must not know a request.

use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

/// Whether a request with this `Origin` may be served: one of a page on this machine, or one of `allowed`.
pub(super) fn origin_allowed(origin: &str, allowed: &[String]) -> bool {
    let Some(origin) = normal_origin(origin) else {
        // `null`, the origin of sandboxed and local pages, is anybody's.
        return false;
    };
    // `tauri://localhost` and its like are no pages of this machine.
    (origin.is_web() && is_loopback(origin.host()))
        || allowed.iter().any(|allowed| normal_origin(allowed).as_ref() == Some(&origin))
}

/// Refuses settings that no request can match: an origin no browser or program sends, a host no client names.
///
/// # Errors
/// What is wrong, and what is taken.
pub fn check_allowed(origins: &[String], hosts: &[String]) -> Result<(), String> {
    if let Some(origin) = origins.iter().find(|origin| normal_origin(origin).is_none()) {
        return Err(format!(
            "TEAM_TABLE_ALLOWED_ORIGINS has {origin:?}, which no client sends: use scheme://host or scheme://host:port, \
             such as https://app.example.com or vscode-webview://NAME, without a path or wildcards"
        ));
    }
    let is_host = |host: &&String| {
        host.parse::<Authority>()
            .is_ok_and(|authority| !authority.host().contains('*') && !host.contains('@'))
    };
    match hosts.iter().find(|host| !is_host(host)) {
        Some(host) => Err(format!(
            "TEAM_TABLE_ALLOWED_HOSTS has {host:?}, which no client sends: use a name such as table.example.com, with or \
             without a port"
        )),
        None => Ok(()),
    }
}

/// Whether a request to this `Host` may be served: a loopback name, or one of `allowed` with or without its
/// port.
pub(super) fn host_allowed(host: &str, allowed: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    !host.contains('@')
        && (is_loopback(name)
            || allowed
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(host) || allowed.eq_ignore_ascii_case(name)))
}

#[derive(PartialEq)]
struct Origin(String, Authority);

impl Origin {
    fn is_web(&self) -> bool {
        ["http", "https"].contains(&self.0.as_str())
    }

    fn host(&self) -> &str {
        self.1.host()
    }
}

fn normal_origin(origin: &str) -> Option<Origin> {
    let uri: Uri = origin.trim_end_matches('/').to_ascii_lowercase().parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let default = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        // Extensions and desktop programs: vscode-webview, tauri, chrome-extension.
        _ => None,
    };
    if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') {
        return None;
    }
    let authority = if default.is_some() && authority.port_u16() == default {
        authority.host().parse().ok()?
    } else {
        authority.clone()
    };
    Some(Origin(scheme.to_owned(), authority))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_can_be_allowed_and_what_never_matches_is_refused() {
        let allowed = ["vscode-webview://abc123".to_owned(), "tauri://localhost".to_owned()];
        assert!(origin_allowed("vscode-webview://abc123", &allowed));
        assert!(origin_allowed("tauri://localhost", &allowed));
        assert!(!origin_allowed("tauri://localhost", &[]), "a program is no page of this machine");
        assert!(!origin_allowed("chrome-extension://abc", &allowed));
        let check = |origin: &str, host: &str| check_allowed(&[origin.to_owned()], &[host.to_owned()]);
        assert!(check("https://app.example.com:8443", "table.example.com:8741").is_ok());
        for origin in ["app.example.com", "https://app.example.com/page", "null", "*"] {
            assert!(check(origin, "table").unwrap_err().contains("ALLOWED_ORIGINS"), "{origin}");
        }
        for host in ["*.example.com", "a b", "https://x"] {
            assert!(check("https://x", host).unwrap_err().contains("ALLOWED_HOSTS"), "{host}");
        }
    }

    #[test]
    fn pages_of_this_machine_pass_and_foreign_ones_do_not() {
        let allowed = ["https://app.example.com".to_owned(), "http://lab.example.com:8080/".to_owned()];
        for origin in [
            "http://localhost",
            "http://localhost:6274",
            "https://LOCALHOST:1",
            "http://127.0.0.1:3000",
            "http://127.8.9.1",
            "http://[::1]:3000",
            "https://app.example.com",
            "https://app.example.com:443",
            "http://lab.example.com:8080",
        ] {
            assert!(origin_allowed(origin, &allowed), "{origin}");
        }
        for origin in [
            "null",
            "",
            "localhost",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://localhost@evil.example",
            "http://evil@localhost",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://sub.app.example.com",
            "http://lab.example.com",
            "file://",
            "chrome-extension://abcdef",
            "http://[::2]",
            "http://2130706433",
        ] {
            assert!(!origin_allowed(origin, &allowed), "{origin}");
        }
        assert!(!origin_allowed("null", &["null".to_owned()]), "cannot even be configured");
    }

    #[test]
    fn only_loopback_and_configured_hosts_are_accepted() {
        let allowed = ["table.example.com".to_owned(), "other.example.com:8741".to_owned()];
        for host in [
            "localhost",
            "localhost:8741",
            "127.0.0.1:8741",
            "[::1]:8741",
            "[::1]",
            "Table.Example.com:99",
            "other.example.com:8741",
        ] {
            assert!(host_allowed(host, &allowed), "{host}");
        }
        for host in
            ["evil.example:8741", "localhost.evil.example", "other.example.com", "x@localhost", "", "a b"]
        {
            assert!(!host_allowed(host, &allowed), "{host}");
        }
    }
}
