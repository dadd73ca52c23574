//! The state of one emulated project, and what each operation does to it. Knows nothing of HTTP but methods and names.

pub(crate) mod fields;
pub(crate) mod links;
pub(crate) mod management;
pub(crate) mod sessions;
pub(crate) mod users;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock::{Millis, Time, millis};
use crate::error::{ApiError, StartError};
use crate::faults::FaultList;
use crate::journal::Record;
use crate::keys::KeyRing;
use crate::outbox::Message;
use crate::routes::{Auth, Operation};
use crate::settings::Settings;
use fields::Fields;
use links::Links;
use sessions::Sessions;
use users::Users;

/// A request after HTTP was taken off it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    /// Value of the `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// Refresh token that came in a cookie.
    pub(crate) refresh_cookie: Option<String>,
    /// The last segment of the path.
    pub(crate) path_argument: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Map<String, Value>,
    pub(crate) ip: String,
}

impl Call {
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.body)
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Who is behind a call, as far as the operation's rule asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// Id of the session that the refresh token belongs to.
    pub(crate) session: Option<String>,
    /// Claims of the session token.
    pub(crate) claims: Option<Map<String, Value>>,
    /// Id of the access key.
    pub(crate) access_key: Option<String>,
}

/// What an operation answers with status 200.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) body: Value,
    pub(crate) cookies: Vec<String>,
    /// What was asked for where the answer holds the tokens of a session.
    pub(crate) issued: Option<sessions::Parts>,
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self {
            body,
            cookies: Vec::new(),
            issued: None,
        }
    }
}

pub(crate) type Outcome = Result<Reply, ApiError>;

/// Everything that a snapshot keeps.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) settings: Arc<Settings>,
    pub(crate) time: Time,
    pub(crate) keys: KeyRing,
    pub(crate) users: Users,
    pub(crate) links: Links,
    pub(crate) sessions: Sessions,
    pub(crate) outbox: VecDeque<Message>,
    pub(crate) last_message: u64,
    /// Grows with each change of the outbox or of what became of its links.
    pub(crate) outbox_version: u64,
    pub(crate) faults: FaultList,
    pub(crate) journal: Record,
    windows: HashMap<usize, (Millis, u32)>,
}

impl World {
    pub(crate) fn new(settings: &Arc<Settings>) -> Result<Self, StartError> {
        let mut world = Self {
            time: Time::default(),
            keys: KeyRing::new(settings.signing_key.as_deref())?,
            users: Users::default(),
            links: Links::default(),
            sessions: Sessions::default(),
            outbox: VecDeque::new(),
            last_message: 0,
            outbox_version: 0,
            faults: FaultList::default(),
            journal: Record::default(),
            windows: HashMap::new(),
            settings: Arc::clone(settings),
        };
        for user in &settings.users {
            world
                .seed_user(user)
                .map_err(|refused| StartError::Setting {
                    setting: "user",
                    problem: refused.message,
                })?;
        }
        Ok(world)
    }

    /// Does something at one moment: what is read off the clock twice is the same both times.
    pub(crate) fn at_one_moment<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let running = self.time;
        self.time.freeze();
        let done = act(self);
        self.time = running;
        done
    }

    /// Runs an operation: limits, then authentication, then the operation itself.
    pub(crate) fn handle(&mut self, call: &Call) -> Outcome {
        self.at_one_moment(|world| world.run(call))
    }

    fn run(&mut self, call: &Call) -> Outcome {
        self.count(call.operation)?;
        let caller = self.authenticate(call)?;
        #[cfg(feature = "schema")]
        if self.settings.check_requests {
            crate::schema::check(call.operation, &call.body)?;
        }
        (call.operation.handler)(self, call, &caller)
    }

    /// Fixed windows of the emulator's clock.
    fn count(&mut self, operation: &Operation) -> Result<(), ApiError> {
        let now = self.time.now();
        for (index, limit) in self.settings.rate_limits.iter().enumerate() {
            if limit
                .operation
                .as_deref()
                .is_some_and(|id| id != operation.id)
            {
                continue;
            }
            let (started, used) = self.windows.entry(index).or_insert((now, 0));
            let window = millis(limit.window).max(1);
            if now < *started || now.saturating_sub(*started) >= window {
                (*started, *used) = (now, 0);
            }
            if *used >= limit.requests {
                let left = started.saturating_add(window).saturating_sub(now);
                return Err(ApiError::rate_limited(
                    u64::try_from(left).unwrap_or(0).div_ceil(1000).max(1),
                ));
            }
            *used += 1;
        }
        Ok(())
    }

    fn authenticate(&mut self, call: &Call) -> Result<Caller, ApiError> {
        let rule = call.operation.auth;
        if rule == Auth::Open {
            return Ok(Caller::default());
        }
        let refuse = |message: String| match rule {
            Auth::Management => ApiError::management_unauthorized(message),
            _ => ApiError::unauthorized(message),
        };
        let bearer = call.authorization.as_deref().and_then(bearer).ok_or_else(|| {
            refuse("The Authorization header must be Bearer, then the project id, then what the operation needs, joined by colons".to_owned())
        })?;
        let mut parts = bearer.split(':').filter(|part| !part.is_empty());
        let project = parts.next().unwrap_or_default();
        if project != self.settings.project_id {
            return Err(refuse(format!(
                "The project of this emulator is {}, not {project}",
                self.settings.project_id
            )));
        }
        let mut parts: Vec<&str> = parts.collect();
        if rule == Auth::Management {
            return match parts.as_slice() {
                [key] if *key == self.settings.management_key => Ok(Caller::default()),
                [] => Err(refuse("Missing management key".to_owned())),
                _ => Err(refuse("Wrong management key".to_owned())),
            };
        }
        if let Some(key) = &self.settings.auth_management_key {
            match parts.iter().position(|part| part == key) {
                Some(at) => {
                    parts.remove(at);
                }
                None => return Err(refuse("The project's API is closed: the authorization must end with the auth management key".to_owned())),
            }
        }
        let token = parts.first().copied();
        let refresh = token
            .filter(|token| token.contains('.'))
            .or(call.refresh_cookie.as_deref());
        let needed = || ApiError::unauthorized("Missing refresh token");
        match rule {
            Auth::Open | Auth::Project | Auth::Management => Ok(Caller::default()),
            Auth::ProjectOrRefresh => {
                let options = call.fields().inner("loginOptions", "loginOptions.")?;
                if !options.flag("stepup")? && !options.flag("mfa")? {
                    return Ok(Caller::default());
                }
                let session = self.open_refresh(refresh.ok_or_else(needed)?)?;
                Ok(Caller {
                    session: Some(session),
                    ..Caller::default()
                })
            }
            Auth::Refresh => {
                let session = self.open_refresh(refresh.ok_or_else(needed)?)?;
                Ok(Caller {
                    session: Some(session),
                    ..Caller::default()
                })
            }
            Auth::MaybeRefresh => Ok(Caller {
                session: refresh.and_then(|token| self.open_refresh(token).ok()),
                ..Caller::default()
            }),
            Auth::Session => {
                let token = token.ok_or_else(|| ApiError::unauthorized("Missing session token"))?;
                Ok(Caller {
                    claims: Some(self.open_session(token)?),
                    ..Caller::default()
                })
            }
            Auth::AccessKey => {
                let secret = token.ok_or_else(ApiError::missing_access_key)?;
                let key = self
                    .settings
                    .access_keys
                    .iter()
                    .find(|key| key.secret == secret);
                Ok(Caller {
                    access_key: Some(key.ok_or_else(ApiError::invalid_access_key)?.id.clone()),
                    ..Caller::default()
                })
            }
        }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, value) = header.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| value.trim())
        .filter(|value| !value.is_empty())
}
