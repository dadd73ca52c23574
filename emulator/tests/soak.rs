//! The program under load for long: `.ci/full soak`.
#![cfg(all(feature = "program", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should stop where it fails, and its length comes from the environment"
)]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const BINARY: &str = env!("CARGO_BIN_EXE_descope-magiclink-emulator");
const TASKS: usize = 8;
const CONNECTIONS: usize = 10_000;
/// How many of them are open at one time; 1,024 open files are a usual limit.
const OPEN: usize = 400;

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    project: String,
}

impl Client {
    async fn post(&self, path: &str, body: Value) -> Option<Value> {
        let url = format!("{}{path}", self.base);
        let request = self.http.post(url).bearer_auth(&self.project).json(&body);
        // A fault may have taken the response away.
        request.send().await.ok()?.json().await.ok()
    }

    /// One sign-in; faults make some fail, and then there are no tokens.
    async fn signs_in(&self, address: &str) -> bool {
        let body = json!({ "loginId": address });
        self.post("/v1/auth/magiclink/signup-in/email", body).await;
        let url = format!("{}/_emulator/v1/messages?to={address}&limit=1", self.base);
        let found = self.http.get(url).send().await.unwrap();
        let found: Value = found.json().await.unwrap();
        let token = found["messages"][0]["token"].clone();
        let login = self
            .post("/v1/auth/magiclink/verify", json!({ "token": token }))
            .await;
        login.is_some_and(|login| login["sessionJwt"].is_string())
    }

    async fn control(&self, path: &str, body: Value) {
        let response = self
            .post(&format!("/_emulator/v1/{path}"), body)
            .await
            .unwrap();
        assert!(response["errorCode"].is_null(), "{response}");
    }
}

/// Memory of a process in KiB, where the system tells it.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn memory_stays_flat_and_a_signal_ends_it() {
    let sign_ins: usize =
        std::env::var("SOAK_SIGN_INS").map_or(200_000, |text| text.parse().unwrap());
    let mut child = Command::new(BINARY)
        .args([
            "--port",
            "0",
            "--log",
            "secrets",
            "--signing-algorithm",
            "es256",
        ])
        .stdout(Stdio::piped())
        // Nobody ever reads it.
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut base = String::new();
    let mut project = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(value) = line.trim().strip_prefix("export DESCOPE_BASE_URI=") {
            base = value.to_owned();
        }
        if let Some(value) = line.trim().strip_prefix("export DESCOPE_PROJECT_ID=") {
            project = value.to_owned();
            break;
        }
    }
    let address = base.trim_start_matches("http://").to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let client = Client {
        http,
        base,
        project,
    };

    let verify = "VerifyMagicLink";
    let fault = |fault: Value| client.control("faults", fault);
    fault(json!({ "operation": verify, "times": sign_ins / 100, "respond": { "status": 503 } }))
        .await;
    fault(json!({ "operation": verify, "times": sign_ins / 100, "reset": true, "afterHandling": true })).await;
    fault(json!({ "operation": verify, "times": sign_ins / 100, "cutBodyAfter": 10 })).await;
    fault(json!({ "path": "/v1/auth/magiclink/", "delayMillis": 1 })).await;

    // Readers that read nothing: each asks for more than any buffer holds.
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let mut socket = TcpStream::connect(&address).await.unwrap();
        let ask = "GET /_emulator/v1/journal HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50);
        socket.write_all(ask.as_bytes()).await.unwrap();
        deaf.push(socket);
    }

    let signed_in = Arc::new(AtomicUsize::new(0));
    let round = async |count: usize| {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (client, address) = (client.clone(), address.clone());
            let signed_in = Arc::clone(&signed_in);
            tasks.spawn(async move {
                let mut open = VecDeque::new();
                for n in 0..count / TASKS {
                    let user = format!("user{task}-{}@example.com", n % 25);
                    if client.signs_in(&user).await {
                        signed_in.fetch_add(1, Ordering::Relaxed);
                    }
                    if n % (sign_ins / CONNECTIONS).max(1) == 0 {
                        // A client that begins a request and thinks better of it.
                        let mut socket = TcpStream::connect(&address).await.unwrap();
                        socket
                            .write_all(b"POST /v1/auth/refresh HTTP/1.1\r\n")
                            .await
                            .unwrap();
                        open.push_back(socket);
                        if open.len() > OPEN / TASKS {
                            open.pop_front();
                        }
                    }
                }
            });
        }
        tasks.join_all().await;
    };
    let started = Instant::now();
    round(sign_ins / 4).await;
    let before = resident(child.id()).unwrap_or_default();
    round(sign_ins - sign_ins / 4).await;
    let after = resident(child.id()).unwrap_or_default();
    println!(
        "{} of {sign_ins} sign-ins in {:?}; resident: {before} KiB after a quarter, {after} KiB at the end",
        signed_in.load(Ordering::Relaxed),
        started.elapsed()
    );
    assert!(signed_in.load(Ordering::Relaxed) > sign_ins * 9 / 10);
    assert!(
        after < before + 32 * 1024,
        "{before} KiB grew to {after} KiB"
    );

    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    let status = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(
        status.unwrap().unwrap().success(),
        "a signal ends it in good order"
    );
    drop(deaf);
}
