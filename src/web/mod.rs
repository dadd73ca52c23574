//! Web applications: sessions for every request, and a landing page that mail scanners cannot use up.
//!
//! - [`SessionLayer`] finds out who makes a request, and renews sessions that have ended.
//! - [`require_roles`], [`require_permissions`] and [`require_session`] refuse the others.
//! - [`LandingPage`] is the page that links open; its button signs in.
//! - [`RedirectTargets`] decides where a sign-in may lead.
//!
//! All of them are tower services or plain functions on the types of the `http` crate (feature `tower`).
//! The feature `axum` adds extractors: [`Session`](crate::session::Session), `Option<Session>`,
//! [`MaybeSession`] and [`RequestTokens`](crate::session::cookies::RequestTokens).
//!
//! Start with the guide, *Protect an axum app in ten minutes* (module `guide`, with the feature `axum`),
//! or with [what the layer does, request by request](requests).

use std::future::Future;
use std::pin::Pin;

#[cfg(feature = "axum")]
mod extract;
mod landing;
mod layer;
mod origin;
mod redirect;
mod rejection;
mod require;

pub use landing::{
    HiddenSendError, LandingLink, LandingPage, LandingPageBuilder, LandingProblem, LandingTexts,
    LandingView, SendProblem, escape_html,
};
pub use layer::{MaybeSession, SessionLayer, SessionService};
pub use redirect::{RedirectTarget, RedirectTargets, TargetProblem};
pub use rejection::Rejection;
pub use require::{
    RequireLayer, RequireService, require_permissions, require_roles, require_session,
};

#[cfg(feature = "axum")]
#[doc = include_str!("guide.md")]
pub mod guide {}

#[doc = include_str!("requests.md")]
pub mod requests {}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Whether the service itself has refused what the user brought: a token, a link, an address. What
/// anything else on the way answers, such as a firewall, says nothing about it; and a key of this
/// server that was refused is no fault of the user's.
fn is_refusal(error: &crate::error::Error) -> bool {
    let by_client = error
        .status()
        .is_some_and(|status| status.is_client_error());
    by_client && error.code().is_some() && !error.is_credential_refused() && !error.is_retryable()
}

/// Tells the log what the answer to a request cannot tell.
fn note(what: &'static str, error: &dyn std::error::Error) {
    #[cfg(feature = "tracing")]
    tracing::error!(error = %error, "{what}");
    #[cfg(not(feature = "tracing"))]
    let _ = (what, error);
}

/// Tells the log that the service refused a call, and nothing of whom it was about.
fn note_refusal(what: &'static str, error: &crate::error::Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        code = error.code().map(crate::code::ErrorCode::as_str),
        status = error.status().map(|status| status.as_u16()),
        "{what}"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (what, error);
}
