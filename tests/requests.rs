//! The shape of every request, as it goes over a socket: one file per operation in `snapshots/`, with
//! the plain call first and below it each option alone. What a call has in common with the plain one
//! is not repeated: of its headers only those are shown that differ.
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

#[path = "it/session/signing.rs"]
#[allow(
    dead_code,
    clippy::needless_pass_by_value,
    reason = "each test uses a part of it, and writes it short"
)]
mod signing;
#[path = "it/support/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

use descope_magiclink::SessionValidator;
use descope_magiclink::management::{Management, TestUser};
use descope_magiclink::raw::{Members, types};
use descope_magiclink::{
    AccessKey, Client, ClientBuilder, Clock as _, DeliveryMethod, MagicLink, MagicLinkToken,
    ManagementKey, PhoneDelivery, RefreshToken, Result, SessionToken, Sessions, SignUpUser,
    SystemClock,
};
use serde_json::{Value, json};
use signing::{Key, key_set, refresh_claims, session_claims};
use support::{PROJECT, Reply, Request, Socket};

const JOE: &str = "joe@example.com";
const PHONE: &str = "+15555555555";
const NEW: &str = "new@example.com";
const LANDING_PAGE: &str = "https://app.example.com/verify";

static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/openapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
});

/// Signs the tokens that the calls send and get back, so that they pass the checks on the way.
static KEY: LazyLock<Key> = LazyLock::new(|| Key::p256("K1"));
static REFRESH: LazyLock<String> = LazyLock::new(|| KEY.sign(&refresh_claims(SystemClock.now())));
static SESSION: LazyLock<String> = LazyLock::new(|| KEY.sign(&session_claims(SystemClock.now())));

/// A response that satisfies every operation.
static RESPONSE: LazyLock<String> = LazyLock::new(|| {
    json!({
        "maskedEmail": "j***", "maskedPhone": "+1***", "token": "t", "link": "https://x/?t=1",
        "user": {"userId": "U1"}, "userId": "U1", "authHistory": [], "sessionJwt": *SESSION, "refreshJwt": *REFRESH, "keys": [KEY.jwk()],
        "rateLimitTier": "tier-1",
    })
    .to_string()
});

fn refresh() -> RefreshToken {
    RefreshToken::new(REFRESH.as_str())
}

fn magic(client: &Client) -> MagicLink {
    client.magic_link()
}

fn sessions(client: &Client) -> Sessions {
    client.sessions()
}

fn management(client: &Client) -> Management {
    client.management_with("canary-management-1")
}

type Calling = Pin<Box<dyn Future<Output = Result<()>>>>;

/// One call, and what sets it apart from the plain one.
struct Case {
    option: String,
    setting: fn(ClientBuilder) -> ClientBuilder,
    call: Box<dyn FnOnce(Client) -> Calling>,
}

macro_rules! case {
    ($option:expr, $client:ident => $call:expr) => {
        Case {
            option: $option.to_owned(),
            setting: |builder| builder,
            call: Box::new(|$client: Client| Box::pin(async move { $call.await.map(|_| ()) })),
        }
    };
}

/// The plain call, then each line's options, or one after the other those of a line.
macro_rules! options {
    ($base:expr, $finish:ident; $($(.$name:ident($($argument:expr),*))+;)*) => {
        vec![
            case!("", c => $base(&c).$finish()),
            $(case!(
                concat!($(".", stringify!($name), "(", stringify!($($argument),*), ")\n"),+),
                c => $base(&c)$(.$name($($argument),*))+.$finish()
            ),)*
        ]
    };
}

/// What a request says: its line, its headers in order of their names, its body.
struct Shown {
    line: String,
    headers: Vec<String>,
    body: Option<Value>,
}

impl Shown {
    /// With what differs between runs left out or replaced, and what is secret named.
    fn new(request: &Request) -> Self {
        let mut lines = request.head.lines();
        let line = hide(lines.next().unwrap());
        let mut headers: Vec<String> = Vec::new();
        for line in lines {
            match line.split_once(": ").unwrap() {
                ("host" | "content-length", _) => {}
                (name @ ("user-agent" | "x-descope-sdk-version"), value) => {
                    let version = env!("CARGO_PKG_VERSION");
                    assert!(value.ends_with(version), "{line}");
                    headers.push(format!("{name}: {}", value.replace(version, "[version]")));
                }
                _ => headers.push(hide(line)),
            }
        }
        headers.sort();
        let body =
            (!request.body.is_empty()).then(|| serde_json::from_str(&hide(&request.body)).unwrap());
        Self {
            line,
            headers,
            body,
        }
    }

    /// In one line if that is not too long.
    fn body(&self) -> Option<String> {
        let body = self.body.as_ref()?;
        let text = serde_json::to_string_pretty(body).unwrap();
        let line = text.lines().map(str::trim_start);
        let line = line.collect::<Vec<_>>().join(" ");
        Some(if line.len() <= 150 { line } else { text })
    }
}

fn hide(text: &str) -> String {
    let mut text = text
        .replace(REFRESH.as_str(), "[refresh token]")
        .replace(SESSION.as_str(), "[session token]");
    for (secret, name) in [
        ("canary-link-1", "[link token]"),
        ("canary-access-1", "[access key]"),
        ("canary-management-1", "[management key]"),
        ("canary-auth-1", "[auth management key]"),
        ("canary-external-1", "[external token]"),
    ] {
        text = text.replace(secret, name);
    }
    assert!(
        !text.contains("canary") && !text.contains("eyJ"),
        "a secret is left in\n{text}"
    );
    text
}

async fn record(case: Case) -> Request {
    let socket = Socket::start(vec![Reply::json(200, &RESPONSE)]).await;
    let builder = socket
        .builder()
        .session_validation(|validation| validation.key_set(key_set(&[&KEY])));
    let client = (case.setting)(builder).build().unwrap();
    let option = case.option;
    (case.call)(client)
        .await
        .unwrap_or_else(|error| panic!("{option}: {error}"));
    let mut requests = socket.requests();
    if requests.len() > 1 {
        let is_handshake =
            |request: &Request| operation(request).1["operationId"] == "LicenseHandshake";
        requests.retain(|request| !is_handshake(request));
    }
    assert_eq!(requests.len(), 1, "{option}: {requests:?}");
    requests.remove(0)
}

/// All calls as text.
async fn show(cases: Vec<Case>) -> String {
    let mut text = String::new();
    let mut plain: Option<Shown> = None;
    for case in cases {
        // Compilers differ in how they print a path.
        let option = case.option.replace(" :: ", "::");
        let request = record(case).await;
        judge(&request);
        let shown = Shown::new(&request);
        let mut lines: Vec<String> = Vec::new();
        if !option.is_empty() {
            lines.push(String::new());
            lines.extend(option.lines().map(|line| format!("# {line}")));
        }
        match &plain {
            Some(plain) => {
                if shown.line != plain.line {
                    lines.push(shown.line.clone());
                }
                let is_new = |header: &&String| !plain.headers.contains(header);
                lines.extend(shown.headers.iter().filter(is_new).cloned());
                let name = |header: &String| header.split(':').next().unwrap().to_owned();
                let names: Vec<String> = shown.headers.iter().map(name).collect();
                let gone = plain
                    .headers
                    .iter()
                    .map(name)
                    .filter(|n| !names.contains(n));
                lines.extend(gone.map(|name| format!("(no {name})")));
                if shown.body != plain.body {
                    lines.push(shown.body().unwrap_or_else(|| "(no body)".to_owned()));
                }
                if lines.len() == 1 + option.lines().count() {
                    lines.push("(the same)".to_owned());
                }
            }
            None => {
                lines.push(shown.line.clone());
                lines.extend(shown.headers.iter().cloned());
                lines.extend(shown.body().map(|body| format!("\n{body}")));
            }
        }
        text += &(lines.join("\n") + "\n");
        plain = plain.or(Some(shown));
    }
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
    assert!(
        !has_nothing(&body),
        "{path}: a null, or an empty object or list, in\n{body:#}"
    );
    let problems: Vec<String> = validator
        .iter_errors(&body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{path}: {problems:?}\n{body:#}");
}

/// Whether a member of the body, at any depth, holds nothing and should not be there.
fn has_nothing(body: &Value) -> bool {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    match body {
        Value::Object(members) => members.values().any(|v| is_nothing(v) || has_nothing(v)),
        Value::Array(items) => items.iter().any(|v| is_nothing(v) || has_nothing(v)),
        _ => false,
    }
}

macro_rules! snapshots {
    ($($name:ident: $cases:expr;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let text = show($cases).await;
                insta::with_settings!({ omit_expression => true }, {
                    insta::assert_snapshot!(stringify!($name), text);
                });
            }
        )+

        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

/// A sign-up with each of its options; `$profile` is the address as part of the profile.
macro_rules! sign_up {
    ($base:expr) => {
        options! { $base, send;
            .redirect_url(LANDING_PAGE);
            .provider_id("connector-1");
            .template_id("template-1");
            .template_option("greeting", "hi");
            .locale("pt-BR");
            .tenant("tenant-1");
            .custom_claim("seats", 3);
            .user(SignUpUser::new().name("Joe Person"));
            .user(SignUpUser::new().given_name("Joe"));
            .user(SignUpUser::new().middle_name("Q"));
            .user(SignUpUser::new().family_name("Person"));
            .user(SignUpUser::new().email("joe@work.example.com"));
            .user(SignUpUser::new().phone("+16666666666"));
            .user(SignUpUser::new().recovery_email("joe@home.example.com"));
            .user(SignUpUser::new().recovery_phone("+17777777777"));
            .redirect_url(LANDING_PAGE).provider_id("connector-1").template_id("template-1")
                .template_option("greeting", "hi").template_option("name", "Joe").locale("pt-BR").tenant("tenant-1")
                .custom_claim("plan", "pro").custom_claim("seats", 3).user(profile());
        }
    };
}

macro_rules! sign_in {
    ($base:expr; $($more:tt)*) => {
        options! { $base, send;
            .redirect_url(LANDING_PAGE);
            .provider_id("connector-1");
            .template_id("template-1");
            .template_option("greeting", "hi");
            .locale("pt-BR");
            .tenant("tenant-1");
            .custom_claim("seats", 3);
            .sso_app_id("app-1");
            .use_recovery();
            .revoke_other_sessions();
            .revoke_other_sessions_of_types(["web", "mobile"]);
            .redirect_url(LANDING_PAGE).provider_id("connector-1").template_id("template-1")
                .template_option("greeting", "hi").template_option("name", "Joe").locale("pt-BR").tenant("tenant-1")
                .custom_claim("plan", "pro").custom_claim("seats", 3).sso_app_id("app-1")
                .use_recovery().revoke_other_sessions_of_types(["web", "mobile"]);
            $($more)*
        }
    };
}

macro_rules! update {
    ($base:expr) => {
        options! { $base, send;
            .redirect_url(LANDING_PAGE);
            .provider_id("connector-1");
            .template_id("template-1");
            .template_option("greeting", "hi");
            .locale("pt-BR");
            .add_to_login_ids();
            .add_to_login_ids_keeping_existing_user();
            .fail_on_conflict();
            .redirect_url(LANDING_PAGE).provider_id("connector-1").template_id("template-1")
                .template_option("greeting", "hi").template_option("name", "Joe").locale("pt-BR")
                .add_to_login_ids_keeping_existing_user().fail_on_conflict();
        }
    };
}

macro_rules! test_users {
    ($($(.$name:ident($($argument:expr),*))+;)*) => {
        vec![
            case!("", c => create(c, TestUser::new(JOE))),
            $(case!(
                concat!($(".", stringify!($name), "(", stringify!($($argument),*), ")\n"),+),
                c => create(c, TestUser::new(JOE)$(.$name($($argument),*))+)
            ),)*
        ]
    };
}

async fn create(client: Client, user: TestUser) -> Result<()> {
    management(&client).create_test_user(user).await.map(drop)
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
    sign_up__email: sign_up!(|c| magic(c).sign_up(Email, JOE));
    sign_up__sms: sign_up!(|c| magic(c).sign_up(Sms, PHONE));
    sign_up__whatsapp: sign_up!(|c| magic(c).sign_up(WhatsApp, PHONE));

    sign_in__email: sign_in!(|c| magic(c).sign_in(Email, JOE); .step_up(&refresh()); .mfa(&refresh()););
    sign_in__sms: sign_in!(|c| magic(c).sign_in(Sms, PHONE); .step_up(&refresh()); .mfa(&refresh()););
    sign_in__whatsapp: sign_in!(|c| magic(c).sign_in(WhatsApp, PHONE); .step_up(&refresh()); .mfa(&refresh()););

    sign_up_or_in__email: sign_in!(|c| magic(c).sign_up_or_in(Email, JOE););
    sign_up_or_in__sms: sign_in!(|c| magic(c).sign_up_or_in(Sms, PHONE););
    sign_up_or_in__whatsapp: sign_in!(|c| magic(c).sign_up_or_in(WhatsApp, PHONE););

    verify: vec![
        case!("", c => magic(&c).verify(&MagicLinkToken::new("canary-link-1"))),
        case!("verify_unchecked", c => magic(&c).verify_unchecked(&MagicLinkToken::new("canary-link-1"))),
    ];

    update_email: update!(|c| magic(c).update_email(&refresh(), NEW).login_id(JOE));
    update_phone__sms: update!(|c| magic(c).update_phone(&refresh(), PhoneDelivery::Sms, PHONE).login_id(JOE));
    update_phone__whatsapp: update!(|c| magic(c).update_phone(&refresh(), PhoneDelivery::WhatsApp, PHONE).login_id(JOE));

    refresh_session: vec![
        case!("", c => sessions(&c).refresh(&refresh())),
        case!("validate_and_refresh", c => sessions(&c).validate_and_refresh(None, Some(&refresh()))),
        case!("raw, external_token", c => async {
            let body = types::RefreshSessionRequest::default().external_token("canary-external-1");
            c.raw().refresh_session(&refresh(), &body).send().await
        }),
    ];
    try_refresh: vec![
        case!("", c => sessions(&c).try_refresh(Some(&refresh()))),
        case!("raw, without a token", c => async {
            c.raw().try_refresh_session(&types::RefreshSessionRequest::default()).send().await
        }),
    ];
    logout: vec![
        case!("", c => sessions(&c).logout(&refresh())),
        case!("raw, logout_type", c => async {
            let body = types::LogoutRequest::default().logout_type(["web"]);
            c.raw().logout(&refresh(), &body).send().await
        }),
    ];
    logout_all: vec![case!("", c => sessions(&c).logout_all(&refresh()))];
    me: vec![case!("", c => sessions(&c).me(&refresh()))];
    history: vec![case!("", c => sessions(&c).history(&refresh()))];
    my_tenants: vec![
        case!("", c => sessions(&c).my_tenants(&refresh(), ["tenant-1", "tenant-2"])),
        case!("my_current_tenant", c => sessions(&c).my_current_tenant(&refresh())),
    ];
    select_tenant: vec![case!("", c => sessions(&c).select_tenant(&refresh(), "tenant-1"))];
    validate_remote: vec![case!("", c => sessions(&c).validate_remote(&SessionToken::new(SESSION.as_str())))];
    exchange_access_key: options! {
        |c| sessions(c).exchange_access_key(&AccessKey::new("canary-access-1")), send;
        .tenant("tenant-1");
        .custom_claim("seats", 3);
        .tenant("tenant-1").custom_claim("plan", "pro").custom_claim("seats", 3);
    };
    keys: vec![
        fetching_keys(case!("", c => async move { Ok(sessions(&c).validator().prefetch_keys().await?) })),
        case!("raw, certs", c => async move { c.raw().keys().certs(true).send().await }),
    ];

    management__create_test_user: test_users! {
        .email(JOE);
        .email(JOE).email_verified();
        .phone(PHONE);
        .phone(PHONE).phone_verified();
        .name("Joe Person");
        .additional_login_id("joe");
        .role("admin");
        .tenant("tenant-1", ["editor"]);
        .custom_attribute("plan", "pro");
        .email(JOE).email_verified().phone(PHONE).phone_verified().name("Joe Person").additional_login_id("joe").additional_login_id("jo")
            .role("admin").role("owner").tenant("tenant-1", ["editor"])
            .tenant("tenant-2", ["editor", "viewer"]).custom_attribute("plan", "pro").custom_attribute("seats", 3);
    };
    management__test_magic_link: options! {
        |c| management(c).test_magic_link(Email, JOE), send;
        .redirect_url(LANDING_PAGE);
        .template_id("template-1");
        .template_option("greeting", "hi");
        .locale("pt-BR");
        .tenant("tenant-1");
        .custom_claim("seats", 3);
        .sso_app_id("app-1");
        .revoke_other_sessions();
        .revoke_other_sessions_of_types(["web", "mobile"]);
        .step_up();
        .mfa();
        .redirect_url(LANDING_PAGE).template_id("template-1").template_option("greeting", "hi").template_option("name", "Joe").locale("pt-BR")
            .tenant("tenant-1").custom_claim("seats", 3).sso_app_id("app-1")
            .revoke_other_sessions_of_types(["web", "mobile"]).step_up().mfa();
    };
    management__test_magic_link__sms: options! { |c| management(c).test_magic_link(Sms, JOE), send; };
    management__test_magic_link__whatsapp: options! {
        |c| management(c).test_magic_link(WhatsApp, JOE), send;
    };
    management__delete_all_test_users: vec![case!("", c => management(&c).delete_all_test_users())];
    management__embedded_sign_in: options! {
        |c| management(c).embedded_sign_in(JOE), send;
        .timeout(Duration::from_secs(120));
        .custom_claim("seats", 3);
        .timeout(Duration::from_secs(120)).custom_claim("seats", 3);
    };
    management__embedded_sign_up: options! {
        |c| management(c).embedded_sign_up(JOE), send;
        .timeout(Duration::from_secs(120));
        .user(SignUpUser::new().name("Joe Person"));
        .email_verified();
        .phone_verified();
        .template_id("template-1");
        .template_option("greeting", "hi");
        .locale("pt-BR");
        .tenant("tenant-1");
        .custom_claim("seats", 3);
        .sso_app_id("app-1");
        .revoke_other_sessions();
        .revoke_other_sessions_of_types(["web", "mobile"]);
        .step_up();
        .mfa();
        .timeout(Duration::from_secs(120)).user(profile()).email_verified().phone_verified()
            .template_id("template-1").template_option("greeting", "hi").template_option("name", "Joe").locale("pt-BR").tenant("tenant-1")
            .custom_claim("seats", 3).sso_app_id("app-1").revoke_other_sessions_of_types(["web", "mobile"]).step_up().mfa();
    };
    management__user: vec![
        case!("", c => management(&c).user("joe+tag@example.com")),
        case!("user_by_id", c => management(&c).user_by_id("U1")),
    ];
    management__delete_user: vec![case!("", c => management(&c).delete_user(JOE))];
    management__logout_user: vec![case!("", c => management(&c).logout_user(JOE))];
    management__license: vec![case!("", c => async {
        c.raw().license_handshake(&ManagementKey::new("canary-management-1")).send().await
    })];

    // What a setting of the client adds to calls of each kind.
    client__auth_management_key: {
        let client = |case: Case| Case {
            setting: |builder| builder.auth_management_key("canary-auth-1"),
            ..case
        };
        let keys = case!("keys", c => async move { Ok(sessions(&c).validator().prefetch_keys().await?) });
        vec![
            client(case!("", c => magic(&c).sign_in(Email, JOE).send())),
            client(case!("step_up", c => magic(&c).sign_in(Email, JOE).step_up(&refresh()).send())),
            client(case!("me", c => sessions(&c).me(&refresh()))),
            client(case!("exchange_access_key", c => async {
                sessions(&c).exchange_access_key(&AccessKey::new("canary-access-1")).send().await
            })),
            Case {
                setting: |builder| own_keys(builder).auth_management_key("canary-auth-1"),
                ..keys
            },
            client(case!("management", c => management(&c).user(JOE))),
        ]
    };
    client__refresh_cookie_name: {
        let client = |case: Case| Case {
            setting: |builder| builder.refresh_cookie_name("JOES_REFRESH"),
            ..case
        };
        vec![
            client(case!("", c => sessions(&c).refresh(&refresh()))),
            client(case!("verify", c => magic(&c).verify(&MagicLinkToken::new("canary-link-1")))),
        ]
    };
}

/// The case with a client that fetches its keys.
fn fetching_keys(case: Case) -> Case {
    Case {
        setting: own_keys,
        ..case
    }
}

/// Without the keys that the other cases are given.
fn own_keys(builder: ClientBuilder) -> ClientBuilder {
    builder.session_validation(|_| SessionValidator::builder(PROJECT))
}

/// Something to send, by which the field can be told.
trait Sample {
    fn sample(field: &str) -> Self;
}

impl Sample for String {
    fn sample(field: &str) -> Self {
        format!("the {field}")
    }
}

impl Sample for u32 {
    fn sample(field: &str) -> Self {
        field.bytes().map(Self::from).sum()
    }
}

impl Sample for i32 {
    fn sample(field: &str) -> Self {
        u32::sample(field).try_into().unwrap()
    }
}

impl Sample for i64 {
    fn sample(field: &str) -> Self {
        u32::sample(field).into()
    }
}

impl Sample for f64 {
    fn sample(field: &str) -> Self {
        u32::sample(field).into()
    }
}

impl<T: Sample> Sample for BTreeMap<String, T> {
    fn sample(field: &str) -> Self {
        Self::from([("name".to_owned(), T::sample(field))])
    }
}

impl Sample for bool {
    fn sample(_: &str) -> Self {
        true
    }
}

impl Sample for descope_magiclink::Secret {
    fn sample(field: &str) -> Self {
        Self::new(String::sample(field))
    }
}

impl Sample for MagicLinkToken {
    fn sample(field: &str) -> Self {
        Self::new(String::sample(field))
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(field: &str) -> Self {
        Some(T::sample(field))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(field: &str) -> Self {
        vec![T::sample(field), T::sample(&format!("second {field}"))]
    }
}

impl Sample for Members {
    fn sample(field: &str) -> Self {
        let value = json!({ "name": u32::sample(field) });
        Self::from(value.as_object().unwrap().clone())
    }
}

impl Sample for Members<BTreeMap<String, String>> {
    fn sample(field: &str) -> Self {
        Self::from(BTreeMap::from([("name".to_owned(), String::sample(field))]))
    }
}

macro_rules! request_types {
    ($($name:ident { $($field:ident,)* })*) => {
        $(impl Sample for types::$name {
            fn sample(_: &str) -> Self {
                Self::default()
            }
        })*

        /// Each field of each type that requests consist of, alone.
        fn fields_of_requests() -> String {
            let mut text = String::new();
            $(
                text += concat!(stringify!($name), "\n");
                $({
                    let mut body = types::$name::default();
                    body.$field = Sample::sample(stringify!($field));
                    let written = serde_json::to_string(&body).unwrap();
                    text += &format!("  {}: {written}\n", stringify!($field));
                })*
            )*
            text
        }
    };
}

include!("request_types.rs");

/// A field that is written under another name, or not at all, shows here.
#[test]
fn request_types() {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("request_types", fields_of_requests());
    });
}

/// Every operation of the description has a snapshot, and every snapshot a test.
#[test]
fn nothing_is_left_out() {
    // While snapshots are reviewed, the accepted ones may be of another description.
    if std::env::var_os("INSTA_FORCE_PASS").is_some() {
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots");
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
        assert!(
            NAMES.contains(&case) || case == "request_types",
            "{name} belongs to no test; delete it"
        );
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.ends_with(" HTTP/1.1")) {
            let request = Request {
                head: line.to_owned(),
                body: String::new(),
            };
            let id = self::operation(&request).1["operationId"].as_str();
            seen.insert(id.unwrap().to_owned());
        }
    }
    for item in SPEC["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(seen.contains(id), "{id} has no snapshot of its request");
        }
    }
}
