//! What the requests that end in a link have in common.

use std::collections::BTreeMap;
use std::fmt;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::address;
use crate::client::Client;
use crate::error::{DecodeError, Error, Result};
use crate::raw::types;
use crate::secret::RefreshToken;
use crate::transport::body::Members;

/// A request for a link, before it is sent. Its kind, such as [`SignIn`](super::SignIn), decides which
/// options there are, and what [`send`](LinkRequest::send) gives.
///
/// ```no_run
/// # use descope_magiclink::{Client, DeliveryMethod};
/// # async fn run(client: Client) -> Result<(), descope_magiclink::Error> {
/// client
///     .magic_link()
///     .sign_in(DeliveryMethod::Email, "joe@example.com")
///     .redirect_url("https://app.example.com/verify")
///     .locale("pt-BR")
///     .custom_claim("plan", "pro")
///     .send()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is sent until `.send().await`"]
pub struct LinkRequest<K> {
    pub(crate) client: Client,
    /// None where it is to be looked up: see [`login_id_of`](Self::login_id_of).
    pub(crate) login_id: Option<String>,
    pub(crate) message: MessageOptions,
    pub(crate) login: LoginOptions,
    pub(crate) kind: K,
}

/// How a message is made and where its link leads.
#[derive(Clone, Default)]
pub(crate) struct MessageOptions {
    redirect_url: Option<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) template_id: Option<String>,
    pub(crate) template_options: Members<BTreeMap<String, String>>,
    pub(crate) locale: Option<String>,
}

/// What is put into the session that follows, and what becomes of others.
#[derive(Clone, Default)]
pub(crate) struct LoginOptions {
    pub(crate) step_up: Option<bool>,
    pub(crate) mfa: Option<bool>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) custom_claims: Members,
    sso_app_id: Option<String>,
    revoke_other_sessions: Option<bool>,
    revoke_other_sessions_types: Option<Vec<String>>,
    pub(crate) use_recovery: Option<bool>,
}

/// Which options a kind of request has. Not for implementing elsewhere.
pub(crate) mod accepts {
    /// A message, or a token for a message of one's own: its template and language.
    pub trait Message {}
    /// A link with a page of its own.
    pub trait Redirect {}
    /// A message that the service delivers.
    pub trait Delivery {}
    /// A login that follows.
    pub trait Login {}
    /// The login of a user who may have other sessions.
    pub trait SignIn: Login {}
    /// A user with a recovery address.
    pub trait Recovery {}
    /// Links that a management key asks for, without the user's refresh token.
    pub trait Management {}
}

impl<K> LinkRequest<K> {
    pub(crate) fn new(client: &Client, login_id: String, kind: K) -> Self {
        Self {
            login_id: Some(login_id),
            ..Self::for_signed_in(client, kind)
        }
    }

    /// For the user whose refresh token the request goes out with.
    pub(crate) fn for_signed_in(client: &Client, kind: K) -> Self {
        Self {
            client: client.clone(),
            login_id: None,
            message: MessageOptions::default(),
            login: LoginOptions::default(),
            kind,
        }
    }

    /// The login id, if it can be one.
    pub(crate) fn checked_login_id(&self) -> Result<Option<String>> {
        let id = self.login_id.as_deref();
        id.map(address::login_id).transpose()
    }

    /// A login id of the user who is signed in; whichever, as all of them name the same user.
    pub(crate) async fn login_id_of(&self, refresh_token: &RefreshToken) -> Result<String> {
        let user = self.client.sessions().me(refresh_token).await?;
        let id = user.login_ids().first().cloned();
        id.ok_or_else(|| DecodeError::missing(StatusCode::OK, "loginIds", "loginIds", None))
    }

    /// The page that the link opens, if it can be one.
    pub(crate) fn checked_redirect_url(&self) -> Result<Option<String>> {
        let url = self.message.redirect_url.as_deref();
        url.map(address::redirect_url).transpose()
    }

    /// The options that have an object of their own in the request; `None` when that would be empty.
    pub(crate) fn login_options(&mut self) -> Result<Option<types::LoginOptions>> {
        let login = std::mem::take(&mut self.login);
        let message = std::mem::take(&mut self.message);
        let types = login.revoke_other_sessions_types;
        if types
            .as_ref()
            .is_some_and(|types| types.is_empty() || types.iter().any(String::is_empty))
        {
            return Err(Error::argument(
                "revoke_other_sessions_of_types",
                "must name one type at least; revoke_other_sessions is for all of them",
            ));
        }
        Ok(unless_empty(types::LoginOptions {
            custom_claims: login.custom_claims,
            locale: message.locale,
            mfa: login.mfa,
            revoke_other_sessions: login.revoke_other_sessions,
            revoke_other_sessions_types: types.unwrap_or_default(),
            sso_app_id: login.sso_app_id,
            stepup: login.step_up,
            template_id: message.template_id,
            template_options: message.template_options,
            tenant_id: login.tenant_id,
            ..Default::default()
        }))
    }
}

impl<K: accepts::Redirect> LinkRequest<K> {
    /// The page that the link opens, with the token in its query parameter `t`. Its domain must
    /// be approved in the project; without it the project's setting is used.
    ///
    /// It may have a query, but none with a `t`, and no fragment: the token would not be found.
    #[doc(alias = "redirectUrl")]
    #[doc(alias = "URI")]
    pub fn redirect_url(mut self, url: impl Into<String>) -> Self {
        self.message.redirect_url = Some(url.into());
        self
    }
}

impl<K: accepts::Delivery> LinkRequest<K> {
    /// The connector that delivers the message, by its id.
    #[doc(alias = "providerId")]
    pub fn provider_id(mut self, id: impl Into<String>) -> Self {
        self.message.provider_id = Some(id.into());
        self
    }
}

impl<K: accepts::Message> LinkRequest<K> {
    /// The message's template, by its id.
    #[doc(alias = "templateId")]
    pub fn template_id(mut self, id: impl Into<String>) -> Self {
        self.message.template_id = Some(id.into());
        self
    }

    /// A value for a placeholder of the message's template.
    pub fn template_option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let options = &mut self.message.template_options;
        options.insert(name.into(), value.into());
        self
    }

    /// Values for several placeholders: as [`template_option`](Self::template_option), one by one.
    ///
    /// ```
    /// # use descope_magiclink::{Client, DeliveryMethod};
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    /// client
    ///     .magic_link()
    ///     .sign_in(DeliveryMethod::Email, "joe@example.com")
    ///     .template_options([("greeting", "Hi Joe"), ("shop", "Teahouse")]);
    /// ```
    #[doc(alias = "templateOptions")]
    pub fn template_options<N, V>(self, options: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let one_more = |request: Self, (name, value)| request.template_option(name, value);
        options.into_iter().fold(self, one_more)
    }

    /// The message's language, such as `en` or `pt-BR`.
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.message.locale = Some(locale.into());
        self
    }
}

impl<K: accepts::Login> LinkRequest<K> {
    /// A claim to add to the session.
    ///
    /// Descope's documentation allows 100 claims, names of 60 and values of 500 characters.
    /// Claims given here may come from a browser: authorise by roles and permissions instead.
    pub fn custom_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.login.custom_claims.insert(name.into(), value.into());
        self
    }

    /// Several claims: as [`custom_claim`](Self::custom_claim), one by one. A JSON object will do.
    ///
    /// ```
    /// # use descope_magiclink::{Client, DeliveryMethod, serde_json};
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    /// # let request = client.magic_link().sign_in(DeliveryMethod::Email, "joe@example.com");
    /// let claims: serde_json::Map<String, serde_json::Value> =
    ///     serde_json::from_str(r#"{ "plan": "pro", "seats": 5 }"#)?;
    /// let request = request.custom_claims(claims);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[doc(alias = "customClaims")]
    pub fn custom_claims<N, V>(self, claims: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<Value>,
    {
        let one_more = |request: Self, (name, value)| request.custom_claim(name, value);
        claims.into_iter().fold(self, one_more)
    }

    /// The tenant that the login is for; the session's current tenant.
    #[doc(alias = "tenantId")]
    pub fn tenant(mut self, id: impl Into<String>) -> Self {
        self.login.tenant_id = Some(id.into());
        self
    }
}

impl<K: accepts::SignIn> LinkRequest<K> {
    /// The SSO application that the login is for.
    #[doc(alias = "ssoAppId")]
    pub fn sso_app_id(mut self, id: impl Into<String>) -> Self {
        self.login.sso_app_id = Some(id.into());
        self
    }

    /// Ends the user's other sessions when the link is verified.
    #[doc(alias = "revokeOtherSessions")]
    pub fn revoke_other_sessions(mut self) -> Self {
        self.login.revoke_other_sessions = Some(true);
        self
    }

    /// As [`revoke_other_sessions`](Self::revoke_other_sessions), for some kinds of sessions
    /// only, one at least. Descope does not publish the kinds.
    pub fn revoke_other_sessions_of_types<I>(mut self, types: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.login.revoke_other_sessions = Some(true);
        self.login.revoke_other_sessions_types = Some(types.into_iter().map(Into::into).collect());
        self
    }
}

impl<K: accepts::Recovery> LinkRequest<K> {
    /// Delivers to the user's recovery address.
    pub fn use_recovery(mut self) -> Self {
        self.login.use_recovery = Some(true);
        self
    }
}

impl<K: accepts::Management> LinkRequest<K> {
    /// Makes the session that follows a stepped-up one.
    #[doc(alias = "stepup")]
    pub fn step_up(mut self) -> Self {
        self.login.step_up = Some(true);
        self
    }

    /// Counts the link as a further factor of the login.
    pub fn mfa(mut self) -> Self {
        self.login.mfa = Some(true);
        self
    }
}

/// An object of a request, which is left out where nothing would be in it.
pub(crate) fn unless_empty<T: Serialize>(object: T) -> Option<T> {
    let is_empty = serde_json::to_string(&object).is_ok_and(|text| text == "{}");
    (!is_empty).then_some(object)
}

// Of the options, whose values may be anything, nothing.
impl<K: fmt::Debug> fmt::Debug for LinkRequest<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkRequest")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
