//! A web application whose users sign in by magic links: `cargo run -p descope-magiclink-web --example web`.
//!
//! It starts an emulator of the service and prints two addresses to open: the application, and the inbox in
//! which its mails and text messages arrive. For a real project, make the client with
//! `Client::from_env()`, and serve over https.
#![allow(clippy::print_stdout, reason = "it tells where to look")]

use std::error::Error;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use descope_magiclink::{Client, Clock, DeliveryMethod, RefreshToken, SignUpUser};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::cookies::{RequestTokens, SessionCookies};
use descope_magiclink_web::{
    LandingPage, LandingView, LinkPurpose, MaybeSession, Rejection, SendError, SessionLayer,
    escape_html, require_roles, require_session,
};
use serde::Deserialize;
use url::form_urlencoded;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::builder()
        .role("admin", ["app:manage"])
        .user(
            User::new("admin@example.com")
                .name("Ada Admin")
                .role("admin"),
        )
        .control(true)
        .start()
        .await?;
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .clock(EmulatorClock::new(&emulator))
        .build()?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("The application: {url}/");
    println!("The inbox:       {}/_emulator/", emulator.base_url());
    println!("Sign up, or sign in as admin@example.com.");
    axum::serve(listener, app(client, &url)?).await?;
    Ok(())
}

#[derive(Clone)]
struct App {
    client: Client,
    cookies: SessionCookies,
    landing: LandingPage,
}

pub(crate) fn app(client: Client, url: &str) -> Result<Router, Box<dyn Error>> {
    // Over https leave this out: the default cookies are `Secure`.
    let cookies = SessionCookies::builder(&client)
        .insecure_cookies_for_local_development_only()
        .build()?;
    let landing = LandingPage::builder(&client, format!("{url}/verify"))
        .cookies(cookies.clone())
        .signed_in_page("/members")
        .sign_in_page("/sign-in")
        .template(landing_page)
        .build()?;

    let admins = Router::new()
        .route("/admin", get(admin))
        .route_layer(require_roles(["admin"]));
    let members = Router::new()
        .route("/members", get(members))
        .route("/email", post(change_email))
        .route_layer(require_session());
    Ok(Router::new()
        .merge(admins)
        .merge(members)
        .route("/", get(home))
        .route("/sign-up", get(sign_up_page).post(sign_up))
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/check-your-inbox", get(check_your_inbox))
        .layer(
            SessionLayer::new(&client)
                .cookies(cookies.clone())
                .refreshing(),
        )
        .layer(from_fn_with_state(landing.clone(), own_forms))
        .layer(from_fn(problem_pages))
        .route_service("/verify", landing.clone())
        .route("/app.css", get(style))
        .with_state(App {
            client,
            cookies,
            landing,
        }))
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

async fn sign_up_page() -> Html<String> {
    page("Sign up", include_str!("sign-up.html"))
}

#[derive(Deserialize)]
struct SignUpForm {
    name: String,
    email: String,
    phone: String,
}

async fn sign_up(
    State(app): State<App>,
    headers: HeaderMap,
    Form(form): Form<SignUpForm>,
) -> Result<Response<String>, SendError> {
    let link = app.landing.link(&headers, &form.email)?;
    let mut user = SignUpUser::new().name(form.name);
    if !form.phone.is_empty() {
        user = user.phone(form.phone);
    }
    let sent = app
        .client
        .magic_link()
        .sign_up(DeliveryMethod::Email, form.email)
        .user(user)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    // Known and unknown addresses get the same answer.
    link.respond(sent, "/check-your-inbox")
}

#[derive(Deserialize)]
struct SignInQuery {
    #[serde(default)]
    next: String,
}

async fn sign_in_page(Query(query): Query<SignInQuery>) -> Html<String> {
    let form = include_str!("sign-in.html");
    page(
        "Sign in",
        &fill(form, &[("next", &escape_html(&query.next))]),
    )
}

#[derive(Deserialize)]
struct SignInForm {
    email: String,
    method: DeliveryMethod,
    next: String,
}

async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response<String>, SendError> {
    // Where `next` may lead, the landing page decides.
    let link = app.landing.link(&headers, &form.email)?.next(&form.next);
    let sent = app
        .client
        .magic_link()
        .sign_in(form.method, form.email)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    link.respond(sent, "/check-your-inbox")
}

async fn check_your_inbox() -> Html<String> {
    page(
        "Check your inbox",
        "<p>If we know the address, a link is on its way. It works once.</p>\
         <p>Nothing there? <a href=\"/sign-in\">Ask for another link</a></p>",
    )
}

async fn members(State(app): State<App>, tokens: RequestTokens) -> Result<Html<String>, Rejection> {
    let user = app.client.sessions().me(refresh_token(&tokens)?).await?;
    let text = |text: Option<&str>| escape_html(text.unwrap_or("none"));
    let body = fill(
        include_str!("members.html"),
        &[
            ("name", &text(user.name())),
            ("email", &text(user.email())),
            ("phone", &text(user.phone())),
        ],
    );
    Ok(page("Members", &body))
}

async fn admin() -> Html<String> {
    page(
        "Admins",
        "<p>You may change the menu.</p><p><a href=\"/members\">The members' page</a></p>",
    )
}

#[derive(Deserialize)]
struct EmailForm {
    email: String,
}

async fn change_email(
    State(app): State<App>,
    tokens: RequestTokens,
    headers: HeaderMap,
    Form(form): Form<EmailForm>,
) -> axum::response::Result<Response<String>> {
    let refresh = refresh_token(&tokens)?;
    let link = app.landing.link(&headers, &form.email)?;
    let link = link.purpose(LinkPurpose::ChangeEmail);
    let sent = app
        .client
        .magic_link()
        .update_email(refresh, form.email)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    Ok(link.respond(sent, "/check-your-inbox")?)
}

async fn sign_out(State(app): State<App>, tokens: RequestTokens) -> Response {
    let mut response = Redirect::to("/").into_response();
    // Whether the service could be told or not, this browser forgets the session.
    let headers = response.headers_mut();
    let _ = app.cookies.sign_out(&app.client, &tokens, headers).await;
    response
}

fn refresh_token(tokens: &RequestTokens) -> Result<&RefreshToken, Rejection> {
    tokens.refresh.as_ref().ok_or(Rejection::MissingToken)
}

/// Refuses forms that other sites send. Their cookies would be missing, but a sign-out needs none.
async fn own_forms(State(landing): State<LandingPage>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST && landing.is_cross_site(request.headers()) {
        return SendError::CrossSite.into_response();
    }
    next.run(request).await
}

/// Pages for what the layers and extractors refuse.
async fn problem_pages(request: Request, next: Next) -> Response {
    // Nobody can be sent back to a form's answer.
    let path = (request.method() == Method::GET).then(|| request.uri().path().to_owned());
    let response = next.run(request).await;
    if let Some(problem) = response.extensions().get::<SendError>() {
        let text = escape_html(&problem.to_string());
        let body = format!("<p>Sorry: {text}.</p><p><a href=\"/sign-in\">Back</a></p>");
        return with_page(response, "That did not work", &body);
    }
    let Some(rejection) = response.extensions().get::<Rejection>() else {
        return response;
    };
    let body = format!("<p>Sorry: {rejection}.</p><p><a href=\"/\">Home</a></p>");
    match rejection.status() {
        StatusCode::UNAUTHORIZED => {
            let mut response = with_page(response, "Sign in first", &body);
            *response.status_mut() = StatusCode::SEE_OTHER;
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, sign_in_location(path.as_deref()));
            response
        }
        StatusCode::FORBIDDEN => with_page(response, "Not for you", &body),
        _ => with_page(response, "Not right now", &body),
    }
}

fn sign_in_location(next: Option<&str>) -> HeaderValue {
    let plain = HeaderValue::from_static("/sign-in");
    let Some(next) = next else {
        return plain;
    };
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    HeaderValue::try_from(format!("/sign-in?next={next}")).unwrap_or(plain)
}

/// The response with a page in it. Its head stays: it may set the cookies of a renewed session.
fn with_page(mut response: Response, title: &str, body: &str) -> Response {
    *response.body_mut() = Body::from(page(title, body).0);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// The landing page, with the application's looks.
fn landing_page(view: &LandingView<'_>) -> String {
    let mut body = format!("<p>{}</p>", escape_html(view.text()));
    body += &view.form().unwrap_or_default();
    if let Some((path, text)) = view.new_link().or(view.onwards()) {
        let (path, text) = (escape_html(path), escape_html(text));
        body += &format!("<p><a href=\"{path}\">{text}</a></p>");
    }
    page(view.title(), &body).0
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(fill(
        include_str!("page.html"),
        &[("title", &escape_html(title)), ("body", body)],
    ))
}

/// Puts values in the places of their names in braces. What a value contains is left as it is.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled += before;
        let place = after.split_once('}').and_then(|(name, tail)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((*value, tail))
        });
        let (value, tail) = place.unwrap_or(("{", after));
        filled += value;
        rest = tail;
    }
    filled + rest
}

async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css")],
        include_str!("app.css"),
    )
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
