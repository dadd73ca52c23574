//! Where the facts of two descriptions differ.
//!
//! The operations that both have are walked side by side, and from there each pair of objects once: the
//! name of a schema cannot matter, nor whether it stands in place, and what one schema says differently
//! is one difference, however many operations use it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::facts::{Facts, Members, OTHERS, WHOLE, behind, references, skeleton};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The place: `METHOD PATH`, `METHOD PATH MEMBER`, `Schema.property`, the last with ` in METHOD PATH`
    /// where not all uses of the schema differ alike; or `servers`, `scheme NAME`.
    pub at: String,
    /// The schema or the operation.
    #[serde(skip)]
    pub group: String,
    /// The member of it; empty when a whole operation is missing.
    #[serde(skip)]
    pub member: String,
    /// What the first says; nothing when it lacks the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// What the second says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theirs: Option<String>,
    /// The operations concerned.
    pub places: BTreeSet<String>,
}

impl Difference {
    /// What the first and the second say.
    pub(super) fn sides(&self) -> (Option<&str>, Option<&str>) {
        (self.ours.as_deref(), self.theirs.as_deref())
    }

    /// The part of an operation or of the document: empty for a whole operation, and `None` for a property,
    /// which may have the name of such a part.
    pub(super) fn part(&self) -> Option<&str> {
        let is_of_schema = self.group != "document" && !self.group.contains(' ');
        (!is_of_schema).then_some(self.member.as_str())
    }

    pub(super) fn is_parameter(&self) -> bool {
        let place = self.part().and_then(|part| part.split_once(' '));
        place.is_some_and(|(place, _)| matches!(place, "query" | "path" | "header"))
    }
}

type Values = (Option<String>, Option<String>);

/// Walks two descriptions side by side.
struct Walk<'a> {
    ours: &'a Facts,
    theirs: &'a Facts,
    ignored: &'a [&'a str],
    found: BTreeMap<(String, String), BTreeMap<Values, BTreeSet<String>>>,
    /// The operations that lead to each schema of the first.
    uses: BTreeMap<String, BTreeSet<String>>,
}

/// The differences, without members of operations that are `ignored`; with `OTHERS` among them, without
/// keywords that ours need not repeat.
#[must_use]
pub fn compare(ours: &Facts, theirs: &Facts, ignored: &[&str]) -> Vec<Difference> {
    let mut walk = Walk {
        ours,
        theirs,
        ignored,
        found: BTreeMap::new(),
        uses: BTreeMap::new(),
    };
    walk.all("document", &ours.document, &theirs.document, "");
    let keys: BTreeSet<&String> = ours
        .operations
        .keys()
        .chain(theirs.operations.keys())
        .collect();
    for key in keys {
        let id =
            |members: Option<&Members>| members.map(|m| m.get("id").cloned().unwrap_or_default());
        match (ours.operations.get(key), theirs.operations.get(key)) {
            (Some(one), Some(other)) => walk.all(key, one, other, key),
            (one, other) => walk.find(key, "", (id(one), id(other)), key),
        }
    }
    let mut differences = Vec::new();
    for ((group, member), by_value) in walk.found {
        let place = match (group.as_str(), member.as_str()) {
            ("document", member) => member.to_owned(),
            (group, "") => group.to_owned(),
            (group, member) if group.contains(' ') => format!("{group} {member}"),
            (group, member) => format!("{group}.{member}"),
        };
        let is_alike = by_value.len() == 1;
        for ((ours, theirs), places) in by_value {
            let everywhere = walk.uses.get(&group).is_none_or(|uses| *uses == places);
            let difference = |at, places| Difference {
                at,
                group: group.clone(),
                member: member.clone(),
                ours: ours.clone(),
                theirs: theirs.clone(),
                places,
            };
            if is_alike && everywhere {
                differences.push(difference(place.clone(), places));
            } else {
                differences.extend(places.into_iter().map(|operation| {
                    difference(
                        format!("{place} in {operation}"),
                        BTreeSet::from([operation]),
                    )
                }));
            }
        }
    }
    differences
}

impl Walk<'_> {
    fn find(&mut self, group: &str, member: &str, values: Values, operation: &str) {
        let found = self
            .found
            .entry((group.to_owned(), member.to_owned()))
            .or_default();
        found
            .entry(values)
            .or_default()
            .insert(operation.to_owned());
    }

    /// Compares members, and the objects that they lead to.
    fn all(&mut self, group: &str, ours: &Members, theirs: &Members, operation: &str) {
        let mut pending = self.members(group, ours, theirs, operation);
        let mut seen = BTreeSet::new();
        let none = Members::new();
        while let Some((a, b)) = pending.pop() {
            if !seen.insert((a.clone(), b.clone())) {
                continue;
            }
            let group = if a.is_empty() { &b } else { &a };
            self.uses
                .entry(group.clone())
                .or_default()
                .insert(operation.to_owned());
            let one = self.ours.schemas.get(&a).unwrap_or(&none);
            let other = self.theirs.schemas.get(&b).unwrap_or(&none);
            pending.extend(self.members(group, one, other, operation));
        }
    }

    /// Compares members, and gives the pairs of objects that they lead to.
    fn members(
        &mut self,
        group: &str,
        ours: &Members,
        theirs: &Members,
        operation: &str,
    ) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let ignores_others = self.ignored.contains(&OTHERS);
        for name in names {
            let is_ignored = if group == operation {
                self.ignored.contains(&name.as_str())
            } else {
                ignores_others && name == WHOLE
            };
            if is_ignored {
                continue;
            }
            let (one, other) = (ours.get(name), theirs.get(name));
            let (Some(a), Some(b)) = (one, other) else {
                self.find(group, name, (one.cloned(), other.cloned()), operation);
                continue;
            };
            let (kind_a, kind_b) = (skeleton(a), skeleton(b));
            // A free-form object is one without members.
            let pairs: Vec<(&str, &str)> = match (kind_a.as_str(), kind_b.as_str()) {
                ("object", "<>") => references(b).map(|name| ("", name)).collect(),
                ("<>", "object") => references(a).map(|name| (name, "")).collect(),
                (kind_a, kind_b) if kind_a == kind_b => references(a).zip(references(b)).collect(),
                _ => Vec::new(),
            };
            let is_same = (kind_a == kind_b || !pairs.is_empty())
                && behind(a, ignores_others) == behind(b, ignores_others);
            if !is_same {
                self.find(group, name, (Some(a.clone()), Some(b.clone())), operation);
            }
            let pairs = pairs.into_iter();
            found.extend(pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
        }
        found
    }
}
