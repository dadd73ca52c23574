//! Management operations: test users, generated and embedded links, and their neighbours.

use serde_json::json;

use super::call::{Call, Outcome};
use super::magic_link::with_token;
use crate::address;
use crate::error::ApiError;
use crate::state::State;
use crate::state::clock::{Millis, millis};
use crate::state::links::{Action, Login};
use crate::state::messages::Channel;
use crate::state::tokens::refuse_disabled;
use crate::state::users::{Status, UserRecord};

impl State {
    /// The user that a request names by `loginId` or `userId`.
    fn named<'a>(
        &'a self,
        login_id: Option<&str>,
        user_id: Option<&str>,
    ) -> Result<&'a UserRecord, ApiError> {
        let found = match (user_id, login_id) {
            (Some(id), _) => self.users.get(id),
            (None, Some(login_id)) => self.users.by_login_id(login_id),
            (None, None) => return Err(ApiError::missing("Missing loginId or userId")),
        };
        found.ok_or_else(ApiError::management_user_not_found)
    }
}

pub(super) fn create_user(state: &mut State, call: &Call, test: bool) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let test = test || fields.flag("test")?;
    if let Some(known) = state.users.by_login_id(login_id) {
        // Creating a test user again is seen to succeed.
        if known.test && test {
            return Ok(json!({ "user": state.project.user_json(known), "created": false }).into());
        }
        return Err(ApiError::user_exists(state.settings.conflict_status));
    }
    let mut record = state.new_user(login_id)?;
    fields.fill_profile(&mut record)?;
    for (member, fits) in [
        ("email", address::is_email as fn(&str) -> bool),
        ("phone", address::is_phone),
    ] {
        if record
            .profile
            .get(member)
            .is_some_and(|address| !fits(address))
        {
            return Err(ApiError::invalid(format!(
                "The {member} argument is invalid"
            )));
        }
    }
    let own_address = !record.profile.contains_key("email");
    record.fill_addresses();
    // An address that came from the login id counts as verified unless the request says otherwise.
    let is_verified = fields.maybe_flag("verifiedEmail")?.unwrap_or(own_address);
    record.set_verified("email", is_verified);
    record.set_verified("phone", fields.flag("verifiedPhone")?);
    record.set_verified("recoveryEmail", fields.flag("verifiedRecoveryEmail")?);
    record.set_verified("recoveryPhone", fields.flag("verifiedRecoveryPhone")?);
    record.roles = fields.strings("roleNames")?.unwrap_or_default();
    record.sso_apps = fields.strings("ssoAppIds")?.unwrap_or_default();
    for tenant in fields.objects("userTenants")? {
        let id = tenant.needed("tenantId")?;
        record.tenants.insert(
            id.to_owned(),
            tenant.strings("roleNames")?.unwrap_or_default(),
        );
    }
    state
        .project
        .admit(&record.roles, &record.tenants)
        .map_err(ApiError::invalid)?;
    record.attributes = fields
        .object("customAttributes")?
        .cloned()
        .unwrap_or_default();
    record.status = match fields.text("status")? {
        None | Some("invited") => Status::Invited,
        Some("enabled") => Status::Enabled,
        Some("disabled") => Status::Disabled,
        Some(_) => {
            return Err(ApiError::invalid(
                "The status argument must be enabled, disabled or invited",
            ));
        }
    };
    record.test = test;
    for more in fields.strings("additionalIdentifiers")?.unwrap_or_default() {
        if more.is_empty() || state.users.owner(&more).is_some() {
            return Err(ApiError::user_exists(state.settings.conflict_status));
        }
        if !record.login_ids.contains(&more) {
            record.login_ids.push(more);
        }
    }
    let user = state.project.user_json(&record);
    state.users.insert(record);
    Ok(json!({ "user": user, "created": true }).into())
}

pub(super) fn generate_link(state: &mut State, call: &Call) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let channel = match fields.text("deliveryMethod")? {
        None | Some("email" | "Embedded" | "embedded") => Channel::Email,
        Some("sms") => Channel::Sms,
        Some("whatsapp") => Channel::WhatsApp,
        Some(_) => {
            return Err(ApiError::invalid(
                "The deliveryMethod argument must be email, sms, whatsapp or Embedded",
            ));
        }
    };
    let redirect = state.redirect(fields)?;
    let login = state.login_terms(fields.inner("loginOptions", "loginOptions.")?)?;
    let record = state
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::management_user_not_found)?;
    if !record.test {
        return Err(ApiError::invalid(format!(
            "The user {login_id} is not a test user"
        )));
    }
    refuse_disabled(record)?;
    let id = record.id.clone();
    let lifetime = millis(state.settings.link_lifetime);
    let (token, _) = state.issue_link(id, channel, Action::Login(login), lifetime)?;
    Ok(json!({ "loginId": login_id, "link": with_token(redirect, &token) }).into())
}

pub(super) fn delete_test_users(state: &mut State) -> Outcome {
    for id in state.users.test_ids() {
        state.remove_user(&id);
    }
    Ok(json!({}).into())
}

/// Lifetime of an embedded link: seconds in the request, or the project's setting.
fn timeout(state: &State, call: &Call) -> Result<Millis, ApiError> {
    match call.fields().integer("timeout")? {
        None | Some(0) => Ok(millis(state.settings.link_lifetime)),
        Some(seconds) if seconds > 0 => Ok(seconds.saturating_mul(1000)),
        Some(_) => Err(ApiError::invalid(
            "The timeout argument must not be negative",
        )),
    }
}

fn embedded(state: &mut State, id: &str, login: Login, lifetime: Millis) -> Outcome {
    let (token, _) = state.issue_link(
        id.to_owned(),
        Channel::Email,
        Action::Login(login),
        lifetime,
    )?;
    let record = state
        .users
        .get(id)
        .ok_or_else(ApiError::management_user_not_found)?;
    Ok(json!({
        "token": token,
        "maskedEmail": record.email().map(address::mask_email).unwrap_or_default(),
        "maskedPhone": record.phone().map(address::mask_phone).unwrap_or_default(),
    })
    .into())
}

pub(super) fn embedded_sign_in(state: &mut State, call: &Call) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let lifetime = timeout(state, call)?;
    let login = Login {
        claims: fields.custom_claims()?,
        ..Login::default()
    };
    let record = state
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::management_user_not_found)?;
    refuse_disabled(record)?;
    let id = record.id.clone();
    embedded(state, &id, login, lifetime)
}

pub(super) fn embedded_sign_up(state: &mut State, call: &Call) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let lifetime = timeout(state, call)?;
    let user = fields.inner("user", "user.")?;
    let login = state.login_terms(fields.inner("loginOptions", "loginOptions.")?)?;
    let (email_verified, phone_verified) =
        (fields.flag("emailVerified")?, fields.flag("phoneVerified")?);
    let id = match state.users.by_login_id(login_id) {
        Some(record) => {
            refuse_disabled(record)?;
            if let Some(tenant) = &login.tenant
                && !record.tenants.contains_key(tenant)
            {
                return Err(ApiError::invalid(format!(
                    "The user is not a member of the tenant {tenant}"
                )));
            }
            record.id.clone()
        }
        None => {
            let id = state.register(login_id, user, None, login.tenant.as_deref())?;
            state.users.change(&id, |record| {
                record.set_verified("email", email_verified);
                record.set_verified("phone", phone_verified);
            });
            id
        }
    };
    embedded(state, &id, login, lifetime)
}

pub(super) fn load_user(state: &mut State, call: &Call) -> Outcome {
    let record = state.named(
        call.query("loginId").or_else(|| call.query("identifier")),
        call.query("userId"),
    )?;
    Ok(json!({ "user": state.project.user_json(record) }).into())
}

pub(super) fn delete_user(state: &mut State, call: &Call) -> Outcome {
    let fields = call.fields();
    let id = state
        .named(fields.text("loginId")?, fields.text("userId")?)?
        .id
        .clone();
    state.remove_user(&id);
    Ok(json!({}).into())
}

pub(super) fn logout_user(state: &mut State, call: &Call) -> Outcome {
    let fields = call.fields();
    fields.strings("sessionTypes")?;
    let id = state
        .named(fields.text("loginId")?, fields.text("userId")?)?
        .id
        .clone();
    state.sessions.end_of_user(&id, None);
    Ok(json!({}).into())
}

pub(super) fn license() -> Outcome {
    Ok(json!({ "rateLimitTier": "tier1" }).into())
}
