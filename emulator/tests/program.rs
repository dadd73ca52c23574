//! The binary: flags, files, what it prints, how it stops.
#![cfg(all(feature = "program", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should stop where it fails"
)]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_descope-magiclink-emulator");

/// A directory of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running program, killed when the test fails.
struct Running {
    child: Child,
    base: String,
    project: String,
    env_file: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(scratch: &Scratch, change: impl FnOnce(&mut Command)) -> Self {
        let env_file = scratch.0.join("env");
        let mut command = Command::new(BINARY);
        command
            .args(["--port", "0", "--env-file"])
            .arg(&env_file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let variables = loop {
            match std::fs::read_to_string(&env_file) {
                Ok(text) if text.ends_with('\n') => break text,
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(child.try_wait().unwrap().is_none(), "it did not start");
        };
        let value = |name: &str| {
            variables
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}=")))
                .unwrap()
                .to_owned()
        };
        Self {
            child,
            base: value("DESCOPE_BASE_URI"),
            project: value("DESCOPE_PROJECT_ID"),
            env_file,
        }
    }

    /// Sends the signal of `kill` and gives what was printed.
    fn stop(mut self) -> (String, String) {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        assert!(!self.env_file.exists());
        let (mut out, mut err) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut err)
            .unwrap();
        (out, err)
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.post_as(self.project.clone(), path, body).await
    }

    async fn refresh(&self, token: &Value) -> Value {
        let bearer = format!("{}:{}", self.project, token.as_str().unwrap());
        self.post_as(bearer, "/v1/auth/refresh", json!({})).await.1
    }

    async fn post_as(&self, bearer: String, path: &str, body: Value) -> (u16, Value) {
        let request = http()
            .post(format!("{}{path}", self.base))
            .bearer_auth(bearer)
            .json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn get(url: &str) -> Value {
    let answer = http().get(url).send().await.unwrap();
    answer.json().await.unwrap()
}

fn refused(args: &[&str], file: Option<&Path>) -> String {
    let mut command = Command::new(BINARY);
    command.args(args);
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn it_runs_logs_without_secrets_and_stops() {
    let scratch = Scratch::new("plain");
    let program = Running::start(&scratch, |command| {
        command
            .args(["--user", "joe@example.com"])
            .env("DESCOPE_EMULATOR_PROJECT_ID", "P2FromTheEnvironment");
    });
    assert_eq!(program.project, "P2FromTheEnvironment");
    let (status, _) = program
        .post(
            "/v1/auth/magiclink/signin/email",
            json!({ "loginId": "joe@example.com" }),
        )
        .await;
    assert_eq!(status, 200);
    let messages: Value = get(&format!("{}/_emulator/v1/messages", program.base)).await;
    let token = messages["messages"][0]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, auth) = program
        .post("/v1/auth/magiclink/verify", json!({ "token": token }))
        .await;
    assert_eq!(status, 200);
    let base = program.base.clone();
    let (out, err) = program.stop();
    for wanted in [
        format!("export DESCOPE_BASE_URI={base}\n"),
        format!("inbox    {base}/_emulator/\n"),
    ] {
        assert!(out.contains(&wanted), "{out}");
    }
    assert!(
        err.contains("message 1 for sign-in by email to joe@example.com\n"),
        "{err}"
    );
    assert!(
        err.contains("POST /v1/auth/magiclink/verify 200\n") && err.ends_with("stopping\n"),
        "{err}"
    );
    for secret in [
        token.as_str(),
        auth["sessionJwt"].as_str().unwrap(),
        auth["refreshJwt"].as_str().unwrap(),
    ] {
        assert!(!err.contains(secret) && !out.contains(secret));
    }
}

#[tokio::test]
async fn a_configuration_file_sets_everything_up() {
    let scratch = Scratch::new("config");
    let file = scratch.file(
        "emulator.toml",
        r#"
        project_id = "P2FromTheFile"
        link_lifetime = "1h 30m"
        token_delivery = "body"
        rotate_refresh_tokens = true
        refresh_reuse = "refuse-token"
        custom_claims_at = "top-level"
        repeated_sign_up = "send-again"
        approved_redirects = ["app.example.com"]
        default_redirect = "https://app.example.com/in"

        [limits]
        messages = 5

        [roles]
        admin = ["invoice:write"]

        [[tenants]]
        id = "acme"
        name = "Acme Inc."
        attributes = { plan = "pro" }

        [[templates]]
        id = "welcome"
        subject = "Hello {{name}}"
        text = "Come in, {{name}}: {{link}}"

        [[users]]
        login_id = "joe@example.com"
        roles = ["admin"]
        tenants = { acme = ["admin"] }

        [[access_keys]]
        id = "K2reports"
        secret = "s3cret"

        [[rate_limits]]
        requests = 2
        window = "1m"
        operation = "SignInMagicLinkEmail"
        "#,
    );
    let program = Running::start(&scratch, |command| {
        command
            .arg("--config")
            .arg(&file)
            .args(["--log", "secrets"]);
    });
    let body = json!({ "loginId": "joe@example.com", "templateId": "welcome", "loginOptions": { "templateOptions": { "name": "Joe" } } });
    let (status, _) = program.post("/v1/auth/magiclink/signin/email", body).await;
    assert_eq!(status, 200);
    let messages: Value = get(&format!("{}/_emulator/v1/messages", program.base)).await;
    let message = &messages["messages"][0];
    let link = message["link"].as_str().unwrap();
    assert!(link.starts_with("https://app.example.com/in?t="));
    assert_eq!(
        (&message["subject"], &message["text"]),
        (&json!("Hello Joe"), &json!(format!("Come in, Joe: {link}")))
    );
    let (_, auth) = program
        .post(
            "/v1/auth/magiclink/verify",
            json!({ "token": message["token"] }),
        )
        .await;
    assert_eq!(auth["user"]["userTenants"][0]["tenantName"], "Acme Inc.");
    let (first, second) = (
        auth["refreshJwt"].clone(),
        program.refresh(&auth["refreshJwt"]).await,
    );
    assert_eq!(program.refresh(&first).await["errorCode"], "E064006");
    assert!(program.refresh(&second["refreshJwt"]).await["sessionJwt"].is_string());
    let wrong = json!({ "loginId": "joe@example.com", "templateId": "other" });
    assert_eq!(
        program
            .post("/v1/auth/magiclink/signin/email", wrong)
            .await
            .0,
        400
    );
    assert_eq!(
        program
            .post(
                "/v1/auth/magiclink/signin/email",
                json!({ "loginId": "joe@example.com" })
            )
            .await
            .0,
        429
    );
    let (_, err) = program.stop();
    assert!(
        err.contains(link),
        "asked for, so the links are logged: {err}"
    );
}

#[tokio::test]
async fn tokens_survive_a_restart_with_a_key_of_ones_own() {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use base64::Engine as _;
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(document.as_ref());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let scratch = Scratch::new("key");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    );
    let file = scratch.file("key.pem", &pem);
    let mut published = Vec::new();
    for _ in 0..2 {
        let program = Running::start(&scratch, |command| {
            command.arg("--signing-key").arg(&file);
        });
        let url = format!("{}/v2/keys/{}", program.base, program.project);
        let keys: Value = get(&url).await;
        published.push(keys);
        program.stop();
    }
    assert_eq!(published[0]["keys"].as_array().unwrap().len(), 1);
    assert_eq!(published[0], published[1]);
}

#[test]
fn mistakes_are_explained() {
    let scratch = Scratch::new("mistakes");
    let message = refused(&["--host", "0.0.0.0", "--port", "0"], None);
    assert!(message.contains("--allow-remote"), "{message}");
    let unknown = scratch.file("unknown.toml", "colour = \"red\"");
    assert!(refused(&[], Some(&unknown)).contains("unknown field `colour`"));
    let span = scratch.file("span.json", r#"{ "link_lifetime": "soon" }"#);
    assert!(refused(&[], Some(&span)).contains("write it like 90s, 3m or 1h 30m"));
    assert!(refused(&[], Some(&scratch.0.join("missing.toml"))).contains("missing.toml"));
    assert!(refused(&["--port", "0", "--project-id", "P:1"], None).contains("project_id"));
    let key = scratch.file("key.pem", "nothing");
    assert!(refused(&["--signing-key", key.to_str().unwrap()], None).contains("openssl genpkey"));
}
