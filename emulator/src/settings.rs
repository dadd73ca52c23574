//! What an emulated project is like: its settings and its seed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::StartError;
use crate::{address, random};

/// A span such as `90s`, `3m` or `1h 30m`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|reason| {
        format!("{text:?} is no duration ({reason}); write it like 90s, 3m or 1h 30m")
    })
}

/// How tokens reach the client after a verify or a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum TokenDelivery {
    /// In the body of the response.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum CustomClaimsAt {
    /// Under the claim `nsec`, as the docs say of claims that a client chose.
    #[default]
    Nsec,
    /// At the top level of the claims.
    TopLevel,
}

/// What a second sign-up does while the first one was never verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum RepeatedSignUp {
    /// Fails with `E062107`, as for any registered user.
    #[default]
    Refuse,
    /// Sends another link.
    SendAgain,
}

/// The algorithm that signs tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSA with SHA-256, as the service signs.
    #[default]
    Rs256,
    /// ECDSA over P-256, which takes a fraction of the time: for load tests, where the client allows it.
    Es256,
}

impl SigningAlgorithm {
    /// The name in the header of tokens.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// How many of each kind of thing an emulator keeps; beyond that the oldest is dropped.
///
/// Users are never dropped: when there are too many, or they take too many bytes, creating one more fails with status
/// 507.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Recorded requests. 1,000 unless set.
    pub requests: usize,
    /// Bytes that each of these five kinds may take. 64 MiB unless set.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 10_000,
            links: 10_000,
            sessions: 10_000,
            users: 100_000,
            requests: 1_000,
            bytes: 64 * 1024 * 1024,
        }
    }
}

/// How many requests the project allows before it responds with 429.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink_emulator::RateLimit;
///
/// let all = RateLimit::new(100, Duration::from_secs(60));
/// let sends = RateLimit::new(3, Duration::from_secs(60)).operation("SignInMagicLinkEmail");
/// assert_ne!(all, sends);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub(crate) requests: u32,
    #[serde(default = "one_minute", deserialize_with = "deserialize_span")]
    pub(crate) window: Duration,
    pub(crate) operation: Option<String>,
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn deserialize_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    span(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    pub(crate) id: String,
    name: Option<String>,
    #[serde(default)]
    pub(crate) attributes: Map<String, Value>,
}

impl Tenant {
    /// A tenant whose name is its id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: None,
            attributes: Map::new(),
        }
    }

    /// The name for display.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(crate) fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
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
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    #[serde(alias = "login_id")]
    pub(crate) login_id: String,
    #[serde(default, alias = "more_login_ids")]
    pub(crate) more_login_ids: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    #[serde(default)]
    pub(crate) unverified: bool,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) tenants: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) disabled: bool,
    #[serde(default)]
    pub(crate) test: bool,
    #[serde(default)]
    pub(crate) attributes: Map<String, Value>,
    #[serde(default)]
    pub(crate) claims: Map<String, Value>,
}

impl User {
    /// A user with this login id, who is enabled and whose addresses are verified.
    ///
    /// A login id that looks like an email address or a phone number also becomes that address.
    #[must_use]
    pub fn new(login_id: impl Into<String>) -> Self {
        Self {
            login_id: login_id.into(),
            more_login_ids: Vec::new(),
            name: None,
            email: None,
            phone: None,
            unverified: false,
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
        self.more_login_ids.push(login_id.into());
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
        self.unverified = true;
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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKey {
    pub(crate) id: String,
    pub(crate) secret: String,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) tenants: BTreeMap<String, Vec<String>>,
    #[serde(default)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub(crate) id: String,
    #[serde(default)]
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

/// Everything that is fixed when an emulator starts.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) project_id: String,
    pub(crate) management_key: String,
    pub(crate) auth_management_key: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) signing_algorithm: SigningAlgorithm,
    pub(crate) signing_key: Option<Vec<u8>>,
    pub(crate) default_redirect: String,
    pub(crate) approved_redirects: Option<Vec<String>>,
    pub(crate) link_lifetime: Duration,
    pub(crate) session_lifetime: Duration,
    pub(crate) refresh_lifetime: Duration,
    pub(crate) step_up_lifetime: Duration,
    pub(crate) access_key_lifetime: Duration,
    pub(crate) rotate_refresh_tokens: bool,
    pub(crate) refresh_reuse: RefreshReuse,
    pub(crate) echo_refresh_token: bool,
    pub(crate) token_delivery: TokenDelivery,
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
    #[cfg(feature = "program")]
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) rate_limits: Vec<RateLimit>,
    pub(crate) limits: Limits,
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) templates: Vec<Template>,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            project_id: String::new(),
            management_key: String::new(),
            auth_management_key: None,
            issuer: None,
            signing_algorithm: SigningAlgorithm::default(),
            signing_key: None,
            default_redirect: "http://localhost:3000/verify".to_owned(),
            approved_redirects: None,
            link_lifetime: Duration::from_secs(180),
            session_lifetime: Duration::from_secs(600),
            refresh_lifetime: Duration::from_secs(2_419_200),
            step_up_lifetime: Duration::from_secs(600),
            access_key_lifetime: Duration::from_secs(600),
            rotate_refresh_tokens: false,
            refresh_reuse: RefreshReuse::default(),
            echo_refresh_token: false,
            token_delivery: TokenDelivery::default(),
            session_cookie: "DS".to_owned(),
            refresh_cookie: "DSR".to_owned(),
            cookie_domain: None,
            same_site: SameSite::default(),
            custom_claims_at: CustomClaimsAt::default(),
            repeated_sign_up: RepeatedSignUp::default(),
            conflict_status: 400,
            short_update_phone: false,
            #[cfg(feature = "schema")]
            check_requests: true,
            #[cfg(feature = "program")]
            control: false,
            #[cfg(feature = "program")]
            allowed_hosts: Vec::new(),
            #[cfg(feature = "program")]
            allowed_origins: Vec::new(),
            rate_limits: Vec::new(),
            limits: Limits::default(),
            roles: BTreeMap::new(),
            tenants: Vec::new(),
            templates: Vec::new(),
            users: Vec::new(),
            access_keys: Vec::new(),
        }
    }
}

/// Text that can stand between the colons of a bearer.
pub(crate) fn fits_bearer(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_graphic() && letter != ':')
}

impl Settings {
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
            if secret.is_some_and(|secret| !fits_bearer(secret)) {
                return refuse(
                    setting,
                    "must be visible ASCII text without a colon".to_owned(),
                );
            }
        }
        for name in [&self.session_cookie, &self.refresh_cookie] {
            if !fits_bearer(name) || name.contains(['=', ';', ',', '"']) {
                return refuse("cookie_names", format!("{name:?} is no cookie name"));
            }
        }
        if self.session_cookie == self.refresh_cookie {
            return refuse(
                "cookie_names",
                "the session and the refresh cookie need different names".to_owned(),
            );
        }
        if let Some(domain) = &self.cookie_domain
            && !is_domain(domain)
        {
            return refuse(
                "cookie_domain",
                format!("{domain:?} is no domain; it must be a name such as example.com"),
            );
        }
        if let Err(problem) = address::redirect(&self.default_redirect) {
            return refuse(
                "default_redirect",
                format!("{:?} {problem}", self.default_redirect),
            );
        }
        #[cfg(feature = "program")]
        for origin in &self.allowed_origins {
            let is_origin = url::Url::parse(origin)
                .is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            if !is_origin {
                return refuse(
                    "allowed_origins",
                    format!("{origin:?} is no origin; write it like http://localhost:3000"),
                );
            }
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
        Ok(())
    }
}

/// Labels of letters, digits and hyphens, joined by dots; a dot in front is allowed.
fn is_domain(text: &str) -> bool {
    let name = text.strip_prefix('.').unwrap_or(text);
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
        })
}
