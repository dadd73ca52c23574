//! Why a project's public keys could not be had.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// There are no keys to check a token with.
#[derive(Clone, Debug)]
pub struct KeysUnavailable {
    problem: KeyProblem,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl From<KeyProblem> for KeysUnavailable {
    fn from(problem: KeyProblem) -> Self {
        Self {
            problem,
            cause: None,
        }
    }
}

impl KeysUnavailable {
    pub(crate) fn caused(
        problem: KeyProblem,
        cause: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self {
            problem,
            cause: Some(Arc::new(cause)),
        }
    }

    /// Why the last attempt to get the keys came to nothing.
    #[must_use]
    pub fn problem(&self) -> KeyProblem {
        self.problem
    }
}

impl fmt::Display for KeysUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token could not be checked because ")?;
        match (&self.problem, &self.cause) {
            // Says which connection, and what is wrong with it.
            (KeyProblem::Tls, Some(cause)) => return cause.fmt(f),
            (problem, _) => problem.fmt(f)?,
        }
        match self.problem {
            // Later it is still wrong.
            KeyProblem::Status(404) | KeyProblem::Redirect | KeyProblem::Tls => Ok(()),
            _ => f.write_str("; try again later"),
        }
    }
}

impl StdError for KeysUnavailable {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause
            .as_deref()
            .filter(|_| self.problem != KeyProblem::Tls)
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// Why the project's public keys could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyProblem {
    /// The key endpoint could not be reached, or the connection broke.
    Transport,
    /// TLS does not trust what responds at the key endpoint's address.
    Tls,
    /// The key endpoint did not respond in time.
    Timeout,
    /// The key endpoint responded with this status. 404 means a wrong project id or base URL.
    Status(u16),
    /// The key endpoint sent us elsewhere, which is never followed.
    Redirect,
    /// The response is larger than any key set.
    TooLarge,
    /// The response is not a key set.
    InvalidJson,
    /// The response holds no key that can be used.
    NoUsableKey,
    /// The keys are not at hand, and the caller asked not to wait for them.
    NotLoaded,
    /// The token names a key not known, and the key endpoint was asked too recently to ask again.
    InCooldown,
    /// The service issued a token of a key that its key endpoint does not publish yet.
    NotPublished,
    /// The crate's own thread, which fetches the keys, could not be started or was lost.
    NoThread,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport => "the key endpoint cannot be reached",
            Self::Tls => "no secure connection to the key endpoint could be made",
            Self::Timeout => "the key endpoint did not respond in time",
            Self::Status(404) => {
                "the key endpoint knows no such project (status 404); check the project id and the base URL"
            }
            Self::Status(status) => {
                return write!(f, "the key endpoint responded with status {status}");
            }
            Self::Redirect => "the key endpoint responded with a redirect; check the base URL",
            Self::TooLarge => "the key endpoint's response is too large",
            Self::InvalidJson => "the key endpoint's response is not a key set",
            Self::NoUsableKey => "the key endpoint's response holds no usable key",
            Self::NotLoaded => "the keys are not loaded yet",
            Self::NotPublished => "the key endpoint does not publish its key yet",
            Self::InCooldown => "its key id is unknown, and the key set was fetched too recently to fetch it again",
            Self::NoThread => "the thread that fetches the keys could not be started",
        })
    }
}
