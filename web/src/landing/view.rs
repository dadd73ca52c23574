//! The page itself.

use std::fmt::{self, Write as _};

use super::error::LandingError;
use super::texts::LandingTexts;

/// What a page is made from: given to the [template](super::LandingPageBuilder::template).
///
/// The texts are plain; escape them with [`escape_html`]. [`form`](Self::form) is HTML already and
/// must be in the page as it is.
#[derive(Debug)]
pub struct LandingView<'a> {
    pub(super) app_name: &'a str,
    pub(super) texts: &'a LandingTexts,
    pub(super) error: Option<LandingError>,
    pub(super) form: Option<Form<'a>>,
    pub(super) sign_in_page: Option<&'a str>,
    pub(super) style_nonce: &'a str,
}

/// The hidden fields of the form.
pub(super) struct Form<'a> {
    pub(super) action: &'a str,
    pub(super) fields: [(&'static str, &'a str); 5],
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

    /// Why the user was not signed in; none on the page with the button.
    #[must_use]
    pub fn error(&self) -> Option<LandingError> {
        self.error
    }

    /// The page's heading.
    #[must_use]
    pub fn title(&self) -> &str {
        self.texts.title(self.error)
    }

    /// The sentence below the heading.
    #[must_use]
    pub fn text(&self) -> &str {
        self.texts.text(self.error)
    }

    /// The form with its button, as HTML; none where pressing it is of no use.
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
        let _ = write!(
            html,
            "<button type=\"submit\">{}</button></form>",
            escape_html(self.texts.button_text())
        );
        Some(html)
    }

    /// Where to ask for a new link, and what to call that; none on the page with the button, and where
    /// no [sign-in page](super::LandingPageBuilder::sign_in_page) was set.
    #[must_use]
    pub fn new_link(&self) -> Option<(&str, &str)> {
        self.error?;
        Some((self.sign_in_page?, self.texts.ask_again_text()))
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
button{width:100%;min-height:3rem;padding:.5rem 1rem;border:0;border-radius:.5rem;\
font:inherit;font-weight:600;background:#2456c8;color:#fff;cursor:pointer}\
button:hover{background:#1c469f}\
form+p{margin-top:1.25rem}\
a{color:#2456c8}\
:focus-visible{outline:3px solid #7aa2ff;outline-offset:2px}\
@media(prefers-color-scheme:dark){body{background:#12151b;color:#e8ebf0}\
main{background:#1d222b;box-shadow:none}.app{color:#a3adbd}a{color:#8fb0ff}}";

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
    if let Some((path, text)) = view.new_link() {
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
