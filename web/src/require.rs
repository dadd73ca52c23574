//! Layers that ask for roles and permissions.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use descope_magiclink::{ConfigError, Session};
use http::request::Parts;
use http::{Request, Response};
use percent_encoding::percent_decode_str;
use tower_layer::Layer;
use tower_service::Service;

use crate::audit;
use crate::guarded_body::GuardedBody;
use crate::rejection::Rejection;
use crate::session_layer::MaybeSession;
use crate::session_service::{BoxFuture, Preflight};

/// The segment of a path pattern that names the tenant.
const TENANT: &str = "{tenant}";

/// Lets only users with all of these roles through; others get 403, and those who are not signed in
/// 401. An empty list asks for no role: it lets everybody who is signed in through, as
/// [`require_session`] does.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// # use axum::{Router, routing::get};
/// # use descope_magiclink::Client;
/// # use descope_magiclink_web::{SessionLayer, require_roles};
/// # fn f(client: Client) -> Result<(), descope_magiclink::ConfigError> {
/// let app: Router = Router::new()
///     .route("/admin", get(|| async { "for admins" }))
///     .route_layer(require_roles(["admin"]))
///     .layer(SessionLayer::new(&client));
/// # Ok(())
/// # }
/// # }
/// ```
pub fn require_roles<I>(roles: I) -> RequireLayer
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    require_session().roles(roles)
}

/// Lets only users with all of these permissions through; others get 403, and those who are not signed
/// in 401. An empty list asks for no permission: it lets everybody who is signed in through, as
/// [`require_session`] does.
pub fn require_permissions<I>(permissions: I) -> RequireLayer
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    require_session().permissions(permissions)
}

/// Lets only users who are signed in through. With a
/// [required](crate::SessionLayer::required) layer around everything there is no need for it.
pub fn require_session() -> RequireLayer {
    RequireLayer(Rules::default())
}

/// Lets only users through who have confirmed of late that it is them, by a link for
/// [step-up](descope_magiclink::MagicLink::step_up): for what a stolen session must not be enough for.
///
/// Others get 401 with the challenge of RFC 9470 (`insufficient_user_authentication`), by which a client
/// tells it from a session that has ended. For pages, [`PagesLayer`](crate::PagesLayer) sends the browser
/// to the page that sends the link, and the link leads back.
///
/// It lasts as long as the session token that the link gave, which is the project's setting (10 minutes
/// unless changed), and no refresh prolongs it.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// # use axum::{Router, routing::post};
/// use descope_magiclink_web::require_step_up;
/// # async fn pay() {}
/// let payments: Router = Router::new()
///     .route("/payments", post(pay))
///     .route_layer(require_step_up().roles(["accountant"]));
/// # }
/// ```
pub fn require_step_up() -> RequireLayer {
    RequireLayer(Rules {
        step_up: true,
        ..Rules::default()
    })
}

/// Lets only users through who have signed in by more than one method
/// ([`is_mfa`](Session::is_mfa)). Others get 401 as with [`require_step_up`]; the second factor can be a
/// link by [another method](descope_magiclink::MagicLink::mfa).
pub fn require_mfa() -> RequireLayer {
    RequireLayer(Rules {
        mfa: true,
        ..Rules::default()
    })
}

/// A layer that asks for roles and permissions: from [`require_roles`], [`require_permissions`],
/// [`require_session`], [`require_step_up`] or [`require_mfa`].
///
/// It must be inside of a [`SessionLayer`](crate::SessionLayer); without one all requests get
/// 500 and a text that says so.
///
/// Roles and permissions are those of the project, unless a tenant is named; then they are those in that
/// tenant, and who does not belong to it gets 403.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is added to a service"]
pub struct RequireLayer(Rules);

#[derive(Clone, Debug, Default)]
struct Rules {
    roles: Vec<String>,
    permissions: Vec<String>,
    tenant: TenantFrom,
    step_up: bool,
    mfa: bool,
}

type FindTenant = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// Where the tenant is named.
#[derive(Clone, Default)]
enum TenantFrom {
    /// Nowhere: what counts is the project.
    #[default]
    Project,
    Current,
    Path(Arc<[String]>),
    Closure(Arc<FindTenant>),
}

impl fmt::Debug for TenantFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project => f.write_str("Project"),
            Self::Current => f.write_str("Current"),
            Self::Path(pattern) => f.debug_tuple("Path").field(pattern).finish(),
            Self::Closure(_) => f.write_str("Closure"),
        }
    }
}

impl RequireLayer {
    /// Asks for more roles.
    pub fn roles<I>(mut self, roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.roles.extend(roles.into_iter().map(Into::into));
        self
    }

    /// Asks for more permissions.
    pub fn permissions<I>(mut self, permissions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0
            .permissions
            .extend(permissions.into_iter().map(Into::into));
        self
    }

    /// Asks in the tenant that the user has chosen.
    pub fn in_current_tenant(mut self) -> Self {
        self.0.tenant = TenantFrom::Current;
        self
    }

    /// Asks in the tenant that the path names, such as `/tenants/{tenant}`.
    ///
    /// The pattern is compared with the start of the path, segment by segment; other segments in
    /// braces stand for anything. A path that does not fit is refused with 403, never let through.
    ///
    /// It is the path as this layer sees it: inside of axum's `nest`, without the prefix.
    ///
    /// ```
    /// # use descope_magiclink_web::require_permissions;
    /// let layer = require_permissions(["invoice:read"]).in_tenant_of_path("/tenants/{tenant}")?;
    /// # let _ = layer;
    /// # Ok::<(), descope_magiclink::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] unless the pattern starts with `/` and has one `{tenant}`.
    pub fn in_tenant_of_path(mut self, pattern: &str) -> Result<Self, ConfigError> {
        let segments: Arc<[String]> = segments(pattern).map(str::to_owned).collect();
        let named = segments.iter().filter(|segment| *segment == TENANT).count();
        if !pattern.starts_with('/') || named != 1 {
            return Err(ConfigError::InvalidSetting {
                name: "in_tenant_of_path",
                problem: "must be a path with one segment {tenant}, such as /tenants/{tenant}",
            });
        }
        self.0.tenant = TenantFrom::Path(segments);
        Ok(self)
    }

    /// Asks in the tenant that a function finds in the request, for example in a header. A request in
    /// which it finds none is refused with 403.
    ///
    /// ```
    /// # use descope_magiclink_web::require_roles;
    /// let layer = require_roles(["editor"])
    ///     .in_tenant(|request| Some(request.headers.get("x-tenant")?.to_str().ok()?.to_owned()));
    /// # let _ = layer;
    /// ```
    pub fn in_tenant<F>(mut self, find: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        self.0.tenant = TenantFrom::Closure(Arc::new(find));
        self
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

/// The tenant that a path names, decoded as routers decode path parameters.
fn tenant_of_path(pattern: &[String], path: &str) -> Option<String> {
    let mut tenant = None;
    let mut segments = segments(path);
    for expected in pattern {
        let segment = segments.next()?;
        if expected == TENANT {
            let decoded = percent_decode_str(segment).decode_utf8().ok()?;
            tenant = Some(decoded.into_owned());
        } else if !(expected.starts_with('{') && expected.ends_with('}')) && expected != segment {
            return None;
        }
    }
    tenant
}

impl Rules {
    fn check(&self, parts: &Parts) -> Result<(), Rejection> {
        if parts.extensions.get::<Preflight>().is_some() {
            return Ok(());
        }
        let session = match parts.extensions.get::<MaybeSession>() {
            Some(MaybeSession(found)) => found.as_ref().map_err(Clone::clone)?,
            None => return Err(Rejection::MissingLayer),
        };
        self.check_access(session, parts)?;
        // Last: nobody confirms who they are to hear that they may not.
        if self.step_up && !session.is_stepped_up() {
            return Err(Rejection::StepUpRequired);
        }
        if self.mfa && !session.is_mfa() {
            return Err(Rejection::MfaRequired);
        }
        Ok(())
    }

    fn check_access(&self, session: &Session, parts: &Parts) -> Result<(), Rejection> {
        let in_tenant = |id: Option<&str>| {
            let tenant = id
                .and_then(|id| session.tenant(id).ok())
                .ok_or(Rejection::NotInTenant)?;
            verdict(
                tenant.has_roles(&self.roles),
                tenant.has_permissions(&self.permissions),
            )
        };
        match &self.tenant {
            TenantFrom::Project => self.in_project(session),
            TenantFrom::Current => in_tenant(session.current_tenant()),
            TenantFrom::Path(pattern) => {
                in_tenant(tenant_of_path(pattern, parts.uri.path()).as_deref())
            }
            TenantFrom::Closure(find) => in_tenant(find(parts).as_deref()),
        }
    }

    fn in_project(&self, session: &Session) -> Result<(), Rejection> {
        verdict(
            session.has_roles(&self.roles),
            session.has_permissions(&self.permissions),
        )
    }
}

fn verdict(roles: bool, permissions: bool) -> Result<(), Rejection> {
    match (roles, permissions) {
        (false, _) => Err(Rejection::MissingRole),
        (_, false) => Err(Rejection::MissingPermission),
        _ => Ok(()),
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = RequireService<S>;

    fn layer(&self, inner: S) -> RequireService<S> {
        RequireService {
            inner,
            rules: Arc::new(self.0.clone()),
        }
    }
}

/// The service that a [`RequireLayer`] makes.
#[derive(Clone, Debug)]
pub struct RequireService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for RequireService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.rules.check(&parts) {
            Ok(()) => {
                let response = self.inner.call(Request::from_parts(parts, body));
                Box::pin(async move { Ok(response.await?.map(GuardedBody::new)) })
            }
            Err(rejection) => {
                let session = parts.extensions.get::<Session>();
                let user_id = session.map(Session::user_id);
                audit::log("refused", user_id, Some(rejection.code()));
                Box::pin(std::future::ready(Ok(rejection.guarded_response())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_where_the_pattern_says_and_nowhere_else() {
        let find = |pattern: &str, path: &str| {
            let pattern: Vec<String> = segments(pattern).map(str::to_owned).collect();
            tenant_of_path(&pattern, path)
        };
        assert_eq!(find("/t/{tenant}", "/t/acme").as_deref(), Some("acme"));
        assert_eq!(find("/t/{tenant}", "/t/acme/x/y").as_deref(), Some("acme"));
        assert_eq!(find("/t/{tenant}/x", "/t/acme/x").as_deref(), Some("acme"));
        assert_eq!(find("/{a}/{tenant}", "/t/acme").as_deref(), Some("acme"));
        assert_eq!(find("/t/{tenant}", "/t/ac%6De").as_deref(), Some("acme"));
        assert_eq!(find("/t/{tenant}", "/t/a%2Fb").as_deref(), Some("a/b"));
        for path in ["/t", "/", "", "/T/acme", "//t/acme", "/x/t/acme", "/t/%FF"] {
            assert_eq!(find("/t/{tenant}", path), None, "{path}");
        }
        assert_eq!(find("/t/{tenant}/x", "/t/acme/y"), None);
        assert_eq!(find("/t/{tenant}", "/t/").as_deref(), Some(""));
    }

    #[test]
    fn a_pattern_without_a_tenant_is_refused() {
        for pattern in [
            "",
            "/",
            "tenants/{tenant}",
            "/tenants",
            "/{tenant}/{tenant}",
            "/{id}",
        ] {
            assert!(
                require_session().in_tenant_of_path(pattern).is_err(),
                "{pattern}"
            );
        }
    }
}
