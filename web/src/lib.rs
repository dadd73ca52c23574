//! Web applications: sessions for every request, and a landing page that mail scanners cannot use up.
//!
//! - [`SessionLayer`] finds out who makes a request, and renews sessions that have ended.
//! - [`require_roles`], [`require_permissions`] and [`require_session`] refuse the others.
//! - [`LandingPage`] is the page that links open; its button signs in.
//! - [`RedirectTargets`] decides where a sign-in may lead.
//!
//! All of them are tower services or plain functions on the types of the `http` crate (feature `tower`).
//! The feature `axum` adds extractors: [`Session`](descope_magiclink::Session), `Option<Session>`,
//! [`MaybeSession`] and [`RequestTokens`](crate::cookies::RequestTokens).
//!
//! Start with the guide, *Protect an axum app in ten minutes* (module `guide`, with the feature `axum`),
//! or with [what the layer does, request by request](requests).

pub mod cookies;
#[cfg(feature = "axum")]
mod extract;
mod landing;
mod origin;
mod redirect;
mod rejection;
#[cfg(feature = "tower")]
mod require;
mod service_error;
#[cfg(feature = "tower")]
mod session_layer;

#[cfg(feature = "axum")]
pub use extract::CurrentSession;
pub use landing::{
    HiddenSendError, LandingError, LandingLink, LandingPage, LandingPageBuilder, LandingTexts,
    LandingView, SendError, escape_html,
};
pub use redirect::{RedirectError, RedirectTarget, RedirectTargets};
pub use rejection::Rejection;
#[cfg(feature = "tower")]
pub use require::{
    RequireLayer, RequireService, require_permissions, require_roles, require_session,
};
#[cfg(feature = "tower")]
pub use session_layer::{MaybeSession, SessionLayer, SessionService};

#[cfg(feature = "axum")]
#[doc = include_str!("guide.md")]
pub mod guide {}

#[doc = include_str!("requests.md")]
pub mod requests {}
