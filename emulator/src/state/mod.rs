//! The state of one emulated project. Knows nothing of HTTP, nor of operations.

pub(crate) mod bounded;
pub(crate) mod clock;
pub(crate) mod faults;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod messages;
pub(crate) mod project;
pub(crate) mod requests;
#[cfg(feature = "program")]
pub(crate) mod saved;
pub(crate) mod sessions;
pub(crate) mod shared;
pub(crate) mod tokens;
pub(crate) mod users;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{ApiError, StartError};
use crate::random;
use crate::settings::{Settings, User};
use bounded::Bound;
use clock::{Millis, Time, millis};
use faults::FaultList;
use keys::KeyRing;
use links::{Action, Link, Links};
use messages::{Channel, Messages};
use project::Project;
use requests::Requests;
use sessions::Sessions;
use users::{Status, UserRecord, Users};

/// Everything that a snapshot keeps.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) settings: Arc<Settings>,
    pub(crate) time: Time,
    pub(crate) keys: KeyRing,
    pub(crate) project: Project,
    pub(crate) users: Users,
    pub(crate) links: Links,
    pub(crate) sessions: Sessions,
    pub(crate) messages: Messages,
    pub(crate) faults: FaultList,
    pub(crate) requests: Requests,
    /// When the current window of each rate limit began, and how many requests it has seen.
    windows: HashMap<usize, (Millis, u32)>,
}

impl State {
    pub(crate) fn new(settings: &Arc<Settings>) -> Result<Self, StartError> {
        let refuse = |setting, problem| StartError::Setting { setting, problem };
        let mut state = Self {
            time: Time::default(),
            keys: KeyRing::new(settings.signing_algorithm, settings.signing_key.as_deref())?,
            project: Project::new(settings).map_err(|problem| refuse("access_key", problem))?,
            users: Users::default(),
            links: Links::default(),
            sessions: Sessions::default(),
            messages: Messages::default(),
            faults: FaultList::default(),
            requests: Requests::default(),
            windows: HashMap::new(),
            settings: Arc::clone(settings),
        };
        for user in &settings.users {
            state
                .add_user(user)
                .map_err(|refused| refuse("user", refused.message))?;
        }
        Ok(state)
    }

    /// Does something at one moment: what is read off the clock twice is the same both times.
    pub(crate) fn at_one_moment<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let running = self.time;
        self.time.freeze();
        let done = act(self);
        self.time = running;
        done
    }

    /// How many of a kind may be kept, by its limit.
    pub(crate) fn bound(&self, count: usize) -> Bound {
        Bound {
            count,
            bytes: self.settings.limits.bytes,
        }
    }

    /// About how many bytes everything takes that grows.
    pub(crate) fn bytes(&self) -> usize {
        self.users.bytes()
            + self.links.bytes()
            + self.sessions.bytes()
            + self.messages.kept.bytes()
            + self.requests.kept.bytes()
    }

    /// Counts a request against the rate limits, in fixed windows of the emulator's clock.
    pub(crate) fn count_request(&mut self, operation: &str) -> Result<(), ApiError> {
        let now = self.time.now();
        for (index, limit) in self.settings.rate_limits.iter().enumerate() {
            if limit.operation.as_deref().is_some_and(|id| id != operation) {
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

    /// A new user under a login id that is free; the caller fills in the rest and inserts.
    pub(crate) fn new_user(&self, login_id: &str) -> Result<UserRecord, ApiError> {
        let limits = self.settings.limits;
        if self.users.len() >= limits.users {
            return Err(ApiError::full(&format!("{} users", limits.users)));
        }
        if self.users.bytes() >= limits.bytes {
            return Err(ApiError::full(&format!("{} bytes of users", limits.bytes)));
        }
        Ok(UserRecord::new(
            random::id("U")?,
            login_id.to_owned(),
            self.time.seconds(),
        ))
    }

    /// Adds a user of the seed or of a test. Gives the user id.
    pub(crate) fn add_user(&mut self, user: &User) -> Result<String, ApiError> {
        let mut login_ids = vec![user.login_id.clone()];
        login_ids.extend(user.more_login_ids.iter().cloned());
        for login_id in &login_ids {
            if login_id.is_empty() {
                return Err(ApiError::invalid("a login id is empty"));
            }
            if self.users.owner(login_id).is_some() {
                return Err(ApiError::invalid(format!(
                    "the login id {login_id} is taken"
                )));
            }
        }
        self.project
            .admit(&user.roles, &user.tenants)
            .map_err(ApiError::invalid)?;
        let mut record = self.new_user(&user.login_id)?;
        record.login_ids = login_ids;
        for (name, value) in [
            ("name", &user.name),
            ("email", &user.email),
            ("phone", &user.phone),
        ] {
            if let Some(value) = value {
                record.profile.insert(name.to_owned(), value.clone());
            }
        }
        record.fill_addresses();
        for member in ["email", "phone"] {
            record.set_verified(member, !user.unverified);
        }
        record.roles.clone_from(&user.roles);
        record.tenants.clone_from(&user.tenants);
        record.status = if user.disabled {
            Status::Disabled
        } else {
            Status::Enabled
        };
        record.test = user.test;
        record.attributes = user.attributes.clone();
        record.claims = user.claims.clone();
        let id = record.id.clone();
        self.users.insert(record);
        Ok(id)
    }

    /// Removes a user and ends their sessions.
    pub(crate) fn remove_user(&mut self, id: &str) -> bool {
        self.sessions.end_of_user(id, None);
        self.users.remove(id).is_some()
    }

    /// A new link that can be verified until `lifetime` has passed: its token, and when it ends.
    pub(crate) fn issue_link(
        &mut self,
        user_id: String,
        channel: Channel,
        action: Action,
        lifetime: Millis,
    ) -> Result<(String, Millis), ApiError> {
        let token = random::link_token()?;
        let expires_at = self.time.now().saturating_add(lifetime);
        let link = Link {
            token: token.clone(),
            user_id,
            channel,
            action,
            expires_at,
            used: false,
        };
        let bound = self.bound(self.settings.limits.links);
        self.links.push(link, bound);
        Ok((token, expires_at))
    }
}
