//! Sessions: tokens, refresh, logout, and what a signed-in user may read.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use cookie::time::format_description::well_known::Rfc3339;
use cookie::time::{Duration as CookieDuration, OffsetDateTime};
use cookie::{Cookie, SameSite as CookieSameSite};
use serde_json::{Map, Value, json};

use super::links::{Login, refuse_disabled};
use super::users::Person;
use super::{Call, Caller, Outcome, Reply, World};
use crate::clock::whole_seconds;
use crate::error::ApiError;
use crate::outbox::push_bounded;
use crate::random;
use crate::settings::{CustomClaimsAt, SameSite, TokenDelivery};

#[derive(Clone)]
pub(crate) struct Session {
    user_id: String,
    /// Seconds since the epoch.
    refresh_exp: i64,
    /// Grows with each rotation; a refresh token holds the one that it was issued at.
    generation: u32,
    ended: bool,
    amr: Vec<String>,
    tenant: Option<String>,
    custom_claims: Map<String, Value>,
    /// Until when session tokens say that the session was stepped up.
    stepped_up_until: Option<i64>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user_id", &self.user_id)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Sessions by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    by_id: HashMap<String, Session>,
    order: VecDeque<String>,
}

impl Sessions {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn user_of(&self, id: &str) -> Option<&str> {
        self.by_id.get(id).map(|session| session.user_id.as_str())
    }

    fn end(&mut self, id: &str) {
        if let Some(session) = self.by_id.get_mut(id) {
            session.ended = true;
        }
    }

    /// Ends every session of a user but one.
    pub(crate) fn end_of_user(&mut self, user_id: &str, except: Option<&str>) {
        for (id, session) in &mut self.by_id {
            if session.user_id == user_id && except != Some(id.as_str()) {
                session.ended = true;
            }
        }
    }

    pub(crate) fn end_all(&mut self) {
        for session in self.by_id.values_mut() {
            session.ended = true;
        }
    }
}

/// Which parts of an answer with tokens are there.
#[derive(Debug, Clone, Copy)]
struct Parts {
    refresh: bool,
    user: bool,
    first_seen: Option<bool>,
}

impl World {
    /// The session of a refresh token that is valid now.
    pub(crate) fn open_refresh(&self, token: &str) -> Result<String, ApiError> {
        let bad = || ApiError::unauthorized("The refresh token is not valid");
        let claims = self
            .open_token(token, &self.settings.refresh_cookie)
            .ok_or_else(bad)?;
        let id = claims.get("jti").and_then(Value::as_str).ok_or_else(bad)?;
        let (id, generation) = id.split_once('-').ok_or_else(bad)?;
        let session = self.sessions.by_id.get(id).ok_or_else(bad)?;
        if session.ended {
            return Err(ApiError::logged_out());
        }
        if !self.lives(&claims) {
            return Err(ApiError::unauthorized("The refresh token has expired"));
        }
        if generation.parse() != Ok(session.generation) {
            return Err(ApiError::unauthorized(
                "The refresh token was replaced by a newer one",
            ));
        }
        refuse_disabled(self.users.get(&session.user_id).ok_or_else(bad)?)?;
        Ok(id.to_owned())
    }

    /// The claims of a session token that is valid now.
    pub(crate) fn open_session(&self, token: &str) -> Result<Map<String, Value>, ApiError> {
        self.open_token(token, &self.settings.session_cookie)
            .filter(|claims| self.lives(claims))
            .ok_or_else(|| ApiError::unauthorized("The session token is not valid"))
    }

    /// Checks signature, issuer and kind.
    fn open_token(&self, token: &str, kind: &str) -> Option<Map<String, Value>> {
        let claims = self.keys.open(token)?;
        let is =
            |name: &str, wanted: &str| claims.get(name).and_then(Value::as_str) == Some(wanted);
        (is("iss", self.issuer()) && is("drn", kind)).then_some(claims)
    }

    fn lives(&self, claims: &Map<String, Value>) -> bool {
        claims
            .get("exp")
            .and_then(Value::as_i64)
            .is_some_and(|exp| self.time.seconds() < exp)
    }

    pub(crate) fn issuer(&self) -> &str {
        self.settings
            .issuer
            .as_deref()
            .unwrap_or(&self.settings.project_id)
    }

    pub(crate) fn new_session(
        &mut self,
        user_id: &str,
        amr: Vec<String>,
        tenant: Option<String>,
        custom_claims: Map<String, Value>,
    ) -> Result<String, ApiError> {
        let id = random::id("S")?;
        let refresh_exp = self
            .time
            .seconds()
            .saturating_add(whole_seconds(self.settings.refresh_lifetime));
        let session = Session {
            user_id: user_id.to_owned(),
            refresh_exp,
            generation: 0,
            ended: false,
            amr,
            tenant,
            custom_claims,
            stepped_up_until: None,
        };
        self.sessions.by_id.insert(id.clone(), session);
        for dropped in push_bounded(
            &mut self.sessions.order,
            id.clone(),
            self.settings.limits.sessions,
        ) {
            self.sessions.by_id.remove(&dropped);
        }
        Ok(id)
    }

    /// The session that a verified login leads to: a new one, or the one that it steps up or adds a factor to.
    pub(crate) fn session_after_login(
        &mut self,
        user_id: &str,
        login: &Login,
        method: &'static str,
    ) -> Result<String, ApiError> {
        let Some(id) = login.step_up.as_ref().or(login.mfa.as_ref()) else {
            return self.new_session(
                user_id,
                vec![method.to_owned()],
                login.tenant.clone(),
                login.claims.clone(),
            );
        };
        let until = self
            .time
            .seconds()
            .saturating_add(whole_seconds(self.settings.step_up_lifetime));
        let session = self
            .sessions
            .by_id
            .get_mut(id)
            .filter(|session| session.user_id == user_id)
            .ok_or_else(|| ApiError::unauthorized("The session to build on is gone"))?;
        if session.ended {
            return Err(ApiError::logged_out());
        }
        if login.step_up.is_some() {
            session.stepped_up_until = Some(until);
        }
        let mut factors = vec![method];
        if login.mfa.is_some() {
            factors.push("mfa");
        }
        for factor in factors {
            if !session.amr.iter().any(|known| known == factor) {
                session.amr.push(factor.to_owned());
            }
        }
        if let Some(tenant) = &login.tenant {
            session.tenant = Some(tenant.clone());
        }
        session.custom_claims.extend(login.claims.clone());
        Ok(id.clone())
    }

    /// The tenant that a session is bound to: the chosen one, or the user's only one.
    pub(crate) fn current_tenant(&self, session_id: &str) -> Option<String> {
        let session = self.sessions.by_id.get(session_id)?;
        let person = self.users.get(&session.user_id)?;
        let chosen = session
            .tenant
            .as_ref()
            .filter(|tenant| person.tenants.contains_key(*tenant));
        let only = person
            .tenants
            .keys()
            .next()
            .filter(|_| person.tenants.len() == 1);
        chosen.or(only).cloned()
    }

    /// Roles, permissions and tenants, as tokens carry them.
    fn put_grants(
        &self,
        claims: &mut Map<String, Value>,
        roles: &[String],
        tenants: &std::collections::BTreeMap<String, Vec<String>>,
    ) {
        let lists = |roles: &[String]| {
            let mut lists = Map::new();
            let permissions = self.permissions(roles);
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
        let (session, person) = self.session_and_person(session_id)?;
        let now = self.time.seconds();
        let mut claims = person.claims.clone();
        match self.settings.custom_claims_at {
            _ if session.custom_claims.is_empty() => {}
            CustomClaimsAt::Nsec => {
                claims.insert("nsec".to_owned(), session.custom_claims.clone().into());
            }
            CustomClaimsAt::TopLevel => claims.extend(session.custom_claims.clone()),
        }
        self.put_grants(&mut claims, &person.roles, &person.tenants);
        if let Some(tenant) = self.current_tenant(session_id) {
            claims.insert("dct".to_owned(), tenant.into());
        }
        let mut lifetime = whole_seconds(self.settings.session_lifetime);
        if let Some(until) = session.stepped_up_until.filter(|until| now < *until) {
            claims.insert("su".to_owned(), true.into());
            lifetime = until.saturating_sub(now);
        }
        let own = json!({
            "iss": self.issuer(),
            "sub": person.id,
            "drn": self.settings.session_cookie,
            "iat": now,
            "exp": now.saturating_add(lifetime),
            "rexp": rfc3339(session.refresh_exp),
            "amr": session.amr,
        });
        put_all(&mut claims, own);
        Ok(claims)
    }

    pub(crate) fn refresh_claims(&self, session_id: &str) -> Result<Map<String, Value>, ApiError> {
        let (session, person) = self.session_and_person(session_id)?;
        let mut claims = Map::new();
        if !person.tenants.is_empty() {
            let tenants: Map<String, Value> = person
                .tenants
                .keys()
                .map(|id| (id.clone(), json!({})))
                .collect();
            claims.insert("tenants".to_owned(), tenants.into());
        }
        let own = json!({
            "iss": self.issuer(),
            "sub": person.id,
            "drn": self.settings.refresh_cookie,
            "iat": self.time.seconds(),
            "exp": session.refresh_exp,
            "amr": session.amr,
            "jti": format!("{session_id}-{}", session.generation),
        });
        put_all(&mut claims, own);
        Ok(claims)
    }

    fn session_and_person(&self, session_id: &str) -> Result<(&Session, &Person), ApiError> {
        let gone = || ApiError::unauthorized("The session is gone");
        let session = self.sessions.by_id.get(session_id).ok_or_else(gone)?;
        Ok((session, self.users.get(&session.user_id).ok_or_else(gone)?))
    }

    pub(crate) fn login_reply(&self, session_id: &str, first_seen: Option<bool>) -> Outcome {
        self.token_reply(
            session_id,
            Parts {
                refresh: true,
                user: true,
                first_seen,
            },
        )
    }

    fn token_reply(&self, session_id: &str, parts: Parts) -> Outcome {
        let (session, person) = self.session_and_person(session_id)?;
        let now = self.time.seconds();
        let claims = self.session_claims(session_id)?;
        let session_exp = claims.get("exp").and_then(Value::as_i64).unwrap_or(now);
        let session_jwt = self.keys.sign(&claims)?;
        let refresh_jwt = if parts.refresh {
            Some(self.keys.sign(&self.refresh_claims(session_id)?)?)
        } else {
            None
        };

        let refresh_left = session.refresh_exp.saturating_sub(now);
        let mut reply = self.cookie_members(refresh_left, session.refresh_exp);
        reply.insert("sessionExpiration".to_owned(), session_exp.into());
        if parts.user {
            reply.insert("user".to_owned(), self.user_json(person));
        }
        if let Some(first_seen) = parts.first_seen {
            reply.insert("firstSeen".to_owned(), first_seen.into());
        }
        let mut cookies = Vec::new();
        match self.settings.delivery {
            TokenDelivery::Body => {
                reply.insert("sessionJwt".to_owned(), session_jwt.into());
                if let Some(token) = refresh_jwt {
                    reply.insert("refreshJwt".to_owned(), token.into());
                }
            }
            TokenDelivery::Cookies => {
                let left = session_exp.saturating_sub(now);
                cookies.push(self.cookie(
                    &self.settings.session_cookie,
                    session_jwt,
                    left,
                    session_exp,
                ));
                if let Some(token) = refresh_jwt {
                    cookies.push(self.cookie(
                        &self.settings.refresh_cookie,
                        token,
                        refresh_left,
                        session.refresh_exp,
                    ));
                }
            }
        }
        Ok(Reply {
            body: reply.into(),
            cookies,
        })
    }

    fn cookie_members(&self, max_age: i64, expires: i64) -> Map<String, Value> {
        let mut members = Map::new();
        let domain = self.settings.cookie_domain.as_deref().unwrap_or_default();
        members.insert("cookieDomain".to_owned(), domain.into());
        members.insert("cookiePath".to_owned(), "/".into());
        members.insert("cookieMaxAge".to_owned(), max_age.into());
        members.insert("cookieExpiration".to_owned(), expires.into());
        if self.settings.refresh_cookie != "DSR" {
            members.insert(
                "cookieName".to_owned(),
                self.settings.refresh_cookie.as_str().into(),
            );
        }
        if self.settings.session_cookie != "DS" {
            members.insert(
                "sessionCookieName".to_owned(),
                self.settings.session_cookie.as_str().into(),
            );
            members.insert("sessionCookieDomain".to_owned(), domain.into());
        }
        members
    }

    fn cookie(&self, name: &str, value: String, max_age: i64, expires: i64) -> String {
        let mut cookie = Cookie::new(name.to_owned(), value);
        cookie.set_path("/");
        if let Some(domain) = &self.settings.cookie_domain {
            cookie.set_domain(domain.clone());
        }
        cookie.set_max_age(CookieDuration::seconds(max_age));
        if let Ok(at) = OffsetDateTime::from_unix_timestamp(expires) {
            cookie.set_expires(at);
        }
        cookie.set_http_only(true);
        cookie.set_secure(true);
        cookie.set_same_site(match self.settings.same_site {
            SameSite::Strict => CookieSameSite::Strict,
            SameSite::Lax => CookieSameSite::Lax,
            SameSite::None => CookieSameSite::None,
        });
        cookie.to_string()
    }

    fn logout_reply(&self) -> Reply {
        let mut members = self.cookie_members(0, 0);
        members.insert("sessionJwt".to_owned(), "".into());
        members.insert("refreshJwt".to_owned(), "".into());
        let cookies = match self.settings.delivery {
            TokenDelivery::Body => Vec::new(),
            TokenDelivery::Cookies => {
                [&self.settings.session_cookie, &self.settings.refresh_cookie]
                    .map(|name| self.cookie(name, String::new(), 0, 0))
                    .into()
            }
        };
        Reply {
            body: members.into(),
            cookies,
        }
    }

    /// A session token for an access key.
    fn access_key_claims(
        &self,
        key_id: &str,
        custom: &Map<String, Value>,
        tenant: Option<&str>,
    ) -> Result<Map<String, Value>, ApiError> {
        let key = self
            .settings
            .access_keys
            .iter()
            .find(|key| key.id == key_id)
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
            "iss": self.issuer(),
            "sub": key.id,
            "drn": self.settings.session_cookie,
            "iat": now,
            "exp": now.saturating_add(whole_seconds(self.settings.access_key_lifetime)),
        });
        put_all(&mut claims, own);
        Ok(claims)
    }
}

pub(crate) fn put_all(claims: &mut Map<String, Value>, own: Value) {
    if let Value::Object(own) = own {
        claims.extend(own);
    }
}

fn rfc3339(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn session_of(by: &Caller) -> Result<&str, ApiError> {
    by.session
        .as_deref()
        .ok_or_else(|| ApiError::unauthorized("Missing refresh token"))
}

pub(crate) fn refresh(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    call.fields().text("externalToken")?;
    refresh_session(world, session_of(by)?, true)
}

fn refresh_session(world: &mut World, id: &str, user: bool) -> Outcome {
    let rotate = world.settings.rotate_refresh;
    if rotate {
        let exp = world
            .time
            .seconds()
            .saturating_add(whole_seconds(world.settings.refresh_lifetime));
        if let Some(session) = world.sessions.by_id.get_mut(id) {
            session.generation = session.generation.wrapping_add(1);
            session.refresh_exp = exp;
        }
    }
    world.token_reply(
        id,
        Parts {
            refresh: rotate || world.settings.echo_refresh,
            user,
            first_seen: user.then_some(false),
        },
    )
}

pub(crate) fn try_refresh(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    call.fields().text("externalToken")?;
    match &by.session {
        Some(id) => refresh_session(world, id, false),
        None => Ok(json!({}).into()),
    }
}

pub(crate) fn logout(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    call.fields().strings("logoutType")?;
    world.sessions.end(session_of(by)?);
    Ok(world.logout_reply())
}

pub(crate) fn logout_all(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    call.fields().strings("logoutType")?;
    let user = world
        .sessions
        .user_of(session_of(by)?)
        .unwrap_or_default()
        .to_owned();
    world.sessions.end_of_user(&user, None);
    Ok(world.logout_reply())
}

pub(crate) fn me(world: &mut World, _: &Call, by: &Caller) -> Outcome {
    let (_, person) = world.session_and_person(session_of(by)?)?;
    Ok(world.user_json(person).into())
}

pub(crate) fn history(world: &mut World, _: &Call, by: &Caller) -> Outcome {
    let (_, person) = world.session_and_person(session_of(by)?)?;
    let visits: Vec<Value> = person
        .history
        .iter()
        .rev()
        .map(|visit| {
            json!({
                "userId": person.id,
                "loginTime": visit.at,
                "city": "",
                "country": "",
                "ip": visit.ip,
                "selectedTenant": visit.tenant.clone().unwrap_or_default(),
            })
        })
        .collect();
    Ok(Value::from(visits).into())
}

pub(crate) fn my_tenants(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    let fields = call.fields();
    let id = session_of(by)?;
    let wanted = match (
        fields.flag("dct")?,
        fields.strings("ids")?.filter(|ids| !ids.is_empty()),
    ) {
        (true, Some(_)) => return Err(ApiError::invalid("Only one of dct and ids may be given")),
        (true, None) => Vec::from_iter(world.current_tenant(id)),
        (false, Some(ids)) => ids,
        (false, None) => return Err(ApiError::missing("Missing dct or ids")),
    };
    let (_, person) = world.session_and_person(id)?;
    let tenants: Vec<Value> = wanted
        .iter()
        .filter(|tenant| person.tenants.contains_key(*tenant))
        .map(|tenant| {
            let attributes = world
                .settings
                .tenants
                .get(tenant)
                .map(|known| known.attributes.clone());
            json!({
                "id": tenant,
                "name": world.tenant_name(tenant),
                "customAttributes": attributes.unwrap_or_default(),
            })
        })
        .collect();
    Ok(json!({ "tenants": tenants }).into())
}

pub(crate) fn select_tenant(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    let tenant = call.fields().needed("tenant")?;
    let id = session_of(by)?;
    let (_, person) = world.session_and_person(id)?;
    if !person.tenants.contains_key(tenant) {
        return Err(ApiError::invalid(format!(
            "The user is not a member of the tenant {tenant}"
        )));
    }
    if let Some(session) = world.sessions.by_id.get_mut(id) {
        session.tenant = Some(tenant.to_owned());
        if world.settings.rotate_refresh {
            session.generation = session.generation.wrapping_add(1);
        }
    }
    world.login_reply(id, Some(false))
}

pub(crate) fn validate(_: &mut World, _: &Call, by: &Caller) -> Outcome {
    let claims = by
        .claims
        .clone()
        .ok_or_else(|| ApiError::unauthorized("Missing session token"))?;
    Ok(Value::from(claims).into())
}

fn check_project(world: &World, call: &Call) -> Result<(), ApiError> {
    if call.path_argument == world.settings.project_id {
        return Ok(());
    }
    Err(ApiError::new(
        404,
        "E011004",
        "Request contains invalid arguments",
        format!(
            "The project of this emulator is {}",
            world.settings.project_id
        ),
    ))
}

pub(crate) fn keys(world: &mut World, call: &Call, _: &Caller) -> Outcome {
    check_project(world, call)?;
    Ok(world.keys.published()?.into())
}

/// The older form: the bare array.
pub(crate) fn keys_v1(world: &mut World, call: &Call, _: &Caller) -> Outcome {
    check_project(world, call)?;
    Ok(world
        .keys
        .published()?
        .get("keys")
        .cloned()
        .unwrap_or_else(|| json!([]))
        .into())
}

pub(crate) fn exchange(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    let options = call.fields().inner("loginOptions", "loginOptions.")?;
    let custom = super::links::custom_claims(options)?;
    let key_id = by
        .access_key
        .as_deref()
        .ok_or_else(ApiError::missing_access_key)?;
    let claims = world.access_key_claims(key_id, &custom, options.text("selectedTenant")?)?;
    let expiration = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
    Ok(json!({
        "keyId": key_id,
        "sessionJwt": world.keys.sign(&claims)?,
        "expiration": expiration,
    })
    .into())
}
