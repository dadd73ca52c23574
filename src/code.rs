//! The service's error codes.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// A code in the body of an error answer, such as `E062108`.
        ///
        /// Descope publishes no complete list; these are the codes that its SDKs and tests name. Any
        /// other is kept as [`ErrorCode::Other`].
        ///
        /// ```
        /// use descope_magiclink::ErrorCode;
        ///
        /// assert_eq!(ErrorCode::from("E062108"), ErrorCode::UserNotFound);
        /// assert_eq!(ErrorCode::from("E999999").as_str(), "E999999");
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* #[doc = concat!("(`", $text, "`)")] $variant,)+
            /// A code that this version of the crate has no name for.
            Other(String),
        }

        impl ErrorCode {
            /// The code as the service writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for ErrorCode {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

codes! {
    /// The request is malformed.
    BadRequest = "E011001",
    /// A required argument is missing.
    MissingArguments = "E011002",
    /// The request failed validation.
    InvalidRequest = "E011003",
    /// An argument is invalid.
    InvalidArguments = "E011004",
    /// A token is not valid.
    InvalidToken = "E061005",
    /// The one-time code is wrong.
    WrongOneTimeCode = "E061102",
    /// Too many one-time-code attempts.
    TooManyOneTimeCodeAttempts = "E061103",
    /// Sign-up for an identifier that is already registered.
    UserAlreadyExists = "E062107",
    /// Sign-in for an identifier that is not registered.
    UserNotFound = "E062108",
    /// The new address belongs to another user, and merging was refused.
    UpdateConflict = "E062125",
    /// An enchanted link has not been clicked yet.
    EnchantedLinkPending = "E062503",
    /// The magic-link token has expired, or was used already.
    TokenExpired = "E062504",
    /// The access key is missing.
    MissingAccessKey = "E062802",
    /// The access key is not valid.
    InvalidAccessKey = "E062803",
    /// The refresh token was ended by a logout.
    LoggedOut = "E064001",
    /// The caller is not authorised.
    Unauthorized = "E111119",
    /// As [`UpdateConflict`](Self::UpdateConflict), from a management call.
    ManagementUpdateConflict = "E111127",
    /// A management call names a user that does not exist.
    ManagementUserNotFound = "E112102",
    /// Too many requests.
    RateLimited = "E130429",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
