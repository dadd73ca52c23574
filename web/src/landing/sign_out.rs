//! Signing out.

use http::header::LOCATION;
use http::request::Parts;
use http::{Response, StatusCode};

use super::link::SendError;
use super::page::{LandingPage, plain};
use crate::audit;
use crate::cookies::RequestTokens;
use crate::service_error::log_error;

impl LandingPage {
    /// Signs the user out, and sends the browser to `page` (303). Route it as a `POST`; a form of
    /// [another site](Self::is_cross_site) is refused with 403.
    ///
    /// The browser forgets the session in any case, also when the service cannot be told. The rest is as
    /// with [`SessionCookies::sign_out`](crate::cookies::SessionCookies::sign_out).
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::extract::State;
    /// use axum::http::Response;
    /// use axum::http::request::Parts;
    /// use descope_magiclink_web::LandingPage;
    ///
    /// async fn sign_out(State(landing): State<LandingPage>, request: Parts) -> Response<String> {
    ///     landing.sign_out(&request, "/").await
    /// }
    /// # }
    /// ```
    pub async fn sign_out(&self, request: &Parts, page: &str) -> Response<String> {
        if self.is_cross_site(&request.headers) {
            audit::log("refused", None, Some(SendError::CrossSite.code()));
            return SendError::CrossSite.response();
        }
        // Those of the layer are the newer ones, where it has renewed the session.
        let found = request.extensions.get::<RequestTokens>().cloned();
        let tokens = found.unwrap_or_else(|| self.0.cookies.read(&request.headers));
        let mut response = plain(StatusCode::SEE_OTHER);
        let target = self.0.targets.check_or(Some(page), &self.0.signed_in_page);
        let headers = response.headers_mut();
        headers.insert(LOCATION, target.location());
        let out = self.0.cookies.sign_out(&self.0.client, &tokens, headers);
        if let Err(error) = out.await {
            log_error(
                "the user is signed out here, and could not be at the service",
                &error,
            );
        }
        response
    }
}
