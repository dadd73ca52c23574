//! The users of the project.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::World;
use super::fields::Fields;
use crate::address;
use crate::error::ApiError;
use crate::random;
use crate::settings;

/// How many sign-ins the history of a user keeps.
const HISTORY: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Invited,
    Enabled,
    Disabled,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) at: i64,
    pub(crate) ip: String,
    pub(crate) tenant: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) login_ids: Vec<String>,
    /// Text members of the profile, by their name on the wire.
    pub(crate) profile: BTreeMap<&'static str, String>,
    pub(crate) verified_email: bool,
    pub(crate) verified_phone: bool,
    pub(crate) verified_recovery_email: bool,
    pub(crate) verified_recovery_phone: bool,
    pub(crate) roles: Vec<String>,
    pub(crate) tenants: BTreeMap<String, Vec<String>>,
    pub(crate) status: Status,
    pub(crate) test: bool,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) sso_apps: Vec<String>,
    pub(crate) created: i64,
    /// Whether the user has signed in before.
    pub(crate) seen: bool,
    pub(crate) history: VecDeque<Visit>,
}

/// Text members of a user that a request can set.
pub(crate) const PROFILE: [&str; 9] = [
    "name",
    "givenName",
    "middleName",
    "familyName",
    "email",
    "phone",
    "picture",
    "recoveryEmail",
    "recoveryPhone",
];

impl Person {
    pub(crate) fn new(id: String, login_id: String, created: i64) -> Self {
        Self {
            id,
            login_ids: vec![login_id],
            profile: BTreeMap::new(),
            verified_email: false,
            verified_phone: false,
            verified_recovery_email: false,
            verified_recovery_phone: false,
            roles: Vec::new(),
            tenants: BTreeMap::new(),
            status: Status::Invited,
            test: false,
            attributes: Map::new(),
            claims: Map::new(),
            sso_apps: Vec::new(),
            created,
            seen: false,
            history: VecDeque::new(),
        }
    }

    pub(crate) fn email(&self) -> Option<&str> {
        self.profile.get("email").map(String::as_str)
    }

    pub(crate) fn phone(&self) -> Option<&str> {
        self.profile.get("phone").map(String::as_str)
    }

    /// Takes over the profile members that a request holds.
    pub(crate) fn apply_profile(&mut self, fields: Fields<'_>) -> Result<(), ApiError> {
        for name in PROFILE {
            if let Some(value) = fields.owned(name)? {
                self.profile.insert(name, value);
            }
        }
        Ok(())
    }

    pub(crate) fn remember(&mut self, visit: Visit) {
        crate::outbox::push_bounded(&mut self.history, visit, HISTORY);
    }
}

/// Users by id, and their login ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Users {
    people: HashMap<String, Person>,
    by_login_id: HashMap<String, String>,
    /// Ids of test users, so that deleting them all does not search everyone.
    tests: BTreeSet<String>,
}

impl Users {
    pub(crate) fn len(&self) -> usize {
        self.people.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Person> {
        self.people.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Person> {
        self.people.get_mut(id)
    }

    pub(crate) fn by_login_id(&self, login_id: &str) -> Option<&Person> {
        self.people.get(self.by_login_id.get(login_id)?)
    }

    pub(crate) fn owner(&self, login_id: &str) -> Option<&str> {
        self.by_login_id.get(login_id).map(String::as_str)
    }

    pub(crate) fn insert(&mut self, person: Person) {
        for login_id in &person.login_ids {
            self.by_login_id.insert(login_id.clone(), person.id.clone());
        }
        if person.test {
            self.tests.insert(person.id.clone());
        }
        self.people.insert(person.id.clone(), person);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Person> {
        let person = self.people.remove(id)?;
        for login_id in &person.login_ids {
            self.by_login_id.remove(login_id);
        }
        self.tests.remove(id);
        Some(person)
    }

    pub(crate) fn add_login_id(&mut self, id: &str, login_id: &str) {
        if let Some(person) = self.people.get_mut(id)
            && !person.login_ids.iter().any(|known| known == login_id)
        {
            person.login_ids.push(login_id.to_owned());
            self.by_login_id.insert(login_id.to_owned(), id.to_owned());
        }
    }

    pub(crate) fn replace_login_id(&mut self, id: &str, old: &str, new: &str) {
        if let Some(person) = self.people.get_mut(id)
            && let Some(place) = person.login_ids.iter_mut().find(|known| *known == old)
        {
            *place = new.to_owned();
            self.by_login_id.remove(old);
            self.by_login_id.insert(new.to_owned(), id.to_owned());
        }
    }

    pub(crate) fn test_ids(&self) -> Vec<String> {
        self.tests.iter().cloned().collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }
}

impl World {
    /// A new user under a login id that is free; the caller fills in the rest and inserts.
    pub(crate) fn new_person(&self, login_id: &str) -> Result<Person, ApiError> {
        let limit = self.settings.limits.users;
        if self.users.len() >= limit {
            return Err(ApiError::full("users", limit));
        }
        Ok(Person::new(
            random::id("U")?,
            login_id.to_owned(),
            self.time.seconds(),
        ))
    }

    /// Adds a user of the seed or of a test. Gives the user id.
    pub(crate) fn seed_user(&mut self, user: &settings::User) -> Result<String, ApiError> {
        let first = user
            .login_ids
            .first()
            .map(String::as_str)
            .unwrap_or_default();
        for login_id in &user.login_ids {
            if login_id.is_empty() || self.users.owner(login_id).is_some() {
                return Err(ApiError::invalid(format!(
                    "the login id {login_id:?} is empty or taken"
                )));
            }
        }
        let mut person = self.new_person(first)?;
        person.login_ids.clone_from(&user.login_ids);
        for (name, value) in [
            ("name", &user.name),
            ("email", &user.email),
            ("phone", &user.phone),
        ] {
            if let Some(value) = value {
                person.profile.insert(name, value.clone());
            }
        }
        person.verified_email = user.verified && user.email.is_some();
        person.verified_phone = user.verified && user.phone.is_some();
        person.roles.clone_from(&user.roles);
        person.tenants.clone_from(&user.tenants);
        person.status = if user.disabled {
            Status::Disabled
        } else {
            Status::Enabled
        };
        person.test = user.test;
        person.attributes = user.attributes.clone();
        person.claims = user.claims.clone();
        let id = person.id.clone();
        self.users.insert(person);
        Ok(id)
    }

    /// The permissions that roles carry, sorted and without repetition.
    pub(crate) fn permissions(&self, roles: &[String]) -> Vec<String> {
        let all: BTreeSet<&String> = roles
            .iter()
            .filter_map(|role| self.settings.roles.get(role))
            .flatten()
            .collect();
        all.into_iter().cloned().collect()
    }

    pub(crate) fn tenant_name(&self, id: &str) -> String {
        self.settings
            .tenants
            .get(id)
            .map_or_else(|| id.to_owned(), |tenant| tenant.name.clone())
    }

    /// The user as the service shows them.
    pub(crate) fn user_json(&self, person: &Person) -> Value {
        let tenants: Vec<Value> = person
            .tenants
            .iter()
            .map(|(id, roles)| {
                json!({
                    "tenantId": id,
                    "tenantName": self.tenant_name(id),
                    "roleNames": roles,
                    "permissions": self.permissions(roles),
                })
            })
            .collect();
        let mut user = json!({
            "loginIds": person.login_ids,
            "userId": person.id,
            "verifiedEmail": person.verified_email,
            "verifiedPhone": person.verified_phone,
            "roleNames": person.roles,
            "userTenants": tenants,
            "status": person.status.as_str(),
            "externalIds": person.login_ids,
            "test": person.test,
            "customAttributes": person.attributes,
            "createdTime": person.created,
            "TOTP": false,
            "SAML": false,
            "SCIM": false,
            "OAuth": {},
            "webauthn": false,
            "password": false,
            "ssoAppIds": person.sso_apps,
        });
        if let Some(map) = user.as_object_mut() {
            // What is not known of a user is sent as empty text, except a recovery address.
            for name in PROFILE.iter().filter(|name| !name.starts_with("recovery")) {
                map.insert((*name).to_owned(), "".into());
            }
            for (name, value) in &person.profile {
                map.insert((*name).to_owned(), Value::from(value.as_str()));
            }
            if person.profile.contains_key("recoveryEmail") {
                map.insert(
                    "verifiedRecoveryEmail".to_owned(),
                    person.verified_recovery_email.into(),
                );
            }
            if person.profile.contains_key("recoveryPhone") {
                map.insert(
                    "verifiedRecoveryPhone".to_owned(),
                    person.verified_recovery_phone.into(),
                );
            }
        }
        user
    }

    /// A login id that is itself an address fills that address in when the profile has none.
    pub(crate) fn fill_addresses(person: &mut Person) {
        let Some(login_id) = person.login_ids.first().cloned() else {
            return;
        };
        if address::is_email(&login_id) {
            person.profile.entry("email").or_insert(login_id);
        } else if address::is_international_phone(&login_id) {
            person.profile.entry("phone").or_insert(login_id);
        }
    }
}
