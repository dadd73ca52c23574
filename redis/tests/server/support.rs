//! A server of one's own, other processes, and a way to the server that can be made slow.

use std::fmt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use descope_magiclink::{Client, RefreshToken, SessionToken};
use descope_magiclink_redis::RedisStore;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const OTHER_KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

/// How many seconds a call of the store may take in a process; unset, the default.
pub(crate) const TIMEOUT: &str = "STORE_TIMEOUT";

/// Set for processes whose store is a cluster.
#[cfg(feature = "cluster")]
pub(crate) const CLUSTER: &str = "STORE_IS_CLUSTER";

/// A `redis-server` without persistence, ended with its value.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) port: u16,
    arguments: Vec<String>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    free.local_addr().unwrap().port()
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), &[]).await
    }

    /// In a folder of its own, with more arguments.
    pub(crate) async fn start_with(folder: tempfile::TempDir, arguments: &[&str]) -> Self {
        let mut server = Self {
            child: None,
            port: free_port().await,
            arguments: arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            folder,
        };
        server.restart().await;
        server
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let port = self.port.to_string();
        let program = std::env::var("STORE_SERVER");
        let child = Command::new(program.as_deref().unwrap_or("redis-server"))
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("needs redis-server");
        self.child = Some(child);
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while self.query(&["PING"]).await != "+PONG" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// One command over a connection of its own; gives the lines of the response.
    pub(crate) async fn query(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        command.push_str("*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        let response = String::from_utf8_lossy(&response).into_owned();
        response
            .trim_end()
            .trim_end_matches("+OK")
            .trim_end()
            .to_owned()
    }

    /// The names of all keys.
    pub(crate) async fn names(&self) -> Vec<String> {
        let all = self.query(&["KEYS", "*"]).await;
        let lines = all.lines().filter(|line| !line.starts_with(['*', '$']));
        lines.map(str::to_owned).collect()
    }
}

/// A way to a server that takes so long in each direction.
pub(crate) struct SlowWay {
    pub(crate) port: u16,
    pub(crate) millis: Arc<AtomicU64>,
}

impl SlowWay {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let millis = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&millis);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let Ok(to) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let (from_read, from_write) = from.into_split();
                let (to_read, to_write) = to.into_split();
                tokio::spawn(forward(from_read, to_write, Arc::clone(&delay)));
                tokio::spawn(forward(to_read, from_write, Arc::clone(&delay)));
            }
        });
        Self { port: own, millis }
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Arc<AtomicU64>,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        tokio::time::sleep(Duration::from_millis(delay.load(Ordering::SeqCst))).await;
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Another process with a client, which does what it is told: this program itself, see [`child`].
pub(crate) struct Process {
    pub(crate) child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) async fn start(
        base_url: &str,
        project_id: &str,
        store: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["support::child", "--exact", "--ignored", "--nocapture"])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self {
            child,
            input,
            output,
        };
        let settings = json!({ "base_url": base_url, "project_id": project_id, "store": store });
        process.send(&settings).await;
        assert_eq!(process.response().await, json!("ready"));
        process
    }

    pub(crate) async fn send(&mut self, command: &Value) {
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    pub(crate) async fn response(&mut self) -> Value {
        loop {
            let line = self
                .output
                .next_line()
                .await
                .unwrap()
                .expect("it has ended");
            // The test harness begins a line and leaves it open.
            if let Some((_, response)) = line.split_once('@') {
                return serde_json::from_str(response).unwrap();
            }
        }
    }

    pub(crate) async fn request(&mut self, command: &Value) -> Value {
        self.send(command).await;
        self.response().await
    }

    /// What it has told of its store since it was asked last: levels and texts.
    pub(crate) async fn events(&mut self) -> Vec<String> {
        let told = self.request(&json!({ "events": true })).await;
        serde_json::from_value(told).unwrap()
    }

    /// So many refreshes of one token at once: the new refresh tokens, or what went wrong.
    pub(crate) async fn refresh(
        &mut self,
        token: &str,
        times: usize,
    ) -> Vec<Result<String, String>> {
        let response = self
            .request(&json!({ "refresh": token, "times": times }))
            .await;
        results(&response)
    }
}

pub(crate) fn results(response: &Value) -> Vec<Result<String, String>> {
    let all = response.as_array().unwrap().iter();
    all.map(|one| match one["ok"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => Err(one["error"].as_str().unwrap().to_owned()),
    })
    .collect()
}

/// The other process: not a test by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "another process of the tests beside it"]
async fn child() {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let Ok(Some(settings)) = input.next_line().await else {
        return;
    };
    tracing::subscriber::set_global_default(Collector).unwrap();
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let mut builder = Client::builder(settings["project_id"].as_str().unwrap())
        .base_url(settings["base_url"].as_str().unwrap())
        .timeout(Duration::from_secs(3));
    if let Some(url) = settings["store"].as_str() {
        let store = RedisStore::builder(url, KEY);
        let store = match std::env::var(TIMEOUT) {
            Ok(seconds) => store.timeout(Duration::from_secs(seconds.parse().unwrap())),
            Err(_) => store,
        };
        #[cfg(feature = "cluster")]
        let store = match std::env::var(CLUSTER) {
            Ok(_) => store.cluster(),
            Err(_) => store,
        };
        builder = builder.store(Arc::new(store.build().unwrap()));
    }
    let client = builder.build().unwrap();
    println!("\n@\"ready\"");
    while let Ok(Some(line)) = input.next_line().await {
        let command: Value = serde_json::from_str(&line).unwrap();
        let response = obey(&client, &command).await;
        println!("\n@{response}");
    }
}

/// What this process was told of its store.
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collector;

impl tracing::Subscriber for Collector {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        let modules = ["descope_magiclink::store", "descope_magiclink_redis"];
        metadata.is_event()
            && modules
                .iter()
                .any(|module| metadata.target().starts_with(module))
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    self.0.push_str(&format!("{value:?}"));
                }
            }
        }
        let mut message = Message(format!("{} ", event.metadata().level()));
        event.record(&mut message);
        EVENTS.lock().unwrap().push(message.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

async fn obey(client: &Client, command: &Value) -> Value {
    if command["events"] == true {
        return std::mem::take(&mut *EVENTS.lock().unwrap()).into();
    }
    if let Some(token) = command["refresh"].as_str() {
        let times = command["times"].as_u64().unwrap();
        let tasks: Vec<_> = (0..times)
            .map(|_| {
                let (sessions, token) = (client.sessions(), RefreshToken::new(token));
                tokio::spawn(async move { sessions.refresh(&token).await })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.push(match task.await.unwrap() {
                Ok(new) => json!({ "ok": new.tokens.refresh_token().unwrap().expose_secret() }),
                Err(error) => json!({ "error": error.to_string() }),
            });
        }
        return all.into();
    }
    let session = SessionToken::new(command["session"].as_str().unwrap());
    if command["end"] == true {
        client.sessions().end(&session).await;
    }
    client.sessions().validate(&session).await.is_ok().into()
}
