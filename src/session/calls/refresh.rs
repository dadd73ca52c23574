//! New sessions by refresh tokens.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::client::Client;
use crate::error::{Error, Result, SessionError, Timeout, TokenProblem};
use crate::raw::types;
use crate::secret::{RefreshToken, SessionToken};
use crate::session::refreshes::{
    CachedOutcome, Forget, Outcome, ROTATED, RefreshState, SAME_TOKEN,
};
use crate::session::session::{RefreshClaims, Session};
use crate::session::shared_refreshes::{Made, SharedRefresh, SharedState, was_changed};
use crate::session::tokens::{Refreshed, TokenResponse};
use crate::sync::hash::{hash, hash_parts};
use crate::sync::single_flight::run;
use crate::transport::deadline::Deadline;

/// A user who is signed in, from [`Sessions::validate_and_refresh`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// The session, of the token that was given or of the one that replaced it.
    pub session: Session,
    /// The new tokens, if there had to be any: give them to the user in place of the old ones.
    pub refreshed: Option<Refreshed>,
}

impl Sessions {
    /// Gets a new session by a refresh token.
    ///
    /// Within this client, concurrent refreshes of one token are one call. Those that come later get
    /// the same new tokens: for 10 s where the refresh token stays the same; where it is replaced,
    /// until the new one is seen, but for 5 minutes at most. The call goes on if the caller is
    /// cancelled. The token is validated locally first, and what comes back is validated too. A token
    /// that the service refuses is not asked for again for 30 s. When the service asks to wait (429 or
    /// 503 with `Retry-After`), no refresh of this client is sent meanwhile, for a minute at most; all
    /// get that error, with the time that is left.
    ///
    /// In a project with refresh token rotation, a superseded token costs the whole sign-in: when it
    /// is presented, the service invalidates all tokens that came of that sign-in, the newest included
    /// ([`ErrorCode`](crate::ErrorCode) `E064006`). Two processes that refresh one token at the same
    /// moment sign the user out in that way. Where refresh tokens rotate, have them share a
    /// [store](crate::ClientBuilder::store): then what is said here of one token holds for them together. A
    /// refresh that breaks on its way is told as such, and the next call presents the token again: nobody has what
    /// came of it, if anything did. A process that dies between sending a refresh and storing its outcome leaves
    /// [`TokenProblem::SessionEnded`](crate::session::TokenProblem::SessionEnded).
    ///
    /// # Errors
    ///
    /// [`Error::Session`](crate::Error::Session) when the token is bad or could not be checked, [`Error::Api`](crate::Error::Api) when the
    /// service refused it. When [`is_retryable`](crate::Error::is_retryable), the user is not logged out.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<Refreshed> {
        self.refresh_until(token, self.client.deadline()).await
    }

    async fn refresh_until(&self, token: &RefreshToken, deadline: Deadline) -> Result<Refreshed> {
        let validator = self.client.validator();
        let claims = validator.validate_refresh_until(token, deadline).await?;
        validator
            .refuse_ended(token.expose_secret())
            .map_err(SessionError::from)?;
        loop {
            // `None` is the outcome of a `try_refresh` that this call has joined.
            let outcome = self.refresh_once(token, &claims, Endpoint::Refresh, deadline);
            if let Some(refreshed) = outcome.await? {
                return Ok(refreshed);
            }
        }
    }

    /// As [`refresh`](Self::refresh), but a token that is missing, bad, or refused is no error:
    /// it gives `None`.
    ///
    /// # Errors
    ///
    /// When it could not be told: no keys, no connection, or a failing service.
    pub async fn try_refresh(&self, token: Option<&RefreshToken>) -> Result<Option<Refreshed>> {
        let Some(token) = token else {
            return Ok(None);
        };
        let deadline = self.client.deadline();
        let validator = self.client.validator();
        let outcome = match validator.validate_refresh_until(token, deadline).await {
            Ok(_) if validator.refuse_ended(token.expose_secret()).is_err() => return Ok(None),
            Ok(claims) => {
                self.refresh_once(token, &claims, Endpoint::TryRefresh, deadline)
                    .await
            }
            Err(error) => Err(error.into()),
        };
        match outcome {
            Err(error) if error.is_unauthorized() => Ok(None),
            outcome => outcome,
        }
    }

    /// Validates the session token, and if it is missing or bad gets a new one by the refresh
    /// token.
    ///
    /// A session token that could not be checked is not refreshed: that is an outage, and no reason
    /// to use up a refresh token.
    ///
    /// # Errors
    ///
    /// Of the session token when there is no refresh token, else of the refresh.
    /// [`SessionError::Missing`] when there is neither.
    pub async fn validate_and_refresh(
        &self,
        session_token: Option<&SessionToken>,
        refresh_token: Option<&RefreshToken>,
    ) -> Result<SignedIn> {
        let deadline = self.client.deadline();
        let validated = match session_token {
            Some(token) => {
                self.client
                    .validator()
                    .validate_until(token, deadline)
                    .await
            }
            None => Err(SessionError::Missing),
        };
        match (validated, refresh_token) {
            (Ok(session), token) => {
                if let Some(token) = token {
                    let hash = || hash(token.expose_secret());
                    self.client.refreshes().record_use(hash);
                }
                Ok(SignedIn {
                    session,
                    refreshed: None,
                })
            }
            (Err(SessionError::Missing | SessionError::Token(_)), Some(token))
                if !token.is_empty() =>
            {
                let refreshed = self.refresh_until(token, deadline).await?;
                Ok(SignedIn {
                    session: refreshed.session.clone(),
                    refreshed: Some(refreshed),
                })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Refreshes a token, or waits for whoever does.
    async fn refresh_once(
        &self,
        token: &RefreshToken,
        claims: &RefreshClaims,
        endpoint: Endpoint,
        deadline: Deadline,
    ) -> Outcome {
        let refreshes = self.client.refreshes();
        let hash = hash(token.expose_secret());
        let turn = refreshes.join_or_start(hash, claims, |response| {
            let (client, token, claims) = (self.client.clone(), token.clone(), claims.clone());
            async move { make_refresh(&client, response, &token, &claims, endpoint).await }
        });
        match turn {
            RefreshState::Cached(outcome, age) => {
                if outcome.is_ok() && self.was_changed_elsewhere(claims, age).await {
                    refreshes.forget(hash, Some(claims), Forget::Session);
                    return Err(SessionError::Token(TokenProblem::SessionEnded).into());
                }
                *outcome
            }
            RefreshState::InFlight(refresh) => match refresh.wait(deadline.at()).await {
                Ok(outcome) => outcome,
                Err(error) => Err(deadline.error(error)),
            },
        }
    }

    /// Whether another process has ended or changed the session since a refresh of this age began.
    async fn was_changed_elsewhere(&self, claims: &RefreshClaims, age: Duration) -> bool {
        let Some(remote) = self.client.remote().cloned() else {
            return false;
        };
        let claims = claims.clone();
        let changed = run(async move { was_changed(&remote, &claims, age).await });
        changed.await.unwrap_or_default()
    }
}

/// How much longer than its call a process may take before others think that it is gone.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The two endpoints that refresh.
#[derive(Clone, Copy)]
enum Endpoint {
    Refresh,
    TryRefresh,
}

/// Makes a refresh, from what the service has responded already if it has. Gives what came of it, and
/// what is to be kept.
async fn make_refresh(
    client: &Client,
    response: Option<Arc<TokenResponse>>,
    token: &RefreshToken,
    claims: &RefreshClaims,
    endpoint: Endpoint,
) -> (Outcome, Option<CachedOutcome>) {
    let deadline = client.deadline();
    let response = match response {
        Some(response) => response,
        None => match share_refresh(client, token, claims, endpoint).await {
            Ok(Some(response)) => Arc::new(response),
            Ok(None) => return (Ok(None), None),
            Err(error) => {
                let refused = error.is_unauthorized();
                let cached = refused.then(|| CachedOutcome::Refused(error.clone()));
                return (Err(error), cached);
            }
        },
    };
    let old = Some((token, claims));
    match response.check(client.validator(), old, deadline).await {
        Ok((session, tokens)) => {
            client.refreshes().record_rotation(tokens.rotated);
            let user = response.user.clone();
            let refreshed = Refreshed {
                session,
                tokens,
                user,
            };
            let cached = CachedOutcome::Refreshed(Box::new(refreshed.clone()));
            (Ok(Some(refreshed)), Some(cached))
        }
        Err(error) => {
            let unchecked = matches!(error, SessionError::Unavailable(_));
            let cached = unchecked.then_some(CachedOutcome::Unchecked(response));
            (Err(error.into()), cached)
        }
    }
}

/// Makes a refresh, unless a process that shares the store has made it or is at it.
async fn share_refresh(
    client: &Client,
    token: &RefreshToken,
    claims: &RefreshClaims,
    endpoint: Endpoint,
) -> Result<Option<TokenResponse>> {
    let Some(remote) = client.remote() else {
        return request_refresh(client, token, endpoint).await;
    };
    let limit = client.longest_timeout();
    let lease = limit.saturating_add(LEASE_MARGIN);
    let validator = client.validator();
    let refresh = SharedRefresh {
        remote,
        key: hash_parts([&b"refresh"[..], &hash(token.expose_secret())]),
        ttl: if client.refreshes().is_static() {
            lease
        } else {
            let left = claims.expires_at().duration_since(validator.now());
            left.unwrap_or_default().max(lease)
        },
        lease,
    };
    let began = match refresh.join_or_start().await {
        SharedState::Leader(began) => began,
        SharedState::Made(response, age) if !was_changed(remote, claims, age).await => {
            let received = validator.clock().instant();
            return match TokenResponse::from_bytes(&response, received) {
                Some(response) => Ok(Some(response)),
                // Of another version of this crate.
                None => Err(Error::Timeout(Timeout::new(limit))),
            };
        }
        SharedState::Made(..) | SharedState::Refused | SharedState::Lost => {
            return Err(SessionError::Token(TokenProblem::SessionEnded).into());
        }
        SharedState::Unknown => return Err(Error::Timeout(Timeout::new(limit))),
    };
    let response = request_refresh(client, token, endpoint).await;
    let made = match &response {
        Ok(Some(response)) => {
            let is_new = response.may_replace(token);
            let ttl = if is_new { ROTATED } else { SAME_TOKEN };
            Made::Response(response.to_bytes(), ttl)
        }
        Err(error) if error.is_unauthorized() => Made::Refused,
        // It may have reached the service. To present the token again costs nothing then, since nobody has what
        // came of it; where it has not, it saves the sign-in.
        Ok(None) | Err(_) => Made::Nothing,
    };
    refresh.complete(began, made).await;
    response
}

async fn request_refresh(
    client: &Client,
    token: &RefreshToken,
    endpoint: Endpoint,
) -> Result<Option<TokenResponse>> {
    let raw = client.raw_with_longest_timeout();
    let validator = client.validator();
    let body = types::RefreshSessionRequest::default();
    match endpoint {
        Endpoint::Refresh => {
            let response = raw.refresh_session(token, &body).send().await?;
            TokenResponse::read(response, validator).map(Some)
        }
        Endpoint::TryRefresh => {
            let call = raw.try_refresh_session(&body).refresh_token(token);
            let response = call.send().await?;
            // Nothing to refresh is an empty object; a body that nobody can read tells nothing.
            let is_unknown = response.body_error().is_some();
            let response = response.map(|optional| types::JwtResponse {
                session_jwt: optional.session_jwt,
                refresh_jwt: optional.refresh_jwt,
                cookie_name: optional.cookie_name,
                cookie_domain: optional.cookie_domain,
                cookie_path: optional.cookie_path,
                cookie_max_age: optional.cookie_max_age,
                cookie_expiration: optional.cookie_expiration,
                session_cookie_name: optional.session_cookie_name,
                session_cookie_domain: optional.session_cookie_domain,
                ..Default::default()
            });
            match TokenResponse::read(response, validator) {
                Err(error) if is_unknown => Err(error),
                response => Ok(response.ok()),
            }
        }
    }
}
