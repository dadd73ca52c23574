//! Sessions that were signed out here, until their tokens end by themselves.
//!
//! A token is validated without the service, which knows alone that its session was ended. The process in
//! which somebody signs out knows it too, and takes the token no more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest;

/// How many are remembered; the oldest are forgotten first, and are good again until they end.
const CAPACITY: usize = 100_000;
/// How many of the oldest an insertion looks at.
const LOOKS: usize = 8;

/// Those of this process. Tokens of two projects are never the same.
static ENDED: Mutex<Option<Ended>> = Mutex::new(None);

#[derive(Default)]
struct Ended {
    until: HashMap<[u8; 32], SystemTime>,
    order: VecDeque<[u8; 32]>,
}

/// Takes a token no more in this process. It ends by itself at `until`.
pub(crate) fn end(token: &str, until: SystemTime, now: SystemTime) {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended
        .get_or_insert_default()
        .insert(hash(token), until, now);
}

/// Whether the session of a token was ended in this process.
pub(crate) fn is_ended(token: &str) -> bool {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended
        .as_ref()
        .is_some_and(|ended| !ended.until.is_empty() && ended.until.contains_key(&hash(token)))
}

/// Of what is signed, without the signature: an ECDSA signature has a twin that is as good.
fn hash(token: &str) -> [u8; 32] {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, signed.as_bytes());
    for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    hash
}

impl Ended {
    fn insert(&mut self, hash: [u8; 32], until: SystemTime, now: SystemTime) {
        if until <= now {
            return;
        }
        if self.until.insert(hash, until).is_none() {
            self.order.push_back(hash);
        }
        for _ in 0..LOOKS {
            let Some(oldest) = self.order.front() else {
                return;
            };
            let is_over = self.until.get(oldest).is_none_or(|until| *until <= now);
            if !is_over && self.order.len() <= CAPACITY {
                return;
            }
            self.until.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_is_known_by_what_is_signed() {
        let now = SystemTime::UNIX_EPOCH;
        let later = now + Duration::from_secs(600);
        end("head.body.signature", later, now);
        assert!(is_ended("head.body.signature") && is_ended("head.body.twin"));
        assert!(!is_ended("head.other.signature"));
        end("head.over.signature", now, now);
        assert!(!is_ended("head.over.signature"));
    }

    #[test]
    fn memory_is_bounded_and_lets_go_of_what_is_over() {
        let mut ended = Ended::default();
        let now = SystemTime::UNIX_EPOCH;
        let at = |seconds| now + Duration::from_secs(seconds);
        for number in 0..2 * CAPACITY {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            ended.insert(hash, at(600), now);
        }
        assert!(ended.order.len() <= CAPACITY && ended.until.len() <= CAPACITY);
        for number in 0..CAPACITY {
            let mut hash = [1; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            ended.insert(hash, at(1200), at(601));
        }
        assert!(ended.until.values().all(|until| *until == at(1200)));
    }
}
