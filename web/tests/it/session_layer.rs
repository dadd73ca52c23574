//! What the layer does with each kind of request, in each of its settings.

use std::convert::Infallible;

use descope_magiclink::Session;
use descope_magiclink_emulator::{Emulator, Fault, IssuedTokens, Tenant, User};
use descope_magiclink_web::cookies::RequestTokens;
use descope_magiclink_web::{
    MaybeSession, Rejection, RequireLayer, SessionLayer, require_permissions, require_roles,
    require_session,
};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};

use crate::browser::{EMAIL, client, problem, set_cookies};

const EVE: &str = "eve@example.com";
const NO_TOKEN: &str = "Bearer realm=\"session\"";
const INVALID: &str = "Bearer realm=\"session\", error=\"invalid_token\"";
const FORBIDDEN: &str = "Bearer realm=\"session\", error=\"insufficient_scope\"";

/// What a request brings, and what stands in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    NoToken,
    Good,
    GoodBearer,
    ExpiredAlone,
    Expired,
    ExpiredBearer,
    RefreshAlone,
    RefreshAsSession,
    RefreshRefused,
    RefreshUnreachable,
    RefreshLimited,
    RefreshBlocked,
    RefreshBehindProxy,
    RefreshFamilyEnded,
    RefreshOfNobody,
    OwnKeyRefused,
    TokensOfAnother,
    ForgedAlone,
    Forged,
    OtherProject,
    KeysUnreachable,
    WrongTenant,
    RightTenant,
    MissingRole,
    RightRole,
}

const CASES: [Case; 25] = [
    Case::NoToken,
    Case::Good,
    Case::GoodBearer,
    Case::ExpiredAlone,
    Case::Expired,
    Case::ExpiredBearer,
    Case::RefreshAlone,
    Case::RefreshAsSession,
    Case::RefreshRefused,
    Case::RefreshUnreachable,
    Case::RefreshLimited,
    Case::RefreshBlocked,
    Case::RefreshBehindProxy,
    Case::RefreshFamilyEnded,
    Case::RefreshOfNobody,
    Case::OwnKeyRefused,
    Case::TokensOfAnother,
    Case::ForgedAlone,
    Case::Forged,
    Case::OtherProject,
    Case::KeysUnreachable,
    Case::WrongTenant,
    Case::RightTenant,
    Case::MissingRole,
    Case::RightRole,
];

/// What comes of looking for a session, before anybody requires one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Session,
    NoToken,
    BadToken,
    Unavailable,
}

impl Case {
    fn found(self, refreshing: bool) -> Found {
        match self {
            Self::Good
            | Self::GoodBearer
            | Self::WrongTenant
            | Self::RightTenant
            | Self::MissingRole
            | Self::RightRole => Found::Session,
            Self::KeysUnreachable => Found::Unavailable,
            Self::RefreshUnreachable
            | Self::RefreshLimited
            | Self::RefreshBlocked
            | Self::RefreshBehindProxy
            | Self::OwnKeyRefused
            | Self::TokensOfAnother
                if refreshing =>
            {
                Found::Unavailable
            }
            Self::RefreshRefused | Self::RefreshFamilyEnded | Self::RefreshOfNobody => {
                Found::BadToken
            }
            case if refreshing && case.asks() => Found::Session,
            Self::NoToken | Self::RefreshAlone => Found::NoToken,
            _ => Found::BadToken,
        }
    }

    /// Whether the service is asked for a new session.
    fn asks(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::Forged
                | Self::OtherProject
                | Self::RefreshAlone
                | Self::RefreshAsSession
                | Self::RefreshRefused
                | Self::RefreshUnreachable
                | Self::RefreshLimited
                | Self::RefreshBlocked
                | Self::RefreshBehindProxy
                | Self::RefreshFamilyEnded
                | Self::RefreshOfNobody
                | Self::OwnKeyRefused
                | Self::TokensOfAnother
        )
    }

    fn rules(self) -> Option<RequireLayer> {
        let tenant = |layer: RequireLayer| layer.in_tenant_of_path("/tenants/{tenant}").unwrap();
        match self {
            Self::WrongTenant | Self::RightTenant => {
                Some(tenant(require_permissions(["invoice:read"])))
            }
            Self::MissingRole => Some(require_roles(["admin"])),
            Self::RightRole => Some(require_roles(["member"])),
            _ => None,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::WrongTenant => "/tenants/other/invoices",
            Self::RightTenant => "/tenants/acme/invoices",
            _ => "/",
        }
    }

    fn fault(self) -> Option<Fault> {
        let refresh = Fault::on("RefreshSession");
        match self {
            Self::RefreshRefused => Some(refresh.respond(401).json(&problem("E064001"))),
            Self::RefreshFamilyEnded => Some(refresh.respond(400).json(&problem("E064006"))),
            Self::RefreshOfNobody => Some(refresh.respond(404).json(&problem("E062108"))),
            Self::RefreshUnreachable => Some(refresh.reset()),
            Self::RefreshLimited => Some(refresh.rate_limited(None)),
            Self::RefreshBlocked => Some(refresh.respond(403).text("<html>blocked</html>")),
            Self::RefreshBehindProxy => Some(refresh.respond(401)),
            Self::OwnKeyRefused => Some(refresh.respond(401).json(&problem("E111119"))),
            Self::TokensOfAnother => Some(refresh.tokens_of(EVE)),
            Self::KeysUnreachable => Some(Fault::on("GetKeysV2").respond(503)),
            _ => None,
        }
    }

    fn request(self, emulator: &Emulator) -> Request<String> {
        let mint = || emulator.tokens(EMAIL);
        let good = mint().issue().unwrap();
        let expired = mint().expired().issue().unwrap();
        let forged = mint().forged().issue().unwrap();
        let other = mint().issuer("P2OtherProject").issue().unwrap();
        let session = |minted: &IssuedTokens| Some(minted.session_jwt().to_owned());
        let refresh = Some(good.refresh_jwt().to_owned());
        let (session, refresh) = match self {
            Self::NoToken => (None, None),
            Self::GoodBearer => (session(&good), None),
            Self::ExpiredAlone => (session(&expired), None),
            Self::Expired
            | Self::ExpiredBearer
            | Self::RefreshRefused
            | Self::RefreshUnreachable
            | Self::RefreshLimited
            | Self::RefreshBlocked
            | Self::RefreshBehindProxy
            | Self::RefreshFamilyEnded
            | Self::RefreshOfNobody
            | Self::OwnKeyRefused
            | Self::TokensOfAnother => (session(&expired), refresh),
            Self::RefreshAlone => (None, refresh),
            Self::RefreshAsSession => (refresh.clone(), refresh),
            Self::ForgedAlone => (session(&forged), None),
            Self::Forged => (session(&forged), refresh),
            Self::OtherProject => (session(&other), refresh),
            _ => (session(&good), refresh),
        };
        let mut request = Request::new(String::new());
        *request.uri_mut() = self.path().parse().unwrap();
        let bearer = matches!(self, Self::GoodBearer | Self::ExpiredBearer);
        let mut cookies = vec!["theme=dark".to_owned()];
        match session {
            Some(token) if bearer => {
                let value = format!("Bearer {token}").parse().unwrap();
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            Some(token) => cookies.push(format!("__Host-DS={token}")),
            None => {}
        }
        cookies.extend(refresh.map(|token| format!("__Host-DSR={token}")));
        let cookies = cookies.join("; ").parse().unwrap();
        request.headers_mut().insert(COOKIE, cookies);
        request
    }
}

/// The application: says what it saw.
async fn app(request: Request<String>) -> Result<Response<String>, Infallible> {
    let MaybeSession(found) = request.extensions().get().cloned().unwrap();
    let found = match found {
        Ok(_) => Found::Session,
        Err(Rejection::MissingToken) => Found::NoToken,
        Err(why) if why.is_unavailable() => Found::Unavailable,
        Err(_) => Found::BadToken,
    };
    assert_eq!(
        request.extensions().get::<Session>().is_some(),
        found == Found::Session
    );
    assert!(request.extensions().get::<RequestTokens>().is_some());
    Ok(Response::new(format!("{found:?}")))
}

async fn emulator() -> Emulator {
    Emulator::builder()
        .role("reader", ["invoice:read"])
        .role("admin", ["invoice:read"])
        .role("member", ["home:read"])
        .tenant(Tenant::new("acme"))
        .tenant(Tenant::new("other"))
        .user(User::new(EMAIL).role("member").tenant("acme", ["reader"]))
        .user(User::new(EVE))
        .start()
        .await
        .unwrap()
}

async fn send<S, R>(service: S, request: Request<String>) -> Response<String>
where
    S: Service<Request<String>, Response = Response<R>, Error = Infallible>,
    R: Body<Error: std::fmt::Debug>,
{
    let Ok(response) = service.oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

async fn check(case: Case, required: bool, refreshing: bool) {
    let what = format!("{case:?}, required: {required}, refreshing: {refreshing}");
    let emulator = emulator().await;
    if let Some(fault) = case.fault() {
        emulator.faults().add(fault).unwrap();
    }
    let mut layer = SessionLayer::new(&client(&emulator));
    if required {
        layer = layer.required();
    }
    if refreshing {
        layer = layer.refreshing();
    }
    let request = case.request(&emulator);
    let sent = request.headers()[COOKIE].to_str().unwrap().to_owned();
    let inner = tower::service_fn(app);
    let response = match case.rules() {
        Some(rules) => send(layer.layer(rules.layer(inner)), request).await,
        None => send(layer.layer(inner), request).await,
    };

    let found = case.found(refreshing);
    let (status, challenge) = match (found, case) {
        (Found::Session, Case::WrongTenant | Case::MissingRole) => {
            (StatusCode::FORBIDDEN, Some(FORBIDDEN))
        }
        (Found::NoToken, _) if required => (StatusCode::UNAUTHORIZED, Some(NO_TOKEN)),
        (Found::BadToken, _) if required => (StatusCode::UNAUTHORIZED, Some(INVALID)),
        (Found::Unavailable, _) if required => (StatusCode::SERVICE_UNAVAILABLE, None),
        _ => (StatusCode::OK, None),
    };
    assert_eq!(response.status(), status, "{what}");
    let headers = response.headers();
    assert_eq!(
        headers
            .get(WWW_AUTHENTICATE)
            .map(|value| value.to_str().unwrap()),
        challenge,
        "{what}"
    );

    let renewed = refreshing && case.asks() && found == Found::Session;
    let cookies = set_cookies(headers);
    assert_eq!(cookies.contains(&"__Host-DS".to_owned()), renewed, "{what}");
    if !renewed {
        assert_eq!(cookies, [""; 0], "{what}");
    }
    let uncached = headers
        .get(CACHE_CONTROL)
        .is_some_and(|value| value == "no-store");
    assert_eq!(uncached, renewed || status != StatusCode::OK, "{what}");

    if status == StatusCode::OK {
        assert_eq!(response.body(), &format!("{found:?}"), "{what}");
        assert!(response.extensions().get::<Rejection>().is_none(), "{what}");
    } else {
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.status(), status, "{what}");
        // Nothing of the token, and nothing of what is wrong with it.
        for word in ["expired", "signature", "issuer", "key", "role", "tenant"] {
            assert!(
                !response.body().contains(word),
                "{what}: {}",
                response.body()
            );
        }
        for part in sent.split(['=', ';', '.']).filter(|part| part.len() > 20) {
            assert!(!format!("{response:?}").contains(part), "{what}");
        }
    }

    let calls = |operation: &str| emulator.requests().count(operation);
    let refreshes = usize::from(refreshing && case.asks());
    assert_eq!(calls("RefreshSession"), refreshes, "{what}");
    match case {
        Case::NoToken => assert_eq!(calls("GetKeysV2"), 0, "{what}"),
        // A read is repeated.
        Case::KeysUnreachable => assert!((1..=3).contains(&calls("GetKeysV2")), "{what}"),
        _ => assert!(calls("GetKeysV2") <= 1, "{what}"),
    }
    for other in ["VerifyMagicLink", "Logout", "ValidateSession", "Me"] {
        assert_eq!(calls(other), 0, "{what}");
    }
}

#[tokio::test]
async fn every_case_in_every_setting() {
    for case in CASES {
        for required in [false, true] {
            for refreshing in [false, true] {
                check(case, required, refreshing).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_no_refusal_is_not_remembered_as_one() {
    for case in [
        Case::RefreshBlocked,
        Case::RefreshBehindProxy,
        Case::OwnKeyRefused,
        Case::TokensOfAnother,
    ] {
        let emulator = emulator().await;
        let fault = case.fault().unwrap().times(1);
        emulator.faults().add(fault).unwrap();
        let layer = SessionLayer::new(&client(&emulator)).refreshing();
        let service = layer.required().layer(tower::service_fn(app));
        let request = case.request(&emulator);
        let mut again = Request::new(String::new());
        *again.headers_mut() = request.headers().clone();
        let response = send(service.clone(), request).await;
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{case:?}"
        );
        let response = send(service, again).await;
        assert_eq!(response.status(), StatusCode::OK, "{case:?}");
        assert_eq!(set_cookies(response.headers()), ["__Host-DS"], "{case:?}");
    }
}

#[tokio::test]
async fn any_framework_can_ask_with_plain_headers() {
    let emulator = emulator().await;
    let layer = SessionLayer::new(&client(&emulator)).refreshing();
    let plain = |case: Case| -> Vec<(String, Vec<u8>)> {
        let request = case.request(&emulator);
        let headers = request.headers().iter();
        headers
            .map(|(name, value)| (name.to_string().to_uppercase(), value.as_bytes().to_vec()))
            .collect()
    };
    let found = layer.check(plain(Case::Good)).await;
    assert!(found.session.is_ok() && found.cookies.is_empty());
    let mut response = http::HeaderMap::new();
    found.set_cookies(&mut response);
    assert!(response.is_empty());

    let expired = plain(Case::Expired);
    let found = layer.check(expired.clone()).await;
    assert!(found.session.is_ok());
    found.set_cookies(&mut response);
    assert_eq!(set_cookies(&response), ["__Host-DS"]);
    assert_eq!(response[CACHE_CONTROL], "no-store");
    let new = found.tokens.session.unwrap();
    let sent = expired
        .iter()
        .map(|(_, value)| String::from_utf8_lossy(value));
    assert!(!sent.collect::<String>().contains(new.expose_secret()));

    let found = layer.check(plain(Case::NoToken)).await;
    assert!(matches!(found.session, Err(Rejection::MissingToken)));
    let found = layer.check(plain(Case::ExpiredBearer)).await;
    assert!(matches!(found.session, Err(Rejection::InvalidToken(_))));
}

#[tokio::test]
async fn a_local_layer_validates_without_a_client() {
    let emulator = emulator().await;
    let keys = emulator.keys().published().unwrap().to_string();
    let validator = descope_magiclink::SessionValidator::builder(emulator.project_id())
        .key_set(keys)
        .build()
        .unwrap();
    let layer = SessionLayer::local(validator).required();
    for (case, status) in [
        (Case::Good, StatusCode::OK),
        (Case::Expired, StatusCode::UNAUTHORIZED),
        (Case::RefreshAlone, StatusCode::UNAUTHORIZED),
        (Case::Forged, StatusCode::UNAUTHORIZED),
    ] {
        let request = case.request(&emulator);
        let response = send(layer.layer(tower::service_fn(app)), request).await;
        assert_eq!(response.status(), status, "{case:?}");
    }
    assert_eq!(emulator.requests().all().len(), 0);
}

#[tokio::test]
async fn without_a_layer_nothing_is_let_through_and_the_response_names_it() {
    for rules in [require_session(), require_roles(["admin"])] {
        let response = send(
            rules.layer(tower::service_fn(app)),
            Request::new(String::new()),
        )
        .await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.body().contains("SessionLayer"));
    }
}

#[tokio::test]
async fn the_tenant_may_come_from_anywhere_and_a_missing_one_is_refused() {
    let emulator = emulator().await;
    let session = SessionLayer::new(&client(&emulator)).required();
    let by_header = require_permissions(["invoice:read"])
        .in_tenant(|request| Some(request.headers.get("x-tenant")?.to_str().ok()?.to_owned()));
    let current = require_permissions(["invoice:read"]).in_current_tenant();
    for (tenant, status) in [
        (Some("acme"), StatusCode::OK),
        (Some("other"), StatusCode::FORBIDDEN),
        (Some(""), StatusCode::FORBIDDEN),
        (None, StatusCode::FORBIDDEN),
    ] {
        let mut request = Case::Good.request(&emulator);
        if let Some(tenant) = tenant {
            let value = tenant.parse().unwrap();
            request.headers_mut().insert("x-tenant", value);
        }
        let service = session.layer(by_header.layer(tower::service_fn(app)));
        assert_eq!(send(service, request).await.status(), status, "{tenant:?}");
    }
    // The session of this user has one tenant, which is the current one.
    let service = session.layer(current.layer(tower::service_fn(app)));
    let response = send(service, Case::Good.request(&emulator)).await;
    assert_eq!(response.status(), StatusCode::OK);
    // What the project grants is not what the tenant grants.
    let service = session.layer(
        require_roles(["member"])
            .in_tenant_of_path("/tenants/{tenant}")
            .unwrap()
            .layer(tower::service_fn(app)),
    );
    let response = send(service, Case::RightTenant.request(&emulator)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

/// Ready once, and must not be called more often than it was ready.
#[derive(Debug)]
struct OneShot {
    ready: bool,
}

impl Clone for OneShot {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<String>> for OneShot {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        std::future::ready(Ok(Response::new("ready".to_owned())))
    }
}

#[tokio::test]
async fn the_service_that_was_polled_is_the_one_that_is_called() {
    let emulator = emulator().await;
    let session = SessionLayer::new(&client(&emulator)).refreshing();
    let mut service = session.layer(require_session().layer(OneShot { ready: false }));
    for _ in 0..3 {
        service.ready().await.unwrap();
        let response = service.call(Case::Good.request(&emulator)).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "ready");
    }
}

#[tokio::test]
async fn many_requests_with_one_ended_session_cause_one_renewal() {
    for rotating in [false, true] {
        let emulator = Emulator::builder()
            .rotate_refresh_tokens(rotating)
            .user(User::new(EMAIL))
            .start()
            .await
            .unwrap();
        let layer = SessionLayer::new(&client(&emulator))
            .refreshing()
            .required();
        let service = layer.layer(tower::service_fn(app));
        let request = Case::Expired.request(&emulator);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let mut own = Request::new(String::new());
            *own.headers_mut() = request.headers().clone();
            tasks.spawn(send(service.clone(), own));
        }
        // A late twin: a request that was on its way before the new cookies came.
        let mut responses = tasks.join_all().await;
        let late = send(service.clone(), request).await;
        responses.push(late);
        let cookies = |response: &Response<String>| -> Vec<String> {
            let all = response.headers().get_all("set-cookie").iter();
            all.map(|value| {
                value
                    .to_str()
                    .unwrap()
                    .split(';')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect()
        };
        let first = cookies(&responses[0]);
        assert!(first.iter().any(|cookie| cookie.starts_with("__Host-DS=")));
        assert_eq!(
            first.iter().any(|cookie| cookie.starts_with("__Host-DSR=")),
            rotating
        );
        for response in &responses {
            assert_eq!(response.status(), StatusCode::OK, "rotating: {rotating}");
            assert_eq!(cookies(response), first, "rotating: {rotating}");
        }
        assert_eq!(emulator.requests().count("RefreshSession"), 1);
    }
}

#[tokio::test]
async fn what_the_application_does_to_the_cookies_stands() {
    let emulator = emulator().await;
    let client = client(&emulator);
    let layer = SessionLayer::new(&client).refreshing();
    let cookies = descope_magiclink_web::cookies::SessionCookies::new(&client);
    let sign_out = tower::service_fn(move |request: Request<String>| {
        let (client, cookies) = (client.clone(), cookies.clone());
        async move {
            // The tokens are the renewed ones, so that a sign-out ends the session that counts.
            let tokens = request.extensions().get::<RequestTokens>().unwrap();
            let sent = request.headers()[COOKIE].to_str().unwrap();
            assert!(!sent.contains(tokens.session.as_ref().unwrap().expose_secret()));
            let mut response = Response::new(String::new());
            let headers = response.headers_mut();
            cookies.sign_out(&client, tokens, headers).await.unwrap();
            Ok::<_, Infallible>(response)
        }
    });
    let response = send(layer.layer(sign_out), Case::Expired.request(&emulator)).await;
    for cookie in response.headers().get_all("set-cookie") {
        assert!(cookie.to_str().unwrap().contains("Max-Age=0"), "{cookie:?}");
    }
    assert_eq!(set_cookies(response.headers()), ["__Host-DS", "__Host-DSR"]);
}
