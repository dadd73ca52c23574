//! A key endpoint on a real socket that counts its requests and misbehaves on demand.
//!
//! It runs in a thread of its own, so that the tasks of a test's runtime are those of the client alone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use descope_magiclink::Clock as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// What the endpoint does with a request.
#[derive(Clone)]
pub(crate) enum KeyResponse {
    /// 200 with this body.
    Body(String),
    /// 200 with this body, once `KeyServer::release` was called.
    Held(String),
    /// Any status, extra header lines (each ending in CRLF) and body.
    Raw(u16, String, String),
    /// 200 with a body of so many bytes, with or without a length told in advance.
    Huge { bytes: usize, told: bool },
    /// 200 and then a byte now and then, for ever.
    Drip,
    /// Accepts the connection and says nothing.
    Silent,
    /// Closes the connection without a response.
    Hangup,
}

pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// Its end stops the server.
    _running: oneshot::Sender<()>,
}

struct Shared {
    requests: AtomicUsize,
    response: Mutex<KeyResponse>,
    /// Responses of their own for requests whose head has this text.
    responses: Mutex<Vec<(&'static str, KeyResponse)>>,
    heads: Mutex<Vec<String>>,
    /// The first so many requests are no longer held.
    released: watch::Sender<usize>,
}

impl KeyServer {
    pub(crate) async fn start(response: KeyResponse) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: AtomicUsize::new(0),
            response: Mutex::new(response),
            responses: Mutex::default(),
            heads: Mutex::default(),
            released: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        let (running, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        tokio::spawn(serve(stream, Arc::clone(&serving)));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            shared,
            _running: running,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn respond(&self, response: KeyResponse) {
        *self.shared.response.lock().unwrap() = response;
    }

    /// Responds differently to requests whose head has this text.
    pub(crate) fn respond_to(&self, text: &'static str, response: KeyResponse) {
        let mut responses = self.shared.responses.lock().unwrap();
        responses.retain(|(other, _)| *other != text);
        responses.push((text, response));
    }

    /// Requests so far whose head has this text.
    pub(crate) fn requests_of(&self, text: &str) -> usize {
        let heads = self.heads();
        heads.iter().filter(|head| head.contains(text)).count()
    }

    /// The request lines and headers so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// Releases all requests that are held so far.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(self.requests());
    }

    /// Waits until there were so many requests.
    pub(crate) async fn reached(&self, requests: usize) {
        while self.requests() < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let own = {
            let responses = shared.responses.lock().unwrap();
            let own = responses.iter().find(|(text, _)| head.contains(text));
            own.map(|(_, respond)| respond.clone())
        };
        shared.heads.lock().unwrap().push(head);
        let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let respond = own.unwrap_or_else(|| shared.response.lock().unwrap().clone());
        let text = match respond {
            KeyResponse::Body(body) => response(200, "", &body),
            KeyResponse::Held(body) => {
                let mut released = shared.released.subscribe();
                released.wait_for(|first| *first >= number).await.unwrap();
                response(200, "", &body)
            }
            KeyResponse::Raw(status, headers, body) => response(status, &headers, &body),
            KeyResponse::Huge { bytes, told } => {
                let length = if told {
                    format!("Content-Length: {bytes}\r\n")
                } else {
                    String::new()
                };
                let head = format!("HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n");
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                let chunk = vec![b' '; 64 * 1024];
                for _ in 0..bytes / chunk.len() {
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                return;
            }
            KeyResponse::Drip => {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            KeyResponse::Silent => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                return;
            }
            KeyResponse::Hangup => return,
        };
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// With a `Date` of the machine's clock, unless the headers have one. No connection is used twice: when the client has
/// the response, nothing of it is left.
fn response(status: u16, headers: &str, body: &str) -> String {
    let date = if headers.contains("Date: ") {
        String::new()
    } else {
        date(descope_magiclink::SystemClock.now())
    };
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{date}{headers}\r\n{body}",
        body.len()
    )
}

/// The header line that says what time it is.
pub(crate) fn date(now: SystemTime) -> String {
    format!("Date: {}\r\n", httpdate::fmt_http_date(now))
}
