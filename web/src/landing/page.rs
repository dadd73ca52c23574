//! The page itself: shows a button, and signs in when it is pressed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use descope_magiclink::{Authentication, Client, MagicLinkToken};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::runtime::Handle;
use url::Url;

use super::browser_binding::{Binding, BindingCookie, hash, random_text};
use super::error::LandingError;
use super::form::{self, Fields};
use super::texts::{LandingTexts, choose};
use super::used_links::{Hash, Outcome, SignedIn, Turn, UsedLinks};
use super::view::{Form, LandingView};
use crate::cookies::SessionCookies;
use crate::origin::is_cross_site;
use crate::redirect::{RedirectTarget, RedirectTargets};
use crate::service_error::{log_error, log_refusal};

/// No form of ours is larger, in bytes.
const LARGEST_FORM: usize = 16 * 1024;
const ALLOWED_METHODS: &str = "GET, HEAD, POST, OPTIONS";

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(super) type Template = Arc<dyn Fn(&LandingView<'_>) -> String + Send + Sync>;
pub(super) type Hook = Arc<dyn Fn(Authentication) -> BoxFuture<Option<String>> + Send + Sync>;

/// The page that a magic link opens: shows a button, and signs the user in when it is pressed.
///
/// Mail scanners and link previews open links before their user does, and some run the scripts of what
/// they open. A link works once; a page that verifies it when it is opened is used up by them. So `GET`
/// and `HEAD` change nothing here: they answer a page without scripts, with a form. Its `POST`
/// verifies the link, stores the session in cookies, and sends the browser on (303).
///
/// With the feature `tower` it is a service of requests with any body, cheap to clone. In axum:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use descope_magiclink::Client;
/// use descope_magiclink_web::LandingPage;
///
/// let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
/// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
///     .app_name("Example")
///     .signed_in_page("/orders")
///     .sign_in_page("/sign-in")
///     .build()?;
/// let app: axum::Router = axum::Router::new().route_service("/verify", landing);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What else it does:
///
/// - The form holds a proof that it was made for this browser, whose key is in a `__Host-` cookie, so
///   that another site cannot sign a visitor in as somebody else unless the visitor presses the button.
///   `Sec-Fetch-Site` and `Origin` are checked too. A site can still lead a visitor to this page with a
///   link of its own; [`same_browser`](super::LandingPageBuilder::same_browser) prevents that as well.
/// - No referrer, no cache, no frame, no foreign content, so that the token stays where it is.
/// - The next page comes from the link's parameter `next`, if [`RedirectTargets`] allows it.
/// - Each [reason](LandingError) has its page, in the reader's language, and leaves a session that
///   the browser already has alone.
/// - Nothing is taken from the `Host` header.
#[derive(Clone)]
pub struct LandingPage(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) origin: String,
    pub(super) cookies: SessionCookies,
    pub(super) targets: RedirectTargets,
    pub(super) signed_in_page: RedirectTarget,
    pub(super) sign_in_page: Option<RedirectTarget>,
    pub(super) app_name: String,
    pub(super) languages: Vec<LandingTexts>,
    pub(super) template: Template,
    pub(super) hook: Option<Hook>,
    pub(super) form_cookie: BindingCookie,
    pub(super) browser_cookie: Option<BindingCookie>,
    pub(super) used_links: UsedLinks,
}

impl fmt::Debug for LandingPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LandingPage")
            .field("url", &self.0.url.as_str())
            .field("same_browser", &self.0.browser_cookie.is_some())
            .finish_non_exhaustive()
    }
}

impl LandingPage {
    /// Answers a request.
    ///
    /// For frameworks that have no use for a tower service.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<String>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match *request.method() {
            Method::GET => self.show(request.uri().query(), request.headers()),
            Method::HEAD => {
                let mut response = self.show(request.uri().query(), request.headers());
                response.body_mut().clear();
                response
            }
            Method::POST => {
                let (parts, body) = request.into_parts();
                self.post(&parts.headers, body).await
            }
            Method::OPTIONS => plain(StatusCode::NO_CONTENT),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// The page with the button, or the reason why there is none. Changes nothing anywhere.
    fn show(&self, query: Option<&str>, request: &HeaderMap) -> Response<String> {
        let fields = Fields::parse(query.unwrap_or_default().as_bytes());
        let error = match fields.token() {
            Err(error) => Some(error),
            Ok(token) if self.0.used_links.is_used(&hash(token)) => Some(LandingError::Used),
            Ok(_) if !self.is_same_browser(&fields, request) => Some(LandingError::OtherBrowser),
            Ok(_) => None,
        };
        self.page(error, &fields, request)
    }

    async fn post<B>(&self, request: &HeaderMap, body: B) -> Response<String>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let cross_site = || self.page(Some(LandingError::CrossSite), &Fields::default(), request);
        let is_form = request
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !is_form || is_cross_site(request, &self.0.origin) {
            return cross_site();
        }
        let Ok(body) = Limited::new(body, LARGEST_FORM).collect().await else {
            return cross_site();
        };
        let body = body.to_bytes();
        let fields = Fields::parse(&body);
        match self.sign_in(&fields, request).await {
            Ok((cookies, target)) => {
                let mut response = plain(StatusCode::SEE_OTHER);
                let headers = response.headers_mut();
                for cookie in cookies {
                    headers.append(SET_COOKIE, cookie);
                }
                headers.insert(LOCATION, target.location());
                response
            }
            Err(error) => self.page(Some(error), &fields, request),
        }
    }

    /// What a press of the button comes to: cookies to set, and where to go.
    async fn sign_in(
        &self,
        fields: &Fields<'_>,
        request: &HeaderMap,
    ) -> Result<(Vec<HeaderValue>, RedirectTarget), LandingError> {
        let token = fields.token()?;
        let (id, proof) = match (&fields.id, &fields.proof) {
            (Some(id), Some(proof)) => (&**id, &**proof),
            _ => return Err(LandingError::CrossSite),
        };
        let signed = [id, token, fields.next(), fields.browser()];
        let binding = self
            .0
            .form_cookie
            .read(request)
            .filter(|binding| binding.is_signed(&signed, proof))
            .ok_or(LandingError::StaleForm)?;
        if !self.is_same_browser(fields, request) {
            return Err(LandingError::OtherBrowser);
        }
        let form = hash(&binding.sign(&["form", proof]));
        let session = self.0.cookies.read(request).session;
        let session = session.map(|token| hash(token.expose_secret()));
        self.verify_once(token, form, session, fields.next()).await
    }

    async fn verify_once(
        &self,
        token: &str,
        form: Hash,
        session: Option<Hash>,
        next: &str,
    ) -> Result<(Vec<HeaderValue>, RedirectTarget), LandingError> {
        let key = hash(token);
        loop {
            let mut flight = match self.0.used_links.turn(key, form, session) {
                Turn::Used(Some(target)) => return Ok((Vec::new(), target)),
                Turn::Used(None) => return Err(LandingError::Used),
                Turn::After(mut flight) => match flight.wait_for(Option::is_some).await {
                    Ok(_) => continue,
                    Err(_) => return Err(self.lost(key)),
                },
                Turn::Join(flight) => flight,
                Turn::Verify(landed) => {
                    let flight = landed.subscribe();
                    let page = self.clone();
                    let token = MagicLinkToken::new(token);
                    let next = next.to_owned();
                    // A task of its own: the link is used up even if the user has gone meanwhile.
                    let verification = async move {
                        let outcome = page.verify(&token, &next).await;
                        page.0.used_links.landed(key, form, &outcome);
                        landed.send_replace(Some(outcome));
                    };
                    match Handle::try_current() {
                        Ok(runtime) => drop(runtime.spawn(verification)),
                        Err(_) => verification.await,
                    }
                    flight
                }
            };
            let outcome = match flight.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone(),
                Err(_) => None,
            };
            let signed_in = outcome.unwrap_or_else(|| Err(self.lost(key)))?;
            return Ok((signed_in.cookies, signed_in.target));
        }
    }

    /// A verification ended without a result: its runtime went away, or the application's own code
    /// panicked.
    fn lost(&self, token: Hash) -> LandingError {
        self.0.used_links.forget(&token);
        LandingError::Failed
    }

    async fn verify(&self, token: &MagicLinkToken, next: &str) -> Outcome {
        let inner = &*self.0;
        let auth = match inner.client.magic_link().verify(token).await {
            Ok(auth) => auth,
            Err(error) => {
                let landing_error = LandingError::of(&error);
                match landing_error {
                    LandingError::Expired => {}
                    // No fault of the user's when, say, the project does not admit the call.
                    LandingError::InvalidLink => {
                        log_refusal("the service refused to verify a magic link", &error);
                    }
                    _ if error.is_retryable() => {}
                    _ => log_error("a sign-in by magic link failed", &error),
                }
                return Err(landing_error);
            }
        };
        let mut headers = HeaderMap::new();
        if let Err(error) = inner.cookies.set(&mut headers, &auth) {
            log_error("a sign-in by magic link failed", &error);
            return Err(LandingError::Failed);
        }
        let session = hash(auth.session_token.expose_secret());
        let target = match &inner.hook {
            Some(hook) => hook(auth).await,
            None => None,
        };
        let fallback = inner.targets.check_or(
            Some(next).filter(|next| !next.is_empty()),
            &inner.signed_in_page,
        );
        Ok(SignedIn {
            cookies: headers.get_all(SET_COOKIE).iter().cloned().collect(),
            target: inner.targets.check_or(target.as_deref(), &fallback),
            session,
        })
    }

    /// Whether the link was asked for in this browser, where that matters.
    fn is_same_browser(&self, fields: &Fields<'_>, request: &HeaderMap) -> bool {
        self.0.browser_cookie.as_ref().is_none_or(|cookie| {
            cookie
                .read(request)
                .is_some_and(|browser| browser.fingerprint() == fields.browser())
        })
    }

    fn page(
        &self,
        error: Option<LandingError>,
        fields: &Fields<'_>,
        request: &HeaderMap,
    ) -> Response<String> {
        let inner = &*self.0;
        let (Some(texts), Some(style_nonce), Some(id)) = (
            choose(&inner.languages, request),
            random_text(),
            random_text(),
        ) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let mut response = plain(error.map_or(StatusCode::OK, LandingError::status));
        let headers = response.headers_mut();
        let can_try = error.is_none_or(LandingError::can_try_again);
        let token = fields.token().ok().filter(|_| can_try);
        let binding = inner.form_cookie.read(request).or_else(Binding::random);
        let signed = token.zip(binding.as_ref()).map(|(token, binding)| {
            let proof = binding.sign(&[&id, token, fields.next(), fields.browser()]);
            if let Some(cookie) = inner.form_cookie.store(binding) {
                headers.append(SET_COOKIE, cookie);
            }
            (token, proof)
        });
        let form = signed.as_ref().map(|(token, proof)| Form {
            action: inner.url.path(),
            fields: [
                (form::TOKEN, *token),
                (form::NEXT, fields.next()),
                (form::BROWSER, fields.browser()),
                (form::ID, &id),
                (form::PROOF, proof),
            ],
        });
        if matches!(
            error,
            Some(LandingError::ServiceUnavailable | LandingError::RateLimited)
        ) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        if let Ok(language) = HeaderValue::from_str(texts.language()) {
            headers.insert(CONTENT_LANGUAGE, language);
        }
        if let Ok(policy) = HeaderValue::from_str(&self.policy(&style_nonce)) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        let view = LandingView {
            app_name: &inner.app_name,
            texts,
            error,
            form,
            sign_in_page: inner.sign_in_page.as_ref().map(RedirectTarget::as_str),
            style_nonce: &style_nonce,
        };
        let html = (inner.template)(&view);
        *response.body_mut() = html;
        response
    }

    /// Browsers apply `form-action` to where the answer to the form redirects, too.
    fn policy(&self, style_nonce: &str) -> String {
        let mut policy = format!(
            "default-src 'none'; style-src 'self' 'nonce-{style_nonce}'; img-src 'self'; \
             font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
        );
        for origin in self.0.targets.allowed_origins() {
            policy.push(' ');
            policy.push_str(origin);
        }
        policy
    }
}

/// A response with what all of the page's responses have.
pub(super) fn plain(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::METHOD_NOT_ALLOWED
    ) {
        headers.insert(ALLOW, HeaderValue::from_static(ALLOWED_METHODS));
    }
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}
