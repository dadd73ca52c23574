//! As much of WebDriver (<https://www.w3.org/TR/webdriver2/>) as it takes to be a user.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The widths at which each page is looked at, in CSS pixels: a phone and a desktop.
const WIDTHS: [u32; 2] = [390, 1280];
const PATIENCE: Duration = Duration::from_secs(20);
/// What WebDriver calls the member that holds an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A program that ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and reads its output until `read` has what it wants.
pub(crate) fn start<T>(
    mut command: Command,
    mut read: impl FnMut(&str) -> Option<T>,
) -> (Running, T) {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let running = Running(child);
    let found = lines.find_map(|line| read(&line.unwrap()));
    let found = found.unwrap_or_else(|| panic!("{command:?} ended early"));
    // Whatever else it prints must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (running, found)
}

/// The driver of headless Chromium, on a free port.
pub(crate) fn chromedriver() -> (Running, String) {
    let mut command = Command::new("chromedriver");
    command.arg("--port=0");
    start(command, |line| {
        let port = line.split_once("started successfully on port ")?.1;
        Some(format!("http://127.0.0.1:{}", port.trim_end_matches('.')))
    })
}

/// A browser with a profile of its own.
pub(crate) struct Browser {
    http: reqwest::Client,
    session: String,
    /// The script axe-core, which finds what keeps people from using a page.
    axe: &'static str,
}

fn axe() -> &'static str {
    static AXE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    AXE.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = target.join("../axe/node_modules/axe-core/axe.min.js");
        std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; npm install --prefix target/axe axe-core",
                path.display()
            )
        })
    })
}

impl Browser {
    pub(crate) async fn start(driver: &str) -> Self {
        Self::start_with(driver, json!({})).await
    }

    /// With settings that its user has changed.
    pub(crate) async fn start_with(driver: &str, settings: Value) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--lang=en",
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments, "prefs": settings },
        } } });
        let url = format!("{driver}/session");
        let response: Value = http
            .post(url)
            .json(&wanted)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let id = response["value"]["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no browser: {response}"));
        Self {
            session: format!("{driver}/session/{id}"),
            http,
            axe: axe(),
        }
    }

    pub(crate) async fn quit(self) {
        let _ = self.http.delete(&self.session).send().await;
    }

    async fn try_post(&self, path: &str, body: Value) -> Result<Value, Value> {
        let request = self.http.post(format!("{}/{path}", self.session));
        let response = request.json(&body).send().await.unwrap();
        let is_good = response.status().is_success();
        let mut response: Value = response.json().await.unwrap();
        let value = response["value"].take();
        if is_good { Ok(value) } else { Err(value) }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let response = self.try_post(path, body).await;
        response.unwrap_or_else(|problem| panic!("{path}: {problem}"))
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}/{path}", self.session)).send();
        let mut response: Value = response.await.unwrap().json().await.unwrap();
        response["value"].take()
    }

    pub(crate) async fn go(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// Runs a script in the page, as robots do.
    pub(crate) async fn script(&self, script: &str) {
        let body = json!({ "script": script, "args": [] });
        self.post("execute/sync", body).await;
    }

    pub(crate) async fn back(&self) {
        self.post("back", json!({})).await;
    }

    /// Sends what has led to the page once more, forms too.
    pub(crate) async fn reload(&self) {
        self.post("refresh", json!({})).await;
    }

    pub(crate) async fn url(&self) -> String {
        self.get("url").await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn source(&self) -> String {
        self.get("source").await.as_str().unwrap().to_owned()
    }

    /// The element, as soon as there is one.
    async fn find(&self, css: &str) -> String {
        let started = Instant::now();
        loop {
            let query = json!({ "using": "css selector", "value": css });
            if let Ok(found) = self.try_post("element", query).await {
                return found[ELEMENT].as_str().unwrap().to_owned();
            }
            if started.elapsed() > PATIENCE {
                panic!("no {css} at {}: {}", self.url().await, self.source().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/click"), json!({}))
            .await;
    }

    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        self.post(&format!("element/{element}/value"), json!({ "text": text }))
            .await;
    }

    /// The text of an element; of the next page's, when this one goes away meanwhile.
    pub(crate) async fn text(&self, css: &str) -> String {
        let started = Instant::now();
        loop {
            let element = self.find(css).await;
            let text = self.get(&format!("element/{element}/text")).await;
            if let Some(text) = text.as_str() {
                return text.to_owned();
            }
            assert!(started.elapsed() < PATIENCE, "{css} is lost: {text}");
        }
    }

    pub(crate) async fn style(&self, css: &str, property: &str) -> String {
        let element = self.find(css).await;
        let value = self.get(&format!("element/{element}/css/{property}")).await;
        value.as_str().unwrap().to_owned()
    }

    /// Waits for a page with this heading.
    pub(crate) async fn expect(&self, heading: &str) {
        let started = Instant::now();
        loop {
            let text = self.text("h1").await;
            if text == heading {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "at {} there is {text:?} in place of {heading:?}",
                self.url().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn cookie(&self, name: &str) -> Option<String> {
        let cookie = self.get(&format!("cookie/{name}")).await;
        Some(cookie["value"].as_str()?.to_owned())
    }

    /// Goes to the window that was opened last, and closes the others.
    pub(crate) async fn to_new_window(&self) {
        let started = Instant::now();
        let current = self.get("window").await;
        let new = loop {
            let all = self.get("window/handles").await;
            let new = all.as_array().unwrap().iter().find(|one| **one != current);
            if let Some(new) = new {
                break new.clone();
            }
            assert!(started.elapsed() < PATIENCE, "no new window");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let _ = self
            .http
            .delete(format!("{}/window", self.session))
            .send()
            .await;
        self.post("window", json!({ "handle": new })).await;
    }

    /// Takes a picture of the page at each width, and checks that it fits.
    pub(crate) async fn picture(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&folder).unwrap();
        for (width, scheme) in [
            (WIDTHS[0], "dark"),
            (WIDTHS[0], "light"),
            (WIDTHS[1], "dark"),
            (WIDTHS[1], "light"),
        ] {
            let scheme_is = json!({ "name": "prefers-color-scheme", "value": scheme });
            self.chrome(
                "Emulation.setEmulatedMedia",
                json!({ "features": [scheme_is] }),
            )
            .await;
            self.chrome(
                "Emulation.setDeviceMetricsOverride",
                json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600 }),
            )
            .await;
            let script = "return document.documentElement.scrollWidth";
            let needed = self
                .post("execute/sync", json!({ "script": script, "args": [] }))
                .await;
            assert!(
                needed.as_u64().unwrap() <= u64::from(width),
                "{name} is {needed} wide at {width}"
            );
            self.check_accessibility(&format!("{name} at {width}, {scheme}"))
                .await;
            let picture = self.get("screenshot").await;
            let picture = STANDARD.decode(picture.as_str().unwrap()).unwrap();
            std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), picture).unwrap();
        }
        self.chrome("Emulation.clearDeviceMetricsOverride", json!({}))
            .await;
    }

    /// Has axe-core look at the page, and finds nothing.
    async fn check_accessibility(&self, name: &str) {
        let script = format!(
            "{}; const done = arguments[0]; axe.run(document, {{ resultTypes: ['violations'] }})\
             .then(r => done(r.violations.map(v => \
               `${{v.id}}: ${{v.help}}: ${{v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | ')}}`)), \
             e => done([String(e)]));",
            self.axe
        );
        let body = json!({ "script": script, "args": [] });
        let found = self.post("execute/async", body).await;
        assert_eq!(found, json!([]), "{name}: {found:#}");
    }

    async fn chrome(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", body).await;
    }
}
