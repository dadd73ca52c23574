//! Sessions in process, without a socket.

use std::fmt;
use std::sync::Arc;

use super::clock::Clock;
use super::keys::Keys;
use super::tokens::TokenBuilder;
use crate::state::shared::Shared;

/// The keys and users of a project without a socket: a unit test makes its sessions with it, and gives the
/// keys to the validator that it tests.
///
/// ```
/// use descope_magiclink::SessionValidator;
/// use descope_magiclink_emulator::{Emulator, User};
///
/// let signer = Emulator::builder().user(User::new("joe@example.com")).signer()?;
/// let validator = SessionValidator::builder(signer.project_id())
///     .key_set(signer.keys().published()?.to_string())
///     .build()?;
/// let tokens = signer.tokens("joe@example.com").claim("plan", "pro").issue()?;
/// let session = validator.validate_cached(&tokens.session_jwt().into())?;
/// assert_eq!(session.claim("plan").unwrap(), "pro");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Signer {
    shared: Arc<Shared>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("project_id", &self.project_id())
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The project whose tokens are made.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.shared.settings.project_id
    }

    /// Makes a session for a user.
    pub fn tokens(&self, login_id: impl Into<String>) -> TokenBuilder {
        TokenBuilder::new(Arc::clone(&self.shared), login_id.into())
    }

    /// The keys that sign, to publish and to rotate.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::new(Arc::clone(&self.shared))
    }

    /// The clock by which tokens are issued.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::new(Arc::clone(&self.shared))
    }
}
