//! Credentials: minting and hashing tokens, and turning what a caller presents into a [`Principal`].
//! Must not depend on transports: they only say where a token came from.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::agent::{MAX_NAME, Member};
use crate::domain::principal::Principal;
use crate::domain::refusal::{Code, Refusal};
use crate::storage::{Claim, ReadTx, Result};

/// What every token begins with, so that scanners for leaked secrets can find it.
const PREFIX: &str = "tt_";

/// Domain separation for the token hash (blake3 key derivation context).
const HASH_CONTEXT: &str = "team-table 2026 agent token";

/// As [`PREFIX`], for the secrets of persons.
const PERSON_PREFIX: &str = "tp_";

/// As [`HASH_CONTEXT`], for the secrets of persons: no agent's token opens a session.
const PERSON_HASH_CONTEXT: &str = "team-table 2026 person secret";

/// A freshly minted token: `tt_` and 43 base64url characters, 256 random bits. The text exists only here
/// and in the reply that hands it over.
pub struct Token(String);

impl Token {
    /// Mints a token from the operating system's randomness.
    ///
    /// # Errors
    /// `unavailable` when the operating system has none to give.
    pub fn mint() -> Result<Self, Refusal> {
        Ok(Self(format!("{PREFIX}{}", random_text()?)))
    }

    /// The hash that is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }

    /// Hands the token over to its agent.
    #[must_use]
    pub fn reveal(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A person's secret: the code of a one-time link, or of a session. `tp_` and 43 base64url characters, 256 random bits.
pub struct Secret(String);

impl Secret {
    /// Mints a secret from the operating system's randomness.
    ///
    /// # Errors
    /// `unavailable` when the operating system has none to give.
    pub fn mint() -> Result<Self, Refusal> {
        Ok(Self(format!("{PERSON_PREFIX}{}", random_text()?)))
    }

    /// The hash that is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        secret_hash(&self.0)
    }

    /// Hands the secret over to its person.
    #[must_use]
    pub fn reveal(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The hash of a presented secret of a person. Secrets are found by hash, so comparing them takes no secret-dependent time.
#[must_use]
pub fn secret_hash(secret: &str) -> [u8; 32] {
    blake3::derive_key(PERSON_HASH_CONTEXT, secret.as_bytes())
}

/// 256 random bits as base64url.
fn random_text() -> Result<String, Refusal> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|_| {
        Refusal::new(Code::Unavailable, "no randomness for a new token", "try again in a moment")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bits))
}

fn hash(token: &str) -> [u8; 32] {
    blake3::derive_key(HASH_CONTEXT, token.as_bytes())
}

/// Both hashes of a presented token. Tokens are found by hash, so comparing them takes no secret-dependent
/// time.
#[must_use]
pub fn claim(token: &str) -> Claim {
    Claim { hash: hash(token), legacy: Sha256::digest(token.as_bytes()).into() }
}

/// What a caller presents, in the order in which it counts.
#[derive(Clone, Default)]
pub struct Credential {
    /// The `token` argument.
    pub argument: Option<String>,
    /// `Authorization: Bearer` on a network transport, `TEAM_TABLE_TOKEN` on stdio.
    pub ambient: Option<String>,
    /// On stdio, the keys that the seat of the client's session may have. Who sits there needs no token: the hook that opened
    /// the seat and this process are children of one client, of the same user, on an owner-only database.
    pub seats: Vec<String>,
}

impl Credential {
    /// The token that decides, if any was presented.
    fn token(&self) -> Option<&str> {
        let given =
            |token: &Option<String>| token.as_deref().map(str::trim).is_some_and(|token| !token.is_empty());
        [&self.argument, &self.ambient].into_iter().find(|token| given(token))?.as_deref().map(str::trim)
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Who a caller turned out to be.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A member.
    Member(Principal),
    /// Nobody in particular: tokens are switched off and no name was given, or the caller is registering.
    Anonymous,
}

impl Caller {
    /// The member, if it is one.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Member(principal) => Some(principal),
            Self::Anonymous => None,
        }
    }
}

/// Why a caller was not let in.
#[derive(Debug)]
pub struct AuthError {
    /// The words for the caller.
    pub refusal: Refusal,
    /// A token was presented and is not valid, which a network transport counts against the address.
    pub bad_token: bool,
}

impl From<Refusal> for AuthError {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, bad_token: false }
    }
}

/// The way back to one's own seat, for every refusal that a lost token can end in.
#[must_use]
pub fn if_lost(name: &str) -> String {
    let name: String =
        if crate::domain::agent::check_name("name", name).is_ok() { name } else { "NAME" }.into();
    let shown = if name.contains(' ') { format!("\"{name}\"") } else { name };
    format!(
        "if it is lost, do not take another name: ask your operator for `team-table agent rotate-token {shown}`"
    )
}

fn bad_token(name: &str) -> AuthError {
    let refusal = Refusal::new(
        Code::Unauthenticated,
        "this token is not valid",
        format!("use the token that register returned last; {}", if_lost(name)),
    );
    AuthError { refusal, bad_token: true }
}

/// Finds out who calls. The token decides; a name that is given must be the token's. Without a token the
/// name is believed only where `require_tokens` is off.
///
/// # Errors
/// Those of storage; inside, `unauthenticated` or `permission_denied`.
pub fn authenticate(
    tx: &ReadTx<'_>,
    credential: &Credential,
    name: Option<&str>,
    require_tokens: bool,
) -> Result<Result<Caller, AuthError>> {
    let name = name.filter(|name| !name.is_empty());
    if let Some(token) = credential.token() {
        let Some(member) = tx.member_by_token(&claim(token))? else {
            return Ok(Err(bad_token(name.unwrap_or("NAME"))));
        };
        if !member.active {
            return Ok(Err(departed(&member)));
        }
        return Ok(match name {
            Some(name) if name != member.name => Err(impostor(&member, name)),
            _ => Ok(Caller::Member(member.into_principal(true))),
        });
    }
    if let Some(seat) = tx.first_seat(&credential.seats)? {
        let seated = tx.seated(seat.id)?;
        let of_name = match (name, seated.as_slice()) {
            (Some(name), seated) => seated.iter().find(|member| member.name == name).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        if let Some(member) = of_name {
            return Ok(Ok(Caller::Member(member.into_principal(true))));
        }
    }
    if require_tokens {
        return Ok(Err(Refusal::new(
            Code::Unauthenticated,
            "this call needs a token",
            format!(
                "pass the token that register returned as `token`; call register if you never had one; {}",
                if_lost(name.unwrap_or("NAME"))
            ),
        )
        .into()));
    }
    let Some(name) = name else { return Ok(Ok(Caller::Anonymous)) };
    Ok(match tx.member(name)?.filter(|member| member.active) {
        Some(member) => Ok(Caller::Member(member.into_principal(false))),
        None => Err(Refusal::new(
            Code::Unauthenticated,
            format!("no active member named {:?}", shown(name)),
            "call register first; list_members shows who is here",
        )
        .into()),
    })
}

/// Finds the member whose registration a `register` call may renew. The token of one who has left is good
/// for this and nothing else.
///
/// # Errors
/// Those of storage; inside, `unauthenticated` or `permission_denied`.
pub fn prove_registration(
    tx: &ReadTx<'_>,
    credential: &Credential,
    name: &str,
) -> Result<Result<Option<i64>, AuthError>> {
    let Some(token) = credential.token() else {
        let Some(seat) = tx.first_seat(&credential.seats)? else { return Ok(Ok(None)) };
        let renews = seat.reserved.as_deref() == Some(name)
            || tx.seated(seat.id)?.iter().any(|member| member.name == name);
        let holder = if renews { tx.member(name)? } else { None };
        return Ok(Ok(holder.map(|member| member.id)));
    };
    // A token passed as argument must fit. One that came with the connection may belong to another agent on it, or be left
    // over from an earlier registration; it is used only if it matches this name.
    let given = credential.argument.as_deref().is_some_and(|token| !token.trim().is_empty());
    Ok(match tx.member_by_token(&claim(token))? {
        Some(member) if member.name == name => Ok(Some(member.id)),
        Some(member) if given => Err(impostor(&member, name)),
        None if given => Err(bad_token(name)),
        _ => Ok(None),
    })
}

/// As much of a name that was given as any name has.
fn shown(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

fn impostor(member: &Member, name: &str) -> AuthError {
    Refusal::denied(
        format!("this token belongs to {}, not to {:?}", member.name, shown(name)),
        format!("call as {}, or with the other agent's own token; {}", member.name, if_lost(name)),
    )
    .into()
}

fn departed(member: &Member) -> AuthError {
    Refusal::new(
        Code::Unauthenticated,
        format!("{} has left the table", member.name),
        "register again with this token to come back, or under another name",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_the_documented_form() {
        let (one, two) = (Token::mint().unwrap().reveal(), Token::mint().unwrap().reveal());
        assert_ne!(one, two);
        assert_eq!(one.len(), 3 + 43);
        let bits = URL_SAFE_NO_PAD.decode(one.strip_prefix(PREFIX).unwrap()).unwrap();
        assert_eq!(bits.len(), 32);
    }

    #[test]
    fn nothing_secret_is_shown_in_debug_output() {
        let token = Token::mint().unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        let credential =
            Credential { argument: Some(token.reveal()), ambient: None, ..Credential::default() };
        assert_eq!(format!("{credential:?}"), "Credential(…)");
    }

    #[test]
    fn the_argument_counts_before_the_connection_and_blanks_count_as_none() {
        let both =
            Credential { argument: Some("a".into()), ambient: Some("b".into()), ..Credential::default() };
        assert_eq!(both.token(), Some("a"));
        let ambient =
            Credential { argument: Some(" ".into()), ambient: Some("b".into()), ..Credential::default() };
        assert_eq!(ambient.token(), Some("b"));
    }
}
