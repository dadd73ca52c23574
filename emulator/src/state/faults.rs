//! Failures on demand.

use std::fmt;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::error::ApiError;

/// How many faults are kept; beyond that the oldest that cannot hit any more is forgotten.
const FAULTS: usize = 1_000;

/// Which requests a fault hits.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    All,
    Operation(String),
    Path(String),
}

/// What happens to a request that is hit.
#[derive(Clone, PartialEq)]
pub(crate) enum Effect {
    /// Another response in place of the real one.
    Respond(Change),
    /// The real response, with something changed.
    Alter(Change),
    /// The real response with the tokens of the user who has this login id.
    TokensOf(String),
    Delay(Duration),
    Hold,
    BlackHole,
    CutBody(usize),
    Reset,
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string())
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(change) => write!(f, "respond {}", change.status.unwrap_or(200)),
            Self::Alter(_) => f.write_str("response altered"),
            Self::TokensOf(_) => f.write_str("tokens of another user"),
            Self::Delay(span) => write!(f, "delay {span:?}"),
            Self::Hold => f.write_str("held"),
            Self::BlackHole => f.write_str("black hole"),
            Self::CutBody(bytes) => write!(f, "body cut after {bytes} bytes"),
            Self::Reset => f.write_str("connection reset"),
        }
    }
}

/// What to put in place of parts of a response.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Change {
    pub(crate) status: Option<u16>,
    /// Names of headers to leave out.
    pub(crate) removed: Vec<String>,
    pub(crate) added: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) gzip: bool,
}

impl Change {
    pub(crate) fn removes(&self, header: &str) -> bool {
        self.removed
            .iter()
            .any(|name| name.eq_ignore_ascii_case(header))
    }

    fn problem(&self) -> Option<String> {
        if let Some(status) = self.status
            && !(200..600).contains(&status)
        {
            return Some(format!(
                "{status} is no status of a response; it must be 200 to 599"
            ));
        }
        self.added
            .iter()
            .find(|(name, value)| {
                HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err()
            })
            .map(|(name, _)| format!("{name:?} is no header that can be sent"))
    }
}

/// Where a fault goes; its methods say what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a target becomes a fault by saying what happens"]
pub struct FaultTarget {
    selector: Selector,
}

impl FaultTarget {
    fn fault(self, effect: Effect) -> Fault {
        Fault {
            selector: self.selector,
            effect,
            times: None,
            after_handling: false,
        }
    }

    /// Responds with this status and an empty body; see [`Fault::json`] and [`Fault::text`] for another body.
    pub fn respond(self, status: u16) -> Fault {
        self.fault(Effect::Respond(Change {
            status: Some(status),
            ..Change::default()
        }))
    }

    /// Sends the real response with something changed: [`Fault::status`], [`Fault::header`], [`Fault::without_header`],
    /// [`Fault::json`], [`Fault::text`], [`Fault::gzip`].
    pub fn alter(self) -> Fault {
        self.fault(Effect::Alter(Change::default()))
    }

    /// Puts a new session of another user into the response, as a cache between that mixes responses up would.
    ///
    /// Responses without tokens stay as they are. While nobody has the login id the response is `EMU500`.
    pub fn tokens_of(self, login_id: impl Into<String>) -> Fault {
        self.fault(Effect::TokensOf(login_id.into()))
    }

    /// Responds with 429 with `E130429`, and with `Retry-After` in whole seconds when given.
    pub fn rate_limited(self, retry_after: Option<Duration>) -> Fault {
        let seconds = retry_after.map(|span| span.as_secs());
        let body = ApiError::rate_limited(seconds.unwrap_or(0)).body();
        let fault = self.respond(429).json(&body);
        match seconds {
            Some(seconds) => fault.header("Retry-After", seconds.to_string()),
            None => fault,
        }
    }

    /// Waits in real time, then goes on as usual.
    pub fn delay(self, by: Duration) -> Fault {
        self.fault(Effect::Delay(by))
    }

    /// Holds the request until the fault is removed, then goes on as usual.
    ///
    /// With [`Fault::after_handling`] the operation takes effect at once and only the response is held. A test that has
    /// to do something while a call is under way waits for [`Faults::reached`](crate::Faults::reached), does it, and removes the fault: no time
    /// is guessed.
    ///
    /// ```
    /// # use descope_magiclink_emulator::{Emulator, Fault};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::start().await?;
    /// let faults = emulator.faults();
    /// let held = faults.add(Fault::on("GetKeysV2").hold())?;
    /// let url = format!("{}/v2/keys/{}", emulator.base_url(), emulator.project_id());
    /// let http = reqwest::Client::builder().no_proxy().build()?;
    /// let call = tokio::spawn(http.get(url).send());
    /// faults.reached(held, 1).await;
    /// assert!(!call.is_finished());
    /// faults.remove(held);
    /// assert_eq!(call.await??.status(), 200);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold(self) -> Fault {
        self.fault(Effect::Hold)
    }

    /// Reads the request and never responds, until the client gives up or the fault is removed.
    pub fn black_hole(self) -> Fault {
        self.fault(Effect::BlackHole)
    }

    /// Sends the real response but closes the connection after this many bytes of its body.
    pub fn cut_body(self, after_bytes: usize) -> Fault {
        self.fault(Effect::CutBody(after_bytes))
    }

    /// Resets the connection instead of responding.
    pub fn reset(self) -> Fault {
        self.fault(Effect::Reset)
    }
}

/// A failure to be put into an emulator with [`Faults::add`](crate::Faults::add).
///
/// ```
/// # use std::time::Duration;
/// # use descope_magiclink_emulator::{Emulator, Fault};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let faults = emulator.faults();
/// faults.add(Fault::on("VerifyMagicLink").respond(503).text("<html>busy</html>").times(2))?;
/// faults.add(Fault::on("GetKeysV2").delay(Duration::from_millis(200)))?;
/// faults.add(Fault::on("SignInMagicLinkEmail").rate_limited(Some(Duration::from_secs(30))))?;
/// faults.add(Fault::on("RefreshSession").reset().after_handling())?;
/// faults.add(Fault::on("Logout").alter().status(204).without_header("Date"))?;
/// faults.add(Fault::on("SelectTenant").tokens_of("eve@example.com"))?;
/// faults.add(Fault::path("/v1/mgmt/").black_hole())?;
/// faults.add(Fault::everywhere().cut_body(10))?;
/// assert_eq!(faults.count(), 8);
/// faults.clear();
/// assert!(faults.add(Fault::on("NoSuchOperation").reset()).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a fault does nothing until it is added"]
pub struct Fault {
    selector: Selector,
    pub(crate) effect: Effect,
    times: Option<u32>,
    pub(crate) after_handling: bool,
}

impl Fault {
    /// On one operation, by its operation id, such as `VerifyMagicLink`.
    pub fn on(operation_id: impl Into<String>) -> FaultTarget {
        FaultTarget {
            selector: Selector::Operation(operation_id.into()),
        }
    }

    /// On every path that begins like this.
    pub fn path(prefix: impl Into<String>) -> FaultTarget {
        FaultTarget {
            selector: Selector::Path(prefix.into()),
        }
    }

    /// On every request.
    pub fn everywhere() -> FaultTarget {
        FaultTarget {
            selector: Selector::All,
        }
    }

    /// How many requests it hits. All, unless set.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The operation takes effect first; only its response is lost or replaced.
    pub fn after_handling(mut self) -> Self {
        self.after_handling = true;
        self
    }

    /// The status of [`FaultTarget::alter`] or [`FaultTarget::respond`]. No effect on other faults.
    pub fn status(self, status: u16) -> Self {
        self.change(|change| change.status = Some(status))
    }

    /// The body of [`FaultTarget::respond`] or [`FaultTarget::alter`], as JSON. No effect on other faults.
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// The body of [`FaultTarget::respond`] or [`FaultTarget::alter`], as it is. No effect on other faults.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.body("text/html; charset=utf-8", text.into())
    }

    fn body(self, kind: &str, text: String) -> Self {
        self.change(|change| {
            change.body = Some(text.into_bytes());
            change.added.retain(|(name, _)| name != "Content-Type");
            change
                .added
                .push(("Content-Type".to_owned(), kind.to_owned()));
        })
        .without_header("Content-Type")
    }

    /// One more header of [`FaultTarget::respond`] or [`FaultTarget::alter`]. No effect on other faults.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.change(|change| change.added.push((name.into(), value.into())))
    }

    /// Leaves out every header of this name that the emulator would send, `Date` included. No effect on faults other
    /// than [`FaultTarget::respond`] and [`FaultTarget::alter`].
    pub fn without_header(self, name: impl Into<String>) -> Self {
        self.change(|change| change.removed.push(name.into()))
    }

    /// Packs the body of [`FaultTarget::respond`] or [`FaultTarget::alter`] with gzip, whatever the request accepts. No
    /// effect on other faults.
    pub fn gzip(self) -> Self {
        self.change(|change| change.gzip = true)
    }

    fn change(mut self, change: impl FnOnce(&mut Change)) -> Self {
        if let Effect::Respond(what) | Effect::Alter(what) = &mut self.effect {
            change(what);
        }
        self
    }

    /// Whether the operation runs although the fault hits.
    pub(crate) fn handles(&self) -> bool {
        match self.effect {
            Effect::Alter(_) | Effect::TokensOf(_) | Effect::CutBody(_) | Effect::Hold => true,
            _ => self.after_handling,
        }
    }

    /// The operation that it is for, when it is for one.
    pub(crate) fn operation(&self) -> Option<&str> {
        match &self.selector {
            Selector::Operation(id) => Some(id),
            Selector::All | Selector::Path(_) => None,
        }
    }

    /// Why it cannot be sent, whatever the operation.
    pub(crate) fn problem(&self) -> Option<String> {
        match &self.effect {
            Effect::Respond(change) | Effect::Alter(change) => change.problem(),
            _ => None,
        }
    }

    fn hits(&self, operation: Option<&str>, path: &str) -> bool {
        match &self.selector {
            Selector::All => true,
            Selector::Operation(id) => operation == Some(id.as_str()),
            Selector::Path(prefix) => path.starts_with(prefix.as_str()),
        }
    }
}

/// Names a fault that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultId(pub(crate) u64);

#[derive(Debug, Clone)]
struct Active {
    id: FaultId,
    fault: Fault,
    hits: u32,
}

impl Active {
    fn left(&self) -> bool {
        self.fault.times.is_none_or(|times| self.hits < times)
    }
}

/// The faults of one emulator.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultList {
    active: Vec<Active>,
    last_id: u64,
}

/// The faults that one request meets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selected {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<(FaultId, Fault)>,
}

impl FaultList {
    /// Delays add up; of the others the oldest that has hits left is taken.
    pub(crate) fn select(&mut self, operation: Option<&str>, path: &str) -> Selected {
        let mut selected = Selected::default();
        for active in &mut self.active {
            if !active.left() || !active.fault.hits(operation, path) {
                continue;
            }
            if let Effect::Delay(by) = active.fault.effect {
                active.hits = active.hits.saturating_add(1);
                selected.delay = selected.delay.saturating_add(by);
            } else if selected.fault.is_none() {
                active.hits = active.hits.saturating_add(1);
                selected.fault = Some((active.id, active.fault.clone()));
            }
        }
        selected
    }

    /// The faults as the control endpoints list them.
    #[cfg(feature = "program")]
    pub(crate) fn described(&self) -> Vec<Value> {
        let one = |active: &Active| {
            let fault = &active.fault;
            let (operation, path) = match &fault.selector {
                Selector::All => (None, None),
                Selector::Operation(id) => (Some(id), None),
                Selector::Path(prefix) => (None, Some(prefix)),
            };
            serde_json::json!({
                "id": active.id.0,
                "operation": operation,
                "path": path,
                "effect": fault.effect.to_string(),
                "afterHandling": fault.after_handling,
                "times": fault.times,
                "hits": active.hits,
            })
        };
        self.active.iter().map(one).collect()
    }

    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        if self.active.len() >= FAULTS
            && let Some(spent) = self.active.iter().position(|active| !active.left())
        {
            self.active.remove(spent);
        }
        self.last_id += 1;
        let id = FaultId(self.last_id);
        self.active.push(Active { id, fault, hits: 0 });
        id
    }

    /// How many requests a fault has hit.
    pub(crate) fn hits(&self, id: FaultId) -> u32 {
        let mut active = self.active.iter();
        active
            .find(|active| active.id == id)
            .map_or(0, |active| active.hits)
    }

    /// How many faults can still hit.
    pub(crate) fn left(&self) -> usize {
        self.active.iter().filter(|active| active.left()).count()
    }

    pub(crate) fn remove(&mut self, id: FaultId) {
        self.active.retain(|active| active.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    pub(crate) fn has(&self, id: FaultId) -> bool {
        self.active.iter().any(|active| active.id == id)
    }
}
