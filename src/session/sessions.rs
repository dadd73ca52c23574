//! The calls of a signed-in user: refreshing and ending sessions, and what they may read.

use std::time::SystemTime;

use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::runtime::Handle;

use super::access::{RefreshClaims, Session};
use super::error::{KeyProblem, KeysUnavailable, SessionError};
use super::handover::Handovers;
use super::refresh::{CachedOutcome, Flight, Forget, Outcome, Refreshes, Turn};
use super::timestamp;
use super::tokens::{CheckedTokens, TokenResponse};
use super::validator::SessionValidator;
use super::verified;
use crate::authentication::{CookieFacts, epoch};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::raw::types;
use crate::runtime::{ClientHooks as _, OperationInfo, ResponseValue, build_error, unexpected};
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
#[derive(Clone, Debug, Default, PartialEq)]
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

    /// Has the service validate a session token, and gives the claims it answers with. The times
    /// `exp`, `iat` and `nbf` are seconds since 1970, though the service writes them as text.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`is_unauthorized`](Error::is_unauthorized) for a token it does not
    /// take.
    pub async fn validate_remote(&self, token: &SessionToken) -> Result<Map<String, Value>> {
        let body = types::ValidateSessionRequest::default();
        let answer = self.client.raw().validate_session(token, &body).await?;
        let mut claims = Map::from(answer.into_inner());
        // The description has the claims in a member; what came over the wire so far had them at the top.
        match claims.remove("parsedJWT") {
            Some(Value::Object(wrapped)) => claims = wrapped,
            Some(other) => {
                claims.insert("parsedJWT".to_owned(), other);
            }
            None => {}
        }
        for name in ["exp", "iat", "nbf"] {
            if let Some(time) = claims.get_mut(name)
                && let Some(seconds) = time.as_str().and_then(timestamp::parse_seconds)
            {
                *time = seconds.into();
            }
        }
        Ok(claims)
    }

    /// Gets a new session by a refresh token.
    ///
    /// Within this client, concurrent refreshes of one token are one call. Those that come later get
    /// the same new tokens: for 10 s where the refresh token stays the same; where it is replaced,
    /// until the new one is seen, but for 5 minutes at most. The call goes on if the caller is
    /// cancelled. The token is validated locally first, and what comes back is validated too. A token
    /// that the service refuses is not asked for again for 30 s.
    ///
    /// In a project with refresh token rotation, a superseded token costs the whole sign-in: when it
    /// is presented, the service invalidates all tokens that came of that sign-in, the newest included
    /// ([`ErrorCode`](crate::ErrorCode) `E064006`). Two processes that refresh one token at the same
    /// moment sign the user out in that way, so send the requests of one user to one process where
    /// refresh tokens rotate.
    ///
    /// # Errors
    ///
    /// [`Error::Session`] when the token is bad or could not be checked, [`Error::Api`] when the
    /// service refused it. When [`is_retryable`](Error::is_retryable), the user is not logged out.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<Refreshed> {
        let claims = self.client.validator().validate_refresh(token).await?;
        loop {
            // `None` is the outcome of a `try_refresh` that this call has joined.
            if let Some(refreshed) = self.refresh_once(token, &claims, Endpoint::Refresh).await? {
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
            Ok(claims) => {
                self.refresh_once(token, &claims, Endpoint::TryRefresh)
                    .await
            }
            Err(error) => Err(error.into()),
        };
        match outcome {
            Err(Error::Session(SessionError::Missing | SessionError::Token(_))) => Ok(None),
            // The outcome of a `refresh` that this call has joined.
            Err(error) if error.is_unauthorized() => Ok(None),
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
            (Ok(session), token) => {
                if let Some(token) = token {
                    let now = self.client.settings().clock.instant();
                    let hash = || verified::hash(token.expose_secret());
                    self.client.refreshes().note_seen(now, hash);
                }
                Ok(SignedIn {
                    session,
                    refreshed: None,
                })
            }
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
        let _forgotten = self.forget(token, Forget::Session);
        let body = types::LogoutRequest::default();
        self.client.raw().logout(token, &body).await.map(drop)
    }

    /// Ends all sessions of the user, on all devices.
    ///
    /// # Errors
    ///
    /// As [`logout`](Self::logout).
    pub async fn logout_all(&self, token: &RefreshToken) -> Result<()> {
        let _forgotten = self.forget(token, Forget::User);
        let body = types::LogoutRequest::default();
        let answer = self.client.raw().logout_all_devices(token, &body).await;
        answer.map(drop)
    }

    /// Forgets the refreshes that are kept for the owner of a token: now, so that nobody gets new
    /// tokens out of them while the service is asked, and again when the call is over or dropped.
    fn forget<'a>(&'a self, token: &'a RefreshToken, what: Forget) -> impl Drop + 'a {
        struct Guard<F: Fn()>(F);
        impl<F: Fn()> Drop for Guard<F> {
            fn drop(&mut self) {
                (self.0)();
            }
        }
        let hash = verified::hash(token.expose_secret());
        let claims = self.client.validator().validate_refresh_now(token).ok();
        let forget = move || {
            let refreshes = self.client.refreshes();
            refreshes.forget(hash, claims.as_ref(), what);
        };
        forget();
        Guard(forget)
    }

    /// The user, as the service knows them now.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`is_unauthorized`](Error::is_unauthorized) when the session has ended:
    /// this is how a server finds out before the session token expires.
    pub async fn me(&self, token: &RefreshToken) -> Result<User> {
        let answer = self.client.raw().me(token).await?;
        Ok(User::new(answer.into_inner()))
    }

    /// The user's sign-ins, as many as the service keeps, in its order.
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    pub async fn history(&self, token: &RefreshToken) -> Result<Vec<SignInRecord>> {
        // The call of the layer below reads one of the two shapes that sources know; this reads both.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum History {
            Bare(Vec<types::ExportedAuthHistory>),
            Wrapped {
                #[serde(rename = "authHistory", default)]
                list: Option<Vec<types::ExportedAuthHistory>>,
            },
        }

        let raw = self.client.raw();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        raw.authorize(&mut headers, token)?;
        let mut request = raw
            .client
            .get(format!("{}/v1/auth/me/history", raw.baseurl))
            .headers(headers)
            .build()
            .map_err(build_error)?;
        let info = OperationInfo {
            operation_id: "me_auth_history",
        };
        raw.pre(&mut request, &info).await?;
        let result = raw.exec(request, &info).await;
        raw.post(&result, &info).await?;
        let response = result?;
        if response.status() != StatusCode::OK {
            return Err(unexpected(response).await);
        }
        let history = ResponseValue::<History>::from_response(response).await?;
        let list = match history.into_inner() {
            History::Bare(list) => list,
            History::Wrapped { list } => list.unwrap_or_default(),
        };
        Ok(list.into_iter().map(SignInRecord::new).collect())
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
        let tenants = answer.into_inner().tenants.into_iter();
        Ok(tenants.map(TenantProfile::new).collect())
    }

    /// Makes a tenant the current one of the session. Gives new tokens of both kinds.
    ///
    /// Once made, the call goes on though its caller goes away. Tokens that reached nobody are kept
    /// for 60 s, for the next call with the same arguments.
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
        let until = self.client.deadline();
        let claims = self.client.validator().validate_refresh(token).await?;
        let _forgotten = self.forget(token, Forget::Session);
        // No text of a token has a line break, so that no two pairs read alike.
        let hash = verified::hash(&format!("{}\n{tenant_id}", token.expose_secret()));
        let handover = Handovers::obtain(&self.client, hash, |client| {
            let token = token.clone();
            let body = types::SelectTenantRequest {
                tenant: Some(tenant_id.clone()),
                ..Default::default()
            };
            async move {
                let answer = client.raw().select_tenant(&token, &body).await?;
                TokenResponse::read(answer, &client)
            }
        })
        .await?;
        let (response, tokens) = handover.check(Some((token, &claims)), until).await?;
        Ok(Refreshed::new(&response, tokens, token, &claims))
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
    async fn refresh_once(
        &self,
        token: &RefreshToken,
        claims: &RefreshClaims,
        endpoint: Endpoint,
    ) -> Outcome {
        let hash = verified::hash(token.expose_secret());
        let mut receiver = match Refreshes::join_or_start(&self.client, hash, claims) {
            Turn::Cached(outcome) => return *outcome,
            Turn::InFlight(receiver) => receiver,
            Turn::Start(flight, response, receiver) => {
                let runtime = Handle::try_current().map_err(|_| no_runtime())?;
                runtime.spawn(run(
                    flight,
                    response,
                    token.clone(),
                    claims.clone(),
                    endpoint,
                ));
                receiver
            }
        };
        // A flight that is dropped before it was completed went down with its runtime.
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

/// Makes a refresh and tells its outcome.
async fn run(
    flight: Flight,
    response: Option<Box<TokenResponse>>,
    token: RefreshToken,
    claims: RefreshClaims,
    endpoint: Endpoint,
) {
    let until = flight.client().deadline();
    let response = match response {
        Some(response) => response,
        None => match request_refresh(flight.client(), &token, endpoint).await {
            Ok(Some(response)) => Box::new(response),
            Ok(None) => return flight.complete(Ok(None), None),
            Err(error) => {
                let refused = error.is_unauthorized();
                let kept = refused.then(|| CachedOutcome::Refused(error.clone()));
                return flight.complete(Err(error), kept);
            }
        },
    };
    let old = Some((&token, &claims));
    match response.check(flight.client(), old, until).await {
        Ok(tokens) => {
            let refreshed = Refreshed::new(&response, tokens, &token, &claims);
            let kept = CachedOutcome::Refreshed(Box::new(refreshed.clone()));
            flight.complete(Ok(Some(refreshed)), Some(kept));
        }
        Err(error) => {
            let unchecked = matches!(error, SessionError::Unavailable(_));
            let kept = unchecked.then_some(CachedOutcome::Unchecked(response));
            flight.complete(Err(error.into()), kept);
        }
    }
}

async fn request_refresh(
    client: &Client,
    token: &RefreshToken,
    endpoint: Endpoint,
) -> Result<Option<TokenResponse>> {
    let body = types::RefreshSessionRequest::default();
    match endpoint {
        Endpoint::Refresh => {
            let answer = client.raw().refresh_session(token, &body).await?;
            TokenResponse::read(answer, client).map(Some)
        }
        Endpoint::TryRefresh => {
            let answer = client.raw().try_refresh_session(Some(token), &body).await?;
            let answer = answer.map(|optional| types::JwtResponse {
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
            });
            // Without a session token there was nothing to refresh.
            Ok(TokenResponse::read(answer, client).ok())
        }
    }
}

impl Refreshed {
    fn new(
        response: &TokenResponse,
        tokens: CheckedTokens,
        old_token: &RefreshToken,
        old_claims: &RefreshClaims,
    ) -> Self {
        let refresh = tokens.refresh;
        let (refresh_token, claims) =
            refresh.unwrap_or_else(|| (old_token.clone(), old_claims.clone()));
        Self {
            session: tokens.session,
            session_token: tokens.session_token,
            refresh_token,
            refresh_expires_at: claims.expires_at(),
            rotated: tokens.rotated,
            user: response.user.clone(),
            cookies: response.cookies.clone(),
        }
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
        let until = self.client.deadline();
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
        let key_id = answer.key_id.clone().filter(|id| !id.is_empty());
        let answer = answer.map(|body| types::JwtResponse {
            session_jwt: body.session_jwt,
            ..Default::default()
        });
        let response = TokenResponse::read(answer, &self.client)?;
        let tokens = response.check(&self.client, None, until).await?;
        Ok(AccessKeySession {
            session: tokens.session,
            session_token: tokens.session_token,
            key_id,
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

impl TenantProfile {
    fn new(raw: types::MyTenant) -> Self {
        Self {
            id: raw.id.unwrap_or_default(),
            name: raw.name.filter(|name| !name.is_empty()),
            custom_attributes: raw.custom_attributes,
        }
    }
}
