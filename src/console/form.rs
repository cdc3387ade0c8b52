//! The fields of a form or of an address: pairs of texts, a name may come several times.

use axum::body::Bytes;

/// What a form sent, or what stands behind the `?` of an address.
#[derive(Debug, Clone, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `name=value&…`; what is no such pair is a name with an empty value. Browsers send line breaks as CR LF, agents write
    /// LF.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(bytes).into_owned();
        Self(pairs.map(|(name, value)| (name, value.replace("\r\n", "\n"))).collect())
    }

    /// The first value of a name, without the white space around it; `None` where it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// The first value of a name, as it was sent.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The number that a name has.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// The numbers that a name has.
    pub(super) fn numbers(&self, name: &str) -> Vec<i64> {
        self.0.iter().filter(|(key, _)| key == name).filter_map(|(_, value)| value.parse().ok()).collect()
    }
}

impl From<Bytes> for Form {
    fn from(bytes: Bytes) -> Self {
        Self::parse(&bytes)
    }
}
