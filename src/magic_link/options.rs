//! What the requests that end in a link have in common.

use std::collections::BTreeMap;

use serde::Serialize;

use super::address;
use crate::error::{Error, Result};
use crate::raw::types;
use crate::transport::body::Members;

/// How a message is made and where its link leads.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageOptions {
    pub(crate) redirect_url: Option<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) template_id: Option<String>,
    pub(crate) template_options: Members<BTreeMap<String, String>>,
    pub(crate) locale: Option<String>,
}

impl MessageOptions {
    /// The page that the link opens, if it can be one.
    pub(crate) fn redirect_url(&mut self) -> Result<Option<String>> {
        self.redirect_url
            .take()
            .map(|url| address::redirect_url(&url))
            .transpose()
    }
}

/// What is put into the session that follows, and what becomes of others.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoginOptions {
    pub(crate) step_up: Option<bool>,
    pub(crate) mfa: Option<bool>,
    pub(crate) tenant_id: Option<String>,
    pub(crate) custom_claims: Members,
    pub(crate) sso_app_id: Option<String>,
    pub(crate) revoke_other_sessions: Option<bool>,
    pub(crate) revoke_other_sessions_types: Option<Vec<String>>,
}

impl LoginOptions {
    /// The part of a request that has an object of its own; `None` when that would be empty.
    pub(crate) fn into_body(self, message: MessageOptions) -> Result<Option<types::LoginOptions>> {
        let types = self.revoke_other_sessions_types;
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
            custom_claims: self.custom_claims,
            locale: message.locale,
            mfa: self.mfa,
            revoke_other_sessions: self.revoke_other_sessions,
            revoke_other_sessions_types: types.unwrap_or_default(),
            sso_app_id: self.sso_app_id,
            stepup: self.step_up,
            template_id: message.template_id,
            template_options: message.template_options,
            tenant_id: self.tenant_id,
            ..Default::default()
        }))
    }
}

/// An object of a request, which is left out where nothing would be in it.
pub(crate) fn unless_empty<T: Serialize>(object: T) -> Option<T> {
    let is_empty = serde_json::to_string(&object).is_ok_and(|text| text == "{}");
    (!is_empty).then_some(object)
}

/// The setters that several requests have, written once: each request has a page of its own in the
/// documentation with all that it takes. The types have fields `message` and `login`.
macro_rules! setters {
    ($($name:ident: $($group:ident)+;)+) => {$(
        impl $name {
            $($crate::magic_link::options::setters! { @$group })+
        }
    )+};

    (@redirect_url) => {
        /// The page that the link opens, with the token in its query parameter `t`. Its domain must
        /// be approved in the project; without it the project's setting is used.
        ///
        /// It may have a query, but none with a `t`, and no fragment: the token would not be found.
        pub fn redirect_url(mut self, url: impl Into<String>) -> Self {
            self.message.redirect_url = Some(url.into());
            self
        }
    };

    (@provider_id) => {
        /// The connector that delivers the message, by its id.
        pub fn provider_id(mut self, id: impl Into<String>) -> Self {
            self.message.provider_id = Some(id.into());
            self
        }
    };

    (@template) => {
        /// The message's template, by its id.
        pub fn template_id(mut self, id: impl Into<String>) -> Self {
            self.message.template_id = Some(id.into());
            self
        }

        /// A value for a placeholder of the message's template.
        pub fn template_option(
            mut self,
            name: impl Into<String>,
            value: impl Into<String>,
        ) -> Self {
            self.message.template_options.insert(name.into(), value.into());
            self
        }

        /// The message's language, such as `en` or `pt-BR`.
        pub fn locale(mut self, locale: impl Into<String>) -> Self {
            self.message.locale = Some(locale.into());
            self
        }
    };

    (@custom_claim) => {
        /// A claim to add to the session.
        ///
        /// Descope's documentation allows 100 claims, names of 60 and values of 500 characters.
        /// Claims given here may come from a browser: authorise by roles and permissions instead.
        pub fn custom_claim(
            mut self,
            name: impl Into<String>,
            value: impl Into<serde_json::Value>,
        ) -> Self {
            self.login.custom_claims.insert(name.into(), value.into());
            self
        }
    };

    (@tenant_id) => {
        /// The tenant that the login is for; the session's current tenant.
        pub fn tenant(mut self, id: impl Into<String>) -> Self {
            self.login.tenant_id = Some(id.into());
            self
        }
    };

    (@sign_in) => {
        /// The SSO application that the login is for.
        pub fn sso_app_id(mut self, id: impl Into<String>) -> Self {
            self.login.sso_app_id = Some(id.into());
            self
        }

        /// Ends the user's other sessions when the link is verified.
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
            self.login.revoke_other_sessions_types =
                Some(types.into_iter().map(Into::into).collect());
            self
        }
    };

    (@recovery) => {
        /// Delivers to the user's recovery address.
        pub fn use_recovery(mut self) -> Self {
            self.use_recovery = Some(true);
            self
        }
    };

    // For links that a management key asks for; a sign-in needs the user's refresh token for these.
    (@second_factor) => {
        /// Makes the session that follows a stepped-up one.
        pub fn step_up(mut self) -> Self {
            self.login.step_up = Some(true);
            self
        }

        /// Counts the link as a further factor of the login.
        pub fn mfa(mut self) -> Self {
            self.login.mfa = Some(true);
            self
        }
    };
}

pub(crate) use setters;
