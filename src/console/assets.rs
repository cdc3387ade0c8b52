//! The files that pages load, in the binary: the stylesheet, our script, and htmx with its SSE extension as they were released
//! (`assets/LICENSE-htmx`). Their addresses carry their digests, so browsers keep them for as long as they are what they were.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

/// A file, with the address below the console at which it is served.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    /// The same, by `gzip -9n`: for the one file that is half of a page's bytes.
    packed: Option<&'static [u8]>,
    path: LazyLock<String>,
}

macro_rules! asset {
    ($name:literal, $kind:literal) => {
        asset!($name, $kind, None)
    };
    ($name:literal, $kind:literal, $packed:expr) => {
        Asset {
            name: $name,
            kind: $kind,
            content: include_str!(concat!("assets/", $name)),
            packed: $packed,
            path: LazyLock::new(|| {
                let digest = blake3::hash(include_bytes!(concat!("assets/", $name))).to_hex();
                format!("/assets/{}/{}", digest.chars().take(12).collect::<String>(), $name)
            }),
        }
    };
}

pub(super) static STYLE: Asset = asset!("console.css", "text/css; charset=utf-8");
pub(super) static SCRIPT: Asset = asset!("console.js", "text/javascript; charset=utf-8");
pub(super) static HTMX: Asset = asset!(
    "htmx-2.0.11.min.js",
    "text/javascript; charset=utf-8",
    Some(include_bytes!("assets/htmx-2.0.11.min.js.gz"))
);
pub(super) static HTMX_SSE: Asset = asset!("htmx-ext-sse-2.2.4.min.js", "text/javascript; charset=utf-8");

pub(super) static ICON: Asset = asset!("icon.svg", "image/svg+xml");

/// Only for pages with passkeys.
pub(super) static PASSKEYS: Asset = asset!("passkeys.js", "text/javascript; charset=utf-8");

static ALL: [&Asset; 6] = [&STYLE, &SCRIPT, &HTMX, &HTMX_SSE, &ICON, &PASSKEYS];

impl Asset {
    /// Its address below the console.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// `GET /assets/{digest}/{name}`, for anybody: they hold nothing of the table.
pub(super) async fn asset(Path((digest, name)): Path<(String, String)>, request: HeaderMap) -> Response {
    let wanted = format!("/assets/{digest}/{name}");
    let Some(asset) = ALL.iter().find(|asset| asset.name == name && asset.path() == wanted) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (VARY, HeaderValue::from_static("accept-encoding")),
    ];
    match asset.packed.filter(|_| takes_gzip(&request)) {
        Some(packed) => {
            (headers, [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))], packed).into_response()
        }
        None => (headers, asset.content).into_response(),
    }
}

/// Whether a browser unpacks gzip. One that forbids it by `q=0` gets the plain file.
fn takes_gzip(request: &HeaderMap) -> bool {
    let codings = request.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|part| part.replace(' ', "").starts_with("q=0"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendored_files_are_the_released_ones() {
        // The sha-256 digests of `dist/htmx.min.js` in htmx.org 2.0.11 and `dist/sse.min.js` in htmx-ext-sse 2.2.4 at registry.npmjs.org.
        use sha2::{Digest, Sha256};
        let hex = |byte: &u8| format!("{byte:02x}");
        let digest =
            |asset: &Asset| -> String { Sha256::digest(asset.content.as_bytes()).iter().map(hex).collect() };
        assert_eq!(digest(&HTMX), "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717");
        assert_eq!(digest(&HTMX_SSE), "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136");
    }

    #[test]
    fn the_first_page_leaves_room_below_100_kib() {
        let first = ALL.iter().filter(|asset| asset.name != PASSKEYS.name);
        let assets: usize = first.map(|asset| asset.packed.map_or(asset.content.len(), <[u8]>::len)).sum();
        assert!(assets < 56 * 1024, "{assets} bytes of assets leave less than 44 KiB for the page itself");
    }
}
