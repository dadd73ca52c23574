//! HTTP around the state: routing, headers and bodies.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use cookie::Cookie;
use serde_json::{Map, Value};

use crate::clock::Millis;
use crate::error::ApiError;
use crate::faults::Effect;
use crate::journal::RecordedRequest;
use crate::outbox::Message;
use crate::routes::{OPERATIONS, Operation, SHORT_UPDATE_PHONE, Verb, by_id};
use crate::server::{Abort, Peer, Shared};
use crate::world::{Call, Reply, fields};

/// Larger request bodies are refused.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// Header by which some clients name their refresh cookie.
const REFRESH_COOKIE_NAME: &str = "x-descope-refresh-cookie-name";

/// The operations of the table as a router.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut paths: Vec<(&'static str, MethodRouter)> = Vec::new();
    for operation in OPERATIONS {
        if operation.id == SHORT_UPDATE_PHONE && !shared.settings.short_update_phone {
            continue;
        }
        let filter = match operation.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Delete => MethodFilter::DELETE,
        };
        let shared = Arc::clone(shared);
        let handler =
            move |request: Request<Body>| answer(shared, Target::Operation(operation), request);
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, methods)) => *methods = std::mem::take(methods).on(filter, handler),
            None => paths.push((operation.path, on(filter, handler))),
        }
    }
    let elsewhere = Arc::clone(shared);
    let wrong_method = Arc::clone(shared);
    let router = paths
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        });
    #[cfg(feature = "program")]
    let router = if shared.settings.control {
        router.merge(crate::control::router(shared))
    } else {
        router
    };
    router
        .method_not_allowed_fallback(move |request: Request<Body>| {
            answer(wrong_method, Target::WrongMethod, request)
        })
        .fallback(move |request: Request<Body>| answer(elsewhere, Target::Elsewhere, request))
}

/// What a request is for.
#[derive(Clone, Copy)]
enum Target {
    Operation(&'static Operation),
    /// A path of an operation, by a method that it does not take.
    WrongMethod,
    Elsewhere,
}

/// Journal, faults, and in the middle the operation itself.
async fn answer(shared: Arc<Shared>, target: Target, request: Request<Body>) -> Response<Body> {
    let operation = match target {
        Target::Operation(operation) => Some(operation),
        Target::WrongMethod | Target::Elsewhere => None,
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await;
    let (id, drawn) = {
        let mut world = shared.world();
        let recorded = record(&parts, operation, body.as_ref().ok(), world.time.now());
        let id = world.journal.open(recorded, shared.settings.limits.journal);
        (id, world.faults.draw(operation, parts.uri.path()))
    };
    shared.changed();
    if !drawn.delay.is_zero() {
        tokio::time::sleep(drawn.delay).await;
    }
    let fault = drawn.fault.as_ref().map(|(_, fault)| fault);
    let handled = fault
        .is_none_or(|fault| fault.after_handling || matches!(fault.effect, Effect::CutBody(_)));
    let outcome = handled.then(|| match (target, &body) {
        (_, Err(_)) => Err(ApiError::too_large(BODY_LIMIT)),
        (Target::Operation(operation), Ok(body)) => run(&shared, operation, &parts, body),
        (Target::WrongMethod, Ok(_)) => Err(ApiError::wrong_method(
            parts.method.as_str(),
            parts.uri.path(),
        )),
        (Target::Elsewhere, Ok(_)) => Err(elsewhere(parts.method.as_str(), parts.uri.path())),
    });
    let error_code = outcome
        .as_ref()
        .and_then(|outcome| outcome.as_ref().err())
        .map(|refused| refused.code.clone());
    let response = outcome.map(|outcome| outcome.map_or_else(|refused| failure(&refused), success));
    shared.changed();

    let words = fault
        .map(|fault| fault.effect.to_string())
        .or_else(|| (!drawn.delay.is_zero()).then(|| Effect::Delay(drawn.delay).to_string()));
    let close = |status: Option<u16>| {
        let closed = shared.world().journal.close(id, |request| {
            request.status = status;
            request.error_code = error_code;
            request.fault = words;
        });
        if let (Some(tell), Some(request)) = (&shared.settings.on_request, closed) {
            tell(&request);
        }
    };
    let Some((fault_id, fault)) = drawn.fault else {
        let response = response.unwrap_or_default();
        close(Some(response.status().as_u16()));
        return response;
    };
    match fault.effect {
        Effect::Answer {
            status,
            body,
            headers,
        } => {
            close(Some(status));
            faulty(status, body, headers)
        }
        Effect::CutBody(after) => {
            let response = response.unwrap_or_default();
            close(Some(response.status().as_u16()));
            cut(response, after).await
        }
        Effect::BlackHole => {
            close(None);
            let mut changes = shared.changes();
            while shared.world().faults.has(fault_id) && changes.changed().await.is_ok() {}
            abort()
        }
        Effect::Reset | Effect::Delay(_) => {
            close(None);
            abort()
        }
    }
}

fn record(
    parts: &Parts,
    operation: Option<&'static Operation>,
    body: Option<&Bytes>,
    at: Millis,
) -> RecordedRequest {
    RecordedRequest {
        id: 0,
        at,
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        operation: operation.map(|operation| operation.id),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.cloned().unwrap_or_default(),
        status: None,
        error_code: None,
        fault: None,
    }
}

/// An answer that never reaches the client: the connection is reset.
fn abort() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Abort);
    response
}

fn faulty(status: u16, body: Vec<u8>, headers: Vec<(String, String)>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Announces the whole body but sends only its beginning.
async fn cut(response: Response<Body>, after: usize) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // The answers here are built in memory, so this neither waits nor fails.
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kept = after.min(whole.len().saturating_sub(1));
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(
        parts,
        Body::new(CutBody {
            rest: Some(whole.slice(..kept)),
            pause: None,
        }),
    )
}

/// Sends what it has, gives it time to leave, then fails.
struct CutBody {
    rest: Option<Bytes>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        if let Some(rest) = self.rest.take().filter(|rest| !rest.is_empty()) {
            return Poll::Ready(Some(Ok(http_body::Frame::data(rest))));
        }
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(20))));
        pause
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(std::io::Error::other("the body is cut off here"))))
    }
}

/// Why a path that no operation has is refused.
fn elsewhere(method: &str, path: &str) -> ApiError {
    let ours = ["/v1/auth/", "/v2/auth/", "/v1/mgmt/", "/v2/mgmt/"];
    // No API description has the short path, so it counts as not there rather than as not emulated.
    let short = by_id(SHORT_UPDATE_PHONE).is_some_and(|operation| operation.path == path);
    if !short && ours.iter().any(|prefix| path.starts_with(prefix)) {
        ApiError::unsupported(method, path)
    } else {
        ApiError::no_such_path(method, path)
    }
}

fn run(
    shared: &Shared,
    operation: &'static Operation,
    parts: &Parts,
    bytes: &Bytes,
) -> Result<Reply, ApiError> {
    let mut body = object(bytes)?;
    fields::normalise(&mut body);
    let path = parts.uri.path();
    let call = Call {
        operation,
        authorization: text(&parts.headers, &header::AUTHORIZATION),
        refresh_cookie: refresh_cookie(&parts.headers, &shared.settings.refresh_cookie),
        path_argument: path.rsplit('/').next().unwrap_or_default().to_owned(),
        query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        body,
        ip: parts
            .extensions
            .get::<Peer>()
            .map(|peer| peer.address.ip().to_string())
            .unwrap_or_default(),
    };
    let mut world = shared.world();
    let before = world.last_message;
    let outcome = world.handle(&call);
    if let Some(tell) = &shared.settings.on_message {
        let new: Vec<Message> = world
            .outbox
            .iter()
            .rev()
            .take_while(|message| message.id > before)
            .cloned()
            .collect();
        drop(world);
        new.iter().rev().for_each(|message| tell(message));
    }
    outcome
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// A browser sends its refresh token as a cookie, under the project's name or the one it says.
fn refresh_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let asked = text(headers, REFRESH_COOKIE_NAME);
    let name = asked
        .as_deref()
        .filter(|asked| !asked.is_empty())
        .unwrap_or(name);
    let cookies = text(headers, header::COOKIE)?;
    Cookie::split_parse(&cookies)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name && !cookie.value().is_empty())
        .map(|cookie| cookie.value().to_owned())
}

/// A missing body counts as the empty object.
pub(crate) fn object(bytes: &Bytes) -> Result<Map<String, Value>, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(ApiError::malformed("The body must be a JSON object")),
        Err(reason) => Err(ApiError::malformed(format!(
            "The body is not JSON: {reason}"
        ))),
    }
}

fn success(reply: Reply) -> Response<Body> {
    let mut response = json(StatusCode::OK, &reply.body);
    for cookie in reply.cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

pub(crate) fn failure(refused: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &refused.body());
    if let Some(seconds) = refused.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
