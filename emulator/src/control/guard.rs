//! Which pages of a browser may call the emulator, and which may not.
//!
//! Project id and keys of the program are known to everybody, so a page of another origin could sign in as any user
//! of an app in development: by a plain request, or by pointing its own host name at this machine.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{Next, from_fn};

use crate::error::ApiError;
use crate::http::wire::failure;
use crate::settings::Settings;
use crate::state::shared::Shared;

/// Sent by browsers with every request to a secure or a local address; Node's `fetch` sends `Sec-Fetch-Mode` alone.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Puts the check in front of everything, with the CORS headers for the origins that are allowed.
pub(crate) fn guarded(shared: &Arc<Shared>, router: Router) -> Router {
    let settings = Arc::clone(&shared.settings);
    router.layer(from_fn(move |request: Request, next: Next| {
        let settings = Arc::clone(&settings);
        async move { guard(&settings, request, next).await }
    }))
}

async fn guard(settings: &Settings, request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    let is_control = request.uri().path().starts_with("/_emulator");
    if let Err(refused) = check(settings, headers, is_control) {
        return failure(&refused);
    }
    let origin = headers
        .get(header::ORIGIN)
        .filter(|origin| {
            let is_allowed = |allowed: &String| allowed.as_bytes() == origin.as_bytes();
            !is_control && settings.allowed_origins.iter().any(is_allowed)
        })
        .cloned();
    let Some(origin) = origin else {
        return next.run(request).await;
    };
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    let mut response = if request.method() == Method::OPTIONS && asked {
        preflight(headers)
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// The response to the question that a browser puts before a request.
fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

fn check(settings: &Settings, headers: &HeaderMap, is_control: bool) -> Result<(), ApiError> {
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
