//! Sessions: local validation, access checks, refresh.
//!
//! A sign-in gives two tokens. The session token goes along with every request and lives for
//! minutes; a server validates it by itself, with the project's public keys. The refresh token
//! lives for weeks and is good for new session tokens only.
//!
//! ```no_run
//! use descope_magiclink::session::SessionError;
//! use descope_magiclink::SessionValidator;
//! use descope_magiclink::{Client, RefreshToken, SessionToken};
//!
//! # async fn run(session_token: SessionToken, refresh_token: RefreshToken)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
//! let sessions = client.sessions();
//!
//! // Who is it, and what may they do?
//! let session = sessions.validate(&session_token).await?;
//! println!("hello {}", session.user_id());
//! if session.has_permissions(["invoice:read"]) { /* in the project */ }
//! if session.tenant("acme")?.has_roles(["accountant"]) { /* in a tenant */ }
//!
//! // A new session token when the old one has expired.
//! let signed_in = sessions
//!     .validate_and_refresh(Some(&session_token), Some(&refresh_token))
//!     .await?;
//! if let Some(refreshed) = signed_in.refreshed {
//!     // Hand `refreshed.tokens` to the browser.
//! }
//!
//! // A service that only validates needs no client ...
//! let validator = SessionValidator::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
//! validator.validate(&session_token).await?;
//! # let key_set = "";
//! // ... and one that has the keys needs no network.
//! let offline = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
//!     .key_set(key_set)
//!     .build()?;
//! offline.validate_cached(&session_token)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What local validation cannot know
//!
//! Anything that happened after the token was issued: a logout, a user who was disabled or removed,
//! a role that was taken away. It takes effect when the session token expires, after 10 minutes at
//! most unless the project has another token lifetime. Where that is too long (a payment, a change of
//! the password), ask the service with the refresh token: [`Sessions::refresh`](crate::Sessions::refresh) and
//! [`Sessions::me`](crate::Sessions::me) fail once the session has ended. Descope's "rotate and revoke" of the signing
//! keys ends all sessions within [`key_ttl`](SessionValidatorBuilder::key_ttl).
//!
//! # What is checked
//!
//! In this order: size, three-part structure, header, key, signature; then the token type, `iss`, `aud`,
//! `cnf`, `exp`, `nbf` and `iat`. No claim is read before the signature was verified.
//!
//! - RS256 and ES256, and ES384 if allowed. A key is used with the one algorithm it was published for;
//!   there is no "none" and no symmetric algorithm in this crate.
//! - Keys come from the project alone. A header's `jwk`, `jku`, `x5u` and `x5c` are ignored, `crit`
//!   and `b64` are refused.
//! - Base64url and JSON are read strictly: no padding, unused bits must be zero, duplicate members are
//!   refused at any depth, and nesting is limited to 32 levels.
//! - A header's `typ` must be `JWT` or absent, unless the validator
//!   [names more](SessionValidatorBuilder::allow_type).
//! - `exp` is required; `exp`, `nbf` and `iat` must be integers. `nbf` must not lie ahead by more than the
//!   leeway, `iat` not by more than a minute. A claim that is `null` counts as absent.
//! - Session and refresh tokens are told apart by `drn`, or by `token_type` where `drn` is absent, and one
//!   is refused where the other is expected. A token with neither is accepted as either.
//! - A token bound to a key of its holder (`cnf`) is not a bearer token and is refused.
//! - Do not identify anything by the text of a token: an ECDSA signature can be rewritten into a second
//!   one that is valid too. Use the user's id.
//!
//! # Keys
//!
//! They are fetched at the first use, cached for [`key_ttl`](SessionValidatorBuilder::key_ttl), and
//! replaced as a whole. A set without a usable key replaces the old one too; nothing can be checked then. A
//! process that is in use fetches ahead of time and never waits for the network; one that was idle for
//! longer waits for one fetch, since a key may have been withdrawn meanwhile. While the endpoint is down
//! the old keys serve up to [`max_key_age`](SessionValidatorBuilder::max_key_age). Concurrent tasks share
//! one fetch, and tokens with an unknown `kid` cause at most one per
//! [`unknown_key_cooldown`](SessionValidatorBuilder::unknown_key_cooldown).
//!
//! After a fetch that failed the next one waits: 1 s, then 2 s, and where there are old keys 4 s, 8 s and so on, up to
//! the cooldown. Until then nobody waits for the network: what old keys can check is checked, and all else fails at
//! once with [`SessionError::Unavailable`].
//!
//! # Errors
//!
//! [`SessionError::is_unavailable`] tells what should become a 503 from what should become a 401: a token
//! that could not be checked is not a bad token, and its user is not to be signed out.
//!
//! # Tokens that the service has just issued
//!
//! Tokens in the response to a call of this client are trusted more than tokens that a caller presents.
//! Signature, issuer and type are checked as always, but `exp`, `nbf` and `iat` are compared with the response's
//! own `Date` and not with this machine's clock. The difference corrects the client's validator
//! ([`SessionValidator::now`](crate::SessionValidator::now)), up to 15 minutes. Where there is no date that can be trusted
//! (none, one with an `Age`, or one over plain http from another machine), these claims are not checked
//! and the clock is not corrected.
//!
//! A key that is not published yet is fetched again once a second until the call's deadline. If that does
//! not help, the response is kept, so that another try with the same link or token validates it without a
//! second call. If the tokens of one response belong to different users, none of them is used:
//! [`SessionError::UserMismatch`].
//!
//! # Several processes
//!
//! Where refresh tokens stay the same, nothing needs to be shared between machines. Where they rotate,
//! presenting a superseded token makes the service invalidate all tokens that came of that sign-in.
//! Two machines that refresh one token at the same moment therefore sign the user out, the winner's new
//! tokens included. Within one process this cannot happen, nor among processes that share a
//! [store](crate::ClientBuilder::store): [descope-magiclink-redis](https://docs.rs/descope-magiclink-redis) is
//! one, and its page tells what it does and what each failure costs. Without one, send the requests of one
//! user to one process.

pub(crate) mod access;
#[cfg(feature = "client")]
pub(crate) mod calls;
mod claim_policy;
mod claims;
#[cfg(feature = "client")]
pub(crate) mod ended;
#[cfg(feature = "client")]
pub(crate) mod handovers;
mod key_source;
#[cfg(feature = "client")]
pub(crate) mod refreshes;
#[expect(clippy::module_inception, reason = "the type of this name")]
pub(crate) mod session;
#[cfg(feature = "client")]
pub(crate) mod shared_refreshes;
#[cfg(feature = "client")]
mod timestamp;
mod token_cache;
#[cfg(feature = "client")]
pub(crate) mod tokens;
pub(crate) mod validator;
pub(crate) mod validator_builder;

#[cfg(feature = "client")]
pub use calls::{
    AccessKeySession, ExchangeAccessKey, SignInRecord, SignedIn, TenantProfile,
    UncheckedAuthentication,
};
pub use session::RefreshClaims;
#[cfg(feature = "client")]
pub use tokens::CookieAttributes;
pub use validator_builder::SessionValidatorBuilder;

pub use crate::error::{Claim, KeyProblem, KeysUnavailable, SessionError, TokenProblem};
