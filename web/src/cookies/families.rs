//! Which of several refresh tokens may be presented, and the end of them all.
//!
//! Refresh tokens that rotate come in families, one for each sign-in. A token that a newer one of its
//! family has superseded ends the family when it is presented.

use std::cmp::Reverse;
use std::time::SystemTime;

use descope_magiclink::SessionValidator;
use descope_magiclink::session::SessionError;
use descope_magiclink::{Client, Error, RefreshToken};
use http::HeaderMap;

use super::session_cookies::SessionCookies;
use super::tokens::RequestTokens;
use crate::audit;

impl SessionCookies {
    /// Signs out: removes the cookies that the request brought, in every scope that is known, keeps the
    /// response out of shared caches, and has the service end each session whose refresh token came along.
    ///
    /// The cookies are removed in any case, and this process takes the tokens no more, whatever the service
    /// says; nor do the processes that share its [store](descope_magiclink::ClientBuilder::store), within a
    /// second. Other session tokens of the same sign-in are good until they expire, some minutes later. Route it
    /// as a `POST`.
    ///
    /// ```no_run
    /// # use descope_magiclink::Client;
    /// # use descope_magiclink_web::cookies::{RequestTokens, SessionCookies};
    /// # async fn f(client: Client, cookies: SessionCookies, tokens: RequestTokens) {
    /// let mut response = http::HeaderMap::new();
    /// if let Err(error) = cookies.sign_out(&client, &tokens, &mut response).await {
    ///     eprintln!("signed out here, and not at the service: {error}");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the service has against the last of the tokens that it did not end. One whose session has ended already is
    /// no error.
    pub async fn sign_out(
        &self,
        client: &Client,
        tokens: &RequestTokens,
        response: &mut HeaderMap,
    ) -> Result<(), Error> {
        self.clear_over(response, tokens);
        let bearer = tokens.session.iter().chain(&tokens.bearer);
        for token in bearer.chain(&tokens.sessions) {
            client.sessions().end(token).await;
        }
        let (newest, unavailable) = newest_of_families(client.as_ref(), &tokens.refreshes).await;
        let mut result = unavailable.map_or(Ok(()), |error| Err(error.into()));
        // Of several, each is a session of its own.
        for candidate in newest {
            audit::log("signed out", Some(&candidate.user_id), None);
            client.sessions().end_refresh(&candidate.token).await;
            match client.sessions().logout(&candidate.token).await {
                Err(error) if !error.is_unauthorized() => result = Err(error),
                _ => {}
            }
        }
        result
    }
}

/// A refresh token that was validated.
pub(crate) struct Candidate {
    pub(crate) token: RefreshToken,
    pub(crate) user_id: String,
    pub(crate) family: Option<String>,
    pub(crate) issued_at: Option<SystemTime>,
}

/// Of each family of refresh tokens the newest, the newest of all first; and if one could not be
/// checked, why. Those that are not good are left out.
pub(crate) async fn newest_of_families(
    validator: &SessionValidator,
    tokens: &[RefreshToken],
) -> (Vec<Candidate>, Option<SessionError>) {
    let mut newest: Vec<Candidate> = Vec::new();
    let mut unavailable = None;
    for token in tokens {
        let claims = match validator.validate_refresh(token).await {
            Ok(claims) => claims,
            Err(error) if error.is_unavailable() => {
                unavailable = Some(error);
                continue;
            }
            Err(_) => continue,
        };
        let candidate = Candidate {
            token: token.clone(),
            user_id: claims.user_id().to_owned(),
            // The sign-in that the token comes from, if it says so.
            family: claims
                .claims()
                .get("fti")
                .and_then(|id| id.as_str())
                .map(str::to_owned),
            issued_at: claims.issued_at(),
        };
        let is_same = |other: &&mut Candidate| {
            other.user_id == candidate.user_id && other.family == candidate.family
        };
        match newest.iter_mut().find(is_same) {
            Some(other) if other.issued_at < candidate.issued_at => *other = candidate,
            Some(_) => {}
            None => newest.push(candidate),
        }
    }
    // Stable: of two that are as old, the one that came first.
    newest.sort_by_key(|candidate| Reverse(candidate.issued_at));
    (newest, unavailable)
}
