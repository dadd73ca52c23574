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
    http: reqwest::Client,
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
            http: http(),
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
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(bearer)
            .json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn get(url: &str) -> Value {
    let response = http().get(url).send().await.unwrap();
    response.json().await.unwrap()
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
        err.contains("POST /v1/auth/magiclink/verify 200\n") && err.ends_with("stopped\n"),
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

#[tokio::test]
async fn a_parent_that_does_not_read_stalls_nothing_and_signals_work() {
    let scratch = Scratch::new("unread");
    let mut program = Running::start(&scratch, |command| {
        command.args(["--user", "joe@example.com", "--log", "secrets"]);
    });
    // Two lines for each: more than a pipe of 64 KiB and the queue before it hold.
    for _ in 0..1_200 {
        let body = json!({ "loginId": "joe@example.com" });
        let (status, _) = program.post("/v1/auth/magiclink/signin/email", body).await;
        assert_eq!(status, 200);
    }
    let mut stderr = program.child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    Command::new("kill")
        .arg(program.child.id().to_string())
        .status()
        .unwrap();
    assert!(program.child.wait().unwrap().success());
    let text = reading.join().unwrap();
    assert!(
        text.contains(" lines were dropped: standard error is read too slowly"),
        "{text}"
    );
    assert!(text.ends_with("stopped\n"), "{text}");
}

#[tokio::test]
async fn a_parent_that_never_reads_at_all_can_still_stop_it() {
    let scratch = Scratch::new("never-read");
    let program = Running::start(&scratch, |command| {
        command.args(["--user", "joe@example.com", "--log", "secrets"]);
    });
    for _ in 0..500 {
        let body = json!({ "loginId": "joe@example.com" });
        let (status, _) = program.post("/v1/auth/magiclink/signin/email", body).await;
        assert_eq!(status, 200);
    }
    // Reads only after the end.
    program.stop();
}

#[tokio::test]
async fn the_state_file_keeps_users_keys_links_sessions_and_the_clock() {
    let scratch = Scratch::new("state");
    let file = scratch.0.join("state.json");
    let start = || {
        Running::start(&scratch, |command| {
            command
                .arg("--state")
                .arg(&file)
                .args(["--user", "seed@example.com"]);
        })
    };
    let program = start();
    let base = format!("{}/_emulator/v1", program.base);
    let keys = get(&format!("{base}/keys")).await;
    let clock = json!({ "set": "2030-01-01T00:00:00Z" });
    http()
        .post(format!("{base}/clock"))
        .json(&clock)
        .send()
        .await
        .unwrap();
    let tenant = json!({ "id": "acme", "name": "Acme Inc." });
    http()
        .post(format!("{base}/tenants"))
        .json(&tenant)
        .send()
        .await
        .unwrap();
    let body = json!({ "loginId": "joe@example.com" });
    program
        .post("/v1/auth/magiclink/signup/email", body.clone())
        .await;
    let first = get(&format!("{base}/messages")).await["messages"][0]["token"].clone();
    let (_, auth) = program
        .post("/v1/auth/magiclink/verify", json!({ "token": first }))
        .await;
    program.post("/v1/auth/magiclink/signin/email", body).await;
    let second = get(&format!("{base}/messages")).await["messages"][0]["token"].clone();
    program.stop();

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "it holds private keys");
    }
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(saved["version"], 1);

    let program = start();
    let base = format!("{}/_emulator/v1", program.base);
    assert_eq!(get(&format!("{base}/keys")).await, keys);
    let now = get(&format!("{base}/clock")).await["now"].clone();
    assert!(now.as_str().unwrap().starts_with("2030-01-01T"), "{now}");
    let tenants = get(&format!("{base}/tenants")).await;
    assert_eq!(tenants["tenants"][0]["name"], "Acme Inc.");
    let users = get(&format!("{base}/users")).await;
    assert_eq!(users["users"].as_array().unwrap().len(), 2);
    assert!(program.refresh(&auth["refreshJwt"]).await["sessionJwt"].is_string());
    let verify = "/v1/auth/magiclink/verify";
    let (used, _) = program.post(verify, json!({ "token": first })).await;
    let (open, _) = program.post(verify, json!({ "token": second })).await;
    assert_eq!((used, open), (401, 200));
    program.stop();

    let path = file.to_str().unwrap();
    let other = refused(
        &["--port", "0", "--state", path, "--project-id", "P2Other"],
        None,
    );
    assert!(
        other.contains("start with --project-id P2Emulator"),
        "{other}"
    );
    let broken = scratch.file("broken.json", "{");
    let broken = refused(&["--port", "0", "--state", broken.to_str().unwrap()], None);
    assert!(broken.contains("broken.json"), "{broken}");
    let newer = scratch.file("newer.json", &{
        let mut newer = saved.clone();
        newer["version"] = 2.into();
        newer.to_string()
    });
    let newer = refused(&["--port", "0", "--state", newer.to_str().unwrap()], None);
    assert!(newer.contains("this program reads version 1"), "{newer}");
}

#[tokio::test]
async fn the_snippets_set_what_they_need() {
    let Output { stdout, .. } = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(stdout).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snippets");
    let Ok(compose) = std::fs::read_to_string(folder.join("compose.yaml")) else {
        return; // The crate was taken out of its workspace.
    };
    let compose: Value = serde_saphyr::from_str(&compose).unwrap();
    let variables = compose["services"]["emulator"]["environment"]
        .as_object()
        .unwrap();
    for name in variables.keys() {
        assert!(help.contains(&format!("[env: {name}=")), "{name}");
    }
    let app = &compose["services"]["app"]["environment"];
    assert_eq!(app["DESCOPE_ALLOW_PLAIN_HTTP"], "1");
    let scratch = Scratch::new("compose");
    let program = Running::start(&scratch, |command| {
        for (name, value) in variables {
            command.env(name, value.as_str().unwrap());
        }
    });
    assert_eq!(app["DESCOPE_PROJECT_ID"], program.project.as_str());
    let set = std::fs::read_to_string(&program.env_file).unwrap();
    let key = app["DESCOPE_MANAGEMENT_KEY"].as_str().unwrap();
    assert!(
        set.contains(&format!("DESCOPE_MANAGEMENT_KEY={key}\n")),
        "{set}"
    );
    // By the name that the other container has for it, and by the port of the host.
    let port = program.base.rsplit(':').next().unwrap();
    let status = format!("http://127.0.0.1:{port}/_emulator/v1/status");
    let host = app["DESCOPE_BASE_URI"]
        .as_str()
        .unwrap()
        .trim_start_matches("http://");
    for (host, wanted) in [
        (host, 200),
        ("localhost:8055", 200),
        ("rebound.test:8055", 403),
    ] {
        let response = program.http.get(&status).header("host", host).send();
        assert_eq!(response.await.unwrap().status(), wanted, "{host}");
    }
    let base = app["DESCOPE_BASE_URI"].as_str().unwrap();
    let published = compose["services"]["emulator"]["ports"][0]
        .as_str()
        .unwrap();
    assert!(
        published.ends_with(base.rsplit(':').next().unwrap()),
        "{published}"
    );
    let job = std::fs::read_to_string(folder.join("ci.yaml")).unwrap();
    let job: Value = serde_saphyr::from_str(&job).unwrap();
    assert!(job["jobs"]["sign-in"]["steps"].is_array());
}

#[test]
fn the_readme_has_every_flag_and_variable() {
    let Output { stdout, .. } = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(stdout).unwrap();
    let readme = include_str!("../README.md");
    let named = help
        .split(|c: char| c.is_whitespace() || "[]=<,".contains(c))
        .filter(|word| word.starts_with("--") || word.starts_with("DESCOPE_EMULATOR_"))
        .filter(|word| !["--help", "--version", "--"].contains(word));
    for word in named {
        assert!(
            readme.contains(&format!("`{word}`")),
            "README.md lacks {word}"
        );
    }
    let example = readme
        .split("```toml")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let scratch = Scratch::new("readme");
    let file = scratch.file("example.toml", example);
    Running::start(&scratch, |command| {
        command.arg("--config").arg(&file);
    })
    .stop();
}

fn exec(script: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(BINARY);
    command
        .arg("exec")
        .args(more)
        .args(["--", "sh", "-c", script]);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .env("DESCOPE_PUBLIC_KEY", "of another project")
        .env("NO_PROXY", "example.com")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn exec_gives_a_command_an_emulator_and_hands_on_its_status() {
    let (code, out, err) = exec(
        "echo $DESCOPE_BASE_URI $DESCOPE_BASE_URL $DESCOPE_PROJECT_ID $DESCOPE_MANAGEMENT_KEY [$DESCOPE_PUBLIC_KEY] $NO_PROXY",
        &["--project-id", "P2mine"],
    );
    assert_eq!(code, Some(0), "{err}");
    let words: Vec<&str> = out.split_whitespace().collect();
    let base = words[0];
    assert!(base.starts_with("http://127.0.0.1:"), "{out}");
    assert_eq!(
        words[1..],
        [
            base,
            "P2mine",
            "K2EmulatorManagementKeyForLocalDev",
            "[]",
            "example.com,127.0.0.1,localhost"
        ]
    );
    assert!(
        err.contains("baseUrl: process.env.DESCOPE_BASE_URI"),
        "{err}"
    );

    let (code, _, err) = exec("exit 7", &[]);
    assert_eq!(code, Some(7));
    assert!(err.contains("the command ended with status 7"), "{err}");
    assert!(err.contains("no message was sent"), "{err}");

    let (code, _, _) = exec("kill -TERM $$", &[]);
    assert_eq!(code, Some(128 + 15), "as a shell gives it");

    let missing = refused(&["exec", "--", "no-such-command-anywhere"], None);
    assert!(
        missing.contains("cannot run no-such-command-anywhere"),
        "{missing}"
    );
    let nothing = refused(&["exec"], None);
    assert!(nothing.contains("COMMAND"), "{nothing}");
}

#[test]
fn exec_hands_on_signals() {
    let scratch = Scratch::new("exec-signal");
    let ready = scratch.0.join("ready");
    let script = format!(
        "trap 'exit 9' TERM; touch {}; while :; do sleep 0.01; done",
        ready.display()
    );
    let mut child = Command::new(BINARY)
        .args(["exec", "--", "sh", "-c", &script])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !ready.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn exec_shows_what_was_sent_when_the_command_failed() {
    let script = r#"curl --silent --noproxy '*' -H "Authorization: Bearer $DESCOPE_PROJECT_ID" -d '{"loginId":"joe@example.com"}' "$DESCOPE_BASE_URI/v1/auth/magiclink/signup/email" >&2
        curl --silent --noproxy '*' -H "Authorization: Bearer $DESCOPE_PROJECT_ID" -d '{"token":"wrong"}' "$DESCOPE_BASE_URI/v1/auth/magiclink/verify" >&2
        exit 1"#;
    if Command::new("curl").arg("--version").output().is_err() {
        return;
    }
    let (code, _, err) = exec(script, &[]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("1 for sign-up by email to joe@example.com"),
        "{err}"
    );
    assert!(
        err.contains("POST /v1/auth/magiclink/verify 401 E062504"),
        "{err}"
    );
}
