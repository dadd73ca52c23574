//! Ending sessions.

use super::Sessions;
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;
use crate::session::refreshes::Forget;
use crate::sync::hash::hash;

impl Sessions {
    /// Ends the session of a refresh token. Its session tokens stay valid until they expire, in 10
    /// minutes at most unless the project has another life time for them.
    ///
    /// # Errors
    ///
    /// As the service decides; it may refuse a token whose session has ended already.
    pub async fn logout(&self, token: &RefreshToken) -> Result<()> {
        let _forgotten = self.forget(token, Forget::Session);
        let body = types::LogoutRequest::default();
        let call = self.client.raw().logout(token, &body);
        call.send().await.map(drop)
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
        call.send().await.map(drop)
    }

    /// Forgets the refreshes that are kept for the owner of a token: now, so that nobody gets new
    /// tokens out of them while the service is asked, and again when the call is over or dropped.
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
