//! Extractors for axum, by way of axum-core.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use super::layer::MaybeSession;
use super::rejection::Rejection;
use crate::session::Session;
use crate::session::cookies::RequestTokens;

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.response()
    }
}

fn found(parts: &Parts) -> Result<&MaybeSession, Rejection> {
    parts
        .extensions
        .get::<MaybeSession>()
        .ok_or(Rejection::NoLayer)
}

/// Refuses requests without a good session: 401, or 503 when that could not be found out.
impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        found(parts)?.0.clone()
    }
}

/// `Option<Session>`: none for whatever reason. [`MaybeSession`] tells the reason.
impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        Ok(found(parts)?.0.clone().ok())
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
            .ok_or(Rejection::NoLayer)
    }
}
