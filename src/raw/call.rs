//! Calls that the description does not have.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::hooks::Credential;
use crate::error::Error;
use crate::transport::request::{ClientHooks as _, OperationInfo, build_error};
use crate::transport::response::ResponseValue;

/// A call that the description does not have, before it is sent: from [`Client::call`].
#[derive(Debug)]
#[must_use = "nothing is sent until `send`"]
pub struct Call<'c> {
    client: &'c Client,
    name: &'static str,
    request: Result<reqwest::Request, Error>,
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
        let request = if is_path {
            let url = format!("{}{path}", self.baseurl);
            self.client
                .request(method, url)
                .build()
                .map_err(build_error)
        } else {
            let problem = "must begin with one slash, be encoded as in a URL, and have no query, \
                           no fragment and no dot segments";
            Err(Error::argument("path", problem))
        };
        Call {
            client: self,
            name,
            request,
        }
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

impl Call<'_> {
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

    /// Whom the call is made for; without it, it carries the project id alone.
    pub fn credential(self, credential: &impl Credential) -> Self {
        self.change(|client, request| client.authorize(request.headers_mut(), credential))
    }

    /// One `name=value` of the query.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.change(|_, request| {
            request.url_mut().query_pairs_mut().append_pair(name, value);
            Ok(())
        })
    }

    /// A header of this call. `Authorization` is the [`credential`](Self::credential)'s.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.change(|_, request| {
            if name != AUTHORIZATION {
                request.headers_mut().insert(name, value);
            }
            Ok(())
        })
    }

    /// The body.
    pub fn json<B: Serialize + ?Sized>(self, body: &B) -> Self {
        self.change(|_, request| {
            let text = serde_json::to_vec(body)
                .map_err(|_| Error::argument("body", "cannot be written as JSON"))?;
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            *request.body_mut() = Some(text.into());
            Ok(())
        })
    }

    /// Makes the call. An empty body reads as `null`, so that `()` will do for it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for what cannot be sent, [`Error::Api`] for a status that is no
    /// success, [`Error::Decode`] for a body that is no `T`.
    pub async fn send<T: DeserializeOwned>(self) -> Result<ResponseValue<T>, Error> {
        let info = OperationInfo {
            operation_id: self.name,
        };
        let mut request = self.request?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().entry(ACCEPT).or_insert(json);
        self.client.pre(&mut request, &info).await?;
        let response = self.client.exec(request, &info).await?;
        ResponseValue::of_any(response).await
    }
}
