//! An emulator and clients that read its clock.

use std::time::{Duration, Instant, SystemTime};

use descope_magiclink::{Client, ClientBuilder, Clock, RefreshToken, SessionToken};
use descope_magiclink_emulator::{
    AccessKey, Emulator, EmulatorBuilder, Fault, FaultId, Tenant, TokenBuilder, User,
};

use super::signing::LONG;

pub(crate) const JOE: &str = "joe@example.com";

/// The emulator's clock as a client reads it.
#[derive(Debug)]
struct Wall {
    clock: descope_magiclink_emulator::Clock,
    start: (SystemTime, Instant),
}

impl Clock for Wall {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn instant(&self) -> Instant {
        let (wall, monotonic) = self.start;
        monotonic + self.clock.now().duration_since(wall).unwrap_or_default()
    }
}

pub(crate) struct Fixture {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(change: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let builder = Emulator::builder()
            .role("admin", ["invoice:read", "invoice:write"])
            .tenant(
                Tenant::new("acme")
                    .name("Acme Inc.")
                    .attribute("plan", "gold"),
            )
            .tenant(Tenant::new("umbrella"))
            .user(
                User::new(JOE)
                    .role("admin")
                    .tenant("acme", ["admin"])
                    .tenant("umbrella", Vec::<String>::new()),
            )
            .user(User::new("ann@example.com"))
            .access_key(AccessKey::new("K1", "access-key-secret").role("admin"));
        let emulator = change(builder).start().await.unwrap();
        emulator.clock().freeze();
        let client = Self::builder(&emulator).build().unwrap();
        Self { emulator, client }
    }

    pub(crate) fn builder(emulator: &Emulator) -> ClientBuilder {
        let clock = emulator.clock();
        let start = (clock.now(), clock_start());
        Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .timeout(LONG)
            .connect_timeout(LONG)
            .session_validation(|validation| validation.key_fetch_timeout(LONG))
            .clock(Wall { clock, start })
    }

    /// Another process of the same project.
    pub(crate) fn another_client(&self) -> Client {
        Self::builder(&self.emulator).build().unwrap()
    }

    pub(crate) fn mint(&self) -> TokenBuilder {
        self.emulator.tokens(JOE)
    }

    pub(crate) fn tokens(&self) -> (SessionToken, RefreshToken) {
        tokens_of(self.mint())
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.emulator.clock().advance(by);
    }

    /// Holds calls of an operation back until the fault is removed.
    pub(crate) fn hold(&self, operation: &str) -> FaultId {
        let hold = Fault::on(operation).hold();
        self.emulator.faults().add(hold).unwrap()
    }

    /// Calls of an operation so far.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.emulator.requests().count(operation)
    }

    pub(crate) fn refreshes(&self) -> usize {
        self.calls("RefreshSession") + self.calls("TryRefreshSession")
    }
}

pub(crate) fn tokens_of(mint: TokenBuilder) -> (SessionToken, RefreshToken) {
    let issued = mint.issue().unwrap();
    (
        SessionToken::new(issued.session_jwt()),
        RefreshToken::new(issued.refresh_jwt()),
    )
}

/// Some monotonic time to count from.
fn clock_start() -> Instant {
    descope_magiclink::SystemClock.instant()
}
