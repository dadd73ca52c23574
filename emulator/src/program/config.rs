//! Settings from flags, environment and the configuration file.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::args::{Args, ClaimsAt, Delivery, Repeated, Reuse, Site};
use crate::builder::EmulatorBuilder;
use crate::control::input::{
    AccessKeyInput, RateLimitInput, TemplateInput, TenantInput, UserInput, span,
};
use crate::settings::{
    CustomClaimsAt, Limits, RefreshReuse, RepeatedSignUp, SameSite, TokenDelivery, User,
};

const PORT: u16 = 8055;
const PROJECT_ID: &str = "P2EmulatorProjectForLocalDev";
const MANAGEMENT_KEY: &str = "K2EmulatorManagementKeyForLocalDev";

/// What a configuration file may hold.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    host: Option<IpAddr>,
    port: Option<u16>,
    allowed_hosts: Vec<String>,
    project_id: Option<String>,
    management_key: Option<String>,
    auth_management_key: Option<String>,
    issuer: Option<String>,
    signing_key: Option<PathBuf>,
    default_redirect: Option<String>,
    approved_redirects: Vec<String>,
    #[serde(deserialize_with = "span")]
    link_lifetime: Option<Duration>,
    repeated_sign_up: Option<Repeated>,
    short_update_phone: bool,
    conflict_status: Option<u16>,
    check_requests: Option<bool>,
    #[serde(deserialize_with = "span")]
    session_lifetime: Option<Duration>,
    #[serde(deserialize_with = "span")]
    refresh_lifetime: Option<Duration>,
    #[serde(deserialize_with = "span")]
    step_up_lifetime: Option<Duration>,
    #[serde(deserialize_with = "span")]
    access_key_lifetime: Option<Duration>,
    rotate_refresh_tokens: bool,
    refresh_reuse: Option<Reuse>,
    echo_refresh_token: bool,
    token_delivery: Option<Delivery>,
    session_cookie: Option<String>,
    refresh_cookie: Option<String>,
    cookie_domain: Option<String>,
    same_site: Option<Site>,
    custom_claims_at: Option<ClaimsAt>,
    limits: FileLimits,
    roles: BTreeMap<String, Vec<String>>,
    tenants: Vec<TenantInput>,
    templates: Vec<TemplateInput>,
    users: Vec<UserInput>,
    access_keys: Vec<AccessKeyInput>,
    rate_limits: Vec<RateLimitInput>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileLimits {
    messages: Option<usize>,
    links: Option<usize>,
    sessions: Option<usize>,
    users: Option<usize>,
    journal: Option<usize>,
}

impl FileLimits {
    fn apply(&self, limits: &mut Limits) {
        for (limit, given) in [
            (&mut limits.messages, self.messages),
            (&mut limits.links, self.links),
            (&mut limits.sessions, self.sessions),
            (&mut limits.users, self.users),
            (&mut limits.journal, self.journal),
        ] {
            *limit = given.unwrap_or(*limit);
        }
    }
}

fn read(path: &Path) -> Result<File, String> {
    let explain = |reason: String| format!("the configuration file {}: {reason}", path.display());
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

/// A setting of the builder that takes a span.
type SetSpan = fn(EmulatorBuilder, Duration) -> EmulatorBuilder;

/// The builder that the arguments ask for, and the address to listen on.
pub(super) fn builder(args: Args) -> Result<(EmulatorBuilder, SocketAddr), String> {
    let file = args
        .config
        .as_deref()
        .map(read)
        .transpose()?
        .unwrap_or_default();

    let host = args
        .host
        .or(file.host)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if !host.is_loopback() && !args.allow_remote {
        return Err(format!(
            "others could reach {host}, and anyone who does can sign in as anyone; add --allow-remote if that is meant"
        ));
    }
    let address = SocketAddr::new(host, args.port.or(file.port).unwrap_or(PORT));

    let mut builder = crate::Emulator::builder()
        .project_id(
            args.project_id
                .or(file.project_id)
                .unwrap_or_else(|| PROJECT_ID.to_owned()),
        )
        .management_key(
            args.management_key
                .or(file.management_key)
                .unwrap_or_else(|| MANAGEMENT_KEY.to_owned()),
        )
        .allowed_hosts(args.allowed_host.into_iter().chain(file.allowed_hosts))
        .short_update_phone(args.short_update_phone || file.short_update_phone)
        .rotate_refresh_tokens(args.rotate_refresh_tokens || file.rotate_refresh_tokens)
        .echo_refresh_token(args.echo_refresh_token || file.echo_refresh_token)
        .limits(|limits| file.limits.apply(limits));
    if let Some(key) = args.auth_management_key.or(file.auth_management_key) {
        builder = builder.auth_management_key(key);
    }
    if let Some(issuer) = args.issuer.or(file.issuer) {
        builder = builder.issuer(issuer);
    }
    if let Some(path) = args.signing_key.or(file.signing_key) {
        builder = builder.signing_key_pkcs8(pkcs8(&path)?);
    }
    if let Some(url) = args.default_redirect.or(file.default_redirect) {
        builder = builder.default_redirect(url);
    }
    let approved: Vec<String> = if args.approved_redirect.is_empty() {
        file.approved_redirects
    } else {
        args.approved_redirect
    };
    if !approved.is_empty() {
        builder = builder.approved_redirects(approved);
    }
    let spans: [(Option<Duration>, SetSpan); 5] = [
        (
            args.link_lifetime.or(file.link_lifetime),
            EmulatorBuilder::link_lifetime,
        ),
        (
            args.session_lifetime.or(file.session_lifetime),
            EmulatorBuilder::session_lifetime,
        ),
        (
            args.refresh_lifetime.or(file.refresh_lifetime),
            EmulatorBuilder::refresh_lifetime,
        ),
        (
            args.step_up_lifetime.or(file.step_up_lifetime),
            EmulatorBuilder::step_up_lifetime,
        ),
        (
            args.access_key_lifetime.or(file.access_key_lifetime),
            EmulatorBuilder::access_key_lifetime,
        ),
    ];
    for (span, set) in spans {
        if let Some(span) = span {
            builder = set(builder, span);
        }
    }
    if let Some(rule) = args.repeated_sign_up.or(file.repeated_sign_up) {
        builder = builder.repeated_sign_up(match rule {
            Repeated::Refuse => RepeatedSignUp::Refuse,
            Repeated::SendAgain => RepeatedSignUp::SendAgain,
        });
    }
    if let Some(status) = args.conflict_status.or(file.conflict_status) {
        builder = builder.conflict_status(status);
    }
    if let Some(on) = args.check_requests.or(file.check_requests) {
        builder = check_requests(builder, on)?;
    }
    if let Some(delivery) = args.token_delivery.or(file.token_delivery) {
        builder = builder.token_delivery(match delivery {
            Delivery::Body => TokenDelivery::Body,
            Delivery::Cookies => TokenDelivery::Cookies,
            Delivery::RefreshInCookie => TokenDelivery::RefreshInCookie,
            Delivery::SessionInCookie => TokenDelivery::SessionInCookie,
        });
    }
    if let Some(rule) = args.refresh_reuse.or(file.refresh_reuse) {
        builder = builder.refresh_reuse(match rule {
            Reuse::InvalidateFamily => RefreshReuse::InvalidateFamily,
            Reuse::RefuseToken => RefreshReuse::RefuseToken,
        });
    }
    let session_cookie = args.session_cookie.or(file.session_cookie);
    let refresh_cookie = args.refresh_cookie.or(file.refresh_cookie);
    if session_cookie.is_some() || refresh_cookie.is_some() {
        builder = builder.cookie_names(
            session_cookie.unwrap_or_else(|| "DS".to_owned()),
            refresh_cookie.unwrap_or_else(|| "DSR".to_owned()),
        );
    }
    if let Some(domain) = args.cookie_domain.or(file.cookie_domain) {
        builder = builder.cookie_domain(domain);
    }
    if let Some(site) = args.same_site.or(file.same_site) {
        builder = builder.same_site(match site {
            Site::Strict => SameSite::Strict,
            Site::Lax => SameSite::Lax,
            Site::None => SameSite::None,
        });
    }
    if let Some(place) = args.custom_claims_at.or(file.custom_claims_at) {
        builder = builder.custom_claims_at(match place {
            ClaimsAt::Nsec => CustomClaimsAt::Nsec,
            ClaimsAt::TopLevel => CustomClaimsAt::TopLevel,
        });
    }
    for (role, permissions) in file.roles {
        builder = builder.role(role, permissions);
    }
    builder = file
        .tenants
        .into_iter()
        .fold(builder, |builder, tenant| builder.tenant(tenant.into()));
    builder = file
        .templates
        .into_iter()
        .fold(builder, |builder, template| {
            builder.template(template.into())
        });
    builder = file
        .access_keys
        .into_iter()
        .fold(builder, |builder, key| builder.access_key(key.into()));
    builder = file
        .rate_limits
        .into_iter()
        .fold(builder, |builder, limit| builder.rate_limit(limit.into()));
    builder = file
        .users
        .into_iter()
        .fold(builder, |builder, user| builder.user(user.into()));
    builder = args.user.into_iter().fold(builder, |builder, login_id| {
        builder.user(User::new(login_id))
    });
    Ok((builder, address))
}

#[cfg(feature = "schema")]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the build without the feature has to refuse"
)]
fn check_requests(builder: EmulatorBuilder, on: bool) -> Result<EmulatorBuilder, String> {
    Ok(builder.check_requests(on))
}

#[cfg(not(feature = "schema"))]
fn check_requests(builder: EmulatorBuilder, on: bool) -> Result<EmulatorBuilder, String> {
    if on {
        Err("this build cannot check requests: it lacks the feature schema".to_owned())
    } else {
        Ok(builder)
    }
}
