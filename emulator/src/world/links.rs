//! Magic links: issuing, verifying, and the change of address that a verify applies.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

use serde_json::{Map, Value, json};
use url::Url;

use super::fields::Fields;
use super::users::{Person, Status, Visit};
use super::{Call, Caller, Outcome, World};
use crate::address;
use crate::clock::{Millis, millis};
use crate::error::ApiError;
use crate::outbox::{Channel, Message, Purpose, push_bounded, render};
use crate::random;
use crate::settings::RepeatedSignUp;

/// An address that a verify proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) member: &'static str,
    pub(crate) address: String,
}

/// What a sign-in should do beyond signing in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login {
    pub(crate) claims: Map<String, Value>,
    pub(crate) tenant: Option<String>,
    pub(crate) step_up: Option<String>,
    pub(crate) mfa: Option<String>,
    pub(crate) revoke_others: bool,
    pub(crate) proof: Option<Proof>,
}

#[derive(Debug, Clone)]
pub(crate) struct Update {
    member: &'static str,
    address: String,
    add_to_login_ids: bool,
    keep_other: bool,
    fail_on_conflict: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Login(Login),
    Update(Update),
}

#[derive(Debug, Clone)]
pub(crate) struct Link {
    user_id: String,
    method: &'static str,
    action: Action,
    expires_at: Millis,
    used: bool,
}

/// Issued links by token.
#[derive(Clone, Default)]
pub(crate) struct Links {
    by_token: HashMap<String, Link>,
    order: VecDeque<String>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("count", &self.by_token.len())
            .finish_non_exhaustive()
    }
}

impl Links {
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    /// What became of a token: `pending`, `used` or `expired`.
    #[cfg(feature = "program")]
    pub(crate) fn state(&self, token: &str, now: Millis) -> &'static str {
        match self.by_token.get(token) {
            Some(link) if link.used => "used",
            Some(link) if now < link.expires_at => "pending",
            _ => "expired",
        }
    }
}

impl Channel {
    /// The profile member that holds the address.
    fn member(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms | Self::WhatsApp => "phone",
        }
    }

    fn fits(self, address: &str) -> bool {
        match self {
            Self::Email => address::is_email(address),
            Self::Sms | Self::WhatsApp => address::is_phone(address),
        }
    }

    fn check(self, address: &str) -> Result<(), ApiError> {
        if self.fits(address) {
            return Ok(());
        }
        Err(ApiError::invalid(match self {
            Self::Email => "The email argument is invalid",
            Self::Sms | Self::WhatsApp => "The phone argument is invalid",
        }))
    }

    fn masked(self, address: &str) -> Value {
        match self {
            Self::Email => json!({ "maskedEmail": address::mask_email(address) }),
            Self::Sms | Self::WhatsApp => json!({ "maskedPhone": address::mask_phone(address) }),
        }
    }
}

const NO_ADDRESS: &str = "Missing email or phone";

pub(crate) fn sign_up(world: &mut World, call: &Call, channel: Channel) -> Outcome {
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
    channel.check(address)?;
    let login_id = login_id.unwrap_or(address);
    let redirect = world.redirect(fields)?;
    world.check_template(fields, options)?;
    let mut login = world.login_terms(options)?;

    let id = match world.users.by_login_id(login_id) {
        Some(person) => {
            let pending = person.status == Status::Invited && !person.seen;
            if !pending || world.settings.repeated_sign_up == RepeatedSignUp::Refuse {
                return Err(ApiError::user_exists(world.settings.conflict_status));
            }
            person.id.clone()
        }
        None => world.register(
            login_id,
            user,
            Some((member, address)),
            login.tenant.as_deref(),
        )?,
    };
    login.proof = Some(Proof {
        member,
        address: address.to_owned(),
    });
    world.send(Sending {
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

pub(crate) fn sign_in(world: &mut World, call: &Call, by: &Caller, channel: Channel) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    if world.users.by_login_id(login_id).is_none() {
        return Err(ApiError::user_not_found());
    }
    send_login(world, call, by, channel, Purpose::SignIn)
}

pub(crate) fn sign_up_or_in(
    world: &mut World,
    call: &Call,
    by: &Caller,
    channel: Channel,
) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    if world.users.by_login_id(login_id).is_none() {
        channel.check(login_id)?;
        let options = fields.inner("loginOptions", "loginOptions.")?;
        // Everything that can be refused comes before the user exists.
        world.redirect(fields)?;
        world.check_template(fields, options)?;
        let tenant = world.login_terms(options)?.tenant;
        world.register(
            login_id,
            Fields::new(&Map::new()),
            Some((channel.member(), login_id)),
            tenant.as_deref(),
        )?;
    }
    send_login(world, call, by, channel, Purpose::SignUpOrIn)
}

fn send_login(
    world: &mut World,
    call: &Call,
    by: &Caller,
    channel: Channel,
    purpose: Purpose,
) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let options = fields.inner("loginOptions", "loginOptions.")?;
    let redirect = world.redirect(fields)?;
    world.check_template(fields, options)?;
    let mut login = world.login_terms(options)?;
    let person = world
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::user_not_found)?;
    refuse_disabled(person)?;
    if let Some(tenant) = &login.tenant
        && !person.tenants.contains_key(tenant)
    {
        return Err(ApiError::invalid(format!(
            "The user is not a member of the tenant {tenant}"
        )));
    }
    let id = person.id.clone();
    let recovery = fields.flag("useRecovery")?;
    let (member, address) = delivery_address(person, channel, login_id, recovery)?;
    let mut purpose = purpose;
    if let Some(session) = &by.session {
        if world.sessions.user_of(session) != Some(id.as_str()) {
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
    login.proof = Some(Proof {
        member,
        address: address.clone(),
    });
    world.send(Sending {
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
    person: &Person,
    channel: Channel,
    login_id: &str,
    recovery: bool,
) -> Result<(&'static str, String), ApiError> {
    let member = match (channel.member(), recovery) {
        ("email", true) => "recoveryEmail",
        (_, true) => "recoveryPhone",
        (member, false) => member,
    };
    if let Some(address) = person.profile.get(member) {
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

pub(crate) fn refuse_disabled(person: &Person) -> Result<(), ApiError> {
    if person.status == Status::Disabled {
        return Err(ApiError::unauthorized("The user is disabled"));
    }
    Ok(())
}

pub(crate) fn update(world: &mut World, call: &Call, by: &Caller, channel: Channel) -> Outcome {
    let fields = call.fields();
    let login_id = fields.needed("loginId")?;
    let member = channel.member();
    let address = fields.needed(member)?;
    channel.check(address)?;
    let person = world
        .users
        .by_login_id(login_id)
        .ok_or_else(ApiError::user_not_found)?;
    refuse_disabled(person)?;
    let id = person.id.clone();
    // Anything else would let every user change everyone's address.
    if by
        .session
        .as_deref()
        .and_then(|session| world.sessions.user_of(session))
        != Some(id.as_str())
    {
        return Err(ApiError::unauthorized(
            "The refresh token belongs to another user",
        ));
    }
    let redirect = world.redirect(fields)?;
    world.check_template(fields, fields)?;
    let update = Update {
        member,
        address: address.to_owned(),
        add_to_login_ids: fields.flag("addToLoginIDs")?,
        keep_other: fields.flag("onMergeUseExisting")?,
        fail_on_conflict: fields.flag("failOnConflict")?,
    };
    world.check_conflict(&id, &update)?;
    world.send(Sending {
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
pub(crate) fn update_phone_short(world: &mut World, call: &Call, by: &Caller) -> Outcome {
    update(world, call, by, Channel::Sms)
}

pub(crate) fn verify(world: &mut World, call: &Call) -> Outcome {
    let token = call.fields().needed("token")?;
    let now = world.time.now();
    let link = world
        .links
        .by_token
        .get_mut(token)
        .ok_or_else(ApiError::link_expired)?;
    if link.used || now >= link.expires_at {
        return Err(ApiError::link_expired());
    }
    // A link works once, also when what follows is refused.
    link.used = true;
    world.outbox_version = world.outbox_version.wrapping_add(1);
    let link = link.clone();
    let person = world
        .users
        .get(&link.user_id)
        .ok_or_else(ApiError::link_expired)?;
    refuse_disabled(person)?;

    let (user_id, login) = match link.action {
        Action::Login(login) => (link.user_id, login),
        Action::Update(update) => (
            world.apply_update(&link.user_id, &update)?,
            Login::default(),
        ),
    };
    let person = world
        .users
        .get_mut(&user_id)
        .ok_or_else(ApiError::link_expired)?;
    if let Some(proof) = &login.proof
        && person.profile.get(proof.member) == Some(&proof.address)
    {
        mark_verified(person, proof.member);
    }
    let first_seen = !std::mem::replace(&mut person.seen, true);
    person.status = Status::Enabled;

    let session = world.session_after_login(&user_id, &login, link.method)?;
    let tenant = world.current_tenant(&session);
    let at = world.time.seconds();
    if let Some(person) = world.users.get_mut(&user_id) {
        person.remember(Visit {
            at,
            ip: call.ip.clone(),
            tenant,
        });
    }
    if login.revoke_others {
        world.sessions.end_of_user(&user_id, Some(&session));
    }
    world.login_reply(&session, Some(first_seen))
}

fn mark_verified(person: &mut Person, member: &str) {
    match member {
        "email" => person.verified_email = true,
        "phone" => person.verified_phone = true,
        "recoveryEmail" => person.verified_recovery_email = true,
        "recoveryPhone" => person.verified_recovery_phone = true,
        _ => {}
    }
}

struct Sending<'a> {
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

impl World {
    /// The redirect URL of a request, or the project's.
    pub(crate) fn redirect(&self, fields: Fields<'_>) -> Result<Url, ApiError> {
        let Some(text) = fields.text("redirectUrl")? else {
            return Url::parse(&self.settings.default_redirect).map_err(|_| {
                ApiError::internal("The default redirect URL of the settings is no URL")
            });
        };
        let url = Url::parse(text)
            .map_err(|_| ApiError::invalid("The redirectUrl argument must be an absolute URL"))?;
        if matches!(
            url.scheme(),
            "javascript" | "data" | "vbscript" | "file" | "blob"
        ) {
            return Err(ApiError::invalid(
                "The redirectUrl argument must lead to a page or an app",
            ));
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
            Some(id)
                if !self.settings.templates.is_empty()
                    && !self.settings.templates.contains_key(id) =>
            {
                Err(ApiError::invalid(format!(
                    "The project has no template {id}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Reads login options, all but step-up and MFA, which need a session.
    pub(crate) fn login_terms(&self, options: Fields<'_>) -> Result<Login, ApiError> {
        options.strings("revokeOtherSessionsTypes")?;
        let tenant = options.owned("tenantId")?;
        if let Some(tenant) = &tenant
            && !self.settings.tenants.contains_key(tenant)
        {
            return Err(ApiError::invalid(format!(
                "The project has no tenant {tenant}"
            )));
        }
        Ok(Login {
            claims: custom_claims(options)?,
            tenant,
            revoke_others: options.flag("revokeOtherSessions")?,
            ..Login::default()
        })
    }

    /// Creates a user who signs up.
    pub(crate) fn register(
        &mut self,
        login_id: &str,
        user: Fields<'_>,
        address: Option<(&'static str, &str)>,
        tenant: Option<&str>,
    ) -> Result<String, ApiError> {
        let mut person = self.new_person(login_id)?;
        person.apply_profile(user)?;
        if let Some((member, address)) = address {
            person.profile.insert(member, address.to_owned());
        }
        Self::fill_addresses(&mut person);
        if let Some(tenant) = tenant {
            person.tenants.insert(tenant.to_owned(), Vec::new());
        }
        let id = person.id.clone();
        self.users.insert(person);
        Ok(id)
    }

    /// A new link that can be verified until `lifetime` has passed.
    pub(crate) fn issue(
        &mut self,
        user_id: String,
        method: &'static str,
        action: Action,
        lifetime: Millis,
    ) -> Result<(String, Millis), ApiError> {
        let token = random::link_token()?;
        let expires_at = self.time.now().saturating_add(lifetime);
        self.links.by_token.insert(
            token.clone(),
            Link {
                user_id,
                method,
                action,
                expires_at,
                used: false,
            },
        );
        for dropped in push_bounded(
            &mut self.links.order,
            token.clone(),
            self.settings.limits.links,
        ) {
            self.links.by_token.remove(&dropped);
        }
        Ok((token, expires_at))
    }

    /// Issues a link and puts the message with it into the outbox.
    fn send(&mut self, sending: Sending<'_>) -> Outcome {
        let Sending {
            fields,
            options,
            channel,
            purpose,
            login_id,
            address,
            redirect,
            user_id,
            action,
        } = sending;
        let template_id = fields
            .owned("templateId")?
            .map_or_else(|| options.owned("templateId"), |id| Ok(Some(id)))?;
        let template_options = options.options("templateOptions")?;
        let locale = options.owned("locale")?;
        let provider_id = fields
            .owned("providerId")?
            .map_or_else(|| options.owned("providerId"), |id| Ok(Some(id)))?;
        let (token, expires_at) = self.issue(
            user_id,
            channel.as_str(),
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
        self.last_message += 1;
        self.outbox_version = self.outbox_version.wrapping_add(1);
        let message = Message {
            id: self.last_message,
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
        push_bounded(&mut self.outbox, message, self.settings.limits.messages);
        Ok(channel.masked(address).into())
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
        let (subject, text) = match template_id.and_then(|id| self.settings.templates.get(id)) {
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
        let moves_login_id = self.users.get(user_id).is_some_and(|person| {
            person
                .profile
                .get(update.member)
                .is_some_and(|old| person.login_ids.contains(old))
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
            .and_then(|person| person.profile.get(update.member))
            .cloned();
        if let Some(old) = old
            && survivor == user_id
            && !update.add_to_login_ids
            && self.users.owner(&old) == Some(user_id)
        {
            self.users.replace_login_id(user_id, &old, &update.address);
        }
        if let Some(person) = self.users.get_mut(&survivor) {
            person.profile.insert(update.member, update.address.clone());
            mark_verified(person, update.member);
        }
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
        let Some(person) = self.users.get_mut(into) else {
            return;
        };
        for role in gone.roles {
            if !person.roles.contains(&role) {
                person.roles.push(role);
            }
        }
        for (tenant, roles) in gone.tenants {
            let known = person.tenants.entry(tenant).or_default();
            for role in roles {
                if !known.contains(&role) {
                    known.push(role);
                }
            }
        }
        for (name, value) in gone.profile {
            person.profile.entry(name).or_insert(value);
        }
        for (name, value) in gone.attributes {
            person.attributes.entry(name).or_insert(value);
        }
    }
}

/// The redirect URL with the token as one more query parameter.
pub(crate) fn with_token(mut redirect: Url, token: &str) -> String {
    redirect.query_pairs_mut().append_pair("t", token);
    redirect.into()
}

/// The custom claims of login options or of an embedded link, within the documented limits.
pub(crate) fn custom_claims(fields: Fields<'_>) -> Result<Map<String, Value>, ApiError> {
    let claims = fields.object("customClaims")?.cloned().unwrap_or_default();
    if claims.len() > 100 {
        return Err(ApiError::invalid("At most 100 custom claims are allowed"));
    }
    for (name, value) in &claims {
        if name.is_empty() || name.chars().count() > 60 {
            return Err(ApiError::invalid(
                "The name of a custom claim must have 1 to 60 characters",
            ));
        }
        let length = value.as_str().map_or_else(
            || value.to_string().chars().count(),
            |text| text.chars().count(),
        );
        if length > 500 {
            return Err(ApiError::invalid(format!(
                "The custom claim {name} is longer than 500 characters"
            )));
        }
    }
    Ok(claims)
}
