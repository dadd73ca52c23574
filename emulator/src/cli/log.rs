//! Lines to standard error that nobody has to wait for.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, SystemTime};

use crate::state::clock::{rfc3339, to_millis};
use crate::state::messages::Message;
use crate::state::requests::RecordedRequest;

/// How many lines may wait for a slow reader.
const WAITING: usize = 1_024;

/// Longer lines are cut.
const LONGEST: usize = 16 * 1024;

/// How long the end waits for a slow reader.
const PATIENCE: Duration = Duration::from_secs(3);

enum Line {
    Text(String),
    Flush(Sender<()>),
}

/// A queue of lines, and a thread that writes them: a reader who stops reading stalls that thread alone.
#[derive(Clone)]
pub(super) struct Lines {
    queue: Option<SyncSender<Line>>,
    dropped: Arc<AtomicU64>,
}

impl Lines {
    pub(super) fn start() -> Self {
        let (queue, lines) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let missed = Arc::clone(&dropped);
        let write = move || {
            // A closed pipe is no reason to stop.
            let print = |line: &str| drop(writeln!(std::io::stderr().lock(), "{line}"));
            for line in lines {
                match line {
                    Line::Text(text) => print(&text),
                    // Who waited may have given up.
                    Line::Flush(done) => drop(done.send(())),
                }
                match missed.swap(0, Ordering::Relaxed) {
                    0 => {}
                    count => print(&format!(
                        "{count} lines were dropped: standard error is read too slowly"
                    )),
                }
            }
        };
        let spawned = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(write);
        Self {
            queue: spawned.is_ok().then_some(queue),
            dropped,
        }
    }

    /// Never waits: a line that does not fit is dropped and counted.
    pub(super) fn print(&self, mut line: String) {
        if line.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at));
            line.truncate(end.unwrap_or(0));
            line.push_str(" (cut)");
        }
        let queued = self
            .queue
            .as_ref()
            .map(|queue| queue.try_send(Line::Text(line)));
        if !matches!(queued, Some(Ok(()))) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything was written, a last line too, but not long.
    pub(super) fn finish(&self, last: Option<String>) {
        let Some(queue) = self.queue.clone() else {
            return;
        };
        let (done, written) = channel();
        // In a thread, as the queue may be full: it waits for its place, and this only for so long.
        let spawned = std::thread::Builder::new().spawn(move || {
            let mut lines = last.map(Line::Text).into_iter().chain([Line::Flush(done)]);
            lines.all(|line| queue.send(line).is_ok())
        });
        if spawned.is_ok() {
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}

fn stamp(at: SystemTime) -> String {
    rfc3339(to_millis(at).div_euclid(1000))
}

pub(super) fn request_line(request: &RecordedRequest, secrets: bool) -> String {
    let status = request
        .status()
        .map_or_else(|| "no response".to_owned(), |status| status.to_string());
    let mut line = format!(
        "{} {} {} {status}",
        stamp(request.at()),
        request.method(),
        request.path()
    );
    for (label, text) in [("", request.error_code()), ("fault: ", request.fault())] {
        if let Some(text) = text {
            line.push_str(&format!(" {label}{text}"));
        }
    }
    if secrets && !request.body().is_empty() {
        line.push_str(&format!(" {}", String::from_utf8_lossy(request.body())));
    }
    line
}

pub(super) fn message_line(message: &Message, secrets: bool) -> String {
    let mut line = format!(
        "{} message {} for {} by {} to {}",
        stamp(message.sent_at()),
        message.id(),
        message.purpose(),
        message.channel(),
        message.to()
    );
    if secrets {
        line.push_str(&format!(" {}", message.link()));
    }
    line
}
