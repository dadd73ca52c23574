//! What `emulator/BEHAVIOUR.md` says, put to the emulator at every change, and to a real project by one command:
//!
//! `DESCOPE_PROJECT_ID=P... DESCOPE_MANAGEMENT_KEY=K... DESCOPE_LIVE_TESTS=this-is-a-test-project cargo test -p descope-magiclink-tests --test live -- --ignored --nocapture`
//!
//! Each row of that page has a probe or a reason why it has none. The same probes run against both; against a real
//! project the outcome of each is printed. Users are made for it and deleted again; addresses are of `example.com`,
//! which takes no mail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use descope_magiclink::management::{Management, TestUser};
use descope_magiclink::raw::types::JwtResponse;
use descope_magiclink::{Client, DeliveryMethod, ErrorCode};
use descope_magiclink_emulator::Emulator;
use serde_json::{Map, Value, json};

/// What a probe found.
#[derive(Debug, PartialEq)]
enum Verdict {
    Confirmed,
    Contradicted(String),
    NotObservable(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirmed => f.write_str("confirmed"),
            Self::Contradicted(seen) => write!(f, "CONTRADICTED: {seen}"),
            Self::NotObservable(why) => write!(f, "not observable: {why}"),
        }
    }
}

fn expect(holds: bool, seen: impl fmt::Debug) -> Verdict {
    if holds {
        Verdict::Confirmed
    } else {
        Verdict::Contradicted(format!("{seen:?}"))
    }
}

/// The first that is not confirmed.
fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut others = verdicts
        .into_iter()
        .filter(|one| *one != Verdict::Confirmed);
    others.next().unwrap_or(Verdict::Confirmed)
}

/// A status and a JSON body. Its tokens are not printed.
struct Response {
    status: u16,
    body: Value,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, shape(&self.body))?;
        match self.body["errorCode"].as_str() {
            Some(code) => write!(f, " {code} {}", self.body["errorMessage"]),
            None => Ok(()),
        }
    }
}

impl Response {
    fn refused(&self, status: u16, code: &str) -> Verdict {
        expect(
            self.status == status && self.body["errorCode"] == code,
            self,
        )
    }

    fn is_ok(&self) -> bool {
        self.status == 200
    }

    fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_owned()
    }
}

/// The types of a value in place of its parts; of an array the first part stands for all.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, part)| (name.clone(), shape(part)))
            .collect(),
    }
}

/// Whether a value has the recorded shape; which members differ where it has not.
fn has_shape(value: &Value, golden: &str) -> Verdict {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let seen = shape(value);
    let differs: Vec<String> = match (&golden, &seen) {
        (Value::Object(golden), Value::Object(seen)) => {
            let names: BTreeSet<_> = golden.keys().chain(seen.keys()).collect();
            let differs = names
                .into_iter()
                .filter(|name| golden.get(*name) != seen.get(*name));
            differs.cloned().collect()
        }
        _ => vec!["the whole".to_owned()],
    };
    expect(golden == seen, differs)
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// A project to probe, the emulator's or a real one.
struct Project {
    http: reqwest::Client,
    base: String,
    id: String,
    key: String,
    made: Mutex<Vec<String>>,
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

impl Project {
    fn new(base: &str, id: &str, key: &str) -> Self {
        Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            base: base.trim_end_matches('/').to_owned(),
            id: id.to_owned(),
            key: key.to_owned(),
            made: Mutex::default(),
        }
    }

    async fn send(&self, method: &str, path: &str, more: &str, body: Option<Value>) -> Response {
        let bearer = if more.is_empty() {
            self.id.clone()
        } else {
            format!("{}:{more}", self.id)
        };
        let url = format!("{}{path}", self.base);
        let mut request = self
            .http
            .request(method.parse().unwrap(), url)
            .bearer_auth(bearer);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Response { status, body }
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.send("POST", path, "", Some(body)).await
    }

    async fn post_as(&self, token: &str, path: &str, body: Value) -> Response {
        self.send("POST", path, token, Some(body)).await
    }

    async fn manage(&self, path: &str, body: Value) -> Response {
        self.send("POST", path, &self.key, Some(body)).await
    }

    /// A login id that nobody has, to be deleted at the end.
    fn address(&self) -> String {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let address = format!("probe-{}-{number}@example.com", std::process::id());
        self.made.lock().unwrap().push(address.clone());
        address
    }

    async fn user_with(&self, more: Value) -> String {
        let address = self.address();
        let mut body = json!({ "loginId": address, "email": address, "verifiedEmail": true });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        let made = self.manage("/v1/mgmt/user/create/test", body).await;
        assert!(made.is_ok(), "no test user: {made:?}");
        address
    }

    async fn user(&self) -> String {
        self.user_with(json!({})).await
    }

    async fn generate(&self, login_id: &str, more: Value) -> Response {
        let mut body = json!({ "loginId": login_id, "deliveryMethod": "email", "redirectUrl": "https://example.com/verify" });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap_or_default());
        self.manage("/v1/mgmt/tests/generate/magiclink", body).await
    }

    async fn link_token(&self, login_id: &str) -> String {
        let made = self.generate(login_id, json!({})).await;
        token_of(&made.text("link"))
    }

    async fn verify(&self, token: &str) -> Response {
        self.post("/v1/auth/magiclink/verify", json!({ "token": token }))
            .await
    }

    async fn sign_in(&self, login_id: &str) -> Response {
        let token = self.link_token(login_id).await;
        self.verify(&token).await
    }

    /// A new test user who is signed in: login id, response of the verify, refresh token.
    async fn signed_in(&self) -> (String, Response, String) {
        let user = self.user().await;
        let login = self.sign_in(&user).await;
        let refresh = login.text("refreshJwt");
        (user, login, refresh)
    }

    async fn clean(&self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        for login_id in made {
            self.manage("/v1/mgmt/user/delete", json!({ "loginId": login_id }))
                .await;
        }
    }
}

fn token_of(link: &str) -> String {
    let token = link
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("t="));
    let token = token.unwrap_or_default();
    token.split('#').next().unwrap_or_default().to_owned()
}

type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

struct Probe {
    /// The first column of its row.
    row: &'static str,
    run: for<'a> fn(&'a Project) -> Running<'a>,
}

const SIGN_IN: &str = "/v1/auth/magiclink/signin/email";
const SIGN_UP: &str = "/v1/auth/magiclink/signup/email";
const UPDATE: &str = "/v1/auth/magiclink/update/email";

static PROBES: &[Probe] = &[
    Probe {
        row: "Verify of an unknown, an expired or a used token",
        run: |p| {
            Box::pin(async move {
                let unknown = p.verify(&"0".repeat(64)).await;
                let user = p.user().await;
                let token = p.link_token(&user).await;
                p.verify(&token).await;
                let used = p.verify(&token).await;
                let body = json!({ "loginId": user, "timeout": 1 });
                let made = p.manage("/v1/mgmt/user/signin/embeddedlink", body).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                let expired = p.verify(&made.text("token")).await;
                all([unknown, used, expired].map(|response| response.refused(401, "E062504")))
            })
        },
    },
    Probe {
        row: "Verify without a token",
        run: |p| {
            Box::pin(async move {
                p.post("/v1/auth/magiclink/verify", json!({}))
                    .await
                    .refused(400, "E011002")
            })
        },
    },
    Probe {
        row: "A verify that is refused for another reason",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let token = p.link_token(&user).await;
                let status = |status: &str| json!({ "loginId": user, "status": status });
                let path = "/v1/mgmt/user/update/status";
                let disabled = p.manage(path, status("disabled")).await;
                if !disabled.is_ok() {
                    return Verdict::NotObservable(format!(
                        "no user can be disabled: {disabled:?}"
                    ));
                }
                let refused = p.verify(&token).await;
                p.manage(path, status("enabled")).await;
                let again = p.verify(&token).await;
                all([
                    expect(!refused.is_ok(), &refused),
                    again.refused(401, "E062504"),
                ])
            })
        },
    },
    Probe {
        row: "A new link",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let (first, _) = (p.link_token(&user).await, p.link_token(&user).await);
                let response = p.verify(&first).await;
                expect(response.is_ok(), &response)
            })
        },
    },
    Probe {
        row: "Form of a token",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let token = p.link_token(&user).await;
                let is_hex = token.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
                expect(token.len() == 64 && is_hex, token.len())
            })
        },
    },
    Probe {
        row: "Redirect URL with a query",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let redirect = "https://example.com/verify?a=1#end";
                let made = p.generate(&user, json!({ "redirectUrl": redirect })).await;
                let link = made.text("link");
                let holds =
                    link.starts_with("https://example.com/verify?a=1&t=") && link.ends_with("#end");
                expect(holds, link.replace(&token_of(&link), "TOKEN"))
            })
        },
    },
    Probe {
        row: "Redirect URL that is not absolute, or leads to no page and no app (`javascript:`, `data:`, `mailto:` and the like)",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let mut verdicts = Vec::new();
                for url in ["/verify", "javascript:alert(1)", "mailto:a@example.com"] {
                    let body = json!({ "loginId": user, "redirectUrl": url });
                    verdicts.push(p.post(SIGN_IN, body).await.refused(400, "E011004"));
                }
                all(verdicts)
            })
        },
    },
    Probe {
        row: "Masked addresses",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let sent = p.post(SIGN_IN, json!({ "loginId": user })).await;
                expect(
                    sent.body["maskedEmail"] == "p***@example.com",
                    &sent.body["maskedEmail"],
                )
            })
        },
    },
    Probe {
        row: "`useRecovery`",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let body = json!({ "loginId": user, "useRecovery": true });
                p.post(SIGN_IN, body).await.refused(400, "E011002")
            })
        },
    },
    Probe {
        row: "Template ids",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let body = json!({ "loginId": user, "templateId": "no-such-template" });
                let sent = p.post(SIGN_IN, body).await;
                expect(sent.is_ok(), &sent)
            })
        },
    },
    Probe {
        row: "`revokeOtherSessionsTypes`, `logoutType`, `sessionTypes`",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                let body = json!({ "logoutType": ["any"] });
                let out = p.post_as(&refresh, "/v1/auth/logout", body).await;
                let after = p.post_as(&refresh, "/v1/auth/refresh", json!({})).await;
                all([expect(out.is_ok(), &out), expect(!after.is_ok(), &after)])
            })
        },
    },
    Probe {
        row: "When a signed-up user exists",
        run: |p| {
            Box::pin(async move {
                let address = p.address();
                let sent = p
                    .post(SIGN_UP, json!({ "loginId": address, "email": address }))
                    .await;
                let path = format!("/v1/mgmt/user?loginId={address}");
                let found = p.send("GET", &path, &p.key, None).await;
                let status = &found.body["user"]["status"];
                all([
                    expect(sent.is_ok(), &sent),
                    expect(status == "invited", status),
                ])
            })
        },
    },
    Probe {
        row: "A second sign-up before the first verify",
        run: |p| {
            Box::pin(async move {
                let address = p.address();
                let body = json!({ "loginId": address, "email": address });
                p.post(SIGN_UP, body.clone()).await;
                let second = p.post(SIGN_UP, body).await;
                expect(second.body["errorCode"] == "E062107", &second)
            })
        },
    },
    Probe {
        row: "Status of `E062107` (user exists) and `E062125` (update conflict)",
        run: |p| {
            Box::pin(async move {
                let (user, _, _) = p.signed_in().await;
                let body = json!({ "loginId": user, "email": user });
                p.post(SIGN_UP, body).await.refused(400, "E062107")
            })
        },
    },
    Probe {
        row: "Sign-in of an unknown user",
        run: |p| {
            Box::pin(async move {
                let body = json!({ "loginId": p.address() });
                p.post(SIGN_IN, body).await.refused(400, "E062108")
            })
        },
    },
    Probe {
        row: "Sign-in by a method for which the user has no address",
        run: |p| {
            Box::pin(async move {
                let body = json!({ "loginId": p.user().await });
                p.post("/v1/auth/magiclink/signin/sms", body)
                    .await
                    .refused(400, "E011002")
            })
        },
    },
    Probe {
        row: "Login ids",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let path = format!("/v1/mgmt/user?loginId={}", user.to_uppercase());
                p.send("GET", &path, &p.key, None)
                    .await
                    .refused(404, "E112102")
            })
        },
    },
    Probe {
        row: "Shape of addresses",
        run: |p| {
            Box::pin(async move {
                let body = json!({ "loginId": "a b@example.com", "email": "a b@example.com" });
                p.post(SIGN_UP, body).await.refused(400, "E011004")
            })
        },
    },
    Probe {
        row: "A disabled user",
        run: |p| {
            Box::pin(async move {
                let user = p.user_with(json!({ "status": "disabled" })).await;
                p.post(SIGN_IN, json!({ "loginId": user }))
                    .await
                    .refused(401, "E061005")
            })
        },
    },
    Probe {
        row: "`tenantId` in login options",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let body =
                    json!({ "loginId": user, "loginOptions": { "tenantId": "no-such-tenant" } });
                p.post(SIGN_IN, body).await.refused(400, "E011004")
            })
        },
    },
    Probe {
        row: "Custom claims",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let options = json!({ "loginOptions": { "customClaims": { "probe": 1 } } });
                let made = p.generate(&user, options).await;
                let login = p.verify(&token_of(&made.text("link"))).await;
                let claims = claims(&login.text("sessionJwt"));
                expect(claims["nsec"]["probe"] == 1, shape(&claims))
            })
        },
    },
    Probe {
        row: "More than 100 custom claims, names over 60 or values over 500 characters",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let many: Map<String, Value> =
                    (0..101).map(|n| (format!("c{n}"), n.into())).collect();
                let mut verdicts = Vec::new();
                for claims in [
                    json!(many),
                    json!({ "n".repeat(61): 1 }),
                    json!({ "n": "x".repeat(501) }),
                ] {
                    let options = json!({ "loginOptions": { "customClaims": claims } });
                    verdicts.push(p.generate(&user, options).await.refused(400, "E011004"));
                }
                all(verdicts)
            })
        },
    },
    Probe {
        row: "Step-up or MFA with the token of another user, or none",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                let other = p.user().await;
                let body = json!({ "loginId": other, "loginOptions": { "stepup": true } });
                let none = p.post(SIGN_IN, body.clone()).await;
                let foreign = p.post_as(&refresh, SIGN_IN, body).await;
                all([none, foreign].map(|response| response.refused(401, "E061005")))
            })
        },
    },
    Probe {
        row: "`firstSeen`",
        run: |p| {
            Box::pin(async move {
                let (user, first, _) = p.signed_in().await;
                let second = p.sign_in(&user).await;
                let seen = (&first.body["firstSeen"], &second.body["firstSeen"]);
                expect(*seen.0 == true && *seen.1 == false, seen)
            })
        },
    },
    Probe {
        row: "`loginId` of another user than the refresh token's",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                let body = json!({ "loginId": p.user().await, "email": p.address() });
                p.post_as(&refresh, UPDATE, body)
                    .await
                    .refused(401, "E061005")
            })
        },
    },
    Probe {
        row: "The same, and the new address is a login id of another user",
        run: |p| {
            Box::pin(async move {
                let (user, _, refresh) = p.signed_in().await;
                let body = json!({ "loginId": user, "email": p.user().await });
                p.post_as(&refresh, UPDATE, body)
                    .await
                    .refused(400, "E062125")
            })
        },
    },
    Probe {
        row: "`failOnConflict`",
        run: |p| {
            Box::pin(async move {
                let (user, _, refresh) = p.signed_in().await;
                let body = json!({
                    "loginId": user, "email": p.user().await, "addToLoginIDs": true, "failOnConflict": true,
                });
                p.post_as(&refresh, UPDATE, body)
                    .await
                    .refused(400, "E062125")
            })
        },
    },
    Probe {
        row: "Update phone without a delivery method in the path",
        run: |p| {
            Box::pin(async move {
                let (user, _, refresh) = p.signed_in().await;
                let body = json!({ "loginId": user, "phone": "+15555550100" });
                let response = p
                    .post_as(&refresh, "/v1/auth/magiclink/update/phone", body)
                    .await;
                expect(response.status == 404, &response)
            })
        },
    },
    Probe {
        row: "Lifetimes",
        run: |p| {
            Box::pin(async move {
                let (_, login, refresh) = p.signed_in().await;
                let life = |token: &str| {
                    let claims = claims(token);
                    claims["exp"]
                        .as_i64()
                        .zip(claims["iat"].as_i64())
                        .map(|(exp, iat)| exp - iat)
                };
                let seen = (life(&login.text("sessionJwt")), life(&refresh));
                expect(seen == (Some(600), Some(2_419_200)), seen)
            })
        },
    },
    Probe {
        row: "Issuer",
        run: |p| {
            Box::pin(async move {
                let (_, login, _) = p.signed_in().await;
                let claims = claims(&login.text("sessionJwt"));
                let issuer = claims["iss"].as_str().unwrap_or_default();
                let has_audience = claims["aud"] == json!([p.id]);
                let is_url =
                    issuer.starts_with("https://") && issuer.ends_with(&format!("/{}", p.id));
                expect(
                    issuer == p.id || (is_url && has_audience),
                    (issuer, &claims["aud"]),
                )
            })
        },
    },
    Probe {
        row: "`rexp`",
        run: |p| {
            Box::pin(async move {
                let (_, login, refresh) = p.signed_in().await;
                let ends = claims(&refresh);
                let life = ends["exp"].as_i64().unwrap_or(0) - ends["iat"].as_i64().unwrap_or(0);
                let holds = |token: &str| {
                    let claims = claims(token);
                    let rexp =
                        humantime::parse_rfc3339(claims["rexp"].as_str().unwrap_or_default());
                    let rexp = rexp
                        .ok()
                        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
                    let iat = claims["iat"].as_i64().unwrap_or(0);
                    rexp.and_then(|at| i64::try_from(at.as_secs()).ok()) == Some(iat + life)
                };
                let renewed = p.post_as(&refresh, "/v1/auth/refresh", json!({})).await;
                let seen = [login, renewed].map(|response| holds(&response.text("sessionJwt")));
                expect(seen == [true, true], seen)
            })
        },
    },
    Probe {
        row: "Claims of refresh tokens",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                let claims = claims(&refresh);
                let is_first = claims["jti"] == claims["fti"];
                let is_shaped = has_shape(&claims, include_str!("golden/refresh_claims.json"));
                all([
                    is_shaped,
                    expect(is_first && claims["dv"] == 1, "jti, fti or dv"),
                ])
            })
        },
    },
    Probe {
        row: "`tu`",
        run: |p| {
            Box::pin(async move {
                let (_, login, _) = p.signed_in().await;
                let claims = claims(&login.text("sessionJwt"));
                let is_shaped = has_shape(&claims, include_str!("golden/session_claims.json"));
                all([expect(claims["tu"] == true, &claims["tu"]), is_shaped])
            })
        },
    },
    Probe {
        row: "`cookieMaxAge`, `cookieExpiration`, `sessionExpiration`",
        run: |p| {
            Box::pin(async move {
                let (_, login, refresh) = p.signed_in().await;
                let ends = claims(&refresh)["exp"].clone();
                let life =
                    ends.as_i64().unwrap_or(0) - claims(&refresh)["iat"].as_i64().unwrap_or(0);
                let seen = json!([
                    login.body["cookieMaxAge"],
                    login.body["cookieExpiration"],
                    login.body["sessionExpiration"]
                ]);
                expect(
                    seen == json!([life - 1, ends, claims(&login.text("sessionJwt"))["exp"]]),
                    seen,
                )
            })
        },
    },
    Probe {
        row: "What a user has not",
        run: |p| {
            Box::pin(async move {
                let (_, login, _) = p.signed_in().await;
                let user = &login.body["user"];
                let empty = json!([
                    user["name"],
                    user["phone"],
                    user["roleNames"],
                    user["customAttributes"]
                ]);
                let is_shaped = has_shape(&login.body, include_str!("golden/jwt_response.json"));
                let typed: JwtResponse = serde_json::from_value(login.body.clone()).unwrap();
                let is_known = expect(typed.extra.is_empty(), &typed.extra);
                all([
                    is_shaped,
                    is_known,
                    expect(empty == json!(["", "", [], {}]), empty),
                ])
            })
        },
    },
    Probe {
        row: "Response of a refresh without rotation",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                let renewed = p.post_as(&refresh, "/v1/auth/refresh", json!({})).await;
                let body = &renewed.body;
                let holds = body["refreshJwt"].is_null()
                    && body["user"].is_object()
                    && body["firstSeen"] == false;
                expect(holds, &renewed)
            })
        },
    },
    Probe {
        row: "Rotation",
        run: |p| {
            Box::pin(async move {
                let (_, _, first) = p.signed_in().await;
                let second = p
                    .post_as(&first, "/v1/auth/refresh", json!({}))
                    .await
                    .text("refreshJwt");
                if second.is_empty() || second == first {
                    return Verdict::Confirmed; // Off, as the row says of the default.
                }
                let reused = p.post_as(&first, "/v1/auth/refresh", json!({})).await;
                let family = p.post_as(&second, "/v1/auth/refresh", json!({})).await;
                all([reused, family].map(|response| response.refused(400, "E064006")))
            })
        },
    },
    Probe {
        row: "Refresh after logout",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                p.post_as(&refresh, "/v1/auth/logout", json!({})).await;
                p.post_as(&refresh, "/v1/auth/refresh", json!({}))
                    .await
                    .refused(401, "E064001")
            })
        },
    },
    Probe {
        row: "Expired, forged or foreign refresh token",
        run: |p| {
            Box::pin(async move {
                let (_, _, refresh) = p.signed_in().await;
                let cut = refresh
                    .rsplit_once('.')
                    .map(|(signed, _)| format!("{signed}.AAAA"));
                let forged = p
                    .post_as(&cut.unwrap_or_default(), "/v1/auth/refresh", json!({}))
                    .await;
                all([
                    forged.refused(401, "E061005"),
                    has_shape(&forged.body, include_str!("golden/error.json")),
                ])
            })
        },
    },
    Probe {
        row: "Session tokens after a logout",
        run: |p| {
            Box::pin(async move {
                let (_, login, refresh) = p.signed_in().await;
                p.post_as(&refresh, "/v1/auth/logout", json!({})).await;
                let response = p
                    .post_as(&login.text("sessionJwt"), "/v1/auth/validate", json!({}))
                    .await;
                expect(response.is_ok(), &response)
            })
        },
    },
    Probe {
        row: "`validate`",
        run: |p| {
            Box::pin(async move {
                let (_, login, _) = p.signed_in().await;
                let good = p
                    .post_as(&login.text("sessionJwt"), "/v1/auth/validate", json!({}))
                    .await;
                let mut body = good.body.clone();
                // Of test users; no recorded response has it.
                body.as_object_mut().map(|claims| claims.remove("tu"));
                let bad = p.post_as("a.b.c", "/v1/auth/validate", json!({})).await;
                let text = "Failed to validate invalid JWT for any token - onetime";
                all([
                    has_shape(&body, include_str!("golden/validate.json")),
                    bad.refused(401, "E061005"),
                    expect(bad.body["message"] == text, &bad),
                ])
            })
        },
    },
    Probe {
        row: "`me/history`",
        run: |p| {
            Box::pin(async move {
                let (user, _, _) = p.signed_in().await;
                let refresh = p.sign_in(&user).await.text("refreshJwt");
                let response = p.send("GET", "/v1/auth/me/history", &refresh, None).await;
                let times: Vec<_> = response
                    .body
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|visit| visit["loginTime"].as_i64())
                    .collect();
                expect(
                    times.len() == 2 && times.is_sorted_by(|a, b| a >= b),
                    &response,
                )
            })
        },
    },
    Probe {
        row: "`try-refresh` with nothing to refresh",
        run: |p| {
            Box::pin(async move {
                let response = p.post("/v1/auth/try-refresh", json!({})).await;
                expect(response.is_ok() && response.body == json!({}), &response)
            })
        },
    },
    Probe {
        row: "Keys of another project",
        run: |p| {
            Box::pin(async move {
                let own = p.send("GET", &format!("/v2/keys/{}", p.id), "", None).await;
                let other = p
                    .send("GET", "/v2/keys/P2aAc4T2V93bddihGEx2Ryhc8e5Z", "", None)
                    .await;
                let is_shaped = has_shape(&own.body, include_str!("golden/key_set.json"));
                all([is_shaped, expect(other.status == 404, &other)])
            })
        },
    },
    Probe {
        row: "Wrong or missing management key",
        run: |p| {
            Box::pin(async move {
                let mut verdicts = Vec::new();
                for key in ["K2wrong", ""] {
                    let response = p.send("GET", "/v1/mgmt/user?loginId=x", key, None).await;
                    verdicts.push(response.refused(401, "E111119"));
                }
                all(verdicts)
            })
        },
    },
    Probe {
        row: "Unknown user",
        run: |p| {
            Box::pin(async move {
                let path = format!("/v1/mgmt/user?loginId={}", p.address());
                p.send("GET", &path, &p.key, None)
                    .await
                    .refused(404, "E112102")
            })
        },
    },
    Probe {
        row: "Creating a test user twice",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let body = json!({ "loginId": user });
                let again = p.manage("/v1/mgmt/user/create/test", body).await;
                expect(again.is_ok() && again.body["created"] == false, &again)
            })
        },
    },
    Probe {
        row: "Status of a created user",
        run: |p| {
            Box::pin(async move {
                let address = p.address();
                let made = p
                    .manage("/v1/mgmt/user/create/test", json!({ "loginId": address }))
                    .await;
                let user = &made.body["user"];
                let seen = (&user["status"], &user["verifiedEmail"]);
                expect(seen.0 == "invited" && *seen.1 == true, seen)
            })
        },
    },
    Probe {
        row: "Generating a link for a user who is no test user",
        run: |p| {
            Box::pin(async move {
                let address = p.address();
                let body = json!({ "loginId": address, "email": address });
                p.manage("/v1/mgmt/user/create", body).await;
                p.generate(&address, json!({}))
                    .await
                    .refused(400, "E011004")
            })
        },
    },
    Probe {
        row: "Generated and embedded links",
        run: |p| {
            Box::pin(async move {
                let user = p.user().await;
                let login = p.sign_in(&user).await;
                let generated = claims(&login.text("sessionJwt"))["amr"].clone();
                let body = json!({ "loginId": user });
                let made = p.manage("/v1/mgmt/user/signin/embeddedlink", body).await;
                let login = p.verify(&made.text("token")).await;
                let embedded = claims(&login.text("sessionJwt"))["amr"].clone();
                let seen = json!([generated, embedded]);
                expect(seen == json!([["email"], ["email"]]), seen)
            })
        },
    },
    Probe {
        row: "Embedded sign-up of a user who exists",
        run: |p| {
            Box::pin(async move {
                let body = json!({ "loginId": p.user().await });
                let made = p.manage("/v1/mgmt/user/signup/embeddedlink", body).await;
                let login = p.verify(&made.text("token")).await;
                expect(login.is_ok(), &login)
            })
        },
    },
];

const SETTING: &str = "a setting of the project";
const INBOX: &str =
    "the link is in a message, and a real project has no inbox that a test can read";

/// Rows without a probe, and why.
static REASONS: &[(&str, &str)] = &[
    (
        "A refresh, or a choice of tenant, after a step-up",
        "a real project sends no step-up link without somebody who opens it",
    ),
    ("Lifetime of a link", SETTING),
    ("No redirect URL in the request", SETTING),
    ("Redirect URL of a domain that is not approved", SETTING),
    ("Names of the redirect member", INBOX),
    (
        "A number under `whatsapp` at sign-up",
        "would send a message to somebody's number",
    ),
    ("Step-up", INBOX),
    ("MFA", INBOX),
    ("New address without `addToLoginIDs`", INBOX),
    ("Merge, `onMergeUseExisting` off", INBOX),
    ("Merge, `onMergeUseExisting` on", INBOX),
    (
        "`dct`",
        "needs tenants, which no operation of the description makes",
    ),
    (
        "`permissions` and `roles` at the top level",
        "needs roles and tenants, which no operation of the description makes",
    ),
    ("Cookie mode", SETTING),
    ("Lifetime of the session cookie", SETTING),
    ("`SameSite` of cookies", SETTING),
    ("Custom cookie names", SETTING),
    ("Embedded link with `timeout` 0 or none", SETTING),
];

/// The rows of the page that name a question.
fn rows() -> Vec<String> {
    let page = include_str!("../emulator/BEHAVIOUR.md");
    let page = page.split("\n## Every response").next().unwrap();
    page.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| line.split(" | ").next())
        .filter(|cell| !cell.starts_with("---") && *cell != "question")
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_row_has_a_probe_or_a_reason() {
    let known: Vec<&str> = PROBES
        .iter()
        .map(|probe| probe.row)
        .chain(REASONS.iter().map(|(row, _)| *row))
        .collect();
    let unique: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(known.len(), unique.len(), "a row has two entries");
    let rows = rows();
    for row in &rows {
        assert!(
            unique.contains(row.as_str()),
            "no probe and no reason: {row}"
        );
    }
    for known in unique {
        assert!(rows.iter().any(|row| row == known), "no such row: {known}");
    }
}

#[tokio::test]
async fn the_emulator_does_what_its_page_says() {
    let emulator = Emulator::start().await.unwrap();
    let project = Project::new(
        emulator.base_url(),
        emulator.project_id(),
        emulator.management_key(),
    );
    for probe in PROBES {
        match (probe.run)(&project).await {
            Verdict::Confirmed => {}
            // No operation of the description disables a user.
            Verdict::NotObservable(_)
                if probe.row == "A verify that is refused for another reason" => {}
            other => panic!("{}: {other}", probe.row),
        }
    }
    project.clean().await;
    assert_eq!(emulator.users().count(), 0, "what was made is deleted");
}

#[tokio::test]
#[ignore = "needs a real project"]
#[allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "prints what was found; the settings of a live test come from the environment"
)]
async fn what_a_real_project_does() {
    project(); // Asks for consent.
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    let base = Some(text("DESCOPE_BASE_URI")).filter(|base| !base.is_empty());
    let base = base.unwrap_or_else(|| "https://api.descope.com".to_owned());
    let project = Project::new(
        &base,
        &text("DESCOPE_PROJECT_ID"),
        &text("DESCOPE_MANAGEMENT_KEY"),
    );
    let project = Arc::new(project);
    for probe in PROBES {
        let shared = Arc::clone(&project);
        // One probe that panics does not take the others along.
        let verdict = tokio::spawn(async move { (probe.run)(&shared).await }).await;
        let failed = |_| Verdict::NotObservable("the probe itself failed, see above".to_owned());
        println!("{}: {}", probe.row, verdict.unwrap_or_else(failed));
    }
    for (row, why) in REASONS {
        println!("{row}: no probe: {why}");
    }
    project.clean().await;
}

/// A client and its management, or what is missing.
#[allow(
    clippy::disallowed_methods,
    reason = "the settings of a live test come from the environment"
)]
fn project() -> (Client, Management) {
    let consent = std::env::var("DESCOPE_LIVE_TESTS").unwrap_or_default();
    assert_eq!(
        consent, "this-is-a-test-project",
        "set DESCOPE_LIVE_TESTS=this-is-a-test-project if the project is one"
    );
    let client = Client::from_env().expect("set DESCOPE_PROJECT_ID");
    let management = client.management().expect("set DESCOPE_MANAGEMENT_KEY");
    (client, management)
}

#[tokio::test]
#[ignore = "needs a real project"]
async fn a_test_user_signs_in_by_every_method_and_a_link_works_once() {
    let (client, management) = project();
    let login_id = "descope-magiclink-live-test@example.com";
    let user = TestUser::new(login_id)
        .email(login_id)
        .phone("+15555550100")
        .name("Live Test");
    let created = management.create_test_user(user).await.unwrap();
    for method in DeliveryMethod::ALL.iter().copied() {
        let link = management
            .test_magic_link(method, login_id)
            .redirect_url("https://example.com/verify")
            .custom_claim("n", 1)
            .send()
            .await
            .unwrap();
        let token = link.token().unwrap();
        let auth = client.magic_link().verify(&token).await.unwrap();
        assert_eq!(auth.user.unwrap().user_id(), created.user_id());
        let error = client.magic_link().verify(&token).await.unwrap_err();
        assert!(
            error
                .status()
                .is_some_and(|status| status.is_client_error()),
            "{error}"
        );
    }
    management.delete_user(login_id).await.unwrap();
    let error = management.user(login_id).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::ManagementUserNotFound));
}

#[tokio::test]
#[ignore = "needs a real project"]
async fn an_unknown_token_is_refused_with_a_code() {
    let (client, _) = project();
    let error = client
        .magic_link()
        .verify(&"not-a-token".into())
        .await
        .unwrap_err();
    assert!(error.code().is_some(), "{error:?}");
}
