//! The one thing that a robot does not type: the address to which a link was sent.
//!
//! Robots of mail security open links, run scripts and press buttons. In a browser that did not ask for
//! the link, the page asks for what the user typed to get it. The link carries a salt and 16 bits of a hash
//! of it: enough to tell a typed address from none, the same on every machine, and no more than that. Who
//! holds the link can find an address that fits; it guards against robots alone.

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Host;

/// Of what kind the address is, which the page says and phones choose their keyboard by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressKind {
    Email,
    Phone,
}

const SALT: usize = 8;
const CHECK: usize = 2;
/// By how many digits at its end a phone number is known, so that the prefix of a country or a city may be
/// left out.
const DIGITS: usize = 8;

/// What a link carries to know the address by; nothing for what is no address, such as a name.
pub(super) fn check_value(address: &str) -> Option<String> {
    let (kind, normalised) = normalise(address)?;
    let mut bytes = [0; SALT + CHECK];
    let (salt, check) = bytes.split_at_mut(SALT);
    rand::fill(salt).ok()?;
    check.copy_from_slice(&hash(salt, &normalised));
    let letter = match kind {
        AddressKind::Email => 'e',
        AddressKind::Phone => 'p',
    };
    Some(format!("{letter}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The kind of address that a link can be asked for; none if it carries no such value.
pub(super) fn kind(value: &str) -> Option<AddressKind> {
    parse(value).map(|(kind, _)| kind)
}

/// Whether what was typed fits.
pub(super) fn matches(value: &str, typed: &str) -> bool {
    let (Some((_, bytes)), Some((_, normalised))) = (parse(value), normalise(typed)) else {
        return false;
    };
    let (salt, check) = bytes.split_at(SALT);
    hash(salt, &normalised) == check
}

fn parse(value: &str) -> Option<(AddressKind, [u8; SALT + CHECK])> {
    let kind = match value.as_bytes().first()? {
        b'e' => AddressKind::Email,
        b'p' => AddressKind::Phone,
        _ => return None,
    };
    let bytes = URL_SAFE_NO_PAD.decode(value.get(1..)?).ok()?;
    Some((kind, bytes.try_into().ok()?))
}

fn hash(salt: &[u8], normalised: &str) -> [u8; CHECK] {
    let digest = digest::digest(&digest::SHA256, &[salt, normalised.as_bytes()].concat());
    let mut check = [0; CHECK];
    for (to, from) in check.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    check
}

/// What is the same however somebody writes an address.
fn normalise(address: &str) -> Option<(AddressKind, String)> {
    let address = address.trim();
    if let Some((name, domain)) = address.rsplit_once('@') {
        // Some browsers write a domain in ASCII in a field for a mail address, others as it was typed.
        let domain = match Host::parse(domain) {
            Ok(Host::Domain(domain)) => domain,
            _ => domain.to_lowercase(),
        };
        return Some((
            AddressKind::Email,
            format!("{}@{domain}", name.to_lowercase()),
        ));
    }
    // Whatever stands between the digits, and what cannot be seen: address books put marks of the
    // direction of writing around a number that is copied.
    let digits: Vec<char> = address.chars().filter(char::is_ascii_digit).collect();
    if address
        .chars()
        .any(|c| c.is_alphanumeric() && !c.is_ascii_digit())
        || digits.len() < 6
    {
        return None;
    }
    let known = digits.len().saturating_sub(DIGITS);
    Some((AddressKind::Phone, digits.into_iter().skip(known).collect()))
}

/// What is the same for all addresses that reach one person, as far as that can be told: the case of letters,
/// what follows a `+` in a mail address, and how a phone number is written make no other one.
pub(super) fn same_address(address: &str) -> String {
    let Some((kind, normalised)) = normalise(address) else {
        return address.trim().to_lowercase();
    };
    match normalised.rsplit_once('@') {
        Some((name, domain)) if kind == AddressKind::Email => {
            let name = name.split_once('+').map_or(name, |(name, _)| name);
            format!("{name}@{domain}")
        }
        _ => normalised,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_however_it_is_written() {
        let value = check_value("Joe@Example.com").unwrap();
        assert_eq!(kind(&value), Some(AddressKind::Email));
        assert_eq!(value.len(), 15);
        for typed in ["joe@example.com", " JOE@EXAMPLE.COM\n"] {
            assert!(matches(&value, typed), "{typed}");
        }
        for typed in [
            "",
            "joe",
            "joe@example.co",
            "j oe@example.com",
            "+15555555555",
        ] {
            assert!(!matches(&value, typed), "{typed}");
        }
        let value = check_value("+1 (555) 555-0123").unwrap();
        assert_eq!(kind(&value), Some(AddressKind::Phone));
        for typed in [
            "+15555550123",
            "555 555 0123",
            "55550123",
            "0555/5550123",
            "\u{202a}+1 555\u{2011}555\u{2011}0123\u{202c}",
            "(+1)\u{2009}555\u{2013}555 . 0123",
            "001\\555\\5550123",
        ] {
            assert!(matches(&value, typed), "{typed}");
        }
        for typed in ["", "5550123", "+15555550124", "joe@example.com"] {
            assert!(!matches(&value, typed), "{typed}");
        }
        // As Chromium writes the domain in a field for a mail address, and as it is typed elsewhere.
        for (one, other) in [
            (
                "j\u{f6}@M\u{dc}LLER.example",
                "J\u{d6}@xn--mller-kva.example",
            ),
            ("joe@xn--mller-kva.example", "Joe@m\u{fc}ller.EXAMPLE"),
            ("\"joe@home\"@example.com", "\"Joe@Home\"@example.com"),
            ("joe@[127.0.0.1]", "JOE@[127.0.0.1]"),
            ("joe@a b", "Joe@A B"),
        ] {
            assert!(matches(&check_value(one).unwrap(), other), "{one}");
        }
        assert!(!matches(
            &check_value("joe@m\u{fc}ller.example").unwrap(),
            "joe@muller.example"
        ));
        // The same address never gives the same value.
        assert_ne!(check_value("a@b.c"), check_value("a@b.c"));
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        for (one, other) in [
            ("Joe+tea@Example.com ", "joe@example.com"),
            ("+1 (555) 555-0123", "0155 5550123"),
            (" U2abc", "u2abc"),
        ] {
            assert_eq!(same_address(one), same_address(other));
        }
        assert_ne!(
            same_address("joe@example.com"),
            same_address("jo@example.com")
        );
        assert_ne!(same_address("+@example.com"), same_address("+@example.org"));
    }

    #[test]
    fn what_is_no_address_has_no_value() {
        for name in ["", "joe", "12345", "+1 555 CALL NOW", "U2abc", "\u{1f36a}"] {
            assert_eq!(check_value(name), None, "{name}");
        }
        for value in ["", "e", "x0000000000000", "e!!", "\u{e9}", "eAAAA"] {
            assert_eq!(kind(value), None, "{value}");
            assert!(!matches(value, "joe@example.com"));
        }
    }
}
