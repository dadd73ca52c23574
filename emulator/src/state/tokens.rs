//! Session and refresh tokens of the state: what is in them, and which of them count.

use serde_json::{Map, Value, json};

use super::State;
use super::clock::{rfc3339, whole_seconds};
use super::project::Memberships;
use super::sessions::{End, Session};
use super::users::{Status, UserRecord};
use crate::error::ApiError;
use crate::random;
use crate::settings::{CustomClaimsAt, RefreshReuse};

impl State {
    /// The session of a refresh token that is valid now. A token that was replaced can end the whole family.
    pub(crate) fn open_refresh(&mut self, token: &str) -> Result<String, ApiError> {
        let bad = || ApiError::unauthorized("The refresh token is not valid");
        let claims = self
            .open_token(token, &self.settings.refresh_cookie)
            .ok_or_else(bad)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).ok_or_else(bad);
        let (id, jti) = (text("fti")?, text("jti")?);
        let session = self.sessions.get(id).ok_or_else(bad)?;
        session.refuse_ended()?;
        if !self.is_current(&claims) {
            return Err(ApiError::unauthorized("The refresh token has expired"));
        }
        if jti != session.refresh_jti {
            if self.settings.refresh_reuse == RefreshReuse::InvalidateFamily {
                self.sessions.end(id, End::Reused);
            }
            return Err(ApiError::family_invalidated());
        }
        refuse_disabled(self.users.get(&session.user_id).ok_or_else(bad)?)?;
        Ok(id.to_owned())
    }

    /// The claims of a session token that is valid now.
    pub(crate) fn open_session(&self, token: &str) -> Result<Map<String, Value>, ApiError> {
        self.open_token(token, &self.settings.session_cookie)
            .filter(|claims| self.is_current(claims))
            .ok_or_else(ApiError::invalid_session_token)
    }

    /// Checks signature, issuer and kind.
    fn open_token(&self, token: &str, kind: &str) -> Option<Map<String, Value>> {
        let claims = self.keys.open(token)?;
        let is =
            |name: &str, wanted: &str| claims.get(name).and_then(Value::as_str) == Some(wanted);
        (is("iss", self.issuer()) && is("drn", kind)).then_some(claims)
    }

    fn is_current(&self, claims: &Map<String, Value>) -> bool {
        claims
            .get("exp")
            .and_then(Value::as_i64)
            .is_some_and(|exp| self.time.seconds() < exp)
    }

    fn issuer(&self) -> &str {
        self.settings
            .issuer
            .as_deref()
            .unwrap_or(&self.settings.project_id)
    }

    /// The claims that tell who issued a token and for whom: a URL as issuer comes with an audience.
    fn put_issuer(&self, claims: &mut Map<String, Value>) {
        let issuer = self.issuer();
        claims.insert("iss".to_owned(), issuer.into());
        if issuer.contains("://") {
            claims.insert("aud".to_owned(), json!([self.settings.project_id]));
        }
    }

    /// A new refresh token takes the place of the current one.
    pub(crate) fn rotate_refresh(&mut self, id: &str) -> Result<(), ApiError> {
        let (iat, exp) = self.refresh_times();
        let jti = random::id("J")?;
        self.sessions.change(id, |session| {
            (session.refresh_iat, session.refresh_exp) = (iat, exp);
            session.refresh_jti = jti;
        });
        Ok(())
    }

    /// Beginning and end of a refresh token that is issued now.
    fn refresh_times(&self) -> (i64, i64) {
        let now = self.time.seconds();
        let life = whole_seconds(self.settings.refresh_lifetime);
        (now, now.saturating_add(life))
    }

    pub(crate) fn new_session(
        &mut self,
        user_id: &str,
        amr: Vec<String>,
        tenant: Option<String>,
        custom_claims: Map<String, Value>,
    ) -> Result<String, ApiError> {
        let id = random::id("J")?;
        let (refresh_iat, refresh_exp) = self.refresh_times();
        let session = Session {
            id: id.clone(),
            user_id: user_id.to_owned(),
            refresh_iat,
            refresh_exp,
            refresh_jti: id.clone(),
            end: None,
            amr,
            tenant,
            custom_claims,
            stepped_up_until: None,
        };
        let bound = self.bound(self.settings.limits.sessions);
        self.sessions.push(session, bound);
        Ok(id)
    }

    /// The tenant that a session is bound to: the chosen one, or the user's only one.
    pub(crate) fn current_tenant(&self, session_id: &str) -> Option<String> {
        let session = self.sessions.get(session_id)?;
        let user = self.users.get(&session.user_id)?;
        let chosen = session
            .tenant
            .as_ref()
            .filter(|tenant| user.tenants.contains_key(*tenant));
        let only = user
            .tenants
            .keys()
            .next()
            .filter(|_| user.tenants.len() == 1);
        chosen.or(only).cloned()
    }

    /// Roles, permissions and tenants, as tokens carry them.
    fn put_grants(&self, claims: &mut Map<String, Value>, roles: &[String], tenants: &Memberships) {
        let lists = |roles: &[String]| {
            let mut lists = Map::new();
            let permissions = self.project.permissions(roles);
            if !roles.is_empty() {
                lists.insert("roles".to_owned(), json!(roles));
            }
            if !permissions.is_empty() {
                lists.insert("permissions".to_owned(), json!(permissions));
            }
            lists
        };
        claims.extend(lists(roles));
        if !tenants.is_empty() {
            let tenants: Map<String, Value> = tenants
                .iter()
                .map(|(id, roles)| (id.clone(), Value::Object(lists(roles))))
                .collect();
            claims.insert("tenants".to_owned(), tenants.into());
        }
    }

    pub(crate) fn session_claims(&self, session_id: &str) -> Result<Map<String, Value>, ApiError> {
        let (session, user) = self.session_and_user(session_id)?;
        let now = self.time.seconds();
        let mut claims = user.claims.clone();
        match self.settings.custom_claims_at {
            _ if session.custom_claims.is_empty() => {}
            CustomClaimsAt::Nsec => {
                claims.insert("nsec".to_owned(), session.custom_claims.clone().into());
            }
            CustomClaimsAt::TopLevel => claims.extend(session.custom_claims.clone()),
        }
        self.put_grants(&mut claims, &user.roles, &user.tenants);
        if let Some(tenant) = self.current_tenant(session_id) {
            claims.insert("dct".to_owned(), tenant.into());
        }
        let mut lifetime = whole_seconds(self.settings.session_lifetime);
        if let Some(until) = session.stepped_up_until.filter(|until| now < *until) {
            claims.insert("su".to_owned(), true.into());
            lifetime = until.saturating_sub(now);
        }
        let own = json!({
            "sub": user.id,
            "drn": self.settings.session_cookie,
            "iat": now,
            "exp": now.saturating_add(lifetime),
            // Of this token, whatever is left of the refresh token.
            "rexp": rfc3339(now.saturating_add(whole_seconds(self.settings.refresh_lifetime))),
            "amr": session.amr,
        });
        put_all(&mut claims, own);
        self.put_issuer(&mut claims);
        put_test(&mut claims, user);
        Ok(claims)
    }

    pub(crate) fn refresh_claims(&self, session_id: &str) -> Result<Map<String, Value>, ApiError> {
        let (session, user) = self.session_and_user(session_id)?;
        let mut claims = Map::new();
        if !user.tenants.is_empty() {
            let tenants: Map<String, Value> = user
                .tenants
                .keys()
                .map(|id| (id.clone(), json!({})))
                .collect();
            claims.insert("tenants".to_owned(), tenants.into());
        }
        let own = json!({
            "sub": user.id,
            "drn": self.settings.refresh_cookie,
            "iat": session.refresh_iat,
            "exp": session.refresh_exp,
            "amr": session.amr,
            "jti": session.refresh_jti,
            "fti": session_id,
            "dv": 1,
        });
        put_all(&mut claims, own);
        self.put_issuer(&mut claims);
        put_test(&mut claims, user);
        Ok(claims)
    }

    pub(crate) fn session_and_user(&self, id: &str) -> Result<(&Session, &UserRecord), ApiError> {
        let gone = || ApiError::unauthorized("The session is gone");
        let session = self.sessions.get(id).ok_or_else(gone)?;
        Ok((session, self.users.get(&session.user_id).ok_or_else(gone)?))
    }

    /// A session token for an access key.
    pub(crate) fn access_key_claims(
        &self,
        key_id: &str,
        custom: &Map<String, Value>,
        tenant: Option<&str>,
    ) -> Result<Map<String, Value>, ApiError> {
        let key = self
            .project
            .access_keys
            .get(key_id)
            .ok_or_else(ApiError::invalid_access_key)?;
        let now = self.time.seconds();
        let mut claims = key.claims.clone();
        if !custom.is_empty() {
            claims.insert("nsec".to_owned(), custom.clone().into());
        }
        self.put_grants(&mut claims, &key.roles, &key.tenants);
        if let Some(tenant) = tenant {
            if !key.tenants.contains_key(tenant) {
                return Err(ApiError::invalid(format!(
                    "The access key is not a member of the tenant {tenant}"
                )));
            }
            claims.insert("dct".to_owned(), tenant.into());
        }
        let own = json!({
            "sub": key.id,
            "drn": self.settings.session_cookie,
            "iat": now,
            "exp": now.saturating_add(whole_seconds(self.settings.access_key_lifetime)),
        });
        put_all(&mut claims, own);
        self.put_issuer(&mut claims);
        Ok(claims)
    }
}

pub(crate) fn put_all(claims: &mut Map<String, Value>, own: Value) {
    if let Value::Object(own) = own {
        claims.extend(own);
    }
}

/// Tokens of test users say so.
fn put_test(claims: &mut Map<String, Value>, user: &UserRecord) {
    if user.test {
        claims.insert("tu".to_owned(), true.into());
    }
}

pub(crate) fn refuse_disabled(user: &UserRecord) -> Result<(), ApiError> {
    if user.status == Status::Disabled {
        return Err(ApiError::unauthorized("The user is disabled"));
    }
    Ok(())
}
