//! What a difference means, what to do to follow it, and the YAML to add.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::compare::Difference;
use super::facts::{Facts, Members, WHOLE, behind, kind, references};
use crate::generate::document::{set, strip};
use crate::generate::lint::prints_secret;
use crate::generate::prepare::SCHEMES;

/// Formats that a published file and ours may have.
const FORMATS: [&str; 4] = ["int32", "int64", "uint32", "password"];
const THE_OPERATION: &str = "the operation";
const SCALARS: [&str; 4] = ["string", "integer", "number", "boolean"];
/// The statuses of a success that our description may have.
const SUCCESSES: [&str; 4] = ["200", "201", "202", "204"];

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

/// What to do about a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// How to follow it.
    pub follow: String,
    /// The release that following it makes.
    pub release: Release,
    /// What to add to our description: under the schema's `properties`, or under `paths`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub add: Value,
    /// Components that this needs and our description lacks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, Value>,
}

/// What to do about a difference between our description and the published one.
#[must_use]
pub fn advise(ours: &Facts, theirs: &Facts, difference: &Difference) -> Advice {
    let group = &difference.group;
    let in_responses = |facts: &Facts| {
        let reached = facts.reached(|member| member.starts_with("response"));
        reached.contains(group.as_str())
    };
    let is_response = difference
        .part()
        .is_some_and(|part| part.starts_with("response"));
    let mut adviser = Adviser {
        ours,
        theirs,
        is_response: is_response || in_responses(ours) || in_responses(theirs),
        components: BTreeMap::new(),
        pending: Vec::new(),
    };
    let (follow, release, add) = adviser.advise(difference);
    adviser.write_components();
    Advice {
        follow,
        release,
        add,
        components: adviser.components,
    }
}

/// Says what a difference means, and writes published facts as our description has them.
struct Adviser<'a> {
    ours: &'a Facts,
    theirs: &'a Facts,
    is_response: bool,
    components: BTreeMap<String, Value>,
    /// Names of components that are not written yet, and the published ones.
    pending: Vec<(String, String)>,
}

impl Adviser<'_> {
    fn advise(&mut self, difference: &Difference) -> (String, Release, Value) {
        use Release::{Major, Minor, Patch};
        let (group, member) = (&difference.group, &difference.member);
        let part = difference.part();
        let is_response = part.is_some_and(|part| part.starts_with("response"));
        let place = match part {
            None => format!("schema {group}"),
            Some(_) => THE_OPERATION.to_owned(),
        };
        let mut add = Value::Null;
        let (follow, release) = match difference.sides() {
            _ if group == "document" && part == Some("servers") => {
                ("see whether calls still reach the service, then change `servers`".to_owned(), Patch)
            }
            _ if part == Some("servers") => (
                "see whether calls still reach the service, and keep ours with an entry: the client calls one server"
                    .to_owned(),
                Patch,
            ),
            _ if group == "document" => (
                "find out how the service authenticates now; the client has to send it so".to_owned(),
                Major,
            ),
            (Some(id), None) if part == Some("") => match find(self.theirs, self.ours, id) {
                Some(to) => (
                    format!("published at {to} now: try that path against a test project, and change ours when it responds"),
                    Patch,
                ),
                None => (
                    "no longer published: try it against a test project; when it is gone, remove the operation, the \
                     schemas that only it used, and what the facade builds on it".to_owned(),
                    Major,
                ),
            },
            (None, Some(id)) if part == Some("") => match find(self.ours, self.theirs, id) {
                Some(from) => (format!("the new place of {from}: see there"), Patch),
                None => {
                    add = self.operation(group);
                    (self.new_operation(group), Minor)
                }
            },
            (_, theirs) if part == Some("deprecated") => {
                let value = theirs.is_some();
                (format!("write `deprecated: {value}` into the operation; callers get a warning, or lose it"), Minor)
            }
            (Some(ours), Some(theirs)) if part == Some("security") && is_one_more(theirs, ours) => {
                ("change `security` of the operation; its call gets a setter".to_owned(), Minor)
            }
            _ if part == Some("security") => {
                ("change `security` of the operation; its method takes another credential".to_owned(), Major)
            }
            (_, theirs) if part == Some("success") => {
                let is_described = theirs.is_some_and(|status| SUCCESSES.contains(&status));
                let do_this = if is_described { "change the status in `responses`" } else { "keep ours with an entry" };
                (format!("{do_this}; the client takes every success from 200 to 299"), Patch)
            }
            (None, Some(theirs)) if is_response => {
                let _ = self.kind(theirs, "");
                ("describe the content of the success; the method's result gets a type".to_owned(), Major)
            }
            (Some(_), None) if is_response => (
                "the service may respond with no content: take ours out of the success; the method's result loses its \
                 type".to_owned(),
                Major,
            ),
            (None, Some(theirs)) if difference.is_parameter() => {
                let (place, name) = member.split_once(' ').unwrap_or_default();
                add = json!([self.parameter(place, name, theirs)]);
                let more = unwritten(member, theirs);
                if place == "query" && !is_required(theirs) {
                    (format!("add under `parameters` of the operation; its call gets a setter{more}"), Minor)
                } else {
                    (format!("add under `parameters` of the operation; its method takes one argument more{more}"), Major)
                }
            }
            (None, Some(_)) if part.is_none() && member == "*" => (
                "members without a name have a type: keep ours with an entry; they are kept in `extra`".to_owned(),
                Patch,
            ),
            (None, Some(theirs)) if part.is_none() => {
                match self.property(member, theirs) {
                    Some(property) => {
                        add = json!({ member: property });
                        let setter = if self.is_response { "an accessor" } else { "a setter" };
                        (format!("add under `properties`; {setter} in the facade where users need it"), Minor)
                    }
                    None => (
                        "it has no one type: leave it out with an entry; it is kept in `extra`".to_owned(),
                        Minor,
                    ),
                }
            }
            (None, Some(theirs)) => {
                let _ = self.kind(theirs, "");
                ("describe it; the method takes one argument more".to_owned(), Major)
            }
            (Some(_), None) => (
                format!("the service may ignore it, or leave it out: remove it from {place}, and from the facade"),
                Major,
            ),
            (Some(ours), Some(theirs)) => changed(ours, theirs, member, &place),
            (None, None) => (String::new(), Patch),
        };
        (follow, release, add)
    }

    /// A new operation, perhaps of a family that we know.
    fn new_operation(&self, key: &str) -> String {
        let family = key.rsplit_once('/').map_or(key, |(family, _)| family);
        let siblings = ["email", "sms", "whatsapp"].map(|method| format!("{family}/{method}"));
        let sibling = siblings
            .iter()
            .find(|sibling| self.ours.operations.contains_key(*sibling));
        if let Some(sibling) = sibling {
            return format!(
                "beside {sibling}, so perhaps a new delivery method: add the operation, the method to `DeliveryMethod` \
                 in src/delivery.rs, and its arm to the matches that the compiler names"
            );
        }
        let members = self.theirs.operations.get(key).into_iter().flatten();
        let more = members
            .map(|(member, value)| unwritten(member, value))
            .max();
        let more = more.unwrap_or_default();
        format!("add the operation and its schemas; the facade can follow later{more}")
    }

    /// A property with its description to be written; nothing where we have no way to describe it.
    fn property(&mut self, name: &str, value: &str) -> Option<Value> {
        let mut schema = self.kind(value, name)?;
        if schema.get("$ref").is_none() {
            set(&mut schema, "description", json!(""));
        }
        if behind(value, true).contains(&"deprecated") && schema.get("$ref").is_none() {
            set(&mut schema, "deprecated", json!(true));
        }
        Some(schema)
    }

    fn kind(&mut self, value: &str, name: &str) -> Option<Value> {
        let value = kind(value);
        let value = value.strip_suffix(" or null").unwrap_or(value);
        if let Some(items) = value.strip_prefix("list of ") {
            return Some(json!({ "type": "array", "items": self.kind(items, name)? }));
        }
        if let Some(values) = value.strip_prefix("map to ") {
            return Some(
                json!({ "type": "object", "additionalProperties": self.kind(values, name)? }),
            );
        }
        if let Some(target) = references(value).next().filter(|_| value.starts_with('<')) {
            return Some(
                json!({ "$ref": format!("#/components/schemas/{}", self.component(target)) }),
            );
        }
        let bare = value.split(" in {").next().unwrap_or(value);
        let (scalar, format) = bare.split_once(" (").unwrap_or((bare, ""));
        let mut schema = match scalar {
            "object" => return Some(json!({ "type": "object", "additionalProperties": true })),
            _ if SCALARS.contains(&scalar) => json!({ "type": scalar }),
            _ => return None,
        };
        let format = format.trim_end_matches(')');
        if scalar == "string" && prints_secret(name, &schema) {
            set(&mut schema, "format", json!("password"));
        } else if scalar == "integer" && self.is_response {
            set(&mut schema, "format", json!("int64"));
        } else if FORMATS.contains(&format) {
            set(&mut schema, "format", json!(format));
        }
        Some(schema)
    }

    /// The name of a component, which is written when our description lacks it.
    fn component(&mut self, published: &str) -> String {
        let name = type_name(published);
        if self.ours.schemas.contains_key(&name) || self.components.contains_key(&name) {
            return name;
        }
        self.components.insert(name.clone(), Value::Null);
        self.pending.push((name.clone(), published.to_owned()));
        name
    }

    /// Writes the components that are needed so far, and those that they need.
    fn write_components(&mut self) {
        while let Some((name, published)) = self.pending.pop() {
            let component = self.written(&published);
            self.components.insert(name, component);
        }
    }

    fn written(&mut self, published: &str) -> Value {
        let facts = self.theirs;
        let theirs = facts.schemas.get(published).into_iter().flatten();
        let mut properties = Map::new();
        for (member, value) in theirs.filter(|(member, _)| !["*", WHOLE].contains(&member.as_str()))
        {
            let property = self.property(member, value);
            properties.extend(property.map(|schema| (member.clone(), schema)));
        }
        let mut component = json!({
            "type": "object",
            "description": "",
            "additionalProperties": match (self.is_response, properties.is_empty()) {
                (true, _) => json!({}),
                (false, true) => json!(false),
                (false, false) => Value::Null,
            },
            "properties": (!properties.is_empty()).then_some(properties),
        });
        strip(&mut component, &|_, value| !value.is_null());
        component
    }

    fn parameter(&mut self, place: &str, name: &str, value: &str) -> Value {
        let schema = self
            .kind(value, "")
            .unwrap_or_else(|| json!({ "type": "string" }));
        let required = is_required(value);
        json!({ "name": name, "in": place, "required": required, "description": "", "schema": schema })
    }

    /// The entry of `paths` for a published operation.
    fn operation(&mut self, key: &str) -> Value {
        let none = Members::new();
        let members = self.theirs.operations.get(key).unwrap_or(&none);
        let get = |member: &str| members.get(member).map(String::as_str);
        let (method, path) = key.split_once(' ').unwrap_or_default();
        let path = get("path").unwrap_or(path);
        let names: Vec<&str> = path
            .split('{')
            .skip(1)
            .filter_map(|part| part.split('}').next())
            .collect();
        let alternatives: BTreeSet<&str> = get("security").unwrap_or("").split(" or ").collect();
        let alternatives = alternatives.into_iter();
        let alternatives = alternatives.filter(|name| !name.is_empty() && !name.contains(" with "));
        let security: Vec<Value> = alternatives.map(|name| json!({ name: [] })).collect();
        let parameters = members.iter().filter_map(|(member, value)| {
            let (place, name) = member
                .split_once(' ')
                .filter(|(place, _)| *place != "response")?;
            let position = name.parse::<usize>().ok().filter(|_| place == "path");
            let name = position
                .and_then(|at| names.get(at.checked_sub(1)?))
                .unwrap_or(&name);
            Some(self.parameter(place, name, value))
        });
        let parameters: Vec<Value> = parameters.collect();
        let content = |schema| json!({ "application/json": { "schema": schema } });
        self.is_response = false;
        let request = get("request").and_then(|value| self.kind(value, ""));
        self.write_components();
        self.is_response = true;
        let response = get("response").and_then(|value| self.kind(value, ""));
        let status = get("success").and_then(|statuses| statuses.split(", ").next());
        let error = json!({ "$ref": "#/components/responses/Error" });
        let mut operation = json!({
            "operationId": type_name(get("id").unwrap_or("")),
            "summary": "",
            "description": "",
            "parameters": (!parameters.is_empty()).then_some(parameters),
            "requestBody": request.map(|schema| json!({ "required": true, "content": content(schema) })),
            "responses": {
                status.unwrap_or("200"): { "description": "", "content": response.map(content) },
                "4XX": error,
                "5XX": error,
            },
            "security": security,
            "x-evidence": ["published OpenAPI"],
        });
        strip(&mut operation, &|_, value| !value.is_null());
        json!({ path: { method.to_lowercase(): operation } })
    }
}

/// What there is to say of a parameter that no method can have yet.
fn unwritten(member: &str, value: &str) -> &'static str {
    let is_scalar = SCALARS.iter().any(|scalar| value.starts_with(scalar));
    match member.split_once(' ') {
        Some(("header", _)) => {
            "; no pass writes headers yet, see codegen/src/generate/passes/calls.rs"
        }
        Some(("query", _)) if !is_scalar => {
            "; the query takes texts, numbers and flags alone, see codegen/src/generate/passes/calls.rs"
        }
        _ => "",
    }
}

/// Where `id` is in some facts, at a place that the others lack.
pub(crate) fn find<'a>(facts: &'a Facts, others: &Facts, id: &str) -> Option<&'a str> {
    let mut operations = facts.operations.iter();
    let found = operations.find(|(key, members)| {
        let has_id = !id.is_empty() && members.get("id").is_some_and(|other| other == id);
        has_id && !others.operations.contains_key(*key)
    });
    found.map(|(key, _)| key.as_str())
}

pub(super) fn is_required(value: &str) -> bool {
    behind(value, true).contains(&"required")
}

fn changed(ours: &str, theirs: &str, member: &str, place: &str) -> (String, Release) {
    use Release::{Major, Minor, Patch};
    let bare = |text: &str| match kind(text).split(" in {").next().unwrap_or(text) {
        text if text.starts_with("string (") => "string".to_owned(),
        other => other.to_owned(),
    };
    if bare(ours) != bare(theirs) {
        let follow = format!(
            "find out what the service sends and takes now, then change `{member}` in {place}"
        );
        return (follow, Major);
    }
    if kind(ours) != kind(theirs) {
        return (
            format!(
                "name the values, or their form, in the description of `{member}` in {place}; it stays plain text, so keep \
                 ours with an entry"
            ),
            Patch,
        );
    }
    match (is_required(ours), is_required(theirs)) {
        (true, false) if place == THE_OPERATION && member == "request" => (
            "keep ours with an entry: the client always sends one".to_owned(),
            Patch,
        ),
        (false, true) | (true, false) if member.starts_with("query ") => (
            format!(
                "change `required` of `{member}` in {place}; an argument and a setter change places"
            ),
            Major,
        ),
        (false, true) => (
            format!(
                "write \"Needed.\" into the description of `{member}` in {place}; if the facade can leave it out, make it \
                 an argument there, which is a major release"
            ),
            Patch,
        ),
        (true, false) => (format!("make `{member}` optional in {place}"), Major),
        _ => (
            format!("write or remove `deprecated: true` at `{member}` in {place}"),
            Minor,
        ),
    }
}

/// A name that the generator makes a type or a method of.
fn type_name(name: &str) -> String {
    let mut parts = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |text, part| {
        let (head, rest) = part.split_at_checked(1).unwrap_or((part, ""));
        text + &head.to_ascii_uppercase() + rest
    })
}

/// Whether a call that could do without a credential takes one that it did not take.
pub(crate) fn is_one_more(now: &str, was: &str) -> bool {
    let schemes = |text: &str| -> Vec<String> { text.split(" or ").map(str::to_owned).collect() };
    let (now, was) = (schemes(now), schemes(was));
    let project = "project".to_owned();
    let credential = |names: &[String]| {
        let mut known = SCHEMES.iter().filter(|(_, format)| format.is_some());
        known.find(|(known, _)| names.iter().any(|name| name == known))
    };
    let stays = credential(&was).is_none_or(|was| credential(&now) == Some(was));
    now.contains(&project) && was.contains(&project) && stays
}
