//! What an emulated project is like: its settings and its seed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::StartError;
use crate::journal::RecordedRequest;
use crate::outbox::Message;
use crate::random;

/// How tokens reach the client after a verify or a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TokenDelivery {
    /// In the body of the answer.
    #[default]
    Body,
    /// In `Set-Cookie` headers only; the body has neither token.
    Cookies,
    /// The session token in the body, the refresh token in a cookie.
    RefreshInCookie,
    /// The session token in a cookie, the refresh token in the body.
    SessionInCookie,
}

impl TokenDelivery {
    pub(crate) fn session_in_cookie(self) -> bool {
        matches!(self, Self::Cookies | Self::SessionInCookie)
    }

    pub(crate) fn refresh_in_cookie(self) -> bool {
        matches!(self, Self::Cookies | Self::RefreshInCookie)
    }
}

/// What happens when a refresh token comes that a newer one has replaced: it is refused with `E064006`, and then?
///
/// Tokens are replaced where [rotation](crate::EmulatorBuilder::rotate_refresh_tokens) is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RefreshReuse {
    /// Every refresh token of its family (claim `fti`) is refused from then on, the newest included, as the service
    /// does.
    #[default]
    InvalidateFamily,
    /// Nothing else: the newest token goes on working.
    RefuseToken,
}

/// The `SameSite` attribute of the cookies that the service sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSite {
    /// `SameSite=Strict`, which the docs call the default.
    #[default]
    Strict,
    /// `SameSite=Lax`.
    Lax,
    /// `SameSite=None`.
    None,
}

/// Where custom claims of login options land in the session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CustomClaimsAt {
    /// Under the claim `nsec`, as the docs say of claims that a client chose.
    #[default]
    Nsec,
    /// At the top level of the claims.
    TopLevel,
}

/// What a second sign-up does while the first one was never verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RepeatedSignUp {
    /// Fails with `E062107`, as for any registered user.
    #[default]
    Refuse,
    /// Sends another link.
    SendAgain,
}

/// How many of each kind of thing an emulator keeps; beyond that the oldest is dropped.
///
/// Users are never dropped: when there are too many, creating one more fails with status 507.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages in the outbox. 10,000 unless set.
    pub messages: usize,
    /// Links that were issued and can be verified. 10,000 unless set.
    pub links: usize,
    /// Sessions. 10,000 unless set.
    pub sessions: usize,
    /// Users. 100,000 unless set.
    pub users: usize,
    /// Requests in the journal. 1,000 unless set.
    pub journal: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 10_000,
            links: 10_000,
            sessions: 10_000,
            users: 100_000,
            journal: 1_000,
        }
    }
}

/// How many requests the project allows before it answers 429.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink_emulator::RateLimit;
///
/// let all = RateLimit::new(100, Duration::from_secs(60));
/// let sends = RateLimit::new(3, Duration::from_secs(60)).operation("SignInMagicLinkEmail");
/// assert_ne!(all, sends);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    pub(crate) requests: u32,
    pub(crate) window: Duration,
    pub(crate) operation: Option<String>,
}

impl RateLimit {
    /// At most `requests` in each `window` of the emulator's clock, over all operations.
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        Self {
            requests,
            window,
            operation: None,
        }
    }

    /// Counts only the operation with this operation id, such as `SignInMagicLinkEmail`.
    #[must_use]
    pub fn operation(mut self, operation_id: impl Into<String>) -> Self {
        self.operation = Some(operation_id.into());
        self
    }
}

/// A tenant of the project.
///
/// ```
/// let tenant = descope_magiclink_emulator::Tenant::new("acme").name("Acme Inc.").attribute("plan", "pro");
/// # let _ = tenant;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) attributes: Map<String, Value>,
}

impl Tenant {
    /// A tenant whose name is its id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            attributes: Map::new(),
        }
    }

    /// The name for display.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a custom attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }
}

/// A user who exists from the start, or is added by a test.
///
/// ```
/// use descope_magiclink_emulator::User;
///
/// let user = User::new("joe@example.com").name("Joe Person").role("admin").tenant("acme", ["editor"]);
/// # let _ = user;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    pub(crate) login_ids: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) verified: bool,
    pub(crate) roles: Vec<String>,
    pub(crate) tenants: BTreeMap<String, Vec<String>>,
    pub(crate) disabled: bool,
    pub(crate) test: bool,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl User {
    /// A user with this login id, who is enabled and whose addresses are verified.
    ///
    /// A login id that looks like an email address or a phone number also becomes that address.
    #[must_use]
    pub fn new(login_id: impl Into<String>) -> Self {
        let login_id = login_id.into();
        Self {
            email: crate::address::is_email(&login_id).then(|| login_id.clone()),
            phone: crate::address::is_international_phone(&login_id).then(|| login_id.clone()),
            login_ids: vec![login_id],
            name: None,
            verified: true,
            roles: Vec::new(),
            tenants: BTreeMap::new(),
            disabled: false,
            test: false,
            attributes: Map::new(),
            claims: Map::new(),
        }
    }

    /// One more login id.
    #[must_use]
    pub fn login_id(mut self, login_id: impl Into<String>) -> Self {
        self.login_ids.push(login_id.into());
        self
    }

    /// The full name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The email address.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// The phone number.
    #[must_use]
    pub fn phone(mut self, phone: impl Into<String>) -> Self {
        self.phone = Some(phone.into());
        self
    }

    /// The addresses are not verified yet.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.verified = false;
        self
    }

    /// Gives a role of the project.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Makes the user a member of a tenant, with roles there.
    #[must_use]
    pub fn tenant(
        mut self,
        tenant_id: impl Into<String>,
        roles: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.tenants.insert(
            tenant_id.into(),
            roles.into_iter().map(Into::into).collect(),
        );
        self
    }

    /// The user may not sign in.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// A test user, for whom links can be generated by a management call.
    #[must_use]
    pub fn test(mut self) -> Self {
        self.test = true;
        self
    }

    /// Adds a custom attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Adds a claim that every session token of the user carries at the top level.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

/// An access key of the project, for services.
///
/// ```
/// let key = descope_magiclink_emulator::AccessKey::new("reports", "s3cret-key").role("reader");
/// # let _ = key;
/// ```
#[derive(Clone, PartialEq)]
pub struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) roles: Vec<String>,
    pub(crate) tenants: BTreeMap<String, Vec<String>>,
    pub(crate) claims: Map<String, Value>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("roles", &self.roles)
            .field("tenants", &self.tenants)
            .finish_non_exhaustive()
    }
}

impl AccessKey {
    /// A key by its id, which becomes the `sub` of its tokens, and its secret text.
    #[must_use]
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            secret: secret.into(),
            roles: Vec::new(),
            tenants: BTreeMap::new(),
            claims: Map::new(),
        }
    }

    /// Gives a role of the project.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Makes the key a member of a tenant, with roles there.
    #[must_use]
    pub fn tenant(
        mut self,
        tenant_id: impl Into<String>,
        roles: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.tenants.insert(
            tenant_id.into(),
            roles.into_iter().map(Into::into).collect(),
        );
        self
    }

    /// Adds a claim that every token of the key carries at the top level.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

/// A message template; text in double braces is filled in.
///
/// `{{link}}`, `{{to}}` and `{{login_id}}` come from the message, every other name from the template options.
///
/// ```
/// use descope_magiclink_emulator::Template;
///
/// let template = Template::new("welcome", "Hello {{greeting}}", "Come in: {{link}}");
/// # let _ = template;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Template {
    /// A template by its id, with the subject (used for mail) and the text.
    #[must_use]
    pub fn new(id: impl Into<String>, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            subject: subject.into(),
            text: text.into(),
        }
    }
}

/// Told of each request when it is answered.
pub(crate) type OnRequest = Arc<dyn Fn(&RecordedRequest) + Send + Sync>;

/// Told of each message when it is sent.
pub(crate) type OnMessage = Arc<dyn Fn(&Message) + Send + Sync>;

/// Everything that is fixed when an emulator starts.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) project_id: String,
    pub(crate) management_key: String,
    pub(crate) auth_management_key: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) signing_key: Option<Vec<u8>>,
    pub(crate) default_redirect: String,
    pub(crate) approved_redirects: Option<Vec<String>>,
    pub(crate) link_lifetime: Duration,
    pub(crate) session_lifetime: Duration,
    pub(crate) refresh_lifetime: Duration,
    pub(crate) step_up_lifetime: Duration,
    pub(crate) access_key_lifetime: Duration,
    pub(crate) rotate_refresh: bool,
    pub(crate) refresh_reuse: RefreshReuse,
    pub(crate) echo_refresh: bool,
    pub(crate) delivery: TokenDelivery,
    pub(crate) session_cookie: String,
    pub(crate) refresh_cookie: String,
    pub(crate) cookie_domain: Option<String>,
    pub(crate) same_site: SameSite,
    pub(crate) custom_claims_at: CustomClaimsAt,
    pub(crate) repeated_sign_up: RepeatedSignUp,
    pub(crate) conflict_status: u16,
    pub(crate) short_update_phone: bool,
    #[cfg(feature = "schema")]
    pub(crate) check_requests: bool,
    #[cfg(feature = "program")]
    pub(crate) control: bool,
    #[cfg(feature = "program")]
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) on_request: Option<OnRequest>,
    pub(crate) on_message: Option<OnMessage>,
    pub(crate) rate_limits: Vec<RateLimit>,
    pub(crate) limits: Limits,
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    pub(crate) templates: BTreeMap<String, Template>,
    pub(crate) users: Vec<User>,
    pub(crate) access_keys: Vec<AccessKey>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            project_id: String::new(),
            management_key: String::new(),
            auth_management_key: None,
            issuer: None,
            signing_key: None,
            default_redirect: "http://localhost:3000/verify".to_owned(),
            approved_redirects: None,
            link_lifetime: Duration::from_secs(180),
            session_lifetime: Duration::from_secs(600),
            refresh_lifetime: Duration::from_secs(2_419_200),
            step_up_lifetime: Duration::from_secs(600),
            access_key_lifetime: Duration::from_secs(600),
            rotate_refresh: false,
            refresh_reuse: RefreshReuse::InvalidateFamily,
            echo_refresh: false,
            delivery: TokenDelivery::Body,
            session_cookie: "DS".to_owned(),
            refresh_cookie: "DSR".to_owned(),
            cookie_domain: None,
            same_site: SameSite::Strict,
            custom_claims_at: CustomClaimsAt::Nsec,
            repeated_sign_up: RepeatedSignUp::Refuse,
            conflict_status: 400,
            short_update_phone: false,
            #[cfg(feature = "schema")]
            check_requests: true,
            #[cfg(feature = "program")]
            control: false,
            #[cfg(feature = "program")]
            allowed_hosts: Vec::new(),
            on_request: None,
            on_message: None,
            rate_limits: Vec::new(),
            limits: Limits::default(),
            roles: BTreeMap::new(),
            tenants: BTreeMap::new(),
            templates: BTreeMap::new(),
            users: Vec::new(),
            access_keys: Vec::new(),
        }
    }

    /// Fills what was left open and refuses what cannot work.
    pub(crate) fn finish(&mut self) -> Result<(), StartError> {
        let no_randomness = |_| StartError::Key("the system gave no randomness".to_owned());
        if self.project_id.is_empty() {
            self.project_id = random::id("P").map_err(no_randomness)?;
        }
        if self.management_key.is_empty() {
            self.management_key = format!("K2{}", random::text(58).map_err(no_randomness)?);
        }
        let refuse = |setting, problem: String| Err(StartError::Setting { setting, problem });
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_graphic() && letter != ':')
        };
        if !self
            .project_id
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric())
        {
            return refuse(
                "project_id",
                "must be letters and digits only, such as P2aAc4T2V93bddihGEx2Ryhc8e5Z".to_owned(),
            );
        }
        for (setting, secret) in [
            ("management_key", Some(&self.management_key)),
            ("auth_management_key", self.auth_management_key.as_ref()),
        ] {
            if secret.is_some_and(|secret| !plain(secret)) {
                return refuse(
                    setting,
                    "must be visible ASCII text without a colon".to_owned(),
                );
            }
        }
        if self.access_keys.iter().any(|key| !plain(&key.secret)) {
            return refuse(
                "access_key",
                "the secret must be visible ASCII text without a colon".to_owned(),
            );
        }
        for (setting, name) in [
            ("cookie_names", &self.session_cookie),
            ("cookie_names", &self.refresh_cookie),
        ] {
            if !plain(name) || name.contains(['=', ';', ',', '"']) {
                return refuse(setting, format!("{name:?} is no cookie name"));
            }
        }
        if self.session_cookie == self.refresh_cookie {
            return refuse(
                "cookie_names",
                "the session and the refresh cookie need different names".to_owned(),
            );
        }
        if let Err(reason) = url::Url::parse(&self.default_redirect) {
            return refuse(
                "default_redirect",
                format!("{:?} is no absolute URL: {reason}", self.default_redirect),
            );
        }
        for (setting, span) in [
            ("link_lifetime", self.link_lifetime),
            ("session_lifetime", self.session_lifetime),
            ("refresh_lifetime", self.refresh_lifetime),
            ("step_up_lifetime", self.step_up_lifetime),
            ("access_key_lifetime", self.access_key_lifetime),
        ] {
            if span < Duration::from_secs(1) || span > Duration::from_secs(10 * 365 * 86_400) {
                return refuse(
                    setting,
                    "must be between one second and ten years".to_owned(),
                );
            }
        }
        if !(400..500).contains(&self.conflict_status) {
            return refuse(
                "conflict_status",
                "must be a status between 400 and 499".to_owned(),
            );
        }
        for user in &self.users {
            for (tenant, _) in user.tenants.iter() {
                if !self.tenants.contains_key(tenant) {
                    self.tenants
                        .insert(tenant.clone(), Tenant::new(tenant.clone()));
                }
            }
        }
        for limit in &self.rate_limits {
            if let Some(id) = &limit.operation
                && crate::routes::by_id(id).is_none()
            {
                return refuse("rate_limit", format!("{id:?} is no operation id"));
            }
        }
        Ok(())
    }
}
