//! The operations: one table for routing, authentication and the list of what is supported.

use super::call::{Auth, Call, Caller, Outcome};
use super::{access_keys, keys, magic_link, management, me, sessions};
use crate::nearest::{distance, suggestion};
use crate::state::State;
use crate::state::messages::Channel;

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

type Handler = fn(&mut State, &Call, &Caller) -> Outcome;

/// One operation.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) auth: Auth,
    pub(crate) handler: Handler,
    /// Why it is here although the API description lacks it.
    pub(crate) undocumented: Option<&'static str>,
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
        undocumented: None,
    }
}

const fn undocumented(
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
        undocumented: Some(why),
    }
}

/// The path that some SDKs use to update a phone number, there only when the setting allows it.
pub(crate) const SHORT_UPDATE_PHONE: &str = "UpdateUserPhoneMagicLinkShort";

pub(crate) static OPERATIONS: &[Operation] = &[
    described(
        "SignUpMagicLinkEmail",
        Verb::Post,
        "/v1/auth/magiclink/signup/email",
        Auth::Project,
        |s, call, _| magic_link::sign_up(s, call, Channel::Email),
    ),
    described(
        "SignUpMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/signup/sms",
        Auth::Project,
        |s, call, _| magic_link::sign_up(s, call, Channel::Sms),
    ),
    described(
        "SignUpMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/signup/whatsapp",
        Auth::Project,
        |s, call, _| magic_link::sign_up(s, call, Channel::WhatsApp),
    ),
    described(
        "SignInMagicLinkEmail",
        Verb::Post,
        "/v1/auth/magiclink/signin/email",
        Auth::ProjectOrRefresh,
        |s, call, by| magic_link::sign_in(s, call, by, Channel::Email),
    ),
    described(
        "SignInMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/signin/sms",
        Auth::ProjectOrRefresh,
        |s, call, by| magic_link::sign_in(s, call, by, Channel::Sms),
    ),
    described(
        "SignInMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/signin/whatsapp",
        Auth::ProjectOrRefresh,
        |s, call, by| magic_link::sign_in(s, call, by, Channel::WhatsApp),
    ),
    described(
        "SignUpOrInMagicLinkEmail",
        Verb::Post,
        "/v1/auth/magiclink/signup-in/email",
        Auth::Project,
        |s, call, _| magic_link::sign_up_or_in(s, call, Channel::Email),
    ),
    described(
        "SignUpOrInMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/signup-in/sms",
        Auth::Project,
        |s, call, _| magic_link::sign_up_or_in(s, call, Channel::Sms),
    ),
    described(
        "SignUpOrInMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/signup-in/whatsapp",
        Auth::Project,
        |s, call, _| magic_link::sign_up_or_in(s, call, Channel::WhatsApp),
    ),
    described(
        "VerifyMagicLink",
        Verb::Post,
        "/v1/auth/magiclink/verify",
        Auth::Project,
        |s, call, _| magic_link::verify(s, call),
    ),
    described(
        "UpdateUserEmailMagicLink",
        Verb::Post,
        "/v1/auth/magiclink/update/email",
        Auth::Refresh,
        |s, call, by| magic_link::update(s, call, by, Channel::Email),
    ),
    described(
        "UpdateUserPhoneMagicLinkSMS",
        Verb::Post,
        "/v1/auth/magiclink/update/phone/sms",
        Auth::Refresh,
        |s, call, by| magic_link::update(s, call, by, Channel::Sms),
    ),
    described(
        "UpdateUserPhoneMagicLinkWhatsApp",
        Verb::Post,
        "/v1/auth/magiclink/update/phone/whatsapp",
        Auth::Refresh,
        |s, call, by| magic_link::update(s, call, by, Channel::WhatsApp),
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
    described("Me", Verb::Get, "/v1/auth/me", Auth::Refresh, me::me),
    described(
        "MeAuthHistory",
        Verb::Get,
        "/v1/auth/me/history",
        Auth::Refresh,
        me::history,
    ),
    described(
        "MyTenants",
        Verb::Post,
        "/v1/auth/me/tenants",
        Auth::Refresh,
        me::tenants,
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
        keys::keys,
    ),
    described(
        "ExchangeAccessKey",
        Verb::Post,
        "/v1/auth/accesskey/exchange",
        Auth::AccessKey,
        access_keys::exchange,
    ),
    described(
        "CreateTestUser",
        Verb::Post,
        "/v1/mgmt/user/create/test",
        Auth::Management,
        |s, call, _| management::create_user(s, call, true),
    ),
    described(
        "GenerateMagicLinkForTestUser",
        Verb::Post,
        "/v1/mgmt/tests/generate/magiclink",
        Auth::Management,
        |s, call, _| management::generate_link(s, call),
    ),
    described(
        "DeleteAllTestUsers",
        Verb::Delete,
        "/v1/mgmt/user/test/delete/all",
        Auth::Management,
        |s, _, _| management::delete_test_users(s),
    ),
    described(
        "EmbeddedLinkSignin",
        Verb::Post,
        "/v1/mgmt/user/signin/embeddedlink",
        Auth::Management,
        |s, call, _| management::embedded_sign_in(s, call),
    ),
    described(
        "EmbeddedLinkSignup",
        Verb::Post,
        "/v1/mgmt/user/signup/embeddedlink",
        Auth::Management,
        |s, call, _| management::embedded_sign_up(s, call),
    ),
    described(
        "LoadUser",
        Verb::Get,
        "/v1/mgmt/user",
        Auth::Management,
        |s, call, _| management::load_user(s, call),
    ),
    described(
        "DeleteUser",
        Verb::Post,
        "/v1/mgmt/user/delete",
        Auth::Management,
        |s, call, _| management::delete_user(s, call),
    ),
    described(
        "LogoutAllUserDevices",
        Verb::Post,
        "/v1/mgmt/user/logout",
        Auth::Management,
        |s, call, _| management::logout_user(s, call),
    ),
    described(
        "LicenseHandshake",
        Verb::Get,
        "/v1/mgmt/license",
        Auth::Management,
        |_, _, _| management::license(),
    ),
    undocumented(
        SHORT_UPDATE_PHONE,
        Verb::Post,
        "/v1/auth/magiclink/update/phone",
        Auth::Refresh,
        magic_link::update_phone_short,
        "the Python and Ruby SDKs call it; responds with 404 unless `short_update_phone` is on",
    ),
    undocumented(
        "RefreshSessionGet",
        Verb::Get,
        "/v1/auth/refresh",
        Auth::Refresh,
        sessions::refresh,
        "in the .NET SDK's generated models only",
    ),
    undocumented(
        "GetKeys",
        Verb::Get,
        "/v1/keys/{projectId}",
        Auth::Open,
        keys::keys_v1,
        "the older form of the key set",
    ),
    undocumented(
        "CreateUser",
        Verb::Post,
        "/v1/mgmt/user/create",
        Auth::Management,
        |s, call, _| management::create_user(s, call, false),
        "the Java SDK creates test users with it",
    ),
];

/// Fails for what is no operation id, with the one that was probably meant.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    if OPERATIONS.iter().any(|operation| operation.id == id) {
        return Ok(());
    }
    let near = suggestion(id, OPERATIONS.iter().map(|operation| operation.id));
    Err(format!(
        "{id:?} is no operation id{near}; the module `supported` of the docs lists them, as SUPPORTED.md"
    ))
}

/// First segments of paths of the service that are not emulated.
const OTHER_AUTH: [(&str, &str); 11] = [
    ("otp", "one-time codes"),
    ("enchantedlink", "enchanted links"),
    ("oauth", "OAuth"),
    ("saml", "SAML"),
    ("sso", "SSO"),
    ("totp", "authenticator apps"),
    ("webauthn", "passkeys"),
    ("password", "passwords"),
    ("notp", "nOTP"),
    ("flow", "flows"),
    ("fedcm", "FedCM"),
];

/// What a path that no operation has belongs to, when the service has such paths: the emulator lacks them.
pub(crate) fn family(path: &str) -> Option<&'static str> {
    let mut segments = path.trim_start_matches('/').split('/');
    segments
        .next()
        .filter(|version| matches!(*version, "v1" | "v2"))?;
    // A path that is all but one of the table's is a typo, whatever the service may have there.
    if nearest_path(path).is_some() {
        return None;
    }
    match (segments.next()?, segments.next()?) {
        ("auth", family) => OTHER_AUTH
            .iter()
            .find(|(known, _)| *known == family)
            .map(|(_, what)| *what),
        ("mgmt", _) => Some("a management operation"),
        _ => None,
    }
}

/// The path of an operation that is a letter or two away.
fn nearest_path(path: &str) -> Option<&'static str> {
    paths_by_distance(path)
        .filter(|(far, _)| (1..=2).contains(far))
        .min_by_key(|(far, _)| *far)
        .map(|(_, known)| known)
}

/// The path of an operation that looks most like this one.
pub(crate) fn most_like(path: &str) -> Option<&'static str> {
    let limit = path.chars().count() / 3;
    paths_by_distance(path)
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, known)| known)
}

fn paths_by_distance(path: &str) -> impl Iterator<Item = (usize, &'static str)> {
    // Nothing is that long, and the comparison takes the product of both lengths.
    let path: String = path.chars().take(200).collect();
    let known = OPERATIONS.iter().map(|operation| operation.path);
    known.map(move |known| (distance(&path, known), known))
}

/// One operation that the emulator has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupportedOperation {
    /// The operation id of the API description, such as `VerifyMagicLink`.
    pub id: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with a parameter in braces.
    pub path: &'static str,
    /// What the bearer holds, in words.
    pub bearer: &'static str,
    /// Why it is here although the API description lacks it.
    pub undocumented: Option<&'static str>,
}

/// Every operation that the emulator has.
///
/// ```
/// let operations = descope_magiclink_emulator::supported_operations();
/// assert!(operations.iter().any(|operation| operation.id == "VerifyMagicLink"));
/// ```
#[must_use]
pub fn supported_operations() -> Vec<SupportedOperation> {
    OPERATIONS
        .iter()
        .map(|operation| SupportedOperation {
            id: operation.id,
            method: operation.verb.as_str(),
            path: operation.path,
            bearer: match operation.auth {
                Auth::Open => "nothing",
                Auth::Project => "project id",
                Auth::ProjectOrRefresh => "project id; refresh token for step-up and MFA",
                Auth::Refresh => "refresh token",
                Auth::MaybeRefresh => "refresh token, may be missing or bad",
                Auth::Session => "session token",
                Auth::AccessKey => "access key",
                Auth::Management => "management key",
            },
            undocumented: operation.undocumented,
        })
        .collect()
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

    #[test]
    fn a_typo_is_no_other_method_of_the_service() {
        for typo in [
            "/v1/auth/magiclink/signin/voice",
            "/v1/auth/magiclink/sigin/email",
            "/v1/mgmt/usr",
            "/v3/auth/refresh",
            "/v1/authh/refresh",
        ] {
            assert_eq!(family(typo), None, "{typo}");
        }
        assert_eq!(family("/v1/auth/otp/signin/email"), Some("one-time codes"));
        assert_eq!(
            family("/v1/mgmt/tenant/create"),
            Some("a management operation")
        );
        assert_eq!(
            most_like("/v1/auth/magiclink/signin/voice"),
            Some("/v1/auth/magiclink/signin/email")
        );
        assert_eq!(most_like("/favicon.ico"), None);
    }
}
