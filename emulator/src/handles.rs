//! What a test can do to a running emulator: move its clock, change its keys and users, mint tokens, go back in time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::clock::{millis, to_time};
use crate::error::{ApiError, StartError};
use crate::server::Shared;
use crate::settings::User;
use crate::world::World;
use crate::world::sessions::put_all;

/// A test asked for something that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ControlError(pub(crate) String);

impl From<ApiError> for ControlError {
    fn from(refused: ApiError) -> Self {
        Self(refused.message)
    }
}

impl From<StartError> for ControlError {
    fn from(reason: StartError) -> Self {
        Self(reason.to_string())
    }
}

/// The time of one emulator, used for every check: links, tokens, sessions and rate limits.
///
/// It follows the real time until it is moved. A client that validates tokens locally has its own clock, which does
/// not move with this one.
///
/// ```
/// # use std::time::Duration;
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let before = emulator.clock().now();
/// emulator.clock().advance(Duration::from_secs(3600));
/// assert!(emulator.clock().now() >= before + Duration::from_secs(3600));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

impl Clock {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        to_time(self.shared.world().time.now())
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        self.shared.world().time.advance(millis(by));
    }

    /// Moves backward.
    pub fn rewind(&self, by: Duration) {
        self.shared
            .world()
            .time
            .advance(millis(by).saturating_neg());
    }

    /// Moves to a time.
    pub fn set(&self, to: SystemTime) {
        self.shared.world().time.set(to);
    }

    /// Stands still until [`Clock::resume`]; the other methods still move it.
    pub fn freeze(&self) {
        self.shared.world().time.freeze();
    }

    /// Runs on from where it stands.
    pub fn resume(&self) {
        self.shared.world().time.resume();
    }

    /// Follows the real time again.
    pub fn follow_real_time(&self) {
        self.shared.world().time.follow_real_time();
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.shared.world().time.is_frozen()
    }
}

/// The signing keys of one emulator.
///
/// ```
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let new = emulator.keys().rotate()?;
/// assert_eq!(emulator.keys().ids().len(), 2);
/// assert_eq!(emulator.keys().ids().first(), Some(&new));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

impl Keys {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The key ids, the one that signs first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.shared.world().keys.kids()
    }

    /// A new key signs from now on; older ones stay published for twelve rotations. Gives the new key id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no key could be made.
    pub fn rotate(&self) -> Result<String, ControlError> {
        Ok(self.shared.world().keys.rotate()?)
    }

    /// A new key signs from now on, the older ones are gone, and every session has ended. Gives the new key id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no key could be made.
    pub fn rotate_and_revoke(&self) -> Result<String, ControlError> {
        let mut world = self.shared.world();
        let kid = world.keys.rotate()?;
        world.keys.keep_current_only();
        world.sessions.end_all();
        Ok(kid)
    }

    /// Removes a key: it is no longer published, and tokens that it signed are refused.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when there is no such key.
    pub fn revoke(&self, key_id: &str) -> Result<(), ControlError> {
        if self.shared.world().keys.remove(key_id) {
            return Ok(());
        }
        Err(ControlError(format!("there is no key {key_id}")))
    }

    /// Leaves a key out of the published set while it goes on signing.
    pub fn hide(&self, key_id: &str) {
        self.shared.world().keys.hide(key_id);
    }

    /// Answers this JSON in place of the key set, until [`Keys::restore`].
    ///
    /// For a broken answer below JSON, put a [`Fault`](crate::Fault) on the operation `GetKeysV2`.
    pub fn publish_instead(&self, body: Value) {
        self.shared.world().keys.serve(Some(body));
    }

    /// Publishes the real key set again, hidden keys included.
    pub fn restore(&self) {
        self.shared.world().keys.serve(None);
    }

    /// The key set as it is published now.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when a key could not be made.
    pub fn published(&self) -> Result<Value, ControlError> {
        Ok(self.shared.world().keys.published()?)
    }
}

/// The users of one emulator.
///
/// ```
/// # use descope_magiclink_emulator::{Emulator, User};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// emulator.users().add(User::new("joe@example.com").name("Joe Person"))?;
/// let joe = emulator.users().get("joe@example.com").ok_or("no such user")?;
/// assert_eq!(joe["name"], "Joe Person");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Users {
    shared: Arc<Shared>,
}

impl Users {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a user. Gives the user id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when a login id is empty or taken, or there are too many users.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a user is made for the call; a reference reads worse"
    )]
    pub fn add(&self, user: User) -> Result<String, ControlError> {
        Ok(self.shared.world().seed_user(&user)?)
    }

    /// The user with a login id, as the service shows them.
    #[must_use]
    pub fn get(&self, login_id: &str) -> Option<Value> {
        let world = self.shared.world();
        world
            .users
            .by_login_id(login_id)
            .map(|person| world.user_json(person))
    }

    /// All users, as the service shows them, in no particular order.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        let world = self.shared.world();
        world
            .users
            .all()
            .map(|person| world.user_json(person))
            .collect()
    }

    /// How many users there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.world().users.len()
    }

    /// Deletes a user and ends their sessions.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no user has this login id.
    pub fn remove(&self, login_id: &str) -> Result<(), ControlError> {
        let mut world = self.shared.world();
        let id = world
            .users
            .owner(login_id)
            .ok_or_else(|| no_user(login_id))?
            .to_owned();
        world.remove_user(&id);
        Ok(())
    }
}

fn no_user(login_id: &str) -> ControlError {
    ControlError(format!(
        "no user has the login id {login_id}; add one with users().add"
    ))
}

/// The tokens of a session, made without a login. `Debug` leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct Minted {
    session: String,
    refresh: String,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").finish_non_exhaustive()
    }
}

impl Minted {
    /// The session token.
    #[must_use]
    pub fn session_jwt(&self) -> &str {
        &self.session
    }

    /// The refresh token, for a session that the emulator knows.
    #[must_use]
    pub fn refresh_jwt(&self) -> &str {
        &self.refresh
    }

    /// Both tokens as the `Cookie` header of a browser that is signed in: in `__Host-DS` and
    /// `__Host-DSR`, the default names of `descope-magiclink-web`.
    ///
    /// ```
    /// # use descope_magiclink_emulator::{Emulator, User};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::builder().user(User::new("joe@example.com")).start().await?;
    /// let minted = emulator.mint("joe@example.com").tokens()?;
    /// assert!(minted.cookie_header().starts_with("__Host-DS="));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cookie_header(&self) -> String {
        let (session, refresh) = (&self.session, &self.refresh);
        format!("__Host-DS={session}; __Host-DSR={refresh}")
    }
}

/// How minted tokens differ from real ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Expired,
    Forged,
}

/// A session to be made without a login, good or with a flaw.
///
/// ```
/// # use descope_magiclink_emulator::{Emulator, User};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::builder().user(User::new("joe@example.com")).start().await?;
/// let good = emulator.mint("joe@example.com").claim("plan", "pro").tokens()?;
/// let forged = emulator.mint("joe@example.com").forged().tokens()?;
/// let expired = emulator.mint("joe@example.com").expired().tokens()?;
/// let stranger = emulator.mint("joe@example.com").issuer("P2OtherProject").tokens()?;
/// # let _ = (good, forged, expired, stranger);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is minted until `tokens` is called"]
pub struct Mint {
    shared: Arc<Shared>,
    login_id: String,
    amr: Vec<String>,
    tenant: Option<String>,
    flaw: Option<Flaw>,
    overrides: Map<String, Value>,
}

impl Mint {
    pub(crate) fn new(shared: Arc<Shared>, login_id: String) -> Self {
        Self {
            shared,
            login_id,
            amr: vec!["email".to_owned()],
            tenant: None,
            flaw: None,
            overrides: Map::new(),
        }
    }

    /// The `amr` claim. `["email"]` unless set.
    pub fn amr(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.amr = methods.into_iter().map(Into::into).collect();
        self
    }

    /// The tenant that the session is bound to.
    pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant = Some(tenant_id.into());
        self
    }

    /// Sets a claim of both tokens, over the real value; `null` takes the claim out.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.overrides.insert(name.into(), value.into());
        self
    }

    /// The `iss` of both tokens, in place of the project's.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// Both tokens expired one hour ago.
    pub fn expired(mut self) -> Self {
        self.flaw = Some(Flaw::Expired);
        self
    }

    /// Both tokens are signed by a key that is not the project's, under its key id.
    pub fn forged(mut self) -> Self {
        self.flaw = Some(Flaw::Forged);
        self
    }

    /// Makes the session and its tokens.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no user has the login id, or every signing key was revoked.
    pub fn tokens(self) -> Result<Minted, ControlError> {
        self.shared
            .world()
            .at_one_moment(|world| self.tokens_of(world))
    }

    fn tokens_of(&self, world: &mut World) -> Result<Minted, ControlError> {
        let user = world
            .users
            .owner(&self.login_id)
            .ok_or_else(|| no_user(&self.login_id))?
            .to_owned();
        let id = world.new_session(&user, self.amr.clone(), self.tenant.clone(), Map::new())?;
        let session = world.session_claims(&id)?;
        let refresh = world.refresh_claims(&id)?;
        Ok(Minted {
            session: self.sign(world, session)?,
            refresh: self.sign(world, refresh)?,
        })
    }

    fn sign(&self, world: &World, mut claims: Map<String, Value>) -> Result<String, ControlError> {
        if self.flaw == Some(Flaw::Expired) {
            let now = world.time.seconds();
            put_all(
                &mut claims,
                serde_json::json!({ "iat": now - 7200, "exp": now - 3600 }),
            );
        }
        for (name, value) in self.overrides.clone() {
            if value.is_null() {
                claims.remove(&name);
            } else {
                claims.insert(name, value);
            }
        }
        let token = match self.flaw {
            Some(Flaw::Forged) => world.keys.forge(&claims),
            _ => world.keys.sign(&claims),
        };
        Ok(token?)
    }
}

/// How much an emulator holds, for tests of long runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Messages in the outbox.
    pub messages: usize,
    /// Links that were issued.
    pub links: usize,
    /// Sessions.
    pub sessions: usize,
    /// Users.
    pub users: usize,
    /// Requests in the journal.
    pub journal: usize,
}

/// The state of an emulator at one moment, to go back to.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) world: World,
}

impl Stored {
    pub(crate) fn of(world: &World) -> Self {
        Self {
            messages: world.outbox.len(),
            links: world.links.len(),
            sessions: world.sessions.len(),
            users: world.users.len(),
            journal: world.journal.len(),
        }
    }
}
