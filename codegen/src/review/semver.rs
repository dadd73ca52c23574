//! What a change means for the version number: of the description, and of the crate's public API.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Deserialize;

use super::advice::Release::{self, Major, Minor, Patch};
use super::advice::{find as moved, is_one_more, is_required};
use super::compare::{Difference, compare};
use super::facts::Facts;
use crate::error::Error;
use crate::generate::document::{former_names, plain, reached_from, schemas};
use crate::generate::load::Source;

/// One change, and the least release that may carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The release.
    pub release: Release,
    /// The section of the change log: `Added`, `Changed` or `Removed`.
    pub section: &'static str,
    /// The change in words.
    pub text: String,
}

fn change(release: Release, section: &'static str, text: String) -> Change {
    Change {
        release,
        section,
        text,
    }
}

/// What changed between two states of our description, as a user of the generated bindings meets it.
#[must_use]
pub fn description(old: &Source, new: &Source) -> Vec<Change> {
    let (before, after) = (Facts::exact(&old.value), Facts::exact(&new.value));
    let mut changes: Vec<Change> = compare(&after, &before, &["path", "errors"])
        .iter()
        .filter_map(|difference| of_difference(difference, &after, &before))
        .collect();
    // A member of a response was in `extra` while it was not described.
    for name in reached_from(&old.value, "responses") {
        let of = format!("`{name}.");
        let added = changes
            .iter_mut()
            .filter(|change| change.section == "Added");
        for change in added.filter(|change| change.text.starts_with(&of)) {
            change.text += ": no longer in `extra`; `member` finds it in either release";
        }
    }
    let has = |source: &Source, name: &str| schemas(&source.value).any(|(other, _)| other == name);
    for (name, _) in schemas(&old.value).filter(|(name, _)| !has(new, name)) {
        // One that has it in `x-formerly`, so that it stays as a deprecated one.
        let mut now = schemas(&new.value);
        changes.push(
            match now.find(|(_, schema)| former_names(schema).any(|old| old == name)) {
                Some((now, _)) => {
                    let text = format!("schema `{name}` is now `{now}`{DEPRECATED}");
                    change(Minor, "Changed", text)
                }
                None => change(Major, "Removed", format!("schema `{name}`")),
            },
        );
    }
    for (name, _) in schemas(&new.value).filter(|(name, _)| !has(old, name)) {
        changes.push(change(Minor, "Added", format!("schema `{name}`")));
    }
    if changes.is_empty() && old.value != new.value {
        let text = "the description's prose, which is the documentation of the bindings".to_owned();
        changes.push(change(Patch, "Changed", text));
    }
    changes
}

fn of_difference(difference: &Difference, after: &Facts, before: &Facts) -> Option<Change> {
    let Difference { at, group, .. } = difference;
    let part = difference.part();
    Some(match difference.sides() {
        (Some(id), None) if part == Some("") => match moved(before, after, id) {
            Some(from) => change(
                Patch,
                "Changed",
                format!("`{id}` is sent to {group} instead of {from}"),
            ),
            None => change(Minor, "Added", format!("operation `{id}` ({group})")),
        },
        (None, Some(id)) if part == Some("") => match moved(after, before, id) {
            // Told at the other end.
            Some(_) => return None,
            None => change(Major, "Removed", format!("operation `{id}` ({group})")),
        },
        (Some(now), Some(was)) if part == Some("id") => {
            let formerly = after
                .operations
                .get(group)
                .and_then(|members| members.get("formerly"));
            let is_kept = formerly
                .is_some_and(|names| names.split(", ").any(|name| plain(name) == plain(was)));
            let (release, effect) = if is_kept {
                (Minor, DEPRECATED)
            } else {
                (Major, "")
            };
            let text = format!("operation `{was}` is now `{now}`{effect}");
            change(release, "Changed", text)
        }
        _ if part == Some("formerly") => return None,
        (now, was) if group == "document" || part == Some("success") => {
            let release = if at.starts_with("scheme") {
                Major
            } else {
                Patch
            };
            change(release, "Changed", said(at, now, was))
        }
        (now, was) if part == Some("deprecated") => change(Minor, "Changed", said(at, now, was)),
        (Some(now), None)
            if part.is_some_and(|part| part.starts_with("query ")) && !is_required(now) =>
        {
            change(Minor, "Added", format!("`{at}` ({now}){A_SETTER}"))
        }
        (Some(now), Some(was)) if part == Some("security") && is_one_more(now, was) => {
            let text = said(at, Some(now), Some(was)) + A_SETTER;
            change(Minor, "Changed", text)
        }
        (Some(now), None) if group.contains(' ') => {
            change(Major, "Changed", format!("`{at}` is new ({now})"))
        }
        (Some(now), None) => change(Minor, "Added", format!("`{at}` ({now})")),
        (None, Some(was)) => change(Major, "Removed", format!("`{at}` ({was})")),
        (Some(now), Some(was)) => {
            let bare = |text: &str| text.replace("; deprecated", "");
            let only_grows = match (bare(now).split_once(" in {"), bare(was).split_once(" in {")) {
                (Some((kind, now)), Some((earlier, was))) => {
                    let list = |text: &str| -> BTreeSet<String> {
                        text.trim_end_matches('}')
                            .split(", ")
                            .map(str::to_owned)
                            .collect()
                    };
                    kind == earlier && list(was).is_subset(&list(now))
                }
                _ => bare(now) == bare(was),
            };
            let release = if only_grows { Minor } else { Major };
            change(release, "Changed", said(at, Some(now), Some(was)))
        }
        (None, None) => return None,
    })
}

/// What an optional part does to callers.
const A_SETTER: &str = ": one more setter, and callers compile as before";
/// What a name that is kept does to callers.
const DEPRECATED: &str = ": callers by the old name compile, with a warning";

fn said(at: &str, now: Option<&str>, was: Option<&str>) -> String {
    let name = |value: Option<&str>| value.unwrap_or("nothing").to_owned();
    format!("`{at}` is {} instead of {}", name(now), name(was))
}

/// What changed between two listings of what is published, one item per line: items of the public API,
/// `feature PACKAGE/NAME`, `default feature PACKAGE/NAME`, and `rust-version NUMBER`.
#[must_use]
pub fn public_api(old: &str, new: &str) -> Vec<Change> {
    let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
        (old.lines().collect(), new.lines().collect());
    let mut removed: Vec<&str> = before.difference(&after).copied().collect();
    let mut changes = Vec::new();
    for line in after.difference(&before) {
        let same = removed
            .iter()
            .position(|old| name(old).is_some() && name(old) == name(line));
        if let Some(position) = same {
            let old = removed.remove(position);
            let text = format!("`{line}`, which was `{old}`");
            // A newer compiler is no breaking change by the custom of the ecosystem; a type that has a new
            // name keeps the old one as an alias.
            let is_minor = line.starts_with("rust-version ")
                || (line.starts_with("pub type ") && !old.starts_with("pub type "));
            let release = if is_minor { Minor } else { Major };
            changes.push(change(release, "Changed", text));
        } else {
            let release = if breaks_when_added(line, &before) {
                Major
            } else {
                Minor
            };
            changes.push(change(release, "Added", format!("`{line}`")));
        }
    }
    for line in removed {
        // Losing `!Send` is a gain.
        changes.push(if line.starts_with("impl !") {
            change(Minor, "Changed", format!("no more `{line}`"))
        } else {
            change(Major, "Removed", format!("`{line}`"))
        });
    }
    changes
}

/// The path of the item on a line: what stays the same when its signature or type changes.
fn name(line: &str) -> Option<&str> {
    if line.starts_with("rust-version ") {
        return Some("rust-version");
    }
    let line = line.strip_prefix("#[non_exhaustive] ").unwrap_or(line);
    let rest = line.strip_prefix("pub ")?;
    // Before the path stand only keywords: `async fn`, `struct`, `mod`.
    let path = rest.split(' ').find(|word| word.contains("::"))?;
    path.split(['(', '<'])
        .next()
        .map(|path| path.trim_end_matches(':'))
}

/// Whether a new item breaks callers: a negative impl, a variant or field of a type that is not
/// `#[non_exhaustive]`, and a method of a public trait, which implementors may lack.
fn breaks_when_added(line: &str, before: &BTreeSet<&str>) -> bool {
    if line.starts_with("impl !") {
        return true;
    }
    let Some(rest) = line.strip_prefix("pub ") else {
        return false;
    };
    let (path, is_function) = match rest.split_once("fn ") {
        Some((modifiers, path)) if !modifiers.contains("::") => (path, true),
        _ => (rest, false),
    };
    let path = name(line).unwrap_or(path);
    let Some((parent, _)) = path.rsplit_once("::") else {
        return false;
    };
    let declared = |keyword: &str| {
        let whole = format!("pub {keyword} {parent}");
        before.iter().any(|line| {
            line.strip_prefix(&whole)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['<', '(', ':', ' ']))
        })
    };
    if is_function {
        declared("trait")
    } else {
        // With the attribute the line does not begin so.
        declared("enum") || declared("struct")
    }
}

/// The verdict on a set of changes.
#[must_use]
pub fn verdict(changes: &[Change]) -> Option<Release> {
    changes.iter().map(|change| change.release).max()
}

/// The version after `version`; before 1.0 a breaking release moves the second number and any other
/// the third, as Cargo reads them. `None` when `version` is not three numbers.
#[must_use]
pub fn next_version(version: &str, release: Release) -> Option<String> {
    let numbers: Vec<u64> = version
        .split('.')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [major, minor, patch] = *numbers else {
        return None;
    };
    let next = match (major, release) {
        (0, Major) => (0, minor + 1, 0),
        (0, _) | (_, Patch) => (major, minor, patch + 1),
        (_, Major) => (major + 1, 0, 0),
        (_, Minor) => (major, minor + 1, 0),
    };
    Some(format!("{}.{}.{}", next.0, next.1, next.2))
}

/// A breaking change that may go into a release that is not named so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The change, in the words of the report.
    pub change: String,
    /// The one release that it may go into.
    pub release: String,
    /// Why it breaks nobody.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approvals {
    approvals: Vec<Approval>,
}

/// Reads `spec/approvals.yaml`.
///
/// # Errors
///
/// [`Error::Yaml`], with the line, when the text is not such a list or lacks a reason.
pub fn approvals(text: &str) -> Result<Vec<Approval>, Error> {
    let list: Approvals =
        serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
    match list
        .approvals
        .iter()
        .find(|approval| approval.reason.trim().is_empty())
    {
        Some(approval) => Err(Error::Yaml(format!("`{}` has no reason", approval.change))),
        None => Ok(list.approvals),
    }
}

/// What keeps a release from being made: its version, its section in the change log, and approvals that
/// are for nothing.
#[must_use]
pub fn problems(
    before: &str,
    now: &str,
    changelog: &str,
    changes: &[Change],
    approvals: &[Approval],
) -> Vec<String> {
    let approves = |approval: &Approval, change: &Change| {
        approval.release == now && approval.change == change.text
    };
    let is_approved =
        |change: &&Change| approvals.iter().any(|approval| approves(approval, change));
    let numbers = |version: &str| {
        version
            .split('.')
            .map(|n| n.parse::<u64>().unwrap_or(0))
            .collect::<Vec<_>>()
    };
    let mut problems = Vec::new();
    // The version that it will be, once it is as it must be.
    let mut then = now.to_owned();
    let unapproved: Vec<Change> = changes
        .iter()
        .filter(|change| !is_approved(change))
        .cloned()
        .collect();
    if let Some(release) = verdict(&unapproved) {
        let least = next_version(before, release).unwrap_or_else(|| before.to_owned());
        if numbers(now) < numbers(&least) {
            let why: Vec<&str> = unapproved
                .iter()
                .filter(|c| c.release == release)
                .map(|c| c.text.as_str())
                .collect();
            problems.push(format!(
                "the version is {now} and must be {least} at least, for it is a {release} release: {}; raise it in \
                 [workspace.package] of Cargo.toml, or approve a break that breaks nobody in spec/approvals.yaml",
                why.join("; ")
            ));
            then = least;
        }
    }
    let heading = format!("## [{then}]");
    let section = changelog
        .split_once(&heading)
        .map(|(_, rest)| rest.split("\n## ").next().unwrap_or(rest));
    match section {
        None if !changes.is_empty() => {
            problems.push(format!("CHANGELOG.md has no section `{heading}`"))
        }
        Some(section) if verdict(changes) == Some(Major) && !section.contains("Breaking") => {
            problems.push(format!(
                "the section `{heading}` of CHANGELOG.md has no line that begins with **Breaking:**"
            ));
        }
        _ => {}
    }
    for approval in approvals
        .iter()
        .filter(|approval| !changes.iter().any(|change| approves(approval, change)))
    {
        problems.push(format!(
            "spec/approvals.yaml: `{}` is for {}, and this is {now} without that change: remove it",
            approval.change, approval.release
        ));
    }
    problems
}

/// The verdict with its reasons, and a draft for the change log. `api` is `None` when the public API
/// was not looked at.
#[must_use]
pub fn report(
    since: &str,
    version: &str,
    description: &[Change],
    api: Option<&[Change]>,
) -> String {
    let mut out = String::new();
    let mut part = |title: &str, changes: &[Change]| {
        let _ = writeln!(out, "{title} since {since}");
        if changes.is_empty() {
            let _ = writeln!(out, "  no change");
        }
        for change in changes {
            let _ = writeln!(
                out,
                "  {} {}: {}",
                change.release,
                change.section.to_lowercase(),
                change.text
            );
        }
        out.push('\n');
    };
    part("The description", description);
    match api {
        Some(api) => part("The public API", api),
        None => {
            out.push_str("The public API was not compared; leave out --spec-only for that.\n\n")
        }
    }
    let all: Vec<Change> = description
        .iter()
        .chain(api.unwrap_or_default())
        .cloned()
        .collect();
    let Some(release) = verdict(&all) else {
        out.push_str(
            "Verdict: nothing that callers see changed; a fix inside is a patch release.\n",
        );
        return out;
    };
    let next = next_version(version, release).unwrap_or_else(|| "next".to_owned());
    let _ = writeln!(out, "Verdict: {release}, {version} -> {next}");
    out.push_str("\nFor CHANGELOG.md, to be put into words:\n\n");
    let _ = writeln!(out, "## [{next}]");
    let mut write = |title: &str, lines: &[&Change]| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n### {title}\n");
        for line in lines {
            let breaking = if line.release == Major {
                "**Breaking:** "
            } else {
                ""
            };
            let _ = writeln!(out, "- {breaking}{}", line.text);
        }
    };
    for section in ["Added", "Changed", "Removed"] {
        // What the description changed is not told again as items of the bindings, and an impl more is
        // hardly news.
        let lines: Vec<&Change> = api
            .unwrap_or_default()
            .iter()
            .filter(|change| change.section == section)
            .filter(|change| description.is_empty() || !change.text.contains("::raw::"))
            .filter(|change| change.release == Major || !change.text.starts_with("`impl"))
            .collect();
        write(section, &lines);
    }
    let lines: Vec<Change> = description
        .iter()
        .map(|c| change(c.release, c.section, format!("{}: {}", c.section, c.text)))
        .collect();
    write("API description", &lines.iter().collect::<Vec<_>>());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(old: &[&str], new: &[&str]) -> Option<Release> {
        verdict(&public_api(&old.join("\n"), &new.join("\n")))
    }

    #[test]
    fn what_is_gone_breaks_and_what_is_new_does_not() {
        assert_eq!(api(&["pub fn a::b()"], &["pub fn a::b()"]), None);
        assert_eq!(api(&["pub fn a::b()"], &[]), Some(Release::Major));
        assert_eq!(api(&[], &["pub fn a::b()"]), Some(Release::Minor));
        let changed = api(&["pub fn a::b()"], &["pub fn a::b(x: u8)"]);
        assert_eq!(changed, Some(Release::Major));
    }

    #[test]
    fn items_of_one_kind_are_not_taken_for_one_another() {
        let changes = public_api(
            "pub mod a::b\npub struct a::C",
            "pub mod a::d\npub struct a::E",
        );
        assert_eq!(changes.len(), 4, "two are gone and two are new");
    }

    #[test]
    fn a_new_signature_is_one_change() {
        let changes = public_api(
            "pub fn a::b()\npub a::C::d: u8",
            "pub fn a::b(u8)\npub a::C::d: u16",
        );
        let text: Vec<&str> = changes.iter().map(|change| change.text.as_str()).collect();
        assert_eq!(
            text,
            [
                "`pub a::C::d: u16`, which was `pub a::C::d: u8`",
                "`pub fn a::b(u8)`, which was `pub fn a::b()`",
            ]
        );
        assert_eq!(verdict(&changes), Some(Release::Major));
    }

    #[test]
    fn additions_that_break_are_known() {
        let major = Some(Release::Major);
        let minor = Some(Release::Minor);
        let open = "#[non_exhaustive] pub enum a::E";
        assert_eq!(api(&[open], &[open, "pub a::E::B"]), minor);
        assert_eq!(
            api(&["pub enum a::E"], &["pub enum a::E", "pub a::E::B"]),
            major
        );
        let point = "pub struct a::P";
        assert_eq!(api(&[point], &[point, "pub a::P::x: u8"]), major);
        assert_eq!(
            api(&[point], &[point, "pub fn a::P::x(&self) -> u8"]),
            minor
        );
        let clock = "pub trait a::Clock: core::fmt::Debug";
        assert_eq!(api(&[clock], &[clock, "pub fn a::Clock::b(&self)"]), major);
        assert_eq!(api(&[], &["impl !core::marker::Send for a::P"]), major);
        assert_eq!(api(&["impl !core::marker::Send for a::P"], &[]), minor);
    }

    #[test]
    fn what_a_manifest_says_counts() {
        let feature = "feature a/b";
        assert_eq!(api(&[feature], &[]), Some(Release::Major));
        assert_eq!(api(&[], &[feature]), Some(Release::Minor));
        assert_eq!(
            api(&["default feature a/b", feature], &[feature]),
            Some(Release::Major)
        );
        assert_eq!(
            api(&["rust-version 1.88"], &["rust-version 1.90"]),
            Some(Release::Minor)
        );
    }

    #[test]
    fn a_release_fits_its_version_its_change_log_and_its_approvals() {
        let gone = public_api("pub fn a::b()", "");
        let text = "`pub fn a::b()`";
        let log = "# Log\n\n## [0.1.1]\n\n- **Breaking:** b is gone.\n\n## [0.1.0]\n";
        let approve = |release: &str| {
            let list = format!(
                "approvals:\n  - {{change: '{text}', release: {release}, reason: nobody has it}}\n"
            );
            approvals(&list).unwrap_or_default()
        };
        let all = |now: &str, log: &str, approvals: &[Approval]| {
            problems("0.1.0", now, log, &gone, approvals)
        };
        assert_eq!(all("0.1.1", log, &approve("0.1.1")), Vec::<String>::new());
        let text = all("0.1.1", log, &[]).concat();
        assert!(
            text.contains("is 0.1.1 and must be 0.2.0 at least") && text.contains("a::b()"),
            "{text}"
        );
        let text = all("0.1.2", log, &approve("0.1.1")).join("\n");
        assert!(
            text.contains("is for 0.1.1, and this is 0.1.2"),
            "an approval is for one release: {text}"
        );
        assert!(
            text.contains("no section `## [0.2.0]`"),
            "of the version that it must be: {text}"
        );
        let text = all("0.2.0", "## [0.2.0]\n\nb is gone.\n", &[]).concat();
        assert!(
            text.contains("no line that begins with **Breaking:**"),
            "{text}"
        );
        assert_eq!(
            problems("0.1.0", "0.1.0", "", &[], &[]),
            Vec::<String>::new()
        );
        assert!(approvals("approvals: [{change: a, release: b, reason: ''}]").is_err());
    }

    #[test]
    fn versions_before_the_first_move_as_cargo_reads_them() {
        let next = |version, release| next_version(version, release).unwrap_or_default();
        assert_eq!(next("0.1.4", Release::Major), "0.2.0");
        assert_eq!(next("0.1.4", Release::Minor), "0.1.5");
        assert_eq!(next("1.2.3", Release::Major), "2.0.0");
        assert_eq!(next("1.2.3", Release::Minor), "1.3.0");
        assert_eq!(next("1.2.3", Release::Patch), "1.2.4");
        assert_eq!(next_version("1.2", Release::Patch), None);
    }
}
