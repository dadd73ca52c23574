//! Ending sessions.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Sessions;
use crate::error::{Result, SessionError};
use crate::raw::types;
use crate::secret::{RefreshToken, SessionToken};
use crate::session::refreshes::Forget;
use crate::session::shared_refreshes::publish_change;
use crate::sync::hash::hash;
use crate::sync::single_flight::{InFlight, run};

/// For how long a refresh token is refused here, and a session token whose time is not known: the service,
/// where it heard of the sign-out, refuses them for good.
const A_WHILE: Duration = Duration::from_secs(24 * 60 * 60);

impl Sessions {
    /// Refuses a session token from now on, in this process at once and in those that share its
    /// [store](crate::ClientBuilder::store) within a second, until it expires. For sign-outs: the
    /// service is not asked, and [`logout`](Self::logout) ends what the refresh token can do.
    ///
    /// A process that cannot reach the store goes on taking the token (it fails open). A token that is not good
    /// needs no end.
    ///
    /// ```no_run
    /// # async fn f(client: descope_magiclink::Client, token: descope_magiclink::SessionToken) {
    /// client.sessions().end(&token).await;
    /// assert!(client.sessions().validate(&token).await.is_err());
    /// # }
    /// ```
    pub async fn end(&self, token: &SessionToken) {
        let validator = self.client.validator();
        let deadline = self.client.deadline();
        let expires_at = match validator.validate_until(token, deadline).await {
            Ok(session) => Some(session.expires_at()),
            // Its time is not known then.
            Err(SessionError::Unavailable(_)) => validator.now().checked_add(A_WHILE),
            Err(_) => None,
        };
        if let Some(expires_at) = expires_at {
            self.refuse(token.expose_secret(), expires_at).await;
        }
    }

    /// Refuses a token from now on, here and in the processes that share the store.
    async fn refuse(&self, token: &str, until: SystemTime) {
        let ended = Arc::clone(self.client.validator().ended());
        let entry = ended.add(token, until);
        if let Some(remote) = self.client.remote().cloned() {
            run(async move { ended.publish(&remote, &entry).await }).await;
        }
    }

    /// As [`end`](Self::end), for a refresh token: for a day, in which the service hears of the sign-out.
    ///
    /// ```no_run
    /// # async fn f(client: descope_magiclink::Client, token: descope_magiclink::RefreshToken) {
    /// client.sessions().end_refresh(&token).await;
    /// assert!(client.sessions().refresh(&token).await.is_err());
    /// # }
    /// ```
    pub async fn end_refresh(&self, token: &RefreshToken) {
        if let Some(until) = self.client.validator().now().checked_add(A_WHILE) {
            self.refuse(token.expose_secret(), until).await;
        }
    }

    /// Ends the session of a refresh token. Its session tokens stay valid until they expire, in 10
    /// minutes at most unless the project has another life time for them: see [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// As the service decides; it may refuse a token whose session has ended already.
    pub async fn logout(&self, token: &RefreshToken) -> Result<()> {
        let _forgotten = self.forget(token, Forget::Session);
        let body = types::LogoutRequest::default();
        let call = self.client.raw().logout(token, &body);
        let published = self.publish_change(token, Forget::Session);
        let result = call.send().await.map(drop);
        published.await;
        result
    }

    /// Ends all sessions of the user, on all devices.
    ///
    /// # Errors
    ///
    /// As [`logout`](Self::logout).
    pub async fn logout_all(&self, token: &RefreshToken) -> Result<()> {
        let _forgotten = self.forget(token, Forget::User);
        let body = types::LogoutRequest::default();
        let call = self.client.raw().logout_all_devices(token, &body);
        let published = self.publish_change(token, Forget::User);
        let result = call.send().await.map(drop);
        published.await;
        result
    }

    /// As [`forget`](Self::forget), for the processes that share the store. It begins at once, and goes on while
    /// the service is asked: whose session it is may take a fetch of the keys. Waits no longer than a call.
    fn publish_change(
        &self,
        token: &RefreshToken,
        what: Forget,
    ) -> impl Future<Output = ()> + use<> {
        let deadline = self.client.deadline();
        let change = self.client.remote().cloned().map(|remote| {
            let (validator, token) = (self.client.validator().clone(), token.clone());
            InFlight::start(async move {
                if let Ok(claims) = validator.validate_refresh_until(&token, deadline).await {
                    publish_change(&remote, &claims, what).await;
                }
            })
        });
        async move {
            if let Some(change) = change {
                let _ = change.wait(deadline.at()).await;
            }
        }
    }

    /// Forgets the refreshes that are kept for the owner of a token: now, so that nobody gets new
    /// tokens out of them while the service is asked, and again when the call has ended or was dropped.
    pub(super) fn forget<'a>(&'a self, token: &'a RefreshToken, what: Forget) -> impl Drop + 'a {
        struct Guard<F: Fn()>(F);
        impl<F: Fn()> Drop for Guard<F> {
            fn drop(&mut self) {
                (self.0)();
            }
        }
        let hash = hash(token.expose_secret());
        let claims = self.client.validator().validate_refresh_cached(token).ok();
        let forget = move || {
            let refreshes = self.client.refreshes();
            refreshes.forget(hash, claims.as_ref(), what);
        };
        forget();
        Guard(forget)
    }
}
