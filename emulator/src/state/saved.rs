//! The state as it is written to a file.

use serde::{Deserialize, Serialize};

use super::State;
use super::clock::Time;
use super::keys::KeyRing;
use super::links::Links;
use super::messages::Messages;
use super::project::Project;
use super::sessions::Sessions;
use super::users::Users;

/// The form of the file; another number is refused.
const VERSION: u32 = 1;

/// What outlives the program: all but faults, requests and rate limits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedState {
    version: u32,
    project_id: String,
    clock: Time,
    keys: KeyRing,
    project: Project,
    users: Users,
    links: Links,
    sessions: Sessions,
    messages: Messages,
}

impl State {
    pub(crate) fn save(&self) -> SavedState {
        SavedState {
            version: VERSION,
            project_id: self.settings.project_id.clone(),
            clock: self.time,
            keys: self.keys.clone(),
            project: self.project.clone(),
            users: self.users.clone(),
            links: self.links.clone(),
            sessions: self.sessions.clone(),
            messages: self.messages.clone(),
        }
    }

    /// Goes on from a saved state. What the settings seed wins over it, but for users, who stay as they became.
    pub(crate) fn load(&mut self, saved: SavedState) -> Result<(), String> {
        if saved.version != VERSION {
            return Err(format!(
                "it has the version {}, and this program reads version {VERSION}",
                saved.version
            ));
        }
        if saved.project_id != self.settings.project_id {
            return Err(format!(
                "it is of the project {0}; start with --project-id {0}, or with another file",
                saved.project_id
            ));
        }
        let keys = match self.settings.signing_key {
            Some(_) => self.keys.clone(),
            None => saved.keys,
        };
        let seeded = std::mem::take(&mut self.project);
        self.project = saved.project;
        self.project.roles.extend(seeded.roles);
        self.project.tenants.extend(seeded.tenants);
        self.project.templates.extend(seeded.templates);
        self.project.access_keys.extend(seeded.access_keys);
        self.time = saved.clock;
        self.keys = keys;
        self.users = saved.users;
        self.links = saved.links;
        self.sessions = saved.sessions;
        self.messages = saved.messages;
        for user in &self.settings.clone().users {
            if self.users.owner(&user.login_id).is_none() {
                self.add_user(user).map_err(|refused| refused.message)?;
            }
        }
        Ok(())
    }
}
