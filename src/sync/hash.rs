//! Hashes that stand for tokens, so that tables hold none.

use aws_lc_rs::digest::{SHA256, digest};

/// What stands for a token: a hash of its whole text, signature included.
pub(crate) type TokenHash = [u8; 32];

pub(crate) fn hash(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
