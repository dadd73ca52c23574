//! What an error of a call means for the user, and what the log should know of it.

use descope_magiclink::Error;
#[cfg(feature = "tracing")]
use descope_magiclink::ErrorCode;

/// Whether the service itself has refused what the user brought: a token, a link, an address. What
/// anything else on the way answers, such as a firewall, says nothing about it; and a key of this
/// server that was refused is no fault of the user's.
pub(crate) fn is_refusal(error: &Error) -> bool {
    let by_client = error
        .status()
        .is_some_and(|status| status.is_client_error());
    by_client && error.code().is_some() && !error.is_credential_refused() && !error.is_retryable()
}

/// Tells the log what the answer to a request cannot tell.
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
