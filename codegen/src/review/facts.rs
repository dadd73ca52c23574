//! What a description says, without its words: short texts, sorted, that can be kept and compared.
//!
//! Only JSON bodies are described here; parameters of a media type, such as a charset, say nothing about
//! JSON (RFC 8259 8.1). A scalar, a list or a map means the same in place and by reference; an object has
//! the name of its component, or that of its place.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::generate::document::{
    METHODS, former_names, has_word, is_machine_read, is_true, items, members, nameless, set, text,
};

/// Formats of ours that only choose a Rust type.
pub(super) const OUR_FORMATS: &str = "session-jwt refresh-jwt magic-link-token password";
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
/// Keywords that the facts are made of, by where they stand. Every other one is a fact as it is written.
const OBJECT: &str = "$ref additionalProperties allOf properties required type";
const MAP: &str = "$ref additionalProperties allOf type";
const LIST: &str = "$ref allOf items type";
const SCALAR: &str = "$ref allOf enum format type";
const PARAMETER: &str = "$ref deprecated in name required schema";
const OPERATION: &str = "deprecated operationId parameters requestBody responses security servers";
/// Keywords by which a schema is more than another one.
const SHAPE: &str =
    "$ref additionalProperties allOf anyOf enum items oneOf properties required type";
/// Keywords that only people read, and names for generators.
const PROSE: &str = "bearerFormat example examples externalDocs tags title";
/// Keywords whose value has keywords, or is a list of such.
const NESTED: &str = "additionalProperties allOf anyOf items not oneOf schema";
/// Keywords whose value has names, and keywords below each.
const NAMED: &str = "content encoding headers links properties";
/// The member of a schema that stands for the whole of it.
pub(super) const WHOLE: &str = "(object)";
/// The member of an operation for all that ours need not say.
pub(super) const OTHERS: &str = "others";
/// References followed in a row, and lists in lists: more is a circle.
const DEPTH: usize = 16;

/// A fact by the name of what it is about.
pub type Members = BTreeMap<String, String>;

/// The facts of a description.
///
/// A type is `string`, `integer (int64)`, `string in {a, b}`, `list of T`, `map to T`, `object` when it is
/// free-form, `any`, `one of (A | B)`, and `<Name>` for an object of `schemas`. Behind it may stand
/// `; required`, `; deprecated`, of ours alone `; in Rust NAME`, and of what is published every other
/// keyword with its value, such as `; maxLength 10` or `; items.pattern "a+"`.
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
        Self::read(document, Side::Exact, |_, _| true).0
    }

    /// All facts of a description of ours that a published one may have too.
    #[must_use]
    pub fn ours(document: &Value) -> Self {
        Self::read(document, Side::Ours, |_, _| true).0
    }

    /// The facts of a published description that concern us: of operations that are in `ours`, under
    /// whatever version, or that have the id of one, and of all others about links, keys and the user.
    ///
    /// # Errors
    ///
    /// A reference that they need and that leads nowhere.
    pub fn published(document: &Value, ours: &Self) -> Result<Self, String> {
        let all = ours.operations.values();
        let ids: BTreeSet<&str> = all
            .filter_map(|members| Some(members.get("id")?.as_str()))
            .collect();
        let paths = ours.operations.keys().map(|key| without_version(key));
        let paths: BTreeSet<&str> = paths.collect();
        let (facts, missing) = Self::read(document, Side::Theirs, |key, id| {
            let path = without_version(key);
            let is_near = path == "/auth/me"
                || ["/auth/me/", "/keys/"]
                    .iter()
                    .any(|start| path.starts_with(start))
                || ["magiclink", "embeddedlink"]
                    .iter()
                    .any(|part| path.contains(part));
            is_near || ids.contains(id) || paths.contains(path)
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
        side: Side,
        wanted: impl Fn(&str, &str) -> bool,
    ) -> (Self, Option<String>) {
        let mut reader = Reader {
            document,
            side,
            facts: Self::default(),
            missing: None,
            pending: Vec::new(),
            open: Vec::new(),
            around: Vec::new(),
        };
        let servers = servers(document).unwrap_or_default();
        reader.facts.document.insert("servers".to_owned(), servers);
        let components = document.get("components").unwrap_or(&Value::Null);
        for (name, scheme) in members(components, "securitySchemes") {
            let known = "type scheme in name";
            let words = known.split(' ').map(|word| text(scheme, word));
            let words = words.filter(|word| !word.is_empty());
            let name = format!("scheme {}", scheme_name(name));
            let value = written((join(words, " "), reader.others(scheme, known)));
            reader.facts.document.insert(name, value);
        }
        for (path, item) in members(document, "paths") {
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
        // In a row, for objects may lead from one to the next as far as the file goes.
        while let Some(object) = reader.pending.pop() {
            reader.object(object);
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
                let members = self.schemas.get(name).into_iter().flatten();
                todo.extend(members.flat_map(|(_, value)| references(value)));
            }
        }
        reached
    }
}

/// The type without what stands behind it.
#[must_use]
pub fn kind(value: &str) -> &str {
    value.split("; ").next().unwrap_or(value)
}

/// What stands behind the type; of what both sides can say alone when `others` are left out.
pub(super) fn behind(value: &str, without_others: bool) -> Vec<&str> {
    let words = value.split("; ").skip(1);
    let is_of_both =
        |word: &&str| matches!(*word, "required" | "deprecated") || word.starts_with("in Rust ");
    words
        .filter(|word| !without_others || is_of_both(word))
        .collect()
}

/// The names between `<` and `>` in a type, in their order.
pub fn references(value: &str) -> impl Iterator<Item = &str> {
    let parts = kind(value).split('<').skip(1);
    parts.filter_map(|part| Some(part.split_once('>')?.0))
}

/// A type with the names of schemas left out, which do not reach the wire.
#[must_use]
pub fn skeleton(value: &str) -> String {
    references(value).fold(kind(value).to_owned(), |text, name| {
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

/// The servers that a document, a path or an operation names.
fn servers(holder: &Value) -> Option<String> {
    holder.get("servers")?;
    let urls: BTreeSet<&str> = items(holder, "servers")
        .map(|server| text(server, "url"))
        .collect();
    Some(join(urls, ", "))
}

/// A media type without its parameters.
fn bare(media: &str) -> String {
    let bare = media.split(';').next().unwrap_or("");
    bare.trim().to_ascii_lowercase()
}

fn join<T: Borrow<str>>(words: impl IntoIterator<Item = T>, by: &str) -> String {
    words.into_iter().collect::<Vec<T>>().join(by)
}

/// A type, and what stands behind it.
type Said = (String, Vec<String>);

fn written((kind, behind): Said) -> String {
    join(std::iter::once(kind).chain(behind), "; ")
}

/// Whose description is read, and what for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Exact,
    Ours,
    Theirs,
}

struct Reader<'a> {
    document: &'a Value,
    side: Side,
    facts: Facts,
    /// The first reference that leads nowhere.
    missing: Option<String>,
    /// Components whose type is being read: one that is met again is a circle.
    open: Vec<String>,
    /// Objects that have been met, and are not read yet.
    pending: Vec<Object>,
    /// The object that is read, and those around it, as far as they are no components.
    around: Vec<(Value, String)>,
}

struct Object {
    name: String,
    whole: Value,
    behind: Vec<String>,
    around: Vec<(Value, String)>,
}

impl<'a> Reader<'a> {
    fn operation(
        &mut self,
        key: &str,
        path: &str,
        item: &'a Value,
        operation: &'a Value,
    ) -> Members {
        let mut found = Members::new();
        let mut add = |member: &str, value: String| found.insert(member.to_owned(), value);
        let name = self.rust_name(operation);
        add(
            "id",
            name.unwrap_or(text(operation, "operationId")).to_owned(),
        );
        if operation.get("x-formerly").is_some() {
            add("formerly", join(former_names(operation), ", "));
        }
        if path.contains('{') {
            add("path", path.to_owned());
        }
        if is_true(operation.get("deprecated")) {
            add("deprecated", "yes".to_owned());
        }
        if let Some(servers) = servers(operation).or_else(|| servers(item)) {
            add("servers", servers);
        }
        let secured = [operation, self.document];
        let secured = secured
            .into_iter()
            .find(|holder| holder.get("security").is_some());
        let security = items(secured.unwrap_or(&Value::Null), "security");
        let security: BTreeSet<String> = security
            .filter_map(Value::as_object)
            .map(|names| {
                let names: BTreeSet<&str> = names.keys().map(|name| scheme_name(name)).collect();
                join(names, " with ")
            })
            .collect();
        add("security", join(security, " or "));
        let mut others = self.others(operation, OPERATION);
        for parameter in [item, operation]
            .into_iter()
            .flat_map(|holder| items(holder, "parameters"))
        {
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
            let (kind, more) = self.kind(schema, &format!("{key} {member}"), DEPTH);
            let is = |keyword: &str| is_true(parameter.get(keyword));
            let mut behind = self.attributes(parameter, is("required"), is("deprecated"), more);
            behind.extend(self.others(parameter, PARAMETER));
            add(&member, written((kind, behind)));
        }
        if let Some(body) = operation.get("requestBody") {
            let body = self.follow(body);
            let (kind, more) = self.body(body, &format!("{key} request"));
            let required = is_true(body.get("required")).then(|| "required".to_owned());
            add(
                "request",
                written((kind, required.into_iter().chain(more).collect())),
            );
            others.extend(other_content(body, "request"));
        }
        let (successes, errors): (Vec<_>, Vec<_>) =
            members(operation, "responses").partition(|(status, _)| status.starts_with('2'));
        add(
            "success",
            join(successes.iter().map(|(status, _)| status.as_str()), ", "),
        );
        add(
            "errors",
            join(errors.iter().map(|(status, _)| status.as_str()), ", "),
        );
        for (index, (status, response)) in successes.into_iter().enumerate() {
            let response = self.follow(response);
            others.extend(
                self.others(response, "$ref content")
                    .iter()
                    .map(|other| format!("response {status} {other}")),
            );
            if members(response, "content").next().is_some() {
                let member = if index == 0 {
                    "response".to_owned()
                } else {
                    format!("response {status}")
                };
                let value = self.body(response, &format!("{key} {member}"));
                add(&member, written(value));
                others.extend(other_content(response, &format!("response {status}")));
            }
        }
        if !others.is_empty() {
            add(OTHERS, join(others, ", "));
        }
        found
    }

    /// The name that the bindings have for it, which only they know.
    fn rust_name<'b>(&self, described: &'b Value) -> Option<&'b str> {
        let name = described.get("x-rust-name").and_then(Value::as_str);
        name.filter(|_| self.side == Side::Exact)
    }

    /// What is said of a parameter or a property beside its type, `more` by that.
    fn attributes(
        &self,
        described: &Value,
        is_required: bool,
        is_deprecated: bool,
        more: Vec<String>,
    ) -> Vec<String> {
        let mut said = Vec::new();
        if is_required {
            said.push("required".to_owned());
        }
        if is_deprecated {
            said.push("deprecated".to_owned());
        }
        said.extend(
            self.rust_name(described)
                .map(|name| format!("in Rust {name}")),
        );
        // Once is enough.
        let more = more.into_iter();
        said.extend(more.filter(|more| !is_deprecated || more != "deprecated true"));
        said
    }

    /// What the published description says by keywords that are not `known`. Ours need not say the same.
    fn others(&self, described: &Value, known: &str) -> Vec<String> {
        if self.side != Side::Theirs {
            return Vec::new();
        }
        let described = without_prose(described);
        let described = described.as_object().into_iter().flatten();
        let others = described.filter(|(name, value)| {
            let is_false = **value == Value::Bool(false);
            let says_something = match name.as_str() {
                // Where a list is sent, it is true when it is not written.
                "default" | "explode" => true,
                "additionalProperties" if is_false => return true,
                "additionalProperties" | "properties" | "required" => {
                    value.as_object().is_some_and(|names| !names.is_empty())
                        || value.as_array().is_some_and(|names| !names.is_empty())
                }
                _ => !is_false,
            };
            says_something && !has_word(known, name)
        });
        others
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
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

    fn body(&mut self, holder: &'a Value, place: &str) -> Said {
        match members(holder, "content").find(|(media, _)| bare(media) == JSON) {
            Some((_, media)) => {
                let schema = media.get("schema").unwrap_or(&Value::Null);
                let (kind, mut behind) = self.kind(schema, place, DEPTH);
                behind.extend(self.others(media, "schema"));
                (kind, behind)
            }
            None => (
                join(
                    members(holder, "content").map(|(media, _)| media.as_str()),
                    ", ",
                ),
                Vec::new(),
            ),
        }
    }

    /// A schema's type. `place` is where it stands: the name of one that is no component.
    fn kind(&mut self, schema: &Value, place: &str, depth: usize) -> Said {
        let any = ("any".to_owned(), Vec::new());
        let Some(depth) = depth.checked_sub(1) else {
            return any;
        };
        let component = component_of(self.document, schema, depth);
        let Some((name, _)) = &component else {
            return self.kind_of(schema, place, None, depth);
        };
        if self.open.contains(name) {
            return any;
        }
        self.open.push(name.clone());
        let said = self.kind_of(schema, place, component.as_ref(), depth);
        self.open.pop();
        said
    }

    /// The same of one that is this component, or none.
    fn kind_of(
        &mut self,
        schema: &Value,
        place: &str,
        component: Option<&(String, &'a Value)>,
        depth: usize,
    ) -> Said {
        let place = component.map_or(place, |(name, _)| name);
        let as_written = schema;
        let schema = &self.merged(schema, depth);
        for keyword in ["oneOf", "anyOf"] {
            if schema.get(keyword).is_none() {
                continue;
            }
            let mut behind = self.others(schema, &format!("$ref allOf {keyword}"));
            let mut choices = BTreeSet::new();
            for (index, choice) in items(schema, keyword).enumerate() {
                let (kind, more) = self.kind(choice, &format!("{place}.{index}"), depth);
                choices.insert(kind);
                behind.extend(more.iter().map(|more| format!("{keyword}.{index}.{more}")));
            }
            return (format!("one of ({})", join(choices, " | ")), behind);
        }
        let has_properties = members(schema, "properties").next().is_some();
        let values = values_of(schema);
        let kind = match text(schema, "type") {
            "" if has_properties || values.is_some() => "object",
            "" if schema.get("items").is_some() => "array",
            "" => "any",
            kind => kind,
        };
        let known = match (kind, values) {
            ("object", Some(_)) if !has_properties => MAP,
            ("object", _) => OBJECT,
            ("array", _) => LIST,
            _ => SCALAR,
        };
        let mut behind = self.others(schema, known);
        let kind = match (kind, values) {
            ("object", Some(values)) if !has_properties => {
                let (kind, more) = self.item(values, place, depth);
                behind.extend(more.iter().map(|more| format!("values.{more}")));
                format!("map to {kind}")
            }
            ("object", _) if has_properties || component.is_some() => {
                let mut place = place.to_owned();
                let mut around = Vec::new();
                let whole = match component {
                    Some((_, whole)) => self.merged(whole, depth),
                    None => {
                        // One that contains itself has one name.
                        let known = self.around.iter().find(|(schema, _)| schema == as_written);
                        if let Some((_, name)) = known {
                            place.clone_from(name);
                        }
                        around.clone_from(&self.around);
                        around.push((as_written.clone(), place.clone()));
                        schema.clone()
                    }
                };
                let mut of_whole = self.others(&whole, OBJECT);
                behind.retain(|said| !of_whole.contains(said));
                // Each property says it.
                of_whole.retain(|said| !has_properties || said != "deprecated true");
                if !self.facts.schemas.contains_key(&place) {
                    self.facts.schemas.insert(place.clone(), Members::new());
                    self.pending.push(Object {
                        name: place.clone(),
                        whole,
                        behind: of_whole,
                        around,
                    });
                }
                format!("<{place}>")
            }
            ("array", _) => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                let (kind, more) = self.item(items, place, depth);
                behind.extend(more.iter().map(|more| format!("items.{more}")));
                format!("list of {kind}")
            }
            (kind, _) => {
                let mut kind = kind.to_owned();
                let format = text(schema, "format");
                let is_hidden = self.side != Side::Exact && has_word(OUR_FORMATS, format);
                if !format.is_empty() && !is_hidden {
                    kind += &format!(" ({format})");
                }
                if schema.get("enum").is_some() {
                    let said = |value: &Value| {
                        value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned)
                    };
                    let values: BTreeSet<String> = items(schema, "enum").map(said).collect();
                    kind += &format!(" in {{{}}}", join(values, ", "));
                }
                kind
            }
        };
        (kind, behind)
    }

    fn item(&mut self, schema: &Value, place: &str, depth: usize) -> Said {
        let (mut kind, mut behind) = self.kind(schema, &format!("{place}.*"), depth);
        if is_true(schema.get("nullable")) {
            kind += " or null";
            behind.retain(|said| said != "nullable true");
        }
        (kind, behind)
    }

    fn object(&mut self, object: Object) {
        let Object {
            name,
            whole,
            behind,
            around,
        } = object;
        self.around = around;
        let mut found = Members::new();
        for (property, schema) in members(&whole, "properties") {
            let (kind, more) = self.kind(schema, &format!("{name}.{property}"), DEPTH);
            let is_required = items(&whole, "required").any(|name| name == property);
            let is_deprecated = [&whole, schema]
                .iter()
                .any(|of| is_true(of.get("deprecated")));
            let behind = self.attributes(schema, is_required, is_deprecated, more);
            found.insert(property.clone(), written((kind, behind)));
        }
        if let Some(values) = values_of(&whole) {
            found.insert("*".to_owned(), written(self.item(values, &name, DEPTH)));
        }
        if !behind.is_empty() {
            found.insert(WHOLE.to_owned(), join(behind, "; "));
        }
        self.facts.schemas.insert(name, found);
    }

    /// A schema without references and `allOf`: its parts as one.
    fn merged(&mut self, schema: &Value, depth: usize) -> Value {
        let mut whole = self.follow(schema).clone();
        let parts = whole
            .as_object_mut()
            .and_then(|members| members.remove("allOf"));
        let (Some(depth), Some(Value::Array(parts))) = (depth.checked_sub(1), parts) else {
            return whole;
        };
        for part in &parts {
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

/// Keywords without those that only people read. What is data stays as it is.
fn without_prose(described: &Value) -> Value {
    let below = |name: &String, value: &Value| match value {
        Value::Object(names) if has_word(NAMED, name) => {
            let names = names.iter();
            names
                .map(|(name, value)| (name.clone(), without_prose(value)))
                .collect()
        }
        value if has_word(NESTED, name) => without_prose(value),
        value => value.clone(),
    };
    match described {
        Value::Object(members) => members
            .iter()
            .filter(|(name, value)| is_machine_read(name, value) && !has_word(PROSE, name))
            .map(|(name, value)| (name.clone(), below(name, value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_prose).collect(),
        value => value.clone(),
    }
}

/// What members without a name are, where something is said of them.
fn values_of(schema: &Value) -> Option<&Value> {
    let values = schema.get("additionalProperties");
    values.filter(|values| values.as_object().is_some_and(|values| !values.is_empty()))
}

/// The component that a schema is: by a reference, or by an `allOf` with one whose other parts leave its
/// shape as it is.
fn component_of<'a>(
    document: &'a Value,
    schema: &Value,
    depth: usize,
) -> Option<(String, &'a Value)> {
    let target = schema.get("$ref").and_then(Value::as_str);
    let Some(target) = target else {
        let has_shape = |schema: &Value, but: &str| {
            let names = schema.as_object().into_iter().flat_map(|of| of.keys());
            names
                .into_iter()
                .any(|name| name != but && has_word(SHAPE, name))
        };
        let parts = items(schema, "allOf").filter(|part| has_shape(part, ""));
        let &[part] = parts.collect::<Vec<_>>().as_slice() else {
            return None;
        };
        let is_alone = !has_shape(schema, "allOf");
        return component_of(
            document,
            Some(part).filter(|_| is_alone)?,
            depth.checked_sub(1)?,
        );
    };
    let next = document.pointer(target.strip_prefix('#')?)?;
    component_of(document, next, depth.checked_sub(1)?)
        .or_else(|| Some((target.rsplit('/').next()?.to_owned(), next)))
}

/// What a body may be beside JSON.
fn other_content(holder: &Value, place: &str) -> Vec<String> {
    let media: Vec<String> = members(holder, "content")
        .map(|(media, _)| bare(media))
        .collect();
    if !media.iter().any(|media| media == JSON) {
        return Vec::new();
    }
    let others = media.iter().filter(|media| *media != JSON);
    others.map(|media| format!("{place} {media}")).collect()
}
