//! The operations: one table for routing, authentication and the list of what is supported.

use crate::outbox::Channel;
use crate::world::{Call, Caller, Outcome, World};
use crate::world::{links, management, sessions};

/// Whose bearer an operation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// None at all.
    Open,
    /// The project id.
    Project,
    /// The project id; a refresh token when the sign-in builds on a session.
    ProjectOrRefresh,
    /// A refresh token.
    Refresh,
    /// A refresh token that may be missing or bad.
    MaybeRefresh,
    /// A session token.
    Session,
    /// An access key.
    AccessKey,
    /// The management key.
    Management,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

type Handler = fn(&mut World, &Call, &Caller) -> Outcome;

/// One operation.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) auth: Auth,
    pub(crate) handler: Handler,
    /// Why it is here although the API description lacks it.
    pub(crate) beyond: Option<&'static str>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

const fn described(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    auth: Auth,
    handler: Handler,
) -> Operation {
    Operation {
        id,
        verb,
        path,
        auth,
        handler,
        beyond: None,
    }
}

const fn beyond(
    id: &'static str,
    verb: Verb,
    path: &'static str,
    auth: Auth,
    handler: Handler,
    why: &'static str,
) -> Operation {
    Operation {
        id,
        verb,
        path,
        auth,
        handler,
        beyond: Some(why),
    }
}

/// The path that some SDKs use to update a phone number; answers only when the setting allows it.
pub(crate) const SHORT_UPDATE_PHONE: &str = "UpdateUserPhoneMagicLinkShort";

pub(crate) static OPERATIONS: &[Operation] = &[
    described(
        "SignUpMagicLinkEmail",
        Verb::Post,
        "/v1/auth/magiclink/signup/email",
        Auth::Project,
        |w, call, _| links::sign_up(w, call, Channel::Email),
    ),
    described(
        "SignUpMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/signup/sms",
        Auth::Project,
        |w, call, _| links::sign_up(w, call, Channel::Sms),
    ),
    described(
        "SignUpMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/signup/whatsapp",
        Auth::Project,
        |w, call, _| links::sign_up(w, call, Channel::WhatsApp),
    ),
    described(
        "SignInMagicLinkEmail",
        Verb::Post,
        "/v1/auth/magiclink/signin/email",
        Auth::ProjectOrRefresh,
        |w, call, by| links::sign_in(w, call, by, Channel::Email),
    ),
    described(
        "SignInMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/signin/sms",
        Auth::ProjectOrRefresh,
        |w, call, by| links::sign_in(w, call, by, Channel::Sms),
    ),
    described(
        "SignInMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/signin/whatsapp",
        Auth::ProjectOrRefresh,
        |w, call, by| links::sign_in(w, call, by, Channel::WhatsApp),
    ),
    described(
        "SignUpOrInMagicLinkEmail",
        Verb::Post,
        "/v1/auth/magiclink/signup-in/email",
        Auth::ProjectOrRefresh,
        |w, call, by| links::sign_up_or_in(w, call, by, Channel::Email),
    ),
    described(
        "SignUpOrInMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/signup-in/sms",
        Auth::ProjectOrRefresh,
        |w, call, by| links::sign_up_or_in(w, call, by, Channel::Sms),
    ),
    described(
        "SignUpOrInMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/signup-in/whatsapp",
        Auth::ProjectOrRefresh,
        |w, call, by| links::sign_up_or_in(w, call, by, Channel::WhatsApp),
    ),
    described(
        "VerifyMagicLink",
        Verb::Post,
        "/v1/auth/magiclink/verify",
        Auth::Project,
        |w, call, _| links::verify(w, call),
    ),
    described(
        "UpdateUserEmailMagicLink",
        Verb::Post,
        "/v1/auth/magiclink/update/email",
        Auth::Refresh,
        |w, call, by| links::update(w, call, by, Channel::Email),
    ),
    described(
        "UpdateUserPhoneMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/update/phone/sms",
        Auth::Refresh,
        |w, call, by| links::update(w, call, by, Channel::Sms),
    ),
    described(
        "UpdateUserPhoneMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/update/phone/whatsapp",
        Auth::Refresh,
        |w, call, by| links::update(w, call, by, Channel::WhatsApp),
    ),
    described(
        "RefreshSession",
        Verb::Post,
        "/v1/auth/refresh",
        Auth::Refresh,
        sessions::refresh,
    ),
    described(
        "TryRefreshSession",
        Verb::Post,
        "/v1/auth/try-refresh",
        Auth::MaybeRefresh,
        sessions::try_refresh,
    ),
    described(
        "Logout",
        Verb::Post,
        "/v1/auth/logout",
        Auth::Refresh,
        sessions::logout,
    ),
    described(
        "LogoutAllDevices",
        Verb::Post,
        "/v1/auth/logoutall",
        Auth::Refresh,
        sessions::logout_all,
    ),
    described("Me", Verb::Get, "/v1/auth/me", Auth::Refresh, sessions::me),
    described(
        "MeAuthHistory",
        Verb::Get,
        "/v1/auth/me/history",
        Auth::Refresh,
        sessions::history,
    ),
    described(
        "MyTenants",
        Verb::Post,
        "/v1/auth/me/tenants",
        Auth::Refresh,
        sessions::my_tenants,
    ),
    described(
        "SelectTenant",
        Verb::Post,
        "/v1/auth/tenant/select",
        Auth::Refresh,
        sessions::select_tenant,
    ),
    described(
        "ValidateSession",
        Verb::Post,
        "/v1/auth/validate",
        Auth::Session,
        sessions::validate,
    ),
    described(
        "GetKeysV2",
        Verb::Get,
        "/v2/keys/{projectId}",
        Auth::Open,
        sessions::keys,
    ),
    described(
        "ExchangeAccessKey",
        Verb::Post,
        "/v1/auth/accesskey/exchange",
        Auth::AccessKey,
        sessions::exchange,
    ),
    described(
        "CreateTestUser",
        Verb::Post,
        "/v1/mgmt/user/create/test",
        Auth::Management,
        |w, call, _| management::create_user(w, call, true),
    ),
    described(
        "GenerateMagicLinkForTestUser",
        Verb::Post,
        "/v1/mgmt/tests/generate/magiclink",
        Auth::Management,
        |w, call, _| management::generate_link(w, call),
    ),
    described(
        "DeleteAllTestUsers",
        Verb::Delete,
        "/v1/mgmt/user/test/delete/all",
        Auth::Management,
        |w, _, _| management::delete_test_users(w),
    ),
    described(
        "EmbeddedLinkSignin",
        Verb::Post,
        "/v1/mgmt/user/signin/embeddedlink",
        Auth::Management,
        |w, call, _| management::embedded_sign_in(w, call),
    ),
    described(
        "EmbeddedLinkSignup",
        Verb::Post,
        "/v1/mgmt/user/signup/embeddedlink",
        Auth::Management,
        |w, call, _| management::embedded_sign_up(w, call),
    ),
    described(
        "LoadUser",
        Verb::Get,
        "/v1/mgmt/user",
        Auth::Management,
        |w, call, _| management::load_user(w, call),
    ),
    described(
        "DeleteUser",
        Verb::Post,
        "/v1/mgmt/user/delete",
        Auth::Management,
        |w, call, _| management::delete_user(w, call),
    ),
    described(
        "LogoutAllUserDevices",
        Verb::Post,
        "/v1/mgmt/user/logout",
        Auth::Management,
        |w, call, _| management::logout_user(w, call),
    ),
    described(
        "LicenseHandshake",
        Verb::Get,
        "/v1/mgmt/license",
        Auth::Management,
        |_, _, _| management::license(),
    ),
    beyond(
        SHORT_UPDATE_PHONE,
        Verb::Post,
        "/v1/auth/magiclink/update/phone",
        Auth::Refresh,
        links::update_phone_short,
        "the Python and Ruby SDKs call it; answers 404 unless `short_update_phone` is on",
    ),
    beyond(
        "RefreshSessionGet",
        Verb::Get,
        "/v1/auth/refresh",
        Auth::Refresh,
        sessions::refresh,
        "in the .NET SDK's generated models only",
    ),
    beyond(
        "GetKeys",
        Verb::Get,
        "/v1/keys/{projectId}",
        Auth::Open,
        sessions::keys_v1,
        "the older form of the key set",
    ),
    beyond(
        "CreateUser",
        Verb::Post,
        "/v1/mgmt/user/create",
        Auth::Management,
        |w, call, _| management::create_user(w, call, false),
        "the Java SDK creates test users with it",
    ),
];

pub(crate) fn by_id(id: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_and_routes_are_unique() {
        let ids: HashSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len());
        let routes: HashSet<_> = OPERATIONS
            .iter()
            .map(|operation| (operation.verb.as_str(), operation.path))
            .collect();
        assert_eq!(routes.len(), OPERATIONS.len());
    }
}
