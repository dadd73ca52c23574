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

/// Bursts of changes are announced once.
const PAUSE: Duration = Duration::from_millis(200);

/// What was announced last: the version of the messages, and the count of all changes.
type Announced = Option<(u64, u64)>;

/// Announces the version of the outbox and every other change, at once and whenever one happens, until the emulator
/// stops.
pub(super) fn stream(shared: &Arc<Shared>) -> Response<Body> {
    let state = (
        Arc::downgrade(shared),
        shared.changes(),
        shared.closing(),
        Announced::None,
    );
    let events = unfold(
        state,
        |(shared, mut changes, mut closing, announced)| async move {
            loop {
                let count = *changes.borrow_and_update();
                let version = shared.upgrade()?.state().messages.version;
                // The messages first; everything else with the next turn.
                let (event, now) = match announced {
                    Some((known, seen)) if known == version && seen == count => {
                        tokio::select! {
                            changed = changes.changed() => changed.ok()?,
                            () = closed(&mut closing) => return None,
                        }
                        tokio::select! {
                            () = tokio::time::sleep(PAUSE) => continue,
                            () = closed(&mut closing) => return None,
                        }
                    }
                    Some((known, _)) if known == version => ("changed", (version, count)),
                    announced => (
                        "outbox",
                        (
                            version,
                            announced.map_or(count.wrapping_sub(1), |(_, seen)| seen),
                        ),
                    ),
                };
                let event = Event::default()
                    .event(event)
                    .data(json!({ "version": version }).to_string());
                let state = (shared, changes, closing, Some(now));
                return Some((Ok::<_, Infallible>(event), state));
            }
        },
    );
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}
