//! Web applications: a landing page that mail scanners cannot use up, and where a sign-in may lead.

mod landing;
mod origin;
mod redirect;
mod store;

pub use landing::{
    HiddenSendError, LandingLink, LandingPage, LandingPageBuilder, LandingProblem, LandingTexts,
    LandingView, SendProblem, escape_html,
};
pub use redirect::{RedirectTarget, RedirectTargets, TargetProblem};
