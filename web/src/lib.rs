#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]
//!
//! # Where to start
//!
#![cfg_attr(
    feature = "axum",
    doc = "With the guide, [*Protect an axum app in ten minutes*](guide)."
)]
//! Then:
//!
//! - [`SessionLayer`] finds out who makes a request, and renews sessions that have ended.
#![cfg_attr(
    feature = "tower",
    doc = "- [`require_session`], [`require_roles`], [`require_permissions`], [`require_step_up`] and \
           [`require_mfa`] refuse the others. [Request by request](requests).\n\
           - [`PagesLayer`] makes pages and redirects of what is refused, and keeps other sites' forms out."
)]
//! - [`LandingPage`] is the page that links open, and sends links.
//! - [`cookies`] reads and writes session cookies.
//! - [`RedirectTargets`] decides where a sign-in may lead.
//! - [`Rejection`] is why a request is refused, and the response to it.

mod audit;
pub mod cookies;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "tower")]
mod guarded_body;
#[cfg_attr(
    not(feature = "tower"),
    allow(dead_code, reason = "pages about refusals are made by a layer")
)]
mod landing;
mod origin;
mod redirect;
mod rejection;
#[cfg(feature = "tower")]
mod require;
mod service_error;
mod session_layer;
#[cfg(feature = "tower")]
mod session_service;

#[cfg(feature = "tracing")]
pub use audit::request_span;
#[cfg(feature = "axum")]
pub use extract::CurrentSession;
#[cfg(feature = "tower")]
pub use guarded_body::GuardedBody;
pub use landing::{
    AfterSignIn, HiddenSendError, LandingError, LandingLink, LandingPage, LandingPageBuilder,
    LandingTexts, LandingView, LinkPurpose, SendError, escape_html,
};
#[cfg(feature = "tower")]
pub use landing::{PagesLayer, PagesService, press_button};
pub use redirect::{RedirectError, RedirectTarget, RedirectTargets};
pub use rejection::Rejection;
#[cfg(feature = "tower")]
pub use require::{
    RequireLayer, RequireService, require_mfa, require_permissions, require_roles, require_session,
    require_step_up,
};
pub use session_layer::{MaybeSession, RequestSession, SessionLayer};
#[cfg(feature = "tower")]
pub use session_service::SessionService;

#[cfg(feature = "axum")]
#[doc = include_str!("guide.md")]
pub mod guide {}

#[cfg(feature = "tower")]
#[doc = include_str!("requests.md")]
pub mod requests {}
