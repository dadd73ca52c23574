//! An audit trail: who signed in and out, and who was refused and why, as events that hold no address and
//! no token.

/// The one target of these events: the feature `tracing` emits them at INFO.
#[cfg(feature = "tracing")]
const TARGET: &str = "descope_magiclink::audit";

/// Notes what became of somebody.
pub(crate) fn log(event: &'static str, user_id: Option<&str>, reason: Option<&str>) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: TARGET, user_id, reason, "{event}");
    #[cfg(not(feature = "tracing"))]
    let _ = (event, user_id, reason);
}

/// A span for a request that names its method and its path, and not its query: `/verify?t=TOKEN` must not
/// stand in a log. For the tracing layer of tower-http, which writes the whole URL otherwise:
///
/// ```
/// use descope_magiclink_web::request_span;
/// use tower_http::trace::TraceLayer;
///
/// let app: axum::Router = axum::Router::new();
/// let app = app.layer(TraceLayer::new_for_http().make_span_with(request_span));
/// # let _: axum::Router = app;
/// ```
#[cfg(feature = "tracing")]
pub fn request_span<B>(request: &http::Request<B>) -> tracing::Span {
    tracing::info_span!("request", method = %request.method(), path = request.uri().path())
}
