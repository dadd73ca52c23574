//! The example `web`, in a real browser, from the first visit to the last.
//!
//! It needs Chromium and its driver, and the example built:
//!
//! ```sh
//! apt-get install chromium chromium-driver npm
//! npm install --prefix target/axe axe-core
//! cargo build -p descope-magiclink-web --example web
//! cargo test -p descope-magiclink-web --test chromium -- --ignored
//! ```
//!
//! Pictures of every page are in `target/tmp/pages`: on a phone and on a desktop, light and dark. On each,
//! axe-core looks for what keeps people from using it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test"
)]

mod drills;
mod driver;

use std::process::Command;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use descope_magiclink::{Client, SessionToken, Tokens};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::cookies::SessionCookies;
use descope_magiclink_web::{CurrentSession, LandingPage, Rejection, SendError, SessionLayer};
use driver::{Browser, Running, chromedriver, start};
use serde_json::{Value, json};

const PHONE: &str = "+15555555555";

/// The example, as it runs, and the two addresses that it prints.
struct Example {
    app: String,
    emulator: String,
    http: reqwest::Client,
    _running: Running,
}

impl Example {
    fn start() -> Self {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().and_then(|folder| folder.parent()).unwrap();
        let mut addresses = Vec::new();
        let mut command = Command::new(program.join("examples/web"));
        command.args(["0", "0"]);
        let (running, addresses) = start(command, |line| {
            let (_, address) = line.split_once("http://")?;
            addresses.push(format!("http://{address}"));
            <[String; 2]>::try_from(addresses.clone()).ok()
        });
        let [app, inbox] = addresses;
        Self {
            app: app.trim_end_matches('/').to_owned(),
            emulator: inbox.strip_suffix("/_emulator/").unwrap().to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _running: running,
        }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.app)
    }

    /// Tells the emulator something.
    async fn control(&self, path: &str, body: Value) {
        let request = self
            .http
            .post(format!("{}/_emulator/v1/{path}", self.emulator));
        let response = request.json(&body).send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
    }

    async fn later(&self, minutes: u32) {
        self.control("clock", json!({ "advanceSeconds": minutes * 60 }))
            .await;
    }

    /// How often the application called an operation of the service.
    async fn calls(&self, operation: &str) -> usize {
        let url = format!(
            "{}/_emulator/v1/journal?operation={operation}",
            self.emulator
        );
        let response: Value = self
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let requests = response["requests"].as_array();
        requests.unwrap_or_else(|| panic!("{response}")).len()
    }

    /// Opens the newest message in the inbox and follows its link.
    async fn open_link(&self, browser: &Browser) -> String {
        browser.go(&format!("{}/_emulator/", self.emulator)).await;
        browser.click("#messages .row").await;
        browser.click("#open").await;
        browser.to_new_window().await;
        browser.text("h1").await;
        browser.url().await
    }
}

/// The cookies of an application over http, on this machine.
fn local_cookies(client: &Client) -> SessionCookies {
    let cookies = SessionCookies::builder(client);
    let cookies = cookies.insecure_cookies_for_local_development_only();
    cookies.build().unwrap()
}

/// A picture of a page of the application, which has no scripts.
async fn look(browser: &Browser, name: &str) {
    browser.picture(name).await;
    let source = browser.source().await;
    for word in ["<script", "javascript:", " onclick", " onload"] {
        assert!(!source.contains(word), "{name} has {word}");
    }
}

#[tokio::test]
#[ignore = "needs Chromium, chromedriver and the example built"]
async fn the_whole_story() {
    let example = Example::start();
    let (_driver, driver) = chromedriver();
    let joe = Browser::start(&driver).await;

    // Sign up, look into the inbox, follow the link, press the button.
    joe.go(&example.page("/")).await;
    joe.expect("A house of tea").await;
    look(&joe, "01-home").await;
    joe.click("a[href='/sign-up']").await;
    joe.expect("Sign up").await;
    look(&joe, "02-sign-up").await;
    joe.fill("input[name=name]", "Joe Person").await;
    joe.fill("input[name=email]", "joe").await;
    joe.click("form button").await;
    joe.text("#email-problem").await;
    look(&joe, "02-sign-up-mistake").await;
    joe.script("document.querySelector('#email').value = ''")
        .await;
    joe.fill("input[name=email]", "joe@example.com").await;
    joe.fill("input[name=phone]", PHONE).await;
    joe.click("form button").await;
    joe.expect("Check your inbox").await;
    look(&joe, "03-check-your-inbox").await;
    let first_link = example.open_link(&joe).await;
    joe.expect("Sign in").await;
    look(&joe, "04-landing").await;
    assert_eq!(example.calls("VerifyMagicLink").await, 0);
    joe.click("form button").await;
    joe.expect("Members").await;
    assert_eq!(joe.url().await, example.page("/members"));
    assert!(joe.text("main").await.contains("Joe Person"));
    look(&joe, "05-members").await;
    assert_eq!(example.calls("VerifyMagicLink").await, 1);

    joe.click("a.brand").await;
    joe.expect("A house of tea").await;
    look(&joe, "05-home-signed-in").await;
    joe.click("a[href='/members']").await;
    joe.expect("Members").await;

    // The admins' page is not for Joe.
    joe.click("a[href='/admin']").await;
    joe.expect("Not for this account").await;
    look(&joe, "06-not-for-you").await;
    joe.click("main a").await;
    joe.expect("Members").await;

    // To change an address takes a link once more; it leads back to where Joe was.
    joe.click("a[href='/account']").await;
    joe.expect("Is it you?").await;
    look(&joe, "06-step-up").await;
    joe.click("form button").await;
    joe.expect("Check your inbox").await;
    let step_up_link = example.open_link(&joe).await;
    joe.expect("Confirm that it is you").await;
    look(&joe, "06-confirm-step-up").await;
    // In another browser the link is of no use.
    let stranger = Browser::start(&driver).await;
    stranger.go(&step_up_link).await;
    stranger
        .expect("Open the link where you asked for it")
        .await;
    look(&stranger, "06-step-up-elsewhere").await;
    stranger.quit().await;
    joe.click("form button").await;
    joe.expect("Your addresses").await;
    assert_eq!(joe.url().await, example.page("/account"));
    look(&joe, "06-account").await;
    joe.fill("input[name=phone]", "five").await;
    joe.click("form[action='/phone'] button").await;
    joe.text("#phone-problem").await;
    look(&joe, "06-account-mistake").await;
    joe.go(&example.page("/account")).await;
    joe.fill("input[name=phone]", "+15555550123").await;
    joe.click("input[value=whatsapp]").await;
    joe.click("form[action='/phone'] button").await;
    joe.expect("Check your inbox").await;
    example.open_link(&joe).await;
    joe.expect("Confirm your new phone number").await;
    look(&joe, "06-confirm-phone").await;
    joe.click("form button").await;
    joe.expect("Your phone number has changed").await;
    joe.click("a[href='/members']").await;
    joe.expect("Members").await;
    assert!(joe.text("dl").await.contains("+15555550123"));

    // The session of another link is another one, and not stepped up.
    joe.click("a[href='/account']").await;
    joe.expect("Is it you?").await;
    joe.click("input[value=sms]").await;
    joe.click("form button").await;
    joe.expect("Check your inbox").await;
    example.open_link(&joe).await;
    joe.click("form button").await;
    joe.expect("Your addresses").await;
    joe.fill("input[name=email]", "joe@new.example.com").await;
    joe.click("form[action='/email'] button").await;
    joe.expect("Check your inbox").await;
    example.open_link(&joe).await;
    joe.expect("Confirm your new email address").await;
    look(&joe, "06-confirm-email").await;
    joe.click("form button").await;
    joe.expect("Your email address has changed").await;
    look(&joe, "06-email-changed").await;
    joe.click("a[href='/members']").await;
    joe.expect("Members").await;
    assert!(joe.text("dl").await.contains("joe@new.example.com"));

    // The session ends, and is renewed while the page loads.
    let old_session = joe.cookie("DS").await.unwrap();
    assert_eq!(example.calls("RefreshSession").await, 0);
    example.later(15).await;
    joe.go(&example.page("/members")).await;
    joe.expect("Members").await;
    assert_eq!(example.calls("RefreshSession").await, 1);
    let new_session = joe.cookie("DS").await.unwrap();
    assert_ne!(new_session, old_session);

    // It ends again while the service is down: not now, but still signed in afterwards.
    example.later(15).await;
    example
        .control(
            "faults",
            json!({ "operation": "RefreshSession", "respond": { "status": 503 }, "times": 1 }),
        )
        .await;
    joe.go(&example.page("/members")).await;
    joe.expect("Not right now").await;
    look(&joe, "07-not-right-now").await;
    joe.go(&example.page("/members")).await;
    joe.expect("Members").await;

    // A second browser signs in by text message.
    let second = Browser::start(&driver).await;
    second.go(&example.page("/members")).await;
    second.expect("Sign in").await;
    look(&second, "08-sign-in").await;
    second
        .fill("input[name=email]", "joe@new.example.com")
        .await;
    second.click("input[value=sms]").await;
    second.click("form button").await;
    second.expect("Check your inbox").await;
    let second_link = example.open_link(&second).await;
    assert!(second_link.contains("next="));
    second.expect("Sign in").await;
    second.click("form button").await;
    second.expect("Members").await;

    // The first signs out. Its old link is of no use, there or in the browser that is signed in.
    joe.click("form[action='/sign-out'] button").await;
    joe.expect("A house of tea").await;
    assert_eq!(joe.cookie("DS").await, None);
    assert_eq!(joe.cookie("DSR").await, None);
    joe.go(&example.page("/members")).await;
    joe.expect("Sign in").await;
    let verified = example.calls("VerifyMagicLink").await;
    for browser in [&joe, &second] {
        browser.go(&first_link).await;
        browser.expect("This link was already used").await;
    }
    look(&joe, "09-used").await;
    assert_eq!(example.calls("VerifyMagicLink").await, verified);
    joe.go(&example.page("/members")).await;
    joe.expect("Sign in").await;
    second.go(&example.page("/members")).await;
    second.expect("Members").await;

    // A link that has waited for too long: the page shows the button, and its response the reason.
    joe.fill("input[name=email]", "joe@new.example.com").await;
    joe.click("form button").await;
    joe.expect("Check your inbox").await;
    example.later(10).await;
    example.open_link(&joe).await;
    joe.click("form button").await;
    joe.expect("This link no longer works").await;
    look(&joe, "10-expired").await;
    joe.click("a[href^='/sign-in']").await;

    // Too many requests.
    example
        .control(
            "faults",
            json!({ "rateLimited": { "retryAfterSeconds": 30 }, "times": 1 }),
        )
        .await;
    joe.fill("input[name=email]", "joe@new.example.com").await;
    joe.click("form button").await;
    joe.expect("Please wait a little").await;
    assert_eq!(joe.style(".wait", "font-size").await, "32px");
    assert!(joe.source().await.contains("wait 30s linear"));
    look(&joe, "10-too-many").await;
    // Once more at once: the application itself has it wait.
    let sent = example.calls("SignInMagicLinkEmail").await;
    joe.go(&example.page("/sign-in")).await;
    joe.fill("input[name=email]", "joe@new.example.com").await;
    joe.click("form button").await;
    joe.expect("Please wait a little").await;
    assert_eq!(example.calls("SignInMagicLinkEmail").await, sent);

    // An admin gets to where they were going.
    joe.go(&example.page("/admin")).await;
    joe.expect("Sign in").await;
    joe.fill("input[name=email]", "admin@example.com").await;
    joe.click("form button").await;
    joe.expect("Check your inbox").await;
    example.open_link(&joe).await;
    joe.click("form button").await;
    joe.expect("Admins").await;
    assert_eq!(joe.url().await, example.page("/admin"));
    look(&joe, "11-admins").await;
    joe.go(&example.page("/houses/north")).await;
    joe.expect("Brewers").await;
    look(&joe, "12-brewers").await;
    joe.go(&example.page("/houses/south")).await;
    joe.expect("Not for this account").await;
    joe.go(&example.page("/nowhere")).await;
    joe.expect("There is no such page").await;
    look(&joe, "13-nowhere").await;

    joe.quit().await;
    second.quit().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn the_page_that_needs_no_template() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/verify", listener.local_addr().unwrap());
    let landing = LandingPage::builder(&client, &url)
        .cookies(local_cookies(&client))
        .app_name("Teahouse")
        .sign_in_page("/sign-in")
        .language(|request| {
            let (_, language) = request.uri.query()?.split_once("lang=")?;
            Some(language.to_owned())
        })
        .build()
        .unwrap();
    let wait = async || SendError::RateLimited {
        retry_after: Some(Duration::from_secs(90)),
    };
    let app: axum::Router = axum::Router::new()
        .route("/wait", get(wait))
        .route("/admin", get(async || Rejection::MissingRole))
        .route("/later", get(async || SendError::ServiceUnavailable))
        .layer(landing.pages_layer())
        .route_service("/verify", landing);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    browser.go(&format!("{url}?t=unknown")).await;
    browser.expect("Sign in").await;
    look(&browser, "20-landing").await;
    // The page's own policy lets its style through.
    assert_eq!(browser.style("main", "max-width").await, "416px");
    browser.click("button").await;
    browser.expect("This link no longer works").await;
    look(&browser, "21-expired").await;
    browser.go(&url).await;
    browser.expect("This link is incomplete").await;
    look(&browser, "22-no-token").await;
    let site = url.strip_suffix("/verify").unwrap();
    for (path, heading) in [
        ("/wait", "Please wait a little"),
        ("/admin", "Not for this account"),
        ("/later", "Not right now"),
        ("/nowhere", "There is no such page"),
    ] {
        browser.go(&format!("{site}{path}")).await;
        browser.expect(heading).await;
        look(&browser, &format!("24{}", path.replace('/', "-"))).await;
    }
    for (language, heading, wait) in [
        ("de_DE", "Anmelden", "Bitte warten Sie ein wenig"),
        ("es", "Iniciar sesión", "Espera un poco"),
        ("fr", "Connexion", "Patientez un peu"),
        ("pt-BR", "Entrar", "Espere um pouco"),
    ] {
        browser
            .go(&format!("{url}?t=unknown&lang={language}"))
            .await;
        browser.expect(heading).await;
        look(&browser, &format!("25-landing-{language}")).await;
        browser.go(&format!("{site}/wait?lang={language}")).await;
        browser.expect(wait).await;
        look(&browser, &format!("25-wait-{language}")).await;
    }
    emulator.stop().await;
    browser.go(&format!("{url}?t=unknown")).await;
    browser.click("button").await;
    browser.expect("We cannot check your link right now").await;
    look(&browser, "23-unreachable").await;
    browser.quit().await;
}

/// What of a name a reader may take for space although no browser does, as a script writes it.
const NO_SPACE: [&str; 6] = [
    r"\u0085", r"\u00a0", r"\u2000", r"\u2028", r"\u3000", r"\ufeff",
];

/// A neighbour of the application's, `eve.site.localhost`, has a cookie of hers sent to it. Browsers
/// refuse to let her have `__Host-DS`, so she takes a name that is nearly that.
#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_neighbour_cannot_plant_a_session() {
    let emulator = Emulator::builder()
        .user(User::new("ann@example.com"))
        .user(User::new("eve@example.com"))
        .start()
        .await
        .unwrap();
    let session = |user| {
        emulator
            .tokens(user)
            .issue()
            .unwrap()
            .session_jwt()
            .to_owned()
    };
    let (ann, eve) = (session("ann@example.com"), session("eve@example.com"));
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let id = async |token: &str| {
        let sessions = client.sessions();
        let session = sessions.validate(&SessionToken::new(token)).await.unwrap();
        session.user_id().to_owned()
    };
    let (ann_id, eve_id) = (id(&ann).await, id(&eve).await);
    assert_ne!(ann_id, eve_id);

    let cookies = SessionCookies::new(&client);
    let mut headers = HeaderMap::new();
    let tokens = Tokens::new(SessionToken::new(ann));
    cookies.set(&mut headers, &tokens).unwrap();
    let set = headers[header::SET_COOKIE].clone();
    let planted: String = NO_SPACE
        .map(|space| {
            format!(
                "document.cookie = '{space}__Host-DS={eve}; Domain=site.localhost; Path=/orders; Secure';"
            )
        })
        .concat();
    let plant = format!("<h1>eve</h1><script>{planted}</script>");
    let app: axum::Router = axum::Router::new()
        .route(
            "/orders",
            get(async |session: CurrentSession, headers: HeaderMap| {
                let sent = headers[header::COOKIE].as_bytes();
                let sent = String::from_utf8_lossy(sent).matches("__Host-DS=").count();
                let user = session.user_id();
                Html(format!("<h1>{user}</h1><p>{sent}</p>"))
            }),
        )
        .layer(SessionLayer::new(&client).cookies(cookies))
        .route(
            "/in",
            get(async || ([(header::SET_COOKIE, set)], Html("<h1>in</h1>")).into_response()),
        )
        .route("/plant", get(async || Html(plant)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    let page = |host: &str, path: &str| format!("http://{host}.site.localhost:{port}{path}");
    browser.go(&page("app", "/in")).await;
    browser.expect("in").await;
    browser.go(&page("app", "/orders")).await;
    browser.expect(&ann_id).await;
    assert_eq!(browser.text("p").await, "1");

    browser.go(&page("eve", "/plant")).await;
    browser.expect("eve").await;
    browser.go(&page("app", "/orders")).await;
    // All of them arrive, and none of them counts.
    assert_eq!(browser.text("p").await, (1 + NO_SPACE.len()).to_string());
    browser.expect(&ann_id).await;
    browser.quit().await;
}
