//! Why a link did not sign its user in.

use std::time::Duration;

use descope_magiclink::session::SessionError;
use descope_magiclink::{Error, ErrorCode};
use http::StatusCode;

use crate::service_error::is_refusal;

/// Why the landing page did not sign the user in.
///
/// None of them touches a session that the browser already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LandingError {
    /// The URL has no token, or more than one.
    #[error("the link has no token, or more than one")]
    MissingToken,
    /// The service says that the link has expired or was used. It does not say which; for links used
    /// on this very page there is [`Used`](Self::Used).
    #[error("the link has expired or was used")]
    Expired,
    /// The link was used here not long ago.
    #[error("the link was used here not long ago")]
    Used,
    /// The text cannot be a token, or the service refused it for another reason than age.
    #[error("the service does not take the link")]
    InvalidLink,
    /// The link was asked for in another browser: see
    /// [`same_browser`](super::LandingPageBuilder::same_browser).
    #[error("the link was asked for in another browser")]
    OtherBrowser,
    /// What was typed is not the address to which the link was sent: see
    /// [`ask_other_browsers`](super::LandingPageBuilder::ask_other_browsers).
    #[error("the address is not the one to which the link was sent")]
    WrongAddress,
    /// The address was wrong five times, so that the link is not taken any more.
    #[error("the address was wrong too often")]
    Closed,
    /// The form does not belong to this browser, or is older than its cookie.
    #[error(
        "the form was made for another browser or is too old, or the browser stores no cookies"
    )]
    StaleForm,
    /// The form was sent by another site, or by something that is no form.
    #[error("the form was sent by another site")]
    CrossSite,
    /// The link could not be tried: the service could not be reached, or something responded in its
    /// place. The link is as good as it was.
    #[error("the link could not be tried: the service could not be reached, or failed")]
    ServiceUnavailable,
    /// There were too many requests.
    #[error("there were too many requests")]
    RateLimited,
    /// The service and the application do not fit together, or the tokens fit into no cookie.
    #[error("the service's response cannot be used")]
    Failed,
}

impl LandingError {
    pub(super) const ALL: [Self; 12] = [
        Self::MissingToken,
        Self::Expired,
        Self::Used,
        Self::InvalidLink,
        Self::OtherBrowser,
        Self::WrongAddress,
        Self::Closed,
        Self::StaleForm,
        Self::CrossSite,
        Self::ServiceUnavailable,
        Self::RateLimited,
        Self::Failed,
    ];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The status that the page has.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::MissingToken | Self::InvalidLink => StatusCode::BAD_REQUEST,
            Self::Expired | Self::Used | Self::Closed => StatusCode::GONE,
            Self::OtherBrowser | Self::WrongAddress | Self::StaleForm | Self::CrossSite => {
                StatusCode::FORBIDDEN
            }
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether pressing the button once more may help, so that the page shows it again.
    #[must_use]
    pub fn can_try_again(self) -> bool {
        matches!(
            self,
            Self::WrongAddress | Self::StaleForm | Self::ServiceUnavailable | Self::RateLimited
        )
    }

    /// What a failed verification means to the user.
    pub(super) fn of(error: &Error) -> Self {
        if error.is_rate_limited() {
            return Self::RateLimited;
        }
        if is_refusal(error) {
            return match error.code() {
                Some(ErrorCode::TokenExpired) => Self::Expired,
                _ => Self::InvalidLink,
            };
        }
        match error {
            // The link is spent, and its tokens will be no better the next time.
            Error::Session(SessionError::InvalidResponse(_) | SessionError::UserMismatch) => {
                Self::Failed
            }
            // Whatever it says, it is not the service's word on the link.
            Error::Api(_) => Self::ServiceUnavailable,
            error if error.is_retryable() || error.is_connect() => Self::ServiceUnavailable,
            _ => Self::Failed,
        }
    }
}

/// Why a press of the button did not sign the user in, and how long to wait before the next one, where the
/// service says it.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    pub(super) error: LandingError,
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        Self {
            error: LandingError::of(error),
            retry_after: error.retry_after(),
        }
    }
}

impl From<LandingError> for Failure {
    fn from(error: LandingError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}
