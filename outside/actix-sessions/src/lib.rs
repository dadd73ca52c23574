//! An integration for actix-web: a middleware, an extractor, and a sign-out for its handlers.

use std::fmt;
use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::HttpError;
use actix_web::http::StatusCode;
use actix_web::http::header::{SET_COOKIE, TryIntoHeaderPair as _};
use actix_web::middleware::Next;
use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    web,
};
use descope_magiclink::{Client, Session};
use descope_magiclink_web::cookies::SessionCookies;
use descope_magiclink_web::{Rejection, RequestSession, SessionLayer};

/// A middleware, for `from_fn`: finds out who makes a request, and adds to the response what belongs there.
pub async fn sessions(
    layer: web::Data<SessionLayer>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let found = layer.check(request.headers()).await;
    request.extensions_mut().insert(found.clone());
    let mut response = next.call(request).await?;
    for (name, value) in found.headers_to_add(response.headers()) {
        // actix-web has the names and values of another `http`.
        let header = (name.as_str(), value.as_bytes()).try_into_pair();
        let (name, value) = header.map_err(HttpError::from)?;
        if name == SET_COOKIE {
            response.headers_mut().append(name, value);
        } else {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// The session of a request that went through [`sessions`].
pub struct SignedIn(pub Session);

impl FromRequest for SignedIn {
    type Error = Refused;
    type Future = Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let found = extensions.get::<RequestSession>();
        let session = found.map(|found| found.session.clone());
        let session = session.unwrap_or(Err(Rejection::MissingLayer));
        ready(session.map(SignedIn).map_err(Refused))
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub struct Refused(pub Rejection);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        let status = self.0.status().as_u16();
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        let (head, text) = self.0.response::<String>().into_parts();
        add(&mut response, &head.headers);
        response.body(text)
    }
}

/// Ends the session of a request.
pub async fn sign_out(
    request: &HttpRequest,
    client: &Client,
    response: &mut HttpResponseBuilder,
) -> Result<(), descope_magiclink::Error> {
    let found = request.extensions().get::<RequestSession>().cloned();
    let tokens = found.map(|found| found.tokens).unwrap_or_default();
    let mut headers = http::HeaderMap::new();
    let cookies = SessionCookies::new(client);
    let ended = cookies.sign_out(client, &tokens, &mut headers).await;
    add(response, &headers);
    ended
}

fn add(response: &mut HttpResponseBuilder, headers: &http::HeaderMap) {
    for (name, value) in headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
}

#[cfg(test)]
mod test;
