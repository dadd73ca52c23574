//! What the emulator answers, read off the route table.

use crate::routes::{Auth, OPERATIONS};

/// One operation that the emulator answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupportedOperation {
    /// The operation id of the API description, such as `VerifyMagicLink`.
    pub id: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with a parameter in braces.
    pub path: &'static str,
    /// What the bearer holds, in words.
    pub bearer: &'static str,
    /// Why it is here although the API description lacks it.
    pub beyond_description: Option<&'static str>,
}

/// Every operation that the emulator answers.
///
/// ```
/// let operations = descope_magiclink_emulator::supported_operations();
/// assert!(operations.iter().any(|operation| operation.id == "VerifyMagicLink"));
/// ```
#[must_use]
pub fn supported_operations() -> Vec<SupportedOperation> {
    OPERATIONS
        .iter()
        .map(|operation| SupportedOperation {
            id: operation.id,
            method: operation.verb.as_str(),
            path: operation.path,
            bearer: match operation.auth {
                Auth::Open => "nothing",
                Auth::Project => "project id",
                Auth::ProjectOrRefresh => "project id; refresh token for step-up and MFA",
                Auth::Refresh => "refresh token",
                Auth::MaybeRefresh => "refresh token, may be missing or bad",
                Auth::Session => "session token",
                Auth::AccessKey => "access key",
                Auth::Management => "management key",
            },
            beyond_description: operation.beyond,
        })
        .collect()
}
