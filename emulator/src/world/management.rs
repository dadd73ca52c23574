//! Management operations: test users, generated and embedded links, and their neighbours.

use serde_json::json;

use super::links::{Action, Login, custom_claims, refuse_disabled, with_token};
use super::users::{Person, Status};
use super::{Call, Outcome, World};
use crate::address;
use crate::clock::{Millis, millis};
use crate::error::ApiError;

impl World {
    /// The user that a request names by `loginId` or `userId`.
    fn named<'a>(
        &'a self,
        login_id: Option<&str>,
        user_id: Option<&str>,
    ) -> Result<&'a Person, ApiError> {
        let found = match (user_id, login_id) {
            (Some(id), _) => self.users.get(id),
            (None, Some(login_id)) => self.users.by_login_id(login_id),
            (None, None) => return Err(ApiError::missing("Missing loginId or userId")),
        };
        found.ok_or_else(ApiError::management_user_not_found)
    }

    /// Removes a user and ends their sessions.
    pub(crate) fn remove_user(&mut self, id: &str) -> bool {
        self.sessions.end_of_user(id, None);
        self.users.remove(id).is_some()
    }
}

pub(crate) fn create_user(world: &mut World, call: &Call, test: bool) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let test = test || fields.flag("test")?;
    if let Some(known) = world.users.by_login_id(login_id) {
        // Creating a test user again is seen to succeed.
        if known.test && test {
            return Ok(json!({ "user": world.user_json(known), "created": false }).into());
        }
        return Err(ApiError::user_exists(world.settings.conflict_status));
    }
    let mut person = world.new_person(login_id)?;
    person.apply_profile(fields)?;
    for (member, fits) in [
        ("email", address::is_email as fn(&str) -> bool),
        ("phone", address::is_phone),
    ] {
        if person
            .profile
            .get(member)
            .is_some_and(|address| !fits(address))
        {
            return Err(ApiError::invalid(format!(
                "The {member} argument is invalid"
            )));
        }
    }
    let own_address = !person.profile.contains_key("email");
    World::fill_addresses(&mut person);
    // An address that came from the login id counts as verified unless the request says otherwise.
    person.verified_email = fields
        .maybe_flag("verifiedEmail")?
        .unwrap_or(own_address && person.profile.contains_key("email"));
    person.verified_phone = fields.flag("verifiedPhone")?;
    person.verified_recovery_email = fields.flag("verifiedRecoveryEmail")?;
    person.verified_recovery_phone = fields.flag("verifiedRecoveryPhone")?;
    person.roles = fields.strings("roleNames")?.unwrap_or_default();
    person.sso_apps = fields.strings("ssoAppIds")?.unwrap_or_default();
    for tenant in fields.objects("userTenants")? {
        let id = tenant.needed("tenantId")?;
        person.tenants.insert(
            id.to_owned(),
            tenant.strings("roleNames")?.unwrap_or_default(),
        );
    }
    person.attributes = fields
        .object("customAttributes")?
        .cloned()
        .unwrap_or_default();
    person.status = match fields.text("status")? {
        None | Some("invited") => Status::Invited,
        Some("enabled") => Status::Enabled,
        Some("disabled") => Status::Disabled,
        Some(_) => {
            return Err(ApiError::invalid(
                "The status argument must be enabled, disabled or invited",
            ));
        }
    };
    person.test = test;
    for more in fields.strings("additionalIdentifiers")?.unwrap_or_default() {
        if more.is_empty() || world.users.owner(&more).is_some() {
            return Err(ApiError::user_exists(world.settings.conflict_status));
        }
        if !person.login_ids.contains(&more) {
            person.login_ids.push(more);
        }
    }
    let user = world.user_json(&person);
    world.users.insert(person);
    Ok(json!({ "user": user, "created": true }).into())
}

pub(crate) fn generate_link(world: &mut World, call: &Call) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let method = match fields.text("deliveryMethod")? {
        None | Some("email" | "Embedded" | "embedded") => "email",
        Some("sms") => "sms",
        Some("whatsapp") => "whatsapp",
        Some(_) => {
            return Err(ApiError::invalid(
                "The deliveryMethod argument must be email, sms, whatsapp or Embedded",
            ));
        }
    };
    let redirect = world.redirect(fields)?;
    let login = world.login_terms(fields.inner("loginOptions", "loginOptions.")?)?;
    let person = world
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::management_user_not_found)?;
    if !person.test {
        return Err(ApiError::invalid(format!(
            "The user {login_id} is not a test user"
        )));
    }
    refuse_disabled(person)?;
    let id = person.id.clone();
    let lifetime = millis(world.settings.link_lifetime);
    let (token, _) = world.issue(id, method, Action::Login(login), lifetime)?;
    Ok(json!({ "loginId": login_id, "link": with_token(redirect, &token) }).into())
}

pub(crate) fn delete_test_users(world: &mut World) -> Outcome {
    for id in world.users.test_ids() {
        world.remove_user(&id);
    }
    Ok(json!({}).into())
}

/// Lifetime of an embedded link: seconds in the request, or the project's setting.
fn timeout(world: &World, call: &Call) -> Result<Millis, ApiError> {
    match call.fields().integer("timeout")? {
        None | Some(0) => Ok(millis(world.settings.link_lifetime)),
        Some(seconds) if seconds > 0 => Ok(seconds.saturating_mul(1000)),
        Some(_) => Err(ApiError::invalid(
            "The timeout argument must not be negative",
        )),
    }
}

fn embedded(world: &mut World, id: &str, login: Login, lifetime: Millis) -> Outcome {
    let (token, _) = world.issue(id.to_owned(), "email", Action::Login(login), lifetime)?;
    let person = world
        .users
        .get(id)
        .ok_or_else(ApiError::management_user_not_found)?;
    Ok(json!({
        "token": token,
        "maskedEmail": person.email().map(address::mask_email).unwrap_or_default(),
        "maskedPhone": person.phone().map(address::mask_phone).unwrap_or_default(),
    })
    .into())
}

pub(crate) fn embedded_sign_in(world: &mut World, call: &Call) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let lifetime = timeout(world, call)?;
    let login = Login {
        claims: custom_claims(fields)?,
        ..Login::default()
    };
    let person = world
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::management_user_not_found)?;
    refuse_disabled(person)?;
    let id = person.id.clone();
    embedded(world, &id, login, lifetime)
}

pub(crate) fn embedded_sign_up(world: &mut World, call: &Call) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let lifetime = timeout(world, call)?;
    let user = fields.inner("user", "user.")?;
    let login = world.login_terms(fields.inner("loginOptions", "loginOptions.")?)?;
    let (email_verified, phone_verified) =
        (fields.flag("emailVerified")?, fields.flag("phoneVerified")?);
    let id = match world.users.by_login_id(login_id) {
        Some(person) => {
            refuse_disabled(person)?;
            if let Some(tenant) = &login.tenant
                && !person.tenants.contains_key(tenant)
            {
                return Err(ApiError::invalid(format!(
                    "The user is not a member of the tenant {tenant}"
                )));
            }
            person.id.clone()
        }
        None => {
            let id = world.register(login_id, user, None, login.tenant.as_deref())?;
            if let Some(person) = world.users.get_mut(&id) {
                person.verified_email = email_verified && person.email().is_some();
                person.verified_phone = phone_verified && person.phone().is_some();
            }
            id
        }
    };
    embedded(world, &id, login, lifetime)
}

pub(crate) fn load_user(world: &mut World, call: &Call) -> Outcome {
    let person = world.named(
        call.query("loginId").or_else(|| call.query("identifier")),
        call.query("userId"),
    )?;
    Ok(json!({ "user": world.user_json(person) }).into())
}

pub(crate) fn delete_user(world: &mut World, call: &Call) -> Outcome {
    let fields = call.fields();
    let id = world
        .named(fields.text("loginId")?, fields.text("userId")?)?
        .id
        .clone();
    world.remove_user(&id);
    Ok(json!({}).into())
}

pub(crate) fn logout_user(world: &mut World, call: &Call) -> Outcome {
    let fields = call.fields();
    fields.strings("sessionTypes")?;
    let id = world
        .named(fields.text("loginId")?, fields.text("userId")?)?
        .id
        .clone();
    world.sessions.end_of_user(&id, None);
    Ok(json!({}).into())
}

pub(crate) fn license() -> Outcome {
    Ok(json!({ "rateLimitTier": "tier1" }).into())
}
