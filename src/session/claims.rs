//! The claims of a validated token.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::claim_policy::ValidatedTimes;
use crate::jwt::json::{Document, Item, Object};

/// The claims of a token that passed every check.
pub(super) struct Claims {
    document: Document,
    times: ValidatedTimes,
    pub(super) project_id: Arc<str>,
}

impl Claims {
    pub(super) fn new(document: Document, times: ValidatedTimes, project_id: Arc<str>) -> Self {
        Self {
            document,
            times,
            project_id,
        }
    }

    pub(super) fn times(&self) -> &ValidatedTimes {
        &self.times
    }

    pub(super) fn claim(&self, name: &str) -> Option<Item<'_>> {
        self.document.root().as_object()?.get(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)
            .and_then(Item::as_str)
            .filter(|text| !text.is_empty())
    }

    pub(super) fn user_id(&self) -> &str {
        self.document
            .at(self.times.subject)
            .as_str()
            .unwrap_or_default()
    }

    pub(super) fn all(&self) -> Map<String, Value> {
        self.document
            .root()
            .as_object()
            .map(Object::to_json)
            .unwrap_or_default()
    }

    pub(super) fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("user_id", &self.user_id())
            .field("project_id", &self.project_id)
            .field("expires_at", &since_epoch(self.times.expires_at))
            .finish_non_exhaustive()
    }
}

/// A time of a claim; the checks leave none that a platform cannot hold.
pub(super) fn since_epoch(seconds: i64) -> SystemTime {
    let seconds = Duration::from_secs(seconds.try_into().unwrap_or_default());
    SystemTime::UNIX_EPOCH
        .checked_add(seconds)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
