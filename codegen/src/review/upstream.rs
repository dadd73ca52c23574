//! What the description that Descope publishes says about the operations that we bind, against ours
//! and against the list of divergences that are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::compare::{Api, Difference, Kind};
use super::divergences::Divergence;
use super::report::{AcknowledgedDifference, NewDifference, Operations, Release, Report};
use crate::error::Error;
use crate::generate::load::Source;

/// Operations below these paths concern us, whether we describe them or not.
const PREFIXES: [&str; 3] = ["/v1/auth/magiclink/", "/v1/auth/me/", "/v2/keys/"];
/// A new method of a path of ours concerns us too, if the path begins so.
const OUR_PATHS: &str = "/v1/auth/";

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
                Some(AcknowledgedDifference { divergence, places })
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

fn news(
    ours: &Source,
    first: Difference,
    more: &[Difference],
    ids: &mut BTreeSet<String>,
) -> NewDifference {
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
    let (what, adopt, release) = describe(&first, schema.as_deref());
    let all: Vec<&Difference> = std::iter::once(&first).chain(&more).collect();
    let entry = entries(&all, ids);
    let places = all.iter().map(|difference| difference.at()).collect();
    let add = first.yaml_snippet.clone();
    NewDifference {
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
fn describe(difference: &Difference, schema: Option<&str>) -> (String, String, Release) {
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
