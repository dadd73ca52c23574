//! Server-sent events: the inbox learns of changes without asking again and again.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use serde_json::json;
use tokio::sync::watch;

use crate::http::wire::Body;
use crate::state::shared::{Shared, closed};

/// Bursts of changes are announced once.
const PAUSE: Duration = Duration::from_millis(200);

/// So often something is sent, so that nobody on the way takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Announces the version of the outbox and every other change, at once and whenever one happens, until the emulator
/// stops.
pub(super) fn stream(shared: &Arc<Shared>) -> Response<Body> {
    let events = Events {
        shared: Arc::downgrade(shared),
        changes: shared.changes(),
        closing: shared.closing(),
        announced: None,
    };
    let mut response = Response::new(events.body());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

struct Events {
    shared: Weak<Shared>,
    changes: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    /// What was announced last: the version of the messages, and the count of all changes.
    announced: Option<(u64, u64)>,
}

impl Events {
    fn body(self) -> Body {
        Body::Later(Box::pin(self.next()))
    }

    /// The next event, and those after it.
    async fn next(mut self) -> io::Result<(Bytes, Body)> {
        let event = tokio::select! {
            event = self.event() => event,
            () = tokio::time::sleep(KEEP_ALIVE) => Some(":\n\n".to_owned()),
        };
        Ok(match event {
            Some(event) => (event.into(), self.body()),
            None => Default::default(),
        })
    }

    async fn event(&mut self) -> Option<String> {
        loop {
            let count = *self.changes.borrow_and_update();
            let version = self.shared.upgrade()?.state().messages.version;
            // The messages first; everything else with the next turn.
            let (event, seen) = match self.announced {
                Some((known, seen)) if known == version && seen == count => {
                    tokio::select! {
                        changed = self.changes.changed() => changed.ok()?,
                        () = closed(&mut self.closing) => return None,
                    }
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => continue,
                        () = closed(&mut self.closing) => return None,
                    }
                }
                Some((known, _)) if known == version => ("changed", count),
                Some((_, seen)) => ("outbox", seen),
                None => ("outbox", count.wrapping_sub(1)),
            };
            self.announced = Some((version, seen));
            let data = json!({ "version": version });
            return Some(format!("event: {event}\ndata: {data}\n\n"));
        }
    }
}
