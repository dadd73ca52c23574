//! Which links were used of late: in the client's store, so that all processes know that share one.
//!
//! A user who presses the button twice sends the form twice. Both requests share one verification, and
//! both get its response. A form that comes back later meets a link that is used up.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use descope_magiclink::{Client, Store, serde_json};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{Failure, LandingError};
use super::purpose::LinkPurpose;
use crate::redirect::RedirectTarget;

/// For how long a link is remembered that was used, or for which a wrong address was typed.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long the same form gets the same response once more. A response that got lost is asked for again at
/// once; and whoever finds the form on a shared machine, after a sign-out, comes later.
const REPEATED: Duration = Duration::from_secs(30);

/// How long a verification may take before another form may try the link: its process may be gone, or its
/// runtime blocked. The client keeps a response that reached nobody for 60 s: whoever tries then gets it.
pub(super) const LEASE: Duration = Duration::from_secs(45);

/// How often an address may be wrong.
const TRIES: u64 = 5;

/// A hash of a token, a form, a session or an address.
pub(super) type Hash = [u8; 32];

/// What a verification came to.
pub(super) type Outcome = Result<SignedIn, Failure>;

/// A sign-in that succeeded.
pub(super) struct SignedIn {
    pub(super) cookies: Vec<HeaderValue>,
    pub(super) target: RedirectTarget,
    pub(super) purpose: LinkPurpose,
    /// The application's own response, where it has refused the user.
    pub(super) refusal: Option<Response<String>>,
    pub(super) owner: Owner,
}

/// Whose sign-in it was, to know the browser again that has it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) user_id: String,
    pub(super) session: Hash,
    /// Of the refresh token: its family, and when it was issued.
    pub(super) family: Option<String>,
    pub(super) issued_at: Option<SystemTime>,
}

/// What the store holds of a link that is not as good as new.
#[derive(Serialize, Deserialize)]
enum Link {
    /// Being verified for this form.
    Pending(Hash),
    Used(Used),
}

/// A link that was used.
#[derive(Serialize, Deserialize)]
pub(super) struct Used {
    pub(super) target: String,
    purpose: String,
    pub(super) owner: Owner,
    /// Whether the application let the user in.
    pub(super) is_in: bool,
}

impl Used {
    pub(super) fn purpose(&self) -> LinkPurpose {
        LinkPurpose::parse(&self.purpose)
    }
}

/// The response to the form that used a link.
#[derive(Serialize, Deserialize)]
struct StoredResponse {
    cookies: Vec<Vec<u8>>,
    refusal: Option<Refusal>,
}

#[derive(Serialize, Deserialize)]
struct Refusal {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: String,
}

/// What to do with a form.
pub(super) enum LinkState {
    /// Verify the link, and tell [`UsedLinks::complete`].
    Verify,
    /// The link is being verified, and whether for this form. Wait a moment, and ask again.
    Pending(bool),
    /// The link is used.
    Used(Box<Used>),
    /// A wrong address was typed too often.
    Closed,
    /// The verification that this form has waited for ended so.
    Failed(Failure),
}

/// The links of a client. What its store cannot keep is as if it had not happened: the service decides.
pub(super) struct UsedLinks<'a>(&'a dyn Store);

impl<'a> UsedLinks<'a> {
    pub(super) fn of(client: &'a Client) -> Self {
        Self(client.store())
    }

    async fn read<T: DeserializeOwned>(&self, key: Hash) -> Option<T> {
        let (value, _) = self.0.get(key).await.ok()??;
        serde_json::from_slice(&value).ok()
    }

    async fn write(&self, key: Hash, value: &impl Serialize, ttl: Duration) {
        if let Ok(value) = serde_json::to_vec(value) {
            let _ = self.0.set(key, value, ttl).await;
        }
    }

    /// The use of the link, if it was used.
    pub(super) async fn used(&self, token: &Hash) -> Option<Used> {
        match self.read(key("link", &[token])).await? {
            Link::Used(used) => Some(used),
            Link::Pending(_) => None,
        }
    }

    pub(super) async fn is_closed(&self, token: &Hash) -> bool {
        self.count(key("wrong addresses", &[token]), 0).await >= TRIES
    }

    /// Notes that a wrong address was typed. The same one once more is no other try.
    pub(super) async fn wrong_address(&self, token: &Hash, address: &Hash) {
        if self.count(key("wrong address", &[token, address]), 1).await == 1 {
            self.count(key("wrong addresses", &[token]), 1).await;
        }
    }

    async fn count(&self, key: Hash, add: u64) -> u64 {
        self.0.count(key, add, REMEMBERED).await.unwrap_or(add)
    }

    /// What to do with a form, which may have waited for a verification of its own.
    pub(super) async fn join_or_start(
        &self,
        token: &Hash,
        form: &Hash,
        has_waited: bool,
    ) -> LinkState {
        let link = key("link", &[token]);
        match self.read(link).await {
            Some(Link::Used(used)) => return LinkState::Used(Box::new(used)),
            Some(Link::Pending(of)) => return LinkState::Pending(of == *form),
            None => {}
        }
        if has_waited
            && let Some((index, retry_after)) = self.read(key("failure", &[token, form])).await
            && let Some(error) = LandingError::ALL.get::<usize>(index).copied()
        {
            return LinkState::Failed(Failure { error, retry_after });
        }
        if self.is_closed(token).await {
            return LinkState::Closed;
        }
        let pending = serde_json::to_vec(&Link::Pending(*form)).unwrap_or_default();
        if self.0.insert(link, pending, LEASE).await.unwrap_or(true) {
            LinkState::Verify
        } else {
            LinkState::Pending(false)
        }
    }

    /// Notes how a verification ended. One that failed is forgotten, but for those who wait for it: the
    /// service knows best whether the link is still good.
    pub(super) async fn complete(&self, token: &Hash, form: &Hash, outcome: &Outcome) {
        let link = key("link", &[token]);
        match outcome {
            Ok(signed_in) => {
                let response = StoredResponse::of(signed_in);
                self.write(key("response", &[token, form]), &response, REPEATED)
                    .await;
                let used = Used {
                    target: signed_in.target.as_str().to_owned(),
                    purpose: signed_in.purpose.as_str().to_owned(),
                    owner: signed_in.owner.clone(),
                    is_in: signed_in.refusal.is_none(),
                };
                self.write(link, &Link::Used(used), REMEMBERED).await;
            }
            Err(failure) => {
                let told = (failure.error.index(), failure.retry_after);
                self.write(key("failure", &[token, form]), &told, REPEATED)
                    .await;
                // One that comes late, after another has used the link, forgets nothing.
                if let Some(Link::Pending(of)) = self.read(link).await
                    && of == *form
                {
                    let _ = self.0.set(link, Vec::new(), Duration::ZERO).await;
                }
            }
        }
    }

    /// The cookies and the refusal that this form has got, if that was a moment ago.
    pub(super) async fn response(
        &self,
        token: &Hash,
        form: &Hash,
    ) -> Option<(Vec<HeaderValue>, Option<Response<String>>)> {
        let response: StoredResponse = self.read(key("response", &[token, form])).await?;
        response.into_parts()
    }
}

impl StoredResponse {
    fn of(signed_in: &SignedIn) -> Self {
        let bytes = |value: &HeaderValue| value.as_bytes().to_vec();
        let refusal = signed_in.refusal.as_ref().map(|response| {
            let headers = response.headers().iter();
            let headers = headers.map(|(name, value)| (name.as_str().to_owned(), bytes(value)));
            Refusal {
                status: response.status().as_u16(),
                headers: headers.collect(),
                body: response.body().clone(),
            }
        });
        Self {
            cookies: signed_in.cookies.iter().map(bytes).collect(),
            refusal,
        }
    }

    fn into_parts(self) -> Option<(Vec<HeaderValue>, Option<Response<String>>)> {
        let cookies = self.cookies.iter();
        let cookies = cookies.map(|cookie| HeaderValue::from_bytes(cookie));
        let refusal = match self.refusal {
            Some(refusal) => {
                let mut response = Response::new(refusal.body);
                *response.status_mut() = StatusCode::from_u16(refusal.status).ok()?;
                for (name, value) in refusal.headers {
                    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                    let value = HeaderValue::from_bytes(&value).ok()?;
                    response.headers_mut().append(name, value);
                }
                Some(response)
            }
            None => None,
        };
        Some((cookies.collect::<Result<_, _>>().ok()?, refusal))
    }
}

fn key(kind: &str, hashes: &[&Hash]) -> Hash {
    let mut context = Context::new(&SHA256);
    for hash in hashes {
        context.update(*hash);
    }
    context.update(kind.as_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use descope_magiclink::ManualClock;
    use std::sync::Arc;

    use super::*;

    const TOKEN: Hash = [1; 32];
    const FORM: Hash = [2; 32];
    const OTHER: Hash = [3; 32];

    fn client() -> (Client, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
            .base_url("http://127.0.0.1:9")
            .clock(Arc::clone(&clock))
            .build();
        (client.unwrap(), clock)
    }

    fn signed_in(refusal: Option<Response<String>>) -> Outcome {
        let targets = crate::redirect::RedirectTargets::new("https://app.example.com").unwrap();
        Ok(SignedIn {
            cookies: vec![HeaderValue::from_static("a=b")],
            target: targets.check("/in").unwrap(),
            purpose: LinkPurpose::StepUp,
            refusal,
            owner: Owner {
                user_id: "U1".to_owned(),
                session: [7; 32],
                family: None,
                issued_at: Some(SystemTime::UNIX_EPOCH),
            },
        })
    }

    #[tokio::test]
    async fn a_link_is_verified_by_one_form_at_a_time_and_is_then_used() {
        let (client, clock) = client();
        let links = UsedLinks::of(&client);
        assert!(matches!(
            links.join_or_start(&TOKEN, &FORM, false).await,
            LinkState::Verify
        ));
        assert!(matches!(
            links.join_or_start(&TOKEN, &FORM, false).await,
            LinkState::Pending(true)
        ));
        assert!(matches!(
            links.join_or_start(&TOKEN, &OTHER, false).await,
            LinkState::Pending(false)
        ));
        assert!(links.used(&TOKEN).await.is_none());

        let failed = Err(LandingError::ServiceUnavailable.into());
        links.complete(&TOKEN, &FORM, &failed).await;
        // Those who have waited for it hear of it; the next press is a new try.
        assert!(matches!(
            links.join_or_start(&TOKEN, &FORM, true).await,
            LinkState::Failed(Failure {
                error: LandingError::ServiceUnavailable,
                ..
            })
        ));
        assert!(matches!(
            links.join_or_start(&TOKEN, &OTHER, true).await,
            LinkState::Verify
        ));
        let refusal = Response::builder().status(403).header("a", "1");
        let refusal = refusal.header("a", "2").body("no".to_owned()).unwrap();
        links
            .complete(&TOKEN, &OTHER, &signed_in(Some(refusal)))
            .await;
        let LinkState::Used(link) = links.join_or_start(&TOKEN, &FORM, true).await else {
            panic!("not used");
        };
        assert!(link.target == "/in" && link.purpose() == LinkPurpose::StepUp && !link.is_in);

        // A verification that was given up and ends later is of no account.
        links.complete(&TOKEN, &FORM, &failed).await;
        assert!(links.used(&TOKEN).await.is_some());

        // The same form gets the same response for a while, another one does not.
        assert!(links.response(&TOKEN, &FORM).await.is_none());
        let (cookies, refusal) = links.response(&TOKEN, &OTHER).await.unwrap();
        let refusal = refusal.unwrap();
        assert_eq!(cookies, ["a=b"]);
        assert_eq!(
            (refusal.status(), &**refusal.body()),
            (StatusCode::FORBIDDEN, "no")
        );
        assert_eq!(refusal.headers().get_all("a").iter().count(), 2);
        clock.advance(REPEATED);
        assert!(links.response(&TOKEN, &OTHER).await.is_none());
        assert!(links.used(&TOKEN).await.is_some());
    }

    #[tokio::test]
    async fn a_verification_whose_process_is_gone_keeps_the_link_for_its_lease_only() {
        let (client, clock) = client();
        let links = UsedLinks::of(&client);
        assert!(matches!(
            links.join_or_start(&TOKEN, &FORM, false).await,
            LinkState::Verify
        ));
        clock.advance(LEASE);
        assert!(matches!(
            links.join_or_start(&TOKEN, &OTHER, false).await,
            LinkState::Verify
        ));
    }

    #[tokio::test]
    async fn five_wrong_addresses_close_a_link_and_the_same_one_is_no_other_try() {
        let (client, _) = client();
        let links = UsedLinks::of(&client);
        for number in 0..5 {
            assert!(!links.is_closed(&TOKEN).await);
            for _ in 0..3 {
                links.wrong_address(&TOKEN, &[10 + number; 32]).await;
            }
        }
        assert!(links.is_closed(&TOKEN).await);
        assert!(matches!(
            links.join_or_start(&TOKEN, &FORM, false).await,
            LinkState::Closed
        ));
        // A link that was tried can be used, and one that is used is not closed.
        links.wrong_address(&OTHER, &[10; 32]).await;
        assert!(matches!(
            links.join_or_start(&OTHER, &FORM, false).await,
            LinkState::Verify
        ));
        links.complete(&OTHER, &FORM, &signed_in(None)).await;
        for number in 0..5 {
            links.wrong_address(&OTHER, &[10 + number; 32]).await;
        }
        assert!(matches!(
            links.join_or_start(&OTHER, &FORM, false).await,
            LinkState::Used(_)
        ));
    }
}
