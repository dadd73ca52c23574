//! The tier of the rate limits, which management calls repeat to the service.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};

use super::client::Client;
use crate::clock::{Clock as _, SystemClock};
use crate::secret::ManagementKey;
use crate::sync::hash::{TokenHash, hash};
use crate::sync::single_flight::timeout_at;
use crate::transport::deadline::Deadline;

pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-descope-license");
pub(crate) const OPERATION: &str = "license_handshake";

/// A call waits no longer for the tier, nor longer than for half of its own time.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After a handshake that failed, calls go without for so long.
const COOLDOWN: Duration = Duration::from_secs(60);
/// More keys than any program has. Beyond them all are asked for anew.
const MOST_KEYS: usize = 100;

/// What is known of the tiers, by management key. Held locked while it is asked for, so that calls
/// that come meanwhile wait for the one handshake.
#[derive(Default)]
pub(crate) struct Licenses(Mutex<HashMap<TokenHash, Arc<tokio::sync::Mutex<License>>>>);

#[derive(Default)]
enum License {
    #[default]
    Unknown,
    Tier(HeaderValue),
    /// Asked for, and not had.
    Failed(Instant),
}

impl Licenses {
    fn of(&self, key: &ManagementKey) -> Arc<tokio::sync::Mutex<License>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MOST_KEYS {
            keys.clear();
        }
        Arc::clone(keys.entry(hash(key.expose_secret())).or_default())
    }
}

impl Client {
    /// The tier, asked for at the first call of a key. A call works without it, so that no failure
    /// of this is told.
    ///
    /// Boxed, since the handshake is a call itself.
    pub(crate) fn license<'c>(
        &'c self,
        key: ManagementKey,
        deadline: Deadline,
    ) -> Pin<Box<dyn Future<Output = Option<HeaderValue>> + Send + 'c>> {
        let settings = &*self.inner.settings;
        let known = settings.licenses.of(&key);
        let handshake = async move {
            let mut license = known.lock().await;
            match &*license {
                License::Tier(tier) => return Some(tier.clone()),
                License::Failed(at)
                    if settings.clock.instant().saturating_duration_since(*at) < COOLDOWN =>
                {
                    return None;
                }
                _ => {}
            }
            // Already now: should this be given up, the next call is not to wait as well.
            *license = License::Failed(settings.clock.instant());
            let response = self.license_handshake(&key).send().await.ok()?;
            let tier = response.into_inner().rate_limit_tier?;
            let tier = HeaderValue::from_str(tier.trim()).ok();
            let tier = tier.filter(|tier| !tier.is_empty())?;
            *license = License::Tier(tier.clone());
            Some(tier)
        };
        let now = SystemClock.instant();
        let limit = LONGEST_WAIT.min(deadline.left() / 2);
        let until = now.checked_add(limit).unwrap_or(now);
        Box::pin(async move { timeout_at(until, handshake).await.flatten() })
    }
}
