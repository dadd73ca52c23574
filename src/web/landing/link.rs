//! Sending links to the landing page, with an answer that tells nobody who has an account.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use url::Url;

use super::binding::Binding;
use super::{LandingPage, field, plain};
use crate::error::{Error, InvalidArgument};
use crate::magic_link::Sent;
use crate::web::note;

impl LandingPage {
    /// Prepares a link that leads to this page. `request` are the headers of the request that asks
    /// for it.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, DeliveryMethod, web::LandingPage};
    /// # async fn f(client: Client, landing: LandingPage, headers: &http::HeaderMap, email: &str)
    /// # -> Result<http::Response<String>, descope_magiclink::web::SendProblem> {
    /// let link = landing.link(headers).next("/orders");
    /// let sent = client
    ///     .magic_link()
    ///     .sign_in(DeliveryMethod::Email, email)
    ///     .redirect_url(link.redirect_url())
    ///     .send()
    ///     .await;
    /// link.answer(sent, "/check-your-inbox")
    /// # }
    /// ```
    pub fn link(&self, request: &HeaderMap) -> LandingLink {
        let mut link = LandingLink {
            page: self.clone(),
            url: self.0.url.clone(),
            cookie: None,
        };
        if let Some(cookie) = &self.0.browser_cookie
            // A browser that asks twice keeps its value, so that both links work.
            && let Some(browser) = cookie.read(request).or_else(Binding::random)
        {
            link.url
                .query_pairs_mut()
                .append_pair(field::BROWSER, &browser.fingerprint());
            link.cookie = cookie.store(&browser);
        }
        link
    }
}

/// A link to the landing page, before it is sent: from [`LandingPage::link`].
#[must_use = "the cookie that belongs to the link is set by `answer`"]
pub struct LandingLink {
    page: LandingPage,
    url: Url,
    cookie: Option<HeaderValue>,
}

impl fmt::Debug for LandingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LandingLink")
            .field("redirect_url", &self.redirect_url())
            .finish_non_exhaustive()
    }
}

impl LandingLink {
    /// The page to go to after signing in. One that is not allowed is left out, so that it may come
    /// straight from a request.
    pub fn next(mut self, target: &str) -> Self {
        if let Ok(target) = self.page.0.targets.check(target) {
            self.url
                .query_pairs_mut()
                .append_pair(field::NEXT, target.as_str());
        }
        self
    }

    /// What to give to the `redirect_url` of a sign-in, sign-up or update.
    #[must_use]
    pub fn redirect_url(&self) -> &str {
        self.url.as_str()
    }

    /// The answer to the request: sends the browser to `page` (303), and sets the cookie of
    /// [`same_browser`](super::LandingPageBuilder::same_browser).
    ///
    /// It is the same whether the address is known or not: what the service has against the address
    /// (no such user, user exists, user disabled, ...) is left out, for otherwise anyone could find out
    /// who has an account. It is in the response's extensions, as [`HiddenSendError`], for your log.
    /// The page must not show [`Sent::masked_address`] either. What remains is the time that the
    /// service takes.
    ///
    /// # Errors
    ///
    /// [`SendProblem`] for what does not depend on who has an account: an address that is none, a
    /// service that cannot be reached, too many requests.
    pub fn answer(
        self,
        sent: Result<Sent, Error>,
        page: &str,
    ) -> Result<Response<String>, SendProblem> {
        let mut response = plain(StatusCode::SEE_OTHER);
        if let Err(error) = sent {
            match SendProblem::of(error) {
                Ok(hidden) => {
                    response.extensions_mut().insert(hidden);
                }
                Err(problem) => return Err(problem),
            }
        }
        let headers = response.headers_mut();
        let target = self
            .page
            .0
            .targets
            .check_or(Some(page), &self.page.0.signed_in_page);
        headers.insert(LOCATION, target.location());
        if let Some(cookie) = self.cookie {
            headers.insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// Why no link was sent, as far as everybody may know it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendProblem {
    /// The address cannot be one (400). The user should correct it.
    #[error("{0}")]
    Address(InvalidArgument),
    /// There were too many requests (429).
    #[error("there were too many requests; try again later")]
    Busy {
        /// How long the service asks to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The service could not be reached, or failed (503).
    #[error("the service cannot be reached; try again in a moment")]
    Unreachable,
}

impl SendProblem {
    /// The status that fits.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Address(_) => StatusCode::BAD_REQUEST,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A plain answer. For a page of your own, look for the problem in the response's extensions.
    #[must_use]
    pub fn response(&self) -> Response<String> {
        let mut response = plain(self.status());
        *response.body_mut() = self.to_string();
        let headers = response.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if let Self::Busy { retry_after } = self {
            let wait = retry_after.unwrap_or(Duration::from_secs(60));
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response.extensions_mut().insert(self.clone());
        response
    }

    /// What to tell of an error, or the error to hide.
    fn of(error: Error) -> Result<HiddenSendError, Self> {
        if error.is_rate_limited() {
            return Err(Self::Busy {
                retry_after: error.retry_after(),
            });
        }
        match error {
            Error::InvalidArgument(argument) if argument.name() != "redirect_url" => {
                Err(Self::Address(argument))
            }
            Error::Api(_) if !error.is_retryable() && is_client_error(&error) => {
                Ok(HiddenSendError(Arc::new(error)))
            }
            error => {
                note("a link was not sent", &error);
                Err(Self::Unreachable)
            }
        }
    }
}

fn is_client_error(error: &Error) -> bool {
    error
        .status()
        .is_some_and(|status| status.is_client_error())
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for SendProblem {
    fn into_response(self) -> axum_core::response::Response {
        self.response().into_response()
    }
}

/// What the service had against an address: in the extensions of the answer to whoever asked for a
/// link. Log it; an answer that shows it tells who has an account.
#[derive(Debug, Clone)]
pub struct HiddenSendError(Arc<Error>);

impl HiddenSendError {
    /// The error.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0
    }
}
