//! The layers in the stacks that people build: what compiles here, compiles there.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use descope_magiclink::SessionValidator;
use descope_magiclink_web::{SessionLayer, require_roles, require_session};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::{RequestBodyTimeoutLayer, ResponseBodyTimeoutLayer, TimeoutLayer};
use tower_http::trace::TraceLayer;

type Plain = Full<Bytes>;

fn layer() -> SessionLayer<SessionValidator> {
    let validator = SessionValidator::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    SessionLayer::local(validator).required()
}

async fn app<B>(_: Request<B>) -> Result<Response<Plain>, Infallible> {
    Ok(Response::new(Full::from("for those who are signed in")))
}

/// Nobody is signed in, and the response says so.
async fn refuses<S, B>(service: S)
where
    S: Service<Request<Plain>, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Error: std::fmt::Debug>,
{
    let request = Request::new(Plain::default());
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "sign in first");
}

/// The layers outside of another one, and inside of it.
macro_rules! both_orders {
    ($layer:expr) => {
        both_orders!($layer, service_fn(app))
    };
    ($layer:expr, $inner:expr) => {
        let outside = ServiceBuilder::new()
            .layer(layer())
            .layer(require_session());
        refuses(outside.layer($layer).service($inner)).await;
        let inside = ServiceBuilder::new().layer($layer).layer(layer());
        refuses(inside.layer(require_roles(["admin"])).service($inner)).await;
    };
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn trace() {
    both_orders!(TraceLayer::new_for_http());
}

#[tokio::test]
async fn compression() {
    both_orders!(CompressionLayer::new());
}

#[tokio::test]
async fn cors() {
    both_orders!(CorsLayer::permissive());
}

#[tokio::test]
async fn timeouts() {
    both_orders!(TimeoutLayer::with_status_code(
        StatusCode::GATEWAY_TIMEOUT,
        LONG
    ));
    both_orders!(RequestBodyTimeoutLayer::new(LONG));
    let stack = ServiceBuilder::new()
        .layer(layer())
        .layer(ResponseBodyTimeoutLayer::new(LONG))
        .service(service_fn(app));
    let response = stack.oneshot(Request::new(Plain::default())).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn limits() {
    both_orders!(RequestBodyLimitLayer::new(1024));
    both_orders!(tower::limit::ConcurrencyLimitLayer::new(1));
}

#[tokio::test]
async fn caught_panics() {
    both_orders!(CatchPanicLayer::new());
}

#[tokio::test]
async fn files() {
    let files = || ServeDir::new(env!("CARGO_MANIFEST_DIR"));
    both_orders!(TraceLayer::new_for_http(), files());
    refuses(layer_around(files())).await;
}

fn layer_around<S>(service: S) -> descope_magiclink_web::SessionService<S> {
    ServiceBuilder::new().layer(layer()).service(service)
}

#[tokio::test]
async fn boxed_services_and_bodies() {
    let boxed = service_fn(app).map_response(|response| response.map(BoxBody::new));
    refuses(layer_around(boxed.boxed_clone())).await;
    let sent = layer_around(service_fn(app)).boxed_clone();
    refuses(sent).await;
}

/// As tonic's: a box of bytes that is not shared between threads, with an error of one's own.
#[tokio::test]
async fn bodies_like_those_of_tonic() {
    #[derive(Debug)]
    struct Status;
    impl std::fmt::Display for Status {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("unavailable")
        }
    }
    impl std::error::Error for Status {}
    let grpc = service_fn(async |request| {
        let response = app::<Plain>(request).await?;
        Ok::<_, Infallible>(response.map(|body| {
            let body = body.map_err(|never| match never {});
            UnsyncBoxBody::<Bytes, Status>::new(body)
        }))
    });
    both_orders!(TraceLayer::new_for_grpc(), grpc);
}

#[tokio::test]
async fn routers_of_axum_nested_in_each_other() {
    let inner = Router::new()
        .route("/orders", get(|| async { "orders" }))
        .route_layer(require_session());
    let app = Router::new()
        .nest("/shop", inner)
        .nest_service("/files", layer_around(ServeDir::new(".")))
        .layer(layer())
        .layer(CompressionLayer::new())
        .layer(TraceLayer::new_for_http());
    for path in ["/shop/orders", "/files/Cargo.toml"] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

/// What hyper serves: its own request body, and any error that can be shown.
#[tokio::test]
async fn a_service_of_hyper() {
    fn serves<S, B>(_: &S)
    where
        S: hyper::service::Service<
                Request<hyper::body::Incoming>,
                Response = Response<B>,
                Error: Into<BoxError>,
            >,
        B: Body<Data: Send, Error: Into<BoxError>> + 'static,
    {
    }
    let stack = ServiceBuilder::new()
        .layer(layer())
        .layer(require_session())
        .layer(TraceLayer::new_for_http())
        .service(service_fn(app::<hyper::body::Incoming>));
    serves(&hyper_util::service::TowerToHyperService::new(stack));
}

#[tokio::test]
async fn all_of_them_in_both_orders() {
    let outside = ServiceBuilder::new()
        .layer(layer())
        .layer(require_session())
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
        .service(service_fn(app));
    refuses(outside).await;
    let inside = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::new())
        .layer(layer())
        .layer(require_session())
        .service(service_fn(app));
    refuses(inside).await;
}
