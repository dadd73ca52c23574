//! Test users and embedded links: calls that need a management key (feature `management`).

mod embedded_link;
mod test_user;

pub use embedded_link::{EmbeddedSignIn, EmbeddedSignUp};
pub use test_user::{TestLink, TestMagicLink, TestUser};

use crate::client::Client;
use crate::error::{ConfigError, Error, Result};
use crate::magic_link::address;
use crate::raw::{self, ResponseValue, types};
use crate::secret::ManagementKey;
use crate::user::User;

/// Management calls: from [`Client::management`](crate::Client::management).
///
/// ```no_run
/// use descope_magiclink::management::TestUser;
/// use descope_magiclink::{Client, DeliveryMethod};
///
/// # async fn run() -> Result<(), descope_magiclink::Error> {
/// let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
///     .management_key("K2...")
///     .build()?;
/// let management = client.management()?;
/// management.create_test_user(TestUser::new("joe").email("joe@example.com")).await?;
/// let link = management
///     .test_magic_link(DeliveryMethod::Email, "joe")
///     .redirect_url("https://app.example.com/verify")
///     .send()
///     .await?;
/// let auth = client.magic_link().verify(&link.token()?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Management {
    client: Client,
    key: ManagementKey,
}

impl Management {
    /// The low-level client and the key, for management calls that this type has no method for.
    ///
    /// ```no_run
    /// # async fn run(management: descope_magiclink::management::Management)
    /// # -> Result<(), descope_magiclink::Error> {
    /// let (raw, key) = management.raw();
    /// let found = raw.load_user(key).login_id("joe@example.com").send().await?;
    /// println!("{:?}", found.headers());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn raw(&self) -> (&raw::Client, &ManagementKey) {
        (self.client.raw(), &self.key)
    }
}

impl Client {
    /// Management calls with the [key](crate::ClientBuilder::management_key) that the client was
    /// built with.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when it was built with none.
    pub fn management(&self) -> Result<Management> {
        match &self.settings().management_key {
            Some(key) => Ok(self.management_with(key.clone())),
            None => Err(ConfigError::MissingManagementKey.into()),
        }
    }

    /// Management calls with a key that the client was not built with.
    #[must_use]
    pub fn management_with(&self, key: impl Into<ManagementKey>) -> Management {
        Management {
            client: self.clone(),
            key: key.into(),
        }
    }
}

impl Management {
    /// Deletes every test user of the project.
    ///
    /// # Errors
    ///
    /// As the service decides.
    pub async fn delete_all_test_users(&self) -> Result<()> {
        self.client
            .raw()
            .delete_all_test_users(&self.key)
            .send()
            .await
            .map(drop)
    }

    /// The user with a login id.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with
    /// [`ErrorCode::ManagementUserNotFound`](crate::ErrorCode::ManagementUserNotFound) when there is
    /// none.
    pub async fn user(&self, login_id: impl AsRef<str>) -> Result<User> {
        let login_id = address::login_id(login_id.as_ref())?;
        let response = self
            .client
            .raw()
            .load_user(&self.key)
            .login_id(&login_id)
            .send()
            .await?;
        user_of(response)
    }

    /// The user with an id (`U...`).
    ///
    /// # Errors
    ///
    /// As [`user`](Self::user).
    pub async fn user_by_id(&self, user_id: impl AsRef<str>) -> Result<User> {
        let user_id = user_id.as_ref().trim();
        if user_id.is_empty() {
            return Err(Error::argument("user_id", "must not be empty"));
        }
        let response = self
            .client
            .raw()
            .load_user(&self.key)
            .user_id(user_id)
            .send()
            .await?;
        user_of(response)
    }

    /// Deletes the user with a login id. Session tokens that were already issued stay valid, as after
    /// [`logout_user`](Self::logout_user).
    ///
    /// # Errors
    ///
    /// As [`user`](Self::user).
    pub async fn delete_user(&self, login_id: impl AsRef<str>) -> Result<()> {
        let login_id = address::login_id(login_id.as_ref())?;
        let body = types::DeleteUserRequest {
            login_id: Some(login_id),
            ..Default::default()
        };
        self.client
            .raw()
            .delete_user(&self.key, &body)
            .send()
            .await
            .map(drop)
    }

    /// Ends all sessions of the user with a login id. Session tokens that were already issued stay
    /// valid until they expire, and requests that come late with a refresh token that was just replaced still get those
    /// that [`refresh`](crate::Sessions::refresh) has kept for them, for 5 minutes at most: they are kept by the
    /// user's id, which this call does not know. [`logout_all`](crate::Sessions::logout_all) forgets them.
    ///
    /// # Errors
    ///
    /// As [`user`](Self::user).
    pub async fn logout_user(&self, login_id: impl AsRef<str>) -> Result<()> {
        let login_id = address::login_id(login_id.as_ref())?;
        let body = types::UserLogoutRequest {
            login_id: Some(login_id),
            ..types::UserLogoutRequest::default()
        };
        self.client
            .raw()
            .logout_all_user_devices(&self.key, &body)
            .send()
            .await
            .map(drop)
    }
}

pub(super) fn user_of(response: ResponseValue<types::UserResponse>) -> Result<User> {
    let (no_user, no_id) = (response.missing("user"), response.missing("user.userId"));
    let user = response.into_inner().user.ok_or(no_user)?;
    if user.user_id.is_none() {
        return Err(no_id);
    }
    Ok(user.into())
}
