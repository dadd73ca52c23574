//! One sign-in call on loopback, beside the same call written with reqwest and serde_json alone.
//!
//! Both send the same bytes to the same server, so that the difference is what this crate adds:
//! checks, hooks, error handling. `cargo bench -p descope-magiclink-tests --bench call`

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run may panic")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use descope_magiclink::{Client, DeliveryMethod};
use divan::Bencher;
use divan::counter::ItemsCount;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

const PROJECT: &str = "P2aAc4T2V93bddihGEx2Ryhc8e5Z";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 34\r\n\r\n\
                        {\"maskedEmail\":\"j***@example.com\"}";

fn main() {
    divan::Divan::from_args().sample_count(3000).main();
}

/// A server that responds to every request in the same way and keeps its connections.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || respond(stream));
        }
    });
    url
}

fn respond(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    // A request of this benchmark ends with its JSON, and with nothing else that ends like it.
    while let Ok(read) = stream.read(&mut buffer) {
        match buffer.get(..read) {
            Some([.., b'}']) => stream.write_all(RESPONSE).unwrap(),
            Some([]) | None => return,
            Some(_) => {}
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    login_id: &'a str,
    redirect_url: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInResponse {
    masked_email: String,
}

async fn by_reqwest(client: &reqwest::Client, url: &str) -> String {
    let request = Request {
        login_id: "joe@example.com",
        redirect_url: "https://app.example.com/verify",
    };
    let response: SignInResponse = client
        .post(format!("{url}/v1/auth/magiclink/signin/email"))
        .bearer_auth(PROJECT)
        .header("accept", "application/json")
        .header("x-descope-project-id", PROJECT)
        .header("x-descope-sdk-name", "rust")
        .header("x-descope-sdk-version", "0.1.0")
        .header("user-agent", "descope-magiclink/0.1.0")
        .timeout(std::time::Duration::from_secs(30))
        .json(&request)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    response.masked_email
}

async fn by_crate(client: &Client) -> String {
    let sent = client
        .magic_link()
        .sign_in(DeliveryMethod::Email, "joe@example.com")
        .redirect_url("https://app.example.com/verify")
        .send()
        .await
        .unwrap();
    sent.masked_address().to_string()
}

const IN_FLIGHT: [usize; 2] = [1, 16];

#[divan::bench(args = IN_FLIGHT)]
fn reqwest_and_serde_json(bencher: Bencher<'_, '_>, in_flight: usize) {
    let (runtime, url) = (runtime(), server());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    bencher.counter(ItemsCount::new(in_flight)).bench_local(|| {
        runtime.block_on(async {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..in_flight {
                let (client, url) = (client.clone(), url.clone());
                calls.spawn(async move { by_reqwest(&client, &url).await });
            }
            calls.join_all().await
        })
    });
}

#[divan::bench(args = IN_FLIGHT)]
fn descope_magiclink(bencher: Bencher<'_, '_>, in_flight: usize) {
    let runtime = runtime();
    let client = Client::builder(PROJECT).base_url(server()).build().unwrap();
    bencher.counter(ItemsCount::new(in_flight)).bench_local(|| {
        runtime.block_on(async {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..in_flight {
                let client = client.clone();
                calls.spawn(async move { by_crate(&client).await });
            }
            calls.join_all().await
        })
    });
}
