//! Addresses: light checks, masked forms, and where a link may lead.

use url::Url;

/// One `@` with text on both sides and no white space.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty()
        && !domain.is_empty()
        && !domain.contains('@')
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Digits with the usual separators, an optional plus sign in front.
pub(crate) fn is_phone(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    let digits = rest.chars().filter(char::is_ascii_digit).count();
    (3..=24).contains(&digits)
        && rest
            .chars()
            .all(|c| c.is_ascii_digit() || " -().#x/".contains(c))
}

pub(crate) fn is_international_phone(text: &str) -> bool {
    text.starts_with('+') && is_phone(text)
}

/// `j***@example.com`.
pub(crate) fn mask_email(email: &str) -> String {
    let (local, domain) = email.split_once('@').unwrap_or((email, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}***@{domain}")
}

/// `*****1111`.
pub(crate) fn mask_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    let shown = digits.len().min(4);
    format!(
        "*****{}",
        digits.iter().skip(digits.len() - shown).collect::<String>()
    )
}

/// Schemes that lead to no page and no app, or run what the address itself says.
const NO_PAGE: [&str; 15] = [
    "about",
    "blob",
    "chrome",
    "data",
    "devtools",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "mailto",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// A URL that a link may lead to: absolute, and of a page or an app.
pub(crate) fn redirect(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "must be an absolute URL")?;
    if NO_PAGE.contains(&url.scheme()) || url.cannot_be_a_base() {
        return Err("must lead to a page or an app, such as https://app.example.com/verify");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_shapes() {
        for good in ["a@b", "joe@example.com", "üser@exämple.com", "a+b@x.com"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "joe",
            "@x.com",
            "joe@",
            "a@b@c",
            "a b@c.com",
            "+15555555555",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn phone_shapes() {
        for good in [
            "+19999999999",
            "943248329844",
            "+1-555-555-5556",
            "+1 (555) 555-5556",
        ] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["", "+", "12", "joe", "1234E", "joe@example.com", "1+2345"] {
            assert!(!is_phone(bad), "{bad}");
        }
        assert!(!is_international_phone("943248329844"));
    }

    #[test]
    fn masks_hide_most() {
        assert_eq!(mask_email("joe@example.com"), "j***@example.com");
        assert_eq!(mask_phone("+1-555-555-1111"), "*****1111");
        assert_eq!(mask_phone("123"), "*****123");
        assert_eq!(mask_email(""), "***@");
    }
}
