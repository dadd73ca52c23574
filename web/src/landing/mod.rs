//! The page that a magic link opens.

mod address;
mod browser_binding;
mod builder;
mod error;
mod form;
mod link;
mod page;
#[cfg(feature = "tower")]
mod pages_layer;
#[cfg(feature = "tower")]
mod press;
mod purpose;
mod send_guard;
#[cfg(feature = "tower")]
mod service;
mod sign_out;
mod texts;
mod used_links;
mod view;

pub use builder::LandingPageBuilder;
pub use error::LandingError;
pub use link::{HiddenSendError, LandingLink, SendError};
pub use page::LandingPage;
#[cfg(feature = "tower")]
pub use pages_layer::{PagesLayer, PagesService};
#[cfg(feature = "tower")]
pub use press::press_button;
pub use purpose::{AfterSignIn, LinkPurpose};
pub use texts::LandingTexts;
pub use view::{LandingView, escape_html};
