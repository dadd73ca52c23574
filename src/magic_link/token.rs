//! Reading the token out of a link.

use std::borrow::Cow;

use url::Url;

use crate::error::{Error, Result};
use crate::secret::MagicLinkToken;

/// The query parameter that carries the token.
const PARAMETER: &str = "t";

impl MagicLinkToken {
    /// Reads the token from the URL that the link opened: its query parameter `t`.
    ///
    /// Takes absolute URLs, and what a web framework gives: a path with a query.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when there is no `t`, when it is empty, or when there are two.
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
        Self::from_pairs("landing_url", parsed.query_pairs())
    }

    /// Reads the token from a query string, with or without the `?` before it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when there is no `t`, when it is empty, or when there are two.
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
        let mut tokens = pairs
            .filter(|(name, _)| name == PARAMETER)
            .map(|(_, value)| value);
        match (tokens.next(), tokens.next()) {
            (Some(token), None) if !token.is_empty() => Ok(Self::new(token)),
            (Some(_), None) => Err(Error::argument(argument, "has an empty parameter `t`")),
            (Some(_), Some(_)) => Err(Error::argument(argument, "has more than one parameter `t`")),
            (None, _) => Err(Error::argument(
                argument,
                "has no parameter `t`; pass the whole URL that the link opened",
            )),
        }
    }
}
