//! Extractors for axum, by way of axum-core.

use std::ops::Deref;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use descope_magiclink::Session;
use http::request::Parts;

use crate::audit;
use crate::cookies::RequestTokens;
use crate::landing::SendError;
use crate::rejection::Rejection;
use crate::session_layer::MaybeSession;

/// The session of the request. A request without a good one is refused: with 401, or with 503 when that
/// could not be found out. `Option<CurrentSession>` is none then, for whatever reason;
/// [`MaybeSession`] tells the reason.
///
/// It is used as the [`Session`] that it holds:
///
/// ```
/// use descope_magiclink_web::CurrentSession;
///
/// async fn orders(session: CurrentSession) -> String {
///     format!("the orders of {}", session.user_id())
/// }
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "handlers take it apart in their arguments"
)]
pub struct CurrentSession(pub Session);

impl Deref for CurrentSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.response()
    }
}

impl IntoResponse for SendError {
    fn into_response(self) -> Response {
        self.response().into_response()
    }
}

fn found(parts: &Parts) -> Result<&MaybeSession, Rejection> {
    parts
        .extensions
        .get::<MaybeSession>()
        .ok_or(Rejection::MissingLayer)
}

impl<S: Sync> FromRequestParts<S> for CurrentSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let session = found(parts).and_then(|found| found.0.clone());
        session
            .inspect_err(|rejection| audit::log("refused", None, Some(rejection.code())))
            .map(Self)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for CurrentSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Ok(found(parts)?.0.clone().ok().map(Self))
    }
}

impl<S: Sync> FromRequestParts<S> for MaybeSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        found(parts).cloned()
    }
}

/// The request's tokens, after the layer has renewed them if it had to: for calls on the user's
/// behalf, such as a sign-out or a change of address.
impl<S: Sync> FromRequestParts<S> for RequestTokens {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(Rejection::MissingLayer)
    }
}
