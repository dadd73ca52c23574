//! What control requests and the configuration file hold.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::faults::{Fault, FaultTarget};
use crate::handles::{ControlError, Mint};
use crate::settings::{AccessKey, RateLimit, Template, Tenant, User};

/// A span such as `90s`, `3m` or `1h 30m`.
pub(crate) fn span<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|reason| {
            serde::de::Error::custom(format!(
                "{text:?} is no duration ({reason}); write it like 90s, 3m or 1h 30m"
            ))
        })
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UserInput {
    #[serde(alias = "login_id")]
    login_id: String,
    #[serde(default, alias = "more_login_ids")]
    more_login_ids: Vec<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    #[serde(default)]
    unverified: bool,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    tenants: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    test: bool,
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default)]
    claims: Map<String, Value>,
}

impl From<UserInput> for User {
    fn from(input: UserInput) -> Self {
        let mut user = Self::new(input.login_id);
        user.login_ids.extend(input.more_login_ids);
        user.name = input.name;
        user.email = input.email.or(user.email);
        user.phone = input.phone.or(user.phone);
        user.verified = !input.unverified;
        user.roles = input.roles;
        user.tenants = input.tenants;
        user.disabled = input.disabled;
        user.test = input.test;
        user.attributes = input.attributes;
        user.claims = input.claims;
        user
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantInput {
    id: String,
    name: Option<String>,
    #[serde(default)]
    attributes: Map<String, Value>,
}

impl From<TenantInput> for Tenant {
    fn from(input: TenantInput) -> Self {
        let tenant = Self::new(input.id);
        let tenant = match input.name {
            Some(name) => tenant.name(name),
            None => tenant,
        };
        input
            .attributes
            .into_iter()
            .fold(tenant, |tenant, (name, value)| {
                tenant.attribute(name, value)
            })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateInput {
    id: String,
    #[serde(default)]
    subject: String,
    text: String,
}

impl From<TemplateInput> for Template {
    fn from(input: TemplateInput) -> Self {
        Self::new(input.id, input.subject, input.text)
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKeyInput {
    id: String,
    secret: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    tenants: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    claims: Map<String, Value>,
}

impl From<AccessKeyInput> for AccessKey {
    fn from(input: AccessKeyInput) -> Self {
        let mut key = Self::new(input.id, input.secret);
        key.roles = input.roles;
        key.tenants = input.tenants;
        key.claims = input.claims;
        key
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateLimitInput {
    requests: u32,
    #[serde(deserialize_with = "span")]
    window: Option<Duration>,
    operation: Option<String>,
}

impl From<RateLimitInput> for RateLimit {
    fn from(input: RateLimitInput) -> Self {
        let limit = Self::new(
            input.requests,
            input.window.unwrap_or(Duration::from_secs(60)),
        );
        match input.operation {
            Some(operation) => limit.operation(operation),
            None => limit,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FaultInput {
    operation: Option<String>,
    path: Option<String>,
    times: Option<u32>,
    #[serde(default)]
    after_handling: bool,
    answer: Option<ChangeInput>,
    alter: Option<ChangeInput>,
    tokens_of: Option<String>,
    rate_limited: Option<RateLimitedInput>,
    delay_millis: Option<u64>,
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    black_hole: bool,
    cut_body_after: Option<usize>,
    #[serde(default)]
    reset: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeInput {
    status: Option<u16>,
    json: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    remove_headers: Vec<String>,
    #[serde(default)]
    gzip: bool,
}

impl ChangeInput {
    fn apply(self, mut fault: Fault) -> Result<Fault, ControlError> {
        if let Some(status) = self.status {
            fault = fault.status(status);
        }
        match (self.json, self.text) {
            (Some(_), Some(_)) => {
                return Err(ControlError(
                    "only one of json and text may be given".to_owned(),
                ));
            }
            (Some(json), None) => fault = fault.json(&json),
            (None, Some(text)) => fault = fault.text(text),
            (None, None) => {}
        }
        for name in self.remove_headers {
            fault = fault.without_header(name);
        }
        for (name, value) in self.headers {
            fault = fault.header(name, value);
        }
        Ok(if self.gzip { fault.gzip() } else { fault })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RateLimitedInput {
    retry_after_seconds: Option<u64>,
}

impl FaultInput {
    pub(crate) fn fault(self) -> Result<Fault, ControlError> {
        let target = || match (&self.operation, &self.path) {
            (Some(_), Some(_)) => Err(ControlError(
                "only one of operation and path may be given".to_owned(),
            )),
            (Some(operation), None) => Ok(Fault::on(operation)),
            (None, Some(path)) => Ok(Fault::path(path)),
            (None, None) => Ok(Fault::everywhere()),
        };
        let mut made: Vec<Fault> = Vec::new();
        if let Some(answer) = self.answer.clone() {
            let status = answer
                .status
                .ok_or_else(|| ControlError("answer.status is missing".to_owned()))?;
            made.push(answer.apply(target()?.answer(status))?);
        }
        if let Some(change) = self.alter.clone() {
            made.push(change.apply(target()?.alter())?);
        }
        if let Some(login_id) = &self.tokens_of {
            made.push(target()?.tokens_of(login_id));
        }
        if let Some(limited) = &self.rate_limited {
            made.push(target()?.rate_limited(limited.retry_after_seconds.map(Duration::from_secs)));
        }
        if let Some(millis) = self.delay_millis {
            made.push(target()?.delay(Duration::from_millis(millis)));
        }
        if let Some(bytes) = self.cut_body_after {
            made.push(target()?.cut_body(bytes));
        }
        for (on, make) in [
            (self.hold, FaultTarget::hold as fn(_) -> _),
            (self.black_hole, FaultTarget::black_hole),
            (self.reset, FaultTarget::reset),
        ] {
            if on {
                made.push(make(target()?));
            }
        }
        let (Some(mut fault), true) = (made.pop(), made.is_empty()) else {
            return Err(ControlError(
                "exactly one of answer, alter, tokensOf, rateLimited, delayMillis, hold, blackHole, cutBodyAfter and reset must be given".to_owned(),
            ));
        };
        if let Some(times) = self.times {
            fault = fault.times(times);
        }
        if self.after_handling {
            fault = fault.after_handling();
        }
        Ok(fault)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MintInput {
    pub(crate) login_id: String,
    amr: Option<Vec<String>>,
    tenant: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    issuer: Option<String>,
    #[serde(default)]
    expired: bool,
    #[serde(default)]
    forged: bool,
}

impl MintInput {
    pub(crate) fn apply(self, mut mint: Mint) -> Result<Mint, ControlError> {
        if self.expired && self.forged {
            return Err(ControlError(
                "only one of expired and forged may be given".to_owned(),
            ));
        }
        if let Some(amr) = self.amr {
            mint = mint.amr(amr);
        }
        if let Some(tenant) = self.tenant {
            mint = mint.tenant(tenant);
        }
        for (name, value) in self.claims {
            mint = mint.claim(name, value);
        }
        if let Some(issuer) = self.issuer {
            mint = mint.issuer(issuer);
        }
        if self.expired {
            mint = mint.expired();
        }
        if self.forged {
            mint = mint.forged();
        }
        Ok(mint)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum ClockInput {
    AdvanceSeconds(f64),
    Set(Moment),
    Frozen(bool),
    Real(bool),
}

/// A time such as `2026-01-25T08:56:38Z`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339_weak(&text)
            .map(Self)
            .map_err(|reason| {
                serde::de::Error::custom(format!(
                    "{text:?} is no time ({reason}); write it like 2026-01-25T08:56:38Z"
                ))
            })
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateInput {
    #[serde(default)]
    pub(crate) revoke: bool,
}
