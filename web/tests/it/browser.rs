//! A browser without a screen, and an application on an emulator.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use descope_magiclink::{Client, DeliveryMethod};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::{LandingPage, LandingPageBuilder};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tower::{Service, ServiceExt};

pub(crate) const ORIGIN: &str = "https://app.example.com";
pub(crate) const VERIFY: &str = "https://app.example.com/verify";
pub(crate) const EMAIL: &str = "joe@example.com";

pub(crate) async fn emulator() -> Emulator {
    Emulator::builder()
        .user(User::new(EMAIL))
        .start()
        .await
        .unwrap()
}

/// A client that waits as long as it takes, on however busy a machine.
pub(crate) fn client(emulator: &Emulator) -> Client {
    const LONG: Duration = Duration::from_secs(3600);
    Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .timeout(LONG)
        .connect_timeout(LONG)
        .session_validation(|validation| validation.key_fetch_timeout(LONG))
        .build()
        .unwrap()
}

pub(crate) fn landing(emulator: &Emulator) -> LandingPageBuilder {
    LandingPage::builder(&client(emulator), VERIFY)
        .app_name("Example")
        .signed_in_page("/members")
        .sign_in_page("/sign-in")
        .unlimited_sends()
}

/// The path and query of a fresh link, as a browser asks for it.
pub(crate) async fn link(
    emulator: &Emulator,
    landing: &LandingPage,
    browser: &mut Browser,
) -> String {
    link_with(emulator, landing, browser, "").await
}

pub(crate) async fn link_with(
    emulator: &Emulator,
    landing: &LandingPage,
    browser: &mut Browser,
    next: &str,
) -> String {
    let mut link = landing.link(&browser.parts(), EMAIL).await.unwrap();
    if !next.is_empty() {
        link = link.next(next);
    }
    let sent = client(emulator)
        .magic_link()
        .sign_in(DeliveryMethod::Email, EMAIL)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    let response = link.respond(sent, "/inbox").unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    browser.keep(response.headers());
    let message = emulator.outbox().last_for(EMAIL).unwrap();
    let link = message.link().strip_prefix(ORIGIN).unwrap();
    link.to_owned()
}

/// Keeps cookies and follows what a form says.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !self.cookies.is_empty() {
            let line: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            headers.insert(COOKIE, line.join("; ").parse().unwrap());
        }
        headers
    }

    /// A request that asks for a link, without its body.
    pub(crate) fn parts(&self) -> Parts {
        self.request(Method::POST, "/sign-in").into_parts().0
    }

    /// Stores what a response sets, as browsers do: `Max-Age=0` removes.
    pub(crate) fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Request<String> {
        let mut request = Request::new(String::new());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        *request.headers_mut() = self.headers();
        request
    }

    pub(crate) async fn send<S, B>(&mut self, service: S, request: Request<B>) -> Response<String>
    where
        S: Service<Request<B>, Response = Response<String>, Error = Infallible>,
    {
        let Ok(response) = service.oneshot(request).await;
        self.keep(response.headers());
        response
    }

    pub(crate) async fn get(&mut self, landing: &LandingPage, path: &str) -> Response<String> {
        let request = self.request(Method::GET, path);
        self.send(landing.clone(), request).await
    }

    /// Sends a form as browsers do from a page without referrer.
    pub(crate) fn post(&self, form: &[(String, String)]) -> Request<String> {
        let body: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = self.request(Method::POST, "/verify").map(|_| body);
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            "application/x-www-form-urlencoded".parse().unwrap(),
        );
        headers.insert("origin", "null".parse().unwrap());
        headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        request
    }

    /// Opens a link and presses the button.
    pub(crate) async fn follow(&mut self, landing: &LandingPage, path: &str) -> Response<String> {
        let page = self.get(landing, path).await;
        assert_eq!(page.status(), StatusCode::OK, "{}", page.body());
        self.press(landing, &page).await
    }

    /// Types the address, and presses the button.
    pub(crate) async fn press_with(
        &mut self,
        landing: &LandingPage,
        page: &Response<String>,
        address: &str,
    ) -> Response<String> {
        let mut form = fields(page);
        form.push(("address".to_owned(), address.to_owned()));
        let request = self.post(&form);
        self.send(landing.clone(), request).await
    }

    pub(crate) async fn press(
        &mut self,
        landing: &LandingPage,
        page: &Response<String>,
    ) -> Response<String> {
        let request = self.post(&fields(page));
        self.send(landing.clone(), request).await
    }
}

/// The hidden fields of the page's form.
pub(crate) fn fields(page: &Response<String>) -> Vec<(String, String)> {
    let unescape = |text: &str| {
        text.replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    page.body()
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            let (value, _) = rest.split_once("\">").unwrap();
            (name.to_owned(), unescape(value))
        })
        .collect()
}

pub(crate) fn location(response: &Response<String>) -> &str {
    response.headers()[LOCATION].to_str().unwrap()
}

/// The body of a response in which the service refuses something.
pub(crate) fn problem(code: &str) -> Value {
    json!({ "errorCode": code, "errorDescription": "No", "errorMessage": "no", "message": "no" })
}

/// The names of the cookies that a response sets.
pub(crate) fn set_cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|value| {
            let text = value.to_str().unwrap();
            text.split('=').next().unwrap().to_owned()
        })
        .collect()
}
