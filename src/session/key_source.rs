//! Where verifying keys come from: given, or fetched.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

#[cfg(feature = "client")]
use crate::error::{KeyProblem, KeysUnavailable};
use crate::error::{SessionError, TokenProblem};
#[cfg(feature = "client")]
use crate::jwks::cache::{KeyCache, KeyLookupError, Lookup, TokenSender};
use crate::jwt::jwk::{KeySet, VerifyingKey};
#[cfg(feature = "client")]
use crate::transport::deadline::Deadline;

/// The source of keys of one validator.
#[derive(Debug)]
pub(super) enum KeySource {
    /// Given; no network.
    Provided(RwLock<KeySet>),
    #[cfg(feature = "client")]
    Fetched(Arc<KeyCache>),
}

/// How a key is waited for that is not at hand.
#[derive(Clone, Copy)]
pub(super) struct KeyWait {
    #[cfg(feature = "client")]
    pub(super) sender: TokenSender,
    #[cfg(feature = "client")]
    pub(super) deadline: Deadline,
}

fn provided(set: &RwLock<KeySet>) -> RwLockReadGuard<'_, KeySet> {
    set.read().unwrap_or_else(PoisonError::into_inner)
}

impl KeySource {
    /// The key of this name, waiting for a fetch if there has to be one. `is_session` tells of which
    /// kind the token is.
    #[cfg_attr(
        not(feature = "client"),
        expect(
            clippy::unused_async,
            unused_variables,
            reason = "given keys need no waiting"
        )
    )]
    pub(super) async fn find(
        &self,
        id: &str,
        wait: KeyWait,
        is_session: bool,
    ) -> Result<Arc<VerifyingKey>, SessionError> {
        let unknown = SessionError::from(TokenProblem::UnknownKey);
        match self {
            Self::Provided(set) => provided(set).get(id).cloned().ok_or(unknown),
            #[cfg(feature = "client")]
            Self::Fetched(cache) => {
                let problem = match cache.find(id, wait.sender, wait.deadline).await {
                    Ok(key) => return Ok(key),
                    Err(KeyLookupError::Unavailable(why)) => return Err(why.into()),
                    // The service has signed with it, so there is such a key.
                    Err(KeyLookupError::Unknown { .. }) if wait.sender == TokenSender::Service => {
                        KeyProblem::NotPublished
                    }
                    // A user whose session token is refused gets a new one by the refresh token. There
                    // is nothing behind the refresh token, so that is not refused for a key nobody
                    // asked for.
                    Err(KeyLookupError::Unknown { refetched: false }) if !is_session => {
                        KeyProblem::InCooldown
                    }
                    Err(KeyLookupError::Unknown { .. }) => return Err(unknown),
                };
                Err(KeysUnavailable::from(problem).into())
            }
        }
    }

    /// The key of this name, if that can be told at once.
    pub(super) fn cached(&self, id: &str) -> Result<Arc<VerifyingKey>, SessionError> {
        let key = match self {
            Self::Provided(set) => provided(set).get(id).cloned(),
            #[cfg(feature = "client")]
            Self::Fetched(cache) => match cache.cached(id) {
                Lookup::Found { key, .. } => Some(key),
                Lookup::Unknown => None,
                Lookup::NoSet => return Err(KeysUnavailable::from(KeyProblem::NotLoaded).into()),
            },
        };
        key.ok_or_else(|| TokenProblem::UnknownKey.into())
    }

    /// Puts other keys in place of those that were given; false where keys are fetched.
    pub(super) fn replace(&self, keys: KeySet) -> bool {
        match self {
            Self::Provided(set) => {
                *set.write().unwrap_or_else(PoisonError::into_inner) = keys;
                true
            }
            #[cfg(feature = "client")]
            Self::Fetched(_) => false,
        }
    }

    #[cfg(feature = "client")]
    pub(super) fn is_fetching(&self) -> bool {
        match self {
            Self::Provided(_) => false,
            Self::Fetched(cache) => cache.is_fetching(),
        }
    }

    /// Waits until there are keys that serve.
    #[cfg(feature = "client")]
    pub(super) async fn prefetch(&self, deadline: Deadline) -> Result<(), KeysUnavailable> {
        match self {
            Self::Provided(_) => Ok(()),
            Self::Fetched(cache) => cache.prefetch(deadline).await,
        }
    }
}
