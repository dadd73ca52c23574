//! Getting a project's key set over HTTP.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use crate::error::redirect;
use crate::error::{KeyProblem, KeysUnavailable};
use crate::jwt::jwk::{Algorithm, KeySet};
use crate::retry::RetryPolicy;
use crate::transport::http::WorkerHttp;

/// Key sets are a few kilobytes.
const MAX_BODY: usize = 256 * 1024;

/// Where and how to get the keys.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) http: WorkerHttp,
    pub(crate) url: Url,
    pub(crate) base_url: String,
    /// Those of every call, `Authorization` among them.
    pub(crate) headers: HeaderMap,
    /// For all attempts together, waits between them included.
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) algorithms: Vec<Algorithm>,
}

/// What became of one request.
enum Retry {
    No(KeysUnavailable),
    /// Another attempt may fare better.
    Yes(KeysUnavailable),
}

impl Endpoint {
    /// Gets the keys, with repeated tries within one deadline.
    pub(crate) async fn fetch(&self) -> Result<KeySet, KeysUnavailable> {
        match tokio::time::timeout(self.timeout, self.attempts()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(KeysUnavailable::new(KeyProblem::Timeout)),
        }
    }

    async fn attempts(&self) -> Result<KeySet, KeysUnavailable> {
        let mut attempt = 1;
        loop {
            let passing = match self.attempt().await {
                Ok(keys) => return Ok(keys),
                Err(Retry::No(why)) => return Err(why),
                Err(Retry::Yes(why)) => why,
            };
            let Some(wait) = self.retry.wait(attempt) else {
                return Err(passing);
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self) -> Result<KeySet, Retry> {
        let unusable = |error| KeysUnavailable::caused(KeyProblem::Transport, error);
        let client = self
            .http
            .get()
            .map_err(|error| Retry::No(unusable(error)))?;
        let request = client.get(self.url.clone()).headers(self.headers.clone());
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        // A client of the application's own may follow redirects; its keys are not those asked for.
        if status.is_redirection() || response.url() != &self.url {
            let why = Redirect(redirect(&self.base_url, response.headers()));
            let why = KeysUnavailable::caused(KeyProblem::Redirect, why);
            return Err(Retry::No(why));
        }
        if status != StatusCode::OK {
            let why = KeysUnavailable::new(KeyProblem::Status(status.as_u16()));
            return Err(if self.retry.covers(status) {
                Retry::Yes(why)
            } else {
                Retry::No(why)
            });
        }
        let too_large = || Retry::No(KeysUnavailable::new(KeyProblem::TooLarge));
        if response
            .content_length()
            .is_some_and(|len| len > MAX_BODY as u64)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if chunk.len() > MAX_BODY - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        KeySet::from_json(&body, &self.algorithms)
            .map_err(|problem| Retry::No(KeysUnavailable::new(problem)))
    }
}

/// Where a redirect leads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Redirect(String);

fn broken(error: reqwest::Error) -> Retry {
    let problem = if error.is_timeout() {
        KeyProblem::Timeout
    } else {
        KeyProblem::Transport
    };
    Retry::Yes(KeysUnavailable::caused(problem, error.without_url()))
}
