//! The shape of every request, as it goes over a socket: one file per case in `snapshots/`.
//!
//! A changed shape is reviewed with `cargo insta review`; CONTRIBUTING.md explains the loop. Each
//! request is also judged by the description, which must know every member of its body.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(
    non_snake_case,
    reason = "the double underscore parts a snapshot's name"
)]

#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use std::time::Duration;

use descope_magiclink::management::{Management, TestUser};
use descope_magiclink::raw::types;
use descope_magiclink::{
    AccessKey, Client, DeliveryMethod, MagicLink, MagicLinkToken, ManagementKey, PhoneDelivery,
    RefreshToken, SessionToken, SignUpUser,
};
use serde_json::{Value, json};
use support::{PROJECT, Reply, Request, Socket};

const JOE: &str = "joe@example.com";
const PHONE: &str = "+15555555555";
/// An answer that satisfies every operation.
const ANSWER: &str = r#"{"maskedEmail":"j***","maskedPhone":"+1***","sessionJwt":"s","refreshJwt":"r","token":"t","link":"https://x/?t=1","user":{"userId":"U1"},"userId":"U1"}"#;

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/openapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

fn refresh() -> RefreshToken {
    RefreshToken::new("canary-refresh-1")
}

/// The request as text, with what differs between runs and what is secret replaced.
fn show(request: &Request) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in request.head.lines() {
        let line = match line.split_once(": ") {
            Some(("host", _)) => "host: [host]".to_owned(),
            Some((name @ ("user-agent" | "x-descope-sdk-version"), value)) => {
                let version = env!("CARGO_PKG_VERSION");
                assert!(value.ends_with(version), "{line}");
                format!("{name}: {}", value.replace(version, "[version]"))
            }
            _ => line.to_owned(),
        };
        lines.push(line);
    }
    let mut text = lines.join("\n");
    if !request.body.is_empty() {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        text += "\n\n";
        text += &serde_json::to_string_pretty(&body).unwrap();
    }
    for (secret, name) in [
        ("canary-refresh-1", "[refresh token]"),
        ("canary-session-1", "[session token]"),
        ("canary-link-1", "[link token]"),
        ("canary-access-1", "[access key]"),
        ("canary-management-1", "[management key]"),
        ("canary-external-1", "[external token]"),
    ] {
        text = text.replace(secret, name);
    }
    assert!(!text.contains("canary"), "a secret is left in\n{text}");
    assert!(
        !text.contains("null") && !text.contains("{}\n"),
        "a null or empty object in\n{text}"
    );
    text
}

/// The operation of the description that a request is for.
fn operation(request: &Request) -> (String, &'static Value) {
    let line = request.head.lines().next().unwrap();
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap().to_lowercase(), words.next().unwrap());
    let path = target
        .split('?')
        .next()
        .unwrap()
        .replace(PROJECT, "{projectId}");
    let operation = SPEC["paths"].get(&path).and_then(|item| item.get(&method));
    (
        path.clone(),
        operation.unwrap_or_else(|| panic!("{method} {path} is not in the description")),
    )
}

/// Judges the body by the description, in which no schema may have members it does not name.
fn judge(request: &Request) {
    let (path, operation) = operation(request);
    let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") else {
        assert!(request.body.is_empty(), "{path} takes no body");
        return;
    };
    let mut components = SPEC["components"].clone();
    for schema in components["schemas"].as_object_mut().unwrap().values_mut() {
        if schema.get("properties").is_some() {
            schema["additionalProperties"] = json!(false);
        }
    }
    let mut schema = schema.clone();
    schema["components"] = components;
    let validator = jsonschema::draft4::new(
        &json!({ "allOf": [schema.clone()], "components": schema["components"] }),
    )
    .unwrap();
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(&body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{path}: {problems:?}\n{body:#}");
}

async fn record<F, T>(answer: &str, call: impl FnOnce(Client) -> F) -> Request
where
    F: Future<Output = descope_magiclink::Result<T>>,
{
    let socket = Socket::start(vec![Reply::json(200, answer)]).await;
    call(socket.client()).await.map(|_| ()).unwrap();
    let mut requests = socket.requests();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

macro_rules! snapshots {
    ($($name:ident($client:ident) $call:expr;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let request = record(ANSWER, |$client: Client| async move { $call }).await;
                judge(&request);
                let text = show(&request);
                insta::with_settings!({ omit_expression => true }, {
                    insta::assert_snapshot!(stringify!($name), text);
                });
            }
        )+

        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

fn management(client: &Client) -> Management {
    client.management("canary-management-1")
}

fn magic(client: &Client) -> MagicLink {
    client.magic_link()
}

/// Every option that sign-up, sign-in and sign-up-or-in share.
macro_rules! shared_options {
    ($request:expr) => {
        $request
            .redirect_url("https://app.example.com/verify")
            .provider_id("connector-1")
            .template_id("template-1")
            .template_option("greeting", "hi")
            .locale("pt-BR")
            .tenant_id("tenant-1")
            .custom_claim("plan", "pro")
            .custom_claim("seats", 3)
    };
}

macro_rules! sign_in_options {
    ($request:expr) => {
        shared_options!($request)
            .sso_app_id("app-1")
            .use_recovery()
            .revoke_other_sessions_of_types(["web"])
    };
}

macro_rules! update_options {
    ($request:expr) => {
        $request
            .redirect_url("https://app.example.com/verify")
            .provider_id("connector-1")
            .template_id("template-1")
            .template_option("greeting", "hi")
            .locale("pt-BR")
            .add_to_login_ids_keeping_existing_user()
            .fail_on_conflict()
    };
}

fn profile() -> SignUpUser {
    SignUpUser::new()
        .name("Joe Person")
        .given_name("Joe")
        .middle_name("Q")
        .family_name("Person")
        .email("joe@work.example.com")
        .phone("+16666666666")
        .recovery_email("joe@home.example.com")
        .recovery_phone("+17777777777")
}

use DeliveryMethod::{Email, Sms, WhatsApp};

snapshots! {
    sign_up__email__minimal(c) magic(&c).sign_up(Email, JOE).send().await;
    sign_up__email__full(c) shared_options!(magic(&c).sign_up(Email, "joe").user(profile())).send().await;
    sign_up__sms__minimal(c) magic(&c).sign_up(Sms, PHONE).send().await;
    sign_up__sms__full(c) shared_options!(magic(&c).sign_up(Sms, "joe").user(profile())).send().await;
    sign_up__whatsapp__minimal(c) magic(&c).sign_up(WhatsApp, PHONE).send().await;
    sign_up__whatsapp__full(c) shared_options!(magic(&c).sign_up(WhatsApp, "joe").user(profile())).send().await;

    sign_in__email__minimal(c) magic(&c).sign_in(Email, JOE).send().await;
    sign_in__email__full(c) sign_in_options!(magic(&c).sign_in(Email, JOE)).send().await;
    sign_in__sms__minimal(c) magic(&c).sign_in(Sms, PHONE).send().await;
    sign_in__sms__full(c) sign_in_options!(magic(&c).sign_in(Sms, PHONE)).send().await;
    sign_in__whatsapp__minimal(c) magic(&c).sign_in(WhatsApp, PHONE).send().await;
    sign_in__whatsapp__full(c) sign_in_options!(magic(&c).sign_in(WhatsApp, PHONE)).send().await;
    sign_in__email__step_up(c) magic(&c).sign_in(Email, JOE).step_up(&refresh()).send().await;
    sign_in__sms__mfa(c) magic(&c).sign_in(Sms, PHONE).mfa(&refresh()).send().await;

    sign_up_or_in__email__minimal(c) magic(&c).sign_up_or_in(Email, JOE).send().await;
    sign_up_or_in__email__full(c) sign_in_options!(magic(&c).sign_up_or_in(Email, JOE)).send().await;
    sign_up_or_in__sms__minimal(c) magic(&c).sign_up_or_in(Sms, PHONE).send().await;
    sign_up_or_in__sms__full(c) sign_in_options!(magic(&c).sign_up_or_in(Sms, PHONE)).send().await;
    sign_up_or_in__whatsapp__minimal(c) magic(&c).sign_up_or_in(WhatsApp, PHONE).send().await;
    sign_up_or_in__whatsapp__full(c) sign_in_options!(magic(&c).sign_up_or_in(WhatsApp, PHONE)).send().await;

    verify(c) magic(&c).verify_unchecked(&MagicLinkToken::new("canary-link-1")).await;

    update_email__minimal(c) magic(&c).update_email(&refresh(), JOE, "new@example.com").send().await;
    update_email__full(c) update_options!(magic(&c).update_email(&refresh(), JOE, "new@example.com")).send().await;
    update_phone__sms__minimal(c) magic(&c).update_phone(&refresh(), PhoneDelivery::Sms, JOE, PHONE).send().await;
    update_phone__sms__full(c) update_options!(magic(&c).update_phone(&refresh(), PhoneDelivery::Sms, JOE, PHONE)).send().await;
    update_phone__whatsapp__minimal(c) magic(&c).update_phone(&refresh(), PhoneDelivery::WhatsApp, JOE, PHONE).send().await;
    update_phone__whatsapp__full(c) update_options!(magic(&c).update_phone(&refresh(), PhoneDelivery::WhatsApp, JOE, PHONE)).send().await;

    refresh_session__minimal(c) c.raw().refresh_session(&refresh(), &types::RefreshSessionRequest::default()).await;
    refresh_session__full(c) {
        let mut body = types::RefreshSessionRequest::default();
        body.external_token = Some("canary-external-1".into());
        c.raw().refresh_session(&refresh(), &body).await
    };
    try_refresh__with_token(c) c.raw().try_refresh_session(Some(&refresh()), &types::RefreshSessionRequest::default()).await;
    try_refresh__without_token(c) c.raw().try_refresh_session(None, &types::RefreshSessionRequest::default()).await;
    logout__minimal(c) c.raw().logout(&refresh(), &types::LogoutRequest::default()).await;
    logout__full(c) {
        let mut body = types::LogoutRequest::default();
        body.logout_type = vec!["web".to_owned()];
        c.raw().logout(&refresh(), &body).await
    };
    logout_all(c) c.raw().logout_all_devices(&refresh(), &types::LogoutRequest::default()).await;
    me(c) c.raw().me(&refresh()).await;
    my_tenants__current(c) {
        let mut body = types::MyTenantsRequest::default();
        body.dct = Some(true);
        c.raw().my_tenants(&refresh(), &body).await
    };
    my_tenants__by_id(c) {
        let mut body = types::MyTenantsRequest::default();
        body.ids = vec!["tenant-1".to_owned()];
        c.raw().my_tenants(&refresh(), &body).await
    };
    select_tenant(c) {
        let mut body = types::SelectTenantRequest::default();
        body.tenant = Some("tenant-1".to_owned());
        c.raw().select_tenant(&refresh(), &body).await
    };
    validate_session(c) {
        let session = SessionToken::new("canary-session-1");
        c.raw().validate_session(&session, &types::ValidateSessionRequest::default()).await
    };
    keys(c) c.raw().get_keys_v2(PROJECT, None).await;
    keys__with_certs(c) c.raw().get_keys_v2(PROJECT, Some(true)).await;
    exchange_access_key__minimal(c) {
        c.raw().exchange_access_key(&access_key(), &types::ExchangeAccessKeyRequest::default()).await
    };
    exchange_access_key__full(c) {
        let mut options = types::AccessKeyLoginOptions::default();
        options.custom_claims = json!({ "k": 1 }).as_object().unwrap().clone().into();
        options.selected_tenant = Some("tenant-1".to_owned());
        let mut body = types::ExchangeAccessKeyRequest::default();
        body.login_options = Some(options);
        c.raw().exchange_access_key(&access_key(), &body).await
    };

    management__create_test_user__minimal(c) management(&c).create_test_user(TestUser::new(JOE)).await;
    management__create_test_user__full(c) {
        let user = TestUser::new(JOE)
            .email(JOE)
            .phone(PHONE)
            .name("Joe Person")
            .additional_login_id("joe")
            .role("admin")
            .tenant("tenant-1", ["editor"])
            .custom_attribute("plan", "pro");
        management(&c).create_test_user(user).await
    };
    management__test_magic_link__minimal(c) management(&c).test_magic_link(Email, JOE).generate().await;
    management__test_magic_link__full(c) {
        let link = management(&c).test_magic_link(WhatsApp, JOE).redirect_url("https://app.example.com/verify");
        link.custom_claim("seats", 3).generate().await
    };
    management__delete_all_test_users(c) management(&c).delete_all_test_users().await;
    management__embedded_sign_in__minimal(c) management(&c).embedded_sign_in(JOE).generate().await;
    management__embedded_sign_in__full(c) {
        let minutes = Duration::from_secs(120);
        management(&c).embedded_sign_in(JOE).timeout(minutes).custom_claim("seats", 3).generate().await
    };
    management__embedded_sign_up__minimal(c) management(&c).embedded_sign_up(JOE).generate().await;
    management__embedded_sign_up__full(c) {
        let sign_up = management(&c).embedded_sign_up(JOE).timeout(Duration::from_secs(120));
        let sign_up = sign_up.custom_claim("seats", 3).user(profile());
        sign_up.email_verified().phone_verified().generate().await
    };
    management__user_by_login_id(c) management(&c).user("joe+tag@example.com").await;
    management__user_by_id(c) management(&c).user_by_id("U1").await;
    management__delete_user(c) management(&c).delete_user(JOE).await;
    management__logout_user(c) management(&c).logout_user(JOE).await;
    management__license(c) c.raw().license_handshake(&ManagementKey::new("canary-management-1")).await;
}

#[tokio::test]
async fn me_history() {
    let request = record("[]", |c| async move {
        c.raw().me_auth_history(&refresh()).await
    })
    .await;
    judge(&request);
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("me_history", show(&request));
    });
}

/// With an auth management key, it follows the token on every call but management ones.
#[tokio::test]
async fn auth_management_key() {
    let mut text = String::new();
    let socket = Socket::start(vec![Reply::json(200, ANSWER)]).await;
    let client = socket
        .builder()
        .auth_management_key("canary-management-1")
        .build()
        .unwrap();
    client
        .magic_link()
        .sign_in(Email, JOE)
        .send()
        .await
        .unwrap();
    client
        .magic_link()
        .sign_in(Email, JOE)
        .step_up(&refresh())
        .send()
        .await
        .unwrap();
    client
        .raw()
        .load_user(None, Some("U1"), &ManagementKey::new("canary-access-1"))
        .await
        .unwrap();
    for request in socket.requests() {
        let shown = show(&request);
        let first = shown.lines().next().unwrap();
        let authorization = shown
            .lines()
            .find(|line| line.starts_with("authorization"))
            .unwrap();
        text += &format!("{first}\n{authorization}\n\n");
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("auth_management_key", text);
    });
}

/// Every operation of the description has a snapshot, and every snapshot a test.
#[test]
fn nothing_is_left_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A pending snapshot, `.snap.new`, is for its test to report.
        if path.extension().is_none_or(|extension| extension != "snap") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let Some(case) = name.strip_prefix("requests__") else {
            continue;
        };
        let known = NAMES.contains(&case) || ["me_history", "auth_management_key"].contains(&case);
        assert!(known, "{name} belongs to no test; delete it");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text
            .lines()
            .find(|line| line.ends_with(" HTTP/1.1"))
            .unwrap()
            .to_owned();
        let request = Request {
            head: line,
            body: String::new(),
        };
        seen.insert(
            self::operation(&request).1["operationId"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for item in SPEC["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(seen.contains(id), "{id} has no snapshot of its request");
        }
    }
}

fn access_key() -> AccessKey {
    AccessKey::new("canary-access-1")
}
