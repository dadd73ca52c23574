//! Sending links to the landing page, with a response that tells nobody who has an account.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::magic_link::Sent;
use descope_magiclink::{Error, InvalidArgument};
use http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use url::Url;

use super::address::check_value;
use super::browser_binding::Binding;
use super::form;
use super::page::{Browsers, LandingPage, plain};
use super::purpose::LinkPurpose;
use super::send_guard::{self, Requester};
use crate::audit;
use crate::origin::is_cross_site;
use crate::service_error::{is_refusal, log_error, log_refusal, seconds};

impl LandingPage {
    /// Prepares a link that leads to this page. `address` is what the user typed to get it, for a change
    /// the new address: in another browser, the page
    /// [asks for it](super::LandingPageBuilder::ask_other_browsers). For a step-up, where nothing is typed,
    /// it is the user's id.
    ///
    /// `request` is the request that asks for the link, without its body. It must come from a page of the
    /// application's own: a form on another site could otherwise have links sent, and with
    /// [`same_browser`](super::LandingPageBuilder::same_browser) make the visitor's browser one in which
    /// somebody else's link works.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, DeliveryMethod};
    /// # use descope_magiclink_web::LandingPage;
    /// # async fn f(client: Client, landing: LandingPage, request: http::request::Parts, email: &str)
    /// # -> Result<http::Response<String>, descope_magiclink_web::SendError> {
    /// let link = landing.link(&request, email).await?.next("/orders");
    /// let sent = client
    ///     .magic_link()
    ///     .sign_in(DeliveryMethod::Email, email)
    ///     .redirect_url(link.redirect_url())
    ///     .send()
    ///     .await;
    /// link.respond(sent, "/check-your-inbox")
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::CrossSite`] when the request is [cross-site](Self::is_cross_site),
    /// [`SendError::RateLimited`] when links were [asked for too often](super::LandingPageBuilder::client_key),
    /// [`SendError::Refused`] when the application [does not allow it](super::LandingPageBuilder::allow_send).
    /// Send nothing then.
    pub async fn link(&self, request: &Parts, address: &str) -> Result<LandingLink, SendError> {
        let refused = |error: SendError| {
            audit::log("refused", None, Some(error.code()));
            error
        };
        if self.is_cross_site(&request.headers) {
            return Err(refused(SendError::CrossSite));
        }
        if let Some(allow) = &self.0.allow_send
            && !allow(request, address).await
        {
            return Err(refused(SendError::Refused));
        }
        if self.0.guards_sends {
            let requester = self.requester(request);
            let taken = send_guard::take(self.0.client.store(), address, &requester).await;
            taken.map_err(|wait| {
                refused(SendError::RateLimited {
                    retry_after: Some(wait),
                })
            })?;
        }
        let request = &request.headers;
        let mut link = LandingLink {
            page: self.clone(),
            url: self.0.url.clone(),
            cookie: None,
        };
        if self.0.browsers != Browsers::Any
            // A browser that asks twice keeps its value, so that both links work.
            && let Some(browser) = self.0.browser_cookie.read(request).or_else(Binding::random)
        {
            link.append(form::BROWSER, &browser.fingerprint());
            link.cookie = self.0.browser_cookie.store(&browser);
        }
        if self.0.browsers == Browsers::AskOthers
            && let Some(check) = check_value(address)
        {
            link.append(form::CHECK, &check);
        }
        Ok(link)
    }

    fn requester(&self, request: &Parts) -> Requester {
        let known = self.0.client_key.as_ref().and_then(|key| key(request));
        known.map_or_else(
            || {
                let browser = self.0.browser_cookie.read(&request.headers);
                Requester::Browser(browser.map_or(String::new(), |browser| browser.fingerprint()))
            },
            Requester::Known,
        )
    }

    /// Whether the browser says that a request was caused by something else than a page of this page's
    /// own origin, or one [named](super::LandingPageBuilder::own_origin). Ask it before a `POST` changes anything, such as at a sign-out: `SameSite=Lax` keeps
    /// cookies out of other sites' forms, but the form is sent all the same, and neighbours such as
    /// `https://blog.example.com` are no other site to it.
    ///
    /// It goes by `Sec-Fetch-Site` and `Origin`. `Origin: null` is what pages without referrer send; it
    /// says nothing beside `Sec-Fetch-Site`, and without it is another site's. A request with neither header is not cross-site; no browser of these years sends
    /// such a form. Links from other sites make cross-site requests too, so ask it for no `GET`.
    ///
    /// ```
    /// # use descope_magiclink::Client;
    /// # use descope_magiclink_web::LandingPage;
    /// use http::HeaderMap;
    ///
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify").build()?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("origin", "https://app.example.com".parse()?);
    /// assert!(!landing.is_cross_site(&headers));
    /// headers.insert("origin", "https://evil.example".parse()?);
    /// assert!(landing.is_cross_site(&headers));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cross_site(&self, request: &HeaderMap) -> bool {
        is_cross_site(request, &self.0.own_origins)
    }
}

/// A link to the landing page, before it is sent: from [`LandingPage::link`].
#[must_use = "the cookie that belongs to the link is set by `respond`"]
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
    fn append(&mut self, name: &str, value: &str) {
        self.url.query_pairs_mut().append_pair(name, value);
    }

    /// What the link is for, if not to sign in. The page says so, and its button too.
    ///
    /// A sign-in ends the session that the browser had, if it was another one; links for something else
    /// leave it alone.
    pub fn purpose(mut self, purpose: LinkPurpose) -> Self {
        if purpose != LinkPurpose::SignIn {
            self.append(form::PURPOSE, purpose.as_str());
        }
        self
    }

    /// The page to go to afterwards. One that is not allowed is left out, so that it may come
    /// straight from a request.
    ///
    /// For a step-up it should be the page that requires it, and for a change the page with the form: where
    /// the link does not work, its page leads there for a new one.
    pub fn next(mut self, target: &str) -> Self {
        if let Ok(target) = self.page.0.targets.check(target) {
            self.append(form::NEXT, target.as_str());
        }
        self
    }

    /// What to give to the `redirect_url` of a sign-in, sign-up or update.
    #[must_use]
    pub fn redirect_url(&self) -> &str {
        self.url.as_str()
    }

    /// The response to the request: sends the browser to `page` (303), and sets the cookie by
    /// which the page knows the browser again that asked for the link.
    ///
    /// It is the same whether the address is known or not: what the service has against the address
    /// (no such user, user exists, user disabled, ...) is left out, for otherwise anyone could find out
    /// who has an account. It is in the response's extensions, as [`HiddenSendError`], for your log;
    /// the feature `tracing` notes its code and status as a warning. The page must not show
    /// [`Sent::masked_address`] either. What remains is the time that the service takes.
    ///
    /// That the service takes `nonsense` for no mail address is hidden too, where it stands for a login id:
    /// it would send to a user of that name. Have the form check what is typed, by `type="email"`. A new
    /// address to change to is checked before it is sent.
    ///
    /// # Errors
    ///
    /// [`SendError`] for what does not depend on who has an account: an argument that cannot be one, a
    /// service that cannot be reached, too many requests.
    pub fn respond(
        self,
        sent: Result<Sent, Error>,
        page: &str,
    ) -> Result<Response<String>, SendError> {
        let mut response = plain(StatusCode::SEE_OTHER);
        if let Err(error) = sent {
            match SendError::of(error) {
                Ok(hidden) => {
                    response.extensions_mut().insert(hidden);
                }
                Err(error) => return Err(error),
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
pub enum SendError {
    /// The address cannot be one, or is empty (400). The user should correct it.
    #[error("this is no address that a link can be sent to; look for mistakes")]
    InvalidAddress(#[source] InvalidArgument),
    /// The request did not come from a page of the application (403). Nothing was sent.
    #[error("the form was sent by another site")]
    CrossSite,
    /// The application does not allow it (403): see
    /// [`allow_send`](super::LandingPageBuilder::allow_send).
    #[error("this is not allowed")]
    Refused,
    /// There were too many requests (429), here or at the service.
    #[error("there were too many requests; try again later")]
    RateLimited {
        /// How long to wait, if that is known.
        retry_after: Option<Duration>,
    },
    /// The service could not be reached, or failed, or refused the key of this server (503).
    #[error("the service cannot be reached; try again in a moment")]
    ServiceUnavailable,
}

impl SendError {
    /// The status that fits.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidAddress(_) => StatusCode::BAD_REQUEST,
            Self::CrossSite | Self::Refused => StatusCode::FORBIDDEN,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A word for the reason that stays as it is, for programs: `invalid_address`, `cross_site`,
    /// `refused`, `rate_limited` or `service_unavailable`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidAddress(_) => "invalid_address",
            Self::CrossSite => "cross_site",
            Self::Refused => "refused",
            Self::RateLimited { .. } => "rate_limited",
            Self::ServiceUnavailable => "service_unavailable",
        }
    }

    /// How long to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => {
                Some(retry_after.unwrap_or(Duration::from_secs(60)))
            }
            _ => None,
        }
    }

    /// A plain response. For a page of your own, look for the error in the response's extensions.
    #[must_use]
    pub fn response(&self) -> Response<String> {
        let mut response = plain(self.status());
        *response.body_mut() = self.to_string();
        let headers = response.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if let Some(wait) = self.wait() {
            headers.insert(RETRY_AFTER, seconds(wait));
        }
        response.extensions_mut().insert(self.clone());
        response
    }

    /// What to tell of an error, or the error to hide.
    fn of(error: Error) -> Result<HiddenSendError, Self> {
        if error.is_rate_limited() {
            return Err(Self::RateLimited {
                retry_after: error.retry_after(),
            });
        }
        match error {
            Error::InvalidArgument(argument) if argument.name() != "redirect_url" => {
                Err(Self::InvalidAddress(argument))
            }
            error if is_refusal(&error) => {
                log_refusal(
                    "the service refused to send a link; the user is not told, since it could say who has an account",
                    &error,
                );
                Ok(HiddenSendError(Arc::new(error)))
            }
            error => {
                log_error("a link was not sent", &error);
                Err(Self::ServiceUnavailable)
            }
        }
    }
}

/// What the service had against an address: in the extensions of the response to whoever asked for a
/// link. A response that shows it tells who has an account; the feature `tracing` logs its code and
/// status.
#[derive(Debug, Clone)]
pub struct HiddenSendError(Arc<Error>);

impl HiddenSendError {
    /// The error.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0
    }
}
