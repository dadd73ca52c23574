//! What only a browser can decide: which cookies it sends, what it says of a form's origin, where it lets a
//! form's response lead, and what becomes of second presses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;
use descope_magiclink::{Client, DeliveryMethod, SessionToken, Tokens};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::cookies::{RequestTokens, SameSite, SessionCookies};
use descope_magiclink_web::{
    AfterSignIn, CurrentSession, LandingPage, LandingPageBuilder, SessionLayer,
};
use serde_json::json;

use crate::driver::{Browser, chromedriver};
use crate::{local_cookies, look};

const EMAIL: &str = "joe@example.com";
/// Chromium writes such a domain in ASCII in a field for a mail address.
const IDN: &str = "joe@m\u{fc}ller.example";
const PHONE: &str = "+15555550123";

struct Site {
    emulator: Emulator,
    client: Client,
    landing: LandingPage,
    url: String,
    /// `Origin` and `Referer` of each form.
    forms: Arc<Mutex<Vec<[Option<String>; 2]>>>,
}

impl Site {
    /// An application on an origin of its own, whose next page is on another.
    async fn start() -> Self {
        Self::start_with(|page| page).await
    }

    async fn start_with(change: fn(LandingPageBuilder) -> LandingPageBuilder) -> Self {
        let emulator = Emulator::builder()
            .user(User::new(EMAIL))
            .user(User::new(IDN))
            .user(User::new("ann").phone(PHONE))
            .start()
            .await
            .unwrap();
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .build()
            .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let landing = LandingPage::builder(&client, format!("{url}/verify"))
            .cookies(local_cookies(&client))
            .app_name("Teahouse")
            .signed_in_page("/next")
            .unlimited_sends()
            .on_sign_in(|_| async {
                // Long enough for a second press; whichever comes first, both must do.
                tokio::time::sleep(Duration::from_millis(500)).await;
                AfterSignIn::Continue
            });
        let landing = change(landing).build().unwrap();
        let forms = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&forms);
        let layer = SessionLayer::new(&client).cookies(local_cookies(&client));
        let elsewhere = format!("http://localhost:{port}/elsewhere");
        let (asked, asking) = (landing.clone(), client.clone());
        let app = Router::new()
            .route(
                "/members",
                get(async |_: CurrentSession| Html("<h1>Members</h1>")),
            )
            .route("/next", get(async move || Redirect::to(&elsewhere)))
            .route("/elsewhere", get(async || Html("<h1>Elsewhere</h1>")))
            .route(
                "/ask",
                get(async || Html("<h1>Ask</h1><form method=post><button>go</button></form>"))
                    .post(move |request: Request| ask(asked.clone(), asking.clone(), request)),
            )
            .layer(layer)
            .route_service("/verify", landing.clone())
            .layer(from_fn(move |request: Request, next: Next| {
                let text = |name| {
                    let value = request.headers().get(name)?;
                    value.to_str().ok().map(str::to_owned)
                };
                if request.method() == Method::POST {
                    let form = [text(header::ORIGIN), text(header::REFERER)];
                    seen.lock().unwrap().push(form);
                }
                next.run(request)
            }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            emulator,
            client,
            landing,
            url,
            forms,
        }
    }

    /// A link that some other browser has asked for.
    async fn link(&self) -> String {
        self.link_to(DeliveryMethod::Email, EMAIL, EMAIL).await
    }

    async fn link_to(&self, method: DeliveryMethod, login_id: &str, address: &str) -> String {
        let (request, ()) = Request::new(()).into_parts();
        let link = self.landing.link(&request, address).await.unwrap();
        let sent = self.client.magic_link().sign_in(method, login_id);
        sent.redirect_url(link.redirect_url()).send().await.unwrap();
        let message = self.emulator.outbox().last_for(address).unwrap();
        message.link().to_owned()
    }

    fn verifications(&self) -> usize {
        self.emulator.requests().count("VerifyMagicLink")
    }
}

/// Sends a link, as a handler does.
async fn ask(landing: LandingPage, client: Client, request: Request) -> impl IntoResponse {
    let (request, _) = request.into_parts();
    let link = landing.link(&request, EMAIL).await.unwrap();
    let sent = client.magic_link().sign_in(DeliveryMethod::Email, EMAIL);
    let sent = sent.redirect_url(link.redirect_url()).send().await;
    let (head, _) = link.respond(sent, "/").unwrap().into_parts();
    (
        [(header::SET_COOKIE, head.headers[header::SET_COOKIE].clone())],
        Html("<h1>Asked</h1>"),
    )
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_robot_presses_every_button_and_the_user_signs_in_on_another_device() {
    let site = Site::start().await;
    let link = site.link().await;
    let (_driver, driver) = chromedriver();
    for round in 0..20 {
        // Without cookies: each time a browser that nobody has seen.
        let robot = Browser::start(&driver).await;
        robot.go(&link).await;
        robot.expect("Sign in").await;
        let press = match round % 2 {
            0 => "for (const b of document.querySelectorAll('button')) b.click()",
            _ => "for (const f of document.forms) f.submit()",
        };
        for _ in 0..2 {
            robot.script(press).await;
            robot.expect("Sign in").await;
        }
        robot.quit().await;
    }
    assert_eq!(site.verifications(), 0);

    let user = Browser::start(&driver).await;
    user.go(&link).await;
    user.expect("Sign in").await;
    look(&user, "30-other-browser").await;
    user.fill("#address", "jo@example.com").await;
    user.click("button").await;
    user.expect("That does not match").await;
    look(&user, "31-wrong-address").await;
    user.script("document.querySelector('#address').value = ''")
        .await;
    user.fill("#address", "Joe@Example.com").await;
    user.click("button").await;
    // The next page redirects to another origin, and the form's response may lead there.
    user.expect("Elsewhere").await;
    assert!(user.url().await.starts_with("http://localhost:"));
    assert_eq!(site.verifications(), 1);
    // The page hides the link's path, and still says whose form it is.
    let forms = site.forms.lock().unwrap().clone();
    let slash = format!("{}/", site.url);
    for form in forms {
        assert_eq!(form, [Some(site.url.clone()), Some(slash.clone())]);
    }

    // The link once more, while signed in by it.
    user.go(&link).await;
    user.expect("You are signed in").await;
    look(&user, "32-signed-in").await;
    user.click("a[href='/next']").await;
    user.expect("Elsewhere").await;
    user.quit().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_second_press_and_the_way_back_find_the_user_signed_in() {
    let site = Site::start().await;
    let (_driver, driver) = chromedriver();
    for pause in [0, 100, 400, 490, 500, 510, 600] {
        let link = site.link().await;
        let before = site.verifications();
        let user = Browser::start(&driver).await;
        user.go(&link).await;
        user.fill("#address", EMAIL).await;
        user.script(&format!(
            "const f = document.forms[0]; f.submit(); setTimeout(() => f.submit(), {pause})"
        ))
        .await;
        user.expect("Elsewhere").await;
        user.go(&format!("{}/members", site.url)).await;
        user.expect("Members").await;
        user.go(&link).await;
        user.expect("You are signed in").await;
        user.back().await;
        user.expect("Members").await;
        assert_eq!(site.verifications(), before + 1, "{pause}");
        user.quit().await;
    }
}

/// A cookie of before, of the whole domain and of a longer path, stands in front of the good one.
#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_stale_cookie_of_another_scope_signs_nobody_out() {
    let emulator = Emulator::builder()
        .user(User::new(EMAIL))
        .start()
        .await
        .unwrap();
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let stale = emulator.tokens(EMAIL).expired().issue().unwrap();
    let good = emulator.tokens(EMAIL).issue().unwrap();
    let cookies = SessionCookies::builder(&client)
        .plain_names()
        .also_clear("site.localhost", "/orders")
        .build()
        .unwrap();
    let mut set = HeaderMap::new();
    let tokens = Tokens::new(SessionToken::new(good.session_jwt()));
    cookies.set(&mut set, &tokens).unwrap();
    let old = format!(
        "DS={}; Domain=site.localhost; Path=/orders; Secure",
        stale.session_jwt()
    );
    let out = cookies.clone();
    let app = Router::new()
        .route(
            "/orders",
            get(async |_: CurrentSession, headers: HeaderMap| {
                let sent = headers[header::COOKIE]
                    .to_str()
                    .unwrap()
                    .matches("DS=")
                    .count();
                Html(format!("<h1>orders</h1><p>{sent}</p>"))
            }),
        )
        .route(
            "/orders/out",
            get(async move |tokens: RequestTokens| {
                let mut response = Html("<h1>out</h1>").into_response();
                let headers = response.headers_mut();
                out.sign_out(&client.clone(), &tokens, headers)
                    .await
                    .unwrap();
                response
            }),
        )
        .route(
            "/orders/left",
            get(async |headers: HeaderMap| {
                let left = headers.get(header::COOKIE).is_some();
                Html(format!("<h1>left</h1><p>{left}</p>"))
            }),
        )
        .layer({
            let client = Client::builder(emulator.project_id()).base_url(emulator.base_url());
            SessionLayer::new(&client.build().unwrap()).cookies(cookies)
        })
        .route(
            "/old",
            get(async move || ([(header::SET_COOKIE, old)], Html("<h1>old</h1>"))),
        )
        .route("/in", get(async move || (set, Html("<h1>in</h1>"))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    let page = |path: &str| format!("http://app.site.localhost:{port}{path}");
    for (path, heading) in [("/old", "old"), ("/in", "in"), ("/orders", "orders")] {
        browser.go(&page(path)).await;
        browser.expect(heading).await;
    }
    // Both were sent, and the good one counts. A sign-out leaves neither.
    assert_eq!(browser.text("p").await, "2");
    browser.go(&page("/orders/out")).await;
    browser.expect("out").await;
    browser.go(&page("/orders/left")).await;
    browser.expect("left").await;
    assert_eq!(browser.text("p").await, "false");
    browser.quit().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn an_address_is_typed_in_another_browser_as_people_type_it() {
    let site = Site::start().await;
    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    let link = site.link_to(DeliveryMethod::Email, IDN, IDN).await;
    browser.go(&link).await;
    browser.fill("#address", "JOE@M\u{dc}LLER.example").await;
    browser.click("button").await;
    browser.expect("Elsewhere").await;

    let link = site.link_to(DeliveryMethod::Sms, "ann", PHONE).await;
    browser.go(&link).await;
    browser.expect("Sign in").await;
    look(&browser, "33-phone").await;
    browser.fill("#address", "555 555 0124").await;
    browser.click("button").await;
    browser.expect("That does not match").await;
    // The form once more by the key for that, which asks the same and is no other try.
    for _ in 0..6 {
        browser.reload().await;
        browser.expect("That does not match").await;
    }
    assert_eq!(site.verifications(), 1);
    browser
        .script("document.querySelector('#address').value = ''")
        .await;
    // As an address book copies it, with marks that nobody sees.
    browser
        .fill("#address", "\u{202a}(555) 555\u{2011}0123\u{202c}")
        .await;
    browser.click("button").await;
    browser.expect("Elsewhere").await;
    assert_eq!(site.verifications(), 2);

    // Five wrong ones close the link, for the right one too.
    let link = site.link().await;
    browser.go(&link).await;
    for number in 0..5 {
        browser
            .script("document.querySelector('#address').value = ''")
            .await;
        browser
            .fill("#address", &format!("{number}@example.com"))
            .await;
        browser.click("button").await;
        let heading = match number {
            4 => "This link no longer works",
            _ => "That does not match",
        };
        browser.expect(heading).await;
    }
    look(&browser, "34-closed").await;
    assert_eq!(site.verifications(), 2);
    browser.quit().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_browser_that_keeps_no_cookies_is_told_so_and_uses_nothing_up() {
    let site = Site::start_with(LandingPageBuilder::any_browser).await;
    let link = site.link().await;
    let (_driver, driver) = chromedriver();
    let blocked = json!({ "profile.default_content_setting_values.cookies": 2 });
    let browser = Browser::start_with(&driver, blocked).await;
    browser.go(&link).await;
    for _ in 0..3 {
        browser.click("button").await;
        browser.expect("Please press the button again").await;
    }
    look(&browser, "35-no-cookies").await;
    browser.quit().await;
    assert_eq!(site.verifications(), 0);

    // One press in another, as is set.
    let browser = Browser::start(&driver).await;
    browser.go(&link).await;
    browser.click("button").await;
    browser.expect("Elsewhere").await;
    browser.quit().await;
}

#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn a_link_bound_to_its_browser_works_there_alone() {
    let site = Site::start_with(LandingPageBuilder::same_browser).await;
    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    browser.go(&format!("{}/ask", site.url)).await;
    browser.click("button").await;
    browser.expect("Asked").await;
    let link = site.emulator.outbox().last_for(EMAIL).unwrap();
    let robot = Browser::start(&driver).await;
    robot.go(link.link()).await;
    robot.expect("Open the link where you asked for it").await;
    robot.quit().await;
    browser.go(link.link()).await;
    browser.click("button").await;
    browser.expect("Elsewhere").await;
    assert_eq!(site.verifications(), 1);
    browser.quit().await;
}

/// What a browser says of the origin of the application's own forms, and of those of others.
#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn forms_of_the_applications_own_pages_are_let_in_and_no_others() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let own = |host: &str| format!("http://{host}:{port}");
    let (one, two) = (own("127.0.0.1"), own("localhost"));
    let landing = LandingPage::builder(&client, format!("{one}/verify"))
        .cookies(local_cookies(&client))
        .own_origin(&two)
        .build()
        .unwrap();
    let page = |policy: &'static str| {
        async move |headers: axum::extract::RawQuery| {
            let action = headers.0.unwrap_or_default();
            let html = format!(
                "<h1>Form</h1><form method=post action=\"{action}/take\"><button>go</button></form>"
            );
            ([(header::REFERRER_POLICY, policy)], Html(html))
        }
    };
    let app: Router = Router::new()
        .route("/hidden", get(page("no-referrer")))
        .route("/open", get(page("strict-origin")))
        .route(
            "/take",
            axum::routing::post(async || Html("<h1>Taken</h1>")),
        )
        .layer(landing.pages_layer());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    let neighbour = own("eve.localhost");
    for (from, to, heading) in [
        (&one, &one, "Taken"),
        (&two, &two, "Taken"),
        (&one, &two, "Please open the page again"),
        (&two, &one, "Please open the page again"),
        (&neighbour, &two, "Please open the page again"),
        // Under a name that nobody has named.
        (&neighbour, &neighbour, "Please open the page again"),
    ] {
        for path in ["hidden", "open"] {
            browser.go(&format!("{from}/{path}?{to}")).await;
            browser.expect("Form").await;
            browser.click("button").await;
            if path == "hidden" && from == to {
                // It hides where it is, and the browser says all the same that it is of this origin.
                browser.expect("Taken").await;
            } else {
                browser.expect(heading).await;
            }
        }
    }
    look(&browser, "36-other-site").await;
    browser.quit().await;
}

/// In browsers of people who let no page run scripts.
#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn each_language_signs_in_without_scripts() {
    let site = Site::start().await;
    let (_driver, driver) = chromedriver();
    for (language, sign_in, wrong, done) in [
        ("en", "Sign in", "That does not match", "You are signed in"),
        (
            "de-CH",
            "Anmelden",
            "Das stimmt nicht überein",
            "Sie sind angemeldet",
        ),
        (
            "es-MX",
            "Iniciar sesión",
            "No coincide",
            "Has iniciado sesión",
        ),
        (
            "fr-CA",
            "Connexion",
            "Cela ne correspond pas",
            "Vous êtes connecté",
        ),
        (
            "pt-BR",
            "Entrar",
            "Não corresponde",
            "A sessão foi iniciada",
        ),
    ] {
        let link = site.link().await;
        // What looks at the pages is a script itself.
        let settings = json!({ "intl.accept_languages": language });
        let browser = Browser::start_with(&driver, settings).await;
        browser.go(&link).await;
        look(&browser, &format!("37-asks-{language}")).await;
        browser.fill("#address", "jo@example.com").await;
        browser.click("button").await;
        browser.expect(wrong).await;
        look(&browser, &format!("37-wrong-{language}")).await;
        browser.quit().await;

        let settings = json!({
            "profile.default_content_setting_values.javascript": 2,
            "intl.accept_languages": language,
        });
        let browser = Browser::start_with(&driver, settings).await;
        browser.go(&link).await;
        browser.expect(sign_in).await;
        browser.fill("#address", EMAIL).await;
        browser.click("button").await;
        browser.expect("Elsewhere").await;
        browser.go(&link).await;
        browser.expect(done).await;
        browser.quit().await;
    }
}

/// What can be built is kept, and what cannot be built is dropped, without a word.
#[tokio::test]
#[ignore = "needs Chromium and chromedriver"]
async fn the_browser_keeps_what_can_be_built_and_drops_what_cannot() {
    let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    let named = |name: &str| SessionCookies::builder(&client).session_cookie_name(name);
    let built = [
        named("c0"),
        named("c1").domain("site.localhost"),
        named("c2").session_path("/app"),
        named("c3").plain_names(),
        named("c4").insecure_cookies_for_local_development_only(),
        named("c5").session_same_site(SameSite::None),
        named("__Host-Http-c6"),
        named("__Http-c7"),
    ];
    let built = built.map(|builder| builder.build().unwrap());
    // To the last byte: of one cookie with a name like `__Host-c0`, and of the four of one.
    let one = 4096 - "__Host-c0".len();
    let four = 4 * (one - ".0".len()) - "4.".len();
    let tokens = [one, four].map(|size| format!("{}.b.c", "a".repeat(size - ".b.c".len())));
    let mut set = HeaderMap::new();
    for (index, cookies) in built.iter().enumerate() {
        let token = match index {
            0 | 5 => &tokens[index / 5],
            _ => "a.b.c",
        };
        let tokens = Tokens::new(SessionToken::new(token));
        cookies.set(&mut set, &tokens).unwrap();
    }
    let stored = set.get_all(header::SET_COOKIE).iter();
    let stored = stored.filter(|line| !line.to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(stored.count(), built.len() + 3);
    let value = "a".repeat(4096 - "drop".len());
    let dropped = [
        format!("drop={value}a"),
        "__Host-drop=a; Secure; Path=/; Domain=site.localhost".to_owned(),
        "__Host-drop=a; Secure; Path=/app".to_owned(),
        "__hOST-drop=a; Secure; Path=/app".to_owned(),
        "__Host-Http-drop=a; Secure; HttpOnly; Path=/app".to_owned(),
        "__Secure-drop=a; Path=/".to_owned(),
        "__secure-drop=a; Path=/".to_owned(),
        "__Http-drop=a; HttpOnly; Path=/".to_owned(),
        "drop=a; SameSite=None; Path=/".to_owned(),
        "drop=a; Domain=other.localhost".to_owned(),
        "drop=a; Domain=www.app.site.localhost".to_owned(),
        "drop=a; Domain=localhost".to_owned(),
        "drop=a; Domain=127.0.0.1".to_owned(),
        "drop=a; Domain=m\u{fc}ller.example".to_owned(),
    ];
    for line in &dropped {
        let line = header::HeaderValue::from_bytes(line.as_bytes()).unwrap();
        set.append(header::SET_COOKIE, line);
    }
    let read = move |headers: HeaderMap| {
        let read = built.iter().enumerate().filter(|(index, cookies)| {
            let token = match index {
                0 | 5 => &tokens[index / 5],
                _ => "a.b.c",
            };
            let session = cookies.read(&headers).session;
            session.is_some_and(|session| session.expose_secret() == token)
        });
        let read: Vec<_> = read.map(|(index, _)| index).collect();
        let sent = headers[header::COOKIE].to_str().unwrap();
        let dropped = sent.split("; ").filter(|pair| pair.contains("drop"));
        let dropped: Vec<&str> = dropped.map(|pair| &pair[..pair.len().min(30)]).collect();
        Html(format!("<h1>read</h1><p>{read:?} {dropped:?}</p>"))
    };
    let app: Router = Router::new()
        .route("/app/set", get(async move || (set, Html("<h1>set</h1>"))))
        .route(
            "/app/read",
            get(async move |headers: HeaderMap| read(headers)),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (_driver, driver) = chromedriver();
    let browser = Browser::start(&driver).await;
    let page = |path: &str| format!("http://app.site.localhost:{port}/app/{path}");
    browser.go(&page("set")).await;
    browser.expect("set").await;
    browser.go(&page("read")).await;
    browser.expect("read").await;
    assert_eq!(browser.text("p").await, "[0, 1, 2, 3, 4, 5, 6, 7] []");
    browser.quit().await;
}
