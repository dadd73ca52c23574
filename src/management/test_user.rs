//! Users for tests, and their links.

use serde_json::Value;

use super::{Management, user_of};
use crate::delivery::DeliveryMethod;
use crate::error::Result;
use crate::magic_link::address;
use crate::magic_link::options::{LinkRequest, accepts};
use crate::raw::types;
use crate::secret::{MagicLinkToken, ManagementKey, Secret};
use crate::user::User;

impl Management {
    /// Creates a test user, whose links can be read without a mailbox.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an empty login id; else as the service decides.
    pub async fn create_test_user(&self, user: TestUser) -> Result<User> {
        let body = user.into_body()?;
        let response = self
            .client
            .raw()
            .create_test_user(&self.key, &body)
            .send()
            .await?;
        user_of(response)
    }

    /// A link for a test user. Generate it before starting a flow that needs one; it can also be
    /// verified with no flow at all.
    pub fn test_magic_link(
        &self,
        method: DeliveryMethod,
        login_id: impl Into<String>,
    ) -> LinkRequest<TestMagicLink> {
        let key = self.key.clone();
        LinkRequest::new(&self.client, login_id.into(), TestMagicLink { method, key })
    }
}

/// A test user to create.
///
/// ```
/// use descope_magiclink::management::TestUser;
///
/// let user = TestUser::new("joe").email("joe@example.com").role("admin").tenant("t1", ["editor"]);
/// # let _ = user;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct TestUser(types::CreateUserRequest);

impl TestUser {
    /// A user with a login id. Without an email or a phone they cannot be sent links.
    pub fn new(login_id: impl Into<String>) -> Self {
        Self(types::CreateUserRequest {
            login_id: Some(login_id.into()),
            test: Some(true),
            ..types::CreateUserRequest::default()
        })
    }

    /// The email address.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.0.email = Some(email.into());
        self
    }

    /// Takes the email address as verified.
    pub fn email_verified(mut self) -> Self {
        self.0.verified_email = Some(true);
        self
    }

    /// The phone number.
    pub fn phone(mut self, phone: impl Into<String>) -> Self {
        self.0.phone = Some(phone.into());
        self
    }

    /// Takes the phone number as verified.
    pub fn phone_verified(mut self) -> Self {
        self.0.verified_phone = Some(true);
        self
    }

    /// The full name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = Some(name.into());
        self
    }

    /// A further login id.
    pub fn additional_login_id(mut self, login_id: impl Into<String>) -> Self {
        self.0.additional_identifiers.push(login_id.into());
        self
    }

    /// A role on the level of the project.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.0.role_names.push(role.into());
        self
    }

    /// A tenant to belong to, and the roles there.
    pub fn tenant<I>(mut self, id: impl Into<String>, roles: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.0.user_tenants.push(types::AssociatedTenant {
            tenant_id: Some(id.into()),
            role_names: roles.into_iter().map(Into::into).collect(),
            ..Default::default()
        });
        self
    }

    /// A value of an attribute that the project defines.
    pub fn custom_attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.custom_attributes.insert(name.into(), value.into());
        self
    }

    pub(super) fn into_body(self) -> Result<types::CreateUserRequest> {
        let mut body = self.0;
        body.login_id = Some(address::login_id(
            body.login_id.as_deref().unwrap_or_default(),
        )?);
        if let Some(email) = &mut body.email {
            *email = address::email("email", email)?;
        }
        if let Some(phone) = &mut body.phone {
            *phone = address::phone("phone", phone)?;
        }
        for login_id in &mut body.additional_identifiers {
            *login_id = address::login_id(login_id)?;
        }
        Ok(body)
    }
}

/// A link for a test user: see [`Management::test_magic_link`].
#[derive(Debug, Clone)]
pub struct TestMagicLink {
    method: DeliveryMethod,
    key: ManagementKey,
}

impl accepts::Redirect for TestMagicLink {}
impl accepts::Message for TestMagicLink {}
impl accepts::Login for TestMagicLink {}
impl accepts::SignIn for TestMagicLink {}
impl accepts::Management for TestMagicLink {}

impl LinkRequest<TestMagicLink> {
    /// Generates the link. Nothing is delivered.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an empty login id; else as the service decides, which refuses
    /// users who are no test users.
    pub async fn send(mut self) -> Result<TestLink> {
        let body = types::TestUserGenerateMagicLinkRequest {
            login_id: self.checked_login_id()?,
            delivery_method: Some(self.kind.method.to_string()),
            redirect_url: self.checked_redirect_url()?,
            login_options: self.login_options()?,
            ..Default::default()
        };
        let call = self
            .client
            .raw()
            .generate_magic_link_for_test_user(&self.kind.key, &body);
        let response = call.send().await?;
        let missing = response.missing("link");
        let link = response.into_inner().link.filter(|link| !link.is_empty());
        Ok(TestLink {
            link: link.ok_or(missing)?,
        })
    }
}

/// A link for a test user.
#[derive(Debug, Clone)]
pub struct TestLink {
    link: Secret,
}

impl TestLink {
    /// The whole link. Whoever has it can sign in.
    #[must_use]
    pub fn link(&self) -> &Secret {
        &self.link
    }

    /// The token in the link.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the link has none.
    pub fn token(&self) -> Result<MagicLinkToken> {
        MagicLinkToken::from_url(self.link.expose_secret())
    }
}
