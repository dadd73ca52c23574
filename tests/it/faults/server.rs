//! A server whose every response is a fault, and what came of the calls.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use descope_magiclink::{Client, ClientBuilder, DeliveryMethod, Error, RefreshToken};

use crate::support::PROJECT;

pub(super) const LONG: Duration = Duration::from_secs(3600);

/// The server's end of a connection on which a request has come.
pub(super) struct Wire {
    stream: TcpStream,
    written: Arc<AtomicUsize>,
}

impl Wire {
    /// Whether the client still takes it.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        let sent = self.stream.write_all(bytes).is_ok();
        if sent {
            self.written.fetch_add(bytes.len(), Ordering::SeqCst);
        }
        sent
    }

    /// Says no more, and waits until the client goes.
    pub(super) fn wait(mut self) {
        let _ = self.stream.read(&mut [0]);
    }

    pub(super) fn half_close(self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self.wait();
    }

    /// Closes with a reset.
    pub(super) fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

pub(super) struct Server {
    pub(super) url: String,
    sends: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Server {
    pub(super) fn start(respond: impl Fn(Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sends, written) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let respond = Arc::new(respond);
        let (counted, bytes) = (Arc::clone(&sends), Arc::clone(&written));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (counted, written) = (Arc::clone(&counted), Arc::clone(&bytes));
                let respond = Arc::clone(&respond);
                std::thread::spawn(move || {
                    if read_request(&mut stream) {
                        counted.fetch_add(1, Ordering::SeqCst);
                        respond(Wire { stream, written });
                    }
                });
            }
        });
        Self {
            url,
            sends,
            written,
        }
    }

    /// How many requests have come.
    pub(super) fn sends(&self) -> usize {
        self.sends.load(Ordering::SeqCst)
    }

    /// How many bytes of responses have gone, into the sockets' buffers at least.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::SeqCst)
    }
}

/// Reads a request: a `GET`, or one whose body is known to end with a brace.
pub(super) fn read_request(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
        if bytes.ends_with(b"}") || (bytes.starts_with(b"GET") && bytes.ends_with(b"\r\n\r\n")) {
            return true;
        }
    }
}

/// A client that waits as long as it takes.
pub(super) fn builder(url: &str) -> ClientBuilder {
    Client::builder(PROJECT)
        .base_url(url)
        .timeout(LONG)
        .connect_timeout(LONG)
}

pub(super) fn client(url: &str) -> Client {
    builder(url).build().unwrap()
}

/// What may be sent once only.
pub(super) async fn sign_in(client: &Client) -> Result<(), Error> {
    let magic_link = client.magic_link();
    let call = magic_link.sign_in(DeliveryMethod::Email, "joe@example.com");
    call.send().await.map(drop)
}

/// What may be repeated.
pub(super) async fn read(client: &Client) -> Result<(), Error> {
    let token = RefreshToken::new("token");
    client.sessions().me(&token).await.map(drop)
}
