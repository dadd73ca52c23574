//! Secrets as types: one newtype per kind of token, so that mixing them up does not compile.
//!
//! Every type here prints as `Name(redacted)`, is wiped from memory when dropped, and hands its text
//! out only through `expose_secret` and `Serialize`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Each a type of its own, and not one with a parameter: that is what errors of the compiler name.
macro_rules! secrets {
    ($($(#[$doc:meta])* pub struct $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// Prints redacted; [`expose_secret`](Self::expose_secret) gives the text. `Serialize` writes it in
        /// clear, for that is how it reaches the wire: serialise none into a log.
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Wraps the text as it is; nothing is checked or trimmed here.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(Zeroizing::new(text.into()))
            }

            /// The text itself. Keep it out of logs, URLs and error messages.
            #[must_use]
            pub fn expose_secret(&self) -> &str {
                &self.0
            }

            /// Whether there is no text at all.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }

        /// In constant time: how long it takes tells nothing of where two texts of one length differ.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
                aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    )+};
}

secrets! {
    /// A session JWT: proves who the user is, for minutes.
    ///
    /// ```
    /// let token = descope_magiclink::SessionToken::new("eyJhbGciOi...");
    /// assert_eq!(format!("{token:?}"), "SessionToken(redacted)");
    /// ```
    pub struct SessionToken;
    /// A refresh JWT: gets new sessions for weeks, and authorises calls on the user's behalf.
    pub struct RefreshToken;
    /// The one-time token of a magic link or an embedded link.
    pub struct MagicLinkToken;
    /// A management key: authorises management calls, or (as the "auth management key") calls to a
    /// project whose public authentication API is switched off.
    pub struct ManagementKey;
    /// An access key, exchanged for a session of its own.
    pub struct AccessKey;
    /// Any other secret text: a test link, a password, a token of a foreign system.
    pub struct Secret;
}
