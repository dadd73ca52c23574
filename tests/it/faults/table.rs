//! Every fault of a server or of what stands before it, with what comes of it: the status is kept, the
//! deadline holds, nothing is sent twice, and no response takes up more memory than is allowed.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use descope_magiclink::Error;

use super::server::{Server, Wire, builder, client, read, read_request, sign_in};
use crate::session::signing::with_a_limit_that_fits;

/// What may stand in the sockets' buffers of a response that nobody reads.
const BUFFERS: usize = 24 * 1024 * 1024;
const HUGE: usize = 100 * 1024 * 1024;
const EARLY_HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
/// 10 MB of spaces.
static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
const USER: &str = r#"{"userId":"U1","loginIds":["joe@example.com"]}"#;

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Status(u16),
    Timeout,
    /// The connection broke.
    Broken,
    TooLarge,
    Unreadable,
}
use Outcome::{Broken, Status, Success, TooLarge, Unreadable};

fn outcome(result: &Result<(), Error>) -> Option<Outcome> {
    Some(match result {
        Ok(()) => Success,
        Err(Error::Api(error)) => Status(error.status().as_u16()),
        Err(Error::Timeout(_)) => Outcome::Timeout,
        Err(Error::Decode(_)) => Unreadable,
        Err(Error::Transport(error)) if error.is_too_large() => TooLarge,
        // Nothing was sent: the limit was too short for this machine.
        Err(error) if error.is_connect() => return None,
        Err(Error::Transport(_)) => Broken,
        Err(error) => panic!("{error:?}"),
    })
}

fn head(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}\r\n")
}

/// Every fault, and what comes of a call that may be sent once only, and of a read.
type Fault = (&'static str, fn(Wire, u16), Outcome, Outcome);

/// Those that end by themselves.
const ENDING: [Fault; 13] = [
    ("half-closed", |wire, _| wire.half_close(), Broken, Broken),
    (
        "reset before the head",
        |wire, _| wire.reset(),
        Broken,
        Broken,
    ),
    (
        "reset in the head",
        |mut wire, status| {
            wire.send(format!("HTTP/1.1 {status} X\r\ncontent-"));
            wire.reset();
        },
        Broken,
        Broken,
    ),
    (
        "reset in the body",
        |mut wire, status| {
            wire.send(head(status, "content-length: 100\r\n") + r#"{"userId":"#);
            wire.reset();
        },
        Success,
        Broken,
    ),
    (
        "truncated chunked",
        |mut wire, status| {
            wire.send(head(status, "transfer-encoding: chunked\r\n") + "20\r\n{\"userId\":");
        },
        Success,
        Broken,
    ),
    (
        "length too long",
        |mut wire, status| {
            let length = format!("content-length: {}\r\n", USER.len() + 1);
            wire.send(head(status, &length) + USER);
        },
        Success,
        Broken,
    ),
    (
        "length too short",
        |mut wire, status| {
            let length = format!("content-length: {}\r\n", USER.len() - 1);
            wire.send(head(status, &length) + USER);
        },
        Success,
        Unreadable,
    ),
    (
        "100 MB",
        |mut wire, status| {
            wire.send(head(status, &format!("content-length: {HUGE}\r\n")));
            let part = vec![b' '; 64 * 1024];
            for _ in 0..HUGE / part.len() {
                if !wire.send(&part) {
                    return;
                }
            }
        },
        Success,
        TooLarge,
    ),
    (
        "a bomb of headers",
        |mut wire, status| {
            wire.send(format!("HTTP/1.1 {status} X\r\n"));
            let line = format!("x-filler: {}\r\n", "x".repeat(1000));
            for _ in 0..HUGE / line.len() {
                if !wire.send(&line) {
                    return;
                }
            }
        },
        Broken,
        Broken,
    ),
    (
        "a bomb of one header",
        |mut wire, status| {
            wire.send(format!("HTTP/1.1 {status} X\r\nx-filler: "));
            let part = vec![b'x'; 64 * 1024];
            for _ in 0..HUGE / part.len() {
                if !wire.send(&part) {
                    return;
                }
            }
        },
        Broken,
        Broken,
    ),
    (
        "a bomb that was compressed",
        |mut wire, status| {
            let packed = BOMB.get_or_init(|| {
                let mut packer =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(&vec![b' '; HUGE / 10]).unwrap();
                packer.finish().unwrap()
            });
            wire.send(head(
                status,
                "content-encoding: gzip\r\nconnection: close\r\n",
            ));
            wire.send(packed);
        },
        Success,
        Unreadable,
    ),
    (
        "redirect",
        |mut wire, _| {
            let headers = "location: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n";
            wire.send(head(307, headers));
        },
        Status(307),
        Status(307),
    ),
    (
        "HTTP/1.0",
        |mut wire, status| {
            wire.send(format!("HTTP/1.0 {status} X\r\n\r\n{USER}"));
        },
        Success,
        Success,
    ),
];

/// Those that the client has to end.
const ENDLESS: [Fault; 5] = [
    (
        "black hole",
        |wire, _| wire.wait(),
        Outcome::Timeout,
        Outcome::Timeout,
    ),
    (
        "slow drip of the head",
        |mut wire, status| {
            wire.send(format!("HTTP/1.1 {status} X\r\nx: "));
            while wire.send("x") {
                std::thread::sleep(Duration::from_millis(5));
            }
        },
        Outcome::Timeout,
        Outcome::Timeout,
    ),
    (
        "slow drip of the body",
        |mut wire, status| {
            wire.send(head(status, "content-length: 1000000\r\n"));
            while wire.send(" ") {
                std::thread::sleep(Duration::from_millis(5));
            }
        },
        Success,
        Outcome::Timeout,
    ),
    (
        "a body that stops",
        |mut wire, status| {
            wire.send(head(status, "content-length: 1000000\r\n"));
            wire.wait();
        },
        Success,
        Outcome::Timeout,
    ),
    (
        "flood of 1xx",
        |mut wire, _| {
            while wire.send(EARLY_HINTS) {
                std::thread::sleep(Duration::from_micros(100));
            }
        },
        Outcome::Timeout,
        Outcome::Timeout,
    ),
];

/// What becomes of an outcome when the head says 503: where the head arrives, its status is all.
fn with_status(outcome: Outcome, head_arrives: bool) -> Outcome {
    if head_arrives { Status(503) } else { outcome }
}

#[tokio::test]
async fn what_ends_by_itself() {
    for (name, fault, once, of_read) in ENDING {
        // The head has arrived where the rest is of no importance to a call without a result.
        let head_arrives = once == Success;
        for status in [200, 503] {
            let what = format!("{name}, {status}");
            let (once, of_read) = if status == 200 {
                (once, of_read)
            } else {
                (
                    with_status(once, head_arrives),
                    with_status(of_read, head_arrives),
                )
            };
            let server = Server::start(move |wire| fault(wire, status));
            let result = sign_in(&client(&server.url)).await;
            assert_eq!(outcome(&result), Some(once), "{what}: {result:?}");
            assert_eq!(server.sends(), 1, "{what}: never twice");
            assert!(server.written() < BUFFERS, "{what}: {}", server.written());

            let server = Server::start(move |wire| fault(wire, status));
            let result = read(&client(&server.url)).await;
            assert_eq!(outcome(&result), Some(of_read), "{what}: {result:?}");
            let is_repeated = of_read == Broken || of_read == Status(503);
            let sends = if is_repeated { 3 } else { 1 };
            assert_eq!(server.sends(), sends, "{what}, read");
            assert!(server.written() < 3 * BUFFERS, "{what}, read");
        }
    }
}

/// The server never ends: that the call does is the proof of its deadline.
#[tokio::test]
async fn what_only_the_deadline_ends() {
    for (name, fault, once, of_read) in ENDLESS {
        let head_arrives = once == Success;
        for status in [200, 503] {
            for is_read in [false, true] {
                let what = format!("{name}, {status}, read: {is_read}");
                let expected = if is_read { of_read } else { once };
                let expected = match status {
                    200 => expected,
                    _ => with_status(expected, head_arrives),
                };
                with_a_limit_that_fits(async |limit| {
                    let server = Server::start(move |wire| fault(wire, status));
                    let client = builder(&server.url).timeout(limit).build().unwrap();
                    let result = if is_read {
                        read(&client).await
                    } else {
                        sign_in(&client).await
                    };
                    let outcome = outcome(&result)?;
                    if outcome == Outcome::Timeout
                        && (server.sends() == 0 || expected != Outcome::Timeout)
                    {
                        return None;
                    }
                    assert_eq!(outcome, expected, "{what}: {result:?}");
                    assert_eq!(server.sends(), 1, "{what}");
                    Some(())
                })
                .await;
            }
        }
    }
}

/// Nothing but informational responses, as fast as they are taken.
fn flood(mut wire: Wire) {
    let part = EARLY_HINTS.repeat(1000);
    while wire.send(&part) {}
}

/// The other process of the next test: makes a call that only its deadline ends, and tells how much more memory it
/// took up for that.
#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "part of another test"]
async fn one_call_to_a_flood() {
    // The most so far: to make an HTTP client takes more for a moment than it keeps.
    let memory = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<usize>().unwrap()
    };
    let Ok(settings) = std::env::var(FLOOD) else {
        return;
    };
    let (url, limit) = settings.split_once(' ').unwrap();
    let limit = Duration::from_millis(limit.parse().unwrap());
    #[cfg_attr(not(feature = "http2"), expect(unused_mut, reason = "changed below"))]
    let mut builder = builder(url).timeout(limit);
    #[cfg(feature = "http2")]
    if url.ends_with("/2") {
        builder = builder.http_client(super::http2::client());
    }
    let client = builder.build().unwrap();
    // The first call makes it.
    let hurried = client.with_timeout(Duration::from_millis(1));
    sign_in(&hurried).await.unwrap_err();
    let before = memory();
    let error = sign_in(&client).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    println!("\ngrown: {}", memory() - before);
}

/// What [`one_call_to_a_flood`] is told: where, and for how long.
#[cfg(target_os = "linux")]
const FLOOD: &str = "FAULTS_FLOOD";

/// The client drops informational responses where it reads them, and only its deadline ends that.
#[cfg(target_os = "linux")]
pub(super) async fn assert_flat(url: &str, written: impl Fn() -> usize) {
    const ENOUGH: usize = 16 * 1024 * 1024;
    with_a_limit_that_fits(async |limit| {
        let before = written();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["faults::table::one_call_to_a_flood", "--exact"])
            .args(["--ignored", "--nocapture"])
            .env(FLOOD, format!("{url} {}", limit.as_millis()))
            .output()
            .unwrap();
        let output = String::from_utf8(child.stdout).unwrap();
        let grown = output.lines().find_map(|line| line.strip_prefix("grown: "));
        let grown: usize = grown.expect(&output).parse().unwrap();
        let flooded = written() - before;
        assert!(grown < 8 * 1024, "{grown} kB for {flooded} bytes");
        (flooded >= ENOUGH).then_some(())
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_flood_of_informational_responses_takes_up_no_memory() {
    let server = Server::start(flood);
    assert_flat(&server.url, || server.written()).await;
}

/// All calls are sent by one thread: one that is flooded must not hold up the others.
#[tokio::test]
async fn other_calls_go_on_during_a_flood() {
    let flooding = Server::start(|mut wire| {
        while wire.send(EARLY_HINTS) {
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    let good = Server::start(|mut wire| {
        let length = format!("content-length: {}\r\nconnection: close\r\n", USER.len());
        wire.send(head(200, &length) + USER);
    });
    let flooded = client(&flooding.url);
    let flooded = tokio::spawn(async move { sign_in(&flooded).await });
    while flooding.written() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let client = client(&good.url);
    for _ in 0..3 {
        read(&client).await.unwrap();
    }
    assert!(!flooded.is_finished());
    flooded.abort();
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_as_no_connection() {
    // Longer than a part of a name may be, so that no server of names is asked.
    let url = format!("http://{}.localhost:1", "x".repeat(64));
    let error = sign_in(&client(&url)).await.unwrap_err();
    assert!(error.is_connect() && error.is_retryable(), "{error:?}");
    assert!(matches!(&error, Error::Transport(error) if !error.is_tls()));
}

/// A server that takes connections and never says hello.
#[cfg(all(
    not(feature = "http2"),
    any(feature = "rustls", feature = "native-tls")
))]
#[tokio::test]
async fn a_call_whose_time_is_over_while_it_connects_says_that_nothing_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    for limit in [1, 50] {
        let limit = Duration::from_millis(limit);
        let client = builder(&url).timeout(limit).build().unwrap();
        for result in [sign_in(&client).await, read(&client).await] {
            let error = result.unwrap_err();
            assert!(error.is_connect() && error.is_retryable(), "{error:?}");
            assert!(error.is_timeout(), "the limit was the call's: {error:?}");
            let text = format!(
                "no connection to the service could be made within {limit:?}; nothing was sent"
            );
            assert!(error.to_string().ends_with(&text), "{error}");
        }
    }
    let client = builder(&url).connect_timeout(Duration::from_millis(1));
    let error = sign_in(&client.build().unwrap()).await.unwrap_err();
    let text = "the service could not be reached; nothing was sent";
    assert!(error.to_string().ends_with(text), "{error}");
}

#[tokio::test]
async fn the_longest_limit_of_all_is_no_limit() {
    let server = Server::start(|mut wire| {
        let length = format!("content-length: {}\r\nconnection: close\r\n", USER.len());
        wire.send(head(200, &length) + USER);
    });
    let client = builder(&server.url).timeout(Duration::MAX).build().unwrap();
    read(&client).await.unwrap();
    sign_in(&client).await.unwrap();
}

/// Without TLS the connection is there at once, and what follows may have been sent.
#[tokio::test]
async fn a_call_whose_time_is_over_later_does_not_say_so() {
    with_a_limit_that_fits(async |limit| {
        let server = Server::start(Wire::wait);
        let client = builder(&server.url).timeout(limit).build().unwrap();
        let error = sign_in(&client).await.unwrap_err();
        if server.sends() == 0 {
            return None;
        }
        assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
        Some(())
    })
    .await;
}

/// A listener whose queue is full, so that the next connection is never made.
#[cfg(target_os = "linux")]
fn full_queue(listener: &std::net::TcpListener) -> Vec<std::net::TcpStream> {
    let address = listener.local_addr().unwrap();
    let fill = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
    std::iter::from_fn(fill).collect()
}

#[cfg(target_os = "linux")]
fn listener_without_queue() -> std::net::TcpListener {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&address.into()).unwrap();
    socket.listen(0).unwrap();
    socket.into()
}

#[cfg(all(target_os = "linux", not(feature = "http2")))]
#[tokio::test]
async fn a_connection_that_is_never_made_sends_nothing() {
    let listener = listener_without_queue();
    let _full = full_queue(&listener);
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = builder(&url).timeout(Duration::from_millis(50));
    let error = sign_in(&client.build().unwrap()).await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

/// The call looks for a connection and begins one of its own, which is never made; meanwhile another's becomes
/// idle, and carries it.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_went_over_anothers_connection_may_have_been_sent() {
    with_a_limit_that_fits(async |limit| {
        let listener = listener_without_queue();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = client(&url);
        let first = tokio::spawn({
            let client = client.clone();
            async move { sign_in(&client).await }
        });
        let (mut stream, _) = listener.accept().unwrap();
        assert!(read_request(&mut stream));
        let _full = full_queue(&listener);
        let second = tokio::spawn(async move { sign_in(&client.with_timeout(limit)).await });
        // Comes what may: begun or not, the call ends on the first one's connection.
        tokio::time::sleep(limit / 4).await;
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{USER}",
            USER.len()
        );
        stream.write_all(response.as_bytes()).unwrap();
        first.await.unwrap().unwrap();
        stream.set_read_timeout(Some(2 * limit)).unwrap();
        if !read_request(&mut stream) {
            return None;
        }
        let error = second.await.unwrap().unwrap_err();
        assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
        Some(())
    })
    .await;
}
