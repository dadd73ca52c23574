//! The calls of a signed-in user: refreshing and ending sessions, and what they may read.

use std::fmt;
use std::time::SystemTime;

use http::StatusCode;
use http::header::HeaderMap;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::access::{RefreshClaims, Session};
use super::error::{KeyProblem, KeysUnavailable, SessionError};
use super::refresh::{Flight, Kept, Outcome, Refreshes, Turn};
use super::validator::SessionValidator;
use super::verified;
use crate::authentication::{CookieFacts, Tokens, epoch};
use crate::body::Members;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::raw::types;
use crate::runtime::ResponseValue;
use crate::secret::{AccessKey, RefreshToken, SessionToken};
use crate::user::User;

/// Sessions: from [`Client::sessions`](crate::Client::sessions).
///
/// ```no_run
/// # use descope_magiclink::{Client, RefreshToken, SessionToken};
/// # async fn run(client: Client, session: Option<SessionToken>, refresh: Option<RefreshToken>)
/// # -> Result<(), descope_magiclink::Error> {
/// // What a request's cookies held:
/// let sessions = client.sessions();
/// let signed_in = sessions.validate_and_refresh(session.as_ref(), refresh.as_ref()).await?;
/// if !signed_in.session.has_permissions(["invoice:read"]) {
///     // 403
/// }
/// if let Some(refreshed) = &signed_in.refreshed {
///     // Set both cookies anew.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    client: Client,
}

/// A session with the new tokens that a refresh gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refreshed {
    /// What the new session token says.
    pub session: Session,
    /// The new session token.
    pub session_token: SessionToken,
    /// The refresh token to use from now on: a new one if [`rotated`](Self::rotated), else the old.
    pub refresh_token: RefreshToken,
    /// When that refresh token ends: the life time of its cookie.
    pub refresh_expires_at: SystemTime,
    /// Whether the refresh token was replaced. The old one is of no more use then.
    pub rotated: bool,
    /// The user; absent if the service left them out.
    pub user: Option<User>,
    /// What the service says about the cookies that should hold the tokens.
    pub cookies: CookieFacts,
}

/// A user who is signed in, from [`Sessions::validate_and_refresh`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// The session, of the token that was given or of the one that replaced it.
    pub session: Session,
    /// The new tokens, if there had to be any: give them to the user in place of the old ones.
    pub refreshed: Option<Refreshed>,
}

/// The session of an access key, from [`ExchangeAccessKey::send`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessKeySession {
    /// What the session token says; its user id is the key's id.
    pub session: Session,
    /// The session token.
    pub session_token: SessionToken,
    /// The key's id, which is not secret.
    pub key_id: Option<String>,
}

/// One sign-in of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignInRecord {
    /// When it was.
    pub at: Option<SystemTime>,
    /// Where it came from, by address.
    pub ip: Option<String>,
    /// The city of that address.
    pub city: Option<String>,
    /// The country of that address.
    pub country: Option<String>,
    /// The tenant that was chosen.
    pub tenant: Option<String>,
}

/// A tenant as its members may see it.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TenantProfile {
    /// The id; empty should the service leave it out.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The project's own attributes of the tenant.
    pub custom_attributes: Map<String, Value>,
}

impl Sessions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// What validates this client's sessions, to be kept where only that is needed.
    #[must_use]
    pub fn validator(&self) -> &SessionValidator {
        self.client.validator()
    }

    /// Validates a session token, locally.
    ///
    /// What this cannot know: that the user has logged out, or that their rights were changed
    /// since. It takes effect with the next session token, in 10 minutes unless the project has
    /// another life time for them. [`me`](Self::me) fails as soon as the session has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Session`]: see [`SessionValidator::validate`].
    pub async fn validate(&self, token: &SessionToken) -> Result<Session> {
        Ok(self.client.validator().validate(token).await?)
    }

    /// Has the service validate a session token, and gives the claims it answers with.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`is_unauthorized`](Error::is_unauthorized) for a token it does not
    /// take.
    pub async fn validate_remote(&self, token: &SessionToken) -> Result<Map<String, Value>> {
        let body = types::ValidateSessionRequest::default();
        let answer = self.client.raw().validate_session(token, &body).await?;
        Ok(answer.into_inner().0.into_inner())
    }

    /// Gets a new session by a refresh token.
    ///
    /// Within this client, concurrent refreshes of one token are one call, and those that come up
    /// to 10 s later get the same new tokens. The call goes on if the caller is cancelled. The
    /// token is validated locally first, and what comes back is validated too. A token that the
    /// service refuses (401) is not asked for again for 30 s.
    ///
    /// In a project with refresh token rotation, a second process that refreshes the same token at
    /// the same time is refused ([`is_unauthorized`](Error::is_unauthorized)). A server should then
    /// not remove the cookies unless the session token is of no use either: another response may
    /// just have renewed them.
    ///
    /// # Errors
    ///
    /// [`Error::Session`] when the token is bad or could not be checked, [`Error::Api`] when the
    /// service refused it. When [`is_retryable`](Error::is_retryable), the user is not logged out.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<Refreshed> {
        let claims = self.client.validator().validate_refresh(token).await?;
        loop {
            // `None` is the outcome of a `try_refresh` that this call has joined.
            if let Some(refreshed) = self.fly(token, &claims, Endpoint::Refresh).await? {
                return Ok(refreshed);
            }
        }
    }

    /// As [`refresh`](Self::refresh), but a token that is missing, bad, or refused is no error:
    /// it gives `None`.
    ///
    /// # Errors
    ///
    /// When it could not be told: no keys, no connection, or a failing service.
    pub async fn try_refresh(&self, token: Option<&RefreshToken>) -> Result<Option<Refreshed>> {
        let Some(token) = token else {
            return Ok(None);
        };
        let outcome = match self.client.validator().validate_refresh(token).await {
            Ok(claims) => self.fly(token, &claims, Endpoint::TryRefresh).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Err(Error::Session(SessionError::Missing | SessionError::Token(_))) => Ok(None),
            // The outcome of a `refresh` that this call has joined.
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => Ok(None),
            outcome => outcome,
        }
    }

    /// Validates the session token, and if it is missing or bad gets a new one by the refresh
    /// token.
    ///
    /// A session token that could not be checked is not refreshed: that is an outage, and no reason
    /// to use up a refresh token.
    ///
    /// # Errors
    ///
    /// Of the session token when there is no refresh token, else of the refresh.
    /// [`SessionError::Missing`] when there is neither.
    pub async fn validate_and_refresh(
        &self,
        session_token: Option<&SessionToken>,
        refresh_token: Option<&RefreshToken>,
    ) -> Result<SignedIn> {
        let validated = match session_token {
            Some(token) => self.client.validator().validate(token).await,
            None => Err(SessionError::Missing),
        };
        match (validated, refresh_token) {
            (Ok(session), _) => Ok(SignedIn {
                session,
                refreshed: None,
            }),
            (Err(SessionError::Missing | SessionError::Token(_)), Some(token))
                if !token.is_empty() =>
            {
                let refreshed = self.refresh(token).await?;
                Ok(SignedIn {
                    session: refreshed.session.clone(),
                    refreshed: Some(refreshed),
                })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Ends the session of a refresh token. Its session tokens stay valid until they expire, in 10
    /// minutes at most unless the project has another life time for them.
    ///
    /// # Errors
    ///
    /// As the service decides; it may refuse a token whose session has ended already.
    pub async fn logout(&self, token: &RefreshToken) -> Result<()> {
        let body = types::LogoutRequest::default();
        let outcome = self.client.raw().logout(token, &body).await;
        // Whatever became of the call: the user is not to get new tokens out of the memory.
        let ended = verified::hash(token.expose_secret());
        let is_new = |new: &Refreshed| new.refresh_token.expose_secret() == token.expose_secret();
        self.client
            .refreshes()
            .forget(|old, new| *old == ended || new.is_some_and(is_new));
        outcome.map(drop)
    }

    /// Ends all sessions of the user, on all devices.
    ///
    /// # Errors
    ///
    /// As [`logout`](Self::logout).
    pub async fn logout_all(&self, token: &RefreshToken) -> Result<()> {
        let body = types::LogoutRequest::default();
        let outcome = self.client.raw().logout_all_devices(token, &body).await;
        let hash = verified::hash(token.expose_secret());
        let claims = self.client.validator().validate_refresh(token).await.ok();
        let user = claims.as_ref().map(RefreshClaims::user_id);
        let is_theirs = |new: &Refreshed| Some(new.session.user_id()) == user;
        self.client
            .refreshes()
            .forget(|old, new| *old == hash || new.is_some_and(is_theirs));
        outcome.map(drop)
    }

    /// The user, as the service knows them now.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`is_unauthorized`](Error::is_unauthorized) when the session has ended:
    /// this is how a server finds out before the session token expires.
    pub async fn me(&self, token: &RefreshToken) -> Result<User> {
        let answer = self.client.raw().me(token).await?;
        if answer.user_id.is_none() {
            return Err(answer.missing("userId"));
        }
        Ok(User::new(answer.into_inner()))
    }

    /// The user's sign-ins, as many as the service keeps, in its order.
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    pub async fn history(&self, token: &RefreshToken) -> Result<Vec<SignInRecord>> {
        let history = self.client.raw().me_auth_history(token).await?.into_inner();
        Ok(history.0.into_iter().map(SignInRecord::new).collect())
    }

    /// Those of the user's tenants that have these ids. [`Session::tenants`] has the ids of all.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when no id is given; else as [`me`](Self::me).
    pub async fn my_tenants<I>(&self, token: &RefreshToken, ids: I) -> Result<Vec<TenantProfile>>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let body = types::MyTenantsRequest {
            ids: ids.into_iter().map(Into::into).collect(),
            ..Default::default()
        };
        if body.ids.is_empty() || body.ids.iter().any(String::is_empty) {
            return Err(Error::argument(
                "ids",
                "must be ids of tenants, one at least",
            ));
        }
        self.tenants(token, &body).await
    }

    /// The tenant that the user has chosen, or the only one they have.
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    pub async fn my_current_tenant(&self, token: &RefreshToken) -> Result<Option<TenantProfile>> {
        let body = types::MyTenantsRequest {
            dct: Some(true),
            ..Default::default()
        };
        Ok(self.tenants(token, &body).await?.into_iter().next())
    }

    async fn tenants(
        &self,
        token: &RefreshToken,
        body: &types::MyTenantsRequest,
    ) -> Result<Vec<TenantProfile>> {
        let answer = self.client.raw().my_tenants(token, body).await?;
        let is_unreadable = answer
            .extra
            .get("tenants")
            .is_some_and(|list| !list.is_null());
        if is_unreadable {
            return Err(answer.missing("list `tenants` that can be read"));
        }
        let tenants = answer.into_inner().tenants.unwrap_or_default();
        Ok(tenants.into_iter().map(TenantProfile::new).collect())
    }

    /// Makes a tenant the current one of the session. Gives new tokens of both kinds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty id, [`Error::Session`] when a token is bad or could
    /// not be checked, [`Error::Api`] when the user does not belong to the tenant.
    pub async fn select_tenant(
        &self,
        token: &RefreshToken,
        tenant_id: impl Into<String>,
    ) -> Result<Refreshed> {
        let tenant_id = tenant_id.into();
        if tenant_id.is_empty() {
            return Err(Error::argument("tenant_id", "must not be empty"));
        }
        let validator = self.client.validator();
        let claims = validator.validate_refresh(token).await?;
        let body = types::SelectTenantRequest {
            tenant: Some(tenant_id),
            ..Default::default()
        };
        let answer = self.client.raw().select_tenant(token, &body).await?;
        let issued = Issued::from_answer(answer, &self.client)?;
        issued.check(validator, token, &claims).await
    }

    /// Exchanges an access key for a session of its own, for programs that sign in without a user.
    pub fn exchange_access_key(&self, key: &AccessKey) -> ExchangeAccessKey {
        ExchangeAccessKey {
            client: self.client.clone(),
            key: key.clone(),
            options: types::AccessKeyLoginOptions::default(),
        }
    }

    /// Refreshes a token, or waits for whoever does.
    async fn fly(
        &self,
        token: &RefreshToken,
        claims: &RefreshClaims,
        endpoint: Endpoint,
    ) -> Outcome {
        let hash = verified::hash(token.expose_secret());
        let mut receiver = match Refreshes::take_turn(&self.client, hash) {
            Turn::Done(outcome) => return *outcome,
            Turn::Wait(receiver) => receiver,
            Turn::Fly(flight, issued, receiver) => {
                let runtime = Handle::try_current().map_err(|_| no_runtime())?;
                runtime.spawn(run(flight, issued, token.clone(), claims.clone(), endpoint));
                receiver
            }
        };
        // A flight that is dropped before it has landed went down with its runtime.
        let outcome = receiver.wait_for(Option::is_some).await.ok();
        outcome
            .and_then(|outcome| outcome.clone())
            .unwrap_or_else(|| Err(no_runtime()))
    }
}

/// The two endpoints that refresh.
#[derive(Clone, Copy)]
enum Endpoint {
    Refresh,
    TryRefresh,
}

fn no_runtime() -> Error {
    SessionError::from(KeysUnavailable::new(KeyProblem::NoRuntime)).into()
}

const SESSION_TOKEN: &str = "session token, neither in its body nor in the session cookie";

/// Makes a refresh and tells its outcome.
async fn run(
    flight: Flight,
    issued: Option<Box<Issued>>,
    token: RefreshToken,
    claims: RefreshClaims,
    endpoint: Endpoint,
) {
    let issued = match issued {
        Some(issued) => issued,
        None => match ask(flight.client(), &token, endpoint).await {
            Ok(Some(issued)) => Box::new(issued),
            Ok(None) => return flight.land(Ok(None), None),
            Err(error) => {
                let refused = error.status() == Some(StatusCode::UNAUTHORIZED);
                let kept = refused.then(|| Kept::Refused(error.clone()));
                return flight.land(Err(error), kept);
            }
        },
    };
    let checked = issued
        .check(flight.client().validator(), &token, &claims)
        .await;
    match checked {
        Ok(refreshed) => {
            let kept = Kept::Checked(Box::new(refreshed.clone()));
            flight.land(Ok(Some(refreshed)), Some(kept));
        }
        Err(error) => {
            let unavailable = matches!(&error, Error::Session(why) if why.is_unavailable());
            let kept = unavailable.then(|| Kept::Unchecked(issued));
            flight.land(Err(error), kept);
        }
    }
}

async fn ask(client: &Client, token: &RefreshToken, endpoint: Endpoint) -> Result<Option<Issued>> {
    let body = types::RefreshSessionRequest::default();
    match endpoint {
        Endpoint::Refresh => {
            let answer = client.raw().refresh_session(token, &body).await?;
            Issued::from_answer(answer, client).map(Some)
        }
        Endpoint::TryRefresh => {
            let answer = client.raw().try_refresh_session(Some(token), &body).await?;
            // Nothing to refresh is an empty object; a body that nobody can read tells nothing.
            let unknown = answer.body_error().is_some();
            let missing = unknown.then(|| answer.missing(SESSION_TOKEN));
            let (optional, _, headers) = answer.into_parts();
            let body = types::JwtResponse {
                session_jwt: optional.session_jwt,
                refresh_jwt: optional.refresh_jwt,
                cookie_name: optional.cookie_name,
                cookie_domain: optional.cookie_domain,
                cookie_path: optional.cookie_path,
                cookie_max_age: optional.cookie_max_age,
                cookie_expiration: optional.cookie_expiration,
                session_cookie_name: optional.session_cookie_name,
                session_cookie_domain: optional.session_cookie_domain,
                ..Default::default()
            };
            match (Issued::new(body, &headers, client), missing) {
                (None, Some(error)) => Err(error),
                (issued, _) => Ok(issued),
            }
        }
    }
}

/// Tokens that the service has issued and nobody has looked at.
#[derive(Clone)]
pub(super) struct Issued {
    session: Vec<SessionToken>,
    refresh: Vec<RefreshToken>,
    user: Option<User>,
    cookies: CookieFacts,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

impl Issued {
    fn from_answer(answer: ResponseValue<types::JwtResponse>, client: &Client) -> Result<Self> {
        let missing = answer.missing(SESSION_TOKEN);
        let (body, _, headers) = answer.into_parts();
        Self::new(body, &headers, client).ok_or(missing)
    }

    /// `None` when there is no session token.
    fn new(mut body: types::JwtResponse, headers: &HeaderMap, client: &Client) -> Option<Self> {
        let tokens = Tokens::take(&mut body, headers, client.cookie_names());
        let issued = Self {
            session: [tokens.session, tokens.session_cookie]
                .into_iter()
                .flatten()
                .collect(),
            refresh: [tokens.refresh, tokens.refresh_cookie]
                .into_iter()
                .flatten()
                .collect(),
            cookies: CookieFacts::new(&body),
            user: body.user.map(User::new),
        };
        (!issued.session.is_empty()).then_some(issued)
    }

    /// Validates the tokens, and of each kind takes the newest: body and cookies may differ, and
    /// the body may repeat the old refresh token while a cookie holds the new one.
    async fn check(
        &self,
        validator: &SessionValidator,
        old_token: &RefreshToken,
        old_claims: &RefreshClaims,
    ) -> Result<Refreshed> {
        let mut session: Option<(&SessionToken, Session)> = None;
        let mut problem = SessionError::Missing;
        for token in &self.session {
            match validator.validate_issued(token).await {
                Ok(found) => {
                    let is_newer = session.as_ref().is_none_or(|(_, best)| {
                        (found.issued_at(), found.expires_at())
                            > (best.issued_at(), best.expires_at())
                    });
                    if is_newer {
                        session = Some((token, found));
                    }
                }
                Err(error) if error.is_unavailable() => return Err(error.into()),
                Err(error) => problem = error,
            }
        }
        let Some((session_token, session)) = session else {
            return Err(problem.into());
        };

        let age = |claims: &RefreshClaims| (claims.issued_at(), claims.expires_at());
        let mut refresh = (old_token, old_claims.clone());
        let mut problem = None;
        for token in &self.refresh {
            if token.expose_secret() == old_token.expose_secret() {
                continue;
            }
            match validator.validate_issued_refresh(token).await {
                Ok(found) => {
                    // Of one age with the old one, it is still the one that replaces it.
                    let replaces =
                        std::ptr::eq(refresh.0, old_token) && age(&found) >= age(&refresh.1);
                    if replaces || age(&found) > age(&refresh.1) {
                        refresh = (token, found);
                    }
                }
                Err(error) if error.is_unavailable() => return Err(error.into()),
                Err(error) => problem = Some(error),
            }
        }
        let rotated = !std::ptr::eq(refresh.0, old_token);
        if let Some(problem) = problem.filter(|_| !rotated) {
            return Err(problem.into());
        }
        Ok(Refreshed {
            session,
            session_token: session_token.clone(),
            refresh_token: refresh.0.clone(),
            refresh_expires_at: refresh.1.expires_at(),
            rotated,
            user: self.user.clone(),
            cookies: self.cookies.clone(),
        })
    }
}

/// The exchange of an access key, before it is made: from [`Sessions::exchange_access_key`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until `send`"]
pub struct ExchangeAccessKey {
    client: Client,
    key: AccessKey,
    options: types::AccessKeyLoginOptions,
}

impl ExchangeAccessKey {
    /// A claim to add to the session, among its [non-secure](Session::nonsecure_claim) ones.
    pub fn custom_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.custom_claims.insert(name.into(), value.into());
        self
    }

    /// The tenant to make the current one.
    pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
        self.options.selected_tenant = Some(tenant_id.into());
        self
    }

    /// Makes the exchange. The token that comes back is validated.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the service refuses the key, [`Error::Session`] when the token is bad or
    /// could not be checked.
    pub async fn send(self) -> Result<AccessKeySession> {
        let has_options =
            !self.options.custom_claims.is_empty() || self.options.selected_tenant.is_some();
        let body = types::ExchangeAccessKeyRequest {
            login_options: has_options.then_some(self.options),
            ..Default::default()
        };
        let answer = self
            .client
            .raw()
            .exchange_access_key(&self.key, &body)
            .await?;
        let missing = answer.missing(SESSION_TOKEN);
        let answer = answer.into_inner();
        let session_token = answer
            .session_jwt
            .filter(|token| !token.is_empty())
            .ok_or(missing)?;
        Ok(AccessKeySession {
            session: self
                .client
                .validator()
                .validate_issued(&session_token)
                .await?,
            session_token,
            key_id: answer.key_id.filter(|id| !id.is_empty()),
        })
    }
}

impl SignInRecord {
    fn new(raw: types::ExportedAuthHistory) -> Self {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            at: epoch(raw.login_time),
            ip: text(raw.ip),
            city: text(raw.city),
            country: text(raw.country),
            tenant: text(raw.selected_tenant),
        }
    }
}

// Of the attributes, whose values may be anything, the names.
impl fmt::Debug for TenantProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantProfile")
            .field("id", &self.id)
            .field("name", &self.name)
            .field(
                "custom_attributes",
                &Members::from(self.custom_attributes.clone()),
            )
            .finish()
    }
}

impl TenantProfile {
    fn new(raw: types::MyTenant) -> Self {
        Self {
            id: raw.id.unwrap_or_default(),
            name: raw.name.filter(|name| !name.is_empty()),
            custom_attributes: raw.custom_attributes.unwrap_or_default().into_inner(),
        }
    }
}
