//! What the feature `tracing` says: the audit trail, and refusals that a page does not tell. And what it
//! never says.

use std::fmt::{self, Write};
use std::sync::{Mutex, Once};

use descope_magiclink::DeliveryMethod;
use descope_magiclink_emulator::Fault;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::browser::{Browser, client, emulator, landing, link, problem};

/// Level, target and text of each event, and of each span that begins.
static LINES: Mutex<Vec<(Level, &'static str, String)>> = Mutex::new(Vec::new());

/// Keeps what all tests in this program cause.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["descope_magiclink", "tower_http"]
            .iter()
            .any(|target| metadata.target().starts_with(target))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        span.record(&mut text);
        keep(span.metadata(), text.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, record: &Record<'_>) {
        let mut text = Text::default();
        record.record(&mut text);
        LINES.lock().unwrap().push((Level::TRACE, "", text.0));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        keep(event.metadata(), text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn keep(metadata: &Metadata<'static>, text: String) {
    let line = (*metadata.level(), metadata.target(), text);
    LINES.lock().unwrap().push(line);
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?};", field.name()).unwrap();
    }
}

fn listen() {
    static LISTENS: Once = Once::new();
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Collector).unwrap());
}

/// Whether a line of this level and target has all of these in it.
fn is_noted(level: Level, target: &str, parts: &[&str]) -> bool {
    let lines = LINES.lock().unwrap();
    lines.iter().any(|(of, at, text)| {
        *of == level && at.starts_with(target) && parts.iter().all(|part| text.contains(part))
    })
}

fn refuse_canaries(canaries: &[&str]) {
    let lines = LINES.lock().unwrap();
    for (level, target, text) in lines.iter() {
        for canary in canaries {
            assert!(!text.contains(canary), "{level} {target}: {text}");
        }
    }
}

#[tokio::test]
async fn refusals_that_no_page_tells_are_noted_without_the_address() {
    listen();
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();

    let asked = landing
        .link(&browser.parts(), "canary@example.com")
        .await
        .unwrap();
    let sent = client(&emulator)
        .magic_link()
        .sign_in(DeliveryMethod::Email, "canary@example.com")
        .redirect_url(asked.redirect_url())
        .send()
        .await;
    let code = sent.as_ref().unwrap_err().code().unwrap().to_string();
    let status = sent.as_ref().unwrap_err().status().unwrap().as_u16();
    asked.respond(sent, "/inbox").unwrap();

    let path = link(&emulator, &landing, &mut browser).await;
    let fault = Fault::on("VerifyMagicLink").respond(403);
    let fault = fault.json(&problem("E061001")).times(1);
    emulator.faults().add(fault).unwrap();
    browser.follow(&landing, &path).await;

    let status = format!("status={status};");
    let noted = |parts: &[&str]| is_noted(Level::WARN, "descope_magiclink_web", parts);
    assert!(noted(&["refused to send a link", &code, &status]));
    assert!(noted(&["refused to verify a magic link", "status=403;"]));
    let (_, token) = path.split_once("t=").unwrap();
    refuse_canaries(&["canary@", token]);
}

#[cfg(feature = "axum")]
mod trail {
    use axum::Router;
    use axum::extract::State;
    use axum::http::request::Parts;
    use axum::routing::{get, post};
    use descope_magiclink_emulator::{Emulator, User};
    use descope_magiclink_web::{
        AfterSignIn, LandingPage, LinkPurpose, press_button, request_span, require_roles,
    };
    use http::{Request, Response};
    use tower::ServiceExt;
    use tower_http::trace::TraceLayer;

    use super::*;
    use crate::browser::{ORIGIN, VERIFY};

    const CANARY: &str = "canary@example.org";
    const PHONE: &str = "+15550987654";

    async fn sign_out(State(landing): State<LandingPage>, request: Parts) -> Response<String> {
        landing.sign_out(&request, "/").await
    }

    async fn request(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(String::new()).unwrap();
        app.clone().oneshot(request).await.unwrap();
    }

    #[tokio::test]
    async fn the_audit_trail_tells_who_and_why_and_neither_address_nor_token() {
        listen();
        let emulator = Emulator::builder()
            .user(User::new(CANARY).phone(PHONE))
            .user(User::new("gone@example.org"))
            .start()
            .await
            .unwrap();
        let client = client(&emulator);
        let landing = LandingPage::builder(&client, VERIFY)
            .on_sign_in(|auth| async move {
                match auth.user.and_then(|user| user.email().map(str::to_owned)) {
                    Some(email) if email.starts_with("gone@") => {
                        AfterSignIn::Refuse(Box::default())
                    }
                    _ => AfterSignIn::Continue,
                }
            })
            .build()
            .unwrap();
        let app = Router::new()
            .route("/admin", get(async || "admin"))
            .route_layer(require_roles(["admin"]))
            .route("/sign-out", post(sign_out))
            .layer(landing.session_layer())
            .layer(landing.pages_layer())
            .route_service("/verify", landing.clone())
            .layer(TraceLayer::new_for_http().make_span_with(request_span))
            .with_state(landing.clone());
        let send = async |address: &str, purpose: LinkPurpose| {
            let link = landing.link(&Browser::default().parts(), address).await;
            let link = link.unwrap().purpose(purpose);
            let magic = client.magic_link();
            let sent = magic.sign_in(DeliveryMethod::Email, address);
            sent.redirect_url(link.redirect_url()).send().await.unwrap();
            emulator.outbox().last_for(address).unwrap()
        };
        let noted = |parts: &[&str]| is_noted(Level::INFO, "descope_magiclink::audit", parts);
        let user_id = |address: &str| {
            let user = emulator.users().get(address).unwrap();
            format!("user_id=\"{}\"", user["userId"].as_str().unwrap())
        };
        let (joe, gone) = (user_id(CANARY), user_id("gone@example.org"));

        let message = send(CANARY, LinkPurpose::SignIn).await;
        let twice = landing.link(&Browser::default().parts(), CANARY).await;
        assert!(twice.is_err() && noted(&["refused", "rate_limited"]));
        let wrong = press_button(app.clone(), message.link(), "canary@wrong.example", "").await;
        assert_eq!(wrong.unwrap().status(), 403);
        assert!(noted(&["sign-in failed", "the address is not the one"]));
        let response = press_button(app.clone(), message.link(), CANARY, "").await;
        let mut browser = Browser::default();
        browser.keep(response.unwrap().headers());
        assert!(noted(&["signed in", &joe]));
        let other = send("gone@example.org", LinkPurpose::SignIn).await;
        let _ = press_button(app.clone(), other.link(), "gone@example.org", "").await;
        assert!(noted(&["sign-in failed", &gone, "the application refused"]));
        let change = send(CANARY, LinkPurpose::ChangeEmail).await;
        let _ = press_button(app.clone(), change.link(), CANARY, "").await;
        assert!(noted(&["email changed", &joe]));

        let cookies = browser.headers()["cookie"].to_str().unwrap().to_owned();
        let signed_in = [("cookie", cookies.as_str()), ("origin", ORIGIN)];
        request(&app, "GET", "/admin", &[]).await;
        assert!(noted(&["refused", "missing_token"]));
        request(&app, "GET", "/admin", &signed_in).await;
        assert!(noted(&["refused", "missing_role", &joe]));
        let refresh = format!("__Host-DSR={}", browser.cookies["__Host-DSR"]);
        request(&app, "GET", "/admin", &[("cookie", &refresh)]).await;
        assert!(noted(&["refreshed", &joe]));
        request(
            &app,
            "POST",
            "/sign-out",
            &[("origin", "https://evil.example")],
        )
        .await;
        assert!(noted(&["refused", "cross_site"]));
        assert!(is_noted(
            Level::WARN,
            "descope_magiclink_web",
            &["refused as another site's", "https://evil.example"]
        ));
        request(&app, "POST", "/sign-out", &signed_in).await;
        assert!(noted(&["signed out", &joe]));

        assert!(is_noted(
            Level::INFO,
            "descope_magiclink_web",
            &["method=GET;path=\"/verify\";"]
        ));
        assert!(is_noted(
            Level::DEBUG,
            "tower_http",
            &["finished processing request"]
        ));
        let tokens: Vec<&str> = browser.cookies.values().map(String::as_str).collect();
        refuse_canaries(&tokens);
        let used = [&message, &other, &change].map(|message| message.token());
        refuse_canaries(&used);
        refuse_canaries(&["canary@", "gone@", "0987654", "?t=", "&t="]);
    }
}
