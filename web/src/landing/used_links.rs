//! Which links were used on this page of late.
//!
//! A user who presses the button twice sends the form twice. Both requests share one verification, and
//! both get its answer. A form that comes back later meets a link that is used up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Response};
use tokio::sync::watch;

use super::error::Failure;
use super::purpose::LinkPurpose;
use crate::redirect::RedirectTarget;

/// How many links are remembered, beside those being verified; the oldest are forgotten first.
const CAPACITY: usize = 10_000;

/// How many of the oldest an insertion looks at, so that its time is bounded. More than one, so that a
/// surplus goes away.
const LOOKS: usize = 8;

/// For how long the same form gets the same answer once more. An answer that got lost is asked for again at
/// once; and whoever finds the form on a shared machine, after a sign-out, comes later.
const REPEATED: Duration = Duration::from_secs(30);

/// How often an address may be wrong.
const TRIES: u8 = 5;

/// A hash of a token, a form, a session or an address.
pub(super) type Hash = [u8; 32];

/// What a verification came to.
pub(super) type Outcome = Result<Arc<SignedIn>, Failure>;

/// A sign-in that succeeded.
pub(super) struct SignedIn {
    pub(super) cookies: Vec<HeaderValue>,
    pub(super) target: RedirectTarget,
    pub(super) purpose: LinkPurpose,
    /// The application's own answer, where it has refused the user.
    pub(super) refusal: Option<Response<String>>,
    pub(super) whose: Whose,
}

/// Whose sign-in it was, to know the browser again that has it.
#[derive(Clone)]
pub(super) struct Whose {
    pub(super) user_id: String,
    pub(super) session: Hash,
    /// Of the refresh token: its family, and when it was issued.
    pub(super) family: Option<String>,
    pub(super) issued_at: Option<SystemTime>,
}

/// Tells those who wait how a verification ended; none while it is under way.
pub(super) type Flight = watch::Receiver<Option<Outcome>>;

#[derive(Clone)]
enum Link {
    /// Not used; a wrong address was typed so many times, and this one last.
    Tried {
        wrong: u8,
        last: Hash,
    },
    /// Being verified for this form.
    Busy {
        form: Hash,
        flight: Flight,
    },
    Used(Used),
}

/// A link that was used.
#[derive(Clone)]
pub(super) struct Used {
    pub(super) form: Hash,
    pub(super) target: RedirectTarget,
    pub(super) purpose: LinkPurpose,
    pub(super) whose: Whose,
    /// Whether the application let the user in.
    pub(super) is_in: bool,
    /// What to answer once more, and until when.
    answer: Option<(Arc<SignedIn>, SystemTime)>,
}

impl Used {
    /// What the form of this link got, if that was a moment ago.
    pub(super) fn answer(&self, form: &Hash, now: SystemTime) -> Option<Arc<SignedIn>> {
        let (signed_in, until) = self.answer.as_ref()?;
        (self.form == *form && now < *until).then(|| Arc::clone(signed_in))
    }
}

/// What to do with a form.
pub(super) enum Turn {
    /// Verify the link, tell [`UsedLinks::landed`], then those who wait.
    Verify(watch::Sender<Option<Outcome>>),
    /// Wait for the verification that the same form has started.
    Join(Flight),
    /// Wait for another form's verification, then try again.
    After(Flight),
    /// The link is used.
    Used(Box<Used>),
    /// A wrong address was typed too often.
    Closed,
}

#[derive(Default)]
pub(super) struct UsedLinks(Mutex<Links>);

#[derive(Default)]
struct Links {
    by_token: HashMap<Hash, Link>,
    /// Tokens in the order in which they came; those removed since are skipped.
    order: VecDeque<Hash>,
    /// Those with an answer, and until when, in the order in which they were used.
    answers: VecDeque<(SystemTime, Hash)>,
}

impl UsedLinks {
    fn links(&self) -> MutexGuard<'_, Links> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The use of the link, if it was used.
    pub(super) fn used(&self, token: &Hash) -> Option<Used> {
        match self.links().by_token.get(token) {
            Some(Link::Used(used)) => Some(used.clone()),
            _ => None,
        }
    }

    pub(super) fn is_closed(&self, token: &Hash) -> bool {
        matches!(
            self.links().by_token.get(token),
            Some(Link::Tried { wrong: TRIES.., .. })
        )
    }

    /// Notes that a wrong address was typed. The same one once more is no other try.
    pub(super) fn wrong_address(&self, token: Hash, address: Hash) {
        let mut links = self.links();
        match links.by_token.get_mut(&token) {
            Some(Link::Tried { wrong, last }) if *last != address => {
                *wrong = wrong.saturating_add(1);
                *last = address;
            }
            Some(_) => {}
            None => links.insert(
                token,
                Link::Tried {
                    wrong: 1,
                    last: address,
                },
            ),
        }
    }

    /// What to do with a form.
    pub(super) fn turn(&self, token: Hash, form: Hash) -> Turn {
        let mut links = self.links();
        match links.by_token.get(&token) {
            Some(Link::Busy {
                form: first,
                flight,
            }) if *first == form => Turn::Join(flight.clone()),
            Some(Link::Busy { flight, .. }) => Turn::After(flight.clone()),
            Some(Link::Used(used)) => Turn::Used(Box::new(used.clone())),
            Some(Link::Tried { wrong: TRIES.., .. }) => Turn::Closed,
            Some(Link::Tried { .. }) | None => {
                let (landed, flight) = watch::channel(None);
                links.insert(token, Link::Busy { form, flight });
                Turn::Verify(landed)
            }
        }
    }

    /// Notes how a verification ended. One that failed is forgotten: the service knows best whether
    /// the link is still good.
    pub(super) fn landed(&self, token: Hash, form: Hash, outcome: &Outcome, now: SystemTime) {
        let mut links = self.links();
        match outcome {
            Ok(signed_in) => {
                links.forget_answers(now);
                let until = now.checked_add(REPEATED);
                links.answers.extend(until.map(|until| (until, token)));
                let used = Used {
                    form,
                    target: signed_in.target.clone(),
                    purpose: signed_in.purpose,
                    whose: signed_in.whose.clone(),
                    is_in: signed_in.refusal.is_none(),
                    answer: until.map(|until| (Arc::clone(signed_in), until)),
                };
                links.insert(token, Link::Used(used));
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
    /// Lets go of tokens that are not answered with any more.
    fn forget_answers(&mut self, now: SystemTime) {
        while let Some((until, token)) = self.answers.front()
            && (*until <= now || self.answers.len() >= CAPACITY)
        {
            if let Some(Link::Used(used)) = self.by_token.get_mut(token) {
                used.answer = None;
            }
            self.answers.pop_front();
        }
    }

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
    use super::super::error::LandingError;
    use super::*;

    fn hash(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn signed_in() -> Outcome {
        let targets = crate::redirect::RedirectTargets::new("https://app.example.com").unwrap();
        Ok(Arc::new(SignedIn {
            cookies: Vec::new(),
            target: targets.check("/in").unwrap(),
            purpose: LinkPurpose::SignIn,
            refusal: None,
            whose: Whose {
                user_id: "U1".to_owned(),
                session: hash(7),
                family: None,
                issued_at: None,
            },
        }))
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_link_is_verified_by_one_form_at_a_time_and_is_then_used() {
        let used = UsedLinks::default();
        let (token, form, other) = (hash(1), hash(2), hash(3));
        assert!(matches!(used.turn(token, form), Turn::Verify(_)));
        assert!(matches!(used.turn(token, form), Turn::Join(_)));
        assert!(matches!(used.turn(token, other), Turn::After(_)));
        assert!(used.used(&token).is_none());

        used.landed(
            token,
            form,
            &Err(LandingError::ServiceUnavailable.into()),
            NOW,
        );
        assert!(matches!(used.turn(token, other), Turn::Verify(_)));
        used.landed(token, other, &signed_in(), NOW);
        let Turn::Used(link) = used.turn(token, form) else {
            panic!("not used");
        };
        assert_eq!(link.target.as_str(), "/in");
        // The same form gets the same answer for a while, another one does not.
        let later = NOW + REPEATED;
        assert!(link.answer(&other, NOW).is_some());
        assert!(link.answer(&other, later).is_none());
        assert!(link.answer(&form, NOW).is_none());
        // Nor are its tokens kept for longer.
        used.turn(hash(4), form);
        used.landed(hash(4), form, &signed_in(), later);
        assert!(used.used(&token).unwrap().answer.is_none());
        assert!(used.used(&hash(4)).unwrap().answer.is_some());
    }

    #[test]
    fn five_wrong_addresses_close_a_link_and_the_same_one_is_no_other_try() {
        let used = UsedLinks::default();
        let token = hash(1);
        for number in 0..usize::from(TRIES) {
            assert!(!used.is_closed(&token));
            for _ in 0..3 {
                used.wrong_address(token, hash(10 + number));
            }
        }
        assert!(used.is_closed(&token));
        assert!(matches!(used.turn(token, hash(2)), Turn::Closed));
        // A link that is used is not closed, and one that was tried can be used.
        used.wrong_address(hash(3), hash(10));
        assert!(matches!(used.turn(hash(3), hash(2)), Turn::Verify(_)));
        used.wrong_address(hash(3), hash(11));
        assert!(matches!(used.turn(hash(3), hash(2)), Turn::Join(_)));
    }

    #[test]
    fn a_link_that_is_being_verified_is_not_forgotten() {
        let used = UsedLinks::default();
        let (token, form) = (hash(usize::MAX), hash(0));
        let flights: Vec<_> = (0..20)
            .map(|number| used.turn(hash(usize::MAX - number), form))
            .collect();
        for number in 0..3 * CAPACITY {
            used.turn(hash(number), form);
            used.landed(hash(number), form, &signed_in(), NOW);
        }
        assert_eq!(flights.len(), 20);
        assert!(matches!(used.turn(token, form), Turn::Join(_)));
        let links = used.links();
        assert!(links.order.len() <= CAPACITY && links.by_token.len() <= CAPACITY);
    }

    #[test]
    fn memory_is_bounded_whether_links_work_or_not() {
        let used = UsedLinks::default();
        for number in 0..3 * CAPACITY {
            let token = hash(number);
            used.turn(token, hash(0));
            let outcome = if number % 2 == 0 {
                signed_in()
            } else {
                Err(LandingError::Expired.into())
            };
            used.landed(token, hash(0), &outcome, NOW);
        }
        let links = used.links();
        assert!(links.order.len() <= CAPACITY && links.by_token.len() <= CAPACITY);
    }
}
