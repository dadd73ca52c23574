//! Streams that the other end of HTTP/2 refuses.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use descope_magiclink::Client;

use super::server::{builder, sign_in};

const CANCEL: u8 = 8;
const REFUSED_STREAM: u8 = 7;

/// A server that resets the first streams with an error code and responds to those after them.
struct Http2Server {
    url: String,
    streams: Arc<AtomicUsize>,
}

impl Http2Server {
    fn start(resets: usize, code: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let streams = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&streams);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    // An error is the client's going.
                    let _ = serve(&mut stream, &counted, resets, code);
                });
            }
        });
        Self { url, streams }
    }

    fn client(&self) -> Client {
        let builder = builder(&self.url).http_client(client());
        builder.build().unwrap()
    }

    fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }
}

/// Speaks HTTP/2 without asking.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .http2_prior_knowledge()
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
        .unwrap()
}

/// A frame of RFC 9113 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A server that has nothing but informational responses for a stream.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_of_informational_responses_takes_up_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/2", listener.local_addr().unwrap());
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || -> std::io::Result<()> {
                stream.read_exact(&mut [0; 24])?;
                stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
                stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?;
                // The request.
                let _ = stream.read(&mut [0; 4096])?;
                // `:status: 103` in HPACK, without indexing.
                let hint = frame(HEADERS, END_HEADERS, 1, b"\x08\x03103");
                let part = hint.repeat(1000);
                loop {
                    stream.write_all(&part)?;
                    counted.fetch_add(part.len(), Ordering::SeqCst);
                }
            });
        }
    });
    super::table::assert_flat(&url, || written.load(Ordering::SeqCst)).await;
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn serve(
    stream: &mut TcpStream,
    streams: &AtomicUsize,
    resets: usize,
    code: u8,
) -> std::io::Result<()> {
    const DATA: u8 = 0;
    const RST_STREAM: u8 = 3;
    const END_STREAM: u8 = 1;
    stream.read_exact(&mut [0; 24])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload)?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        match (head[3], head[4]) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            (HEADERS, _) => {
                let number = streams.fetch_add(1, Ordering::SeqCst) + 1;
                if number <= resets {
                    stream.write_all(&frame(RST_STREAM, 0, id, &[0, 0, 0, code]))?;
                } else {
                    // `:status: 200` in HPACK's static table.
                    stream.write_all(&frame(HEADERS, END_HEADERS, id, &[0x88]))?;
                    stream.write_all(&frame(DATA, END_STREAM, id, b"{}"))?;
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_stream_that_was_refused_is_sent_again() {
    let server = Http2Server::start(2, REFUSED_STREAM);
    sign_in(&server.client()).await.unwrap();
    assert_eq!(server.streams(), 3);
}

#[tokio::test]
async fn streams_that_are_always_refused_had_no_effect() {
    let server = Http2Server::start(usize::MAX, REFUSED_STREAM);
    let error = sign_in(&server.client()).await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable(), "{error:?}");
    let text = "the service refused the request before it looked at it";
    assert!(error.to_string().ends_with(text), "{error}");
    assert_eq!(server.streams(), 3);
}

#[tokio::test]
async fn a_stream_that_was_reset_otherwise_may_have_been_processed() {
    let server = Http2Server::start(usize::MAX, CANCEL);
    let error = sign_in(&server.client()).await.unwrap_err();
    assert!(!error.is_connect(), "{error:?}");
    assert_eq!(server.streams(), 1);
}
