//! The page itself: shows a button, and signs in when it is pressed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::{Authentication, Client, MagicLinkToken, SessionToken, timeout};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use tokio::runtime::Handle;
use url::Url;

use super::address::{self, AddressKind};
use super::browser_binding::{Binding, BindingCookie, hash, random_text};
use super::error::{Failure, LandingError};
use super::form::{self, Fields};
use super::purpose::{AfterSignIn, LinkPurpose};
use super::send_guard::{self, AllowSend, ClientKey};
use super::texts::{LandingTexts, choose};
use super::used_links::{Hash, LEASE, LinkState, Outcome, Owner, SignedIn, Used, UsedLinks};
use super::view::{Form, LandingView, State};
use crate::audit;
use crate::cookies::families::newest_of_families;
use crate::cookies::{RequestTokens, SessionCookies};
use crate::origin::is_cross_site;
use crate::redirect::{RedirectTarget, RedirectTargets};
use crate::service_error::{in_span, log_error, log_refusal, seconds};

/// No form of ours is larger, in bytes.
const LARGEST_FORM: usize = 16 * 1024;
/// How long a form's body may take to arrive. Ours are small.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a form asks whether the verification of its link has ended.
const POLL: Duration = Duration::from_millis(20);
const ALLOWED_METHODS: &str = "GET, HEAD, POST, OPTIONS";

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(super) type Template = Arc<dyn Fn(&LandingView<'_>) -> String + Send + Sync>;
pub(super) type Language = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;
pub(super) type Hook = Arc<dyn Fn(Authentication) -> BoxFuture<AfterSignIn> + Send + Sync>;

/// Whose press of the button signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Browsers {
    /// Any browser's.
    Any,
    /// Any browser's whose user types the address that the link was sent to; in the one that asked for
    /// the link, nothing is to be typed.
    AskOthers,
    /// That of the browser that asked for the link.
    Same,
}

/// The page that a magic link opens: shows a button, and signs the user in when it is pressed.
///
/// Mail scanners and link previews open links before their user does, and some run the scripts of what
/// they open. A link works once; a page that verifies it when it is opened is used up by them. So `GET`
/// and `HEAD` change nothing here: they give a page without scripts, with a form. Its `POST`
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
/// - Some robots of mail security press buttons, too. In a browser that did not ask for the link the page
///   asks for the one thing that they do not type: the address that the link was sent to
///   ([`ask_other_browsers`](super::LandingPageBuilder::ask_other_browsers)).
/// - The form holds a proof that it was made for this browser, whose key is in a `__Host-` cookie, so
///   that another site cannot sign a visitor in as somebody else unless the visitor presses the button.
///   `Sec-Fetch-Site` and `Origin` are checked too. A site can still lead a visitor to this page with a
///   link of its own; [`same_browser`](super::LandingPageBuilder::same_browser) prevents that as well.
/// - A press whose response got lost gets it once more. Who opens the link once more while signed in by
///   it is told so, and goes on from there.
/// - No path in the referrer, no cache, no frame, no foreign content, so that the token stays where it is.
/// - The next page comes from the link's parameter `next`, if [`RedirectTargets`] allows it.
/// - Each [reason](LandingError) has its page, in the reader's language, and leaves a session that
///   the browser already has alone.
/// - Nothing is taken from the `Host` header.
#[derive(Clone)]
pub struct LandingPage(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) url: Url,
    /// The page's own origin, and others of the application.
    pub(super) own_origins: Vec<String>,
    pub(super) cookies: SessionCookies,
    pub(super) targets: RedirectTargets,
    pub(super) signed_in_page: RedirectTarget,
    pub(super) sign_in_page: Option<RedirectTarget>,
    pub(super) app_name: String,
    pub(super) languages: Vec<LandingTexts>,
    pub(super) language: Option<Language>,
    pub(super) step_up_page: Option<RedirectTarget>,
    pub(super) template: Template,
    pub(super) hook: Option<Hook>,
    pub(super) form_cookie: BindingCookie,
    pub(super) browser_cookie: BindingCookie,
    pub(super) browsers: Browsers,
    pub(super) guards_sends: bool,
    pub(super) client_key: Option<ClientKey>,
    pub(super) allow_send: Option<AllowSend>,
}

impl Inner {
    /// The texts in the language of a request.
    pub(super) fn texts(&self, request: &Parts) -> Option<&LandingTexts> {
        let chosen = self.language.as_ref().and_then(|choose| choose(request));
        choose(&self.languages, chosen.as_deref(), &request.headers)
    }
}

impl fmt::Debug for LandingPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LandingPage")
            .field("url", &self.0.url.as_str())
            .field("browsers", &self.0.browsers)
            .finish_non_exhaustive()
    }
}

impl LandingPage {
    /// The response to a request.
    ///
    /// For frameworks that have no use for a tower service.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<String>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match *request.method() {
            Method::GET | Method::HEAD => {
                let is_head = request.method() == Method::HEAD;
                // Without the body, which need not be one that other threads may see.
                let (parts, _) = request.into_parts();
                let mut response = self.show(&parts).await;
                if is_head {
                    response.body_mut().clear();
                }
                response
            }
            Method::POST => {
                let (parts, body) = request.into_parts();
                self.post(&parts, body).await
            }
            Method::OPTIONS => plain(StatusCode::NO_CONTENT),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// The page with the button, or the reason why there is none. Changes nothing anywhere.
    async fn show(&self, request: &Parts) -> Response<String> {
        let fields = Fields::parse(request.uri.query().unwrap_or_default().as_bytes());
        let token = match fields.token() {
            Ok(token) => hash(token),
            Err(error) => return self.page(State::Error(error), &fields, request),
        };
        if let Some(used) = self.links().used(&token).await {
            return if self
                .is_in_by(&used, &self.0.cookies.read(&request.headers))
                .await
            {
                let fields = Fields::of_purpose(used.purpose());
                let target = self.checked(&used.target);
                self.page(State::Done(target.as_str()), &fields, request)
            } else {
                self.page(State::Error(LandingError::Used), &fields, request)
            };
        }
        let state = if self.links().is_closed(&token).await {
            State::Error(LandingError::Closed)
        } else if self.needs_same_browser(&fields)
            && !self.is_same_browser(&fields, &request.headers)
        {
            State::Error(LandingError::OtherBrowser)
        } else {
            State::Confirm
        };
        self.page(state, &fields, request)
    }

    async fn post<B>(&self, request: &Parts, body: B) -> Response<String>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let refused = |error| self.page(State::Error(error), &Fields::default(), request);
        let is_form = request
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| {
                kind.trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        if !is_form || is_cross_site(&request.headers, &self.0.own_origins) {
            return refused(LandingError::CrossSite);
        }
        let body = match collect(Limited::new(body, LARGEST_FORM)).await {
            Ok(body) => body,
            Err(BodyError::Broken) => return refused(LandingError::CrossSite),
            Err(BodyError::Slow) => return plain(StatusCode::REQUEST_TIMEOUT),
        };
        let fields = Fields::parse(&body);
        match self.sign_in(&fields, &request.headers).await {
            Ok(Press::Ask) => self.page(State::Confirm, &fields, request),
            Ok(Press::SignedIn(signed_in)) => self.respond(&signed_in, request),
            Err(failure) => {
                audit::log("sign-in failed", None, Some(&failure.error.to_string()));
                let mut response = self.page(State::Error(failure.error), &fields, request);
                if let Some(wait) = failure.retry_after {
                    response.headers_mut().insert(RETRY_AFTER, seconds(wait));
                }
                response
            }
        }
    }

    /// The response to a form whose link was used by it.
    fn respond(&self, signed_in: &SignedIn, request: &Parts) -> Response<String> {
        if let Some(refusal) = &signed_in.refusal {
            let mut response = refusal.clone();
            for (name, value) in plain(StatusCode::OK).headers() {
                response.headers_mut().entry(name).or_insert(value.clone());
            }
            return response;
        }
        let target = &signed_in.target;
        let mut response = if signed_in.purpose.is_change() {
            let fields = Fields::of_purpose(signed_in.purpose);
            self.page(State::Done(target.as_str()), &fields, request)
        } else {
            let mut response = plain(StatusCode::SEE_OTHER);
            response.headers_mut().insert(LOCATION, target.location());
            response
        };
        for cookie in &signed_in.cookies {
            response.headers_mut().append(SET_COOKIE, cookie.clone());
        }
        response
    }

    /// What a press of the button comes to.
    async fn sign_in(&self, fields: &Fields<'_>, request: &HeaderMap) -> Result<Press, Failure> {
        let token = fields.token()?;
        let (id, proof) = match (&fields.id, &fields.proof) {
            (Some(id), Some(proof)) => (&**id, &**proof),
            _ => return Err(LandingError::CrossSite.into()),
        };
        let binding = self
            .0
            .form_cookie
            .read(request)
            .filter(|binding| binding.is_signed(&fields.signed(id, token), proof))
            .ok_or(LandingError::StaleForm)?;
        if self.needs_same_browser(fields) && !self.is_same_browser(fields, request) {
            return Err(LandingError::OtherBrowser.into());
        }
        if self.asks(fields, request).is_some() {
            let token = hash(token);
            if self.links().is_closed(&token).await {
                return Err(LandingError::Closed.into());
            }
            if fields.address().is_empty() {
                return Ok(Press::Ask);
            }
            if !address::matches(fields.check(), fields.address()) {
                let address = hash(fields.address());
                self.links().wrong_address(&token, &address).await;
                return Err(if self.links().is_closed(&token).await {
                    LandingError::Closed.into()
                } else {
                    LandingError::WrongAddress.into()
                });
            }
        }
        let form = hash(&binding.sign(&["form", proof]));
        let tokens = self.0.cookies.read(request);
        self.verify_once(token, form, tokens, fields).await
    }

    fn links(&self) -> UsedLinks<'_> {
        UsedLinks::of(&self.0.client)
    }

    /// A page that was stored, if it is still allowed.
    fn checked(&self, target: &str) -> RedirectTarget {
        let inner = &*self.0;
        inner.targets.check_or(Some(target), &inner.signed_in_page)
    }

    async fn verify_once(
        &self,
        token: &str,
        form: Hash,
        tokens: RequestTokens,
        fields: &Fields<'_>,
    ) -> Result<Press, Failure> {
        let key = hash(token);
        let wait = async {
            let mut has_waited = false;
            loop {
                match self.links().join_or_start(&key, &form, has_waited).await {
                    LinkState::Pending(is_own) => has_waited |= is_own,
                    state => return state,
                }
                // None ever comes.
                let _ = timeout(POLL, std::future::pending::<()>()).await;
            }
        };
        match timeout(LEASE, wait).await {
            Some(LinkState::Used(used)) => self.again(&key, &form, &used, &tokens).await,
            Some(LinkState::Failed(error)) => Err(error),
            Some(LinkState::Closed) => Err(LandingError::Closed.into()),
            Some(LinkState::Verify) => {
                let link = Link {
                    token: MagicLinkToken::new(token),
                    next: fields.next().to_owned(),
                    purpose: fields.purpose(),
                    tokens,
                };
                let signed_in = self.start(key, form, link).await?;
                Ok(Press::SignedIn(Box::new(signed_in)))
            }
            Some(LinkState::Pending(_)) | None => Err(LandingError::ServiceUnavailable.into()),
        }
    }

    /// Verifies the link in a task of its own: it is used up even if the user has gone meanwhile.
    async fn start(&self, key: Hash, form: Hash, link: Link) -> Outcome {
        let page = self.clone();
        let verify = async move { page.verify(link).await };
        let Ok(runtime) = Handle::try_current() else {
            let outcome = verify.await;
            self.links().complete(&key, &form, &outcome).await;
            return outcome;
        };
        let page = self.clone();
        let verification = runtime.spawn(in_span(verify));
        let completion = runtime.spawn(async move {
            // Without an outcome the application's own code has panicked.
            let outcome = verification
                .await
                .unwrap_or(Err(LandingError::Failed.into()));
            page.links().complete(&key, &form, &outcome).await;
            outcome
        });
        completion.await.unwrap_or(Err(LandingError::Failed.into()))
    }

    /// What a form gets whose link is used.
    async fn again(
        &self,
        key: &Hash,
        form: &Hash,
        used: &Used,
        tokens: &RequestTokens,
    ) -> Result<Press, Failure> {
        let (cookies, refusal) = match self.links().response(key, form).await {
            Some(response) if !self.has_arrived(&used.owner, tokens).await => response,
            _ if self.is_in_by(used, tokens).await => (Vec::new(), None),
            _ => return Err(LandingError::Used.into()),
        };
        Ok(Press::SignedIn(Box::new(SignedIn {
            cookies,
            target: self.checked(&used.target),
            purpose: used.purpose(),
            refusal,
            owner: used.owner.clone(),
        })))
    }

    async fn verify(&self, link: Link) -> Outcome {
        let inner = &*self.0;
        let auth = match inner.client.magic_link().verify(&link.token).await {
            Ok(auth) => auth,
            Err(error) => {
                let failure = Failure::of(&error);
                match failure.error {
                    LandingError::Expired => {}
                    // No fault of the user's when, say, the project does not admit the call.
                    LandingError::InvalidLink => {
                        log_refusal("the service refused to verify a magic link", &error);
                    }
                    _ if error.is_retryable() => {}
                    _ => log_error("a sign-in by magic link failed", &error),
                }
                return Err(failure);
            }
        };
        let mut headers = HeaderMap::new();
        if let Err(error) = inner
            .cookies
            .set_over(&mut headers, &auth.tokens, &link.tokens)
        {
            log_error(
                "the tokens of a sign-in do not fit into cookies, so that the user is not signed in",
                &error,
            );
            // With a refresh token alone, each request renews the session.
            if headers.is_empty() {
                self.end(&auth).await;
                return Err(LandingError::Failed.into());
            }
        }
        let user_id = auth.session.user_id();
        let owner = self.owner(&auth).await;
        let after = match &inner.hook {
            Some(hook) => hook(auth.clone()).await,
            None => AfterSignIn::Continue,
        };
        let (target, refusal) = match after {
            AfterSignIn::Continue => (None, None),
            AfterSignIn::GoTo(target) => (Some(target), None),
            AfterSignIn::Refuse(response) => {
                self.end(&auth).await;
                (None, Some(*response))
            }
        };
        match (&refusal, link.purpose) {
            (Some(_), _) => {
                let reason = "the application refused the user";
                audit::log("sign-in failed", Some(user_id), Some(reason));
            }
            (None, LinkPurpose::SignIn) => audit::log("signed in", Some(user_id), None),
            (None, LinkPurpose::StepUp) => audit::log("stepped up", Some(user_id), None),
            (None, LinkPurpose::ChangeEmail) => audit::log("email changed", Some(user_id), None),
            (None, LinkPurpose::ChangePhone) => audit::log("phone changed", Some(user_id), None),
        }
        if refusal.is_none() && inner.guards_sends {
            let mut addresses = vec![user_id];
            if let Some(user) = &auth.user {
                addresses.extend(user.login_ids().iter().map(String::as_str));
                addresses.extend(user.email().into_iter().chain(user.phone()));
            }
            send_guard::clear(inner.client.store(), &addresses).await;
        }
        let is_more = link.purpose != LinkPurpose::SignIn || auth.session.is_mfa();
        if refusal.is_none() && !is_more {
            self.end_others(&owner, link.tokens);
        }
        let fallback = inner.targets.check_or(
            Some(&*link.next).filter(|next| !next.is_empty()),
            &inner.signed_in_page,
        );
        Ok(SignedIn {
            cookies: headers.get_all(SET_COOKIE).iter().cloned().collect(),
            target: inner.targets.check_or(target.as_deref(), &fallback),
            purpose: link.purpose,
            refusal,
            owner,
        })
    }

    /// Ends a session that was begun and is not given to the user.
    async fn end(&self, auth: &Authentication) {
        if let Some(refresh) = &auth.tokens.refresh
            && let Err(error) = self.0.client.sessions().logout(refresh).await
        {
            log_error(
                "the session of a user who was not let in could not be ended at the service",
                &error,
            );
        }
    }

    /// Ends, in the background, the sessions that a sign-in overwrites: those of another user, and of
    /// another sign-in of this one. Which those are, is not known of tokens without a family.
    fn end_others(&self, new: &Owner, tokens: RequestTokens) {
        let (client, new) = (self.0.client.clone(), new.clone());
        if tokens.refreshes.is_empty() {
            return;
        }
        let end = async move {
            let (old, _) = newest_of_families(client.as_ref(), &tokens.refreshes).await;
            for old in old {
                let is_other = match (&old.family, &new.family) {
                    _ if old.user_id != new.user_id => true,
                    (Some(old), Some(new)) => old != new,
                    _ => false,
                };
                if !is_other {
                    continue;
                }
                // Its session tokens would be good for some minutes more. Two of one second may be one text.
                let overwritten =
                    |token: &&SessionToken| hash(token.expose_secret()) != new.session;
                for token in tokens.sessions.iter().filter(overwritten) {
                    let session = client.sessions().validate(token).await;
                    if session.is_ok_and(|session| session.user_id() == old.user_id) {
                        client.sessions().end(token).await;
                    }
                }
                client.sessions().end_refresh(&old.token).await;
                if let Err(error) = client.sessions().logout(&old.token).await {
                    log_error(
                        "a session that a sign-in has overwritten could not be ended at the service",
                        &error,
                    );
                }
            }
        };
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(in_span(end)));
        }
    }

    async fn owner(&self, auth: &Authentication) -> Owner {
        let refresh: Vec<_> = auth.tokens.refresh.clone().into_iter().collect();
        let (refresh, _) = newest_of_families(self.0.client.as_ref(), &refresh).await;
        let refresh = refresh.into_iter().next();
        Owner {
            user_id: auth.session.user_id().to_owned(),
            session: hash(auth.tokens.session.expose_secret()),
            issued_at: refresh.as_ref().and_then(|refresh| refresh.issued_at),
            family: refresh.and_then(|refresh| refresh.family),
        }
    }

    /// Whether the cookies of a sign-in are in the browser, or newer ones that came of them. To set them
    /// once more would then put superseded tokens into the place of good ones.
    async fn has_arrived(&self, owner: &Owner, tokens: &RequestTokens) -> bool {
        let is_it = |token: &SessionToken| hash(token.expose_secret()) == owner.session;
        if tokens.sessions.iter().any(is_it) {
            return true;
        }
        let (newest, _) = newest_of_families(self.0.client.as_ref(), &tokens.refreshes).await;
        newest.iter().any(|refresh| {
            refresh.family.is_some()
                && refresh.family == owner.family
                && refresh.issued_at > owner.issued_at
        })
    }

    /// Whether the browser is signed in by the use of a link.
    async fn is_in_by(&self, used: &Used, tokens: &RequestTokens) -> bool {
        if !used.is_in {
            return false;
        }
        let (newest, _) = newest_of_families(self.0.client.as_ref(), &tokens.refreshes).await;
        let is_own = |user_id: &str| user_id == used.owner.user_id;
        if let Some(refresh) = newest.first() {
            let families = refresh.family.as_ref().zip(used.owner.family.as_ref());
            return is_own(&refresh.user_id) && families.is_none_or(|(one, other)| one == other);
        }
        for token in &tokens.sessions {
            let session = self.0.client.sessions().validator().validate(token).await;
            if session.is_ok_and(|session| is_own(session.user_id())) {
                return true;
            }
        }
        false
    }

    /// Whether no other browser will do. What is stepped up is the session of the browser that asked, so
    /// that another one has no use for the link; it may be one of a robot that presses buttons.
    fn needs_same_browser(&self, fields: &Fields<'_>) -> bool {
        match self.0.browsers {
            Browsers::Same => true,
            Browsers::AskOthers => {
                fields.purpose() == LinkPurpose::StepUp && address::kind(fields.check()).is_none()
            }
            Browsers::Any => false,
        }
    }

    /// Whether the link was asked for in this browser.
    fn is_same_browser(&self, fields: &Fields<'_>, request: &HeaderMap) -> bool {
        let browser = self.0.browser_cookie.read(request);
        browser.is_some_and(|browser| browser.fingerprint() == fields.browser())
    }

    /// What the user is to type, if anything.
    fn asks(&self, fields: &Fields<'_>, request: &HeaderMap) -> Option<AddressKind> {
        let kind = address::kind(fields.check())?;
        let asks = self.0.browsers == Browsers::AskOthers && !self.is_same_browser(fields, request);
        asks.then_some(kind)
    }

    /// Where a link like this one can be had, if that is known. Of a link for something else than a sign-in it is
    /// the page that it leads to: that asks for a sign-in first where there is no session, and for the link then.
    fn where_to_ask(&self, fields: &Fields<'_>) -> Option<String> {
        let inner = &*self.0;
        let next = Some(fields.next()).filter(|next| !next.is_empty());
        let next = next.and_then(|next| inner.targets.check(next).ok());
        let step_up_page = inner.step_up_page.as_ref();
        match fields.purpose() {
            LinkPurpose::SignIn => {
                let sign_in_page = inner.sign_in_page.as_ref()?;
                return Some(sign_in_page.with_next(next.as_ref(), false));
            }
            LinkPurpose::StepUp => next.as_ref().or(step_up_page),
            LinkPurpose::ChangeEmail | LinkPurpose::ChangePhone => next.as_ref(),
        }
        .map(|page| page.as_str().to_owned())
    }

    fn page(&self, state: State<'_>, fields: &Fields<'_>, request: &Parts) -> Response<String> {
        let inner = &*self.0;
        let (Some(texts), Some(style_nonce), Some(id)) =
            (inner.texts(request), random_text(), random_text())
        else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let new_link = match state {
            State::Error(_) => self.where_to_ask(fields),
            _ => None,
        };
        let (status, can_try) = match state {
            State::Confirm => (StatusCode::OK, true),
            State::Done(_) => (StatusCode::OK, false),
            State::Error(error) => (error.status(), error.can_try_again()),
            State::Refused(refused) => (refused.status, false),
        };
        let mut response = plain(status);
        let headers = response.headers_mut();
        let token = fields.token().ok().filter(|_| can_try);
        let binding = inner
            .form_cookie
            .read(&request.headers)
            .or_else(Binding::random);
        let signed = token.zip(binding.as_ref()).map(|(token, binding)| {
            let proof = binding.sign(&fields.signed(&id, token));
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
                (form::CHECK, fields.check()),
                (form::PURPOSE, fields.purpose().as_str()),
                (form::ID, &id),
                (form::PROOF, proof),
            ],
            ask: self
                .asks(fields, &request.headers)
                .map(|kind| (kind, fields.address())),
        });
        if matches!(
            state,
            State::Error(LandingError::ServiceUnavailable | LandingError::RateLimited)
        ) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        head_of_page(headers, texts, &style_nonce);
        let view = LandingView {
            app_name: &inner.app_name,
            texts,
            purpose: fields.purpose(),
            state,
            form,
            new_link: new_link.as_deref(),
            style_nonce: &style_nonce,
        };
        let html = (inner.template)(&view);
        *response.body_mut() = html;
        response
    }
}

/// What a press of the button comes to.
enum Press {
    /// The address is to be typed.
    Ask,
    SignedIn(Box<SignedIn>),
}

/// What a verification works with.
struct Link {
    token: MagicLinkToken,
    next: String,
    purpose: LinkPurpose,
    /// What the browser had before.
    tokens: RequestTokens,
}

/// Why there is no body: it is too large or broke off, or it did not come in time.
enum BodyError {
    Broken,
    Slow,
}

async fn collect<B: Body>(body: B) -> Result<Vec<u8>, BodyError> {
    let whole = async {
        let whole = body.collect().await.map_err(|_| BodyError::Broken)?;
        Ok(whole.to_bytes().to_vec())
    };
    timeout(FORM_TIMEOUT, whole)
        .await
        .unwrap_or(Err(BodyError::Slow))
}

/// What a page with texts has in its head.
pub(super) fn head_of_page(headers: &mut HeaderMap, texts: &LandingTexts, style_nonce: &str) {
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    if let Ok(language) = HeaderValue::from_str(texts.language()) {
        headers.insert(CONTENT_LANGUAGE, language);
    }
    if let Ok(policy) = HeaderValue::from_str(&policy(style_nonce)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// There is no `form-action`: browsers apply it to where the response to the form redirects, and to where that
/// redirects, so that a next page on another origin would leave the button dead. What it guards against is a
/// form that was injected, and here nothing can be: what is not ours is escaped.
fn policy(style_nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self' 'nonce-{style_nonce}'; img-src 'self'; \
         font-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
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
        // With `no-referrer` Chromium would send `Origin: null` with our own form.
        (REFERRER_POLICY, "strict-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}
