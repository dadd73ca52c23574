//! What a link is for, and what may become of a sign-in.

use http::Response;

/// What a link to the landing page is for: the page says so, and its button too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LinkPurpose {
    /// To sign in or up.
    #[default]
    SignIn,
    /// To confirm a new email address. The page says afterwards that it is changed.
    ChangeEmail,
    /// To confirm a new phone number. The page says afterwards that it is changed.
    ChangePhone,
    /// To confirm who one is, before something that needs it, or as a second factor.
    StepUp,
}

impl LinkPurpose {
    pub(super) const ALL: [Self; 4] = [
        Self::SignIn,
        Self::ChangeEmail,
        Self::ChangePhone,
        Self::StepUp,
    ];

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// What a link carries of it: nothing for a sign-in, so that other links are for that.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "",
            Self::ChangeEmail => "email",
            Self::ChangePhone => "phone",
            Self::StepUp => "step-up",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        let is_it = |purpose: &Self| purpose.as_str() == text;
        Self::ALL.into_iter().find(is_it).unwrap_or_default()
    }

    pub(super) fn is_change(self) -> bool {
        matches!(self, Self::ChangeEmail | Self::ChangePhone)
    }
}

/// What is to become of a user who has just signed in: from
/// [`on_sign_in`](super::LandingPageBuilder::on_sign_in).
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum AfterSignIn {
    /// On to the link's page, or the one that is set.
    #[default]
    Continue,
    /// On to this page, if it is allowed; else as [`Continue`](Self::Continue).
    GoTo(String),
    /// The sign-in is refused with this response: no cookie is set, and the service ends the session. The
    /// session that the browser had stays.
    Refuse(Box<Response<String>>),
}
