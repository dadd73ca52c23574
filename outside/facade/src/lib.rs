//! A typed facade over `raw`: one-time passwords by email, which the description lacks, and links with a count of
//! the calls that are made.

use std::sync::atomic::{AtomicU64, Ordering};

use descope_magiclink::Authentication;
use descope_magiclink::raw::{Call, Operation, ResponseValue, types};
use descope_magiclink::{Client, Error};
use http::Method;
use serde_json::json;

/// One-time passwords by email. Deadline, limit of the body, headers and errors are those of the client.
pub struct Otp<'c>(pub &'c Client);

impl Otp<'_> {
    /// Sends a code, and gives the address that it went to, most of it hidden.
    pub async fn send(&self, login_id: &str) -> Result<Option<String>, Error> {
        let path = "/v1/auth/otp/signin/email";
        let call = self.0.raw().call("sign_in_otp_email", Method::POST, path);
        let call = call.json(&json!({ "loginId": login_id }));
        let sent = call.send::<types::EmailMagicLinkResponse>().await?;
        Ok(sent.into_inner().masked_email)
    }

    /// Signs in by the code.
    pub async fn verify(&self, login_id: &str, code: &str) -> Result<Authentication, Error> {
        let path = "/v1/auth/otp/verify/email";
        let call = self.0.raw().call("verify_otp_email", Method::POST, path);
        let call = call.json(&json!({ "loginId": login_id, "code": code }));
        self.0.sessions().accept(call.send().await?).await
    }
}

/// Links by email.
pub struct Links<'c> {
    client: &'c Client,
    calls: AtomicU64,
}

impl<'c> Links<'c> {
    /// By a client.
    pub fn new(client: &'c Client) -> Self {
        let calls = AtomicU64::new(0);
        Self { client, calls }
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn counted<O: Operation>(
        &self,
        call: Call<'_, O>,
    ) -> Result<ResponseValue<O::Response>, Error> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        call.send().await
    }

    /// Sends a link to somebody new. Gives which attempt it is, where the service says so.
    pub async fn sign_up(&self, login_id: &str, name: &str) -> Result<Option<u64>, Error> {
        let body = types::MagicLinkSignUpEmailRequest::default()
            .login_id(login_id)
            .email(login_id)
            .user(types::SignUpUser::default().name(name))
            .member("channel", "web");
        let call = self.client.raw().sign_up_magic_link_email(&body);
        Ok(attempt(&self.counted(call).await?))
    }

    /// Sends a link.
    pub async fn sign_in(&self, login_id: &str) -> Result<Option<u64>, Error> {
        let mut body = types::MagicLinkSignInRequest::default();
        body.login_id = Some(login_id.to_owned());
        let call = self.client.raw().sign_in_magic_link_email(&body);
        Ok(attempt(&self.counted(call).await?))
    }

    /// How many keys the project has.
    pub async fn keys(&self) -> Result<usize, Error> {
        let keys = self.counted(self.client.raw().keys()).await?;
        Ok(keys.into_inner().keys.unwrap_or_default().len())
    }
}

/// A member that the description may have some day.
pub fn attempt(sent: &ResponseValue<types::EmailMagicLinkResponse>) -> Option<u64> {
    sent.member("attempt")?.as_u64()
}

#[cfg(test)]
mod test;
