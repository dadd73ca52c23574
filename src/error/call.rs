//! What an error needs to know of the call that it comes from.

use std::sync::Arc;

use crate::clock::Clock;

/// What a call leaves with its response for those who read it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) operation_id: &'static str,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whose token or key went along.
    pub(crate) credential: CredentialKind,
    pub(crate) base_url: Arc<str>,
    /// The client's own, which texts may show.
    pub(crate) project_id: Arc<str>,
}

/// Whose token or key a call carries: when the service refuses it, that is whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Nobody's: the project id alone.
    Project,
    /// The token of a link, in the body.
    MagicLink,
    /// A user's session or refresh token.
    UserToken,
    /// An access key: this server's own.
    AccessKey,
    /// A management key: this server's own too.
    ManagementKey,
}
