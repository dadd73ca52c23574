//! `spec/divergences.yaml`: the differences from the published description that are meant. The head
//! of that file defines its kinds and places.

use serde::Serialize;
use serde_json::Value;

use super::compare::{Difference, Kind};
use crate::error::{Error, Finding};
use crate::generate::load::{Source, load};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// A unique name.
    pub id: String,
    /// The place as it is written.
    pub at: String,
    /// What differs.
    pub kind: Kind,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub evidence: String,
    /// The line of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip)]
    pattern: Pattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    method: String,
    path: String,
    location: Option<String>,
}

const MEMBERS: [&str; 5] = ["id", "at", "kind", "reason", "evidence"];

/// Reads the entries.
///
/// # Errors
///
/// [`Error::Yaml`] when the text is not YAML, and [`Error::Divergences`] with every entry that is not
/// as the head of the file asks for.
pub fn parse(text: &str) -> Result<Vec<Divergence>, Error> {
    let source = load(text)?;
    let mut findings = Vec::new();
    let mut entries: Vec<Divergence> = Vec::new();
    let list = source.value.get("divergences").and_then(Value::as_array);
    if list.is_none() {
        findings.push(finding(
            &source,
            "",
            "the file",
            "has no list `divergences`",
        ));
    }
    for (index, value) in list.into_iter().flatten().enumerate() {
        let pointer = format!("/divergences/{index}");
        let name = value.get("id").and_then(Value::as_str);
        let name = name.map_or_else(|| format!("entry {}", index + 1), |id| format!("`{id}`"));
        match entry(value, source.line(&pointer)) {
            Ok(entry) if entries.iter().any(|other| other.id == entry.id) => {
                findings.push(finding(&source, &pointer, &name, "stands there twice"));
            }
            Ok(entry) => entries.push(entry),
            Err(message) => findings.push(finding(&source, &pointer, &name, &message)),
        }
    }
    if findings.is_empty() {
        Ok(entries)
    } else {
        Err(Error::Divergences(findings))
    }
}

fn finding(source: &Source, pointer: &str, place: &str, message: &str) -> Finding {
    Finding {
        line: source.line(pointer),
        place: place.to_owned(),
        message: message.to_owned(),
    }
}

fn entry(value: &Value, line: Option<u64>) -> Result<Divergence, String> {
    let members = value.as_object().ok_or("is not an object")?;
    if let Some(unknown) = members
        .keys()
        .find(|name| !MEMBERS.contains(&name.as_str()))
    {
        return Err(format!("has the unknown member `{unknown}`"));
    }
    let text = |name: &str| {
        members
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| format!("has no `{name}`"))
    };
    let kind = text("kind")?;
    let kind = Kind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| format!("has the unknown kind `{kind}`"))?;
    let at = text("at")?;
    let words: Vec<&str> = at.split(' ').collect();
    let pattern = match (words.as_slice(), kind.is_of_operation()) {
        ([method, path], true) => Pattern {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            location: None,
        },
        ([method, path, location], false) => Pattern {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            location: Some((*location).to_owned()),
        },
        (_, true) => return Err(format!("is of kind {kind}, so `at` must be `METHOD PATH`")),
        (_, false) => {
            return Err(format!(
                "is of kind {kind}, so `at` must be `METHOD PATH LOCATION`"
            ));
        }
    };
    Ok(Divergence {
        id: text("id")?,
        at,
        kind,
        reason: text("reason")?,
        evidence: text("evidence")?,
        line,
        pattern,
    })
}

impl Divergence {
    /// Whether the entry speaks of this difference.
    #[must_use]
    pub fn covers(&self, difference: &Difference) -> bool {
        let location = match (&self.pattern.location, &difference.location) {
            (Some(pattern), Some(location)) => matches(pattern, location, '.'),
            (None, None) => true,
            _ => false,
        };
        self.kind == difference.kind
            && self.pattern.method == difference.method
            && matches(&self.pattern.path, &difference.path, '/')
            && location
    }
}

/// Part by part; `*` stands for one whole part, in front of `[]` and `{}` for the name there.
fn matches(pattern: &str, text: &str, separator: char) -> bool {
    let (mut patterns, mut parts) = (pattern.split(separator), text.split(separator));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) => {
                let same = match pattern.strip_prefix('*') {
                    Some(marks) if separator == '.' => part
                        .strip_suffix(marks)
                        .is_some_and(|name| !name.is_empty() && !name.ends_with([']', '}'])),
                    Some("") => true,
                    _ => pattern == part,
                };
                if !same {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_whole_part() {
        assert!(matches("/a/*/c", "/a/b/c", '/'));
        assert!(!matches("/a/*", "/a/b/c", '/'));
        assert!(!matches("/a/*/c", "/a/c", '/'));
        assert!(matches("request.*.x", "request.a.x", '.'));
        assert!(!matches("request.*", "request.a.x", '.'));
        assert!(!matches("request.*", "request.a[]", '.'));
        assert!(matches("request.*[].x", "request.a[].x", '.'));
        assert!(!matches("request.*{}", "request.a[]", '.'));
    }

    #[test]
    fn entries_that_break_the_form_are_named() {
        let text = "divergences:
  - {id: a, at: GET /x, kind: security, reason: r, evidence: e}
  - {id: a, at: GET /x, kind: security, reason: r, evidence: e}
  - {id: b, at: GET /x request.y, kind: security, reason: r, evidence: e}
  - {id: c, at: GET /x, kind: type, reason: r, evidence: e}
  - {id: d, at: GET /x, kind: typ, reason: r, evidence: e}
  - {id: e, at: GET /x, kind: security, reason: '', evidence: e}
  - {id: f, at: GET /x, kind: security, reason: r, evidence: e, more: m}
";
        let Err(Error::Divergences(findings)) = parse(text) else {
            panic!("six entries are wrong");
        };
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "line 3: `a`: stands there twice",
                "line 4: `b`: is of kind security, so `at` must be `METHOD PATH`",
                "line 5: `c`: is of kind type, so `at` must be `METHOD PATH LOCATION`",
                "line 6: `d`: has the unknown kind `typ`",
                "line 7: `e`: has no `reason`",
                "line 8: `f`: has the unknown member `more`",
            ]
        );
    }
}
