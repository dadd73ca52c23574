//! The service's error codes.

use std::fmt;

/// Name and text of a code stand side by side, once.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// A code in the body of an error response, such as `E062108`.
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
    /// The way to sign in is switched off for calls by API and SDKs, which is likely on a new
    /// project: switch it on in the console, in the settings of the authentication method.
    MethodDisabled = "E061001",
    /// The redirect URL is not one of those that are approved for a third-party application: add it
    /// there in the console.
    RedirectNotApproved = "E061004",
    /// A token that the service does not take: not one of its own, or of another project. Nothing
    /// but signing in again helps; when it happens to all tokens, compare the project ids of the
    /// server and of whoever signs the users in.
    InvalidToken = "E061005",
    /// The one-time code is wrong.
    WrongOneTimeCode = "E061102",
    /// Too many one-time-code attempts.
    TooManyOneTimeCodeAttempts = "E061103",
    /// Sign-up for an identifier that is already registered.
    UserAlreadyExists = "E062107",
    /// Sign-in for an identifier that is not registered.
    UserNotFound = "E062108",
    /// A sign-in by email for an account whose email address nobody has proved: have it verified
    /// first, or let the user sign in another way.
    EmailNotVerified = "E062115",
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
    /// The refresh token was replaced by a newer one and then used once more. The service ends its
    /// whole family for that: the newer tokens are of no use either, and the user has to sign in
    /// again. It happens when two processes refresh one token, or when somebody has stolen it.
    RefreshTokenSuperseded = "E064006",
    /// The management key is not valid, or does not allow the call.
    Unauthorized = "E111119",
    /// As [`UpdateConflict`](Self::UpdateConflict), from a management call.
    ManagementUpdateConflict = "E111127",
    /// A management call names a user that does not exist.
    ManagementUserNotFound = "E112102",
    /// Too many requests.
    RateLimited = "E130429",
}

impl ErrorCode {
    /// Whether it tells of a refused token, whatever the status says.
    pub(crate) fn is_token_refused(&self) -> bool {
        matches!(
            self,
            Self::InvalidToken | Self::LoggedOut | Self::RefreshTokenSuperseded
        )
    }

    /// Whether it tells of a refused key, whatever the status says.
    pub(crate) fn is_key_refused(&self) -> bool {
        matches!(
            self,
            Self::Unauthorized | Self::MissingAccessKey | Self::InvalidAccessKey
        )
    }

    /// Whether it tells of how the project is set up, and of nobody's credential.
    pub(crate) fn is_setup(&self) -> bool {
        matches!(
            self,
            Self::MethodDisabled | Self::RedirectNotApproved | Self::EmailNotVerified
        )
    }

    /// What to do, where that is clear.
    pub(crate) fn mend(&self) -> Option<&'static str> {
        Some(match self {
            Self::MethodDisabled => {
                "switch the authentication method on for API and SDK use, in the console"
            }
            Self::RedirectNotApproved => "approve the redirect URL in the console",
            Self::RefreshTokenSuperseded => "sign in again",
            Self::Unauthorized => "check the management key and what it allows, in the console",
            Self::MissingAccessKey | Self::InvalidAccessKey => {
                "check the access key in the console"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
