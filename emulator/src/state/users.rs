//! The users of the project.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bounded::json_bytes;
use crate::address;

/// How many sign-ins the history of a user keeps.
const HISTORY: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Invited,
    Enabled,
    Disabled,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// A sign-in of the past.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SignInRecord {
    pub(crate) at: i64,
    pub(crate) ip: String,
    pub(crate) tenant: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    pub(crate) id: String,
    pub(crate) login_ids: Vec<String>,
    /// Text members of the profile, by their name on the wire.
    pub(crate) profile: BTreeMap<String, String>,
    /// The members of the profile whose address is verified.
    pub(crate) verified: BTreeSet<String>,
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
    pub(crate) history: VecDeque<SignInRecord>,
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

impl UserRecord {
    pub(crate) fn new(id: String, login_id: String, created: i64) -> Self {
        Self {
            id,
            login_ids: vec![login_id],
            profile: BTreeMap::new(),
            verified: BTreeSet::new(),
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

    /// A login id that is itself an address fills that address in when the profile has none.
    pub(crate) fn fill_addresses(&mut self) {
        let Some(login_id) = self.login_ids.first().cloned() else {
            return;
        };
        let member = if address::is_email(&login_id) {
            "email"
        } else if address::is_international_phone(&login_id) {
            "phone"
        } else {
            return;
        };
        self.profile.entry(member.to_owned()).or_insert(login_id);
    }

    /// Marks an address as verified, or as not; one that is not there is not.
    pub(crate) fn set_verified(&mut self, member: &str, is_verified: bool) {
        if is_verified && self.profile.contains_key(member) {
            self.verified.insert(member.to_owned());
        } else {
            self.verified.remove(member);
        }
    }

    pub(crate) fn remember(&mut self, sign_in: SignInRecord) {
        self.history.push_back(sign_in);
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
    }

    fn bytes(&self) -> usize {
        let texts = |list: &[String]| list.iter().map(|text| 24 + text.len()).sum::<usize>();
        let profile = self.profile.iter();
        let tenants = self.tenants.iter();
        let history = self.history.iter();
        128 + self.id.len()
            + texts(&self.login_ids)
            + texts(&self.roles)
            + texts(&self.sso_apps)
            + profile
                .map(|(name, value)| 48 + name.len() + value.len())
                .sum::<usize>()
            + tenants
                .map(|(id, roles)| 48 + id.len() + texts(roles))
                .sum::<usize>()
            + history
                .map(|sign_in| {
                    64 + sign_in.ip.len() + sign_in.tenant.as_ref().map_or(0, String::len)
                })
                .sum::<usize>()
            + json_bytes(&self.attributes)
            + json_bytes(&self.claims)
    }
}

/// Users by id, and their login ids; a copy shares the users until one of the two changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<UserRecord>", into = "Vec<UserRecord>")]
pub(crate) struct Users {
    by_id: HashMap<String, Arc<UserRecord>>,
    by_login_id: HashMap<String, String>,
    /// Ids of test users, so that deleting them all does not search everyone.
    tests: BTreeSet<String>,
    bytes: usize,
}

impl From<Vec<UserRecord>> for Users {
    fn from(all: Vec<UserRecord>) -> Self {
        let mut users = Self::default();
        for user in all {
            users.insert(user);
        }
        users
    }
}

impl From<Users> for Vec<UserRecord> {
    fn from(users: Users) -> Self {
        let mut all: Self = users.all().cloned().collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }
}

impl Users {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, id: &str) -> Option<&UserRecord> {
        self.by_id.get(id).map(Arc::as_ref)
    }

    /// Changes a user, where there is one; login ids have methods of their own.
    pub(crate) fn change<R>(
        &mut self,
        id: &str,
        act: impl FnOnce(&mut UserRecord) -> R,
    ) -> Option<R> {
        let user = Arc::make_mut(self.by_id.get_mut(id)?);
        self.bytes -= user.bytes();
        let done = act(user);
        self.bytes += user.bytes();
        Some(done)
    }

    pub(crate) fn by_login_id(&self, login_id: &str) -> Option<&UserRecord> {
        self.get(self.by_login_id.get(login_id)?)
    }

    pub(crate) fn owner(&self, login_id: &str) -> Option<&str> {
        self.by_login_id.get(login_id).map(String::as_str)
    }

    pub(crate) fn insert(&mut self, user: UserRecord) {
        for login_id in &user.login_ids {
            self.by_login_id.insert(login_id.clone(), user.id.clone());
        }
        if user.test {
            self.tests.insert(user.id.clone());
        }
        self.bytes += user.bytes();
        if let Some(old) = self.by_id.insert(user.id.clone(), Arc::new(user)) {
            self.bytes -= old.bytes();
        }
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Arc<UserRecord>> {
        let user = self.by_id.remove(id)?;
        self.bytes -= user.bytes();
        for login_id in &user.login_ids {
            self.by_login_id.remove(login_id);
        }
        self.tests.remove(id);
        Some(user)
    }

    pub(crate) fn add_login_id(&mut self, id: &str, login_id: &str) {
        let added = self.change(id, |user| {
            let is_new = !user.login_ids.iter().any(|known| known == login_id);
            if is_new {
                user.login_ids.push(login_id.to_owned());
            }
            is_new
        });
        if added == Some(true) {
            self.by_login_id.insert(login_id.to_owned(), id.to_owned());
        }
    }

    pub(crate) fn replace_login_id(&mut self, id: &str, old: &str, new: &str) {
        let replaced = self.change(id, |user| {
            let place = user.login_ids.iter_mut().find(|known| *known == old);
            place.map(|place| *place = new.to_owned()).is_some()
        });
        if replaced == Some(true) {
            self.by_login_id.remove(old);
            self.by_login_id.insert(new.to_owned(), id.to_owned());
        }
    }

    pub(crate) fn test_ids(&self) -> Vec<String> {
        self.tests.iter().cloned().collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &UserRecord> {
        self.by_id.values().map(Arc::as_ref)
    }
}
