//! Magic links: issuing, verifying, and the change of address that a verify applies.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use url::Url;

use super::call::{Call, Caller, Outcome};
use super::fields::Fields;
use crate::address;
use crate::error::ApiError;
use crate::settings::RepeatedSignUp;
use crate::state::State;
use crate::state::clock::millis;
use crate::state::links::{Action, Login, Update, VerifiedAddress};
use crate::state::messages::{Channel, Message, Purpose, render};
use crate::state::tokens::refuse_disabled;
use crate::state::users::{PROFILE, SignInRecord, Status, UserRecord};

fn check(channel: Channel, address: &str) -> Result<(), ApiError> {
    if channel.fits(address) {
        return Ok(());
    }
    Err(ApiError::invalid(match channel.member() {
        "email" => "The email argument is invalid",
        _ => "The phone argument is invalid",
    }))
}

fn masked(channel: Channel, address: &str) -> Value {
    match channel.member() {
        "email" => json!({ "maskedEmail": address::mask_email(address) }),
        _ => json!({ "maskedPhone": address::mask_phone(address) }),
    }
}

const NO_ADDRESS: &str = "Missing email or phone";

pub(super) fn sign_up(state: &mut State, call: &Call, channel: Channel) -> Outcome {
    let fields = call.fields();
    let user = fields.inner("user", "user.")?;
    let options = fields.inner("loginOptions", "loginOptions.")?;
    let login_id = fields.text("loginId")?.or(user.text("loginId")?);
    let member = channel.member();
    let address = match fields.text(member)?.or(user.text(member)?) {
        Some(address) => address,
        // Some SDKs put the number of a WhatsApp sign-up under the method's own name.
        None => match (fields.text("whatsapp")?, login_id) {
            (Some(number), _) if channel == Channel::WhatsApp => number,
            (_, Some(login_id)) if channel.fits(login_id) => login_id,
            _ => return Err(ApiError::missing(NO_ADDRESS)),
        },
    };
    check(channel, address)?;
    let login_id = login_id.unwrap_or(address);
    let redirect = state.redirect(fields)?;
    state.check_template(fields, options)?;
    let mut login = state.login_terms(options)?;

    let id = match state.users.by_login_id(login_id) {
        Some(record) => {
            let pending = record.status == Status::Invited && !record.seen;
            if !pending || state.settings.repeated_sign_up == RepeatedSignUp::Refuse {
                return Err(ApiError::user_exists(state.settings.conflict_status));
            }
            record.id.clone()
        }
        None => state.register(
            login_id,
            user,
            Some((member, address)),
            login.tenant.as_deref(),
        )?,
    };
    login.verified = Some(VerifiedAddress {
        member: member.to_owned(),
        address: address.to_owned(),
    });
    state.send(LinkRequest {
        fields,
        options,
        channel,
        purpose: Purpose::SignUp,
        login_id,
        address,
        redirect,
        user_id: id,
        action: Action::Login(login),
    })
}

pub(super) fn sign_in(state: &mut State, call: &Call, by: &Caller, channel: Channel) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    if state.users.by_login_id(login_id).is_none() {
        return Err(ApiError::user_not_found());
    }
    send_login(state, call, by, channel, Purpose::SignIn)
}

pub(super) fn sign_up_or_in(state: &mut State, call: &Call, channel: Channel) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let options = fields.inner("loginOptions", "loginOptions.")?;
    if options.flag("stepup")? || options.flag("mfa")? {
        return Err(ApiError::invalid(
            "A sign-up-or-in cannot build on a session; use sign-in for step-up and MFA",
        ));
    }
    if state.users.by_login_id(login_id).is_none() {
        check(channel, login_id)?;
        // Everything that can be refused comes before the user exists.
        state.redirect(fields)?;
        state.check_template(fields, options)?;
        let tenant = state.login_terms(options)?.tenant;
        state.register(
            login_id,
            Fields::new(&Map::new()),
            Some((channel.member(), login_id)),
            tenant.as_deref(),
        )?;
    }
    send_login(
        state,
        call,
        &Caller::default(),
        channel,
        Purpose::SignUpOrIn,
    )
}

fn send_login(
    state: &mut State,
    call: &Call,
    by: &Caller,
    channel: Channel,
    purpose: Purpose,
) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let options = fields.inner("loginOptions", "loginOptions.")?;
    let redirect = state.redirect(fields)?;
    state.check_template(fields, options)?;
    let mut login = state.login_terms(options)?;
    let record = state
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::user_not_found)?;
    refuse_disabled(record)?;
    if let Some(tenant) = &login.tenant
        && !record.tenants.contains_key(tenant)
    {
        return Err(ApiError::invalid(format!(
            "The user is not a member of the tenant {tenant}"
        )));
    }
    let id = record.id.clone();
    let recovery = fields.flag("useRecovery")?;
    let (member, address) = delivery_address(record, channel, login_id, recovery)?;
    let mut purpose = purpose;
    if let Some(session) = &by.session {
        if state.sessions.user_of(session) != Some(id.as_str()) {
            return Err(ApiError::unauthorized(
                "The refresh token belongs to another user",
            ));
        }
        if options.flag("mfa")? {
            purpose = Purpose::Mfa;
            login.mfa = Some(session.clone());
        }
        if options.flag("stepup")? {
            purpose = Purpose::StepUp;
            login.step_up = Some(session.clone());
        }
    }
    login.verified = Some(VerifiedAddress {
        member: member.to_owned(),
        address: address.clone(),
    });
    state.send(LinkRequest {
        fields,
        options,
        channel,
        purpose,
        login_id,
        address: &address,
        redirect,
        user_id: id,
        action: Action::Login(login),
    })
}

fn delivery_address(
    record: &UserRecord,
    channel: Channel,
    login_id: &str,
    recovery: bool,
) -> Result<(&'static str, String), ApiError> {
    let member = match (channel.member(), recovery) {
        ("email", true) => "recoveryEmail",
        (_, true) => "recoveryPhone",
        (member, false) => member,
    };
    if let Some(address) = record.profile.get(member) {
        return Ok((member, address.clone()));
    }
    if !recovery && channel.fits(login_id) {
        return Ok((member, login_id.to_owned()));
    }
    Err(ApiError::missing(if recovery {
        "The user has no recovery address for this method"
    } else {
        NO_ADDRESS
    }))
}

pub(super) fn update(state: &mut State, call: &Call, by: &Caller, channel: Channel) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let member = channel.member();
    let address = fields.needed(member)?;
    check(channel, address)?;
    let record = state
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::user_not_found)?;
    refuse_disabled(record)?;
    let id = record.id.clone();
    // Anything else would let every user change everyone's address.
    if by
        .session
        .as_deref()
        .and_then(|session| state.sessions.user_of(session))
        != Some(id.as_str())
    {
        return Err(ApiError::unauthorized(
            "The refresh token belongs to another user",
        ));
    }
    let redirect = state.redirect(fields)?;
    state.check_template(fields, fields)?;
    let update = Update {
        channel,
        address: address.to_owned(),
        add_to_login_ids: fields.flag("addToLoginIDs")?,
        keep_other: fields.flag("onMergeUseExisting")?,
        fail_on_conflict: fields.flag("failOnConflict")?,
    };
    state.check_conflict(&id, &update)?;
    state.send(LinkRequest {
        fields,
        options: fields,
        channel,
        purpose: if channel == Channel::Email {
            Purpose::UpdateEmail
        } else {
            Purpose::UpdatePhone
        },
        login_id,
        address,
        redirect,
        user_id: id,
        action: Action::Update(update),
    })
}

/// The path without the delivery method, which stands for a text message.
pub(super) fn update_phone_short(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    update(state, call, by, Channel::Sms)
}

pub(super) fn verify(state: &mut State, call: &Call) -> Outcome {
    let token = call.fields().needed("token")?;
    let now = state.time.now();
    let link = state
        .links
        .get(&token.to_owned())
        .filter(|link| !link.used && now < link.expires_at)
        .cloned()
        .ok_or_else(ApiError::link_expired)?;
    // A link works once, also when what follows is refused.
    state.links.change(&link.token, |link| link.used = true);
    state.messages.version = state.messages.version.wrapping_add(1);
    let record = state
        .users
        .get(&link.user_id)
        .ok_or_else(ApiError::link_expired)?;
    refuse_disabled(record)?;

    let (user_id, login) = match link.action {
        Action::Login(login) => (link.user_id, login),
        Action::Update(update) => (
            state.apply_update(&link.user_id, &update)?,
            Login::default(),
        ),
    };
    let first_seen = state
        .users
        .change(&user_id, |record| {
            if let Some(proven) = &login.verified
                && record.profile.get(&proven.member) == Some(&proven.address)
            {
                record.set_verified(&proven.member, true);
            }
            record.status = Status::Enabled;
            !std::mem::replace(&mut record.seen, true)
        })
        .ok_or_else(ApiError::link_expired)?;

    let session = state.session_after_login(&user_id, &login, link.channel.as_str())?;
    let tenant = state.current_tenant(&session);
    let at = state.time.seconds();
    let sign_in = SignInRecord {
        at,
        ip: call.ip.clone(),
        tenant,
    };
    state
        .users
        .change(&user_id, |record| record.remember(sign_in));
    if login.revoke_others {
        state.sessions.end_of_user(&user_id, Some(&session));
    }
    state.login_reply(&session, Some(first_seen))
}

struct LinkRequest<'a> {
    fields: Fields<'a>,
    options: Fields<'a>,
    channel: Channel,
    purpose: Purpose,
    login_id: &'a str,
    address: &'a str,
    redirect: Url,
    user_id: String,
    action: Action,
}

impl Fields<'_> {
    /// Takes over the profile members that a request holds.
    pub(super) fn fill_profile(&self, record: &mut UserRecord) -> Result<(), ApiError> {
        for name in PROFILE {
            if let Some(value) = self.owned(name)? {
                record.profile.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }
}

impl State {
    /// The redirect URL of a request, or the project's.
    pub(super) fn redirect(&self, fields: Fields<'_>) -> Result<Url, ApiError> {
        let given = fields.text("redirectUrl")?;
        let url = address::redirect(given.unwrap_or(&self.settings.default_redirect))
            .map_err(|problem| ApiError::invalid(format!("The redirectUrl argument {problem}")))?;
        if given.is_none() {
            return Ok(url);
        }
        if let Some(approved) = &self.settings.approved_redirects {
            let host = url.host_str().unwrap_or_default();
            let allowed = |domain: &String| {
                host.eq_ignore_ascii_case(domain)
                    || domain.strip_prefix("*.").is_some_and(|parent| {
                        host.len() > parent.len() + 1
                            && host
                                .to_ascii_lowercase()
                                .ends_with(&format!(".{}", parent.to_ascii_lowercase()))
                    })
            };
            if !approved.iter().any(allowed) {
                return Err(ApiError::invalid(format!(
                    "The domain {host} of redirectUrl is not approved in the project"
                )));
            }
        }
        Ok(url)
    }

    fn check_template(&self, fields: Fields<'_>, options: Fields<'_>) -> Result<(), ApiError> {
        match fields.text("templateId")?.or(options.text("templateId")?) {
            Some(id) => self.project.check_template(id).map_err(ApiError::invalid),
            None => Ok(()),
        }
    }

    /// Reads login options, all but step-up and MFA, which need a session.
    pub(super) fn login_terms(&self, options: Fields<'_>) -> Result<Login, ApiError> {
        options.strings("revokeOtherSessionsTypes")?;
        let tenant = options.owned("tenantId")?;
        if let Some(tenant) = &tenant {
            self.project
                .find_tenant(tenant)
                .map_err(ApiError::invalid)?;
        }
        Ok(Login {
            claims: options.custom_claims()?,
            tenant,
            revoke_others: options.flag("revokeOtherSessions")?,
            ..Login::default()
        })
    }

    /// Creates a user who signs up.
    pub(super) fn register(
        &mut self,
        login_id: &str,
        user: Fields<'_>,
        address: Option<(&'static str, &str)>,
        tenant: Option<&str>,
    ) -> Result<String, ApiError> {
        let mut record = self.new_user(login_id)?;
        user.fill_profile(&mut record)?;
        if let Some((member, address)) = address {
            record.profile.insert(member.to_owned(), address.to_owned());
        }
        record.fill_addresses();
        if let Some(tenant) = tenant {
            record.tenants.insert(tenant.to_owned(), Vec::new());
        }
        let id = record.id.clone();
        self.users.insert(record);
        Ok(id)
    }

    /// Issues a link and puts the message with it into the outbox.
    fn send(&mut self, request: LinkRequest<'_>) -> Outcome {
        let LinkRequest {
            fields,
            options,
            channel,
            purpose,
            login_id,
            address,
            redirect,
            user_id,
            action,
        } = request;
        let template_id = fields
            .owned("templateId")?
            .map_or_else(|| options.owned("templateId"), |id| Ok(Some(id)))?;
        let template_options = options.options("templateOptions")?;
        let locale = options.owned("locale")?;
        let provider_id = fields
            .owned("providerId")?
            .map_or_else(|| options.owned("providerId"), |id| Ok(Some(id)))?;
        let (token, expires_at) = self.issue_link(
            user_id,
            channel,
            action,
            millis(self.settings.link_lifetime),
        )?;
        let link = with_token(redirect, &token);

        let (subject, text) = self.compose(
            purpose,
            template_id.as_deref(),
            &template_options,
            &link,
            address,
            login_id,
        );
        self.messages.last_id += 1;
        self.messages.version = self.messages.version.wrapping_add(1);
        let message = Message {
            id: self.messages.last_id,
            channel,
            purpose,
            to: address.to_owned(),
            login_id: login_id.to_owned(),
            link,
            token,
            subject,
            text,
            template_id,
            template_options,
            locale,
            provider_id,
            sent_at: self.time.now(),
            expires_at,
            taken: false,
        };
        let bound = self.bound(self.settings.limits.messages);
        self.messages.kept.push(message, bound);
        Ok(masked(channel, address).into())
    }

    fn compose(
        &self,
        purpose: Purpose,
        template_id: Option<&str>,
        options: &BTreeMap<String, String>,
        link: &str,
        to: &str,
        login_id: &str,
    ) -> (String, String) {
        let (subject, text) = match template_id.and_then(|id| self.project.templates.get(id)) {
            Some(template) => (template.subject.as_str(), template.text.as_str()),
            None => match purpose {
                Purpose::SignUp => (
                    "Confirm your sign-up",
                    "Finish signing up with this link: {{link}}",
                ),
                Purpose::SignIn | Purpose::SignUpOrIn => {
                    ("Your sign-in link", "Sign in with this link: {{link}}")
                }
                Purpose::StepUp => (
                    "Confirm that it is you",
                    "Confirm that it is you with this link: {{link}}",
                ),
                Purpose::Mfa => (
                    "Your second factor",
                    "Confirm your second factor with this link: {{link}}",
                ),
                Purpose::UpdateEmail => (
                    "Confirm your new address",
                    "Confirm your new email address with this link: {{link}}",
                ),
                Purpose::UpdatePhone => (
                    "Confirm your new number",
                    "Confirm your new phone number with this link: {{link}}",
                ),
            },
        };
        let value = |name: &str| match name {
            "link" => Some(link.to_owned()),
            "to" => Some(to.to_owned()),
            "login_id" => Some(login_id.to_owned()),
            other => options.get(other).cloned(),
        };
        (render(subject, value), render(text, value))
    }

    /// Fails when an update would meet another user and the request or the rules say so.
    fn check_conflict(&self, user_id: &str, update: &Update) -> Result<(), ApiError> {
        let taken = self
            .users
            .owner(&update.address)
            .is_some_and(|owner| owner != user_id);
        if !taken {
            return Ok(());
        }
        let moves_login_id = self.users.get(user_id).is_some_and(|record| {
            record
                .profile
                .get(update.channel.member())
                .is_some_and(|old| record.login_ids.contains(old))
        });
        // Without `addToLoginIDs` there is no merge, so a login id that moves along cannot be given away.
        if update.fail_on_conflict || (!update.add_to_login_ids && moves_login_id) {
            return Err(ApiError::update_conflict(self.settings.conflict_status));
        }
        Ok(())
    }

    /// Applies a verified change of address. Gives the id of the user who survives.
    fn apply_update(&mut self, user_id: &str, update: &Update) -> Result<String, ApiError> {
        self.check_conflict(user_id, update)?;
        let mut survivor = user_id.to_owned();
        if update.add_to_login_ids {
            let other = self
                .users
                .owner(&update.address)
                .filter(|owner| *owner != user_id)
                .map(str::to_owned);
            match other {
                Some(other) if update.keep_other => {
                    self.merge(user_id, &other);
                    survivor = other;
                }
                Some(other) => self.merge(&other, user_id),
                None => self.users.add_login_id(user_id, &update.address),
            }
        }
        let old = self
            .users
            .get(&survivor)
            .and_then(|record| record.profile.get(update.channel.member()))
            .cloned();
        if let Some(old) = old
            && survivor == user_id
            && !update.add_to_login_ids
            && self.users.owner(&old) == Some(user_id)
        {
            self.users.replace_login_id(user_id, &old, &update.address);
        }
        let member = update.channel.member();
        self.users.change(&survivor, |record| {
            record
                .profile
                .insert(member.to_owned(), update.address.clone());
            record.set_verified(member, true);
        });
        Ok(survivor)
    }

    /// Moves login ids, roles and tenants from one user to another, then deletes the first, whose sessions end.
    fn merge(&mut self, from: &str, into: &str) {
        self.sessions.end_of_user(from, None);
        let Some(gone) = self.users.remove(from) else {
            return;
        };
        for login_id in &gone.login_ids {
            self.users.add_login_id(into, login_id);
        }
        self.users.change(into, |record| {
            for role in &gone.roles {
                if !record.roles.contains(role) {
                    record.roles.push(role.clone());
                }
            }
            for (tenant, roles) in &gone.tenants {
                let known = record.tenants.entry(tenant.clone()).or_default();
                for role in roles {
                    if !known.contains(role) {
                        known.push(role.clone());
                    }
                }
            }
            for (name, value) in &gone.profile {
                let kept = record.profile.entry(name.clone());
                kept.or_insert_with(|| value.clone());
            }
            for (name, value) in &gone.attributes {
                record
                    .attributes
                    .entry(name.clone())
                    .or_insert_with(|| value.clone());
            }
        });
    }
}

/// The redirect URL with the token as one more query parameter.
pub(super) fn with_token(mut redirect: Url, token: &str) -> String {
    redirect.query_pairs_mut().append_pair("t", token);
    redirect.into()
}
