//! What an error of a call means for the user, and what the log should know of it.

use std::time::Duration;

use descope_magiclink::{Error, ErrorCode};
use http::{HeaderValue, StatusCode};

/// Whether the service itself has refused what the user brought: a token, a link, an address. What
/// anything else on the way responds, such as a firewall, says nothing about it; and a key of this
/// server that was refused is no fault of the user's.
pub(crate) fn is_refusal(error: &Error) -> bool {
    let by_client = error
        .status()
        .is_some_and(|status| status.is_client_error());
    by_client && error.code().is_some() && !error.is_credential_refused() && !error.is_retryable()
}

/// Whether a call came to nothing because of what the user typed: an argument that cannot be one, or one
/// that the service refused. What the application itself gives along, and how the project is set up, is
/// no fault of the user's.
pub(crate) fn is_bad_request(error: &Error) -> bool {
    match error {
        Error::InvalidArgument(argument) => !matches!(
            argument.name(),
            "redirect_url" | "path" | "body" | "request" | "access_key" | "management_key"
        ),
        error => {
            let is_denied = matches!(
                error.status(),
                Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            );
            let is_setup = matches!(
                error.code(),
                Some(ErrorCode::MethodDisabled | ErrorCode::RedirectNotApproved)
            );
            is_refusal(error) && !is_denied && !is_setup
        }
    }
}

/// The value of `Retry-After`: whole seconds, so that nobody comes too early.
pub(crate) fn seconds(wait: Duration) -> HeaderValue {
    let part = u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(wait.as_secs().saturating_add(part).max(1))
}

/// Tells the log what the response to a request cannot tell.
pub(crate) fn log_error(what: &'static str, error: &dyn std::error::Error) {
    #[cfg(feature = "tracing")]
    tracing::error!(error = %error, "{what}");
    #[cfg(not(feature = "tracing"))]
    let _ = (what, error);
}

/// Work in a task of its own that stays in the span of who has started it.
pub(crate) fn in_span<F: Future>(work: F) -> impl Future<Output = F::Output> {
    #[cfg(feature = "tracing")]
    let work = tracing::Instrument::in_current_span(work);
    work
}

/// Tells the log that the service refused a call, and nothing of whom it was about.
pub(crate) fn log_refusal(what: &'static str, error: &Error) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        code = error.code().map(ErrorCode::as_str),
        status = error.status().map(|status| status.as_u16()),
        "{what}"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (what, error);
}
