//! Why a link did not sign its user in.

use http::StatusCode;

use crate::code::ErrorCode;
use crate::error::Error;
use crate::web::is_refusal;

/// Why the landing page did not sign the user in.
///
/// None of them touches a session that the browser already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LandingProblem {
    /// The URL has no token, or more than one.
    NoToken,
    /// The service says that the link has expired or was used. It does not say which; for links used
    /// on this very page there is [`Used`](Self::Used).
    Expired,
    /// The link was used here not long ago.
    Used,
    /// The text cannot be a token, or the service refused it for another reason than age.
    Unknown,
    /// The link was asked for in another browser: see
    /// [`same_browser`](super::LandingPageBuilder::same_browser).
    OtherBrowser,
    /// The form does not belong to this browser, or is older than its cookie.
    StaleForm,
    /// The form was sent by another site, or by something that is no form.
    ForeignForm,
    /// The link could not be tried: the service could not be reached, or the answer was not its own.
    /// The link is as good as it was.
    Unreachable,
    /// There were too many requests.
    Busy,
    /// The service and the application do not fit together, or the tokens fit into no cookie.
    Failed,
}

impl LandingProblem {
    pub(super) const ALL: [Self; 10] = [
        Self::NoToken,
        Self::Expired,
        Self::Used,
        Self::Unknown,
        Self::OtherBrowser,
        Self::StaleForm,
        Self::ForeignForm,
        Self::Unreachable,
        Self::Busy,
        Self::Failed,
    ];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The status that the page has.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::Unknown => StatusCode::BAD_REQUEST,
            Self::Expired | Self::Used => StatusCode::GONE,
            Self::OtherBrowser | Self::StaleForm | Self::ForeignForm => StatusCode::FORBIDDEN,
            Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether pressing the button once more may help, so that the page shows it again.
    #[must_use]
    pub fn can_try_again(self) -> bool {
        matches!(self, Self::StaleForm | Self::Unreachable | Self::Busy)
    }

    /// What a failed verification means to the user.
    pub(super) fn of(error: &Error) -> Self {
        if error.is_rate_limited() {
            return Self::Busy;
        }
        if is_refusal(error) {
            return match error.code() {
                Some(ErrorCode::TokenExpired) => Self::Expired,
                _ => Self::Unknown,
            };
        }
        if error.is_retryable() || matches!(error, Error::Api(_)) {
            return Self::Unreachable;
        }
        Self::Failed
    }
}
