//! The authenticated caller of one call.

use super::decision::PrincipalView;

/// Who calls, as proved by a token, or as told where tokens are switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Key of the member row: a name that changed hands has another id.
    pub id: i64,
    /// Agent name.
    pub name: String,
    /// Role, granted or self-given.
    pub role: String,
    /// Capabilities as registered.
    pub capabilities: Vec<String>,
    /// Whether a token proved it.
    pub authenticated: bool,
}

impl Principal {
    /// Lead and admin may act on what belongs to others.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        super::agent::is_privileged(&self.role)
    }

    /// The view that policies get.
    #[must_use]
    pub fn view(&self) -> PrincipalView {
        PrincipalView {
            name: self.name.clone(),
            role: self.role.clone(),
            capabilities: self.capabilities.clone(),
            authenticated: self.authenticated,
        }
    }
}
