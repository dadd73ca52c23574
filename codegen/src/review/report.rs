//! What a comparison has found, for terminals, pull requests and programs.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::compare::Difference;
use super::divergences::Divergence;
use crate::error::Error;

/// What a release must be called that adopts a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "semantic versioning has three")]
pub enum Release {
    /// Nothing that a caller sees changes.
    Patch,
    /// Callers may use more than before.
    Minor,
    /// Some code of callers no longer compiles, or does something else.
    Major,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// A difference that no divergence covers.
#[derive(Debug, Clone, Serialize)]
pub struct NewDifference {
    /// The difference, at the first of its places.
    #[serde(flatten)]
    pub difference: Difference,
    /// All places of the same difference, the first one included: one schema, many operations.
    pub places: Vec<String>,
    /// The part of our description that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The line of that part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The difference in words.
    pub what: String,
    /// What to do to follow the published description.
    pub adopt: String,
    /// Lines to add to our description, where something is missing in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// The release that following it makes.
    pub release: Release,
    /// The entries for `spec/divergences.yaml` that keep things as they are.
    pub entry: String,
}

/// A divergence and the places where it holds.
#[derive(Debug, Clone, Serialize)]
pub struct AcknowledgedDifference {
    /// The entry.
    #[serde(flatten)]
    pub divergence: Divergence,
    /// Its places.
    pub places: Vec<String>,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Operations of ours, of theirs, and in both.
    pub operations: Operations,
    /// What the list does not cover.
    pub news: Vec<NewDifference>,
    /// Entries of the list that match no difference any more.
    pub stale: Vec<Divergence>,
    /// What the list covers.
    pub known: Vec<AcknowledgedDifference>,
    /// What is no difference and good to know.
    pub notes: Vec<String>,
}

/// How many operations there are.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Operations {
    /// In our description.
    pub ours: usize,
    /// In theirs.
    pub theirs: usize,
    /// In both.
    pub both: usize,
}

impl Report {
    /// Whether every difference is meant, and every entry has its difference.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.news.is_empty() && self.stale.is_empty()
    }

    /// The release that adopting everything new would make.
    #[must_use]
    pub fn release(&self) -> Option<Release> {
        self.news.iter().map(|news| news.release).max()
    }

    fn summary(&self) -> String {
        let Operations { ours, theirs, both } = self.operations;
        let plural = |count, one: &str, many: &str| {
            format!("{count} {}", if count == 1 { one } else { many })
        };
        format!(
            "{both} of our {ours} operations are among the {theirs} published. {}, {}, {}.",
            plural(self.news.len(), "new difference", "new differences"),
            plural(self.stale.len(), "stale divergence", "stale divergences"),
            plural(self.known.len(), "known divergence", "known divergences"),
        )
    }

    /// The new differences with the place in words, in the order of operations.
    fn by_operation(&self) -> Vec<(String, Vec<&NewDifference>)> {
        let mut groups: Vec<(String, Vec<&NewDifference>)> = Vec::new();
        for news in &self.news {
            let Difference {
                method,
                path,
                operation,
                ..
            } = &news.difference;
            let title = format!("{method} {path} ({operation})");
            match groups.last_mut() {
                Some((last, list)) if *last == title => list.push(news),
                _ => groups.push((title, vec![news])),
            }
        }
        groups
    }

    /// The report as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Document`], should a part not be writable as JSON.
    pub fn json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Document(error.to_string()))
    }

    /// The report for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // When there is something to do, that alone is shown.
        if self.is_clean() && !self.known.is_empty() {
            let _ = writeln!(out, "Known divergences");
            for known in &self.known {
                let AcknowledgedDifference { divergence, places } = known;
                let _ = writeln!(
                    out,
                    "  {} ({}, {} place{})\n    {}",
                    divergence.id,
                    divergence.kind,
                    places.len(),
                    if places.len() == 1 { "" } else { "s" },
                    divergence.reason
                );
            }
            out.push('\n');
        }
        for (title, list) in self.by_operation() {
            let _ = writeln!(out, "{title}");
            for news in list {
                text_of(news, &mut out);
            }
            out.push('\n');
        }
        for entry in &self.stale {
            let _ = writeln!(
                out,
                "stale: `{}` ({} at {})\n    the published description no longer differs there: remove the \
                 entry from spec/divergences.yaml{}\n",
                entry.id,
                entry.kind,
                entry.at,
                entry
                    .line
                    .map(|line| format!(", line {line}"))
                    .unwrap_or_default(),
            );
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        let _ = writeln!(out, "{}", self.summary());
        if let Some(release) = self.release() {
            let _ = writeln!(
                out,
                "Adopting all of it makes a {release} release. Edit spec/openapi.yaml or spec/divergences.yaml \
                 as said above, run this again, then `cargo xtask codegen`, `cargo xtask snapshots` and \
                 `cargo xtask semver`."
            );
        }
        out
    }

    /// The report for a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::from("## The published description against ours\n\n");
        let _ = writeln!(out, "{}", self.summary());
        for (title, list) in self.by_operation() {
            let _ = writeln!(out, "\n### {title}\n");
            for news in list {
                markdown_of(news, &mut out);
            }
        }
        if !self.stale.is_empty() {
            let _ = writeln!(out, "\n### Stale divergences\n");
        }
        for entry in &self.stale {
            let _ = writeln!(
                out,
                "- [ ] `{}`: no longer differs; remove the entry ({} at `{}`)",
                entry.id, entry.kind, entry.at
            );
        }
        if !self.known.is_empty() {
            let _ = writeln!(
                out,
                "\n<details><summary>Known divergences</summary>\n\n| id | kind | places | reason |\n| --- | --- | --- | --- |"
            );
            for AcknowledgedDifference { divergence, places } in &self.known {
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} |",
                    divergence.id,
                    divergence.kind,
                    places.len(),
                    divergence.reason.replace('|', "\\|")
                );
            }
            let _ = writeln!(out, "\n</details>");
        }
        for note in &self.notes {
            let _ = writeln!(out, "\n> {note}");
        }
        if let Some(release) = self.release() {
            let _ = writeln!(out, "\nAdopting all of it makes a **{release}** release.");
        }
        out
    }
}

fn text_of(news: &NewDifference, out: &mut String) {
    let place = news.difference.location.as_deref().unwrap_or("operation");
    let _ = writeln!(out, "  {place}: {}", news.what);
    if let [_, more @ ..] = news.places.as_slice()
        && news.difference.moved.is_none()
    {
        for place in more {
            let _ = writeln!(out, "    the same at {place}");
        }
    }
    let line = news
        .line
        .map(|line| format!(", line {line}"))
        .unwrap_or_default();
    let _ = writeln!(
        out,
        "    follow it ({} release): {}",
        news.release, news.adopt
    );
    if news.add.is_empty() {
        let _ = writeln!(out, "    in spec/openapi.yaml{line}");
    } else {
        let _ = writeln!(out, "    in spec/openapi.yaml{line}, add:");
        for line in &news.add {
            let _ = writeln!(out, "        {line}");
        }
    }
    let _ = writeln!(
        out,
        "    or keep it as it is: add to spec/divergences.yaml, with reason and evidence:"
    );
    for line in news.entry.lines() {
        let _ = writeln!(out, "      {line}");
    }
}

fn markdown_of(news: &NewDifference, out: &mut String) {
    let place = news.difference.location.as_deref().unwrap_or("operation");
    let _ = writeln!(
        out,
        "- [ ] `{place}`: {} ({} release)",
        news.what, news.release
    );
    let _ = writeln!(out, "  - Follow it: {}.", news.adopt);
    if !news.add.is_empty() {
        let _ = writeln!(out, "\n    ```yaml");
        for line in &news.add {
            let _ = writeln!(out, "    {line}");
        }
        let _ = writeln!(out, "    ```");
    }
    if news.places.len() > 1 && news.difference.moved.is_none() {
        let _ = writeln!(
            out,
            "  - The same at {} more places.",
            news.places.len() - 1
        );
    }
    let _ = writeln!(
        out,
        "  - Or keep it, with an entry in `spec/divergences.yaml`:\n\n    ```yaml"
    );
    for line in news.entry.lines() {
        let _ = writeln!(out, "    {line}");
    }
    let _ = writeln!(out, "    ```");
}
