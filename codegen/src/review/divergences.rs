//! `spec/divergences.yaml`: the differences from the published description that are meant. The head
//! of that file says what an entry has.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::compare::Difference;
use super::facts::{behind, skeleton};
use crate::error::{Error, Finding};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// The places, each as a [`Difference`] names it.
    pub at: Vec<Spanned<String>>,
    /// What we say there; nothing where we lack it.
    #[serde(default)]
    pub ours: Option<String>,
    /// What is published there.
    #[serde(default)]
    pub published: Option<String>,
    /// Why we differ.
    pub reason: String,
    /// Who says so.
    pub evidence: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    divergences: Vec<Spanned<Divergence>>,
}

/// Reads the entries.
///
/// # Errors
///
/// [`Error::Yaml`] when the text is not such a list, and [`Error::Findings`] with every entry that lacks
/// something or has a place that another one has; both with lines.
pub fn parse(text: &str) -> Result<Vec<Divergence>, Error> {
    let list: List =
        serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
    let mut findings = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut find = |line, place: &str, message: &str| {
        findings.push(Finding {
            line: Some(line),
            place: place.to_owned(),
            message: message.to_owned(),
        });
    };
    for entry in &list.divergences {
        let (line, entry) = (entry.referenced.line(), &entry.value);
        let first = entry.at.first().map_or("entry", |at| at.value.as_str());
        if entry.at.is_empty() {
            find(line, first, "has no place in `at`");
        }
        for (name, text) in [("reason", &entry.reason), ("evidence", &entry.evidence)] {
            if text.trim().is_empty() {
                find(line, first, &format!("has no `{name}`"));
            }
        }
        for at in &entry.at {
            if !seen.insert(at.value.as_str()) {
                find(at.referenced.line(), &at.value, "stands there twice");
            }
        }
    }
    Error::of(
        "spec/divergences.yaml has entries that are not as its head asks for",
        findings,
    )?;
    Ok(list
        .divergences
        .into_iter()
        .map(|entry| entry.value)
        .collect())
}

impl Divergence {
    /// Whether the entry speaks of this difference, with these values.
    #[must_use]
    pub fn covers(&self, difference: &Difference) -> bool {
        let said = |value: &Option<String>| {
            let value = value.as_deref()?;
            Some((skeleton(value), behind(value, true).concat()))
        };
        self.at.iter().any(|at| at.value == difference.at)
            && said(&self.ours) == said(&difference.ours)
            && said(&self.published) == said(&difference.theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_break_the_form_are_named_by_line() {
        let text = "divergences:
  - {at: [A.b], reason: r, evidence: e}
  - {at: [A.c, A.b], reason: r, evidence: e}
  - {at: [A.d], reason: '', evidence: e}
  - {at: [], reason: r, evidence: ' '}
";
        let error = parse(text)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        let lines: Vec<&str> = error.lines().skip(1).map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "line 3: A.b: stands there twice",
                "line 4: A.d: has no `reason`",
                "line 5: entry: has no place in `at`",
                "line 5: entry: has no `evidence`",
            ]
        );
        let error =
            parse("divergences:\n  - {at: [A.b], kind: type, reason: r, evidence: e}\n").err();
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            error.contains("kind") && error.contains("line 2"),
            "{error}"
        );
    }
}
