//! What a link carries, and the form that carries it on.

use std::borrow::Cow;

use super::error::LandingError;
use super::purpose::LinkPurpose;

/// No token is longer, in bytes.
const LONGEST_TOKEN: usize = 2048;

// The query parameters of the page, and the names of the form's fields.

/// The token; the service adds it to the link.
pub(super) const TOKEN: &str = "t";
/// Where to go afterwards.
pub(super) const NEXT: &str = "next";
/// The fingerprint of the browser that asked for the link.
pub(super) const BROWSER: &str = "b";
/// What makes one showing of the form different from the next.
pub(super) const ID: &str = "id";
pub(super) const PROOF: &str = "proof";
/// By what the address is known to which the link was sent.
pub(super) const CHECK: &str = "c";
/// What the link is for.
pub(super) const PURPOSE: &str = "p";
/// What the user typed.
pub(super) const ADDRESS: &str = "address";

/// What a link carries, from its query or from the form.
#[derive(Default)]
pub(super) struct Fields<'a> {
    token: Option<Cow<'a, str>>,
    next: Option<Cow<'a, str>>,
    browser: Option<Cow<'a, str>>,
    check: Option<Cow<'a, str>>,
    purpose: Option<Cow<'a, str>>,
    address: Option<Cow<'a, str>>,
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) proof: Option<Cow<'a, str>>,
    /// A field came twice.
    repeated: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Self {
        let mut fields = Self::default();
        for (name, value) in url::form_urlencoded::parse(text) {
            let field = match &*name {
                TOKEN => &mut fields.token,
                NEXT => &mut fields.next,
                BROWSER => &mut fields.browser,
                CHECK => &mut fields.check,
                PURPOSE => &mut fields.purpose,
                ADDRESS => &mut fields.address,
                ID => &mut fields.id,
                PROOF => &mut fields.proof,
                _ => continue,
            };
            fields.repeated |= field.replace(value).is_some();
        }
        fields
    }

    /// Nothing but what a link was for.
    pub(super) fn of_purpose(purpose: LinkPurpose) -> Self {
        Self {
            purpose: Some(Cow::Borrowed(purpose.as_str())),
            ..Self::default()
        }
    }

    /// The token, if it can be one.
    pub(super) fn token(&self) -> Result<&str, LandingError> {
        match self.token.as_deref() {
            Some(token) if !self.repeated && !token.is_empty() => {
                let plausible =
                    token.len() <= LONGEST_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
                plausible.then_some(token).ok_or(LandingError::InvalidLink)
            }
            _ => Err(LandingError::MissingToken),
        }
    }

    pub(super) fn next(&self) -> &str {
        self.next.as_deref().unwrap_or_default()
    }

    pub(super) fn browser(&self) -> &str {
        self.browser.as_deref().unwrap_or_default()
    }

    pub(super) fn check(&self) -> &str {
        self.check.as_deref().unwrap_or_default()
    }

    pub(super) fn purpose(&self) -> LinkPurpose {
        LinkPurpose::parse(self.purpose.as_deref().unwrap_or_default())
    }

    /// What the user typed; nothing in a link.
    pub(super) fn address(&self) -> &str {
        self.address.as_deref().unwrap_or_default().trim()
    }

    /// What the form is a form for, in the order in which it is signed.
    pub(super) fn signed<'f>(&'f self, id: &'f str, token: &'f str) -> [&'f str; 6] {
        let purpose = self.purpose().as_str();
        [
            id,
            token,
            self.next(),
            self.browser(),
            self.check(),
            purpose,
        ]
    }
}
