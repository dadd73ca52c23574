//! A layer around an application with pages: keeps foreign forms out, and makes pages of what is refused.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use descope_magiclink::serde_json::json;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, REFERER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, response};
use tower_layer::Layer;
use tower_service::Service;

use super::browser_binding::random_text;
use super::link::SendError;
use super::page::{LandingPage, head_of_page, plain};
use super::purpose::LinkPurpose;
use super::texts::REFUSALS;
use super::view::{LandingView, Refused, RefusedBy, State};
use crate::audit;
use crate::guarded_body::GuardedBody;
use crate::origin::is_cross_site;
use crate::redirect::RedirectTarget;
use crate::rejection::Rejection;
use crate::service_error::log_error;
use crate::session_layer::SessionLayer;
use crate::session_service::BoxFuture;

impl LandingPage {
    /// A [`SessionLayer`] with the cookies of this page that renews sessions.
    #[must_use]
    pub fn session_layer(&self) -> SessionLayer {
        SessionLayer::new(&self.0.client)
            .cookies(self.0.cookies.clone())
            .refreshing()
    }

    /// A layer for applications with pages. Put it outside of the [session layer](Self::session_layer).
    pub fn pages_layer(&self) -> PagesLayer {
        PagesLayer {
            page: self.clone(),
            is_page: Arc::new(|request| takes_html(&request.headers)),
        }
    }
}

type IsPage = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

/// A layer for applications with pages: from [`LandingPage::pages_layer`].
///
/// It refuses requests that other sites have sent ([`is_cross_site`](LandingPage::is_cross_site)), other
/// than `GET`, `HEAD` and `OPTIONS`. A request with an `Authorization` header is not among them: no other
/// site can make a browser send one.
///
/// And it makes something of what the [`SessionLayer`], the requirements inside of it, the extractors and
/// [`SendError`] refuse:
///
/// | refused is | a page (`Accept` with `text/html`) | anything else |
/// | --- | --- | --- |
/// | who is not signed in | 303 to the [sign-in page](super::LandingPageBuilder::sign_in_page) | 401, JSON |
/// | who has to step up, or to add a factor | 303 to the [step-up page](super::LandingPageBuilder::step_up_page) | 401, JSON |
/// | whatever else | its status, with a page in the reader's language | its status, JSON |
///
/// - The JSON is `{"error": CODE, "message": TEXT}` with the code of [`Rejection::code`] or
///   [`SendError::code`], which stays as it is.
/// - The redirect keeps path and query in the parameter `next`, to be given to
///   [`LandingLink::next`](super::LandingLink::next), and says `mfa=true` to the step-up page where a
///   further factor is asked for. A form that was refused is not sent once more: `next`
///   is the page then that the form was on, as far as `Referer` says it.
/// - Where the same can be tried once more, the page leads to where the user was.
/// - Pages are made by the landing page's [template](super::LandingPageBuilder::template), and have its
///   security policy. So are those for responses of the application with one of the statuses 400, 401,
///   403, 404, 405, 429, 500 and 503 and without a `Content-Type`, such as the 404 of a router. What axum's
///   own extractors refuse (`Form` with 422, for one) is text: take `Result<Form<_>, FormRejection>`.
/// - The response's head stays: it may set the cookies of a session that was renewed.
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to a service"]
pub struct PagesLayer {
    page: LandingPage,
    is_page: IsPage,
}

impl fmt::Debug for PagesLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagesLayer")
            .field("page", &self.page)
            .finish_non_exhaustive()
    }
}

impl PagesLayer {
    /// Decides which requests are for pages, in place of their `Accept` header.
    ///
    /// ```
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// # let landing = descope_magiclink_web::LandingPage::builder(&client, "https://app.example.com/verify").build()?;
    /// let layer = landing
    ///     .pages_layer()
    ///     .pages_for(|request| !request.uri.path().starts_with("/api/"));
    /// # let _ = layer;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pages_for<F>(mut self, is_page: F) -> Self
    where
        F: Fn(&Parts) -> bool + Send + Sync + 'static,
    {
        self.is_page = Arc::new(is_page);
        self
    }
}

/// Whether a response may be HTML: browsers say so when they open a page, scripts and programs do not.
fn takes_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|part| part.split(';').next())
        .any(|kind| {
            let kind = kind.trim();
            kind.eq_ignore_ascii_case("text/html")
                || kind.eq_ignore_ascii_case("application/xhtml+xml")
        })
}

impl<S> Layer<S> for PagesLayer {
    type Service = PagesService<S>;

    fn layer(&self, inner: S) -> PagesService<S> {
        PagesService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that a [`PagesLayer`] makes.
#[derive(Clone, Debug)]
pub struct PagesService<S> {
    inner: S,
    layer: PagesLayer,
}

impl<S, B, R> Service<Request<B>> for PagesService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let page = self.layer.page.clone();
        // What a page is made from is kept while the application has the request.
        let asked = (self.layer.is_page)(&parts).then(|| parts.clone());
        if is_unsafe(&parts.method)
            && !parts.headers.contains_key(AUTHORIZATION)
            && is_cross_site(&parts.headers, &page.0.own_origins)
        {
            audit::log("refused", None, Some(SendError::CrossSite.code()));
            let (head, text) = SendError::CrossSite.response().into_parts();
            let response = page.explain(asked.as_ref(), head);
            let (head, other) = response.into_parts();
            let response = Response::from_parts(head, GuardedBody::text(other.unwrap_or(text)));
            return Box::pin(std::future::ready(Ok(response)));
        }
        let response = self.inner.call(Request::from_parts(parts, body));
        Box::pin(async move {
            let (head, body) = response.await?.into_parts();
            let (head, text) = page.explain(asked.as_ref(), head).into_parts();
            let body = text.map_or_else(|| GuardedBody::new(body), GuardedBody::text);
            Ok(Response::from_parts(head, body))
        })
    }
}

fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// What is refused, as far as a page or a program has to know.
struct Refusal<'r> {
    status: StatusCode,
    by: RefusedBy,
    /// For programs; none of the application's own responses.
    code: Option<(&'static str, String)>,
    wait: Option<Duration>,
    /// Where a browser is sent to.
    way: Option<&'r RedirectTarget>,
}

impl LandingPage {
    /// The response to a request for a page, or to another one, with another body where it has to be.
    fn explain(&self, page: Option<&Parts>, mut head: response::Parts) -> Response<Option<String>> {
        let Some(refusal) = self.refusal(&head) else {
            return Response::from_parts(head, None);
        };
        let body = match (page, refusal) {
            (Some(request), refusal) => {
                let here = request.uri.path();
                let way = refusal.way.filter(|way| path_of(way.as_str()) != here);
                if let Some(way) = way {
                    let next = self.where_to_come_back(request);
                    let is_mfa = refusal.code.is_some_and(|(code, _)| code == "mfa_required");
                    let location = HeaderValue::try_from(way.with_next(next.as_ref(), is_mfa))
                        .unwrap_or_else(|_| way.location());
                    head.status = StatusCode::SEE_OTHER;
                    head.headers.remove(CONTENT_TYPE);
                    head.headers.remove(WWW_AUTHENTICATE);
                    head.headers.insert(LOCATION, location);
                    String::new()
                } else {
                    match self.page_about(&refusal, request, &mut head) {
                        Some(html) => html,
                        None => return Response::from_parts(head, None),
                    }
                }
            }
            (None, Refusal { code, .. }) => {
                let Some((code, message)) = code else {
                    return Response::from_parts(head, None);
                };
                let json = HeaderValue::from_static("application/json");
                head.headers.insert(CONTENT_TYPE, json);
                json!({ "error": code, "message": message }).to_string()
            }
        };
        head.headers.remove(CONTENT_LENGTH);
        Response::from_parts(head, Some(body))
    }

    fn refusal(&self, head: &response::Parts) -> Option<Refusal<'_>> {
        let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        // Whoever has made something else of it has done what is to be done.
        let is_ours = kind == Some(b"text/plain; charset=utf-8");
        let plain = Refusal {
            status: head.status,
            by: RefusedBy::Status,
            code: None,
            wait: None,
            way: None,
        };
        if let Some(rejection) = head.extensions.get::<Rejection>().filter(|_| is_ours) {
            let (by, way) = match rejection {
                Rejection::StepUpRequired | Rejection::MfaRequired => {
                    if self.0.step_up_page.is_none() {
                        log_error(
                            "there is no page to send the user to; set LandingPageBuilder::step_up_page",
                            rejection,
                        );
                    }
                    (RefusedBy::StepUp, self.0.step_up_page.as_ref())
                }
                other if other.status() == StatusCode::UNAUTHORIZED => {
                    (RefusedBy::Status, self.0.sign_in_page.as_ref())
                }
                _ => (RefusedBy::Status, None),
            };
            return Some(Refusal {
                by,
                way,
                wait: rejection.retry_after(),
                code: Some((rejection.code(), rejection.to_string())),
                ..plain
            });
        }
        if let Some(error) = head.extensions.get::<SendError>().filter(|_| is_ours) {
            let by = match error {
                SendError::CrossSite => RefusedBy::CrossSite,
                _ => RefusedBy::Send,
            };
            return Some(Refusal {
                by,
                wait: error.wait(),
                code: Some((error.code(), error.to_string())),
                ..plain
            });
        }
        let is_known =
            REFUSALS.contains(&head.status) || head.status == StatusCode::METHOD_NOT_ALLOWED;
        (kind.is_none() && is_known).then_some(plain)
    }

    /// The page that the user was on, or wanted: never one that only a form leads to.
    fn where_to_come_back(&self, request: &Parts) -> Option<RedirectTarget> {
        if !is_unsafe(&request.method) {
            let path = request.uri.path_and_query()?;
            return self.0.targets.check(path.as_str()).ok();
        }
        let referer = request.headers.get(REFERER)?.to_str().ok()?;
        let own = self.0.own_origins.iter();
        let path = own
            .filter_map(|origin| referer.strip_prefix(origin.as_str()))
            .find(|path| path.starts_with('/'))?;
        self.0.targets.check(path).ok()
    }

    fn page_about(
        &self,
        refusal: &Refusal<'_>,
        request: &Parts,
        head: &mut response::Parts,
    ) -> Option<String> {
        let inner = &*self.0;
        let (texts, style_nonce) = (inner.texts(request)?, random_text()?);
        let here = self.where_to_come_back(request);
        let is_better_later = match refusal.status {
            // A page that was wrong in itself is not.
            StatusCode::BAD_REQUEST => is_unsafe(&request.method),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
            _ => refusal.by == RefusedBy::Send,
        };
        let again = here.as_ref().filter(|_| is_better_later);
        let continue_link = match refusal.status {
            _ if again.is_some() => again,
            _ if refusal.by == RefusedBy::Send => inner.sign_in_page.as_ref(),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                Some(&inner.signed_in_page)
            }
            _ => None,
        };
        for (name, value) in plain(head.status).headers() {
            head.headers.entry(name).or_insert_with(|| value.clone());
        }
        head_of_page(&mut head.headers, texts, &style_nonce);
        let view = LandingView {
            app_name: &inner.app_name,
            texts,
            purpose: LinkPurpose::SignIn,
            state: State::Refused(Refused {
                status: refusal.status,
                by: refusal.by,
                wait: refusal.wait,
                continue_link: continue_link.map(RedirectTarget::as_str),
                can_try_again: again.is_some(),
            }),
            form: None,
            new_link: None,
            style_nonce: &style_nonce,
        };
        Some((inner.template)(&view))
    }
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_what_browsers_open() {
        let takes = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            takes_html(&headers)
        };
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "TEXT/HTML; charset=utf-8",
            "application/json, text/html;q=0.1",
        ] {
            assert!(takes(accept), "{accept}");
        }
        for accept in [
            "*/*",
            "application/json",
            "",
            "text/*",
            "image/png;text/html",
        ] {
            assert!(!takes(accept), "{accept}");
        }
        assert!(!takes_html(&HeaderMap::new()));
    }
}
