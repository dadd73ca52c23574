//! A request of the API: its record, its operation, and what a fault makes of it.

use std::net::IpAddr;

use http::request::Parts;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response};

use super::wire::{Body, Reset, changed, cut, failure, object, query, read_body, success};
use crate::error::ApiError;
use crate::operations::call::{Call, Reply};
use crate::operations::fields;
use crate::operations::table::{OPERATIONS, Operation, SHORT_UPDATE_PHONE, family, most_like};
use crate::state::clock::Millis;
use crate::state::faults::{Effect, Fault};
use crate::state::messages::Message;
use crate::state::requests::RecordedRequest;
use crate::state::shared::Shared;

/// Header by which some clients name their refresh cookie.
const REFRESH_COOKIE_NAME: &str = "x-descope-refresh-cookie-name";

/// Journal, faults, and in the middle the operation itself.
pub(crate) async fn respond(
    shared: &Shared,
    target: Result<&'static Operation, ApiError>,
    ip: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    let operation = target.as_ref().ok().copied();
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
        (Err(refused), Ok(_)) => Err(refused),
        (Ok(operation), Ok(body)) => run(shared, operation, &parts, ip, body, tokens_of),
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
    let response = response.unwrap_or_default();
    let Some((fault_id, fault)) = selected.fault else {
        close(Some(response.status().as_u16()));
        return Ok(response.map(Body::Whole));
    };
    let response = match fault.effect {
        Effect::Respond(change) => changed(Response::default(), change).map(Body::Whole),
        Effect::Alter(change) => changed(response, change).map(Body::Whole),
        Effect::TokensOf(_) => response.map(Body::Whole),
        Effect::Hold => {
            if fault.after_handling {
                gone(fault_id).await;
            }
            response.map(Body::Whole)
        }
        Effect::CutBody(after) => cut(response, after),
        Effect::BlackHole => {
            close(None);
            gone(fault_id).await;
            return Err(Reset);
        }
        Effect::Reset | Effect::Delay(_) => {
            close(None);
            return Err(Reset);
        }
    };
    close(Some(response.status().as_u16()));
    Ok(response)
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
pub(crate) fn elsewhere(method: &str, path: &str) -> ApiError {
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
    ip: IpAddr,
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
        ip: ip.to_string(),
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
