//! From a request to the operation that it is for, and what a fault makes of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use axum::middleware::map_response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;

use super::wire::{
    Peer, WithoutDate, abort, changed, cut, failure, object, query, read_body, success,
};
use crate::error::ApiError;
use crate::operations::call::{Call, Reply};
use crate::operations::fields;
use crate::operations::table::{
    OPERATIONS, Operation, SHORT_UPDATE_PHONE, Verb, family, most_like,
};
use crate::state::clock::{Millis, http_date};
use crate::state::faults::{Effect, Fault};
use crate::state::messages::Message;
use crate::state::requests::RecordedRequest;
use crate::state::shared::Shared;

/// Header by which some clients name their refresh cookie.
const REFRESH_COOKIE_NAME: &str = "x-descope-refresh-cookie-name";

/// The operations of the table as a router, with the routes of another beside them.
pub(crate) fn operations(shared: &Arc<Shared>, others: Router) -> Router {
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
            move |request: Request<Body>| respond(shared, Target::Operation(operation), request);
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, methods)) => *methods = std::mem::take(methods).on(filter, handler),
            None => paths.push((operation.path, on(filter, handler))),
        }
    }
    let elsewhere = Arc::clone(shared);
    let wrong_method = Arc::clone(shared);
    paths
        .into_iter()
        .fold(others, |router, (path, methods)| {
            router.route(path, methods)
        })
        .method_not_allowed_fallback(move |request: Request<Body>| {
            respond(wrong_method, Target::WrongMethod, request)
        })
        .fallback(move |request: Request<Body>| respond(elsewhere, Target::Elsewhere, request))
}

/// Gives every response the date of the emulator's clock.
pub(crate) fn dated(shared: &Arc<Shared>, router: Router) -> Router {
    let shared = Arc::clone(shared);
    router.layer(map_response(move |response: Response<Body>| {
        let response = date(&shared, response);
        async move { response }
    }))
}

/// The emulator's own time, which is the service's time for clients.
fn date(shared: &Shared, mut response: Response<Body>) -> Response<Body> {
    if response.extensions().get::<WithoutDate>().is_none()
        && !response.headers().contains_key(header::DATE)
        && let Ok(date) = HeaderValue::try_from(http_date(shared.state().time.seconds()))
    {
        response.headers_mut().insert(header::DATE, date);
    }
    response
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
async fn respond(shared: Arc<Shared>, target: Target, request: Request<Body>) -> Response<Body> {
    let operation = match target {
        Target::Operation(operation) => Some(operation),
        Target::WrongMethod | Target::Elsewhere => None,
    };
    let (parts, body) = request.into_parts();
    let body = read_body(body).await;
    let (id, selected) = {
        let mut state = shared.state();
        let recorded = record(&parts, operation, body.as_ref().ok(), state.time.now());
        let bound = state.bound(shared.settings.limits.requests);
        let id = state.requests.open(recorded, bound);
        let operation = operation.map(|operation| operation.id);
        (id, state.faults.select(operation, parts.uri.path()))
    };
    shared.changed();
    if !selected.delay.is_zero() {
        tokio::time::sleep(selected.delay).await;
    }
    let fault = selected.fault.as_ref().map(|(_, fault)| fault);
    let gone = async |id| {
        let mut changes = shared.changes();
        while shared.state().faults.has(id) && changes.changed().await.is_ok() {}
    };
    if let Some((id, fault)) = &selected.fault
        && fault.effect == Effect::Hold
        && !fault.after_handling
    {
        gone(*id).await;
    }
    let handled = fault.is_none_or(Fault::handles);
    let tokens_of = fault.and_then(|fault| match &fault.effect {
        Effect::TokensOf(login_id) => Some(login_id.as_str()),
        _ => None,
    });
    let outcome = handled.then(|| match (target, &body) {
        (_, Err(refused)) => Err(refused.clone()),
        (Target::Operation(operation), Ok(body)) => {
            run(&shared, operation, &parts, body, tokens_of)
        }
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
        .or_else(|| (!selected.delay.is_zero()).then(|| Effect::Delay(selected.delay).to_string()));
    let close = |status: Option<u16>| {
        let closed = shared.state().requests.close(id, |request| {
            request.status = status;
            request.error_code = error_code;
            request.fault = words;
        });
        shared.changed();
        if let Some(request) = closed {
            shared.notify_request(request);
        }
    };
    let Some((fault_id, fault)) = selected.fault else {
        let response = response.unwrap_or_default();
        close(Some(response.status().as_u16()));
        return response;
    };
    match fault.effect {
        Effect::Respond(change) => {
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

/// Why a path that no operation has is refused.
fn elsewhere(method: &str, path: &str) -> ApiError {
    // No API description has the short path, so it counts as not there rather than as not emulated.
    let short = OPERATIONS
        .iter()
        .any(|operation| operation.id == SHORT_UPDATE_PHONE && operation.path == path);
    match family(path).filter(|_| !short) {
        Some(what) => ApiError::unsupported(method, path, what),
        None => ApiError::no_such_path(method, path, most_like(path).filter(|_| !short)),
    }
}

fn run(
    shared: &Shared,
    operation: &'static Operation,
    parts: &Parts,
    bytes: &Bytes,
    tokens_of: Option<&str>,
) -> Result<Reply, ApiError> {
    let mut body = object(bytes)?;
    fields::normalise(&mut body);
    let path = parts.uri.path();
    let call = Call {
        auth: operation.auth,
        authorization: text(&parts.headers, &header::AUTHORIZATION),
        refresh_cookie: refresh_cookie(&parts.headers, &shared.settings.refresh_cookie),
        path_argument: path.rsplit('/').next().unwrap_or_default().to_owned(),
        query: query(parts.uri.query()),
        body,
        ip: parts
            .extensions
            .get::<Peer>()
            .map(|peer| peer.address.ip().to_string())
            .unwrap_or_default(),
    };
    let mut state = shared.state();
    let before = state.messages.last_id;
    let outcome = state.handle(operation, &call, tokens_of);
    if shared.has_callbacks() {
        let new: Vec<Message> = state
            .messages
            .kept
            .iter()
            .rev()
            .take_while(|message| message.id > before)
            .cloned()
            .collect();
        drop(state);
        new.into_iter()
            .rev()
            .for_each(|message| shared.notify_message(message));
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
