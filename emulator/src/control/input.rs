//! What control requests hold.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::ControlError;
use crate::handles::tokens::TokenBuilder;
use crate::state::faults::{Fault, FaultTarget};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleInput {
    pub(super) name: String,
    #[serde(default)]
    pub(super) permissions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FaultInput {
    operation: Option<String>,
    path: Option<String>,
    times: Option<u32>,
    #[serde(default)]
    after_handling: bool,
    // As scripts and state files from before the first release have it.
    #[serde(alias = "answer")]
    respond: Option<ChangeInput>,
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
    pub(super) fn fault(self) -> Result<Fault, ControlError> {
        let target = || match (&self.operation, &self.path) {
            (Some(_), Some(_)) => Err(ControlError(
                "only one of operation and path may be given".to_owned(),
            )),
            (Some(operation), None) => Ok(Fault::on(operation)),
            (None, Some(path)) => Ok(Fault::path(path)),
            (None, None) => Ok(Fault::everywhere()),
        };
        let mut made: Vec<Fault> = Vec::new();
        if let Some(respond) = self.respond.clone() {
            let status = respond
                .status
                .ok_or_else(|| ControlError("respond.status is missing".to_owned()))?;
            made.push(respond.apply(target()?.respond(status))?);
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
                "exactly one of respond, alter, tokensOf, rateLimited, delayMillis, hold, blackHole, cutBodyAfter and reset must be given".to_owned(),
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
pub(super) struct TokenInput {
    pub(super) login_id: String,
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

impl TokenInput {
    pub(super) fn apply(self, mut tokens: TokenBuilder) -> Result<TokenBuilder, ControlError> {
        if self.expired && self.forged {
            return Err(ControlError(
                "only one of expired and forged may be given".to_owned(),
            ));
        }
        if let Some(amr) = self.amr {
            tokens = tokens.amr(amr);
        }
        if let Some(tenant) = self.tenant {
            tokens = tokens.tenant(tenant);
        }
        for (name, value) in self.claims {
            tokens = tokens.claim(name, value);
        }
        if let Some(issuer) = self.issuer {
            tokens = tokens.issuer(issuer);
        }
        if self.expired {
            tokens = tokens.expired();
        }
        if self.forged {
            tokens = tokens.forged();
        }
        Ok(tokens)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum ClockInput {
    AdvanceSeconds(f64),
    Set(Timestamp),
    Frozen(bool),
    Real(bool),
}

/// A time such as `2026-01-25T08:56:38Z`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timestamp(pub(super) SystemTime);

impl<'de> Deserialize<'de> for Timestamp {
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
pub(super) struct RotateInput {
    #[serde(default)]
    pub(super) revoke: bool,
}
