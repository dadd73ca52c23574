//! Many calls through a proxy that draws a fault for each: `.ci/full chaos`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use descope_magiclink::{
    CallEvent, Client, DeliveryMethod, Error, MagicLinkToken, RefreshToken, SessionToken,
};
use descope_magiclink_emulator::{Emulator, Tenant, User};
use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const CALLS: usize = 10_000;
const WORKERS: usize = 32;
const DEADLINE: Duration = Duration::from_secs(2);
/// What a busy machine may add before a call counts as one that never ends.
const SLACK: Duration = Duration::from_secs(10);
/// Names the call, the same in each attempt.
const CALL: &str = "x-call";

/// The same numbers for the same seed (splitmix64).
#[derive(Clone)]
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

struct Proxy {
    emulator: std::net::SocketAddr,
    draws: Mutex<Draw>,
    is_calm: AtomicBool,
    /// How often each call that may be sent once only has come.
    sends: Mutex<HashMap<String, usize>>,
    faults: Mutex<HashMap<&'static str, usize>>,
    requests: AtomicUsize,
}

impl Proxy {
    fn start(emulator: std::net::SocketAddr, seed: u64) -> (String, Arc<Self>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Arc::new(Self {
            emulator,
            draws: Mutex::new(Draw(seed)),
            is_calm: AtomicBool::new(false),
            sends: Mutex::default(),
            faults: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&proxy);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let proxy = Arc::clone(&serving);
                    // An error is the end of a connection.
                    tokio::spawn(async move { proxy.serve(stream).await });
                }
            });
        });
        (url, proxy)
    }

    async fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        loop {
            let request = read_message(&mut client).await?;
            self.requests.fetch_add(1, Ordering::SeqCst);
            let head = String::from_utf8_lossy(&request).into_owned();
            if !head.starts_with("GET ") {
                let mark = format!("{CALL}: ");
                let call = head.lines().find_map(|line| line.strip_prefix(&mark));
                let call = call.expect("every call is named").to_owned();
                *self.sends.lock().unwrap().entry(call).or_default() += 1;
            }
            let (fault, wait) = {
                let mut draws = self.draws.lock().unwrap();
                (draws.below(100), Duration::from_millis(draws.below(50)))
            };
            let fault = match fault {
                _ if self.is_calm.load(Ordering::SeqCst) => "none",
                0..=3 => "closed before",
                4..=7 => "reset before",
                8..=11 => "closed after",
                12..=15 => "reset in the body",
                16..=19 => "truncated",
                20..=22 => "502",
                23..=24 => "503",
                25 => "429",
                26..=27 => "403 of a firewall",
                28..=29 => "black hole",
                30 => "drip",
                31..=32 => "no HTTP",
                33..=35 => "1xx",
                36..=40 => "closed when idle",
                41..=55 => "delay",
                _ => "none",
            };
            *self.faults.lock().unwrap().entry(fault).or_default() += 1;
            let own = |status, headers: &str| {
                format!("HTTP/1.1 {status} X\r\n{headers}content-length: 4\r\n\r\nnope")
            };
            let own = match fault {
                "closed before" => return Ok(()),
                "reset before" => return reset(client),
                "502" => own(502, ""),
                "503" => own(503, ""),
                "429" => own(429, "retry-after: 1\r\n"),
                "403 of a firewall" => own(403, ""),
                "no HTTP" => "*** out of order ***\r\n\r\n".to_owned(),
                "black hole" => {
                    client.read_u8().await?;
                    return Ok(());
                }
                _ => String::new(),
            };
            if !own.is_empty() {
                client.write_all(own.as_bytes()).await?;
                continue;
            }
            let response = self.forward(&request).await?;
            let half = response.len() - response.len().min(20);
            match fault {
                "closed after" => return Ok(()),
                "reset in the body" => {
                    client.write_all(&response[..half]).await?;
                    return reset(client);
                }
                "truncated" => {
                    client.write_all(&response[..half]).await?;
                    return Ok(());
                }
                "drip" => {
                    for byte in response {
                        client.write_all(&[byte]).await?;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                "1xx" => {
                    client.write_all(b"HTTP/1.1 103 X\r\n\r\n").await?;
                    client.write_all(&response).await?;
                }
                "delay" => {
                    tokio::time::sleep(wait).await;
                    client.write_all(&response).await?;
                }
                "closed when idle" => {
                    client.write_all(&response).await?;
                    return Ok(());
                }
                _ => client.write_all(&response).await?,
            }
        }
    }

    async fn forward(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.emulator).await?;
        server.write_all(request).await?;
        read_message(&mut server).await
    }
}

fn reset(stream: TcpStream) -> std::io::Result<()> {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// A head, and a body as long as it says.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| {
                let length = line.strip_prefix("content-length: ")?;
                length.parse::<usize>().ok()
            });
            if bytes.len() >= end + 4 + length.unwrap_or(0) {
                return Ok(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What one caller works with.
struct Worker {
    emulator: Arc<Emulator>,
    client: Client,
    /// Past the proxy.
    direct: Client,
    address: String,
    draws: Draw,
}

impl Worker {
    fn tokens(&self) -> (SessionToken, RefreshToken) {
        let tokens = self.emulator.tokens(&self.address).issue().unwrap();
        let session = SessionToken::new(tokens.session_jwt());
        (session, RefreshToken::new(tokens.refresh_jwt()))
    }

    async fn link(&self) -> MagicLinkToken {
        let magic_link = self.direct.magic_link();
        let sent = magic_link.sign_in(DeliveryMethod::Email, &self.address);
        sent.redirect_url("https://app.example.com/verify")
            .send()
            .await
            .unwrap();
        let message = self.emulator.outbox().last_for(&self.address).unwrap();
        MagicLinkToken::from_url(message.link()).unwrap()
    }

    /// Makes a call of some kind, which its caller may give up.
    async fn call(&mut self) -> (Duration, Option<Result<(), Error>>) {
        let kind = self.draws.below(7);
        let (session, refresh) = self.tokens();
        let link = match kind {
            1 => Some(self.link().await),
            _ => None,
        };
        let sessions = self.client.sessions();
        let magic_link = self.client.magic_link();
        let call = async {
            match (kind, &link) {
                (1, Some(link)) => magic_link.verify(link).await.map(drop),
                (2, _) => sessions.validate(&session).await.map(drop),
                (3, _) => sessions.refresh(&refresh).await.map(drop),
                (4, _) => sessions.me(&refresh).await.map(drop),
                (5, _) => sessions.select_tenant(&refresh, "acme").await.map(drop),
                (6, _) => sessions.logout(&refresh).await.map(drop),
                _ => {
                    let sent = magic_link.sign_in(DeliveryMethod::Email, &self.address);
                    sent.send().await.map(drop)
                }
            }
        };
        let patience = match self.draws.below(10) {
            0 => Duration::from_millis(self.draws.below(20)),
            _ => DEADLINE + SLACK,
        };
        let start = Instant::now();
        let outcome = tokio::time::timeout(patience, call).await.ok();
        (start.elapsed(), outcome)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: .ci/full chaos"]
async fn ten_thousand_calls_through_faults() {
    let seed = std::env::var("CHAOS_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut builder = Emulator::builder().tenant(Tenant::new("acme"));
    for number in 0..WORKERS {
        let user = User::new(format!("user{number}@example.com"));
        builder = builder.user(user.tenant("acme", Vec::<String>::new()));
    }
    let emulator = Arc::new(builder.start().await.unwrap());
    let (url, proxy) = Proxy::start(emulator.address(), seed);
    let number = AtomicU64::new(0);
    let client = Client::builder(emulator.project_id())
        .base_url(url)
        .timeout(DEADLINE)
        .on_call(move |event| {
            if let CallEvent::Starting { headers, .. } = event {
                let number = number.fetch_add(1, Ordering::Relaxed);
                headers.insert(CALL, HeaderValue::from(number));
            }
        })
        .build()
        .unwrap();
    let direct = Client::builder(emulator.project_id()).base_url(emulator.base_url());
    let direct = direct.build().unwrap();

    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..WORKERS {
        let mut worker = Worker {
            emulator: Arc::clone(&emulator),
            client: client.clone(),
            direct: direct.clone(),
            address: format!("user{number}@example.com"),
            draws: Draw(seed ^ (number as u64) << 32),
        };
        let calls = CALLS / WORKERS + usize::from(number < CALLS % WORKERS);
        workers.spawn(async move {
            let mut outcomes = Vec::new();
            for _ in 0..calls {
                outcomes.push(worker.call().await);
            }
            (worker, outcomes)
        });
    }
    let (mut good, mut failed, mut given_up) = (0, 0, 0);
    let mut longest = Duration::ZERO;
    let mut one = None;
    for (worker, outcomes) in workers.join_all().await {
        for (took, outcome) in outcomes {
            longest = longest.max(took);
            match outcome {
                Some(Ok(())) => good += 1,
                Some(Err(_)) => failed += 1,
                None => given_up += 1,
            }
        }
        one = Some(worker);
    }
    let took = start.elapsed();

    proxy.is_calm.store(true, Ordering::SeqCst);
    let until = Instant::now() + Duration::from_secs(60);
    while client.has_calls_in_flight() {
        assert!(Instant::now() < until, "a single flight was lost");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut faults: Vec<_> = proxy.faults.lock().unwrap().clone().into_iter().collect();
    faults.sort();
    let sends = proxy.sends.lock().unwrap().clone();
    let twice = sends.values().filter(|sends| **sends > 1).count();
    println!("seed {seed}: {CALLS} calls by {WORKERS} callers in {took:.1?}");
    println!("  {good} succeeded, {failed} failed, {given_up} were given up by their callers");
    println!("  the longest took {longest:.2?} of {DEADLINE:?}");
    let requests = proxy.requests.load(Ordering::SeqCst);
    println!(
        "  {requests} requests, {} of calls that may be sent once, {twice} twice",
        sends.len()
    );
    println!("  faults: {faults:?}");
    assert_eq!(good + failed + given_up, CALLS);
    assert!(longest < DEADLINE + SLACK, "a call outlived its deadline");
    assert_eq!(twice, 0, "sent twice");

    // Waits that the service has asked for end within a second or two.
    let mut worker = one.unwrap();
    worker.client = client.with_timeout(Duration::from_secs(60));
    let sessions = worker.client.sessions();
    let (session, refresh) = worker.tokens();
    while let Err(error) = sessions.refresh(&refresh).await {
        assert!(error.retry_after().is_some(), "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let requests = proxy.requests.load(Ordering::SeqCst);
    sessions.refresh(&refresh).await.unwrap();
    sessions.validate(&session).await.unwrap();
    let later = proxy.requests.load(Ordering::SeqCst);
    assert_eq!(later, requests, "keys and new tokens are cached");
    let link = worker.link().await;
    worker.client.magic_link().verify(&link).await.unwrap();
    sessions.select_tenant(&refresh, "acme").await.unwrap();
    sessions.me(&refresh).await.unwrap();
}
