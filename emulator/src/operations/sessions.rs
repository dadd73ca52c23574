//! Sessions: what a login leads to, refresh, logout, the choice of a tenant.

use serde_json::{Map, Value, json};

use super::call::{Call, Caller, Outcome, Reply, TokenParts};
use crate::error::ApiError;
use crate::state::State;
use crate::state::clock::{http_date, rfc3339, whole_seconds};
use crate::state::links::Login;
use crate::state::sessions::End;

impl State {
    /// The session that a verified login leads to: a new one, or the one that it steps up or adds a factor to.
    pub(super) fn session_after_login(
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
        self.sessions
            .get(id)
            .filter(|session| session.user_id == user_id)
            .ok_or_else(|| ApiError::unauthorized("The session to build on is gone"))?
            .refuse_ended()?;
        self.sessions.change(id, |session| {
            if login.step_up.is_some() {
                session.stepped_up_until = Some(until);
            }
            let mfa = login.mfa.is_some().then_some("mfa");
            for factor in [method].into_iter().chain(mfa) {
                if !session.amr.iter().any(|known| known == factor) {
                    session.amr.push(factor.to_owned());
                }
            }
            if let Some(tenant) = &login.tenant {
                session.tenant = Some(tenant.clone());
            }
            session.custom_claims.extend(login.claims.clone());
        });
        Ok(id.clone())
    }

    /// Only the response to a link has a token that is stepped up.
    fn end_step_up(&mut self, id: &str) {
        self.sessions
            .change(id, |session| session.stepped_up_until = None);
    }

    pub(super) fn login_reply(&self, session_id: &str, first_seen: Option<bool>) -> Outcome {
        self.token_reply(
            session_id,
            TokenParts {
                refresh: true,
                user: true,
                first_seen,
            },
        )
    }

    fn token_reply(&self, session_id: &str, parts: TokenParts) -> Outcome {
        let (session, user) = self.session_and_user(session_id)?;
        let now = self.time.seconds();
        let claims = self.session_claims(session_id)?;
        let session_exp = claims.get("exp").and_then(Value::as_i64).unwrap_or(now);
        let session_jwt = self.keys.sign(&claims)?;
        let refresh_jwt = if parts.refresh {
            Some(self.keys.sign(&self.refresh_claims(session_id)?)?)
        } else {
            None
        };

        let (expires, left) = (session.refresh_exp, session.refresh_exp.saturating_sub(now));
        let mut reply = self.cookie_members(left.saturating_sub(1).max(0), expires);
        reply.insert("sessionExpiration".to_owned(), session_exp.into());
        if parts.user {
            reply.insert("user".to_owned(), self.project.user_json(user));
        }
        if let Some(first_seen) = parts.first_seen {
            reply.insert("firstSeen".to_owned(), first_seen.into());
        }
        let mut cookies = Vec::new();
        let settings = &self.settings;
        for (token, member, cookie, in_cookie) in [
            (
                Some(session_jwt),
                "sessionJwt",
                &settings.session_cookie,
                settings.token_delivery.session_in_cookie(),
            ),
            (
                refresh_jwt,
                "refreshJwt",
                &settings.refresh_cookie,
                settings.token_delivery.refresh_in_cookie(),
            ),
        ] {
            let Some(token) = token else { continue };
            if in_cookie {
                // Both cookies end with the refresh token, so the session cookie often holds an expired token.
                cookies.push(self.cookie(cookie, &token, left, expires));
            } else {
                reply.insert(member.to_owned(), token.into());
            }
        }
        Ok(Reply {
            body: reply.into(),
            cookies,
            issued: Some(parts),
        })
    }

    /// The same response with a new session of another user in it, as a cache that mixes responses up would give it.
    pub(super) fn mix_up(&mut self, reply: Reply, login_id: &str) -> Outcome {
        let Some(parts) = reply.issued else {
            return Ok(reply);
        };
        let user = self
            .users
            .owner(login_id)
            .ok_or_else(|| {
                ApiError::internal(format!(
                    "A fault asks for the tokens of {login_id}, whom nobody has added"
                ))
            })?
            .to_owned();
        let id = self.new_session(&user, vec!["email".to_owned()], None, Map::new())?;
        self.token_reply(&id, parts)
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

    fn cookie(&self, name: &str, value: &str, max_age: i64, expires: i64) -> String {
        let domain = self
            .settings
            .cookie_domain
            .as_ref()
            .map(|domain| format!("; Domain={domain}"))
            .unwrap_or_default();
        format!(
            "{name}={value}; Path=/{domain}; Max-Age={max_age}; Expires={}; HttpOnly; Secure; SameSite={:?}",
            http_date(expires),
            self.settings.same_site
        )
    }

    fn logout_reply(&self) -> Reply {
        let mut members = self.cookie_members(0, 0);
        members.insert("sessionJwt".to_owned(), "".into());
        members.insert("refreshJwt".to_owned(), "".into());
        let settings = &self.settings;
        let cookies = [
            (
                &settings.session_cookie,
                settings.token_delivery.session_in_cookie(),
            ),
            (
                &settings.refresh_cookie,
                settings.token_delivery.refresh_in_cookie(),
            ),
        ];
        Reply {
            body: members.into(),
            cookies: cookies
                .into_iter()
                .filter(|(_, in_cookie)| *in_cookie)
                .map(|(name, _)| self.cookie(name, "", 0, 0))
                .collect(),
            issued: None,
        }
    }
}

pub(super) fn refresh(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    call.fields().text("externalToken")?;
    refresh_session(state, by.session()?, true)
}

fn refresh_session(state: &mut State, id: &str, user: bool) -> Outcome {
    let rotate = state.settings.rotate_refresh_tokens;
    if rotate {
        state.rotate_refresh(id)?;
    }
    state.end_step_up(id);
    state.token_reply(
        id,
        TokenParts {
            refresh: rotate || state.settings.echo_refresh_token,
            user,
            first_seen: user.then_some(false),
        },
    )
}

pub(super) fn try_refresh(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    call.fields().text("externalToken")?;
    match &by.session {
        Some(id) => refresh_session(state, id, false),
        None => Ok(json!({}).into()),
    }
}

pub(super) fn logout(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    call.fields().strings("logoutType")?;
    state.sessions.end(by.session()?, End::LoggedOut);
    Ok(state.logout_reply())
}

pub(super) fn logout_all(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    call.fields().strings("logoutType")?;
    let user = state
        .sessions
        .user_of(by.session()?)
        .unwrap_or_default()
        .to_owned();
    state.sessions.end_of_user(&user, None);
    Ok(state.logout_reply())
}

pub(super) fn select_tenant(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    let tenant = call.fields().needed("tenant")?;
    let id = by.session()?;
    let (_, user) = state.session_and_user(id)?;
    if !user.tenants.contains_key(tenant) {
        return Err(ApiError::invalid(format!(
            "The user is not a member of the tenant {tenant}"
        )));
    }
    let chosen = tenant.to_owned();
    state
        .sessions
        .change(id, |session| session.tenant = Some(chosen));
    state.end_step_up(id);
    if state.settings.rotate_refresh_tokens {
        state.rotate_refresh(id)?;
    }
    state.login_reply(id, Some(false))
}

/// The claims of the token; its times are text, as recorded from the service.
pub(super) fn validate(_: &mut State, _: &Call, by: &Caller) -> Outcome {
    let mut claims = by
        .claims
        .clone()
        .ok_or_else(ApiError::invalid_session_token)?;
    for name in ["exp", "iat"] {
        if let Some(time) = claims.get_mut(name)
            && let Some(seconds) = time.as_i64()
        {
            *time = rfc3339(seconds).into();
        }
    }
    Ok(Value::from(claims).into())
}
