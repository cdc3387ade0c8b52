//! Whether a page belongs to the server that it sends to.

/// Whether an `Origin` is the server's own, by the `Host` under which it was reached: the same name and port. The scheme is not
/// compared: behind a TLS proxy the server does not know it.
#[must_use]
pub fn is_own(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_name_and_port_are_the_server_s_own() {
        assert!(is_own("https://Table.example:8741", "table.example:8741"));
        for origin in
            ["null", "", "https://table.example", "https://other.example:8741", "table.example:8741"]
        {
            assert!(!is_own(origin, "table.example:8741"), "{origin}");
        }
    }
}
