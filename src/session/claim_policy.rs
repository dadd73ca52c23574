//! What the claims of a token must say, once its signature has been found good.

use crate::error::{Claim, TokenProblem};
use crate::jwt::json::{Document, Item, Place};

/// The end of the year 9999: a later time is a mistake, and no platform need be able to hold it.
const LAST_SECOND: i64 = 253_402_300_799;

/// Which of the two tokens a caller means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Refresh,
}

/// By how many seconds a token may say that it was issued in the future: the claim is for a token's age
/// only (RFC 7519 section 4.1.6), and clocks differ.
const MAX_ISSUED_AHEAD: i64 = 60;
/// The same, and for `nbf`, of tokens in the service's own response.
const MAX_ISSUED_AHEAD_OF_DATE: i64 = 300;

/// What a token's times are measured by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Now {
    /// Of a token that somebody presents: this machine's clock, in seconds since the epoch.
    Clock(i64),
    /// Of a token in the service's response to our own call: the response's `Date`. The token was
    /// issued for that call, so that without a date its times are not looked at.
    ResponseDate(Option<i64>),
}

/// What a caller wants of a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) kind: Kind,
    pub(super) now: Now,
    /// A value of `drn` that marks this token, beside those of the policy.
    pub(super) name: Option<&'a str>,
}

/// What is demanded of claims.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) project_id: String,
    /// Issuers accepted besides the project's own, compared as whole texts.
    pub(super) issuers: Vec<String>,
    /// `host` or `host:port` of the services whose URLs may be issuers.
    pub(super) issuer_hosts: Vec<String>,
    /// Audiences of which a token must name one; when empty, see `audience_fits`.
    pub(super) audiences: Vec<String>,
    /// Seconds by which clocks may differ.
    pub(super) leeway: i64,
    /// Values of `drn` that mark a session token.
    pub(super) session_names: Vec<String>,
    /// Values of `drn` that mark a refresh token.
    pub(super) refresh_names: Vec<String>,
}

/// What a token that passed says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValidatedTimes {
    pub(super) expires_at: i64,
    pub(super) not_before: Option<i64>,
    pub(super) issued_at: Option<i64>,
    /// Where the user's id is.
    pub(super) subject: Place,
}

impl ValidatedTimes {
    /// The time against the token's life. Run again when a token comes from a cache.
    pub(super) fn check_times(&self, now: Now, leeway: i64) -> Result<(), TokenProblem> {
        let (expired_from, latest_start, latest_issue) = match now {
            Now::Clock(now) => (
                now.saturating_sub(leeway),
                now.saturating_add(leeway),
                now.saturating_add(MAX_ISSUED_AHEAD.max(leeway)),
            ),
            Now::ResponseDate(Some(date)) => {
                let latest = date.saturating_add(MAX_ISSUED_AHEAD_OF_DATE);
                (date, latest, latest)
            }
            Now::ResponseDate(None) => return Ok(()),
        };
        if self.expires_at <= expired_from {
            return Err(TokenProblem::Expired);
        }
        if self.not_before.is_some_and(|start| start > latest_start)
            || self.issued_at.is_some_and(|issue| issue > latest_issue)
        {
            return Err(TokenProblem::NotYetValid);
        }
        #[cfg(feature = "tracing")]
        if let Some(issued_at) = self.issued_at.filter(|issue| *issue > latest_start) {
            let seconds = issued_at.saturating_sub(latest_start.saturating_sub(leeway));
            tracing::debug!(seconds, "a token was issued in the future; accepted");
        }
        Ok(())
    }
}

/// The claims that decide, found in one pass. A `null` counts as absent: projects can have claims that
/// are not set written so.
#[derive(Default)]
struct RegisteredClaims<'d> {
    iss: Option<Item<'d>>,
    sub: Option<Item<'d>>,
    dsub: Option<Item<'d>>,
    aud: Option<Item<'d>>,
    exp: Option<Item<'d>>,
    nbf: Option<Item<'d>>,
    iat: Option<Item<'d>>,
    drn: Option<Item<'d>>,
    cookie_name: Option<Item<'d>>,
    token_type: Option<Item<'d>>,
    cnf: Option<Item<'d>>,
}

impl<'d> RegisteredClaims<'d> {
    fn of(claims: &'d Document) -> Self {
        let mut found = Self::default();
        for (name, value) in claims.root().as_object().into_iter().flat_map(|o| o.iter()) {
            if value.is_null() {
                continue;
            }
            let slot = match name {
                "iss" => &mut found.iss,
                "sub" => &mut found.sub,
                "dsub" => &mut found.dsub,
                "aud" => &mut found.aud,
                "exp" => &mut found.exp,
                "nbf" => &mut found.nbf,
                "iat" => &mut found.iat,
                "drn" => &mut found.drn,
                "cookieName" => &mut found.cookie_name,
                "token_type" => &mut found.token_type,
                "cnf" => &mut found.cnf,
                _ => continue,
            };
            *slot = Some(value);
        }
        found
    }
}

impl Policy {
    /// Checks everything but the signature. Expiry comes last, so that "expired" means that all
    /// else was good.
    pub(super) fn check(
        &self,
        claims: &Document,
        expected: Expected<'_>,
    ) -> Result<ValidatedTimes, TokenProblem> {
        let kind = expected.kind;
        let found = RegisteredClaims::of(claims);
        if !self.check_type(&found, expected) {
            return Err(TokenProblem::WrongTokenType);
        }
        let issuer = found.iss.and_then(Item::as_str);
        if !issuer.is_some_and(|issuer| self.issuer_fits(issuer)) {
            return Err(TokenProblem::WrongIssuer);
        }
        if !self.audience_fits(found.aud, kind) {
            return Err(TokenProblem::WrongAudience);
        }
        if found.cnf.is_some_and(is_bound) {
            return Err(TokenProblem::SenderConstrained);
        }
        let times = ValidatedTimes {
            expires_at: time(found.exp, Claim::Expiry)?
                .ok_or(TokenProblem::InvalidClaim(Claim::Expiry))?,
            not_before: time(found.nbf, Claim::NotBefore)?,
            issued_at: time(found.iat, Claim::IssuedAt)?,
            subject: subject(&found)?,
        };
        times.check_times(expected.now, self.leeway)?;
        Ok(times)
    }

    /// A token says what it is by `drn` (very old ones by `cookieName`), OIDC ones by `token_type`.
    /// One that says nothing is let through, as Descope issues such tokens; one that says something
    /// unknown is not.
    fn check_type(&self, found: &RegisteredClaims<'_>, expected: Expected<'_>) -> bool {
        let (names, oidc_type) = match expected.kind {
            Kind::Session => (&self.session_names, "access_token"),
            Kind::Refresh => (&self.refresh_names, "refresh_token"),
        };
        match (found.drn.or(found.cookie_name), found.token_type) {
            (Some(name), _) => name.as_str().is_some_and(|name| {
                expected.name == Some(name) || names.iter().any(|known| known == name)
            }),
            (None, Some(kind)) => kind.as_str() == Some(oidc_type),
            (None, None) => true,
        }
    }

    /// The project id alone, an issuer that was configured, or
    /// `https://HOST/…/PROJECT` or `https://HOST/…/PROJECT/SEGMENT` on a known host.
    fn issuer_fits(&self, issuer: &str) -> bool {
        if issuer == self.project_id || self.issuers.iter().any(|known| known == issuer) {
            return true;
        }
        let Some((host, path)) = issuer
            .strip_prefix("https://")
            .and_then(|rest| rest.split_once('/'))
        else {
            return false;
        };
        let host_fits = self.issuer_hosts.iter().any(|known| known == host);
        let mut segments = path.rsplit('/');
        let (last, second_last) = (segments.next(), segments.next());
        let project_fits = [last, second_last].contains(&Some(self.project_id.as_str()));
        // Nothing that a URL parser would read otherwise than this comparison does.
        let plain = path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte))
        });
        host_fits && project_fits && plain
    }

    /// With configured audiences, a session token must name one of them. Without, a token for nobody
    /// in particular will do, and so will one that names the project. Refresh tokens are for Descope
    /// itself and seldom name anyone, so both will do for them.
    fn audience_fits(&self, aud: Option<Item<'_>>, kind: Kind) -> bool {
        let general = self.audiences.is_empty() || kind == Kind::Refresh;
        let Some(aud) = aud else {
            return general;
        };
        let accepted = |audience: Item<'_>| {
            audience.as_str().is_some_and(|audience| {
                (general && audience == self.project_id)
                    || self.audiences.iter().any(|known| known == audience)
            })
        };
        match aud.as_array() {
            Some(mut audiences) => audiences.any(accepted),
            None => accepted(aud),
        }
    }
}

/// Whether a `cnf` claim binds the token to a key (RFC 7800, RFC 9449). What cannot be read is taken
/// for a binding.
fn is_bound(cnf: Item<'_>) -> bool {
    match cnf.as_object() {
        Some(methods) => !methods.is_empty(),
        None => true,
    }
}

/// A time in whole seconds since the epoch, which is all that Descope issues.
fn time(value: Option<Item<'_>>, claim: Claim) -> Result<Option<i64>, TokenProblem> {
    value
        .map(|value| {
            value
                .as_i64()
                .filter(|seconds| (0..=LAST_SECOND).contains(seconds))
                .ok_or(TokenProblem::InvalidClaim(claim))
        })
        .transpose()
}

/// The user's id: `dsub` when there is one, since JWT templates may fill `sub` with something else.
fn subject(found: &RegisteredClaims<'_>) -> Result<Place, TokenProblem> {
    found
        .dsub
        .filter(|dsub| dsub.as_str() != Some(""))
        .or(found.sub)
        .filter(|id| id.as_str().is_some_and(|text| !text.is_empty()))
        .map(Item::place)
        .ok_or(TokenProblem::InvalidClaim(Claim::Subject))
}
