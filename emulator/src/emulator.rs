//! A running emulator: the handle that owns its socket and its tasks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::builder::EmulatorBuilder;
use crate::error::StartError;
use crate::handles::clock::Clock;
use crate::handles::faults::Faults;
use crate::handles::keys::Keys;
use crate::handles::outbox::Outbox;
use crate::handles::project::Project;
use crate::handles::requests::RequestLog;
use crate::handles::snapshot::{Snapshot, Stats};
use crate::handles::tokens::TokenBuilder;
use crate::handles::users::Users;
use crate::server;
use crate::service::Service;
use crate::state::State;
use crate::state::shared::{Callbacks, Shared};

/// A running emulator. Dropping it closes its socket and ends its tasks.
///
/// Every emulator has its own project, keys, users and port; many can run in one process.
///
/// ```
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let response = reqwest::Client::builder()
///     .no_proxy()
///     .build()?
///     .post(format!("{}/v1/auth/magiclink/signup/email", emulator.base_url()))
///     .bearer_auth(emulator.project_id())
///     .json(&serde_json::json!({ "loginId": "joe@example.com" }))
///     .send()
///     .await?;
/// assert_eq!(response.status(), 200);
///
/// let message = emulator.outbox().next_for("joe@example.com").await?;
/// assert!(message.link().contains(message.token()));
/// # Ok(())
/// # }
/// ```
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    base_url: String,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("base_url", &self.base_url)
            .field("project_id", &self.shared.settings.project_id)
            .finish_non_exhaustive()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // The task owns the listener and every connection, so all of them end with it.
        self.accepting.abort();
    }
}

impl Emulator {
    /// Starts an emulator with the usual settings on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`StartError`] when no port or no signing key can be had.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Settings and seed for an emulator.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    pub(crate) async fn run(state: State, callbacks: Callbacks) -> Result<Self, StartError> {
        let address = state.settings.address;
        let bind = |source| StartError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let shared = Shared::new(state, callbacks);
        let service = Arc::new(Service::new(Arc::clone(&shared)));
        let accepting = tokio::spawn(server::accept(listener, service, shared.closing()));
        Ok(Self {
            shared,
            address,
            base_url: format!("http://{address}"),
            accepting,
        })
    }

    #[cfg(feature = "program")]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The base URL to give to a client, such as `http://127.0.0.1:41233`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address that the emulator listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The project id, which every call carries.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.shared.settings.project_id
    }

    /// The management key, for management calls.
    #[must_use]
    pub fn management_key(&self) -> &str {
        &self.shared.settings.management_key
    }

    /// The messages that were sent.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::new(Arc::clone(&self.shared))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::new(Arc::clone(&self.shared))
    }

    /// The signing keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::new(Arc::clone(&self.shared))
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(Arc::clone(&self.shared))
    }

    /// The faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.shared))
    }

    /// The requests that came.
    #[must_use]
    pub fn requests(&self) -> RequestLog {
        RequestLog::new(Arc::clone(&self.shared))
    }

    /// Roles, tenants, templates and access keys.
    #[must_use]
    pub fn project(&self) -> Project {
        Project::new(Arc::clone(&self.shared))
    }

    /// Makes a session for a user without a login.
    pub fn tokens(&self, login_id: impl Into<String>) -> TokenBuilder {
        TokenBuilder::new(Arc::clone(&self.shared), login_id.into())
    }

    /// How much is kept.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.shared)
    }

    /// The state now, to go back to with [`Emulator::restore`].
    ///
    /// ```
    /// # use descope_magiclink_emulator::{Emulator, User};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::start().await?;
    /// let before = emulator.snapshot();
    /// emulator.users().add(User::new("joe@example.com"))?;
    /// emulator.restore(&before);
    /// assert!(emulator.users().get("joe@example.com").is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.shared.snapshot(),
        }
    }

    /// Goes back to a snapshot, clock, keys and outbox included.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.shared.restore(&snapshot.state);
    }

    /// Goes back to the start: the seed, the first key, the real time.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Stops in good order: takes no new connections, lets requests finish and tells the callbacks of them, for at most
    /// `patience`.
    pub async fn shutdown(mut self, patience: Duration) {
        self.shared.close();
        let finished = async {
            // The task only ends.
            let _ = (&mut self.accepting).await;
            self.shared.flush_events().await;
        };
        if tokio::time::timeout(patience, finished).await.is_err() {
            self.stop().await;
        }
    }

    /// Stops and waits until the port is free again. Dropping stops too, without waiting.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // An aborted task responds with an error that says just that.
        let _ = (&mut self.accepting).await;
    }
}
