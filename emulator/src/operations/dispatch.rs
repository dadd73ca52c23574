//! Runs a call: limits, then authentication, then the operation itself.

use super::call::{Auth, Call, Caller, Outcome};
use super::table::Operation;
use crate::error::ApiError;
use crate::state::State;

impl State {
    /// Runs a call of an operation. With a login id the response holds the tokens of that user, where it holds tokens.
    pub(crate) fn handle(
        &mut self,
        operation: &Operation,
        call: &Call,
        tokens_of: Option<&str>,
    ) -> Outcome {
        self.at_one_moment(|state| {
            state.count_request(operation.id)?;
            let caller = state.authenticate(call)?;
            #[cfg(feature = "schema")]
            if state.settings.check_requests {
                super::schema::check(operation, &call.body)?;
            }
            let reply = (operation.handler)(state, call, &caller)?;
            match tokens_of {
                Some(login_id) => state.mix_up(reply, login_id),
                None => Ok(reply),
            }
        })
    }

    fn authenticate(&mut self, call: &Call) -> Result<Caller, ApiError> {
        let rule = call.auth;
        if rule == Auth::Open {
            return Ok(Caller::default());
        }
        let refuse = |message: String| match rule {
            Auth::Management => ApiError::management_unauthorized(message),
            _ => ApiError::unauthorized(message),
        };
        let bearer = call.authorization.as_deref().and_then(bearer).ok_or_else(|| {
            refuse("The Authorization header must be Bearer, then the project id, then what the operation needs, joined by colons".to_owned())
        })?;
        let mut parts = bearer.split(':').filter(|part| !part.is_empty());
        let project = parts.next().unwrap_or_default();
        if project != self.settings.project_id {
            return Err(refuse(format!(
                "The project of this emulator is {}, not {project}",
                self.settings.project_id
            )));
        }
        let mut parts: Vec<&str> = parts.collect();
        if rule == Auth::Management {
            return match parts.as_slice() {
                [key] if *key == self.settings.management_key => Ok(Caller::default()),
                [] => Err(refuse("Missing management key".to_owned())),
                _ => Err(refuse("Wrong management key".to_owned())),
            };
        }
        if let Some(key) = &self.settings.auth_management_key {
            match parts.iter().position(|part| part == key) {
                Some(at) => {
                    parts.remove(at);
                }
                None => return Err(refuse("The project's API is closed: the authorization must end with the auth management key".to_owned())),
            }
        }
        let token = parts.first().copied();
        let refresh = token
            .filter(|token| token.contains('.'))
            .or(call.refresh_cookie.as_deref());
        let needed = || ApiError::unauthorized("Missing refresh token");
        match rule {
            Auth::Open | Auth::Project | Auth::Management => Ok(Caller::default()),
            Auth::ProjectOrRefresh => {
                let options = call.fields().inner("loginOptions", "loginOptions.")?;
                if !options.flag("stepup")? && !options.flag("mfa")? {
                    return Ok(Caller::default());
                }
                let session = self.open_refresh(refresh.ok_or_else(needed)?)?;
                Ok(Caller {
                    session: Some(session),
                    ..Caller::default()
                })
            }
            Auth::Refresh => {
                let session = self.open_refresh(refresh.ok_or_else(needed)?)?;
                Ok(Caller {
                    session: Some(session),
                    ..Caller::default()
                })
            }
            Auth::MaybeRefresh => Ok(Caller {
                session: refresh.and_then(|token| self.open_refresh(token).ok()),
                ..Caller::default()
            }),
            Auth::Session => {
                let token = token.ok_or_else(|| ApiError::unauthorized("Missing session token"))?;
                Ok(Caller {
                    claims: Some(self.open_session(token)?),
                    ..Caller::default()
                })
            }
            Auth::AccessKey => {
                let secret = token.ok_or_else(ApiError::missing_access_key)?;
                let mut keys = self.project.access_keys.values();
                let key = keys.find(|key| key.secret == secret);
                Ok(Caller {
                    access_key: Some(key.ok_or_else(ApiError::invalid_access_key)?.id.clone()),
                    ..Caller::default()
                })
            }
        }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, value) = header.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| value.trim())
        .filter(|value| !value.is_empty())
}
