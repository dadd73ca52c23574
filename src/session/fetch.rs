//! Getting a project's key set over HTTP.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use url::Url;

use super::error::{KeyProblem, KeysUnavailable};
use super::key::{Algorithm, KeySet};
use crate::error::redirect;
use crate::retry::RetryPolicy;

/// Key sets are a few kilobytes.
const MAX_BODY: usize = 256 * 1024;

/// Where and how to get the keys.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) base_url: String,
    /// Those of every call, `Authorization` among them.
    pub(super) headers: HeaderMap,
    /// For all attempts together, waits between them included.
    pub(super) timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) algorithms: Vec<Algorithm>,
}

/// What became of one request.
enum Attempt {
    Final(KeysUnavailable),
    /// Another try may fare better.
    Passing(KeysUnavailable),
}

impl Endpoint {
    /// Gets the keys, with repeated tries within one deadline.
    pub(super) async fn fetch(&self) -> Result<KeySet, KeysUnavailable> {
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
                Err(Attempt::Final(why)) => return Err(why),
                Err(Attempt::Passing(why)) => why,
            };
            let Some(wait) = self.retry.wait(attempt) else {
                return Err(passing);
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self) -> Result<KeySet, Attempt> {
        let request = self
            .client
            .get(self.url.clone())
            .headers(self.headers.clone());
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        // A client of the application's own may follow redirects; its keys are not those asked for.
        if status.is_redirection() || response.url() != &self.url {
            let why = Redirect(redirect(&self.base_url, response.headers()));
            let why = KeysUnavailable::caused(KeyProblem::Redirect, why);
            return Err(Attempt::Final(why));
        }
        if status != StatusCode::OK {
            let why = KeysUnavailable::new(KeyProblem::Status(status.as_u16()));
            return Err(if self.retry.covers(status) {
                Attempt::Passing(why)
            } else {
                Attempt::Final(why)
            });
        }
        let too_large = || Attempt::Final(KeysUnavailable::new(KeyProblem::TooLarge));
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
            .map_err(|problem| Attempt::Final(KeysUnavailable::new(problem)))
    }
}

/// Where a redirect leads.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Redirect(String);

fn broken(error: reqwest::Error) -> Attempt {
    let problem = if error.is_timeout() {
        KeyProblem::Timeout
    } else {
        KeyProblem::Transport
    };
    Attempt::Passing(KeysUnavailable::caused(problem, error.without_url()))
}
