//! What a description says, without its words: short texts, sorted, that can be kept and compared.
//!
//! Only JSON bodies are described here; parameters of a media type, such as a charset, say nothing about
//! JSON (RFC 8259 8.1). A scalar, a list or a map means the same in place and by reference; an object has
//! the name of its component, or that of its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::generate::document::{METHODS, is_true, nameless, set};

/// Formats of ours that only choose a Rust type.
const OUR_FORMATS: [&str; 4] = ["session-jwt", "refresh-jwt", "magic-link-token", "password"];
/// Security schemes as the published description names them, and as ours does.
const SCHEMES: [(&str, &str); 5] = [
    ("Descope Project ID", "project"),
    ("Descope Project ID:Refresh JWT", "refresh"),
    ("Descope Project ID:Session JWT", "session"),
    ("Descope Project ID:Access Key", "accessKey"),
    ("Descope Project ID and Management Key", "management"),
];
/// The content that is described here.
const JSON: &str = "application/json";
/// References followed in a row, and lists in lists: more is a circle.
const DEPTH: usize = 16;

/// A fact by the name of what it is about.
pub type Members = BTreeMap<String, String>;

/// The facts of a description.
///
/// A type is `string`, `integer (int64)`, `string in {a, b}`, `list of T`, `map to T`, `object` when it is
/// free-form, `any`, `one of (A | B)`, and `<Name>` for an object of `schemas`. Behind it may stand
/// `; required`, `; deprecated` and, of ours alone, `; in Rust NAME`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// How many operations the whole file describes.
    pub described: usize,
    /// Servers and security schemes.
    pub document: Members,
    /// By `METHOD PATH`, without the names of parameters, which do not reach the wire.
    pub operations: BTreeMap<String, Members>,
    /// Objects with named members, as far as the operations lead there.
    pub schemas: BTreeMap<String, Members>,
}

impl Facts {
    /// All facts of a description of ours, with the formats that choose Rust types.
    #[must_use]
    pub fn exact(document: &Value) -> Self {
        Self::read(document, &[], |_, _| true).0
    }

    /// All facts of a description of ours that a published one may have too.
    #[must_use]
    pub fn ours(document: &Value) -> Self {
        Self::read(document, &OUR_FORMATS, |_, _| true).0
    }

    /// The facts of a published description that concern us: of operations that are in `ours`, under
    /// whatever version, or that have the id of one, and of all others about links, keys and the user.
    ///
    /// # Errors
    ///
    /// A reference that they need and that leads nowhere.
    pub fn published(document: &Value, ours: &Self) -> Result<Self, String> {
        let ids: BTreeSet<&String> = ours
            .operations
            .values()
            .filter_map(|members| members.get("id"))
            .collect();
        let paths: BTreeSet<&str> = ours
            .operations
            .keys()
            .map(|key| without_version(key))
            .collect();
        let (facts, missing) = Self::read(document, &OUR_FORMATS, |key, id| {
            let path = without_version(key);
            let is_near = path == "/auth/me"
                || ["/auth/magiclink/", "/auth/me/", "/keys/"]
                    .iter()
                    .any(|start| path.starts_with(start))
                || path
                    .split('/')
                    .any(|part| part.contains("magiclink") || part.contains("embeddedlink"));
            is_near || ids.contains(&id.to_owned()) || paths.contains(path)
        });
        missing.map_or(Ok(facts), Err)
    }

    /// Reads what [`text`](Self::text) has written.
    ///
    /// # Errors
    ///
    /// [`Error::Yaml`] when it is something else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string()))
    }

    /// The facts as YAML.
    #[must_use]
    pub fn text(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        format!(
            "# Facts of the description that Descope publishes, as far as they concern this project.\n\
             # `cargo xtask upstream FILE --accept` writes this file. Do not edit.\n{}",
            super::yaml::block(&value, 0, 0)
        )
    }

    fn read(
        document: &Value,
        without: &[&str],
        wanted: impl Fn(&str, &str) -> bool,
    ) -> (Self, Option<String>) {
        let mut reader = Reader {
            document,
            without,
            facts: Self::default(),
            missing: None,
        };
        let servers = servers(document).unwrap_or_default();
        reader.facts.document.insert("servers".to_owned(), servers);
        let schemes = document
            .pointer("/components/securitySchemes")
            .and_then(Value::as_object);
        for (name, scheme) in schemes.into_iter().flatten() {
            let words = ["type", "scheme", "in", "name"].map(|word| text(scheme, word));
            let words = words.into_iter().filter(|word| !word.is_empty());
            reader
                .facts
                .document
                .insert(format!("scheme {}", scheme_name(name)), join(words, " "));
        }
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            let item = reader.follow(item);
            for method in METHODS {
                let Some(operation) = item.get(method) else {
                    continue;
                };
                reader.facts.described += 1;
                let key = format!("{} {}", method.to_uppercase(), nameless(path));
                if wanted(&key, text(operation, "operationId")) {
                    let members = reader.operation(&key, path, item, operation);
                    reader.facts.operations.insert(key, members);
                }
            }
        }
        (reader.facts, reader.missing)
    }

    /// The schemas that members of operations lead to, such as `request`.
    #[must_use]
    pub fn reached(&self, from: impl Fn(&str) -> bool) -> BTreeSet<&str> {
        let operations = self.operations.values().flatten();
        let mut todo: Vec<&str> = operations
            .filter(|(member, _)| from(member))
            .flat_map(|(_, value)| references(value))
            .collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = todo.pop() {
            if reached.insert(name) {
                todo.extend(
                    self.schemas
                        .get(name)
                        .into_iter()
                        .flatten()
                        .flat_map(|(_, v)| references(v)),
                );
            }
        }
        reached
    }
}

/// The names between `<` and `>`, in their order.
pub fn references(value: &str) -> impl Iterator<Item = &str> {
    value
        .split('<')
        .skip(1)
        .filter_map(|part| Some(part.split_once('>')?.0))
}

/// A value with the names of schemas left out, which do not reach the wire.
#[must_use]
pub fn skeleton(value: &str) -> String {
    references(value).fold(value.to_owned(), |text, name| {
        text.replace(&format!("<{name}>"), "<>")
    })
}

/// The path of `METHOD /v1/PATH` behind its version.
fn without_version(key: &str) -> &str {
    let path = key.split_once(' ').map_or(key, |(_, path)| path);
    let rest = path
        .strip_prefix("/v")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

fn scheme_name(name: &str) -> &str {
    SCHEMES
        .iter()
        .find(|(theirs, _)| *theirs == name)
        .map_or(name, |(_, ours)| ours)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

/// The servers that a document, a path or an operation names.
fn servers(holder: &Value) -> Option<String> {
    let servers = holder.get("servers")?.as_array()?.iter();
    let servers: BTreeSet<&str> = servers.map(|server| text(server, "url")).collect();
    Some(join(servers, ", "))
}

/// A media type without its parameters.
fn bare(media: &str) -> String {
    let bare = media.split(';').next().unwrap_or("");
    bare.trim().to_ascii_lowercase()
}

fn join<'a>(words: impl IntoIterator<Item = &'a str>, by: &str) -> String {
    words.into_iter().collect::<Vec<_>>().join(by)
}

struct Reader<'a> {
    document: &'a Value,
    /// Formats to leave out.
    without: &'a [&'a str],
    facts: Facts,
    /// The first reference that leads nowhere.
    missing: Option<String>,
}

impl<'a> Reader<'a> {
    fn operation(
        &mut self,
        key: &str,
        path: &str,
        item: &'a Value,
        operation: &'a Value,
    ) -> Members {
        let mut members = Members::new();
        let name = self.rust_name(operation);
        let name = name.unwrap_or(text(operation, "operationId"));
        members.insert("id".to_owned(), name.to_owned());
        let formerly = operation.get("x-formerly").and_then(Value::as_array);
        if let Some(names) = formerly {
            let names = names.iter().filter_map(Value::as_str);
            members.insert("formerly".to_owned(), join(names, ", "));
        }
        if path.contains('{') {
            members.insert("path".to_owned(), path.to_owned());
        }
        if is_true(operation.get("deprecated")) {
            members.insert("deprecated".to_owned(), "yes".to_owned());
        }
        if let Some(servers) = servers(operation).or_else(|| servers(item)) {
            members.insert("servers".to_owned(), servers);
        }
        let security = operation.get("security").or(self.document.get("security"));
        let security = security
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object);
        let security: BTreeSet<String> = security
            .map(|names| {
                join(
                    names
                        .keys()
                        .map(|name| scheme_name(name))
                        .collect::<BTreeSet<_>>(),
                    " with ",
                )
            })
            .collect();
        members.insert(
            "security".to_owned(),
            join(security.iter().map(String::as_str), " or "),
        );
        for holder in [item, operation] {
            let parameters = holder.get("parameters").and_then(Value::as_array);
            for parameter in parameters.into_iter().flatten() {
                let parameter = self.follow(parameter);
                let (place, name) = (text(parameter, "in"), text(parameter, "name"));
                let before = path.split(&format!("{{{name}}}")).next().unwrap_or(path);
                let name = match place {
                    // By its position: the name does not reach the wire.
                    "path" => (before.matches('{').count() + 1).to_string(),
                    _ => name.to_owned(),
                };
                let member = format!("{place} {name}");
                let schema = parameter.get("schema").unwrap_or(&Value::Null);
                let mut value = self.kind(schema, &format!("{key} {member}"), false, DEPTH);
                attributes(
                    &mut value,
                    is_true(parameter.get("required")),
                    is_true(parameter.get("deprecated")),
                    self.rust_name(parameter),
                );
                members.insert(member, value);
            }
        }
        let mut others: Vec<String> = Vec::new();
        if let Some(body) = operation.get("requestBody") {
            let body = self.follow(body);
            let mut value = self.body(body, &format!("{key} request"));
            attributes(&mut value, is_true(body.get("required")), false, None);
            members.insert("request".to_owned(), value);
            others.extend(other_content(body, "request"));
        }
        let responses = operation.get("responses").and_then(Value::as_object);
        let (successes, errors): (Vec<_>, Vec<_>) = responses
            .into_iter()
            .flatten()
            .partition(|(status, _)| status.starts_with('2'));
        members.insert(
            "success".to_owned(),
            join(successes.iter().map(|(s, _)| s.as_str()), ", "),
        );
        members.insert(
            "errors".to_owned(),
            join(errors.iter().map(|(s, _)| s.as_str()), ", "),
        );
        for (index, (status, response)) in successes.into_iter().enumerate() {
            let response = self.follow(response);
            if response
                .get("content")
                .and_then(Value::as_object)
                .is_some_and(|content| !content.is_empty())
            {
                let member = if index == 0 {
                    "response".to_owned()
                } else {
                    format!("response {status}")
                };
                let value = self.body(response, &format!("{key} {member}"));
                members.insert(member, value);
                others.extend(other_content(response, &format!("response {status}")));
            }
        }
        if !others.is_empty() {
            members.insert("others".to_owned(), others.join(", "));
        }
        members
    }

    /// The name that the bindings have for it, which only they know.
    fn rust_name<'b>(&self, described: &'b Value) -> Option<&'b str> {
        let name = described.get("x-rust-name").and_then(Value::as_str);
        name.filter(|_| self.without.is_empty())
    }

    /// The end of a chain of references.
    fn follow<'b>(&mut self, mut value: &'b Value) -> &'b Value
    where
        'a: 'b,
    {
        for _ in 0..DEPTH {
            let Some(target) = value.get("$ref").and_then(Value::as_str) else {
                break;
            };
            let document: &'a Value = self.document;
            let next = target.strip_prefix('#');
            let Some(next) = next.and_then(|local| document.pointer(local)) else {
                self.missing.get_or_insert_with(|| target.to_owned());
                break;
            };
            value = next;
        }
        value
    }

    fn body(&mut self, holder: &'a Value, place: &str) -> String {
        let content = holder.get("content").and_then(Value::as_object);
        let json = content
            .into_iter()
            .flatten()
            .find(|(media, _)| bare(media) == JSON);
        match json {
            Some((_, media)) => self.kind(
                media.get("schema").unwrap_or(&Value::Null),
                place,
                false,
                DEPTH,
            ),
            None => join(
                content
                    .into_iter()
                    .flatten()
                    .map(|(media, _)| media.as_str()),
                ", ",
            ),
        }
    }

    /// A schema's type. `place` is the name of the component, or where the schema stands.
    fn kind(&mut self, schema: &Value, place: &str, is_component: bool, depth: usize) -> String {
        let Some(depth) = depth.checked_sub(1) else {
            return "any".to_owned();
        };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let document: &'a Value = self.document;
            let Some(next) = target
                .strip_prefix('#')
                .and_then(|local| document.pointer(local))
            else {
                self.missing.get_or_insert_with(|| target.to_owned());
                return "any".to_owned();
            };
            let name = target.rsplit('/').next().unwrap_or(target);
            return self.kind(next, name, true, depth);
        }
        let parts = schema.get("allOf").and_then(Value::as_array);
        if let Some([part]) = parts.map(Vec::as_slice) {
            return self.kind(part, place, is_component, depth);
        }
        if parts.is_some() {
            let merged = self.merged(schema, depth);
            return self.kind(&merged, place, is_component, depth);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(keyword).and_then(Value::as_array) {
                let choices = choices.iter().enumerate();
                let choices: BTreeSet<String> = choices
                    .map(|(index, choice)| {
                        self.kind(choice, &format!("{place}.{index}"), false, depth)
                    })
                    .collect();
                return format!(
                    "one of ({})",
                    join(choices.iter().map(String::as_str), " | ")
                );
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties = properties.filter(|properties| !properties.is_empty());
        let values = schema.get("additionalProperties");
        let values =
            values.filter(|values| values.as_object().is_some_and(|values| !values.is_empty()));
        let kind = match text(schema, "type") {
            "" if properties.is_some() => "object",
            "" => "any",
            kind => kind,
        };
        match kind {
            "object" => match values {
                Some(values) if properties.is_none() => {
                    format!("map to {}", self.item(values, place, depth))
                }
                _ if properties.is_some() || is_component => {
                    self.object(schema, properties, values, place, depth);
                    format!("<{place}>")
                }
                _ => "object".to_owned(),
            },
            "array" => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                format!("list of {}", self.item(items, place, depth))
            }
            kind => {
                let mut kind = kind.to_owned();
                let format = text(schema, "format");
                if !format.is_empty() && !self.without.contains(&format) {
                    kind += &format!(" ({format})");
                }
                if let Some(values) = schema.get("enum").and_then(Value::as_array) {
                    let values: BTreeSet<String> = values
                        .iter()
                        .map(|value| {
                            value
                                .as_str()
                                .map_or_else(|| value.to_string(), str::to_owned)
                        })
                        .collect();
                    kind += &format!(" in {{{}}}", join(values.iter().map(String::as_str), ", "));
                }
                kind
            }
        }
    }

    fn item(&mut self, schema: &Value, place: &str, depth: usize) -> String {
        let kind = self.kind(schema, &format!("{place}.*"), false, depth);
        if is_true(schema.get("nullable")) {
            kind + " or null"
        } else {
            kind
        }
    }

    fn object(
        &mut self,
        whole: &Value,
        properties: Option<&Map<String, Value>>,
        values: Option<&Value>,
        name: &str,
        depth: usize,
    ) {
        if self.facts.schemas.contains_key(name) {
            return;
        }
        // Here at once, for an object inside itself.
        self.facts.schemas.insert(name.to_owned(), Members::new());
        let required = whole.get("required").and_then(Value::as_array);
        let mut members = Members::new();
        for (property, schema) in properties.into_iter().flatten() {
            let mut kind = self.kind(schema, &format!("{name}.{property}"), false, depth.max(2));
            let is_required =
                required.is_some_and(|names| names.iter().any(|name| name == property));
            let is_deprecated = is_true(whole.get("deprecated").or(schema.get("deprecated")));
            attributes(
                &mut kind,
                is_required,
                is_deprecated,
                self.rust_name(schema),
            );
            members.insert(property.clone(), kind);
        }
        if let Some(values) = values {
            members.insert("*".to_owned(), self.item(values, name, depth));
        }
        self.facts.schemas.insert(name.to_owned(), members);
    }

    /// The parts of an `allOf` as one schema.
    fn merged(&mut self, schema: &Value, depth: usize) -> Value {
        let mut whole = schema.clone();
        let parts = whole
            .as_object_mut()
            .and_then(|members| members.remove("allOf"));
        let Some(depth) = depth.checked_sub(1) else {
            return whole;
        };
        for part in parts
            .as_ref()
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let part = self.follow(part);
            let part = self.merged(part, depth);
            for (name, member) in part.as_object().into_iter().flatten() {
                match (whole.get_mut(name), member) {
                    (Some(Value::Object(here)), Value::Object(more)) => here.extend(more.clone()),
                    (Some(Value::Array(here)), Value::Array(more)) => {
                        here.extend(more.iter().cloned())
                    }
                    (Some(_), _) => {}
                    (None, _) => set(&mut whole, name, member.clone()),
                }
            }
        }
        whole
    }
}

/// What a body may be beside JSON.
fn other_content(holder: &Value, place: &str) -> Vec<String> {
    let content = holder.get("content").and_then(Value::as_object);
    let media: Vec<String> = content
        .into_iter()
        .flatten()
        .map(|(media, _)| bare(media))
        .collect();
    if !media.iter().any(|media| media == JSON) {
        return Vec::new();
    }
    let others = media.iter().filter(|media| *media != JSON);
    others.map(|media| format!("{place} {media}")).collect()
}

fn attributes(kind: &mut String, required: bool, deprecated: bool, rust_name: Option<&str>) {
    if required {
        kind.push_str("; required");
    }
    if deprecated {
        kind.push_str("; deprecated");
    }
    if let Some(name) = rust_name {
        let _ = write!(kind, "; in Rust {name}");
    }
}
