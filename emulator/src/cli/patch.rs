//! Changes of the settings, read from a file, from the environment and from flags by one type.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::builder::BoolishValueParser;
use serde::Deserialize;

use crate::settings::{
    AccessKey, CustomClaimsAt, Limits, RateLimit, RefreshReuse, RepeatedSignUp, SameSite, Settings,
    SigningAlgorithm, Template, Tenant, TokenDelivery, User, span,
};

/// A span such as `90s`, `3m` or `1h 30m`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        span(text).map(Self)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What a file, variables or flags say about the settings; what they leave open stays as it is.
#[derive(Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Patch {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "DESCOPE_EMULATOR_HOST", value_name = "ADDRESS")]
    host: Option<IpAddr>,

    /// Port to listen on, 0 for any free one [default: 8055]
    #[arg(short, long, env = "DESCOPE_EMULATOR_PORT")]
    port: Option<u16>,

    /// Host name by which browsers may call, and anyone the control endpoints, besides localhost and IP addresses
    #[serde(rename = "allowed_hosts")]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_ALLOWED_HOSTS",
        value_name = "NAME",
        value_delimiter = ','
    )]
    allowed_host: Vec<String>,

    /// Origin whose pages may call the API, such as http://localhost:3000, for SDKs in a browser
    #[serde(rename = "allowed_origins")]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_ALLOWED_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    allow_origin: Vec<String>,

    /// Project id [default: P2EmulatorProjectForLocalDev]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_PROJECT_ID",
        value_name = "ID",
        help_heading = "Project"
    )]
    project_id: Option<String>,

    /// Management key [default: K2EmulatorManagementKeyForLocalDev]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_MANAGEMENT_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Project"
    )]
    management_key: Option<String>,

    /// Close the project's API: calls must then carry this key
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_AUTH_MANAGEMENT_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Project"
    )]
    auth_management_key: Option<String>,

    /// The iss of tokens, when it is not the project id
    #[arg(long, env = "DESCOPE_EMULATOR_ISSUER", help_heading = "Project")]
    issuer: Option<String>,

    /// Algorithm that signs tokens [default: rs256]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SIGNING_ALGORITHM",
        value_enum,
        help_heading = "Project"
    )]
    signing_algorithm: Option<SigningAlgorithm>,

    /// File with a private key, PEM in PKCS#8 form, so that tokens survive a restart: RSA, or P-256 for es256
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SIGNING_KEY",
        value_name = "FILE",
        help_heading = "Project"
    )]
    signing_key: Option<PathBuf>,

    /// Add a user by login id; the configuration file can say more about users
    #[serde(skip)]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_USERS",
        value_name = "LOGIN_ID",
        value_delimiter = ',',
        help_heading = "Project"
    )]
    pub(super) user: Vec<String>,

    /// Redirect URL of requests that have none [default: http://localhost:3000/verify]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_DEFAULT_REDIRECT",
        value_name = "URL",
        help_heading = "Links"
    )]
    default_redirect: Option<String>,

    /// Host that redirect URLs may have, such as app.example.com or *.example.com [default: any]
    #[serde(rename = "approved_redirects")]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_APPROVED_REDIRECTS",
        value_name = "HOST",
        value_delimiter = ',',
        help_heading = "Links"
    )]
    approved_redirect: Vec<String>,

    /// Life of a link [default: 3m]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_LINK_LIFETIME",
        value_name = "SPAN",
        help_heading = "Links"
    )]
    link_lifetime: Option<Span>,

    /// What a second sign-up does while the first was never verified [default: refuse]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REPEATED_SIGN_UP",
        value_enum,
        help_heading = "Links"
    )]
    repeated_sign_up: Option<RepeatedSignUp>,

    /// Serve the update-phone path without a delivery method, which the Python and Ruby SDKs call
    #[arg(long, env = "DESCOPE_EMULATOR_SHORT_UPDATE_PHONE", value_name = "BOOL", value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Links")]
    short_update_phone: Option<bool>,

    /// Status of "user exists" and of update conflicts [default: 400]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_CONFLICT_STATUS",
        value_name = "STATUS",
        help_heading = "Links"
    )]
    conflict_status: Option<u16>,

    /// Check requests against the API description [default: true]
    #[arg(long, env = "DESCOPE_EMULATOR_CHECK_REQUESTS", value_name = "BOOL", value_parser = BoolishValueParser::new(), help_heading = "Links")]
    check_requests: Option<bool>,

    /// Life of a session token [default: 10m]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SESSION_LIFETIME",
        value_name = "SPAN",
        help_heading = "Sessions"
    )]
    session_lifetime: Option<Span>,

    /// Life of a refresh token [default: 28d]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REFRESH_LIFETIME",
        value_name = "SPAN",
        help_heading = "Sessions"
    )]
    refresh_lifetime: Option<Span>,

    /// How long a session stays stepped up [default: 10m]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_STEP_UP_LIFETIME",
        value_name = "SPAN",
        help_heading = "Sessions"
    )]
    step_up_lifetime: Option<Span>,

    /// Life of an access key's session token [default: 10m]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_ACCESS_KEY_LIFETIME",
        value_name = "SPAN",
        help_heading = "Sessions"
    )]
    access_key_lifetime: Option<Span>,

    /// Each refresh gives a new refresh token and makes the old one invalid
    #[arg(long, env = "DESCOPE_EMULATOR_ROTATE_REFRESH_TOKENS", value_name = "BOOL", value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Sessions")]
    rotate_refresh_tokens: Option<bool>,

    /// What a refresh token costs that a newer one has replaced [default: invalidate-family]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REFRESH_REUSE",
        value_enum,
        help_heading = "Sessions"
    )]
    refresh_reuse: Option<RefreshReuse>,

    /// A refresh without rotation responds with the refresh token again
    #[arg(long, env = "DESCOPE_EMULATOR_ECHO_REFRESH_TOKEN", value_name = "BOOL", value_parser = BoolishValueParser::new(), num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Sessions")]
    echo_refresh_token: Option<bool>,

    /// How tokens reach the client [default: body]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_TOKEN_DELIVERY",
        value_enum,
        help_heading = "Sessions"
    )]
    token_delivery: Option<TokenDelivery>,

    /// Name of the session cookie [default: DS]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SESSION_COOKIE",
        value_name = "NAME",
        help_heading = "Sessions"
    )]
    session_cookie: Option<String>,

    /// Name of the refresh cookie [default: DSR]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REFRESH_COOKIE",
        value_name = "NAME",
        help_heading = "Sessions"
    )]
    refresh_cookie: Option<String>,

    /// Domain of cookies [default: none]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_COOKIE_DOMAIN",
        value_name = "DOMAIN",
        help_heading = "Sessions"
    )]
    cookie_domain: Option<String>,

    /// SameSite attribute of cookies [default: strict]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SAME_SITE",
        value_enum,
        help_heading = "Sessions"
    )]
    same_site: Option<SameSite>,

    /// Where custom claims of login options land [default: nsec]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_CUSTOM_CLAIMS_AT",
        value_enum,
        help_heading = "Sessions"
    )]
    custom_claims_at: Option<CustomClaimsAt>,

    #[arg(skip)]
    limits: Option<Limits>,
    #[arg(skip)]
    roles: BTreeMap<String, Vec<String>>,
    #[arg(skip)]
    tenants: Vec<Tenant>,
    #[arg(skip)]
    templates: Vec<Template>,
    #[arg(skip)]
    users: Vec<User>,
    #[arg(skip)]
    access_keys: Vec<AccessKey>,
    #[arg(skip)]
    rate_limits: Vec<RateLimit>,
}

fn set<T>(setting: &mut T, given: Option<impl Into<T>>) {
    if let Some(given) = given {
        *setting = given.into();
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl Patch {
    /// What a configuration file says.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let explain =
            |reason: String| format!("the configuration file {}: {reason}", path.display());
        let text = std::fs::read_to_string(path).map_err(|reason| explain(reason.to_string()))?;
        if path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
        {
            serde_json::from_str(&text).map_err(|reason| explain(reason.to_string()))
        } else {
            toml::from_str(&text).map_err(|reason| explain(reason.to_string()))
        }
    }

    pub(super) fn apply(self, settings: &mut Settings) -> Result<(), String> {
        if let Some(host) = self.host {
            settings.address.set_ip(host);
        }
        if let Some(port) = self.port {
            settings.address.set_port(port);
        }
        settings.allowed_hosts.extend(self.allowed_host);
        settings.allowed_origins.extend(self.allow_origin);
        set(&mut settings.project_id, self.project_id);
        set(&mut settings.management_key, self.management_key);
        set(&mut settings.auth_management_key, self.auth_management_key);
        set(&mut settings.issuer, self.issuer);
        set(&mut settings.signing_algorithm, self.signing_algorithm);
        let key = self.signing_key.as_deref().map(pkcs8).transpose()?;
        set(&mut settings.signing_key, key);
        set(&mut settings.default_redirect, self.default_redirect);
        let approved = self.approved_redirect;
        set(
            &mut settings.approved_redirects,
            (!approved.is_empty()).then_some(approved),
        );
        set(&mut settings.link_lifetime, self.link_lifetime);
        set(&mut settings.repeated_sign_up, self.repeated_sign_up);
        set(&mut settings.short_update_phone, self.short_update_phone);
        set(&mut settings.conflict_status, self.conflict_status);
        check_requests(settings, self.check_requests)?;
        set(&mut settings.session_lifetime, self.session_lifetime);
        set(&mut settings.refresh_lifetime, self.refresh_lifetime);
        set(&mut settings.step_up_lifetime, self.step_up_lifetime);
        set(&mut settings.access_key_lifetime, self.access_key_lifetime);
        set(
            &mut settings.rotate_refresh_tokens,
            self.rotate_refresh_tokens,
        );
        set(&mut settings.refresh_reuse, self.refresh_reuse);
        set(&mut settings.echo_refresh_token, self.echo_refresh_token);
        set(&mut settings.token_delivery, self.token_delivery);
        set(&mut settings.session_cookie, self.session_cookie);
        set(&mut settings.refresh_cookie, self.refresh_cookie);
        set(&mut settings.cookie_domain, self.cookie_domain);
        set(&mut settings.same_site, self.same_site);
        set(&mut settings.custom_claims_at, self.custom_claims_at);
        set(&mut settings.limits, self.limits);
        settings.roles.extend(self.roles);
        settings.tenants.extend(self.tenants);
        settings.templates.extend(self.templates);
        settings.users.extend(self.users);
        settings.users.extend(self.user.into_iter().map(User::new));
        settings.access_keys.extend(self.access_keys);
        settings.rate_limits.extend(self.rate_limits);
        Ok(())
    }
}

/// The document inside a PEM file of a PKCS#8 private key.
fn pkcs8(path: &Path) -> Result<Vec<u8>, String> {
    let explain = |reason: &str| format!("the signing key {}: {reason}", path.display());
    let text = std::fs::read_to_string(path).map_err(|reason| explain(&reason.to_string()))?;
    let inside = text
        .split_once("-----BEGIN PRIVATE KEY-----")
        .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
        .map(|(inside, _)| inside.split_whitespace().collect::<String>());
    let inside = inside.ok_or_else(|| {
        explain("no PKCS#8 private key in it; make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048")
    })?;
    STANDARD
        .decode(inside)
        .map_err(|reason| explain(&reason.to_string()))
}

#[cfg(feature = "schema")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the build without the feature has to refuse"
)]
fn check_requests(settings: &mut Settings, on: Option<bool>) -> Result<(), String> {
    set(&mut settings.check_requests, on);
    Ok(())
}

#[cfg(not(feature = "schema"))]
fn check_requests(_: &mut Settings, on: Option<bool>) -> Result<(), String> {
    if on == Some(true) {
        return Err("this build cannot check requests: it lacks the feature schema".to_owned());
    }
    Ok(())
}
