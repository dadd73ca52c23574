//! What the description that Descope publishes says about the operations that we bind, against ours
//! and against the list of divergences that are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::compare::{Api, Difference, Kind};
use crate::divergences::Divergence;
use crate::load::Source;

/// Operations below these paths concern us, whether we describe them or not.
const PREFIXES: [&str; 3] = ["/v1/auth/magiclink/", "/v1/auth/me/", "/v2/keys/"];
/// A new method of a path of ours concerns us too, if the path begins so.
const OUR_PATHS: &str = "/v1/auth/";

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
pub struct News {
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
pub struct Known {
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
    pub news: Vec<News>,
    /// Entries of the list that match no difference any more.
    pub stale: Vec<Divergence>,
    /// What the list covers.
    pub known: Vec<Known>,
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

/// Compares our description with a published one.
///
/// # Errors
///
/// [`Error::Published`] when `theirs` has no operations at all: it is most likely another file.
pub fn compare(ours: &Source, theirs: &Value, divergences: &[Divergence]) -> Result<Report, Error> {
    let (our_api, their_api) = (Api::new(&ours.value), Api::new(theirs));
    let count = |api: &Api| api.operations().count();
    if count(&their_api) == 0 {
        return Err(Error::Published(
            "describes no operations; is it the right one?".to_owned(),
        ));
    }
    let our_paths: BTreeSet<&str> = our_api.operations().map(|o| o.path.as_str()).collect();
    let differences = our_api.differences(&their_api, |path| {
        path == "/v1/auth/me"
            || PREFIXES.iter().any(|prefix| path.starts_with(prefix))
            || (path.starts_with(OUR_PATHS) && our_paths.contains(path))
    });
    let added = |d: &&Difference| d.kind == Kind::OperationAdded;
    let both = count(&our_api) - differences.iter().filter(added).count();
    let mut known: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut groups: Vec<(Difference, Vec<Difference>)> = Vec::new();
    for difference in differences {
        let covering: Vec<usize> = divergences
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.covers(&difference))
            .map(|(index, _)| index)
            .collect();
        for index in &covering {
            known.entry(*index).or_default().push(difference.at());
        }
        if covering.is_empty() {
            match groups
                .iter_mut()
                .find(|(first, _)| same_change(first, &difference))
            {
                Some((_, more)) => more.push(difference),
                None => groups.push((difference, Vec::new())),
            }
        }
    }
    let mut ids: BTreeSet<String> = divergences.iter().map(|entry| entry.id.clone()).collect();
    let news = groups
        .into_iter()
        .map(|(first, more)| news(ours, first, &more, &mut ids))
        .collect();
    let stale = divergences
        .iter()
        .enumerate()
        .filter(|(index, _)| !known.contains_key(index))
        .map(|(_, entry)| entry.clone())
        .collect();
    let notes = their_api
        .operations()
        .filter(|operation| operation.deprecated)
        .filter(|theirs| {
            our_api
                .operations()
                .any(|ours| ours.place() == theirs.place())
        })
        .map(|operation| format!("{} is deprecated in the published file", operation.place()))
        .collect();
    Ok(Report {
        operations: Operations {
            ours: count(&our_api),
            theirs: count(&their_api),
            both,
        },
        news,
        stale,
        known: known
            .into_iter()
            .filter_map(|(index, places)| {
                let divergence = divergences.get(index)?.clone();
                Some(Known { divergence, places })
            })
            .collect(),
        notes,
    })
}

/// Whether two differences are one change of one schema, met in two operations.
fn same_change(one: &Difference, other: &Difference) -> bool {
    let name = |d: &Difference| d.location.as_deref().map(|l| last_name(l).to_owned());
    if one.moved.is_some() {
        // The two ends of a move.
        return one.moved == Some(other.at()) && other.moved == Some(one.at());
    }
    one.pointer.starts_with("/components/")
        && one.pointer == other.pointer
        && one.kind == other.kind
        && name(one) == name(other)
        && one.ours == other.ours
        && one.theirs == other.theirs
}

fn last_name(location: &str) -> &str {
    location.rsplit('.').next().unwrap_or(location)
}

fn news(ours: &Source, first: Difference, more: &[Difference], ids: &mut BTreeSet<String>) -> News {
    let parts: Vec<&str> = first.pointer.split('/').collect();
    let schema = match parts.as_slice() {
        ["", "components", "schemas", name, ..] => Some((*name).to_owned()),
        _ => None,
    };
    let line = ours.line(&first.pointer);
    let end_of_move = |d: &&Difference| d.moved.is_some() && d.kind == Kind::OperationAdded;
    let first_of_move = more.iter().find(end_of_move).cloned();
    let mut more = more.to_vec();
    let first = match first_of_move {
        // Both ends say the same; ours is the one to speak of.
        Some(ours) => {
            more = vec![first];
            ours
        }
        None => first,
    };
    let line = ours.line(&first.pointer).or(line);
    let (what, adopt, release) = words(&first, schema.as_deref());
    let all: Vec<&Difference> = std::iter::once(&first).chain(&more).collect();
    let entry = entries(&all, ids);
    let places = all.iter().map(|difference| difference.at()).collect();
    let add = first.sketch.clone();
    News {
        difference: first,
        places,
        schema,
        line,
        what,
        adopt,
        add,
        release,
        entry,
    }
}

/// The difference in words, what to do to follow it, and the release that makes.
fn words(difference: &Difference, schema: Option<&str>) -> (String, String, Release) {
    let location = difference.location.as_deref().unwrap_or_default();
    let name = last_name(location);
    let ours = difference.ours.as_deref().unwrap_or_default();
    let theirs = difference.theirs.as_deref().unwrap_or_default();
    let holder = schema.map_or_else(
        || "the operation".to_owned(),
        |name| format!("schema {name}"),
    );
    let is_request = !location.starts_with("response");
    match difference.kind {
        Kind::OperationAdded => match &difference.moved {
            Some(to) => (
                format!("moved: published at {to} now"),
                "try the new path against a test project; when it answers, change the path in the description"
                    .to_owned(),
                Release::Patch,
            ),
            None => (
                "no longer published".to_owned(),
                "try it against a test project; when it is gone, remove the operation and the schemas that \
                 only it used, and what the facade builds on it"
                    .to_owned(),
                Release::Major,
            ),
        },
        Kind::OperationOmitted => match (&difference.moved, &difference.sibling) {
            (Some(from), _) => (
                format!("moved: we describe it at {from}"),
                "see there".to_owned(),
                Release::Patch,
            ),
            (None, Some(sibling)) => (
                format!("new, and takes the same request as {sibling}: perhaps a new delivery method"),
                format!(
                    "add the operation beside {sibling}, and the method to `DeliveryMethod` in \
                     src/delivery.rs and to the facade's matches, which the compiler will name"
                ),
                Release::Minor,
            ),
            (None, None) => (
                "new".to_owned(),
                "add the operation and its schemas to the description; the facade can follow later".to_owned(),
                Release::Minor,
            ),
        },
        Kind::FieldAdded => (
            format!("we have it ({ours}), and it is no longer published"),
            if is_request {
                format!("the service may ignore it from now on: remove `{name}` from {holder}, and its setter from the facade")
            } else {
                format!("the service may leave it out from now on: remove `{name}` from {holder}, and its accessor from the facade")
            },
            Release::Major,
        ),
        Kind::FieldOmitted => (
            format!("published, and we lack it: {theirs}"),
            if location.starts_with("request") {
                format!("add `{name}` to {holder}; a setter in the facade where users need it")
            } else if is_request {
                format!("add the parameter `{name}` to the operation; generated methods take one more argument")
            } else {
                format!("add `{name}` to {holder}; an accessor in the facade where users need it")
            },
            if is_request && !location.starts_with("request") {
                Release::Major
            } else {
                Release::Minor
            },
        ),
        Kind::Type | Kind::Format => (
            format!("we have {ours}, published is {theirs}"),
            format!(
                "find out what the service sends now, then change `{name}` in {holder}; the Rust type of \
                 the field may change"
            ),
            Release::Major,
        ),
        Kind::Enum if ours == "any" => (
            format!("we allow {ours}, published is {theirs}"),
            format!(
                "name the values in the description of `{name}` in {holder}; it stays a plain string"
            ),
            Release::Patch,
        ),
        Kind::Enum => (
            format!("we allow {ours}, published is {theirs}"),
            format!("change the `enum` of `{name}` in {holder}; a value that goes makes a major release"),
            Release::Minor,
        ),
        Kind::Required if theirs == "needed" => (
            "optional for us, published as needed".to_owned(),
            format!(
                "write \"Needed.\" into the description of `{name}` in {holder}; if the facade can leave it \
                 out, make it an argument there, which is a major release"
            ),
            Release::Patch,
        ),
        Kind::Required => (
            "needed for us, published as optional".to_owned(),
            format!("make `{name}` optional in {holder}"),
            Release::Major,
        ),
        Kind::Security => (
            format!("we authenticate by {ours}, published is {theirs}"),
            "change `security` of the operation; the generated method takes another credential".to_owned(),
            Release::Major,
        ),
    }
}

/// The entries that cover some differences of one kind, with `*` where paths differ.
fn entries(differences: &[&Difference], ids: &mut BTreeSet<String>) -> String {
    type Place = (Kind, String, Vec<String>, usize, Option<String>);
    let mut patterns: BTreeMap<Place, Vec<Vec<&str>>> = BTreeMap::new();
    for difference in differences {
        let segments: Vec<&str> = difference.path.split('/').collect();
        let key = (
            difference.kind,
            difference.method.clone(),
            // A star in place of the version or the family would say more than is meant.
            segments.iter().take(3).map(ToString::to_string).collect(),
            segments.len(),
            difference.location.clone(),
        );
        patterns.entry(key).or_default().push(segments);
    }
    let Some(first) = differences.first() else {
        return String::new();
    };
    let mut text = String::new();
    for ((kind, method, _, _, location), paths) in patterns {
        let merged = paths.iter().skip(1).fold(
            paths.first().cloned().unwrap_or_default(),
            |merged, path| {
                let pairs = merged.into_iter().zip(path);
                pairs
                    .map(|(one, other)| if one == *other { one } else { "*" })
                    .collect()
            },
        );
        let path = merged.join("/");
        let id = unique_id(first, location.as_deref(), ids);
        let location = location
            .map(|location| format!(" {location}"))
            .unwrap_or_default();
        let _ = write!(
            text,
            "  - id: {id}\n    at: {method} {path}{location}\n    kind: {kind}\n    reason: \"\"\n    evidence: \"\"\n"
        );
    }
    text
}

fn unique_id(
    difference: &Difference,
    location: Option<&str>,
    ids: &mut BTreeSet<String>,
) -> String {
    let subject = location.map_or(difference.operation.as_str(), last_name);
    let subject = if subject.is_empty() {
        "operation"
    } else {
        subject
    };
    let mut kebab = String::new();
    let mut after_lower = false;
    for letter in subject.chars().filter(char::is_ascii_alphanumeric) {
        if letter.is_ascii_uppercase() && after_lower {
            kebab.push('-');
        }
        after_lower = letter.is_ascii_lowercase();
        kebab.push(letter.to_ascii_lowercase());
    }
    let base = match difference.kind {
        Kind::OperationAdded | Kind::OperationOmitted => kebab,
        Kind::FieldAdded | Kind::FieldOmitted => format!("{kebab}-field"),
        kind => format!("{kebab}-{kind}"),
    };
    let mut id = base.clone();
    let mut number = 2;
    while !ids.insert(id.clone()) {
        id = format!("{base}-{number}");
        number += 1;
    }
    id
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
    fn by_operation(&self) -> Vec<(String, Vec<&News>)> {
        let mut groups: Vec<(String, Vec<&News>)> = Vec::new();
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
                let Known { divergence, places } = known;
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
            for Known { divergence, places } in &self.known {
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

fn text_of(news: &News, out: &mut String) {
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

fn markdown_of(news: &News, out: &mut String) {
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
