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
use axum::middleware::map_response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::clock::{Millis, http_date};
use crate::error::ApiError;
use crate::faults::{Change, Effect, Fault};
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
    let dating = Arc::clone(shared);
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
        .layer(map_response(move |response: Response<Body>| {
            let response = dated(&dating, response);
            async move { response }
        }))
}

/// The emulator's own time, which is the service's time for clients.
fn dated(shared: &Shared, mut response: Response<Body>) -> Response<Body> {
    if response.extensions().get::<Undated>().is_none()
        && !response.headers().contains_key(header::DATE)
        && let Ok(date) = HeaderValue::try_from(http_date(shared.world().time.seconds()))
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Marks an answer that a fault sends without a date.
#[derive(Debug, Clone, Copy)]
struct Undated;

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
    let gone = async |id| {
        let mut changes = shared.changes();
        while shared.world().faults.has(id) && changes.changed().await.is_ok() {}
    };
    if let Some((id, fault)) = &drawn.fault
        && fault.effect == Effect::Hold
        && !fault.after_handling
    {
        gone(*id).await;
    }
    let handled = fault.is_none_or(Fault::handles);
    let mixed_up = fault.and_then(|fault| match &fault.effect {
        Effect::TokensOf(login_id) => Some(login_id.as_str()),
        _ => None,
    });
    let outcome = handled.then(|| match (target, &body) {
        (_, Err(_)) => Err(ApiError::too_large(BODY_LIMIT)),
        (Target::Operation(operation), Ok(body)) => run(&shared, operation, &parts, body, mixed_up),
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
        Effect::Answer(change) => {
            let response = changed(Response::default(), change).await;
            close(Some(response.status().as_u16()));
            response
        }
        Effect::Alter(change) => {
            let response = changed(response.unwrap_or_default(), change).await;
            close(Some(response.status().as_u16()));
            response
        }
        Effect::TokensOf(_) | Effect::Hold => {
            if fault.after_handling && fault.effect == Effect::Hold {
                gone(fault_id).await;
            }
            let response = response.unwrap_or_default();
            close(Some(response.status().as_u16()));
            response
        }
        Effect::CutBody(after) => {
            let response = response.unwrap_or_default();
            close(Some(response.status().as_u16()));
            cut(response, after).await
        }
        Effect::BlackHole => {
            close(None);
            gone(fault_id).await;
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

async fn changed(response: Response<Body>, change: Change) -> Response<Body> {
    let undated = change.removes("date");
    let (mut parts, body) = response.into_parts();
    if let Some(status) = change.status {
        parts.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    for name in &change.removed {
        parts.headers.remove(name);
    }
    for (name, value) in change.added {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            parts.headers.append(name, value);
        }
    }
    if undated {
        parts.extensions.insert(Undated);
    }
    let mut body = match change.body {
        Some(body) => Bytes::from(body),
        // The answers here are built in memory, so this neither waits nor fails.
        None => to_bytes(body, usize::MAX).await.unwrap_or_default(),
    };
    if change.gzip {
        body = gzip(&body).into();
        parts
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Response::from_parts(parts, Body::from(body))
}

/// A gzip file (RFC 1952) of blocks that are stored as they are (RFC 1951), which every reader takes.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = body.chunks(usize::from(u16::MAX)).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let crc = !body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    });
    out.extend(crc.to_le_bytes());
    // The length modulo 2^32, as the format asks.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the format takes the low 32 bits"
    )]
    out.extend((body.len() as u32).to_le_bytes());
    out
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
    mixed_up: Option<&str>,
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
    let outcome = world.handle(&call).and_then(|reply| match mixed_up {
        Some(login_id) => world.mix_up(reply, login_id),
        None => Ok(reply),
    });
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
    // Only space and tab are trimmed (RFC 6265bis): any other character makes another name.
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    text(headers, header::COOKIE)?
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .map(|(known, value)| (trim(known), trim(value)))
        .find(|(known, value)| known == name && !value.is_empty())
        .map(|(_, value)| value)
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
