//! The inbox and the control endpoints, everything below `/_emulator/`.

mod events;
pub(crate) mod input;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::clock::{rfc3339_millis, to_time};
use crate::error::ApiError;
use crate::faults::{FaultId, Faults};
use crate::handles::{Clock, ControlError, Keys, Mint, Snapshot, Stored, Users};
use crate::http::{BODY_LIMIT, failure, json as answer_json, object};
use crate::journal::{Journal, RecordedRequest};
use crate::outbox::{Channel, Filter, Message, Outbox, Purpose};
use crate::server::{Shared, closed};
use crate::world::World;
use input::{ClockInput, FaultInput, MintInput, RotateInput, UserInput};

/// How many snapshots are kept for the control endpoints.
const SNAPSHOTS: usize = 16;
/// The longest that a request may wait for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The page may load what this server serves and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl From<ControlError> for ApiError {
    fn from(refused: ControlError) -> Self {
        Self::new(
            400,
            "EMU400",
            "Control request refused",
            refused.to_string(),
        )
    }
}

/// What the endpoints keep besides the state of the emulator.
#[derive(Debug, Default)]
struct Saved {
    snapshots: Mutex<(u64, VecDeque<(u64, Snapshot)>)>,
}

/// One request to a control endpoint.
struct Ask<'a> {
    shared: &'a Arc<Shared>,
    saved: &'a Saved,
    /// The segment of the path that stands for the parameter.
    argument: &'a str,
    query: Vec<(String, String)>,
    body: Map<String, Value>,
}

impl Ask<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let wrong = |text: &str| {
            ControlError(format!("{name} must be a whole number, not {text:?}")).into()
        };
        self.query(name)
            .map(|text| text.parse().map_err(|_| wrong(text)))
            .transpose()
    }

    fn input<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_value(Value::Object(self.body.clone()))
            .map_err(|reason| ControlError(reason.to_string()).into())
    }

    fn id(&self) -> Result<u64, ApiError> {
        self.argument
            .parse()
            .map_err(|_| ControlError(format!("{:?} is no number", self.argument)).into())
    }
}

type Endpoint = fn(&Ask<'_>) -> Result<Value, ApiError>;

/// Every endpoint that answers at once, with its method and path.
static ENDPOINTS: &[(&str, &str, Endpoint)] = &[
    ("GET", "/_emulator/v1/status", status),
    ("DELETE", "/_emulator/v1/messages", |ask| {
        Outbox::new(Arc::clone(ask.shared)).clear();
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/clock", |ask| {
        Ok(clock_json(ask.shared))
    }),
    ("POST", "/_emulator/v1/clock", move_clock),
    ("GET", "/_emulator/v1/faults", |ask| {
        Ok(json!({ "faults": ask.shared.world().faults.described() }))
    }),
    ("POST", "/_emulator/v1/faults", |ask| {
        let id = Faults::new(Arc::clone(ask.shared)).add(ask.input::<FaultInput>()?.fault()?)?;
        Ok(json!({ "id": id.0 }))
    }),
    ("DELETE", "/_emulator/v1/faults", |ask| {
        Faults::new(Arc::clone(ask.shared)).clear();
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/faults/{id}", |ask| {
        Faults::new(Arc::clone(ask.shared)).remove(FaultId(ask.id()?));
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/journal", journal),
    ("DELETE", "/_emulator/v1/journal", |ask| {
        Journal::new(Arc::clone(ask.shared)).clear();
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/users", users),
    ("POST", "/_emulator/v1/users", |ask| {
        let id = Users::new(Arc::clone(ask.shared)).add(ask.input::<UserInput>()?.into())?;
        Ok(json!({ "userId": id }))
    }),
    ("DELETE", "/_emulator/v1/users", |ask| {
        let login_id = ask
            .query("loginId")
            .ok_or_else(|| ControlError("loginId is missing".to_owned()))?;
        Users::new(Arc::clone(ask.shared)).remove(login_id)?;
        Ok(json!({}))
    }),
    ("POST", "/_emulator/v1/sessions", |ask| {
        let input: MintInput = ask.input()?;
        let mint = Mint::new(Arc::clone(ask.shared), input.login_id.clone());
        let minted = input.apply(mint)?.tokens()?;
        Ok(json!({ "sessionJwt": minted.session_jwt(), "refreshJwt": minted.refresh_jwt() }))
    }),
    ("GET", "/_emulator/v1/keys", |ask| {
        let keys = Keys::new(Arc::clone(ask.shared));
        Ok(json!({ "ids": keys.ids(), "published": keys.published()? }))
    }),
    ("POST", "/_emulator/v1/keys/rotate", |ask| {
        let keys = Keys::new(Arc::clone(ask.shared));
        let id = if ask.input::<RotateInput>()?.revoke {
            keys.rotate_and_revoke()?
        } else {
            keys.rotate()?
        };
        Ok(json!({ "id": id }))
    }),
    ("DELETE", "/_emulator/v1/keys/{id}", |ask| {
        Keys::new(Arc::clone(ask.shared)).revoke(ask.argument)?;
        Ok(json!({}))
    }),
    ("PUT", "/_emulator/v1/keys/published", |ask| {
        Keys::new(Arc::clone(ask.shared)).publish_instead(Value::Object(ask.body.clone()));
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/keys/published", |ask| {
        Keys::new(Arc::clone(ask.shared)).restore();
        Ok(json!({}))
    }),
    ("POST", "/_emulator/v1/snapshots", |ask| {
        let mut kept = ask
            .saved
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        let id = kept.0;
        crate::outbox::push_bounded(&mut kept.1, (id, ask.shared.snapshot()), SNAPSHOTS);
        Ok(json!({ "id": id }))
    }),
    ("POST", "/_emulator/v1/snapshots/{id}/restore", |ask| {
        let id = ask.id()?;
        let kept = ask
            .saved
            .snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (_, snapshot) = kept
            .1
            .iter()
            .find(|(known, _)| *known == id)
            .ok_or_else(|| {
                ControlError(format!(
                    "there is no snapshot {id}; the newest {SNAPSHOTS} are kept"
                ))
            })?;
        ask.shared.restore(snapshot);
        Ok(json!({}))
    }),
    ("POST", "/_emulator/v1/reset", |ask| {
        ask.shared.reset();
        Ok(json!({}))
    }),
];

/// What is served as it is.
static ASSETS: &[(&str, &str, &str)] = &[
    (
        "/_emulator/",
        "text/html; charset=utf-8",
        include_str!("inbox/index.html"),
    ),
    (
        "/_emulator/inbox.css",
        "text/css; charset=utf-8",
        include_str!("inbox/inbox.css"),
    ),
    (
        "/_emulator/inbox.js",
        "text/javascript; charset=utf-8",
        include_str!("inbox/inbox.js"),
    ),
    (
        "/_emulator/icon.svg",
        "image/svg+xml",
        include_str!("inbox/icon.svg"),
    ),
    (
        "/_emulator/openapi.yaml",
        "application/yaml",
        include_str!("openapi.yaml"),
    ),
];

const MESSAGES: &str = "/_emulator/v1/messages";
const EVENTS: &str = "/_emulator/v1/events";

pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let saved = Arc::new(Saved::default());
    let mut paths: Vec<(&'static str, MethodRouter)> = Vec::new();
    let mut add = |method: &str, path: &'static str, what: What| {
        let (shared, saved) = (Arc::clone(shared), Arc::clone(&saved));
        let handler = move |request: Request<Body>| async move {
            answer(&shared, &saved, what, request).await
        };
        let filter = match method {
            "POST" => MethodFilter::POST,
            "PUT" => MethodFilter::PUT,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        match paths.iter_mut().find(|(known, _)| *known == path) {
            Some((_, methods)) => *methods = std::mem::take(methods).on(filter, handler),
            None => paths.push((path, on(filter, handler))),
        }
    };
    for (method, path, endpoint) in ENDPOINTS {
        add(method, path, What::Endpoint(*endpoint));
    }
    for (path, kind, text) in ASSETS {
        add("GET", path, What::Asset(kind, text));
    }
    add("GET", MESSAGES, What::Messages);
    add("GET", EVENTS, What::Events);
    add("GET", "/_emulator", What::ToInbox);
    add("GET", "/", What::ToInbox);
    paths
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
}

#[derive(Clone, Copy)]
enum What {
    Endpoint(Endpoint),
    Asset(&'static str, &'static str),
    Messages,
    Events,
    ToInbox,
}

async fn answer(
    shared: &Arc<Shared>,
    saved: &Saved,
    what: What,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    if let Err(refused) = only_from_here(shared, &parts) {
        return failure(&refused);
    }
    let outcome = match what {
        What::Asset(kind, text) => return asset(kind, text),
        What::ToInbox => return to_inbox(),
        What::Events => return events::stream(shared),
        What::Messages => messages(shared, saved, &parts).await,
        What::Endpoint(endpoint) => match to_bytes(body, BODY_LIMIT).await {
            Ok(bytes) => {
                object(&bytes).and_then(|body| endpoint(&ask(shared, saved, &parts, body)))
            }
            Err(_) => Err(ApiError::too_large(BODY_LIMIT)),
        },
    };
    match outcome {
        Ok(value) => answer_json(StatusCode::OK, &value),
        Err(refused) => failure(&refused),
    }
}

fn ask<'a>(
    shared: &'a Arc<Shared>,
    saved: &'a Saved,
    parts: &'a Parts,
    body: Map<String, Value>,
) -> Ask<'a> {
    // The parameter is the last segment, or the one before `restore`.
    let mut segments = parts.uri.path().rsplit('/');
    let last = segments.next().unwrap_or_default();
    let argument = if last == "restore" {
        segments.next().unwrap_or_default()
    } else {
        last
    };
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    Ask {
        shared,
        saved,
        argument,
        query,
        body,
    }
}

/// Refuses requests that a web page of another origin made, directly or by pointing its own name at this machine.
fn only_from_here(shared: &Shared, parts: &Parts) -> Result<(), ApiError> {
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let authority = header(header::HOST).unwrap_or_default();
    let refuse = |message: String| Err(ApiError::new(403, "EMU403", "Forbidden", message));
    let Ok(url) = url::Url::parse(&format!("http://{authority}/")) else {
        return refuse("The Host header is missing or no host".to_owned());
    };
    let known = match url.host() {
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => true,
        Some(url::Host::Domain(name)) => {
            name == "localhost"
                || name.ends_with(".localhost")
                || shared
                    .settings
                    .allowed_hosts
                    .iter()
                    .any(|allowed| allowed.eq_ignore_ascii_case(name))
        }
        None => false,
    };
    if !known {
        return refuse(format!(
            "The host {authority} is not allowed; start with --allowed-host to allow it"
        ));
    }
    match header(header::ORIGIN) {
        Some(origin) if origin != format!("http://{authority}") => refuse(format!(
            "Pages of {origin} may not use the control endpoints"
        )),
        _ => Ok(()),
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn to_inbox() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static("/_emulator/"));
    response
}

fn time(at: std::time::SystemTime) -> Value {
    rfc3339_millis(at).into()
}

fn status(ask: &Ask<'_>) -> Result<Value, ApiError> {
    let world = ask.shared.world();
    let stored = Stored::of(&world);
    let settings = &ask.shared.settings;
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "projectId": settings.project_id,
        "managementKey": settings.management_key,
        "now": time(to_time(world.time.now())),
        "stored": {
            "messages": stored.messages,
            "links": stored.links,
            "sessions": stored.sessions,
            "users": stored.users,
            "journal": stored.journal,
        },
    }))
}

fn clock_json(shared: &Arc<Shared>) -> Value {
    let world = shared.world();
    json!({ "now": time(to_time(world.time.now())), "frozen": world.time.is_frozen() })
}

fn move_clock(ask: &Ask<'_>) -> Result<Value, ApiError> {
    let clock = Clock::new(Arc::clone(ask.shared));
    match ask.input::<ClockInput>()? {
        ClockInput::AdvanceSeconds(seconds) => {
            let span = Duration::try_from_secs_f64(seconds.abs())
                .map_err(|reason| ControlError(format!("advanceSeconds: {reason}")))?;
            if seconds < 0.0 {
                clock.rewind(span)
            } else {
                clock.advance(span)
            }
        }
        ClockInput::Set(to) => clock.set(to.0),
        ClockInput::Frozen(true) => clock.freeze(),
        ClockInput::Frozen(false) => clock.resume(),
        ClockInput::Real(true) => clock.follow_real_time(),
        ClockInput::Real(false) => {
            return Err(ControlError("real can only be true".to_owned()).into());
        }
    }
    // Links may have expired by it.
    ask.shared.outbox_changed();
    Ok(clock_json(ask.shared))
}

fn users(ask: &Ask<'_>) -> Result<Value, ApiError> {
    let users = Users::new(Arc::clone(ask.shared));
    Ok(match ask.query("loginId") {
        Some(login_id) => json!({ "users": users.get(login_id).into_iter().collect::<Vec<_>>() }),
        None => json!({ "users": users.all() }),
    })
}

fn journal(ask: &Ask<'_>) -> Result<Value, ApiError> {
    let after: u64 = ask.number("after")?.unwrap_or(0);
    let operation = ask.query("operation");
    let wanted = |request: &RecordedRequest| {
        request.id > after && operation.is_none_or(|operation| request.operation == Some(operation))
    };
    let requests: Vec<Value> = Journal::new(Arc::clone(ask.shared))
        .requests()
        .iter()
        .filter(|request| wanted(request))
        .map(|request| {
            json!({
                "id": request.id,
                "at": time(request.at()),
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "operation": request.operation,
                "headers": request.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
                "body": serde_json::from_slice::<Value>(&request.body)
                    .unwrap_or_else(|_| String::from_utf8_lossy(&request.body).into()),
                "status": request.status,
                "errorCode": request.error_code,
                "fault": request.fault,
            })
        })
        .collect();
    Ok(json!({ "requests": requests }))
}

fn message_json(world: &World, message: &Message) -> Value {
    json!({
        "id": message.id,
        "channel": message.channel.as_str(),
        "purpose": message.purpose.as_str(),
        "to": message.to,
        "loginId": message.login_id,
        "link": message.link,
        "token": message.token,
        "subject": message.subject,
        "text": message.text,
        "templateId": message.template_id,
        "templateOptions": message.template_options,
        "locale": message.locale,
        "providerId": message.provider_id,
        "sentAt": time(message.sent_at()),
        "expiresAt": time(message.expires_at()),
        "state": world.links.state(&message.token, world.time.now()),
    })
}

/// Messages, newest first; waits for one when asked to.
async fn messages(shared: &Arc<Shared>, saved: &Saved, parts: &Parts) -> Result<Value, ApiError> {
    let ask = ask(shared, saved, parts, Map::new());
    let after: u64 = ask.number("after")?.unwrap_or(0);
    let limit: usize = ask.number("limit")?.unwrap_or(100);
    let wait = Duration::from_secs(ask.number("wait")?.unwrap_or(0)).min(LONGEST_WAIT);
    let mut filter = ask.query("to").map_or_else(Filter::any, Filter::to);
    if let Some(login_id) = ask.query("loginId") {
        filter = filter.login_id(login_id);
    }
    if let Some(name) = ask.query("channel") {
        let channel = [Channel::Email, Channel::Sms, Channel::WhatsApp]
            .into_iter()
            .find(|known| known.as_str() == name);
        let wrong = || {
            ControlError(format!(
                "channel must be email, sms or whatsapp, not {name:?}"
            ))
        };
        filter = filter.channel(channel.ok_or_else(wrong)?);
    }
    if let Some(name) = ask.query("purpose") {
        let purpose = Purpose::ALL
            .into_iter()
            .find(|known| known.as_str() == name);
        let names = Purpose::ALL.map(Purpose::as_str).join(", ");
        filter = filter.purpose(purpose.ok_or_else(|| {
            ControlError(format!("purpose must be one of {names}, not {name:?}"))
        })?);
    }
    let found = || {
        let world = shared.world();
        let wanted = |message: &&Message| message.id > after && filter.matches(message);
        let messages: Vec<Value> = world
            .outbox
            .iter()
            .rev()
            .filter(wanted)
            .take(limit)
            .map(|message| message_json(&world, message))
            .collect();
        json!({
            "messages": messages,
            "total": world.outbox.len(),
            "version": world.outbox_version,
            "now": time(to_time(world.time.now())),
            "frozen": world.time.is_frozen(),
        })
    };
    let empty = |answer: &Value| {
        answer
            .get("messages")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    };
    let (mut changes, mut closing) = (shared.changes(), shared.closing());
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        changes.borrow_and_update();
        let answer = found();
        if !empty(&answer) || wait.is_zero() {
            return Ok(answer);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(answer) },
            () = closed(&mut closing) => return Ok(answer),
            () = tokio::time::sleep_until(deadline) => return Ok(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_has_every_endpoint_and_no_other() {
        let description: Value = serde_saphyr::from_str(include_str!("openapi.yaml")).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for method in item
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| *key != "parameters")
            {
                described.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
        let mut served: BTreeSet<_> = ENDPOINTS
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        served.insert(("GET".to_owned(), MESSAGES.to_owned()));
        served.insert(("GET".to_owned(), EVENTS.to_owned()));
        assert_eq!(described, served);
    }
}
