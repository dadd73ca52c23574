//! What responds to a request: the check of who asks, the control endpoints, and the operations.

use std::net::IpAddr;
#[cfg(feature = "program")]
use std::ops::ControlFlow;
use std::sync::Arc;
#[cfg(feature = "program")]
use std::sync::Mutex;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

#[cfg(feature = "program")]
use crate::control::{self, guard};
use crate::error::ApiError;
use crate::http::api::{self, elsewhere};
use crate::http::wire::{Body, Reset, WithoutDate};
use crate::operations::table::{OPERATIONS, Operation, SHORT_UPDATE_PHONE};
use crate::state::clock::http_date;
use crate::state::shared::Shared;

/// Responds to the requests of all connections.
pub(crate) struct Service {
    shared: Arc<Shared>,
    #[cfg(feature = "program")]
    snapshots: Mutex<control::Snapshots>,
}

/// What responds to a method and a path.
enum Route {
    Operation(&'static Operation),
    #[cfg(feature = "program")]
    Control(control::Resource),
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            #[cfg(feature = "program")]
            snapshots: Mutex::default(),
        }
    }

    pub(crate) async fn respond(
        &self,
        ip: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Reset> {
        let is_head = request.method() == Method::HEAD;
        let (route, allow) = self.route(request.method(), request.uri().path());
        #[cfg(feature = "program")]
        let mut response = match guard::check(&self.shared.settings, &request) {
            ControlFlow::Break(response) => response,
            ControlFlow::Continue(origin) => {
                let mut response = self.run(route, ip, request).await?;
                guard::allow(response.headers_mut(), origin);
                response
            }
        };
        #[cfg(not(feature = "program"))]
        let mut response = self.run(route, ip, request).await?;

        // The emulator's own time, which is the service's time for clients.
        let date = HeaderValue::try_from(http_date(self.shared.state().time.seconds())).ok();
        let date = date.filter(|_| response.extensions().get::<WithoutDate>().is_none());
        // A response to HEAD says how long that to GET would be.
        let length = response.body().size_hint().exact().map(HeaderValue::from);
        let length = length.filter(|_| !without_content(response.status()));
        for (name, value) in [
            (header::DATE, date),
            (header::ALLOW, allow),
            (header::CONTENT_LENGTH, length),
        ] {
            if let Some(value) = value {
                response.headers_mut().entry(name).or_insert(value);
            }
        }
        if is_head {
            *response.body_mut() = Body::default();
        }
        Ok(response)
    }

    /// What responds to a request, or why nothing does, with the methods that the path takes.
    fn route(&self, method: &Method, path: &str) -> (Result<Route, ApiError>, Option<HeaderValue>) {
        let settings = &self.shared.settings;
        let table = OPERATIONS
            .iter()
            .filter(|operation| settings.short_update_phone || operation.id != SHORT_UPDATE_PHONE)
            .map(|operation| {
                let verb = operation.verb.as_str();
                (verb, operation.path, Route::Operation(operation))
            });
        #[cfg(feature = "program")]
        let table = table.chain(
            control::endpoints()
                .filter(|_| settings.control)
                .map(|(method, path, resource)| (method, path, Route::Control(resource))),
        );
        let mut paths = table.clone().map(|(_, known, _)| known);
        // A path without a parameter goes before one with.
        let exact = paths.clone().find(|known| *known == path);
        let Some(known) = exact.or_else(|| paths.find(|known| fits(known, path))) else {
            return (Err(elsewhere(method.as_str(), path)), None);
        };
        let mut allowed = Vec::new();
        for (verb, _, route) in table.filter(|(_, path, _)| *path == known) {
            if verb == method.as_str() || verb == "GET" && method == Method::HEAD {
                return (Ok(route), None);
            }
            allowed.push(if verb == "GET" { "GET,HEAD" } else { verb });
        }
        let refused = ApiError::wrong_method(method.as_str(), path);
        (Err(refused), HeaderValue::try_from(allowed.join(",")).ok())
    }

    async fn run(
        &self,
        route: Result<Route, ApiError>,
        ip: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Reset> {
        let operation = match route {
            Ok(Route::Operation(operation)) => Ok(operation),
            #[cfg(feature = "program")]
            Ok(Route::Control(resource)) => {
                return Ok(
                    control::respond(&self.shared, &self.snapshots, resource, request).await,
                );
            }
            Err(refused) => Err(refused),
        };
        api::respond(&self.shared, operation, ip, request).await
    }
}

/// Whether responses of a status have no content, and no length of one (RFC 9110, 8.6).
fn without_content(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Whether a path is one of the table's, whose parameters stand for one segment each.
fn fits(known: &str, path: &str) -> bool {
    let (known, path) = (known.split('/'), path.split('/'));
    known.clone().count() == path.clone().count()
        && known.zip(path).all(|(known, segment)| {
            known == segment || known.starts_with('{') && !segment.is_empty()
        })
}
