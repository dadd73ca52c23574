//! A plain HTTP client for the tests: no type of the crate under test beyond the emulator's handle.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should stop where it fails"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use descope_magiclink_emulator::Emulator;
use serde_json::{Map, Value, json};

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Response {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        assert_eq!(
            (self.status, self.body["errorCode"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        self.body["errorMessage"].as_str().unwrap().to_owned()
    }
}

pub(crate) struct Api<'a> {
    pub(crate) emulator: &'a Emulator,
    http: reqwest::Client,
}

impl<'a> Api<'a> {
    pub(crate) fn new(emulator: &'a Emulator) -> Self {
        Self {
            emulator,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<String>,
        body: Option<Value>,
    ) -> Response {
        let url = format!("{}{path}", self.emulator.base_url());
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        conforms(method, path, status, &body);
        Response {
            status,
            headers,
            body,
        }
    }

    fn bearer(&self, more: &str) -> Option<String> {
        let project = self.emulator.project_id();
        Some(if more.is_empty() {
            format!("Bearer {project}")
        } else {
            format!("Bearer {project}:{more}")
        })
    }

    /// A call that no user stands behind.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Response {
        self.send("POST", path, self.bearer(""), Some(body)).await
    }

    /// A call with a token after the project id.
    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Value) -> Response {
        self.send("POST", path, self.bearer(token), Some(body))
            .await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Response {
        self.send("GET", path, self.bearer(token), None).await
    }

    pub(crate) async fn manage(&self, path: &str, body: Value) -> Response {
        self.post_as(self.emulator.management_key(), path, body)
            .await
    }

    pub(crate) async fn verify(&self, token: &str) -> Response {
        self.post("/v1/auth/magiclink/verify", json!({ "token": token }))
            .await
    }

    /// Signs up by email and verifies.
    pub(crate) async fn joined(&self, email: &str) -> Value {
        self.post(
            "/v1/auth/magiclink/signup/email",
            json!({ "loginId": email }),
        )
        .await
        .ok();
        let message = self.emulator.outbox().next_for(email).await.unwrap();
        self.verify(message.token()).await.ok()
    }
}

/// Every response of a described operation is checked against the description.
#[track_caller]
fn conforms(method: &str, path: &str, status: u16, body: &Value) {
    static DESCRIPTION: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
        serde_json::from_str(include_str!("../../src/operations/openapi.json")).unwrap()
    });
    let path = path.split('?').next().unwrap();
    let path = if path.starts_with("/v2/keys/") {
        "/v2/keys/{projectId}"
    } else {
        path
    };
    let operation = &DESCRIPTION["paths"][path][method.to_ascii_lowercase()];
    if operation.is_null() || status >= 500 {
        return;
    }
    let schema = if status == 200 {
        if operation["responses"]["200"]["content"].is_null() {
            return; // A call without a result may get anything.
        }
        operation["responses"]["200"]["content"]["application/json"]["schema"].clone()
    } else {
        json!({ "$ref": "#/components/schemas/ErrorResponse" })
    };
    assert!(!schema.is_null(), "{path} has no schema");
    let document = json!({ "allOf": [schema], "components": DESCRIPTION["components"] });
    let validator = jsonschema::options()
        .should_validate_formats(false)
        .build(&document)
        .unwrap();
    let problems: Vec<String> = validator
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert!(problems.is_empty(), "{method} {path}: {problems:?}");
}

/// The claims of a token, unchecked.
pub(crate) fn claims(token: &Value) -> Map<String, Value> {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(crate) fn header(token: &Value) -> Value {
    let header = token.as_str().unwrap().split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

/// Whether one of the published keys signed the token.
pub(crate) fn signed_by(token: &Value, key_set: &Value) -> bool {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
    let kid = header(token)["kid"].clone();
    let Some(key) = key_set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == kid)
    else {
        return false;
    };
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (message, signature) = token.as_str().unwrap().rsplit_once('.').unwrap();
    RsaPublicKeyComponents {
        n: part("n"),
        e: part("e"),
    }
    .verify(
        &RSA_PKCS1_2048_8192_SHA256,
        message.as_bytes(),
        &URL_SAFE_NO_PAD.decode(signature).unwrap(),
    )
    .is_ok()
}
