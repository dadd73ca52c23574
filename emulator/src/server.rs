//! A running emulator: its socket, its tasks, and the handle that owns them.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service as _;

use crate::builder::EmulatorBuilder;
use crate::error::StartError;
use crate::faults::Faults;
use crate::handles::{Clock, Keys, Mint, Snapshot, Stored, Users};
use crate::journal::Journal;
use crate::outbox::Outbox;
use crate::settings::Settings;
use crate::world::World;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
}

/// What the handle and the connections share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    world: Mutex<World>,
    changes: watch::Sender<u64>,
    closing: watch::Sender<bool>,
    initial: Snapshot,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("project_id", &self.settings.project_id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The state; a panic of another holder leaves nothing half done that would matter to a test.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever waits that the state may have changed.
    pub(crate) fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Becomes true when the emulator is to stop in good order.
    #[cfg(feature = "program")]
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Tells whoever shows the outbox to look again.
    #[cfg(feature = "program")]
    pub(crate) fn outbox_changed(&self) {
        let mut world = self.world();
        world.outbox_version = world.outbox_version.wrapping_add(1);
        drop(world);
        self.changed();
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            world: self.world().clone(),
        }
    }

    pub(crate) fn restore(&self, snapshot: &Snapshot) {
        let mut world = self.world();
        // Whoever follows the outbox must see that it changed, also when the count went back.
        let version = world
            .outbox_version
            .max(snapshot.world.outbox_version)
            .wrapping_add(1);
        *world = snapshot.world.clone();
        world.outbox_version = version;
        drop(world);
        self.changed();
    }

    pub(crate) fn reset(&self) {
        self.restore(&self.initial);
    }
}

/// A running emulator. Dropping it closes its socket and ends its tasks.
///
/// Every emulator has its own project, keys, users and port; many can run in one process.
///
/// ```
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let answer = reqwest::Client::new()
///     .post(format!("{}/v1/auth/magiclink/signup/email", emulator.base_url()))
///     .bearer_auth(emulator.project_id())
///     .json(&serde_json::json!({ "loginId": "joe@example.com" }))
///     .send()
///     .await?;
/// assert_eq!(answer.status(), 200);
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
        EmulatorBuilder::new()
    }

    pub(crate) async fn run(settings: Settings, address: SocketAddr) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        let world = World::new(&settings)?;
        let bind = |source| StartError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let initial = Snapshot {
            world: world.clone(),
        };
        let shared = Arc::new(Shared {
            settings,
            world: Mutex::new(world),
            changes: watch::Sender::new(0),
            closing: watch::Sender::new(false),
            initial,
        });
        let router = crate::http::router(&shared);
        let accepting = tokio::spawn(accept(listener, router, shared.closing.subscribe()));
        Ok(Self {
            shared,
            address,
            base_url: format!("http://{address}"),
            accepting,
        })
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
    pub fn journal(&self) -> Journal {
        Journal::new(Arc::clone(&self.shared))
    }

    /// Makes a session for a user without a login.
    pub fn mint(&self, login_id: impl Into<String>) -> Mint {
        Mint::new(Arc::clone(&self.shared), login_id.into())
    }

    /// How much is kept.
    #[must_use]
    pub fn stored(&self) -> Stored {
        Stored::of(&self.shared.world())
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
        self.shared.snapshot()
    }

    /// Goes back to a snapshot, clock, keys and outbox included.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.shared.restore(snapshot);
    }

    /// Goes back to the start: the seed, the first key, the real time.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Stops in good order: takes no new connections and lets requests finish, for at most `patience`.
    pub async fn shutdown(mut self, patience: Duration) {
        self.shared.closing.send_replace(true);
        if tokio::time::timeout(patience, &mut self.accepting)
            .await
            .is_err()
        {
            self.stop().await;
        }
    }

    /// Stops and waits until the port is free again. Dropping stops too, without waiting.
    pub async fn stop(mut self) {
        self.accepting.abort();
        // An aborted task answers with an error that says just that.
        let _ = (&mut self.accepting).await;
    }
}

/// Waits until the emulator is to stop; the borrow of the flag must not outlive this.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn accept(listener: TcpListener, router: Router, mut closing: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    connections.spawn(serve(stream, Peer { address }, router.clone(), closing.clone()));
                }
                // Out of file descriptors, or a connection that is gone already: pause and go on.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            () = closed(&mut closing) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, peer: Peer, router: Router, mut closing: watch::Receiver<bool>) {
    // Small answers must not wait for more; failing only makes them slower.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let io = Connection {
        stream,
        reset: Arc::clone(&reset),
    };
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let mut router = router.clone();
        let reset = Arc::clone(&reset);
        async move {
            let Ok(response) = router.call(request.map(Body::new)).await;
            if response.extensions().get::<Abort>().is_some() {
                reset.store(true, Ordering::Relaxed);
                return Err(Aborted);
            }
            Ok(response)
        }
    });
    let connection = http1::Builder::new()
        // The date is the emulator's, not the machine's.
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    // A connection that breaks is the client's doing.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = closed(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Marks an answer that must not be sent: the connection is reset instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abort;

#[derive(Debug, thiserror::Error)]
#[error("a fault asked for a reset")]
struct Aborted;

/// A connection that can end with a reset in place of an orderly close.
struct Connection {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Without it the close is orderly, which clients report in another way.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
