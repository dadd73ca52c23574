//! Passwordless sign-in with Descope magic links.

mod clock;
mod code;
mod secret;

pub use clock::{Clock, ManualClock, SystemClock};
pub use code::ErrorCode;
pub use secret::{AccessKey, MagicLinkToken, ManagementKey, RefreshToken, Secret, SessionToken};
