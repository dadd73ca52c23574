//! Reading the token out of a link.

use std::borrow::Cow;

use url::Url;

use crate::error::{Error, Result};
use crate::secret::MagicLinkToken;

/// The query parameter that carries the token.
const PARAMETER: &str = "t";
/// Its name after a `&` that was written as in HTML.
const ESCAPED_PARAMETER: &str = "amp;t";
const WRAPPED: &str = "is a link that a mail filter has wrapped in one of its own, with the real one \
                       encoded in it; open it, and pass the URL of the page that it leads to";

/// What stands behind a link in a sentence or a mail and is taken along by mistake.
const NO_TOKEN: &str = "<>()[]{}\"'`,;!?|\\^*";

impl MagicLinkToken {
    /// Reads the token from the URL that the link opened: its query parameter `t`.
    ///
    /// Takes absolute URLs, and what a web framework gives: a path with a query. A link copied from
    /// the source of a mail (`&amp;t=`) is read too.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when there is no `t`, when it is empty or no token, or when there
    /// are two that differ; and for a link that a mail filter has wrapped in one of its own.
    ///
    /// ```
    /// use descope_magiclink::MagicLinkToken;
    ///
    /// let token = MagicLinkToken::from_url("https://app.example.com/verify?lang=en&t=abc123")?;
    /// assert_eq!(token.expose_secret(), "abc123");
    /// assert!(MagicLinkToken::from_url("/verify?t=abc123").is_ok());
    /// assert!(MagicLinkToken::from_url("https://app.example.com/verify").is_err());
    /// # Ok::<(), descope_magiclink::Error>(())
    /// ```
    pub fn from_url(url: impl AsRef<str>) -> Result<Self> {
        let url = url.as_ref();
        // Only the query matters; any base makes a path absolute.
        let parsed = Url::parse(url)
            .or_else(|_| Url::parse("http://localhost").and_then(|base| base.join(url)))
            .map_err(|_| Error::argument("landing_url", "is not a URL"))?;
        // Of the link within, the query would seem to be that of the link around it.
        if holds_url(parsed.path()) {
            return Err(Error::argument("landing_url", WRAPPED));
        }
        Self::from_pairs("landing_url", parsed.query_pairs())
    }

    /// Reads the token from a query string, with or without the `?` before it.
    ///
    /// # Errors
    ///
    /// As [`from_url`](Self::from_url).
    ///
    /// ```
    /// use descope_magiclink::MagicLinkToken;
    ///
    /// assert_eq!(MagicLinkToken::from_query("t=a%2Bb")?.expose_secret(), "a+b");
    /// # Ok::<(), descope_magiclink::Error>(())
    /// ```
    pub fn from_query(query: impl AsRef<str>) -> Result<Self> {
        let query = query.as_ref();
        let query = query.strip_prefix('?').unwrap_or(query);
        Self::from_pairs("query", url::form_urlencoded::parse(query.as_bytes()))
    }

    fn from_pairs<'a>(
        argument: &'static str,
        pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self> {
        let mut token: Option<Cow<'a, str>> = None;
        let mut escaped = None;
        let mut is_wrapped = false;
        for (name, value) in pairs {
            match &*name {
                PARAMETER if token.as_ref().is_some_and(|token| *token != value) => {
                    let problem = "has more than one parameter `t`, with different values";
                    return Err(Error::argument(argument, problem));
                }
                PARAMETER => token = Some(value),
                ESCAPED_PARAMETER => escaped = Some(value),
                _ => is_wrapped |= holds_url(&value),
            }
        }
        let problem = match token.or(escaped) {
            Some(token) if token.is_empty() => "has an empty parameter `t`",
            Some(token) if is_token(&token) => return Ok(Self::new(token)),
            Some(_) => {
                "has a parameter `t` that is not a token; pass the link without what is around it"
            }
            None if is_wrapped => WRAPPED,
            None => "has no parameter `t`; pass the whole URL that the link opened",
        };
        Err(Error::argument(argument, problem))
    }
}

/// Whether a text could be a token. What one is made of is the service's matter, but for what no
/// token in a URL ends with.
fn is_token(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_graphic() && !NO_TOKEN.as_bytes().contains(&b))
        && !text.ends_with(['.', ':', '&', '#', '%'])
}

/// Whether a URL stands in the text: plain, or as mail filters write it.
fn holds_url(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "http://",
        "https://",
        "http%3a",
        "https%3a",
        "http-3a__",
        "https-3a__",
    ]
    .iter()
    .any(|scheme| text.contains(scheme))
}
