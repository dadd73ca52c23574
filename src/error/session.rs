//! What can go wrong with a session, kept in two camps: the token is bad, or it could not be checked.

use std::error::Error as StdError;
use std::fmt;

use super::keys::KeysUnavailable;

/// Why there is no validated session.
///
/// The distinction that matters to a server is between a token that is bad (respond with 401) and a token
/// that could not be checked (respond with 503): see [`is_unavailable`](Self::is_unavailable). No text in
/// here is taken from a token.
///
/// ```
/// use descope_magiclink::session::{SessionError, TokenProblem};
///
/// fn status(error: &SessionError) -> u16 {
///     match error {
///         SessionError::NotInTenant => 403,
///         error if error.is_unavailable() => 503,
///         _ => 401,
///     }
/// }
///
/// assert_eq!(status(&SessionError::Token(TokenProblem::Expired)), 401);
/// assert_eq!(status(&SessionError::Missing), 401);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// There was no token to look at: the user is not signed in.
    Missing,
    /// The token is bad. Asking again with the same token gives the same response.
    Token(TokenProblem),
    /// The token could not be checked, because there are no keys to check it with. Says nothing
    /// about the token: try again later, and do not sign the user out.
    Unavailable(KeysUnavailable),
    /// A token in the service's response to our own call is bad. Says nothing about the token that the
    /// call was made with: do not sign the user out.
    InvalidResponse(TokenProblem),
    /// The tokens in the service's response belong to another user than the one that asked, so none of
    /// them was used. Says nothing about the token that the call was made with.
    UserMismatch,
    /// The session is good, but its user does not belong to the tenant that was asked for.
    NotInTenant,
}

impl SessionError {
    /// Whether the token could not be checked, as opposed to being bad.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::InvalidResponse(_) | Self::UserMismatch
        )
    }

    /// Whether the token was good in every way but is past its time: a refresh gets a new one.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Token(TokenProblem::Expired))
    }

    /// What is wrong with the token, when that is what is wrong.
    #[must_use]
    pub fn token_problem(&self) -> Option<TokenProblem> {
        match self {
            Self::Token(problem) | Self::InvalidResponse(problem) => Some(*problem),
            _ => None,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no session token; sign in first"),
            Self::Token(problem) => problem.fmt(f),
            Self::Unavailable(unavailable) => unavailable.fmt(f),
            Self::InvalidResponse(problem) => {
                write!(
                    f,
                    "the service's response holds a token that was not used: {problem}"
                )
            }
            Self::UserMismatch => f.write_str(
                "the service's response holds tokens of another user, so none was used; \
                 look for a cache or a proxy that mixes responses up",
            ),
            Self::NotInTenant => f.write_str("the user does not belong to the tenant"),
        }
    }
}

impl StdError for SessionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // The text above is the inner one's, so the chain goes on with what is behind that.
            Self::Unavailable(unavailable) => unavailable.source(),
            _ => None,
        }
    }
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenProblem {
    /// Longer than the validator accepts.
    TooLarge,
    /// Not a signed token in compact form: parts, base64url or JSON are not as they must be, or a
    /// JSON member occurs twice.
    Malformed,
    /// An encrypted token (five parts), which cannot be checked locally.
    Encrypted,
    /// A token inside a token.
    Nested,
    /// Signed by an algorithm that is not accepted, or not the one its key is for.
    UnsupportedAlgorithm,
    /// Its header says (`typ`) that it is something else than a JWT of the kind that is accepted.
    UnsupportedType,
    /// Demands an extension (`crit`, or `b64` false) that this crate does not implement.
    UnsupportedCritical,
    /// Names no key, or names it with a text that cannot be a key's name.
    MissingKeyId,
    /// Names a key that the project does not have, or no longer has.
    UnknownKey,
    /// The signature does not fit.
    InvalidSignature,
    /// A refresh token where a session token belongs, or the reverse.
    WrongTokenType,
    /// Issued by another project, or by another service.
    WrongIssuer,
    /// Meant for another audience.
    WrongAudience,
    /// Bound to a key of its holder, so it is no bearer token: a proof would be needed with it.
    SenderConstrained,
    /// Past its time; a refresh gets a new one.
    Expired,
    /// Its session has ended before its time: it was signed out, or the process that refreshed it is gone
    /// with the new tokens.
    SessionEnded,
    /// Not valid yet, or issued more than a minute in the future. When it happens to fresh tokens, this
    /// machine's clock is slow.
    NotYetValid,
    /// A claim that every token needs is absent or has the wrong shape.
    InvalidClaim(Claim),
}

/// A claim that a token cannot do without, or must have in one shape if it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Claim {
    /// `exp`, the end of the token's life.
    Expiry,
    /// `nbf`, the start of the token's life.
    NotBefore,
    /// `iat`, the time of issue.
    IssuedAt,
    /// `sub` or `dsub`, the user.
    Subject,
}

impl Claim {
    /// The claim's name in the token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expiry => "exp",
            Self::NotBefore => "nbf",
            Self::IssuedAt => "iat",
            Self::Subject => "sub",
        }
    }
}

impl fmt::Display for TokenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the token is larger than the validator accepts",
            Self::Malformed => "the token is not a well-formed signed token; sign in again",
            Self::Encrypted => "the token is encrypted; only signed tokens can be checked locally",
            Self::Nested => "the token holds another token; only plain signed tokens are accepted",
            Self::UnsupportedAlgorithm => "the token's algorithm is not accepted for its key",
            Self::UnsupportedType => "the token's header has a `typ` that is not accepted; only `JWT` is unless the validator names more",
            Self::UnsupportedCritical => "the token demands an extension that is not supported",
            Self::MissingKeyId => "the token does not name a key properly; sign in again",
            Self::UnknownKey => "the token names a key that the project does not have; sign in again",
            Self::InvalidSignature => "the token's signature does not fit; sign in again",
            Self::WrongTokenType => "the token is of another kind; give session tokens as sessions and refresh tokens as refresh tokens, and configure the project's own cookie names",
            Self::WrongIssuer => "the token was issued for another project or by another service; check the project id and the accepted issuers",
            Self::WrongAudience => "the token is meant for another audience; check the accepted audiences",
            Self::SenderConstrained => "the token is bound to a key of its holder and cannot be used without a proof",
            Self::Expired => "the token has expired; refresh the session",
            Self::SessionEnded => "the token's session has ended; sign in again",
            Self::NotYetValid => "the token is not valid yet; check this machine's clock",
            Self::InvalidClaim(claim) => {
                return write!(
                    f,
                    "the token's `{}` claim is missing or has the wrong shape",
                    claim.as_str()
                );
            }
        })
    }
}

impl StdError for TokenProblem {}

impl From<TokenProblem> for SessionError {
    fn from(problem: TokenProblem) -> Self {
        Self::Token(problem)
    }
}

impl From<KeysUnavailable> for SessionError {
    fn from(unavailable: KeysUnavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeyProblem;
    use super::*;

    #[test]
    fn every_text_is_one_lower_case_sentence() {
        let problems = [
            TokenProblem::TooLarge,
            TokenProblem::Malformed,
            TokenProblem::Encrypted,
            TokenProblem::Nested,
            TokenProblem::UnsupportedAlgorithm,
            TokenProblem::UnsupportedType,
            TokenProblem::UnsupportedCritical,
            TokenProblem::MissingKeyId,
            TokenProblem::UnknownKey,
            TokenProblem::InvalidSignature,
            TokenProblem::WrongTokenType,
            TokenProblem::WrongIssuer,
            TokenProblem::WrongAudience,
            TokenProblem::SenderConstrained,
            TokenProblem::Expired,
            TokenProblem::SessionEnded,
            TokenProblem::NotYetValid,
            TokenProblem::InvalidClaim(Claim::Expiry),
        ];
        let keys = [
            KeyProblem::Transport,
            KeyProblem::Tls,
            KeyProblem::Timeout,
            KeyProblem::Status(404),
            KeyProblem::Status(502),
            KeyProblem::Redirect,
            KeyProblem::TooLarge,
            KeyProblem::InvalidJson,
            KeyProblem::NoUsableKey,
            KeyProblem::NotLoaded,
            KeyProblem::NotPublished,
            KeyProblem::InCooldown,
            KeyProblem::NoThread,
        ];
        let texts = problems
            .into_iter()
            .map(SessionError::from)
            .chain(
                keys.into_iter()
                    .map(|problem| KeysUnavailable::from(problem).into()),
            )
            .chain([
                SessionError::Missing,
                SessionError::NotInTenant,
                SessionError::UserMismatch,
                SessionError::InvalidResponse(TokenProblem::WrongIssuer),
            ])
            .map(|error| error.to_string());
        for text in texts {
            assert!(text.starts_with(|c: char| c.is_ascii_lowercase()), "{text}");
            assert!(!text.ends_with('.') && !text.contains(". "), "{text}");
        }
    }

    #[test]
    fn the_cause_is_told_once() {
        let cause = std::io::Error::other("connection refused");
        let error = SessionError::from(KeysUnavailable::caused(KeyProblem::Transport, cause));
        assert!(error.is_unavailable());
        assert!(!error.to_string().contains("refused"));
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("connection refused"));
    }
}
