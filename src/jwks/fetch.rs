//! Getting a project's key set over HTTP.

use std::time::Duration;

use http::HeaderMap;
use reqwest::Method;

use crate::error::{CredentialKind, Error, KeyProblem, KeysUnavailable, redirect};
use crate::jwt::jwk::{Algorithm, KeySet};
use crate::raw::call::sealed::Named as _;
use crate::raw::hooks::Inner;
use crate::raw::{Client, operations};
use crate::transport::body::Stop;

/// Key sets are a few kilobytes.
const MAX_BODY: usize = 256 * 1024;

/// Where and how to get the keys.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) inner: Inner,
    /// For all attempts together, waits between them included.
    pub(crate) timeout: Duration,
    pub(crate) algorithms: Vec<Algorithm>,
}

impl Endpoint {
    /// Gets the keys, as a call of the generated client: only the body is read otherwise, since a key
    /// set is taken strictly.
    pub(crate) async fn fetch(&self) -> Result<KeySet, KeysUnavailable> {
        let client = Client {
            inner: self.inner.clone().with_timeout(self.timeout),
        };
        let path = format!("/v2/keys/{}", self.inner.settings.project_id);
        let request = client.request(Method::GET, &path);
        let (name, url) = (operations::Keys::NAME, request.url().clone());
        let received = client
            .exec(request, name, CredentialKind::Project, MAX_BODY)
            .await
            .map_err(|error| self.unavailable(error))?;
        // A client of the application's own may follow redirects; its keys are not those asked for.
        if received.url != url {
            return Err(self.redirect(&received.headers));
        }
        let status = received.status.as_u16();
        if status != 200 {
            return Err(KeysUnavailable::from(KeyProblem::Status(status)));
        }
        match received.body {
            Ok(body) => KeySet::from_json(&body, &self.algorithms).map_err(KeysUnavailable::from),
            Err(Stop::TooLarge(_)) => Err(KeysUnavailable::from(KeyProblem::TooLarge)),
            Err(Stop::Failed(_, error)) => Err(KeysUnavailable::caused(
                KeyProblem::Transport,
                error.without_url(),
            )),
        }
    }

    fn redirect(&self, headers: &HeaderMap) -> KeysUnavailable {
        let settings = &self.inner.settings;
        let why = Redirect(redirect(&settings.base_url, headers, &settings.project_id));
        KeysUnavailable::caused(KeyProblem::Redirect, why)
    }

    fn unavailable(&self, error: Error) -> KeysUnavailable {
        match &error {
            Error::Api(refusal) if refusal.status().is_redirection() => {
                self.redirect(refusal.headers())
            }
            Error::Api(refusal) => {
                KeysUnavailable::from(KeyProblem::Status(refusal.status().as_u16()))
            }
            _ if error.is_timeout() => KeysUnavailable::caused(KeyProblem::Timeout, error),
            Error::Transport(failure) if failure.is_tls() => {
                KeysUnavailable::caused(KeyProblem::Tls, error)
            }
            _ => KeysUnavailable::caused(KeyProblem::Transport, error),
        }
    }
}

/// Where a redirect leads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Redirect(String);
