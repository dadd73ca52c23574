//! What can be told of an address without the service. What no service could deliver to is refused,
//! and what nobody can see or type; the service judges the rest. All of it is trimmed, once and here:
//! one that is copied often brings a space along.

use std::sync::RwLock;

use url::Url;

use crate::error::{Error, Result};
use crate::secret::MagicLinkToken;

/// No service delivers to fewer digits, ...
const FEWEST_DIGITS: usize = 3;
/// ... or to more, with the prefixes for dialling abroad and an extension.
const MOST_DIGITS: usize = 24;

/// An identifier of a user: an address, or any other name.
pub(crate) fn login_id(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::argument("login_id", "must not be empty"));
    }
    visible("login_id", text)
}

pub(crate) fn email(name: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    let valid = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    if !valid || text.contains(' ') {
        return Err(Error::argument(
            name,
            "must be an email address, such as joe@example.com",
        ));
    }
    visible(name, text)
}

pub(crate) fn phone(name: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    if !is_phone(text) {
        return Err(Error::argument(
            name,
            "must be a phone number, such as +15555555555",
        ));
    }
    Ok(text.to_owned())
}

/// Digits with the marks that people put between them, perhaps with a `+` before and an extension
/// behind them: the forms that one or the other of Descope's SDKs takes.
fn is_phone(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let (number, extension) = match text.find(['#', 'x', 'e']) {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let extension = ["extension", "ext.", "ext", "x", "#"]
        .iter()
        .find_map(|mark| extension.strip_prefix(mark))
        .map(str::trim);
    let has_extension = number.len() < text.len();
    if has_extension
        && !extension.is_some_and(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()))
    {
        return false;
    }
    let number = number.strip_prefix('(').unwrap_or(number);
    let number = number.strip_prefix('+').unwrap_or(number);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    number.starts_with(|c: char| c.is_ascii_digit() || c == '(')
        && number
            .chars()
            .all(|c| c.is_ascii_digit() || " -./\\()".contains(c))
        && (FEWEST_DIGITS..=MOST_DIGITS).contains(&digits)
}

/// The page that a link opens. Refused is what would give a link that this crate cannot read.
pub(crate) fn redirect_url(text: &str) -> Result<String> {
    /// The last one that was found good: a program has few, and reading one is a tenth of a call. Nobody
    /// waits for the lock.
    static LAST_GOOD: RwLock<Option<String>> = RwLock::new(None);

    let text = text.trim();
    let is_last = |last: &Option<String>| last.as_deref() == Some(text);
    if LAST_GOOD.try_read().is_ok_and(|last| is_last(&last)) {
        return Ok(text.to_owned());
    }
    check_redirect_url(text)?;
    if let Ok(mut last) = LAST_GOOD.try_write() {
        *last = Some(text.to_owned());
    }
    Ok(text.to_owned())
}

fn check_redirect_url(text: &str) -> Result<()> {
    let problem = match Url::parse(text) {
        // `localhost:3000/verify` parses, as a path in the scheme `localhost`.
        Ok(url) if !url.cannot_be_a_base() => {
            if url.fragment().is_some() {
                "must not have a fragment (`#`): the token would be behind it, where no server sees it"
            } else if url
                .query_pairs()
                .any(|(name, _)| name == "t" || name == "amp;t")
            {
                "must not have a parameter `t`: that is the token's"
            } else if text.contains(|c: char| c.is_whitespace() || is_unseen(c)) {
                "must be a URL without spaces and other characters that mail programs cut it at"
            } else if !is_read(text) {
                "must not have another URL in its path: a link with one looks as if a mail filter had wrapped it, \
                 and its token is not read"
            } else {
                return Ok(());
            }
        }
        _ => "must be an absolute URL, such as https://app.example.com/verify",
    };
    Err(Error::argument("redirect_url", problem))
}

/// Whether the token is found in the link that the service makes of the URL.
fn is_read(url: &str) -> bool {
    let mark = if url.contains('?') { '&' } else { '?' };
    MagicLinkToken::from_url(format!("{url}{mark}t=0a1b")).is_ok()
}

fn visible(name: &'static str, text: &str) -> Result<String> {
    if text.contains(|c: char| is_unseen(c) || (c.is_whitespace() && c != ' ')) {
        return Err(Error::argument(
            name,
            "has a character that cannot be seen, such as a zero-width space; type it anew",
        ));
    }
    Ok(text.to_owned())
}

/// Controls, and what Unicode has with no width of its own: joiners, marks for the direction of text,
/// fillers, variation selectors, tags.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_taken_in_the_forms_that_descope_s_sdks_take() {
        for text in [
            "+19999999999",
            "943248329844",
            "+1-555-555-5556",
            "12345",
            "123456",
            "+1234",
            "+123",
            "5555555 ext 12",
            "555-5555x12",
            "5555555#7",
            "+0123456",
            "+1234567890123456",
            "(+1) 555 555.5556",
            "(555) 555/5556",
            "+(555) 555/5556",
            "0049 30 123456",
            " +15555555555\n",
        ] {
            assert_eq!(phone("phone", text).unwrap(), text.trim());
        }
        for text in [
            "",
            " ",
            "5",
            "+5",
            "1234E",
            "joe",
            "joe@example.com",
            "++15555555555",
            "15555555555+",
            "-5555555",
            "+.5555555",
            "5555555 ext",
            "5555555 ext 1x2",
            "555\u{200b}5555",
            "\u{ff11}\u{ff12}\u{ff13}\u{ff14}",
            "1234567890123456789012345",
        ] {
            assert!(phone("phone", text).is_err(), "{text}");
        }
    }

    #[test]
    fn email_addresses_have_one_at_and_text_on_both_sides() {
        for text in [
            "joe@example.com",
            " joe@example.com ",
            "a@b",
            "a..b@x.com",
            "üser@exämple.com",
            "a@x.co1",
            "a@x_y.com",
            "o'brien+tag@example.com",
        ] {
            assert_eq!(email("email", text).unwrap(), text.trim());
        }
        for text in [
            "",
            "joe",
            "@example.com",
            "joe@",
            "joe@x@y",
            "joe smith@example.com",
            "joe@example.com\u{200b}",
            "j\u{202e}oe@example.com",
            "joe\n@example.com",
            "joe\u{a0}x@example.com",
        ] {
            assert!(email("email", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn login_ids_may_be_any_text_that_can_be_seen() {
        for text in ["joe", "Joe Smith", " joe ", "جو", "名前", "5", "a|b"] {
            assert_eq!(login_id(text).unwrap(), text.trim());
        }
        for text in [
            "",
            " \u{a0}\t",
            "jo\u{0}e",
            "jo\u{ad}e",
            "jo\u{200d}e",
            "\u{feff}joe",
            "jo\u{2066}e",
            "jo\u{3164}e",
            "jo\u{e0041}e",
            "jo\u{2003}e",
            "jo\u{2028}e",
        ] {
            assert!(login_id(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_redirect_url_gives_a_link_that_can_be_read() {
        for text in [
            "https://app.example.com/verify",
            " https://app.example.com/verify\n",
            "http://localhost:3000/",
            "https://app.example.com/verify?lang=en&descope-login-flow=a%7C%23%7Cb.end-c",
            "https://app.example.com/verify?",
            "https://app.example.com?tt=1",
            "myapp://verify",
        ] {
            assert_eq!(redirect_url(text).unwrap(), text.trim());
        }
        for (text, word) in [
            ("/verify", "absolute"),
            ("localhost:3000/verify", "absolute"),
            ("javascript:alert(1)", "absolute"),
            ("", "absolute"),
            ("https://app.example.com/#/verify", "fragment"),
            ("https://app.example.com/verify#", "fragment"),
            ("https://app.example.com/verify?t=1", "`t`"),
            ("https://app.example.com/verify?a=1&t", "`t`"),
            ("https://app.example.com/verify?a=1&%74=x", "`t`"),
            ("https://app.example.com/ver ify", "spaces"),
            ("https://app.example.com/ver\tify", "spaces"),
            ("https://app.example.com/ver\u{200b}ify", "spaces"),
            (
                "https://app.example.com/to/https://example.com/a",
                "another URL",
            ),
            ("https://app.example.com/to/https%3A%2F%2Fa", "another URL"),
        ] {
            let error = redirect_url(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
