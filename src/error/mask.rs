//! Text that others wrote, fit to be shown: a service or a proxy may repeat what it was sent.

/// Longest text that is kept, in characters.
const LONGEST: usize = 500;
/// A run of token characters of this length is taken for a secret if it has a digit, ...
const SECRET_LENGTH: usize = 20;
/// ... and one of this length always: no word of an error message is as long.
const SECRET_LENGTH_WITHOUT_DIGIT: usize = 40;
/// Parts of paths and of host names are shown below this length: they name realms, tenants and machines.
const LONG_PART: usize = 32;
/// The length of a user's, tenant's or project's id.
const ID_LENGTH: usize = 28;
const MASK: &str = "[masked]";

/// Replaces what looks like a secret, and cuts the text. `project_id` is the client's own, which stays.
///
/// Ids stay too, and in URLs and paths what is too short for a token.
pub(crate) fn mask_secrets(text: &str, project_id: &str) -> String {
    let mut masked = Masked {
        text: String::new(),
        project_id,
    };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = is_url_character(first);
        let end = rest
            .find(|c| is_url_character(c) != is_word)
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if is_word {
            masked.word(part);
        } else {
            masked
                .text
                .extend(part.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
        rest = after;
    }
    let masked = masked.text;
    match masked.char_indices().nth(LONGEST) {
        Some((end, _)) => masked
            .get(..end)
            .map(|kept| format!("{kept}…"))
            .unwrap_or_default(),
        None => masked,
    }
}

fn is_url_character(c: char) -> bool {
    is_token_character(c) || "/:@?&=#".contains(c)
}

fn is_token_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~+%".contains(c)
}

/// The text so far.
struct Masked<'a> {
    text: String,
    project_id: &'a str,
}

impl Masked<'_> {
    /// A text without spaces: a URL, a path, or anything else.
    fn word(&mut self, word: &str) {
        let (before, rest) = match word.split_once("://") {
            Some((scheme, rest)) => {
                self.runs(scheme);
                self.text.push_str("://");
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                self.authority(authority);
                ("", rest)
            }
            None if word.starts_with('/') => ("", word),
            None => (word, ""),
        };
        self.runs(before);
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (path, query) = rest.split_at(end);
        for (number, segment) in path.split('/').enumerate() {
            if number > 0 {
                self.text.push('/');
            }
            let is_short = segment.len() < LONG_PART && !segment.contains(['+', '%', '=']);
            if is_short {
                self.text.push_str(segment);
            } else {
                self.runs(segment);
            }
        }
        self.runs(query);
    }

    fn authority(&mut self, authority: &str) {
        let host = match authority.rsplit_once('@') {
            Some((_, host)) => {
                self.text.push_str(MASK);
                self.text.push('@');
                host
            }
            None => authority,
        };
        if host.split(['.', ':']).all(is_label) {
            self.text.push_str(host);
        } else {
            self.runs(host);
        }
    }

    /// Looks at each run of token characters.
    fn runs(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_token_character(c)).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            // The end of a sentence.
            let end = run.trim_end_matches('.');
            self.run(end);
            self.text.extend(run.chars().skip(end.len()));
            let mark = after.chars().take(1);
            self.text.extend(mark.clone());
            rest = after.get(mark.map(char::len_utf8).sum()..).unwrap_or("");
        }
    }

    fn run(&mut self, run: &str) {
        let has_digit = run.bytes().any(|b| b.is_ascii_digit());
        let is_secret =
            run.len() >= SECRET_LENGTH_WITHOUT_DIGIT || (run.len() >= SECRET_LENGTH && has_digit);
        let is_shown = !is_secret || run == self.project_id || is_id(run) || is_host(run);
        self.text.push_str(if is_shown { run } else { MASK });
    }
}

/// Whether the text has the form of a project, user or tenant id, which is not secret: a message about
/// the wrong project is of no use without it.
fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH
        && text.starts_with(['P', 'U', 'T'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether the text is a host's name of several parts. Tokens have capital letters, or parts that are
/// longer.
fn is_host(text: &str) -> bool {
    let parts = text.split('.');
    let ends_in_letters = parts
        .clone()
        .next_back()
        .is_some_and(|last| last.len() > 1 && last.bytes().all(|b| b.is_ascii_lowercase()));
    ends_in_letters
        && parts.clone().count() > 1
        && parts
            .clone()
            .all(|part| is_label(part) && !part.bytes().any(|b| b.is_ascii_uppercase()))
}

/// Whether the text can be a part of a host's name, and is too short for a token.
fn is_label(text: &str) -> bool {
    text.len() < LONG_PART && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project's id with a region, as the client's own.
    const OWN: &str = "Puse12aAc4T2V93bddihGEx2Ryhc8e5Z";

    fn mask(text: &str) -> String {
        mask_secrets(text, OWN)
    }

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJVMSJ9.c2lnbmF0dXJl";
        // Of 32 characters, and with the first letter of an id.
        const HEX: &str = "0123456789abcdef0123456789abcdef";
        for first in ["P", "U", "T", "K", "0"] {
            let secret = format!("{first}{}", HEX.get(1..).unwrap());
            assert_eq!(mask(&secret), MASK);
            assert_eq!(mask(&format!("bad token {secret}.")), "bad token [masked].");
            assert_eq!(mask(&format!("/verify/{secret}")), "/verify/[masked]");
        }
        for (text, shown) in [
            (
                format!("bad token {JWT} for joe@example.com\n"),
                "bad token [masked] for joe@example.com ".to_owned(),
            ),
            (format!("token={JWT}&x=1"), "token=[masked]&x=1".to_owned()),
            (format!("t={HEX}"), "t=[masked]".to_owned()),
            (
                format!("Bearer {OWN}:{JWT}"),
                format!("Bearer {OWN}:[masked]"),
            ),
            (
                format!("https://x.example/v?t={HEX}#{HEX}"),
                "https://x.example/v?t=[masked]#[masked]".to_owned(),
            ),
            (
                format!("https://x.example/{JWT}/y"),
                "https://x.example/[masked]/y".to_owned(),
            ),
            (
                format!("https://joe:{HEX}@x.example/y"),
                "https://[masked]@x.example/y".to_owned(),
            ),
            (
                format!("https://joe:pass@{HEX}.example/y"),
                "https://[masked]@[masked]/y".to_owned(),
            ),
            // A part of a path that is written with percent signs, or no path at all.
            (
                "/v/aGVsbG8rd29ybGQ%2Bx1y2".to_owned(),
                "/v/[masked]".to_owned(),
            ),
            (
                "key aGVsbG8gd29ybGQhIQ1/aGVsbG8gd29ybGQhIQ1==".to_owned(),
                "key aGVsbG8gd29ybGQhIQ1/aGVsbG8gd29ybGQhIQ1==".to_owned(),
            ),
            (
                "key aGVsbG8gd29ybGQhIQ12/aGVsbG8gd29ybGQhIQ12==".to_owned(),
                "key [masked]/[masked]==".to_owned(),
            ),
            // Another project's id with a region may as well be a key.
            (
                "Peuc12aAc4T2V93bddihGEx2Ryhc8e5Z".to_owned(),
                MASK.to_owned(),
            ),
            ("U2aAc4T2V93bddihGEx2Ryhc8e5Zx".to_owned(), MASK.to_owned()),
            ("K2aAc4T2V93bddihGEx2Ryhc8e5Z".to_owned(), MASK.to_owned()),
            ("abcdefghij.klmnopqrst.uvwxyz12".to_owned(), MASK.to_owned()),
        ] {
            assert_eq!(mask(&text), shown, "{text}");
        }
    }

    #[test]
    fn ids_hosts_and_short_parts_of_paths_stay() {
        for text in [
            "not project P2aAc4T2V93bddihGEx2Ryhc8e5Z.",
            "user U2aAc4T2V93bddihGEx2Ryhc8e5Z, tenant T2aAc4T2V93bddihGEx2Ryhc8e5Z",
            "not project Puse12aAc4T2V93bddihGEx2Ryhc8e5Z",
            "?projectId=P2aAc4T2V93bddihGEx2Ryhc8e5Z",
            "loginOptions.templateOptions is wrong",
            "no /realms/acme-corporation-2026/x here",
            "https://auth.acme-corporation-2026.example.com:8443/realms/acme-corporation-2026/x",
            "auth.acme-corporation-2026.example.com does not respond",
            "cannot reach acme-corporation-2026.example.com:443",
            "https://acme-corporation-2026-emulator:8080/v1",
            "https://[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:8443/x",
        ] {
            assert_eq!(mask(text), text);
        }
        assert_eq!(mask(&"a b ".repeat(400)).chars().count(), LONGEST + 1);
    }
}
