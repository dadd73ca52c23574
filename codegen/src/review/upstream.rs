//! What the description that Descope publishes says about the operations that we bind, against ours,
//! against the list of divergences that are meant, and against what it said before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::advice::{Advice, advise};
use super::compare::{Difference, compare};
use super::divergences::Divergence;
use super::facts::{Facts, OUR_FORMATS, skeleton};
use super::yaml;
use crate::error::Error;
use crate::generate::document::{
    component, has_word, nameless, operation_pointer, operations, references, strip, text, visit,
};
use crate::generate::load::{self, Source, escape};

/// Names that do not reach the wire.
const NAMES: [&str; 2] = ["id", "path"];
/// Of those, of errors, and of content beside JSON, our description need not say the same.
const NOT_OURS: [&str; 5] = ["id", "path", "errors", "formerly", "others"];

/// Members of a description that hold data.
const VALUES: [&str; 4] = ["default", "enum", "example", "examples"];

/// Reads a published file: the whole description in OpenAPI 3.0, or the facts of one.
///
/// # Errors
///
/// [`Error::Published`] when it is something that cannot be compared, with the reason, the line and what
/// to do.
pub fn read(text: &str, ours: &Facts, before: Option<&Facts>) -> Result<Facts, Error> {
    if let Ok(facts) = Facts::parse(text) {
        return Ok(facts);
    }
    let document = load::value(text)?;
    let refuse = |pointer: &str, message: String| {
        // With lines, reading a large file takes long; this is the one time they are needed.
        let line = load::load(text)
            .ok()
            .and_then(|source| source.line(pointer));
        let line = line
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        Err(Error::Published(format!("{line}{message}")))
    };
    match document.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.0") => {}
        Some(version) => {
            return refuse(
                "/openapi",
                format!(
                    "it is OpenAPI {version}, and 3.0 is what is read here: get that edition, or convert it"
                ),
            );
        }
        None => {
            return refuse("", "it has no member `openapi` and is no description in OpenAPI 3.0; is it the right file?".to_owned());
        }
    }
    let mut list = None;
    visit(&document, "", &mut |pointer, value| {
        // What stands there are values, and no schemas.
        let name = pointer.rsplit('/').next().unwrap_or(pointer);
        let is_value = name.starts_with("x-") || VALUES.contains(&name);
        if list.is_none() && !is_value && value.get("type").is_some_and(Value::is_array) {
            list = Some(format!("{pointer}/type"));
        }
        list.is_none() && !is_value
    });
    if let Some(pointer) = list {
        return refuse(
            &pointer,
            "the type is a list, as OpenAPI 3.1 has it: get the edition in 3.0, or convert it"
                .to_owned(),
        );
    }
    let facts = match Facts::published(&document, ours) {
        Ok(facts) => facts,
        Err(target) => {
            let mut place = String::new();
            references(&document, &mut |pointer, other| {
                if other == target && place.is_empty() {
                    pointer.clone_into(&mut place);
                }
            });
            return refuse(
                &place,
                format!(
                    "`{target}` is not in it: the file is cut off, or one of several; download it whole"
                ),
            );
        }
    };
    let before = before.map_or(0, |before| before.described);
    if facts.described == 0 || facts.described * 2 < before {
        return refuse(
            "/paths",
            format!(
                "it describes {} operations, and {before} were published before: it is cut off, or one of several; download \
             it whole",
                facts.described
            ),
        );
    }
    Ok(facts)
}

/// A difference that no divergence covers.
#[derive(Debug, Clone, Serialize)]
pub struct NewDifference {
    /// The difference.
    #[serde(flatten)]
    pub difference: Difference,
    /// What was published there before, if it was something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The line of our description that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What to do.
    #[serde(flatten)]
    pub advice: Advice,
}

/// A place in the list of divergences that no longer holds.
#[derive(Debug, Clone, Serialize)]
pub struct Stale {
    /// The place.
    pub at: String,
    /// Its line in `spec/divergences.yaml`.
    pub line: u64,
    /// What to do.
    pub message: String,
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Our operations, those of them that are published, and all that are.
    pub operations: [usize; 3],
    /// What the list does not cover.
    pub news: Vec<NewDifference>,
    /// What the list covers without need.
    pub stale: Vec<Stale>,
    /// What is published otherwise than before and needs nothing more: it was followed, or we have no part
    /// in it. First what is published now, then what was.
    pub moved: Vec<Difference>,
    /// Differences that are meant.
    pub known: usize,
}

/// Compares our description with the published one, and that with what it was `before`.
#[must_use]
pub fn review(ours: &Source, theirs: &Facts, before: &Facts, divergences: &[Divergence]) -> Report {
    let our_facts = Facts::ours(&ours.value);
    let differences = compare(&our_facts, theirs, &NOT_OURS);
    let mut moved = compare(theirs, before, &NAMES);
    let mut report = Report {
        operations: [
            our_facts.operations.len(),
            our_facts
                .operations
                .keys()
                .filter(|key| theirs.operations.contains_key(*key))
                .count(),
            theirs.described,
        ],
        news: Vec::new(),
        stale: Vec::new(),
        moved: Vec::new(),
        known: 0,
    };
    for difference in &differences {
        if divergences.iter().any(|entry| entry.covers(difference)) {
            report.known += 1;
            continue;
        }
        // By the name that the published file has for the schema, it may be another one.
        let earlier = moved.iter().position(|moved| moved.at == difference.at);
        let earlier = earlier.map(|index| moved.remove(index));
        report.news.push(NewDifference {
            before: earlier.and_then(|earlier| earlier.theirs).filter(|was| {
                Some(was) != difference.theirs.as_ref() && Some(was) != difference.ours.as_ref()
            }),
            line: ours.line(&pointer(&ours.value, difference)),
            advice: advise(&our_facts, theirs, difference),
            difference: difference.clone(),
        });
    }
    report.moved = moved;
    for entry in divergences {
        for at in &entry.at {
            let covered = |d: &&Difference| d.at == at.value && entry.covers(d);
            if differences.iter().find(covered).is_some() {
                continue;
            }
            let inside = format!("{} in ", at.value);
            let message = if differences.iter().any(|d| d.at == at.value) {
                "the two sides say something else now: see the difference above"
            } else if differences.iter().any(|d| d.at.starts_with(&inside)) {
                "holds in some operations only: name each, as `Schema.property in METHOD PATH`"
            } else {
                "no longer differs: remove the place"
            };
            let (at, line) = (at.value.clone(), at.referenced.line());
            report.stale.push(Stale {
                at,
                line,
                message: message.to_owned(),
            });
        }
    }
    report
}

/// Where our description has the place of a difference.
fn pointer(ours: &Value, difference: &Difference) -> String {
    let Difference { group, member, .. } = difference;
    if !group.contains(' ') {
        return match group.as_str() {
            "document" => "/servers".to_owned(),
            group => format!(
                "/components/schemas/{}/properties/{}",
                escape(group),
                escape(member)
            ),
        };
    }
    let mut found = "/paths".to_owned();
    operations(ours, |path, method, _| {
        if *group == format!("{} {}", method.to_uppercase(), nameless(path)) {
            found = operation_pointer(path, method);
        }
    });
    found
}

impl Report {
    /// Whether every difference is meant and every entry needed.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.news.is_empty() && self.stale.is_empty()
    }

    /// Whether moreover nothing is published otherwise than before.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.is_followed() && self.moved.is_empty()
    }

    /// The report as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Document`], should a part not be writable as JSON.
    pub fn json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Document(error.to_string()))
    }

    /// The report as Markdown: one part for each schema and operation, each difference once.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let [ours, both, described] = self.operations;
        let count =
            |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let _ = writeln!(
            out,
            "{both} of our {ours} operations are among the {described} published. {}, {} to remove from \
             spec/divergences.yaml, {} known.",
            count(self.news.len(), "new difference"),
            count(self.stale.len(), "place"),
            count(self.known, "difference"),
        );
        if !self.news.is_empty() {
            out.push_str("\n## spec/openapi.yaml\n\n");
        }
        // What is to be added stands as YAML below what it means; of all else, each has its line.
        let (additions, others): (Vec<_>, Vec<_>) =
            self.news.iter().partition(|news| news.is_addition());
        let mut group = "";
        for news in &others {
            if news.difference.group != group {
                group = &news.difference.group;
                let of_group = others.iter().map(|news| &news.difference);
                let of_group = of_group.filter(|difference| difference.group == group);
                let _ = writeln!(out, "- **{group}**{}", places(group, of_group));
            }
            news.line(&mut out);
        }
        let mut blocks = BTreeMap::<_, Vec<&NewDifference>>::new();
        for news in additions {
            let meaning = (&news.advice.release, &news.advice.follow);
            blocks.entry(meaning).or_default().push(news);
        }
        for ((release, follow), news) in blocks {
            let _ = writeln!(out, "- [ ] published, and we lack it. {release}: {follow}");
            block(&news, &mut out);
        }
        if !self.stale.is_empty() {
            out.push_str("\n## spec/divergences.yaml\n\n");
        }
        for stale in &self.stale {
            let _ = writeln!(
                out,
                "- [ ] line {}: `{}` {}",
                stale.line, stale.at, stale.message
            );
        }
        if !self.news.is_empty() {
            out.push_str(
                "\n## To keep ours instead\n\nAdd to spec/divergences.yaml, with reason and evidence:\n\n```yaml\n",
            );
            // What says the same is one entry.
            let mut entries = BTreeMap::<_, Vec<&str>>::new();
            for NewDifference { difference: d, .. } in &self.news {
                entries.entry((&d.ours, &d.theirs)).or_default().push(&d.at);
            }
            for ((ours, published), at) in entries {
                let mut entry = json!({
                    "at": at, "ours": ours, "published": published, "reason": "", "evidence": "",
                });
                strip(&mut entry, &|_, value| !value.is_null());
                let _ = writeln!(out, "  - {}", yaml::flow(&entry));
            }
            out.push_str("```\n");
        }
        if !self.moved.is_empty() {
            out.push_str(
                "\n## Published otherwise than before. Nothing to follow; see whether a description should mention it\n\n",
            );
        }
        for moved in &self.moved {
            let (now, before) = moved.sides();
            let _ = writeln!(
                out,
                "- {}: {} instead of {}",
                moved.at,
                said(now),
                said(before)
            );
        }
        let _ = match self.news.iter().map(|news| news.advice.release).max() {
            Some(release) => writeln!(
                out,
                "\nFollowing all of it makes a {release} release. Then run this again."
            ),
            None if self.is_followed() && !self.moved.is_empty() => {
                writeln!(
                    out,
                    "\nWhen you have read it, run this again with `--accept`: it writes spec/published.lock."
                )
            }
            None => Ok(()),
        };
        out
    }
}

fn said(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"))
}

/// The operations concerned.
fn places<'a>(group: &str, of: impl IntoIterator<Item = &'a Difference>) -> String {
    let places = of.into_iter().flat_map(|difference| &difference.places);
    let places: BTreeSet<&str> = places.map(String::as_str).collect();
    let others = places
        .into_iter()
        .filter(|place| *place != group && !place.is_empty());
    let others: Vec<&str> = others.collect();
    if others.is_empty() {
        String::new()
    } else {
        format!(", in {}", others.join(", "))
    }
}

/// What to add, as it stands in our description, each part with a comment on where.
fn block(news: &[&NewDifference], out: &mut String) {
    out.push_str("```yaml\n");
    let (mut head, mut components) = (String::new(), BTreeMap::new());
    for news in news {
        let (difference, advice) = (&news.difference, &news.advice);
        let (group, member) = (&difference.group, &difference.member);
        let line = news.line.map(|line| format!(", line {line}"));
        let line = line.unwrap_or_default();
        let is_path = member.is_empty();
        let indent = if is_path { 2 } else { 8 };
        let here = format!(
            "{:indent$}# {group}{line}{}\n",
            "",
            places(group, [difference])
        );
        if here != head {
            out.push_str(&here);
            head = here;
        }
        let theirs = difference.theirs.as_deref().unwrap_or("");
        let before = before(news.before.as_deref());
        let added = [format!("/{}", escape(member)), "/0/schema".to_owned()];
        let added = added.iter().find_map(|at| advice.add.pointer(at));
        // What the YAML does not say.
        let says_less = theirs.contains("; ")
            || added.is_none_or(|schema| skeleton(&kind_of(schema)) != skeleton(theirs));
        if !is_path && (says_less || !before.is_empty()) {
            let _ = writeln!(
                out,
                "{:indent$}# {member} is published as {theirs}{before}",
                ""
            );
        }
        if !advice.add.is_null() {
            out.push_str(&yaml::block(&advice.add, indent, yaml::WIDTH));
        }
        components.extend(&advice.components);
    }
    if !components.is_empty() {
        out.push_str("    # components/schemas\n");
    }
    for (name, component) in components {
        out.push_str(&yaml::block(
            &json!({ name.as_str(): component }),
            4,
            yaml::WIDTH,
        ));
    }
    out.push_str("```\n");
}

/// What was published before.
fn before(was: Option<&str>) -> String {
    was.map(|was| format!(" (before: `{was}`)"))
        .unwrap_or_default()
}

/// The type of a schema that is advised, as facts have it.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = component(text(schema, "$ref")) {
        return format!("<{name}>");
    }
    let (kind, format) = (text(schema, "type"), text(schema, "format"));
    let values = schema.get("additionalProperties");
    match (kind, schema.get("items"), values) {
        ("array", Some(items), _) => format!("list of {}", kind_of(items)),
        ("object", _, Some(values)) if values.is_object() => format!("map to {}", kind_of(values)),
        _ if format.is_empty() || has_word(OUR_FORMATS, format) => kind.to_owned(),
        _ => format!("{kind} ({format})"),
    }
}

impl NewDifference {
    /// Whether following it is to add YAML.
    fn is_addition(&self) -> bool {
        let is_empty = self.advice.add.is_null() && self.advice.components.is_empty();
        self.difference.ours.is_none() && !is_empty
    }

    fn line(&self, out: &mut String) {
        let Difference { at, member, .. } = &self.difference;
        let name = match at.split_once(" in ") {
            Some((_, place)) => format!("`{member}` in {place}: "),
            None if member.is_empty() => String::new(),
            None => format!("`{member}`: "),
        };
        let line = self
            .line
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        let what = match self.difference.sides() {
            (None, theirs) => format!("published {}, and we lack it", said(theirs)),
            (ours, None) => format!("ours {}, and not published", said(ours)),
            (ours, theirs) => format!("ours {}, published {}", said(ours), said(theirs)),
        };
        let before = before(self.before.as_deref());
        let Advice {
            release, follow, ..
        } = &self.advice;
        let _ = writeln!(
            out,
            "  - [ ] {line}{name}{what}{before}. {release}: {follow}"
        );
    }
}
