//! Many at once.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should stop where it fails"
)]

use std::sync::Arc;
use std::time::Instant;

use descope_magiclink_emulator::Emulator;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at one time: both ends are in this process, and 1,024 open files are a usual limit.
const CONNECTIONS: usize = 400;

#[derive(Clone)]
struct Client {
    emulator: Arc<Emulator>,
    http: reqwest::Client,
    permits: Arc<Semaphore>,
}

impl Client {
    fn new(emulator: Emulator) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            emulator: Arc::new(emulator),
            http,
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let _permit = self.permits.acquire().await.unwrap();
        let url = format!("{}/v1/auth/magiclink/{path}", self.emulator.base_url());
        let response = self
            .http
            .post(url)
            .bearer_auth(self.emulator.project_id())
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn signs_in(&self, address: &str) {
        self.post("signup-in/email", json!({ "loginId": address }))
            .await;
        let message = self.emulator.outbox().last_for(address).unwrap();
        let auth = self
            .post("verify", json!({ "token": message.token() }))
            .await;
        assert_eq!(auth["user"]["email"], address);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sign_ins_at_once() {
    let client = Client::new(Emulator::start().await.unwrap());
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..1000 {
        let client = client.clone();
        tasks.spawn(async move { client.signs_in(&format!("user{n}@example.com")).await });
    }
    let done = tasks.join_all().await.len();
    println!("{done} sign-ins in {:?}", started.elapsed());
    assert_eq!(
        (
            client.emulator.users().count(),
            client.emulator.stats().sessions
        ),
        (1000, 1000)
    );
}
