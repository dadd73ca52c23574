//! A web application whose users sign in by magic links: `cargo run -p descope-magiclink-web --example web`.
//!
//! It starts an emulator of the service and prints two addresses to open: the application, and the inbox in
//! which its mails and text messages arrive. Their ports are 8080 and 8055; two numbers as arguments are
//! others, 0 for any that is free. For a real project, make the client with `Client::from_env()`, and serve
//! over https.
#![allow(clippy::print_stdout, reason = "it tells where to look")]

mod pages;

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::extract::{ConnectInfo, Form, Path, Query, State};
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use descope_magiclink::{Client, Clock, DeliveryMethod, PhoneDelivery, SignUpUser, User};
use descope_magiclink_emulator::{Emulator, Tenant, User as TestUser};
use descope_magiclink_web::cookies::{RequestTokens, SessionCookies};
use descope_magiclink_web::{
    LandingPage, LinkPurpose, MaybeSession, Rejection, SendError, require_roles, require_session,
    require_step_up,
};
use pages::{Problem, page};
use serde::Deserialize;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    let (port, inbox_port) = (
        ports.next().unwrap_or(Ok(8080))?,
        ports.next().unwrap_or(Ok(8055))?,
    );
    let emulator = Emulator::builder()
        .address(([127, 0, 0, 1], inbox_port).into())
        .role("admin", ["app:manage"])
        .role("brewer", ["tea:brew"])
        .tenant(Tenant::new("north"))
        .tenant(Tenant::new("south"))
        .user(
            TestUser::new("admin@example.com")
                .name("Ada Admin")
                .phone("+15555550100")
                .role("admin")
                .tenant("north", ["brewer"]),
        )
        .control(true)
        .start()
        .await?;
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .clock(EmulatorClock::new(&emulator))
        .build()?;

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let inbox = format!("{}/_emulator/", emulator.base_url());
    println!("The application: {url}/");
    println!("The inbox:       {inbox}");
    println!("Sign up, or sign in as admin@example.com.");
    let app = app(client, &url, &inbox)?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

#[derive(Clone)]
struct App {
    client: Client,
    landing: LandingPage,
}

pub(crate) fn app(client: Client, url: &str, inbox: &str) -> Result<Router, Box<dyn Error>> {
    // Over https leave this out: the default cookies are `Secure`.
    let cookies = SessionCookies::builder(&client).insecure_cookies_for_local_development_only();
    let landing = LandingPage::builder(&client, format!("{url}/verify"))
        .cookies(cookies.build()?)
        .signed_in_page("/members")
        .sign_in_page("/sign-in")
        .step_up_page("/step-up")
        .template(pages::from_view)
        // Who asks for links; behind a proxy, its header says so.
        .client_key(|request| {
            let peer = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(peer.ip().to_string())
        })
        .build()?;

    let admins = Router::new()
        .route("/admin", get(admin))
        .route_layer(require_roles(["admin"]));
    let brewers = Router::new()
        .route("/houses/{tenant}", get(house))
        .route_layer(require_roles(["brewer"]).in_tenant_of_path("/houses/{tenant}")?);
    let account = Router::new()
        .route("/account", get(account))
        .route("/email", post(change_email))
        .route("/phone", post(change_phone))
        .route_layer(require_step_up());
    let members = Router::new()
        .route("/members", get(members))
        .route("/step-up", get(step_up_page).post(step_up))
        .route_layer(require_session());
    let inbox = Redirect::to(inbox);
    Ok(Router::new()
        .merge(admins)
        .merge(brewers)
        .merge(account)
        .merge(members)
        .route("/", get(home))
        .route("/sign-up", get(sign_up_page).post(sign_up))
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/check-your-inbox", get(check_your_inbox))
        .layer(landing.session_layer())
        .layer(landing.pages_layer())
        .route_service("/verify", landing.clone())
        .route("/app.css", get(pages::style))
        .route("/inbox", get(async || inbox))
        .with_state(App { client, landing }))
}

async fn home(MaybeSession(session): MaybeSession) -> Html<String> {
    page(
        "A house of tea",
        match session {
            Ok(_) => {
                "<p>You are signed in.</p><p><a href=\"/members\">To the members' page</a></p>"
            }
            Err(_) => {
                "<p>Members see what we brew today.</p>\
                 <p><a href=\"/sign-up\">Sign up</a> or <a href=\"/sign-in\">sign in</a></p>"
            }
        },
    )
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignUpForm {
    name: String,
    email: String,
    phone: String,
}

async fn sign_up_page() -> Html<String> {
    sign_up_form(&SignUpForm::default(), None)
}

fn sign_up_form(form: &SignUpForm, problem: Option<Problem>) -> Html<String> {
    let values = [
        ("name", &*form.name),
        ("email", &*form.email),
        ("phone", &*form.phone),
    ];
    pages::form("Sign up", include_str!("sign-up.html"), &values, problem)
}

async fn sign_up(
    State(app): State<App>,
    request: Parts,
    Form(form): Form<SignUpForm>,
) -> Result<Response, SendError> {
    let link = app.landing.link(&request, &form.email).await?;
    let mut user = SignUpUser::new().name(&form.name);
    if !form.phone.is_empty() {
        user = user.phone(&form.phone);
    }
    let sent = app
        .client
        .magic_link()
        .sign_up(DeliveryMethod::Email, &form.email)
        .user(user)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    // Known and unknown addresses get the same response.
    let sent = link.respond(sent, "/check-your-inbox");
    pages::or_form(sent, |problem| sign_up_form(&form, Some(problem)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignInForm {
    email: String,
    method: Option<DeliveryMethod>,
    next: String,
}

async fn sign_in_page(Query(form): Query<SignInForm>) -> Html<String> {
    sign_in_form(&form, None)
}

fn sign_in_form(form: &SignInForm, problem: Option<Problem>) -> Html<String> {
    let values = [
        ("email", &*form.email),
        ("next", &*form.next),
        pages::choice(form.method.unwrap_or(DeliveryMethod::Email).as_str()),
    ];
    pages::form("Sign in", include_str!("sign-in.html"), &values, problem)
}

async fn sign_in(
    State(app): State<App>,
    request: Parts,
    Form(form): Form<SignInForm>,
) -> Result<Response, SendError> {
    // Where `next` may lead, the landing page decides.
    let link = app.landing.link(&request, &form.email).await?;
    let link = link.next(&form.next);
    let sent = app
        .client
        .magic_link()
        .sign_in(form.method.unwrap_or(DeliveryMethod::Email), &form.email)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    let sent = link.respond(sent, "/check-your-inbox");
    pages::or_form(sent, |problem| sign_in_form(&form, Some(problem)))
}

async fn check_your_inbox() -> Html<String> {
    page("Check your inbox", include_str!("check-your-inbox.html"))
}

async fn me(app: &App, tokens: &RequestTokens) -> Result<User, Rejection> {
    let refresh = tokens.refresh.as_ref().ok_or(Rejection::MissingToken)?;
    Ok(app.client.sessions().me(refresh).await?)
}

async fn members(State(app): State<App>, tokens: RequestTokens) -> Result<Html<String>, Rejection> {
    let user = me(&app, &tokens).await?;
    let values = [
        ("name", user.name().unwrap_or("friend")),
        ("email", user.email().unwrap_or("none")),
        ("phone", user.phone().unwrap_or("none")),
    ];
    let html = include_str!("members.html");
    Ok(pages::form("Members", html, &values, None))
}

async fn admin() -> Html<String> {
    page(
        "Admins",
        "<p>You may change the menu.</p><p><a href=\"/members\">The members' page</a></p>",
    )
}

async fn house(Path(tenant): Path<String>) -> Html<String> {
    let html = "<p>You brew in the house <strong>{tenant}</strong>.</p>\
                <p><a href=\"/members\">The members' page</a></p>";
    pages::form("Brewers", html, &[("tenant", &tenant)], None)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StepUpForm {
    method: Option<DeliveryMethod>,
    next: String,
}

async fn step_up_page(Query(form): Query<StepUpForm>) -> Html<String> {
    let values = [("next", &*form.next)];
    let html = include_str!("step-up.html");
    pages::form("Is it you?", html, &values, None)
}

async fn step_up(
    State(app): State<App>,
    MaybeSession(session): MaybeSession,
    tokens: RequestTokens,
    request: Parts,
    Form(form): Form<StepUpForm>,
) -> axum::response::Result<Response<String>> {
    let refresh = tokens.refresh.ok_or(Rejection::MissingToken)?;
    let link = app.landing.link(&request, session?.user_id()).await?;
    let link = link.purpose(LinkPurpose::StepUp).next(&form.next);
    let sent = app
        .client
        .magic_link()
        .step_up(form.method.unwrap_or(DeliveryMethod::Email), &refresh)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    Ok(link.respond(sent, "/check-your-inbox")?)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccountForm {
    email: String,
    phone: String,
    method: Option<PhoneDelivery>,
}

async fn account() -> Html<String> {
    account_form(&AccountForm::default(), None)
}

fn account_form(form: &AccountForm, problem: Option<Problem>) -> Html<String> {
    let method = form.method.unwrap_or(PhoneDelivery::Sms);
    let values = [
        ("email", &*form.email),
        ("phone", &*form.phone),
        pages::choice(method.as_str()),
    ];
    let html = include_str!("account.html");
    pages::form("Your addresses", html, &values, problem)
}

async fn change_email(
    State(app): State<App>,
    tokens: RequestTokens,
    request: Parts,
    Form(form): Form<AccountForm>,
) -> axum::response::Result<Response> {
    let refresh = tokens.refresh.ok_or(Rejection::MissingToken)?;
    let link = app.landing.link(&request, &form.email).await?;
    let link = link.purpose(LinkPurpose::ChangeEmail);
    let sent = app
        .client
        .magic_link()
        .update_email(&refresh, &form.email)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    let sent = link.respond(sent, "/check-your-inbox");
    Ok(pages::or_form(sent, |problem| {
        account_form(&form, Some(problem))
    })?)
}

async fn change_phone(
    State(app): State<App>,
    tokens: RequestTokens,
    request: Parts,
    Form(form): Form<AccountForm>,
) -> axum::response::Result<Response> {
    let refresh = tokens.refresh.ok_or(Rejection::MissingToken)?;
    let method = form.method.unwrap_or(PhoneDelivery::Sms);
    let link = app.landing.link(&request, &form.phone).await?;
    let link = link.purpose(LinkPurpose::ChangePhone);
    let sent = app
        .client
        .magic_link()
        .update_phone(&refresh, method, &form.phone)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    let sent = link.respond(sent, "/check-your-inbox");
    Ok(pages::or_form(sent, |problem| {
        account_form(&form, Some(problem))
    })?)
}

async fn sign_out(State(app): State<App>, request: Parts) -> impl IntoResponse {
    app.landing.sign_out(&request, "/").await
}

/// The time of the emulator, so that sessions age when its clock is moved. A real application has the
/// machine's time, which is the default.
#[derive(Debug)]
struct EmulatorClock {
    emulator: descope_magiclink_emulator::Clock,
    start: (SystemTime, Instant),
}

impl EmulatorClock {
    fn new(emulator: &Emulator) -> Self {
        let emulator = emulator.clock();
        let start = (emulator.now(), Instant::now());
        Self { emulator, start }
    }
}

impl Clock for EmulatorClock {
    fn now(&self) -> SystemTime {
        self.emulator.now()
    }

    fn instant(&self) -> Instant {
        let (start, instant) = self.start;
        instant + self.now().duration_since(start).unwrap_or_default()
    }
}
