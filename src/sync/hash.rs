//! Hashes that stand for tokens, so that tables hold none.

#[cfg(feature = "client")]
use aws_lc_rs::digest::Context;
use aws_lc_rs::digest::{SHA256, digest};

/// What stands for a token: a hash of its whole text, signature included.
pub(crate) type TokenHash = [u8; 32];

pub(crate) fn hash(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// A hash of several parts, each with its length, so that no two lists give the same bytes.
#[cfg(feature = "client")]
pub(crate) fn hash_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
