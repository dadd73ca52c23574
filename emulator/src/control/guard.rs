//! Which pages of a browser may call the emulator, and which may not.
//!
//! Project id and keys of the program are known to everybody, so a page of another origin could sign in as any user
//! of an app in development: by a plain request, or by pointing its own host name at this machine.

use std::net::IpAddr;
use std::ops::ControlFlow;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::error::ApiError;
use crate::http::wire::{Body, failure};
use crate::settings::Settings;

/// Sent by browsers with every request to a secure or a local address; Node's `fetch` sends `Sec-Fetch-Mode` alone.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Responds to a page that may not send its request, and to the question that a browser puts before one; otherwise
/// tells the origin whose pages may read the response, where one may.
pub(crate) fn check(
    settings: &Settings,
    request: &Request<Incoming>,
) -> ControlFlow<Response<Body>, Option<HeaderValue>> {
    if !settings.control {
        return ControlFlow::Continue(None);
    }
    let headers = request.headers();
    let is_control = request.uri().path().starts_with("/_emulator");
    if let Err(refused) = may_send(settings, headers, is_control) {
        return ControlFlow::Break(failure(&refused).map(Body::Whole));
    }
    let is_allowed = |origin: &&HeaderValue| {
        let mut allowed = settings.allowed_origins.iter();
        !is_control && allowed.any(|allowed| allowed.as_bytes() == origin.as_bytes())
    };
    let origin = headers.get(header::ORIGIN).filter(is_allowed).cloned();
    let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if origin.is_none() || request.method() != Method::OPTIONS || !asks {
        return ControlFlow::Continue(origin);
    }
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allowed = response.headers_mut();
    allowed.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    if let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        allowed.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    allow(allowed, origin);
    ControlFlow::Break(response)
}

/// Allows the pages of an origin to read a response.
pub(crate) fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

fn may_send(settings: &Settings, headers: &HeaderMap, is_control: bool) -> Result<(), ApiError> {
    let text = |name: &HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let (origin, site) = (text(&header::ORIGIN), text(&SEC_FETCH_SITE));
    // A page that was given another name sends neither with a GET, so the control endpoints look at every Host.
    if origin.is_none() && site.is_none() && !is_control {
        return Ok(());
    }
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let authority = text(&header::HOST).map(shown).unwrap_or_default();
    let refuse = |message: String| Err(ApiError::new(403, "EMU403", "Forbidden", message));
    if !is_known_host(settings, &authority) {
        return refuse(format!(
            "The host {authority:?} is not allowed; start with --allowed-host to allow it"
        ));
    }
    match origin.map(shown) {
        Some(origin) if origin == format!("http://{authority}") => Ok(()),
        Some(origin) if !is_control && settings.allowed_origins.contains(&origin) => Ok(()),
        Some(origin) if is_control => refuse(format!(
            "Pages of {origin} may not use the control endpoints"
        )),
        Some(origin) => refuse(format!(
            "Pages of {origin} may not call the emulator; start with --allow-origin {origin} to allow it"
        )),
        None if site.is_none_or(|site| matches!(site, b"none" | b"same-origin")) => Ok(()),
        None => refuse("Another page may not call the emulator".to_owned()),
    }
}

/// `localhost`, an IP address, or a name of the settings.
fn is_known_host(settings: &Settings, authority: &str) -> bool {
    let Ok(url) = url::Url::parse(&format!("http://{authority}/")) else {
        return false;
    };
    let Some(name) = url.host_str() else {
        return false;
    };
    let plain = name.trim_start_matches('[').trim_end_matches(']');
    plain.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || settings
            .allowed_hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(name))
}
