//! What the claims of a token must say, once its signature has been found good.

use super::error::{Claim, TokenProblem};
use super::json::{Document, Item, Place};

/// The end of the year 9999: a later time is a mistake, and no platform need be able to hold it.
const LAST_SECOND: i64 = 253_402_300_799;

/// Which of the two tokens a caller means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Session,
    Refresh,
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
pub(super) struct Facts {
    pub(super) expires_at: i64,
    pub(super) not_before: Option<i64>,
    pub(super) issued_at: Option<i64>,
    /// Where the user's id is.
    pub(super) subject: Place,
}

impl Facts {
    /// Seconds since the epoch against the token's life. Run again when a token comes from a cache.
    pub(super) fn check_times(&self, now: i64, leeway: i64) -> Result<(), TokenProblem> {
        if now >= self.expires_at.saturating_add(leeway) {
            return Err(TokenProblem::Expired);
        }
        let latest_start = now.saturating_add(leeway);
        let starts = [self.not_before, self.issued_at];
        if starts
            .into_iter()
            .flatten()
            .any(|start| start > latest_start)
        {
            return Err(TokenProblem::NotYetValid);
        }
        Ok(())
    }
}

/// The claims that decide, found in one pass.
#[derive(Default)]
struct Registered<'d> {
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

impl<'d> Registered<'d> {
    fn of(claims: &'d Document) -> Self {
        let mut found = Self::default();
        for (name, value) in claims.root().as_object().into_iter().flat_map(|o| o.iter()) {
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
        kind: Kind,
        now: i64,
    ) -> Result<Facts, TokenProblem> {
        let found = Registered::of(claims);
        if !self.kind_fits(&found, kind) {
            return Err(TokenProblem::WrongKind);
        }
        let issuer = found.iss.and_then(Item::as_str);
        if !issuer.is_some_and(|issuer| self.issuer_fits(issuer)) {
            return Err(TokenProblem::Issuer);
        }
        if !self.audience_fits(found.aud, kind) {
            return Err(TokenProblem::Audience);
        }
        if found.cnf.is_some_and(is_bound) {
            return Err(TokenProblem::SenderConstrained);
        }
        let facts = Facts {
            expires_at: time(found.exp, Claim::Expiry)?
                .ok_or(TokenProblem::Claim(Claim::Expiry))?,
            not_before: time(found.nbf, Claim::NotBefore)?,
            issued_at: time(found.iat, Claim::IssuedAt)?,
            subject: subject(&found)?,
        };
        facts.check_times(now, self.leeway)?;
        Ok(facts)
    }

    /// A token says what it is by `drn` (very old ones by `cookieName`), OIDC ones by `token_type`.
    /// One that says nothing is let through, as Descope issues such tokens; one that says something
    /// unknown is not.
    fn kind_fits(&self, found: &Registered<'_>, kind: Kind) -> bool {
        let (names, oidc_type) = match kind {
            Kind::Session => (&self.session_names, "access_token"),
            Kind::Refresh => (&self.refresh_names, "refresh_token"),
        };
        match (found.drn.or(found.cookie_name), found.token_type) {
            (Some(name), _) => name
                .as_str()
                .is_some_and(|name| names.iter().any(|known| known == name)),
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
        None => !cnf.is_null(),
    }
}

/// A time in whole seconds since the epoch, which is all that Descope issues.
fn time(value: Option<Item<'_>>, claim: Claim) -> Result<Option<i64>, TokenProblem> {
    value
        .map(|value| {
            value
                .as_i64()
                .filter(|seconds| (0..=LAST_SECOND).contains(seconds))
                .ok_or(TokenProblem::Claim(claim))
        })
        .transpose()
}

/// The user's id: `dsub` when there is one, since JWT templates may fill `sub` with something else.
fn subject(found: &Registered<'_>) -> Result<Place, TokenProblem> {
    let absent = |item: &Item<'_>| item.is_null() || item.as_str() == Some("");
    found
        .dsub
        .filter(|dsub| !absent(dsub))
        .or(found.sub)
        .filter(|id| id.as_str().is_some_and(|text| !text.is_empty()))
        .map(Item::place)
        .ok_or(TokenProblem::Claim(Claim::Subject))
}
