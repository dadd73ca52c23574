//! Request snapshots: which changed, as diffs of HTTP requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use similar::TextDiff;

/// File names and contents.
pub type Files = BTreeMap<String, String>;

/// The snapshot itself, without what insta notes above it.
fn content(text: &str) -> String {
    let mut parts = text.splitn(3, "---\n");
    let content = match (parts.next(), parts.next(), parts.next()) {
        (Some(""), Some(_), Some(content)) => content,
        _ => text,
    };
    content.trim_end().to_owned() + "\n"
}

/// What changed from one state to another, each change once with the names of the snapshots that it is in;
/// empty when nothing did.
#[must_use]
pub fn changes(old: &Files, new: &Files) -> String {
    let mut hunks: Vec<(String, Vec<&str>)> = Vec::new();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let text = |files: &Files| {
            files
                .get(name)
                .map(|text| content(text))
                .unwrap_or_default()
        };
        let (before, after) = (text(old), text(new));
        let diff = TextDiff::from_lines(&before, &after);
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            // Without the line numbers, which differ for one change in two places.
            let text = hunk.to_string();
            let text = text.split_once('\n').map_or("", |(_, text)| text);
            match hunks.iter_mut().find(|(other, _)| other == text) {
                Some((_, names)) => names.push(name),
                None => hunks.push((text.to_owned(), vec![name])),
            }
        }
    }
    let mut out = String::new();
    for (text, names) in hunks {
        let names: BTreeSet<&str> = names
            .into_iter()
            .map(|name| name.trim_end_matches(".snap"))
            .collect();
        let _ = writeln!(out, "{}", names.into_iter().collect::<Vec<_>>().join(", "));
        for line in text.lines() {
            let _ = writeln!(out, "    {line}");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        let head = "---\nsource: a\n---\n";
        list.iter()
            .map(|(name, text)| (format!("{name}.snap"), format!("{head}{text}")))
            .collect()
    }

    #[test]
    fn each_change_is_shown_once() {
        let old = files(&[
            ("a", "POST /a\n\nx: 1"),
            ("b", "GET /b\n\n\n\n\n\nPOST /a\n\nx: 1"),
            ("c", "POST /v"),
            ("d", "y"),
        ]);
        let new = files(&[
            ("a", "POST /a\n\nx: 2"),
            ("b", "GET /b\n\n\n\n\n\nPOST /a\n\nx: 2"),
            ("d", "y"),
            ("e", "GET /me"),
        ]);
        let expected = "\
a
     POST /a
     
    -x: 1
    +x: 2

b
     
     POST /a
     
    -x: 1
    +x: 2

c
    -POST /v

e
    +GET /me

";
        assert_eq!(changes(&old, &new), expected);
        let twice = |text: &str| files(&[("a", text), ("b", text)]);
        assert_eq!(
            changes(&twice("x: 1"), &twice("x: 2")),
            "a, b\n    -x: 1\n    +x: 2\n\n"
        );
        assert_eq!(changes(&old, &old), "");
    }
}
