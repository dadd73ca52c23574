//! Settings and seed of an emulator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::emulator::Emulator;
use crate::error::StartError;
use crate::handles::signer::Signer;
use crate::operations::table;
use crate::settings::{
    AccessKey, CustomClaimsAt, Limits, RateLimit, RefreshReuse, RepeatedSignUp, SameSite, Settings,
    SigningAlgorithm, Template, Tenant, TokenDelivery, User,
};
use crate::state::State;
use crate::state::messages::Message;
use crate::state::requests::RecordedRequest;
use crate::state::shared::{Callbacks, Shared};

/// What an emulator should be like. Every setting has a default.
///
/// ```
/// # use std::time::Duration;
/// # use descope_magiclink_emulator::{Emulator, Tenant, User};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::builder()
///     .role("admin", ["invoice:read", "invoice:write"])
///     .tenant(Tenant::new("acme").name("Acme Inc."))
///     .user(User::new("joe@example.com").role("admin").tenant("acme", ["admin"]))
///     .session_lifetime(Duration::from_secs(60))
///     .start()
///     .await?;
/// # drop(emulator);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until it is started"]
pub struct EmulatorBuilder {
    pub(crate) settings: Settings,
    callbacks: Callbacks,
}

impl EmulatorBuilder {
    /// Where to listen. A free port of 127.0.0.1 unless set.
    ///
    /// Anyone who reaches the address can sign in as anyone: keep it on the loopback interface unless the network is
    /// a test's own.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.settings.address = address;
        self
    }

    /// The project id, letters and digits. A random one unless set.
    pub fn project_id(mut self, project_id: impl Into<String>) -> Self {
        self.settings.project_id = project_id.into();
        self
    }

    /// The management key. A random one unless set.
    pub fn management_key(mut self, key: impl Into<String>) -> Self {
        self.settings.management_key = key.into();
        self
    }

    /// Closes the project's API: every authentication call must then end its bearer with this key.
    pub fn auth_management_key(mut self, key: impl Into<String>) -> Self {
        self.settings.auth_management_key = Some(key.into());
        self
    }

    /// The `iss` of tokens. The bare project id unless set.
    ///
    /// The service also issues `https://api.descope.com/PROJECT` and `https://api.descope.com/v1/apps/PROJECT`. An
    /// issuer that is a URL comes with the claim `aud`, a list of the project id.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.settings.issuer = Some(issuer.into());
        self
    }

    /// The algorithm that signs tokens. RS256 unless set, as the service signs.
    ///
    /// ES256 takes a quarter of the CPU time of a sign-in. A client takes such tokens where it allows the algorithm.
    pub fn signing_algorithm(mut self, algorithm: SigningAlgorithm) -> Self {
        self.settings.signing_algorithm = algorithm;
        self
    }

    /// The first signing key, as a PKCS#8 document: of an RSA key of 2048 bits or more, or of a P-256 key where
    /// [`EmulatorBuilder::signing_algorithm`] says ES256.
    ///
    /// Without it a key is made at run time, once per process, while the emulator already runs.
    pub fn signing_key_pkcs8(mut self, document: impl Into<Vec<u8>>) -> Self {
        self.settings.signing_key = Some(document.into());
        self
    }

    /// The redirect URL of requests that have none. `http://localhost:3000/verify` unless set.
    pub fn default_redirect(mut self, url: impl Into<String>) -> Self {
        self.settings.default_redirect = url.into();
        self
    }

    /// The hosts that a redirect URL may have; `*.example.com` stands for every host below `example.com`.
    ///
    /// Every host is allowed unless set.
    pub fn approved_redirects(
        mut self,
        hosts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.settings.approved_redirects = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// How long a link can be verified. 3 minutes unless set.
    pub fn link_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.link_lifetime = lifetime;
        self
    }

    /// How long a session token is valid. 10 minutes unless set.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.session_lifetime = lifetime;
        self
    }

    /// How long a refresh token is valid. 4 weeks unless set.
    pub fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.refresh_lifetime = lifetime;
        self
    }

    /// How long a session stays stepped up. 10 minutes unless set.
    pub fn step_up_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.step_up_lifetime = lifetime;
        self
    }

    /// How long the session token of an access key is valid. 10 minutes unless set.
    pub fn access_key_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.access_key_lifetime = lifetime;
        self
    }

    /// Whether each refresh gives a new refresh token and makes the old one invalid. Off unless set.
    ///
    /// [`EmulatorBuilder::refresh_reuse`] says what it costs to use the old one again.
    pub fn rotate_refresh_tokens(mut self, on: bool) -> Self {
        self.settings.rotate_refresh_tokens = on;
        self
    }

    /// What happens when a refresh token comes that a newer one has replaced. The whole family is invalidated unless
    /// set.
    pub fn refresh_reuse(mut self, rule: RefreshReuse) -> Self {
        self.settings.refresh_reuse = rule;
        self
    }

    /// Whether a refresh without rotation responds with the refresh token again. Off unless set.
    pub fn echo_refresh_token(mut self, on: bool) -> Self {
        self.settings.echo_refresh_token = on;
        self
    }

    /// Which token comes in the body and which in a cookie. Both in the body unless set.
    pub fn token_delivery(mut self, delivery: TokenDelivery) -> Self {
        self.settings.token_delivery = delivery;
        self
    }

    /// Names of the session and the refresh cookie, which are also the `drn` of the tokens. `DS` and `DSR` unless set.
    pub fn cookie_names(mut self, session: impl Into<String>, refresh: impl Into<String>) -> Self {
        self.settings.session_cookie = session.into();
        self.settings.refresh_cookie = refresh.into();
        self
    }

    /// The domain of cookies. None unless set.
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.settings.cookie_domain = Some(domain.into());
        self
    }

    /// The `SameSite` attribute of cookies. Strict unless set.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.settings.same_site = same_site;
        self
    }

    /// Where custom claims of login options land. Under `nsec` unless set.
    pub fn custom_claims_at(mut self, place: CustomClaimsAt) -> Self {
        self.settings.custom_claims_at = place;
        self
    }

    /// What a second sign-up does while the first was never verified. Refused unless set.
    pub fn repeated_sign_up(mut self, rule: RepeatedSignUp) -> Self {
        self.settings.repeated_sign_up = rule;
        self
    }

    /// The status of "user exists" and of an update conflict. 400 unless set; 409 is the other one seen.
    pub fn conflict_status(mut self, status: u16) -> Self {
        self.settings.conflict_status = status;
        self
    }

    /// Whether `POST /v1/auth/magiclink/update/phone`, without a delivery method, responds like the text message one.
    ///
    /// The Python and Ruby SDKs call it; no API description has it. Off unless set.
    pub fn short_update_phone(mut self, on: bool) -> Self {
        self.settings.short_update_phone = on;
        self
    }

    /// Whether requests are checked against the API description: a known member of a wrong type is refused with
    /// `E011003`, unknown members pass. On unless set.
    #[cfg(feature = "schema")]
    pub fn check_requests(mut self, on: bool) -> Self {
        self.settings.check_requests = on;
        self
    }

    /// Calls this with each request when its response is made, for a log of one's own.
    ///
    /// Calls come one after the other, from a thread of their own, shortly after the response. A slow function stalls no
    /// request: what it cannot keep up with is dropped and counted in [`Stats::dropped_events`](crate::Stats).
    ///
    /// ```
    /// # use descope_magiclink_emulator::Emulator;
    /// let builder = Emulator::builder().on_request(|request| eprintln!("{} {}", request.method(), request.path()));
    /// # let _ = builder;
    /// ```
    pub fn on_request(
        mut self,
        callback: impl Fn(&RecordedRequest) + Send + Sync + 'static,
    ) -> Self {
        self.callbacks.on_request = Some(Arc::new(callback));
        self
    }

    /// Calls this with each message when it is sent, as [`EmulatorBuilder::on_request`] does with requests.
    pub fn on_message(mut self, callback: impl Fn(&Message) + Send + Sync + 'static) -> Self {
        self.callbacks.on_message = Some(Arc::new(callback));
        self
    }

    /// Whether the inbox and the control endpoints are served below `/_emulator/`. Off unless set; the program turns it on.
    #[cfg(feature = "program")]
    pub fn control(mut self, on: bool) -> Self {
        self.settings.control = on;
        self
    }

    /// Host names by which the inbox and the control endpoints may be called, and browsers may call at all, besides
    /// `localhost` and IP addresses.
    ///
    /// With [`EmulatorBuilder::control`] any other name is refused, so that no web page can reach the emulator by
    /// pointing its own name at this machine.
    #[cfg(feature = "program")]
    pub fn allowed_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Origins such as `http://localhost:3000` whose pages may call the API, for SDKs that run in a browser.
    ///
    /// With [`EmulatorBuilder::control`] requests of other pages are refused.
    #[cfg(feature = "program")]
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.allowed_origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a limit of requests. There is none unless set.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.settings.rate_limits.push(limit);
        self
    }

    /// Changes how much is kept.
    ///
    /// ```
    /// # use descope_magiclink_emulator::Emulator;
    /// let builder = Emulator::builder().limits(|limits| limits.messages = 100);
    /// # let _ = builder;
    /// ```
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.settings.limits);
        self
    }

    /// Adds a role with its permissions. As soon as there is one, users and access keys may have no other.
    pub fn role(
        mut self,
        name: impl Into<String>,
        permissions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.settings.roles.insert(
            name.into(),
            permissions.into_iter().map(Into::into).collect(),
        );
        self
    }

    /// Adds a tenant. As soon as there is one, users and access keys may be members of no other; while there is none,
    /// those that they name exist, with their id as the name.
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.settings.tenants.push(tenant);
        self
    }

    /// Adds a message template. As soon as there is one, requests that name any other are refused.
    pub fn template(mut self, template: Template) -> Self {
        self.settings.templates.push(template);
        self
    }

    /// Adds a user.
    pub fn user(mut self, user: User) -> Self {
        self.settings.users.push(user);
        self
    }

    /// Adds an access key.
    pub fn access_key(mut self, key: AccessKey) -> Self {
        self.settings.access_keys.push(key);
        self
    }

    /// Starts the emulator.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a setting makes no sense, the address is taken, or no signing key can be had.
    pub async fn start(self) -> Result<Emulator, StartError> {
        self.start_from(|_| Ok(())).await
    }

    /// The keys and users alone, without a socket: to make sessions in a unit test.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a setting makes no sense, or no signing key can be had.
    pub fn signer(self) -> Result<Signer, StartError> {
        let state = first_state(self.settings)?;
        Ok(Signer::new(Shared::new(state, self.callbacks)))
    }

    /// Starts from another state than that of the settings.
    pub(crate) async fn start_from(
        self,
        change: impl FnOnce(&mut State) -> Result<(), StartError>,
    ) -> Result<Emulator, StartError> {
        let mut state = first_state(self.settings)?;
        change(&mut state)?;
        Emulator::run(state, self.callbacks).await
    }
}

fn first_state(mut settings: Settings) -> Result<State, StartError> {
    settings.finish()?;
    for limit in &settings.rate_limits {
        if let Some(id) = &limit.operation {
            table::check_id(id).map_err(|problem| StartError::Setting {
                setting: "rate_limit",
                problem,
            })?;
        }
    }
    State::new(&Arc::new(settings))
}
