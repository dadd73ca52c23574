//! Why a request is refused, and the response to it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::Error;
use descope_magiclink::session::{SessionError, TokenProblem};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

#[cfg(feature = "tower")]
use crate::guarded_body::GuardedBody;
use crate::service_error::{is_bad_request, seconds};

/// How long to wait where the service says only that there were too many requests: what its
/// documentation asks for.
const RATE_LIMITED: Duration = Duration::from_secs(60);

/// Why a request has no session, or its session does not suffice.
///
/// The response that it makes has a status, a challenge (RFC 6750) and one plain sentence, and never a
/// detail of the token. A [`PagesLayer`](crate::PagesLayer) makes pages of such responses. For one of your
/// own, look for it in the response's extensions: every response made from a rejection carries it there.
/// Keep the response's head, which may set the cookies of a session that was renewed.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::response::Response;
/// use descope_magiclink_web::Rejection;
///
/// /// For `axum::middleware::map_response`.
/// async fn count(response: Response) -> Response {
///     if let Some(rejection) = response.extensions().get::<Rejection>() {
///         println!("refused: {}", rejection.code());
///     }
///     response
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no session token (401).
    MissingToken,
    /// The session token is bad (401).
    InvalidToken(TokenProblem),
    /// The service refused the refresh token, so that a session that has ended stays so (401).
    RefreshRefused,
    /// The token could not be checked, or the service could not be asked to renew the session or for
    /// something on the user's behalf (503). Says nothing about the user.
    ///
    /// That a key of this server was refused is among it:
    /// [`is_credential_refused`](Error::is_credential_refused) of the error tells.
    Unavailable(Arc<Error>),
    /// What was asked for on the user's behalf cannot be done as it was typed: an argument cannot be
    /// one, or the service refused it (400).
    InvalidRequest(Arc<Error>),
    /// There were too many requests on the user's behalf (429). A session that could not be renewed for
    /// that reason is [`Unavailable`](Self::Unavailable).
    RateLimited(Arc<Error>),
    /// The user does not belong to the tenant that was asked for, or none was asked for (403).
    NotInTenant,
    /// The user lacks a role (403).
    MissingRole,
    /// The user lacks a permission (403).
    MissingPermission,
    /// The user has to confirm that it is them (401): see `require_step_up`.
    StepUpRequired,
    /// The user has to sign in by a further factor (401): see `require_mfa`.
    MfaRequired,
    /// There is no [`SessionLayer`](crate::SessionLayer) around the route (500).
    MissingLayer,
}

impl Rejection {
    /// The response's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingToken
            | Self::InvalidToken(_)
            | Self::RefreshRefused
            | Self::StepUpRequired
            | Self::MfaRequired => StatusCode::UNAUTHORIZED,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::InvalidRequest(_) => StatusCode::BAD_REQUEST,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotInTenant | Self::MissingRole | Self::MissingPermission => {
                StatusCode::FORBIDDEN
            }
            Self::MissingLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether it is unknown who the user is because something could not be reached. The user may
    /// well be signed in.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// How long to wait before the next request, as far as the service says; a minute where it only says
    /// that there were too many. The response carries it as `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(error) => error.retry_after(),
            Self::RateLimited(error) => Some(error.retry_after().unwrap_or(RATE_LIMITED)),
            _ => None,
        }
    }

    /// The response, with a body of any type that can be made from text.
    #[must_use]
    pub fn response<R: From<&'static str>>(&self) -> Response<R> {
        self.response_with(R::from(self.text()))
    }

    #[cfg(feature = "tower")]
    pub(crate) fn guarded_response<R>(&self) -> Response<GuardedBody<R>> {
        self.response_with(GuardedBody::text(self.text()))
    }

    fn response_with<R>(&self, body: R) -> Response<R> {
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, seconds(wait));
        }
        response.extensions_mut().insert(self.clone());
        response
    }

    /// The value of `WWW-Authenticate`, if the response has one (RFC 6750 section 3.1, RFC 9470 section 3):
    /// without an error code for a request without a token.
    #[must_use]
    pub fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::MissingToken => Some("Bearer realm=\"session\""),
            Self::InvalidToken(_) | Self::RefreshRefused => {
                Some("Bearer realm=\"session\", error=\"invalid_token\"")
            }
            Self::NotInTenant | Self::MissingRole | Self::MissingPermission => {
                Some("Bearer realm=\"session\", error=\"insufficient_scope\"")
            }
            Self::StepUpRequired => Some(
                "Bearer realm=\"session\", error=\"insufficient_user_authentication\", \
                 error_description=\"step-up is required\"",
            ),
            Self::MfaRequired => Some(
                "Bearer realm=\"session\", error=\"insufficient_user_authentication\", \
                 error_description=\"a further factor is required\"",
            ),
            Self::Unavailable(_)
            | Self::InvalidRequest(_)
            | Self::RateLimited(_)
            | Self::MissingLayer => None,
        }
    }

    /// A word for the reason that stays as it is, for programs: `missing_token`, `invalid_token`,
    /// `refresh_refused`, `unavailable`, `invalid_request`, `rate_limited`, `not_in_tenant`,
    /// `missing_role`, `missing_permission`, `step_up_required`, `mfa_required` or `missing_layer`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidToken(_) => "invalid_token",
            Self::RefreshRefused => "refresh_refused",
            Self::Unavailable(_) => "unavailable",
            Self::InvalidRequest(_) => "invalid_request",
            Self::RateLimited(_) => "rate_limited",
            Self::NotInTenant => "not_in_tenant",
            Self::MissingRole => "missing_role",
            Self::MissingPermission => "missing_permission",
            Self::StepUpRequired => "step_up_required",
            Self::MfaRequired => "mfa_required",
            Self::MissingLayer => "missing_layer",
        }
    }

    /// The sentence that the response has as its body.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::MissingToken => "sign in first",
            Self::InvalidToken(TokenProblem::NotYetValid) => {
                "the session begins later, by this server's clock; try again in a moment"
            }
            Self::InvalidToken(_) | Self::RefreshRefused => "the session has ended; sign in again",
            Self::Unavailable(_) => {
                "the session cannot be checked right now; try again in a moment"
            }
            Self::InvalidRequest(_) => "this cannot be done; check what you typed",
            Self::RateLimited(_) => "there were too many requests; try again later",
            Self::NotInTenant | Self::MissingRole | Self::MissingPermission => {
                "your account is not allowed to do this"
            }
            Self::StepUpRequired => "confirm first that it is you",
            Self::MfaRequired => "sign in by a further factor first",
            Self::MissingLayer => {
                "this route has no SessionLayer around it; add one to the router with `.layer(..)`, \
                 after the layers and routes that need the session"
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for Rejection {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::InvalidToken(problem) => Some(problem),
            Self::Unavailable(error) | Self::InvalidRequest(error) | Self::RateLimited(error) => {
                Some(&**error)
            }
            _ => None,
        }
    }
}

impl From<SessionError> for Rejection {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Missing => Self::MissingToken,
            SessionError::Token(problem) => Self::InvalidToken(problem),
            SessionError::NotInTenant => Self::NotInTenant,
            unavailable => Self::Unavailable(Arc::new(unavailable.into())),
        }
    }
}

/// What a call on the user's behalf came to, such as [`Sessions::me`](descope_magiclink::Sessions::me).
impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        match error {
            Error::Session(error) => error.into(),
            error if error.is_unauthorized() => Self::RefreshRefused,
            error if error.is_rate_limited() => Self::RateLimited(Arc::new(error)),
            error if is_bad_request(&error) => Self::InvalidRequest(Arc::new(error)),
            error => Self::Unavailable(Arc::new(error)),
        }
    }
}
