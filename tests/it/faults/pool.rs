//! Connections that wait in the pool, and the runtimes of the callers.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::server::{client, read_request, sign_in};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
/// The address of the server, for the part of a test that runs in a process of its own.
const SERVER: &str = "FAULTS_SERVER";

/// A server that closes each connection after its first response and tells when the client has done so too.
fn closing_server() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (closed, is_closed) = mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if read_request(&mut stream) {
                stream.write_all(RESPONSE).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
            // A client that does not look does not close: it is not waited for for ever.
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let _ = stream.read(&mut [0]);
            let _ = closed.send(());
        }
    });
    (url, is_closed)
}

/// A server that keeps its connections and counts requests.
fn keeping_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                while read_request(&mut stream) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(RESPONSE).unwrap();
                }
            });
        }
    });
    (url, requests)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// As a command-line tool does: between the calls nobody polls the runtime.
#[test]
fn a_connection_that_the_server_closed_between_two_calls_is_not_used() {
    let (url, is_closed) = closing_server();
    let (client, runtime) = (client(&url), runtime());
    for _ in 0..20 {
        runtime.block_on(sign_in(&client)).unwrap();
        is_closed.recv().unwrap();
    }
}

/// The other process of the next test.
#[test]
#[ignore = "part of another test"]
fn two_calls_with_a_pause() {
    let Ok(url) = std::env::var(SERVER) else {
        return;
    };
    let (client, runtime) = (client(&url), runtime());
    for line in std::io::stdin().lines() {
        assert_eq!(line.unwrap(), "call");
        let outcome = runtime.block_on(sign_in(&client));
        println!("outcome: {outcome:?}");
    }
}

/// As a serverless process that is frozen between two requests: even its threads stand still.
#[cfg(unix)]
#[test]
fn a_connection_that_was_closed_while_the_process_was_frozen_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["faults::pool::two_calls_with_a_pause", "--exact"])
        .args(["--ignored", "--nocapture", "--test-threads=1"])
        .env(SERVER, format!("http://{}", listener.local_addr().unwrap()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let mut outcome = || {
        lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| Some(line.split_once("outcome: ")?.1.to_owned()))
    };
    let signal = |name: &str| {
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let respond = || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(read_request(&mut stream));
        stream.write_all(RESPONSE).unwrap();
        stream
    };
    input.write_all(b"call\n").unwrap();
    for _ in 0..10 {
        let stream = respond();
        assert_eq!(outcome().unwrap(), "Ok(())");
        signal("-STOP");
        drop(stream);
        input.write_all(b"call\n").unwrap();
        signal("-CONT");
    }
    respond();
    assert_eq!(outcome().unwrap(), "Ok(())");
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// Each call on a runtime that ends with it, many at once, all with one client.
#[test]
fn many_short_runtimes_share_a_client() {
    const THREADS: usize = 8;
    const CALLS: usize = 60;
    let (url, requests) = keeping_server();
    let client = client(&url);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    runtime().block_on(sign_in(&client)).unwrap();
                }
            });
        }
    });
    assert_eq!(requests.load(Ordering::Relaxed), THREADS * CALLS);
}

#[test]
fn a_runtime_that_stands_still_holds_no_connection_of_others() {
    let (url, requests) = keeping_server();
    let client = client(&url);
    let idle = runtime();
    idle.block_on(sign_in(&client)).unwrap();
    // Its task of the connection would be polled by nobody, had it one.
    runtime().block_on(sign_in(&client)).unwrap();
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[test]
fn a_runtime_without_timer_and_sockets_will_do() {
    let (url, requests) = keeping_server();
    let client = client(&url);
    let bare = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    bare.block_on(sign_in(&client)).unwrap();
    assert_eq!(requests.load(Ordering::Relaxed), 1);
    // With the handshake, which has a limit of its own.
    let user = client.management_with("key");
    drop(bare.block_on(user.user("joe")));
    assert_eq!(requests.load(Ordering::Relaxed), 3);
}
