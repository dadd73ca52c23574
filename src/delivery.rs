//! How a magic link reaches the user.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Two enums with the same methods, one of which lacks a variant.
macro_rules! delivery {
    (
        $(#[$doc:meta])* pub enum $name:ident, expected $expected:literal:
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The method as it stands in paths and JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseDeliveryError;

            /// Reads the method, in any mix of cases.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .find(|method| method.as_str().eq_ignore_ascii_case(text))
                    .copied()
                    .ok_or(ParseDeliveryError { expected: $expected })
            }
        }
    };
}

delivery! {
    /// By what a link is sent: `email`, `sms` or `whatsapp`.
    ///
    /// ```
    /// use descope_magiclink::DeliveryMethod;
    ///
    /// let method: DeliveryMethod = "WhatsApp".parse()?;
    /// assert_eq!(method, DeliveryMethod::WhatsApp);
    /// assert_eq!(method.to_string(), "whatsapp");
    /// assert_eq!(serde_json::to_value(method).unwrap(), "whatsapp");
    /// # Ok::<(), descope_magiclink::ParseDeliveryError>(())
    /// ```
    pub enum DeliveryMethod, expected "email, sms or whatsapp":
    /// An email.
    Email = "email",
    /// A text message.
    Sms = "sms",
    /// A WhatsApp message.
    WhatsApp = "whatsapp",
}

delivery! {
    /// By what a link is sent to a phone: `sms` or `whatsapp`.
    ///
    /// ```
    /// use descope_magiclink::{DeliveryMethod, PhoneDelivery};
    ///
    /// assert_eq!(DeliveryMethod::from(PhoneDelivery::Sms), DeliveryMethod::Sms);
    /// assert!("email".parse::<PhoneDelivery>().is_err());
    /// ```
    pub enum PhoneDelivery, expected "sms or whatsapp":
    /// A text message.
    Sms = "sms",
    /// A WhatsApp message.
    WhatsApp = "whatsapp",
}

impl From<PhoneDelivery> for DeliveryMethod {
    fn from(method: PhoneDelivery) -> Self {
        match method {
            PhoneDelivery::Sms => Self::Sms,
            PhoneDelivery::WhatsApp => Self::WhatsApp,
        }
    }
}

impl TryFrom<DeliveryMethod> for PhoneDelivery {
    type Error = ParseDeliveryError;

    fn try_from(method: DeliveryMethod) -> Result<Self, Self::Error> {
        method.as_str().parse()
    }
}

/// A text that names no delivery method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseDeliveryError {
    expected: &'static str,
}

impl fmt::Display for ParseDeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown delivery method; use {}", self.expected)
    }
}

impl std::error::Error for ParseDeliveryError {}
