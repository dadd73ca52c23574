//! The control endpoints, over HTTP.
#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should stop where it fails"
)]

mod support;

use std::time::Duration;

use descope_magiclink_emulator::{Emulator, User};
use serde_json::{Value, json};
use support::{Api, Response, claims};

const JOE: &str = "joe@example.com";

async fn controlled() -> Emulator {
    Emulator::builder()
        .user(User::new(JOE))
        .control(true)
        .start()
        .await
        .unwrap()
}

struct Control<'a>(Api<'a>);

impl Control<'_> {
    async fn get(&self, path: &str) -> Value {
        self.0
            .send("GET", &format!("/_emulator/v1/{path}"), None, None)
            .await
            .ok()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.0
            .send("POST", &format!("/_emulator/v1/{path}"), None, Some(body))
            .await
    }

    async fn delete(&self, path: &str) {
        self.0
            .send("DELETE", &format!("/_emulator/v1/{path}"), None, None)
            .await
            .ok();
    }

    async fn sign_in(&self) -> Response {
        self.0
            .post("/v1/auth/magiclink/signin/email", json!({ "loginId": JOE }))
            .await
    }
}

#[tokio::test]
async fn messages_are_listed_filtered_awaited_and_cleared() {
    let emulator = controlled().await;
    let control = Control(Api::new(&emulator));
    assert_eq!(control.get("messages").await["messages"], json!([]));
    let (found, _) = tokio::join!(control.get("messages?to=JOE@example.com&wait=60"), async {
        // Whether it is sent before or after the question, it is the response.
        tokio::time::sleep(Duration::from_millis(30)).await;
        control.sign_in().await.ok()
    });
    let message = &found["messages"][0];
    assert_eq!(
        (&message["purpose"], &message["state"]),
        (&json!("sign-in"), &json!("pending"))
    );
    control
        .0
        .verify(message["token"].as_str().unwrap())
        .await
        .ok();
    control.sign_in().await.ok();
    let all = control.get("messages").await;
    assert_eq!(all["messages"][1]["state"], "used");
    assert_eq!(
        control.get("messages?after=1&limit=1").await["messages"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for nothing in [
        "channel=sms",
        "purpose=mfa",
        "loginId=ann",
        "to=ann",
        "after=2",
        "after=2&wait=1",
        "limit=0",
    ] {
        assert_eq!(
            control.get(&format!("messages?{nothing}")).await["messages"],
            json!([]),
            "{nothing}"
        );
    }
    control
        .post("clock", json!({ "advanceSeconds": 180 }))
        .await
        .ok();
    assert_eq!(
        control.get("messages").await["messages"][0]["state"],
        "expired"
    );
    control.delete("messages").await;
    assert_eq!(control.get("messages").await["total"], 0);
    for wrong in ["channel=pigeon", "purpose=fun", "after=x", "wait=-1"] {
        control
            .0
            .send(
                "GET",
                &format!("/_emulator/v1/messages?{wrong}"),
                None,
                None,
            )
            .await
            .refused(400, "EMU400");
    }
}

#[tokio::test]
async fn a_request_is_for_what_its_path_and_its_method_say() {
    let emulator = controlled().await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let send = async |method: &str, path: &str| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", emulator.base_url());
        let response = http.request(method, url).send().await.unwrap();
        let header = |name| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
        let length = header("content-length").map(|length| length.parse::<usize>().unwrap());
        let found = (response.status().as_u16(), header("allow"), length);
        (found, response.bytes().await.unwrap().len())
    };
    let keys = format!("/v2/keys/{}", emulator.project_id());
    for (method, path, status, allow) in [
        ("GET", keys.as_str(), 200, None),
        ("POST", &keys, 405, Some("GET,HEAD")),
        ("OPTIONS", &keys, 405, Some("GET,HEAD")),
        ("GET", "/v2/keys/another", 404, None),
        ("POST", "/v2/keys/another", 405, Some("GET,HEAD")),
        ("POST", "/v2/keys/", 404, None),
        ("POST", "/v2/keys/one/two", 404, None),
        ("POST", "/v2/keys/one%2Ftwo", 405, Some("GET,HEAD")),
        ("PUT", "/v1/auth/refresh", 405, Some("POST,GET,HEAD")),
        ("DELETE", "/v1/auth/magiclink/verify", 405, Some("POST")),
        ("PURGE", "/v1/auth/magiclink/verify", 405, Some("POST")),
        ("GET", "/v1/auth/magiclink/verif%79", 404, None),
        ("GET", "/v1/auth/magiclink/verify/", 404, None),
        ("GET", "/V1/auth/magiclink/verify", 404, None),
        ("GET", "/", 302, None),
        ("GET", "/_emulator", 302, None),
        ("GET", "/_emulator/", 200, None),
        (
            "PUT",
            "/_emulator/v1/faults",
            405,
            Some("GET,HEAD,POST,DELETE"),
        ),
        ("GET", "/_emulator/v1/keys/rotate", 405, Some("POST")),
        (
            "GET",
            "/_emulator/v1/keys/published",
            405,
            Some("PUT,DELETE"),
        ),
        ("GET", "/_emulator/v1/keys/x", 405, Some("DELETE")),
        ("GET", "/_emulator/v1/keys/", 404, None),
        (
            "GET",
            "/_emulator/v1/snapshots/1/restore",
            405,
            Some("POST"),
        ),
        ("POST", "/_emulator/v1/snapshots/1/other", 404, None),
    ] {
        let (found, sent) = send(method, path).await;
        let expected = (status, allow.map(str::to_owned), Some(sent));
        assert_eq!(found, expected, "{method} {path}");
        // The body of a refusal names the method, so that its length is another one for HEAD.
        if method == "GET" && status < 400 {
            assert_eq!(send("HEAD", path).await, (expected, 0), "HEAD {path}");
        }
    }
}

#[tokio::test]
async fn the_same_powers_as_in_process() {
    let emulator = controlled().await;
    let control = Control(Api::new(&emulator));
    assert_eq!(
        control.get("status").await["projectId"],
        emulator.project_id()
    );

    control
        .post("status", json!({}))
        .await
        .refused(405, "EMU405");

    let set = control
        .post("clock", json!({ "set": "2030-01-01T00:00:00Z" }))
        .await
        .ok();
    assert!(
        set["now"]
            .as_str()
            .unwrap()
            .starts_with("2030-01-01T00:00:0")
    );
    assert_eq!(
        control.post("clock", json!({ "frozen": true })).await.ok()["frozen"],
        true
    );
    assert_eq!(
        control.post("clock", json!({ "frozen": false })).await.ok()["frozen"],
        false
    );
    control
        .post("clock", json!({ "advanceSeconds": -60.5 }))
        .await
        .ok();
    control.post("clock", json!({ "real": true })).await.ok();
    for wrong in [
        json!({}),
        json!({ "set": "noon" }),
        json!({ "advanceSeconds": 1e300 }),
        json!({ "real": false }),
        json!({ "frozen": true, "real": true }),
    ] {
        control.post("clock", wrong).await.refused(400, "EMU400");
    }

    let user = json!({ "loginId": "ann@example.com", "roles": ["admin"], "tenants": { "acme": ["x"] }, "claims": { "a": 1 }, "test": true });
    control.post("users", user.clone()).await.ok();
    assert!(
        control
            .post("users", user)
            .await
            .refused(400, "EMU400")
            .contains("taken")
    );
    control
        .post("users", json!({ "loginId": "x", "colour": "red" }))
        .await
        .refused(400, "EMU400");
    assert_eq!(
        control.get("users?loginId=ann@example.com").await["users"][0]["roleNames"],
        json!(["admin"])
    );
    assert_eq!(
        control.get("users").await["users"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let issued = control.post("sessions", json!({ "loginId": "ann@example.com", "amr": ["sms"], "tenant": "acme", "claims": { "b": 2 } })).await.ok();
    let session = claims(&issued["sessionJwt"]);
    assert_eq!(
        (&session["dct"], &session["a"], &session["b"]),
        (&json!("acme"), &json!(1), &json!(2))
    );
    control
        .0
        .get_as(issued["refreshJwt"].as_str().unwrap(), "/v1/auth/me")
        .await
        .ok();
    for flaw in [
        json!({ "expired": true }),
        json!({ "forged": true }),
        json!({ "issuer": "P2x" }),
    ] {
        let mut body = json!({ "loginId": JOE });
        body.as_object_mut()
            .unwrap()
            .extend(flaw.as_object().unwrap().clone());
        let issued = control.post("sessions", body).await.ok();
        control
            .0
            .get_as(issued["refreshJwt"].as_str().unwrap(), "/v1/auth/me")
            .await
            .refused(401, "E061005");
    }
    control
        .post(
            "sessions",
            json!({ "loginId": JOE, "expired": true, "forged": true }),
        )
        .await
        .refused(400, "EMU400");

    let old = control.get("keys").await["ids"][0]
        .as_str()
        .unwrap()
        .to_owned();
    control.post("keys/rotate", json!({})).await.ok();
    assert_eq!(
        control.get("keys").await["published"]["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    control.delete(&format!("keys/{old}")).await;
    control
        .0
        .get_as(issued["refreshJwt"].as_str().unwrap(), "/v1/auth/me")
        .await
        .refused(401, "E061005");
    control
        .post("keys/rotate", json!({ "revoke": true }))
        .await
        .ok();
    control
        .0
        .send(
            "PUT",
            "/_emulator/v1/keys/published",
            None,
            Some(json!({ "keys": "broken" })),
        )
        .await
        .ok();
    assert_eq!(
        control.get("keys").await["published"],
        json!({ "keys": "broken" })
    );
    control.delete("keys/published").await;
    assert_eq!(
        control.get("keys").await["published"]["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let saved = control.post("snapshots", json!({})).await.ok()["id"]
        .as_u64()
        .unwrap();
    control.delete("users?loginId=ann@example.com").await;
    control
        .post(&format!("snapshots/{saved}/restore"), json!({}))
        .await
        .ok();
    assert_eq!(emulator.users().count(), 2);
    control
        .post("snapshots/99/restore", json!({}))
        .await
        .refused(400, "EMU400");
    control.post("reset", json!({})).await.ok();
    assert_eq!(emulator.users().count(), 1);
    assert!(emulator.requests().all().is_empty());
}

#[tokio::test]
async fn faults_and_the_journal() {
    let emulator = controlled().await;
    let control = Control(Api::new(&emulator));
    let id = control
        .post("faults", json!({ "operation": "SignInMagicLinkEmail", "times": 1, "respond": { "status": 503, "json": { "a": 1 }, "headers": { "X-A": "b" } } }))
        .await
        .ok()["id"]
        .as_u64()
        .unwrap();
    let response = control.sign_in().await;
    assert_eq!((response.status, &response.body), (503, &json!({ "a": 1 })));
    control.sign_in().await.ok();
    assert_eq!(control.get("faults").await["faults"][0]["hits"], 1);
    control.delete(&format!("faults/{id}")).await;
    for fault in [
        json!({ "path": "/v1/auth/", "rateLimited": { "retryAfterSeconds": 7 }, "times": 1 }),
        json!({ "delayMillis": 1, "times": 1 }),
        json!({ "blackHole": true, "times": 0 }),
        json!({ "cutBodyAfter": 3, "times": 0, "afterHandling": true }),
        json!({ "reset": true, "times": 0 }),
        json!({ "respond": { "status": 500, "text": "<html>" }, "times": 0 }),
        json!({ "tokensOf": "eve@example.com", "times": 0 }),
        json!({ "alter": { "text": "{}", "gzip": true }, "times": 0 }),
    ] {
        control.post("faults", fault).await.ok();
    }
    assert_eq!(control.sign_in().await.headers["retry-after"], "7");
    control.delete("faults").await;
    let altered = json!({ "status": 202, "removeHeaders": ["Date"], "headers": { "X-Edge": "1" } });
    let id = control
        .post(
            "faults",
            json!({ "path": "/v1/auth/otp/", "alter": altered }),
        )
        .await
        .ok()["id"]
        .clone();
    let response = control.0.post("/v1/auth/otp/verify/email", json!({})).await;
    assert_eq!(
        (response.status, &response.headers["x-edge"]),
        (202, &"1".parse().unwrap())
    );
    assert!(response.headers.get("date").is_none());
    assert_eq!(
        response.body["errorCode"], "EMU501",
        "the rest is the real response"
    );
    control.delete(&format!("faults/{id}")).await;
    for wrong in [
        json!({}),
        json!({ "reset": true, "blackHole": true }),
        json!({ "operation": "VerifyMagicLink", "path": "/", "reset": true }),
        json!({ "operation": "Nope", "reset": true }),
        json!({ "respond": { "status": 200, "text": "a", "json": 1 } }),
        json!({ "respond": { "text": "no status" } }),
        json!({ "alter": { "status": 99 } }),
        json!({ "colour": "red" }),
    ] {
        control.post("faults", wrong).await.refused(400, "EMU400");
    }
    let requests = control.get("journal?operation=SignInMagicLinkEmail").await["requests"].clone();
    let seen: Vec<_> = requests
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["status"].as_u64().unwrap())
        .collect();
    assert_eq!(seen, [503, 200, 429]);
    assert_eq!(requests[0]["body"], json!({ "loginId": JOE }));
    assert_eq!(
        control.get("journal?after=3").await["requests"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    control.delete("journal").await;
    assert_eq!(control.get("journal").await["requests"], json!([]));
}

#[tokio::test]
async fn other_origins_and_names_are_refused() {
    let emulator = controlled().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/_emulator/v1/status", emulator.base_url());
    let status = |name: &'static str, value: String| {
        let request = http.get(&url).header(name, value);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let port = emulator.address().port();
    assert_eq!(status("Host", format!("evil.example:{port}")).await, 403);
    assert_eq!(
        status("Host", format!("127.0.0.1.evil.example:{port}")).await,
        403
    );
    assert_eq!(status("Host", format!("localhost:{port}")).await, 200);
    assert_eq!(status("Host", format!("app.localhost:{port}")).await, 200);
    assert_eq!(
        status("Origin", "https://evil.example".to_owned()).await,
        403
    );
    assert_eq!(status("Origin", "null".to_owned()).await, 403);
    assert_eq!(status("Origin", emulator.base_url().to_owned()).await, 200);

    let named = Emulator::builder()
        .control(true)
        .allowed_hosts(["emulator.test"])
        .start()
        .await
        .unwrap();
    let response = http
        .get(format!("{}/_emulator/", named.base_url()))
        .header("Host", "emulator.test")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = response.text().await.unwrap();
    assert!(
        !page.contains("style=") && !page.contains("<script>") && !page.contains("://"),
        "the page loads only what is served here"
    );

    let closed = Emulator::start().await.unwrap();
    assert_eq!(
        http.get(format!("{}/_emulator/", closed.base_url()))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn changes_are_announced_and_a_shutdown_ends_the_stream() {
    let emulator = controlled().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut events = http
        .get(format!("{}/_emulator/v1/events", emulator.base_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    // Comments keep the connection alive while nothing happens, and other events may come in between.
    let mut next = async |wanted: &str| loop {
        match events.chunk().await.unwrap() {
            Some(other) if !other.starts_with(format!("event: {wanted}\n").as_bytes()) => {}
            found => break found,
        }
    };
    let first = next("outbox").await.unwrap();
    assert!(first.ends_with(b"data: {\"version\":0}\n\n"), "{first:?}");
    next("changed").await.unwrap();
    emulator.users().add(User::new("ann")).unwrap();
    next("changed").await.unwrap();
    Control(Api::new(&emulator)).sign_in().await.ok();
    let second = next("outbox").await.unwrap();
    assert!(second.ends_with(b"data: {\"version\":1}\n\n"), "{second:?}");
    // That it ends is the test: the stream must not hold up the stop.
    emulator.shutdown(Duration::MAX).await;
    assert_eq!(next("outbox").await, None);
}
