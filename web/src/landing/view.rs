//! The page itself.

use std::fmt::{self, Write as _};
use std::time::Duration;

use http::StatusCode;

use super::address::AddressKind;
use super::error::LandingError;
use super::form;
use super::purpose::LinkPurpose;
use super::texts::{LandingTexts, Words};

/// What a page is made from: given to the [template](super::LandingPageBuilder::template). It is that of
/// a link, or one of a [`PagesLayer`](crate::PagesLayer) that says why something is refused.
///
/// The texts are plain; escape them with [`escape_html`]. [`form`](Self::form) is HTML already and
/// must be in the page as it is.
#[derive(Debug)]
pub struct LandingView<'a> {
    pub(super) app_name: &'a str,
    pub(super) texts: &'a LandingTexts,
    pub(super) purpose: LinkPurpose,
    pub(super) state: State<'a>,
    pub(super) form: Option<Form<'a>>,
    /// Where a new link can be had.
    pub(super) new_link: Option<&'a str>,
    pub(super) style_nonce: &'a str,
}

/// Where a link stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum State<'a> {
    /// The button is to be pressed.
    Confirm,
    Error(LandingError),
    /// It was used in this browser, which may go on to a page.
    Done(&'a str),
    /// There is no link: a page of the application is refused.
    Refused(Refused<'a>),
}

/// Why a page of the application is refused, and where to go from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'a> {
    pub(super) status: StatusCode,
    pub(super) by: RefusedBy,
    /// How long to wait.
    pub(super) wait: Option<Duration>,
    pub(super) continue_link: Option<&'a str>,
    /// Whether the same may be tried there once more.
    pub(super) can_try_again: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusedBy {
    /// What its status says.
    Status,
    /// Another site has sent the request.
    CrossSite,
    /// The user is to confirm that it is them.
    StepUp,
    /// No link was sent.
    Send,
}

/// The form.
pub(super) struct Form<'a> {
    pub(super) action: &'a str,
    /// Names and values of its hidden fields.
    pub(super) fields: [(&'static str, &'a str); 7],
    /// What to ask for, and what was typed last.
    pub(super) ask: Option<(AddressKind, &'a str)>,
}

/// Without the fields, for the token is one of them.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

impl LandingView<'_> {
    /// The application's name.
    #[must_use]
    pub fn app_name(&self) -> &str {
        self.app_name
    }

    /// The tag of the page's language, for `<html lang>`.
    #[must_use]
    pub fn language(&self) -> &str {
        self.texts.language()
    }

    /// What the link is for.
    #[must_use]
    pub fn purpose(&self) -> LinkPurpose {
        self.purpose
    }

    /// The status of the response with the page.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.state {
            State::Confirm | State::Done(_) => StatusCode::OK,
            State::Error(error) => error.status(),
            State::Refused(refused) => refused.status,
        }
    }

    /// Why the user was not signed in; none on the page with the button, on the one that says that all
    /// is done, and where no link was opened.
    #[must_use]
    pub fn error(&self) -> Option<LandingError> {
        match self.state {
            State::Error(error) => Some(error),
            State::Confirm | State::Done(_) | State::Refused(_) => None,
        }
    }

    /// The page's heading.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.words().title
    }

    /// The sentence below the heading.
    #[must_use]
    pub fn text(&self) -> &str {
        let ask = self.form.as_ref().and_then(|form| form.ask);
        match (self.state, ask) {
            (State::Confirm, Some((kind, _))) => &self.texts.ask_words(kind).text,
            (State::Refused(refused), _) if refused.by == RefusedBy::StepUp => {
                &self.texts.refusal_words(refused.status).text
            }
            _ => &self.words().text,
        }
    }

    fn words(&self) -> &Words {
        match self.state {
            State::Confirm => self.texts.confirm_words(self.purpose),
            State::Error(error) => self.texts.error_words(error),
            State::Done(_) => self.texts.done_words(self.purpose),
            State::Refused(refused) => match refused.by {
                RefusedBy::Status | RefusedBy::Send => self.texts.refusal_words(refused.status),
                RefusedBy::CrossSite => self.texts.error_words(LandingError::CrossSite),
                RefusedBy::StepUp => self.texts.confirm_words(LinkPurpose::StepUp),
            },
        }
    }

    /// The form with its button, as HTML; none where pressing it is of no use. In a browser that did not
    /// ask for the link it has a field for the address, with a label.
    #[must_use]
    pub fn form(&self) -> Option<String> {
        let form = self.form.as_ref()?;
        let mut html = format!(
            "<form method=\"post\" action=\"{}\">",
            escape_html(form.action)
        );
        for (name, value) in &form.fields {
            let _ = write!(
                html,
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escape_html(value)
            );
        }
        if let Some((kind, typed)) = form.ask {
            let (kind_is, complete) = match kind {
                AddressKind::Email => ("email", "email"),
                AddressKind::Phone => ("tel", "tel"),
            };
            let wrong = match self.state {
                State::Error(LandingError::WrongAddress) => " aria-invalid=\"true\"",
                _ => "",
            };
            let _ = write!(
                html,
                "<label for=\"{name}\">{}</label><input id=\"{name}\" name=\"{name}\" \
                 type=\"{kind_is}\" autocomplete=\"{complete}\" value=\"{}\" required{wrong}>",
                escape_html(&self.texts.ask_words(kind).title),
                escape_html(typed),
                name = form::ADDRESS,
            );
        }
        let _ = write!(
            html,
            "<button type=\"submit\">{}</button></form>",
            escape_html(self.texts.button_text(self.purpose))
        );
        Some(html)
    }

    /// Where to ask for a new link, and what to call that; only where a link did not do what it is for.
    ///
    /// For a sign-in it is the [sign-in page](super::LandingPageBuilder::sign_in_page), if one was set, with
    /// the link's [`next`](super::LandingLink::next) in its query. For anything else it is the link's `next`,
    /// which asks for a link where it needs one; or, for a step-up without, the
    /// [step-up page](super::LandingPageBuilder::step_up_page).
    #[must_use]
    pub fn new_link(&self) -> Option<(&str, &str)> {
        Some((self.new_link?, self.texts.new_link_text()))
    }

    /// Where to go on, and what to call that: where all is done, where something else may be tried, or the
    /// same once more.
    #[must_use]
    pub fn continue_link(&self) -> Option<(&str, &str)> {
        match self.state {
            State::Done(target) => Some((target, self.texts.continue_link_text())),
            State::Refused(refused) => {
                let text = if refused.can_try_again {
                    self.texts.try_again_text()
                } else {
                    self.texts.continue_link_text()
                };
                Some((refused.continue_link?, text))
            }
            State::Confirm | State::Error(_) => None,
        }
    }

    /// The seconds until the next try, counting down without a script, as HTML with a style of its own;
    /// only where that is known. Put it below the [text](Self::text).
    #[must_use]
    pub fn countdown(&self) -> Option<String> {
        let State::Refused(Refused {
            wait: Some(wait), ..
        }) = self.state
        else {
            return None;
        };
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let (count, unit) = match seconds {
            ..120 => (seconds, "s"),
            _ => (seconds.div_ceil(60), "min"),
        };
        Some(format!(
            "<style nonce=\"{}\">@property --wait{{syntax:\"<integer>\";inherits:false;\
             initial-value:0}}@keyframes wait{{from{{--wait:{count}}}to{{--wait:0}}}}\
             .wait{{font-variant-numeric:tabular-nums;font-size:2rem}}\
             .wait::after{{counter-reset:wait var(--wait);content:counter(wait) \" {unit}\";\
             animation:wait {seconds}s linear forwards}}</style><p class=\"wait\" role=\"timer\"></p>",
            escape_html(self.style_nonce)
        ))
    }

    /// The nonce that a `<style>` element needs. Style sheets and images of the page's own origin need
    /// none; scripts, and whatever is on other origins, do not load.
    #[must_use]
    pub fn style_nonce(&self) -> &str {
        self.style_nonce
    }
}

/// Escapes text for HTML, between tags and in quoted attributes.
///
/// ```
/// assert_eq!(descope_magiclink_web::escape_html("<b> & \"c\""), "&lt;b&gt; &amp; &quot;c&quot;");
/// ```
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;\
font:1.0625rem/1.5 system-ui,sans-serif;background:#f4f5f7;color:#1c2330}\
main{width:100%;max-width:26rem;padding:2rem;border-radius:.75rem;background:#fff;\
box-shadow:0 1px 3px #0003}\
p{margin:.5rem 0 1.5rem}p:last-child{margin-bottom:0}\
.app{margin:0 0 .75rem;font-size:.9375rem;color:#5a6475}\
h1{margin:0;font-size:1.5rem;line-height:1.25}\
label{display:block;margin-bottom:.25rem;font-weight:600}\
input:not([type=hidden]){width:100%;min-height:3rem;margin-bottom:1rem;padding:.5rem .75rem;\
border:1px solid #6b7587;border-radius:.5rem;font:inherit;background:#fff;color:inherit}\
[aria-invalid]{border-color:#b3261e!important}\
button{width:100%;min-height:3rem;padding:.5rem 1rem;border:0;border-radius:.5rem;\
font:inherit;font-weight:600;background:#2456c8;color:#fff;cursor:pointer}\
button:hover{background:#1c469f}\
form+p{margin-top:1.25rem}\
a{color:#2456c8}\
:focus-visible{outline:3px solid #7aa2ff;outline-offset:2px}\
@media(prefers-color-scheme:dark){body{background:#12151b;color:#e8ebf0}\
main{background:#1d222b;box-shadow:none}\
input:not([type=hidden]){background:#12151b;border-color:#8b96a8}[aria-invalid]{border-color:#ff8a80!important}.app{color:#a3adbd}a{color:#8fb0ff}}";

/// The page, unless the application has its own.
pub(super) fn default_page(view: &LandingView<'_>) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <title>{}</title>\n<style nonce=\"{}\">{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape_html(view.language()),
        escape_html(view.title()),
        escape_html(view.style_nonce()),
    );
    if !view.app_name().is_empty() {
        let _ = writeln!(
            html,
            "<p class=\"app\">{}</p>",
            escape_html(view.app_name())
        );
    }
    let _ = writeln!(
        html,
        "<h1>{}</h1>\n<p>{}</p>",
        escape_html(view.title()),
        escape_html(view.text())
    );
    if let Some(form) = view.form() {
        let _ = writeln!(html, "{form}");
    }
    if let Some(countdown) = view.countdown() {
        let _ = writeln!(html, "{countdown}");
    }
    if let Some((path, text)) = view.new_link().or(view.continue_link()) {
        let _ = writeln!(
            html,
            "<p><a href=\"{}\">{}</a></p>",
            escape_html(path),
            escape_html(text)
        );
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}
