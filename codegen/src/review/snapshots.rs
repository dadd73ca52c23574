//! Request snapshots: which changed, as diffs of HTTP requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use similar::TextDiff;

/// File names and contents.
pub type Files = BTreeMap<String, String>;

/// The operation that a snapshot is of: the part of the name behind the test file's.
#[must_use]
pub fn operation(name: &str) -> &str {
    let stem = name.strip_suffix(".snap").unwrap_or(name);
    let mut parts = stem.split("__").skip(1);
    match parts.next() {
        // Management calls share a prefix.
        Some("management") => parts.next().unwrap_or(stem),
        Some(operation) => operation,
        None => stem,
    }
}

/// The snapshot itself, without what insta notes above it.
#[must_use]
pub fn content(text: &str) -> &str {
    let mut parts = text.splitn(3, "---\n");
    match (parts.next(), parts.next(), parts.next()) {
        (Some(""), Some(_), Some(content)) => content,
        _ => text,
    }
}

/// What changed from one state to another, grouped by operation, as unified diffs; empty when nothing
/// did.
#[must_use]
pub fn changes(old: &Files, new: &Files) -> String {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    let text = |files: &Files, name: &str| {
        files
            .get(name)
            .map(|text| content(text).trim_end().to_owned() + "\n")
    };
    for name in names {
        if text(old, name) != text(new, name) {
            groups.entry(operation(name)).or_default().push(name);
        }
    }
    let mut out = String::new();
    for (operation, names) in groups {
        let _ = writeln!(out, "{operation}");
        for name in names {
            let (before, after) = (text(old, name), text(new, name));
            let how = match (&before, &after) {
                (None, _) => "new",
                (_, None) => "gone",
                _ => "changed",
            };
            let request = after.as_deref().or(before.as_deref()).unwrap_or_default();
            let request = request.lines().next().unwrap_or_default();
            let _ = writeln!(out, "  {name} ({how}): {request}");
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            let diff = TextDiff::from_lines(&before, &after);
            for line in diff.unified_diff().context_radius(3).to_string().lines() {
                let _ = writeln!(out, "    {line}");
            }
        }
        out.push('\n');
    }
    out
}

/// Snapshots without a test that compares them: `referenced` are the file names that a run of all
/// tests has looked at.
#[must_use]
pub fn unreferenced(files: &Files, referenced: &BTreeSet<String>) -> Vec<String> {
    files
        .keys()
        .filter(|name| !referenced.contains(*name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn changes_are_grouped_by_operation() {
        let old = files(&[
            (
                "requests__sign_in__email__full.snap",
                "---\nsource: a\n---\nPOST /a\n\nx: 1",
            ),
            (
                "requests__sign_in__sms__full.snap",
                "---\nsource: a\n---\nPOST /b",
            ),
            ("requests__verify.snap", "---\nsource: a\n---\nPOST /v"),
        ]);
        let new = files(&[
            (
                "requests__sign_in__email__full.snap",
                "---\nsource: b\n---\nPOST /a\n\nx: 2",
            ),
            (
                "requests__sign_in__sms__full.snap",
                "---\nsource: b\n---\nPOST /b",
            ),
            ("requests__me.snap", "---\nsource: b\n---\nGET /me"),
        ]);
        assert_eq!(
            changes(&old, &new),
            "me
  requests__me.snap (new): GET /me
    @@ -0,0 +1 @@
    +GET /me

sign_in
  requests__sign_in__email__full.snap (changed): POST /a
    @@ -1,3 +1,3 @@
     POST /a
     
    -x: 1
    +x: 2

verify
  requests__verify.snap (gone): POST /v
    @@ -1 +0,0 @@
    -POST /v

"
        );
        assert_eq!(changes(&old, &old), "");
    }

    #[test]
    fn an_operation_is_the_second_part_of_the_name() {
        assert_eq!(operation("requests__verify.snap"), "verify");
        assert_eq!(operation("requests__sign_in__email__full.snap"), "sign_in");
        assert_eq!(
            operation("requests__management__load_user.snap"),
            "load_user"
        );
    }
}
