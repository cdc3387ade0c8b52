//! The certificate of the HTTP server: reading it, handing it to new connections, reading it again. Must not
//! know what goes through the connections.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::domain::clock::{self, Clock, Millis, SECOND};
use crate::os::Access;

/// Bytes of a certificate or key file that are read. A long chain takes some ten thousand.
const MAX_FILE: u64 = 1024 * 1024;

/// A certificate or key that cannot be used; one line for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the TLS {what} {path} cannot be used: {reason}")]
pub struct TlsError {
    what: &'static str,
    path: String,
    reason: String,
}

impl TlsError {
    fn new(what: &'static str, path: &Path, reason: String) -> Self {
        Self { what, path: path.display().to_string(), reason }
    }
}

/// A certificate with its key, which connections are opened with. TLS 1.2 and 1.3, HTTP/1.1 only.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    valid_until: Option<Millis>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a certificate, followed by those that vouch for it, and its unencrypted key, both PEM. Only
    /// their owner may be able to read the key.
    ///
    /// # Errors
    /// When a file cannot be read, holds something else or too much, others can use the key, or the two do
    /// not belong together. A certificate past its time is served, with a warning in the log.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let loaded = Mutex::new(load(cert, key)?);
        let tls = Self { cert: cert.to_owned(), key: key.to_owned(), loaded };
        tls.announce();
        Ok(tls)
    }

    /// Reads both files again, for connections from now on; those that are open keep what they have.
    ///
    /// # Errors
    /// See [`Tls::load`]. The certificate from before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let loaded = load(&self.cert, &self.key)?;
        *self.loaded.lock() = loaded;
        self.announce();
        Ok(())
    }

    fn announce(&self) {
        let (certificate, until) = (self.cert.display(), self.valid_until());
        let expired = until.is_some_and(|until| until < Clock::System.now());
        let until = until.map(clock::format);
        if expired {
            tracing::warn!(%certificate, until, "the TLS certificate in use has expired: clients will refuse it");
        } else {
            tracing::info!(%certificate, until, "TLS certificate in use");
        }
    }

    /// When the certificate's time is over; none if it does not say so in a way we understand.
    #[must_use]
    pub fn valid_until(&self) -> Option<Millis> {
        self.loaded.lock().valid_until
    }

    /// The server's side of a handshake, for as long as the peer takes.
    pub(super) async fn handshake<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.loaded.lock().config);
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn load(cert: &Path, key: &Path) -> Result<Loaded, TlsError> {
    let bad_cert = |reason: String| TlsError::new("certificate", cert, reason);
    let bad_key = |reason: String| TlsError::new("key", key, reason);
    let chain = read_chain(cert).map_err(bad_cert)?;
    let secret = read_key(key).map_err(bad_key)?;
    let valid_until = chain.first().and_then(last_moment);
    let built = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    let mut config = built.map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            bad_key(format!("it is not the key of the certificate {}", cert.display()))
        }
        Error::InvalidCertificate(error) => bad_cert(format!("it is not what it should be ({error})")),
        other => bad_key(other.to_string()),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded { config: Arc::new(config), valid_until })
}

/// The certificates of a file, at least one; else the reason, in words for the operator.
pub(crate) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path, false)?).collect();
    let chain = chain.map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("it holds no certificate in PEM form".into()) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path, true)?)
        .map_err(|_| "it holds no private key in PEM form that needs no passphrase".into())
}

fn read(path: &Path, owner_only: bool) -> Result<Vec<u8>, String> {
    let words = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(words)?;
    let access = Access::of(&file).map_err(words)?;
    if owner_only && access.others_use {
        return Err(format!("others can use it ({}): {}", access.shown, Access::remedy(path)));
    }
    let mut contents = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut contents).map_err(words)?;
    if contents.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    Ok(contents)
}

/// When a certificate expires (notAfter). rustls reports it only in the expiry error, so the certificate is verified at the
/// maximum time. The time is checked first, so the empty set of trusted roots does not matter.
fn last_moment(certificate: &CertificateDer<'_>) -> Option<Millis> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let end = UnixTime::since_unix_epoch(Duration::MAX);
    match verify_server_cert_signed_by_trust_anchor(&certificate, &RootCertStore::empty(), &[], end, &[]) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            i64::try_from(not_after.as_secs()).ok()?.checked_mul(SECOND)
        }
        _ => None,
    }
}
