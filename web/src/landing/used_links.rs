//! Which links were used on this page of late.
//!
//! A user who presses the button twice sends the form twice. Both requests share one verification, and
//! both get its answer. A form that comes back later meets a link that is used up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::sync::watch;

use super::error::LandingError;
use crate::redirect::RedirectTarget;

/// How many links are remembered, beside those being verified; the oldest are forgotten first.
const CAPACITY: usize = 10_000;

/// How many of the oldest an insertion looks at, so that its time is bounded. More than one, so that a
/// surplus goes away.
const LOOKS: usize = 8;

/// A hash of a token, a form or a session.
pub(super) type Hash = [u8; 32];

/// What a verification came to.
pub(super) type Outcome = Result<SignedIn, LandingError>;

/// A sign-in that succeeded.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub(super) cookies: Vec<HeaderValue>,
    pub(super) target: RedirectTarget,
    pub(super) session: Hash,
}

/// Tells those who wait how a verification ended; none while it is under way.
pub(super) type Flight = watch::Receiver<Option<Outcome>>;

#[derive(Clone)]
enum Link {
    /// Being verified for this form.
    Busy { form: Hash, flight: Flight },
    /// Used by this form, which got this session.
    Used {
        form: Hash,
        session: Hash,
        target: RedirectTarget,
    },
}

/// What to do with a form.
pub(super) enum Turn {
    /// Verify the link, tell [`UsedLinks::landed`], then those who wait.
    Verify(watch::Sender<Option<Outcome>>),
    /// Wait for the verification that the same form has started.
    Join(Flight),
    /// Wait for another form's verification, then try again.
    After(Flight),
    /// The link is used. With a target: by this very form, whose browser has the session.
    Used(Option<RedirectTarget>),
}

#[derive(Default)]
pub(super) struct UsedLinks(Mutex<Links>);

#[derive(Default)]
struct Links {
    by_token: HashMap<Hash, Link>,
    /// Tokens in the order in which they came; those removed since are skipped.
    order: VecDeque<Hash>,
}

impl UsedLinks {
    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the link was used.
    pub(super) fn is_used(&self, token: &Hash) -> bool {
        matches!(self.links().by_token.get(token), Some(Link::Used { .. }))
    }

    /// What to do with a form; `session` is what its browser sent along.
    pub(super) fn turn(&self, token: Hash, form: Hash, session: Option<Hash>) -> Turn {
        let mut links = self.links();
        match links.by_token.get(&token) {
            Some(Link::Busy {
                form: first,
                flight,
            }) if *first == form => Turn::Join(flight.clone()),
            Some(Link::Busy { flight, .. }) => Turn::After(flight.clone()),
            Some(Link::Used {
                form: first,
                session: given,
                target,
            }) => {
                let again = *first == form && session == Some(*given);
                Turn::Used(again.then(|| target.clone()))
            }
            None => {
                let (landed, flight) = watch::channel(None);
                links.insert(token, Link::Busy { form, flight });
                Turn::Verify(landed)
            }
        }
    }

    /// Notes how a verification ended. One that failed is forgotten: the service knows best whether
    /// the link is still good.
    pub(super) fn landed(&self, token: Hash, form: Hash, outcome: &Outcome) {
        let mut links = self.links();
        match outcome {
            Ok(signed_in) => {
                let link = Link::Used {
                    form,
                    session: signed_in.session,
                    target: signed_in.target.clone(),
                };
                links.insert(token, link);
            }
            Err(_) => {
                links.by_token.remove(&token);
            }
        }
    }

    /// Forgets a verification that will never land.
    pub(super) fn forget(&self, token: &Hash) {
        let mut links = self.links();
        if matches!(links.by_token.get(token), Some(Link::Busy { .. })) {
            links.by_token.remove(token);
        }
    }
}

impl Links {
    fn insert(&mut self, token: Hash, link: Link) {
        if self.by_token.insert(token, link).is_none() {
            self.order.push_back(token);
        }
        // Entries of failed links stay in the order until they come to its front.
        for _ in 0..LOOKS {
            if self.order.len() <= CAPACITY {
                return;
            }
            if let Some(oldest) = self.order.pop_front() {
                if matches!(self.by_token.get(&oldest), Some(Link::Busy { .. })) {
                    // Forgotten, it would be verified a second time.
                    self.order.push_back(oldest);
                } else {
                    self.by_token.remove(&oldest);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn signed_in() -> Outcome {
        let targets = crate::redirect::RedirectTargets::new("https://app.example.com").unwrap();
        Ok(SignedIn {
            cookies: Vec::new(),
            target: targets.check("/in").unwrap(),
            session: hash(7),
        })
    }

    #[test]
    fn a_link_is_verified_by_one_form_at_a_time_and_is_then_used() {
        let used = UsedLinks::default();
        let (token, form, other) = (hash(1), hash(2), hash(3));
        assert!(matches!(used.turn(token, form, None), Turn::Verify(_)));
        assert!(matches!(used.turn(token, form, None), Turn::Join(_)));
        assert!(matches!(used.turn(token, other, None), Turn::After(_)));
        assert!(!used.is_used(&token));

        used.landed(token, form, &Err(LandingError::ServiceUnavailable));
        assert!(matches!(used.turn(token, other, None), Turn::Verify(_)));
        used.landed(token, other, &signed_in());
        assert!(used.is_used(&token));
        for (form, session) in [(form, Some(hash(7))), (other, None), (other, Some(hash(8)))] {
            assert!(matches!(used.turn(token, form, session), Turn::Used(None)));
        }
        let again = used.turn(token, other, Some(hash(7)));
        assert!(matches!(again, Turn::Used(Some(target)) if target.as_str() == "/in"));
    }

    #[test]
    fn a_link_that_is_being_verified_is_not_forgotten() {
        let used = UsedLinks::default();
        let (token, form) = (hash(usize::MAX), hash(0));
        let flights: Vec<_> = (0..20)
            .map(|number| used.turn(hash(usize::MAX - number), form, None))
            .collect();
        for number in 0..3 * CAPACITY {
            used.turn(hash(number), form, None);
            used.landed(hash(number), form, &signed_in());
        }
        assert_eq!(flights.len(), 20);
        assert!(matches!(used.turn(token, form, None), Turn::Join(_)));
        let links = used.links();
        assert!(links.order.len() <= CAPACITY && links.by_token.len() <= CAPACITY);
    }

    #[test]
    fn memory_is_bounded_whether_links_work_or_not() {
        let used = UsedLinks::default();
        for number in 0..3 * CAPACITY {
            let token = hash(number);
            used.turn(token, hash(0), None);
            let outcome = if number % 2 == 0 {
                signed_in()
            } else {
                Err(LandingError::Expired)
            };
            used.landed(token, hash(0), &outcome);
        }
        let links = used.links();
        assert!(links.order.len() <= CAPACITY && links.by_token.len() <= CAPACITY);
    }
}
