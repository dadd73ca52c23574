//! Calls: what is sent, put together step by step.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::hooks::Credential;
use crate::error::{CredentialKind, Error};
use crate::transport::request::encode_path;
use crate::transport::response::{LARGEST_BODY, Received, ResponseValue};

/// A call before it is sent: of an operation, from its method of [`Client`], or of anything, from
/// [`Client::call`].
///
/// What an operation cannot do without is an argument of its method; what is optional is set here. When
/// an operation gets one more optional part, it gets one more method here, and callers compile as before.
///
/// ```no_run
/// # async fn run(raw: &descope_magiclink::raw::Client, refresh: &descope_magiclink::RefreshToken)
/// # -> Result<(), descope_magiclink::Error> {
/// use descope_magiclink::raw::types::{LoginOptions, MagicLinkSignInRequest};
///
/// let body = MagicLinkSignInRequest::default()
///     .login_id("joe@example.com")
///     .login_options(LoginOptions::default().stepup(true));
/// raw.sign_in_magic_link_email(&body).refresh_token(refresh).send().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent until `.send().await`"]
pub struct Call<'c, O = ()> {
    client: &'c Client,
    name: &'static str,
    /// Whose token or key goes along.
    credential: CredentialKind,
    request: Result<reqwest::Request, Error>,
    operation: PhantomData<fn() -> O>,
}

impl<O> fmt::Debug for Call<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.name)
            .finish_non_exhaustive()
    }
}

/// An operation of the description: one of [`operations`](super::operations).
pub trait Operation: sealed::Named {
    /// What the body of its response is read as.
    type Response: sealed::Body;
}

pub(crate) mod sealed {
    use std::time::Duration;

    use crate::error::Error;
    use crate::transport::body::FromJson;
    use crate::transport::response::{LARGEST_BODY, Received, ResponseValue};

    pub trait Named {
        const NAME: &'static str;
    }

    pub trait Body: Sized {
        /// How many bytes of it are read.
        const MAX_LEN: usize;

        fn decoded(
            received: Received,
            operation: &'static str,
            limit: Duration,
        ) -> Result<ResponseValue<Self>, Error>;
    }

    impl<T: FromJson + Default> Body for T {
        const MAX_LEN: usize = if T::HAS_BODY { LARGEST_BODY } else { 0 };

        fn decoded(
            received: Received,
            operation: &'static str,
            limit: Duration,
        ) -> Result<ResponseValue<Self>, Error> {
            ResponseValue::decoded(received, operation, limit)
        }
    }
}

/// The type that stands for an operation.
macro_rules! operation {
    ($of:ident, $name:literal, $response:ty) => {
        #[doc = concat!("Of [`", $name, "`](crate::raw::Client::", $name, ").")]
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum $of {}

        impl crate::raw::call::sealed::Named for $of {
            const NAME: &'static str = $name;
        }

        impl crate::raw::call::Operation for $of {
            type Response = $response;
        }
    };
}

impl Client {
    /// A call of an endpoint that this crate does not describe, with all that described calls have:
    /// authentication, headers, one deadline, repeats of reads, a limit for the body, typed errors.
    ///
    /// `name` stands for the operation in errors, spans and events; `path` begins with a slash and is
    /// sent as it is.
    ///
    /// ```no_run
    /// use descope_magiclink::raw;
    /// use serde_json::{Value, json};
    ///
    /// # async fn run(client: descope_magiclink::Client) -> Result<(), descope_magiclink::Error> {
    /// let sent = client
    ///     .raw()
    ///     .call("sign_in_otp_email", http::Method::POST, "/v1/auth/otp/signin/email")
    ///     .json(&json!({ "loginId": "joe@example.com" }))
    ///     .send::<Value>()
    ///     .await?;
    /// println!("{}", sent["maskedEmail"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn call(&self, name: &'static str, method: Method, path: &str) -> Call<'_> {
        let is_path = path.starts_with('/')
            && !path.starts_with("//")
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte))
            && !path.split('/').any(is_dots);
        let problem = "must begin with one slash, be encoded as in a URL, and have no query, \
                       no fragment and no dot segments";
        let path = is_path.then_some(path);
        let path = path.ok_or_else(|| Error::argument("path", problem));
        Call::new(self, name, method, path)
    }

    /// A client whose calls may take so long in all, and which shares everything else.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let mut client = self.clone();
        client.inner.timeout = timeout;
        client
    }

    /// A client that sends one more header with each call, and which shares everything else.
    /// `Authorization` stays the client's own.
    #[must_use]
    pub fn with_header(&self, name: HeaderName, value: HeaderValue) -> Self {
        let mut client = self.clone();
        if name != AUTHORIZATION {
            let mut headers = HeaderMap::clone(&client.inner.headers);
            headers.insert(name, value);
            client.inner.headers = Arc::new(headers);
        }
        client
    }
}

/// Whether a segment of a path leads elsewhere, written with or without percent signs.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

impl<'c, O> Call<'c, O> {
    fn new(
        client: &'c Client,
        name: &'static str,
        method: Method,
        path: Result<impl AsRef<str>, Error>,
    ) -> Self {
        Self {
            client,
            name,
            credential: CredentialKind::without_one(name),
            request: path.map(|path| client.request(method, path.as_ref())),
            operation: PhantomData,
        }
    }

    fn change(
        mut self,
        change: impl FnOnce(&Client, &mut reqwest::Request) -> Result<(), Error>,
    ) -> Self {
        let client = self.client;
        self.request = self
            .request
            .and_then(|mut request| change(client, &mut request).map(|()| request));
        self
    }

    /// One `name=value` of the query, beside those that have methods of their own.
    pub fn query(self, name: &str, value: impl fmt::Display) -> Self {
        self.change(|_, request| {
            let mut query = request.url_mut().query_pairs_mut();
            query.append_pair(name, &value.to_string());
            Ok(())
        })
    }

    /// A header of this call. `Authorization` is the credential's.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.change(|_, request| {
            if name != AUTHORIZATION {
                request.headers_mut().insert(name, value);
            }
            Ok(())
        })
    }

    pub(super) fn authorized<C: Credential>(mut self, credential: &C) -> Self {
        self.credential = C::KIND;
        self.change(|client, request| client.authorize(request.headers_mut(), credential))
    }

    fn with_body(self, json: serde_json::Result<Vec<u8>>) -> Self {
        self.change(|_, request| {
            let json = json.map_err(|_| Error::argument("body", "cannot be written as JSON"))?;
            let kind = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, kind);
            *request.body_mut() = Some(json.into());
            Ok(())
        })
    }

    async fn response(self, max_body: usize) -> Result<Received, Error> {
        self.client
            .exec(self.request?, self.name, self.credential, max_body)
            .await
    }
}

impl Call<'_> {
    /// Whom the call is made for; without it, it carries the project id alone.
    pub fn credential(self, credential: &impl Credential) -> Self {
        self.authorized(credential)
    }

    /// The body.
    pub fn json<B: Serialize + ?Sized>(self, body: &B) -> Self {
        self.with_body(serde_json::to_vec(body))
    }

    /// Makes the call. An empty body reads as `null`, so that `()` will do for it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for what cannot be sent, [`Error::Api`] for a status that is no
    /// success, [`Error::Decode`] for a body that is no `T`.
    pub async fn send<T: DeserializeOwned>(self) -> Result<ResponseValue<T>, Error> {
        let (operation, limit) = (self.name, self.client.inner.timeout);
        ResponseValue::of_any(self.response(LARGEST_BODY).await?, operation, limit)
    }
}

impl<'c, O: Operation> Call<'c, O> {
    /// The call of an operation, with the values in its path.
    pub(super) fn described(
        client: &'c Client,
        method: Method,
        template: &str,
        values: &[&dyn fmt::Display],
    ) -> Self {
        let mut parts = template.split("{}");
        let mut path = parts.next().unwrap_or_default().to_owned();
        let written = parts.zip(values).try_for_each(|(part, value)| {
            path += &encode_path(&value.to_string())?;
            path += part;
            Ok(())
        });
        Self::new(client, O::NAME, method, written.map(|()| path))
    }

    /// By way of a value, in which no member stands twice: what is in `extra` may have become a field.
    pub(super) fn body(self, body: &impl Serialize) -> Self {
        self.with_body(serde_json::to_value(body).and_then(|body| serde_json::to_vec(&body)))
    }

    /// Makes the call.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for what cannot be sent, [`Error::Api`] for a status that is no
    /// success, [`Error::Decode`] for a body that cannot be read.
    pub async fn send(self) -> Result<ResponseValue<O::Response>, Error> {
        let limit = self.client.inner.timeout;
        let max_body = <O::Response as sealed::Body>::MAX_LEN;
        <O::Response as sealed::Body>::decoded(self.response(max_body).await?, O::NAME, limit)
    }
}
