//! Server-sent events: the inbox learns of changes without asking again and again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;
use serde_json::json;

use crate::state::shared::{Shared, closed};

/// Announces the version of the outbox, at once and whenever it changes, until the emulator stops.
pub(super) fn stream(shared: &Arc<Shared>) -> Response<Body> {
    let changes = shared.changes();
    let closing = shared.closing();
    let state = (Arc::downgrade(shared), changes, closing, None);
    let events = unfold(
        state,
        |(shared, mut changes, mut closing, mut told)| async move {
            loop {
                changes.borrow_and_update();
                let version = shared.upgrade()?.state().messages.version;
                if told != Some(version) {
                    told = Some(version);
                    let event = Event::default()
                        .event("outbox")
                        .data(json!({ "version": version }).to_string());
                    return Some((Ok::<_, Infallible>(event), (shared, changes, closing, told)));
                }
                tokio::select! {
                    changed = changes.changed() => changed.ok()?,
                    () = closed(&mut closing) => return None,
                }
            }
        },
    );
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}
