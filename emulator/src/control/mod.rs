//! The inbox and the control endpoints, everything below `/_emulator/`.

mod events;
pub(crate) mod guard;
mod input;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::request::Parts;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, ControlError};
use crate::handles::clock::Clock;
use crate::handles::faults::Faults;
use crate::handles::keys::Keys;
use crate::handles::outbox::Outbox;
use crate::handles::project::Project;
use crate::handles::requests::RequestLog;
use crate::handles::snapshot::Stats;
use crate::handles::tokens::TokenBuilder;
use crate::handles::users::Users;
use crate::http::wire::{Body, failure, json as json_response, object, query, read_body};
use crate::nearest::suggestion;
use crate::operations::table::OPERATIONS;
use crate::settings::{AccessKey, Tenant, User};
use crate::state::State;
use crate::state::bounded::{Bound, Bounded, Entry};
use crate::state::clock::{rfc3339_millis, to_time};
use crate::state::faults::FaultId;
use crate::state::links::link_state;
use crate::state::messages::{Channel, Filter, Message, Purpose};
use crate::state::requests::RecordedRequest;
use crate::state::shared::{Shared, closed};
use input::{ClockInput, FaultInput, RoleInput, RotateInput, TokenInput};

/// How many snapshots are kept for the control endpoints, and how many bytes they may take.
const SNAPSHOTS: Bound = Bound {
    count: 16,
    bytes: 256 * 1024 * 1024,
};
/// The longest that a request may wait for a message.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The page may load what this server serves and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A snapshot under its number.
#[derive(Debug, Clone)]
struct Saved {
    id: u64,
    state: State,
}

impl Entry for Saved {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }

    fn bytes(&self) -> usize {
        self.state.bytes()
    }
}

/// What the endpoints keep besides the state of the emulator.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    kept: Bounded<Saved>,
    last_id: u64,
}

/// One request to a control endpoint.
pub(crate) struct ControlCall<'a> {
    shared: &'a Arc<Shared>,
    snapshots: &'a Mutex<Snapshots>,
    /// The segment of the path that stands for the parameter.
    argument: String,
    query: Vec<(String, String)>,
    body: Map<String, Value>,
}

impl ControlCall<'_> {
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

    fn project(&self) -> Project {
        Project::new(Arc::clone(self.shared))
    }

    fn snapshots(&self) -> std::sync::MutexGuard<'_, Snapshots> {
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self) -> Result<u64, ApiError> {
        self.argument
            .parse()
            .map_err(|_| ControlError(format!("{:?} is no number", self.argument)).into())
    }
}

type Endpoint = fn(&ControlCall<'_>) -> Result<Value, ApiError>;

/// Every endpoint that responds at once, with its method, its path and the parameters of its query.
static ENDPOINTS: &[(&str, &str, &[&str], Endpoint)] = &[
    ("GET", "/_emulator/v1/status", &[], status),
    ("DELETE", "/_emulator/v1/messages", &[], |call| {
        Outbox::new(Arc::clone(call.shared)).clear();
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/clock", &[], |call| {
        Ok(clock_json(call.shared))
    }),
    ("POST", "/_emulator/v1/clock", &[], move_clock),
    ("GET", "/_emulator/v1/faults", &[], |call| {
        let operations: Vec<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
        Ok(json!({ "faults": call.shared.state().faults.described(), "operations": operations }))
    }),
    ("POST", "/_emulator/v1/faults", &[], |call| {
        let id = Faults::new(Arc::clone(call.shared)).add(call.input::<FaultInput>()?.fault()?)?;
        Ok(json!({ "id": id.0 }))
    }),
    ("DELETE", "/_emulator/v1/faults", &[], |call| {
        Faults::new(Arc::clone(call.shared)).clear();
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/faults/{id}", &[], |call| {
        Faults::new(Arc::clone(call.shared)).remove(FaultId(call.id()?));
        Ok(json!({}))
    }),
    (
        "GET",
        "/_emulator/v1/journal",
        &["after", "operation"],
        journal,
    ),
    ("DELETE", "/_emulator/v1/journal", &[], |call| {
        RequestLog::new(Arc::clone(call.shared)).clear();
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/users", &["loginId"], users),
    ("POST", "/_emulator/v1/users", &[], |call| {
        let id = Users::new(Arc::clone(call.shared)).add(call.input::<User>()?)?;
        Ok(json!({ "userId": id }))
    }),
    ("DELETE", "/_emulator/v1/users", &["loginId"], |call| {
        let login_id = call
            .query("loginId")
            .ok_or_else(|| ControlError("loginId is missing".to_owned()))?;
        Users::new(Arc::clone(call.shared)).remove(login_id)?;
        Ok(json!({}))
    }),
    ("POST", "/_emulator/v1/sessions", &[], |call| {
        let input: TokenInput = call.input()?;
        let builder = TokenBuilder::new(Arc::clone(call.shared), input.login_id.clone());
        let issued = input.apply(builder)?.issue()?;
        Ok(json!({ "sessionJwt": issued.session_jwt(), "refreshJwt": issued.refresh_jwt() }))
    }),
    ("GET", "/_emulator/v1/keys", &[], |call| {
        let keys = Keys::new(Arc::clone(call.shared));
        Ok(json!({ "ids": keys.ids(), "published": keys.published()? }))
    }),
    ("POST", "/_emulator/v1/keys/rotate", &[], |call| {
        let keys = Keys::new(Arc::clone(call.shared));
        let id = if call.input::<RotateInput>()?.revoke {
            keys.rotate_and_revoke()?
        } else {
            keys.rotate()?
        };
        Ok(json!({ "id": id }))
    }),
    ("DELETE", "/_emulator/v1/keys/{id}", &[], |call| {
        Keys::new(Arc::clone(call.shared)).revoke(&call.argument)?;
        Ok(json!({}))
    }),
    ("PUT", "/_emulator/v1/keys/published", &[], |call| {
        Keys::new(Arc::clone(call.shared)).publish_instead(Value::Object(call.body.clone()));
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/keys/published", &[], |call| {
        Keys::new(Arc::clone(call.shared)).restore();
        Ok(json!({}))
    }),
    ("POST", "/_emulator/v1/snapshots", &[], |call| {
        let state = call.shared.snapshot();
        let mut snapshots = call.snapshots();
        snapshots.last_id += 1;
        let id = snapshots.last_id;
        snapshots.kept.push(Saved { id, state }, SNAPSHOTS);
        Ok(json!({ "id": id }))
    }),
    (
        "POST",
        "/_emulator/v1/snapshots/{id}/restore",
        &[],
        |call| {
            let id = call.id()?;
            let saved = call.snapshots().kept.get(&id).cloned();
            let saved = saved.ok_or_else(|| {
                ControlError(format!(
                    "there is no snapshot {id}; the newest {} are kept, within {} MiB",
                    SNAPSHOTS.count,
                    SNAPSHOTS.bytes >> 20
                ))
            })?;
            call.shared.restore(&saved.state);
            Ok(json!({}))
        },
    ),
    ("POST", "/_emulator/v1/reset", &[], |call| {
        call.shared.reset();
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/roles", &[], |call| {
        let state = call.shared.state();
        let one = |(name, permissions)| json!({ "name": name, "permissions": permissions });
        Ok(json!({ "roles": state.project.roles.iter().map(one).collect::<Vec<_>>() }))
    }),
    ("POST", "/_emulator/v1/roles", &[], |call| {
        let role: RoleInput = call.input()?;
        call.project().set_role(role.name, role.permissions);
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/roles/{id}", &[], |call| {
        call.project().remove_role(&call.argument)?;
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/tenants", &[], |call| {
        let state = call.shared.state();
        let one = |tenant: &Tenant| {
            json!({
                "id": tenant.id,
                "name": tenant.display_name(),
                "attributes": tenant.attributes,
            })
        };
        Ok(json!({ "tenants": state.project.tenants.values().map(one).collect::<Vec<_>>() }))
    }),
    ("POST", "/_emulator/v1/tenants", &[], |call| {
        call.project().set_tenant(call.input()?)?;
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/tenants/{id}", &[], |call| {
        call.project().remove_tenant(&call.argument)?;
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/templates", &[], |call| {
        let state = call.shared.state();
        let templates: Vec<_> = state.project.templates.values().collect();
        Ok(json!({ "templates": templates }))
    }),
    ("POST", "/_emulator/v1/templates", &[], |call| {
        call.project().set_template(call.input()?);
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/templates/{id}", &[], |call| {
        call.project().remove_template(&call.argument)?;
        Ok(json!({}))
    }),
    ("GET", "/_emulator/v1/access-keys", &[], |call| {
        let state = call.shared.state();
        // Without its secret: who made it knows it.
        let one = |key: &AccessKey| json!({ "id": key.id, "roles": key.roles, "tenants": key.tenants, "claims": key.claims });
        Ok(json!({ "accessKeys": state.project.access_keys.values().map(one).collect::<Vec<_>>() }))
    }),
    ("POST", "/_emulator/v1/access-keys", &[], |call| {
        call.project().set_access_key(call.input()?)?;
        Ok(json!({}))
    }),
    ("DELETE", "/_emulator/v1/access-keys/{id}", &[], |call| {
        call.project().remove_access_key(&call.argument)?;
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
        "/_emulator/views.js",
        "text/javascript; charset=utf-8",
        include_str!("inbox/views.js"),
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
const MESSAGES_QUERY: &[&str] = &[
    "after", "channel", "limit", "loginId", "purpose", "to", "wait",
];
const EVENTS: &str = "/_emulator/v1/events";

/// Everything that is served, with its method and its path.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, &'static str, Resource)> + Clone {
    let endpoints = ENDPOINTS
        .iter()
        .map(|(method, path, parameters, endpoint)| {
            (*method, *path, Resource::Endpoint(parameters, *endpoint))
        });
    let assets = ASSETS
        .iter()
        .map(|(path, kind, text)| ("GET", *path, Resource::Asset(kind, text)));
    endpoints.chain(assets).chain([
        ("GET", MESSAGES, Resource::Messages),
        ("GET", EVENTS, Resource::Events),
        ("GET", "/_emulator", Resource::ToInbox),
        ("GET", "/", Resource::ToInbox),
    ])
}

/// What is served at a path.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    Endpoint(&'static [&'static str], Endpoint),
    Asset(&'static str, &'static str),
    Messages,
    Events,
    ToInbox,
}

pub(crate) async fn respond(
    shared: &Arc<Shared>,
    snapshots: &Mutex<Snapshots>,
    resource: Resource,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let outcome = match resource {
        Resource::Asset(kind, text) => return asset(kind, text),
        Resource::ToInbox => return to_inbox(),
        Resource::Events => return events::stream(shared),
        Resource::Messages => {
            match control_call(shared, snapshots, &parts, MESSAGES_QUERY, Map::new()) {
                Ok(call) => messages(&call).await,
                Err(refused) => Err(refused),
            }
        }
        Resource::Endpoint(parameters, endpoint) => read_body(body)
            .await
            .and_then(|bytes| object(&bytes))
            .and_then(|body| control_call(shared, snapshots, &parts, parameters, body))
            .and_then(|call| endpoint(&call)),
    };
    let response = match outcome {
        Ok(value) => json_response(StatusCode::OK, &value),
        Err(refused) => failure(&refused),
    };
    response.map(Body::Whole)
}

fn control_call<'a>(
    shared: &'a Arc<Shared>,
    snapshots: &'a Mutex<Snapshots>,
    parts: &Parts,
    parameters: &[&str],
    body: Map<String, Value>,
) -> Result<ControlCall<'a>, ApiError> {
    let query = query(parts.uri.query());
    if let Some((unknown, _)) = query
        .iter()
        .find(|(name, _)| !parameters.contains(&name.as_str()))
    {
        let near = suggestion(unknown, parameters.iter().copied());
        return Err(ControlError(format!("there is no parameter {unknown:?}{near}")).into());
    }
    // The parameter of the path is the last segment, or the one before `restore`.
    let mut segments = parts.uri.path().rsplit('/');
    let last = segments.next().unwrap_or_default();
    let argument = if last == "restore" {
        segments.next().unwrap_or_default()
    } else {
        last
    };
    // A `+` in a path is one, so only the escapes are read.
    let escaped = format!("v={}", argument.replace('+', "%2B"));
    let argument = url::form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    Ok(ControlCall {
        shared,
        snapshots,
        argument,
        query,
        body,
    })
}

fn asset(kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Bytes::from_static(text.as_bytes())));
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
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::FOUND;
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_static("/_emulator/"));
    response
}

fn time(at: SystemTime) -> Value {
    rfc3339_millis(at).into()
}

fn status(call: &ControlCall<'_>) -> Result<Value, ApiError> {
    let stats = Stats::of(call.shared);
    let settings = &call.shared.settings;
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "projectId": settings.project_id,
        "managementKey": settings.management_key,
        "now": time(to_time(call.shared.state().time.now())),
        "stored": {
            "messages": stats.messages,
            "links": stats.links,
            "sessions": stats.sessions,
            "users": stats.users,
            "journal": stats.requests,
            "bytes": stats.bytes,
        },
        "droppedEvents": stats.dropped_events,
    }))
}

fn clock_json(shared: &Arc<Shared>) -> Value {
    let state = shared.state();
    json!({ "now": time(to_time(state.time.now())), "frozen": state.time.is_frozen() })
}

fn move_clock(call: &ControlCall<'_>) -> Result<Value, ApiError> {
    let clock = Clock::new(Arc::clone(call.shared));
    match call.input::<ClockInput>()? {
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
    Ok(clock_json(call.shared))
}

fn users(call: &ControlCall<'_>) -> Result<Value, ApiError> {
    let users = Users::new(Arc::clone(call.shared));
    Ok(match call.query("loginId") {
        Some(login_id) => json!({ "users": users.get(login_id).into_iter().collect::<Vec<_>>() }),
        None => json!({ "users": users.all() }),
    })
}

fn journal(call: &ControlCall<'_>) -> Result<Value, ApiError> {
    let after: u64 = call.number("after")?.unwrap_or(0);
    let operation = call.query("operation");
    let wanted = |request: &RecordedRequest| {
        request.id > after && operation.is_none_or(|operation| request.operation == Some(operation))
    };
    let requests: Vec<Value> = RequestLog::new(Arc::clone(call.shared))
        .all()
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

fn message_json(state: &State, message: &Message) -> Value {
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
        "state": link_state(&state.links, &message.token, state.time.now()),
    })
}

/// Messages, newest first; waits for one when told to.
async fn messages(call: &ControlCall<'_>) -> Result<Value, ApiError> {
    let shared = call.shared;
    let after: u64 = call.number("after")?.unwrap_or(0);
    let limit: usize = call.number("limit")?.unwrap_or(100);
    let wait = Duration::from_secs(call.number("wait")?.unwrap_or(0)).min(LONGEST_WAIT);
    let mut filter = call.query("to").map_or_else(Filter::any, Filter::to);
    if let Some(login_id) = call.query("loginId") {
        filter = filter.login_id(login_id);
    }
    if let Some(name) = call.query("channel") {
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
    if let Some(name) = call.query("purpose") {
        let purpose = Purpose::ALL
            .into_iter()
            .find(|known| known.as_str() == name);
        let names = Purpose::ALL.map(Purpose::as_str).join(", ");
        filter = filter.purpose(purpose.ok_or_else(|| {
            ControlError(format!("purpose must be one of {names}, not {name:?}"))
        })?);
    }
    let found = || {
        let state = shared.state();
        let wanted = |message: &&Message| message.id > after && filter.matches(message);
        let messages: Vec<Value> = state
            .messages
            .kept
            .iter()
            .rev()
            .filter(wanted)
            .take(limit)
            .map(|message| message_json(&state, message))
            .collect();
        json!({
            "messages": messages,
            "total": state.messages.kept.len(),
            "version": state.messages.version,
            "now": time(to_time(state.time.now())),
            "frozen": state.time.is_frozen(),
        })
    };
    let empty = |response: &Value| {
        response
            .get("messages")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    };
    let (mut changes, mut closing) = (shared.changes(), shared.closing());
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        changes.borrow_and_update();
        let response = found();
        if !empty(&response) || wait.is_zero() {
            return Ok(response);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(response) },
            () = closed(&mut closing) => return Ok(response),
            () = tokio::time::sleep_until(deadline) => return Ok(response),
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
            .map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        served.insert(("GET".to_owned(), MESSAGES.to_owned()));
        served.insert(("GET".to_owned(), EVENTS.to_owned()));
        assert_eq!(described, served);
    }
}
