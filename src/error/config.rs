//! What can be wrong with the settings.

use std::fmt;

/// A mistake in the client's configuration.
///
/// `Debug` prints the text too: it is what a `main` that returns the error shows.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no project id.
    #[error("there is no project id; pass one, or set DESCOPE_PROJECT_ID and use Client::from_env")]
    MissingProjectId,
    /// The project id is not one.
    #[error(
        "the project id must be `P` and then letters and digits, at most 128 in all; \
         copy it from the console's project settings"
    )]
    InvalidProjectId,
    /// The base URL is not an absolute `http` or `https` URL without credentials, query and fragment.
    #[error("the base URL {0}; it looks like https://auth.example.com")]
    InvalidBaseUrl(&'static str),
    /// The base URL is `http`, and its host is not this machine: tokens would travel readable.
    #[error(
        "the base URL is http, and its host is not this machine, so that anyone on the way could \
         read tokens; use https, or allow it with allow_plain_http() on the builder or \
         DESCOPE_ALLOW_PLAIN_HTTP=1 in the environment"
    )]
    PlainHttp,
    /// The base URL is `https` and no TLS feature is on.
    #[error(
        "https needs the feature `rustls` or `native-tls`, or a client of your own by http_client"
    )]
    NoTls,
    /// The crate's own thread, which makes the calls, could not be started; nothing was sent.
    #[error(
        "the thread that makes the calls could not be started; look at the limits of this process"
    )]
    NoThread,
    /// Management calls were asked for, and the client was built without a key for them.
    #[error(
        "there is no management key; give one to ClientBuilder::management_key, set \
         DESCOPE_MANAGEMENT_KEY and use Client::from_env, or use Client::management_with"
    )]
    MissingManagementKey,
    /// A setting has a value that cannot be used.
    #[error("the setting {name} {problem}")]
    InvalidSetting {
        /// The setting's name, as in the builder or the environment.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be built ({0})")]
    HttpClient(String),
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConfigError")
            .field(&format_args!("{self}"))
            .finish()
    }
}
