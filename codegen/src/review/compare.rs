//! What two descriptions of an API say differently about the operations that both could have.
//!
//! Each operation is unfolded into a tree: parameters, request and answer, and below them properties,
//! items and values. Two trees are then walked side by side. References are followed while unfolding,
//! so that the name of a component, and whether a schema stands in place, cannot matter; members are
//! sorted, so that no order can; prose, examples and tags are never looked at.
//!
//! The crate `drift` compares OpenAPI documents too and was weighed first. It stops the process when a
//! body has content on one side only, which is so for two published operations; it takes a map and a
//! free-form object for an unhandled difference, does not look at security, and reports by component,
//! where the list of divergences speaks of places in operations. It is used in the tests, as a second
//! opinion on whether two descriptions differ at all. The trees are unfolded from JSON rather than
//! from `openapiv3`, which drops what it does not know and would refuse the whole published file for
//! one odd operation out of hundreds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::generate::document::{METHODS, operation_pointer};
use crate::generate::lint::schemas::FORMATS;
use crate::generate::lint::secrets::looks_secret;
use crate::generate::load::escape;

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

/// Delivery methods as they stand in paths.
const DELIVERY: [&str; 3] = ["email", "sms", "whatsapp"];

/// All operations of a description.
#[derive(Debug, Clone, Default)]
pub struct Api {
    operations: BTreeMap<Key, Operation>,
    schemas: BTreeSet<String>,
}

/// Method in capitals, and path without the names of its parameters.
type Key = (String, String);

/// One operation, unfolded.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path as it is written.
    pub path: String,
    /// The operation id, empty when it has none.
    pub id: String,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The schemas that request and answer refer to, by name.
    pub schemas: Vec<String>,
    security: BTreeSet<String>,
    /// `request`, `response`, `query.NAME`, `path.NAME`, `header.NAME`.
    parts: BTreeMap<String, Node>,
}

/// One schema in its place.
#[derive(Debug, Clone)]
struct Node {
    shape: Shape,
    format: Option<String>,
    values: Option<BTreeSet<String>>,
    required: bool,
    /// Where the schema stands.
    pointer: String,
    properties: BTreeMap<String, Node>,
    /// The schema of items or of values.
    each: Option<Box<Node>>,
}

/// A schema's type as JSON has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Any,
    Scalar(String),
    Array,
    Map,
    Object,
    /// Alternatives, or an object inside itself: compared by this text.
    Other(String),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.shape, &self.each) {
            (Shape::Any, _) => f.write_str("any value")?,
            (Shape::Scalar(text) | Shape::Other(text), _) => f.write_str(text)?,
            (Shape::Array, Some(items)) => write!(f, "array of {items}")?,
            (Shape::Array, None) => f.write_str("array")?,
            (Shape::Map, Some(values)) => write!(f, "map to {values}")?,
            (Shape::Object, _) if self.properties.is_empty() => f.write_str("free-form object")?,
            (Shape::Object | Shape::Map, _) => f.write_str("object")?,
        }
        if let Some(format) = &self.format {
            write!(f, " ({format})")?;
        }
        Ok(())
    }
}

impl Node {
    /// The schema as a property of our description would have it.
    fn yaml_snippet(&self, name: &str) -> Vec<String> {
        let mut lines = vec![format!("{name}:")];
        let has_members = |node: &Self| !node.properties.is_empty();
        let each = self.each.as_deref();
        if has_members(self) || each.is_some_and(has_members) {
            let node = each.filter(|node| has_members(node)).unwrap_or(self);
            let reference = "$ref: \"#/components/schemas/...\"  # a component with";
            let members: Vec<&str> = node.properties.keys().map(String::as_str).collect();
            let reference = format!("{reference} {}", members.join(", "));
            match self.shape {
                Shape::Array => lines.extend([
                    "  type: array".to_owned(),
                    "  items:".to_owned(),
                    format!("    {reference}"),
                ]),
                _ => lines.push(format!("  {reference}")),
            }
            return lines;
        }
        match (&self.shape, each) {
            (Shape::Array, _) => lines.push("  type: array".to_owned()),
            (Shape::Object | Shape::Map, _) => lines.push("  type: object".to_owned()),
            (Shape::Scalar(kind), _) => lines.push(format!("  type: {kind}")),
            (Shape::Any | Shape::Other(_), _) => {}
        }
        match (&self.shape, each) {
            (Shape::Array, Some(items)) => lines.push(format!("  items: {}", items.flow())),
            (Shape::Map, Some(values)) => {
                lines.push(format!("  additionalProperties: {}", values.flow()));
            }
            (Shape::Object, _) => lines.push("  additionalProperties: true".to_owned()),
            _ => {}
        }
        if self.shape == Shape::Scalar("string".to_owned()) && looks_secret(name) {
            lines.push("  format: password  # prints redacted".to_owned());
        } else if let Some(format) = self.known_format() {
            lines.push(format!("  format: {format}"));
        }
        lines.push("  description: \"\"  # in our own words".to_owned());
        lines
    }

    fn flow(&self) -> String {
        match (&self.shape, self.known_format()) {
            (Shape::Scalar(kind), Some(format)) => format!("{{type: {kind}, format: {format}}}"),
            (Shape::Scalar(kind), None) => format!("{{type: {kind}}}"),
            _ => "{}".to_owned(),
        }
    }

    /// The format, where our description may have it.
    fn known_format(&self) -> Option<&str> {
        self.format
            .as_deref()
            .filter(|format| FORMATS.contains(format))
    }
}

/// The kinds of difference, named from the side of the curated description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the kinds are part of the file format"
)]
pub enum Kind {
    /// Ours has an operation that theirs lacks.
    OperationAdded,
    /// Theirs has one that ours lacks.
    OperationOmitted,
    /// Ours has a property, parameter or body that theirs lacks.
    FieldAdded,
    /// Theirs has one that ours lacks.
    FieldOmitted,
    /// The JSON type differs.
    Type,
    /// The same type has another format.
    Format,
    /// Other values are allowed.
    Enum,
    /// Needed on one side only.
    Required,
    /// Other ways to authenticate.
    Security,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::OperationAdded,
        Self::OperationOmitted,
        Self::FieldAdded,
        Self::FieldOmitted,
        Self::Type,
        Self::Format,
        Self::Enum,
        Self::Required,
        Self::Security,
    ];

    /// The kind as `spec/divergences.yaml` writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OperationAdded => "operation-added",
            Self::OperationOmitted => "operation-omitted",
            Self::FieldAdded => "field-added",
            Self::FieldOmitted => "field-omitted",
            Self::Type => "type",
            Self::Format => "format",
            Self::Enum => "enum",
            Self::Required => "required",
            Self::Security => "security",
        }
    }

    /// Whether the place of such a difference is an operation rather than something in one.
    #[must_use]
    pub const fn is_of_operation(self) -> bool {
        matches!(
            self,
            Self::OperationAdded | Self::OperationOmitted | Self::Security
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The method.
    pub method: String,
    /// The path, as ours has it where ours has it.
    pub path: String,
    /// The operation id, ours where there is one.
    pub operation: String,
    /// The place in the operation, such as `request.loginOptions.locale`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What differs.
    pub kind: Kind,
    /// What our side says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// What their side says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theirs: Option<String>,
    /// The pointer into our description to the nearest part that exists there.
    #[serde(skip)]
    pub pointer: String,
    /// The method and path at which the other side has what looks like the same operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
    /// The operation of ours that this one resembles but for the delivery method in its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sibling: Option<String>,
    /// What is missing on our side, as lines to put into our description.
    #[serde(skip)]
    pub yaml_snippet: Vec<String>,
}

impl Difference {
    /// The place as `spec/divergences.yaml` writes it.
    #[must_use]
    pub fn at(&self) -> String {
        match &self.location {
            Some(location) => format!("{} {} {location}", self.method, self.path),
            None => format!("{} {}", self.method, self.path),
        }
    }
}

impl Api {
    /// Unfolds a description, without the formats that only choose a Rust type of ours.
    #[must_use]
    pub fn new(document: &Value) -> Self {
        Self::unfold(document, &OUR_FORMATS)
    }

    /// Unfolds a description of ours with all formats, as the generator sees it.
    #[must_use]
    pub fn exact(document: &Value) -> Self {
        Self::unfold(document, &[])
    }

    fn unfold(document: &Value, without: &[&str]) -> Self {
        let mut operations = BTreeMap::new();
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    let operation =
                        RefResolver { document, without }.operation(path, method, item, operation);
                    operations.insert((operation.method.clone(), nameless(path)), operation);
                }
            }
        }
        let schemas = document.pointer("/components/schemas");
        let schemas = schemas.and_then(Value::as_object);
        Self {
            operations,
            schemas: schemas
                .map(|schemas| schemas.keys().cloned().collect())
                .unwrap_or_default(),
        }
    }

    /// The operations, by method and path.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// Where `self`, ours, and `theirs` differ, in the order of paths. `concerns_us` says of a path
    /// that only they have whether it is one of ours to describe.
    #[must_use]
    pub fn differences(
        &self,
        theirs: &Self,
        concerns_us: impl Fn(&str) -> bool,
    ) -> Vec<Difference> {
        let mut found = Vec::new();
        for (key, operation) in &self.operations {
            match theirs.operations.get(key) {
                Some(other) => operation.differences(other, &mut found),
                None => {
                    let mut difference = operation.difference(Kind::OperationAdded);
                    let elsewhere = theirs
                        .operations
                        .iter()
                        .filter(|(key, _)| !self.operations.contains_key(*key));
                    difference.moved = operation.twin(elsewhere.map(|(_, other)| other));
                    found.push(difference);
                }
            }
        }
        for (key, operation) in &theirs.operations {
            if self.operations.contains_key(key) {
                continue;
            }
            let gone = self
                .operations
                .iter()
                .filter(|(key, _)| !theirs.operations.contains_key(*key));
            let moved = operation.twin(gone.map(|(_, other)| other));
            if moved.is_none() && !concerns_us(&operation.path) {
                continue;
            }
            let mut difference = operation.difference(Kind::OperationOmitted);
            difference.pointer = "/paths".to_owned();
            difference.yaml_snippet = operation.yaml_snippet(&self.schemas);
            if moved.is_none() {
                difference.sibling = self.sibling(operation);
            }
            difference.moved = moved;
            found.push(difference);
        }
        found.sort_by(|one, other| {
            (&one.path, &one.method, &one.location, one.kind).cmp(&(
                &other.path,
                &other.method,
                &other.location,
                other.kind,
            ))
        });
        found
    }

    /// The operation whose path differs from this one's in the delivery method only, which comes last,
    /// and that takes much the same request.
    fn sibling(&self, of: &Operation) -> Option<String> {
        let (parent, _) = of.path.rsplit_once('/')?;
        self.operations
            .values()
            .find(|operation| {
                let last = operation.path.rsplit_once('/');
                operation.method == of.method
                    && last.is_some_and(|(other, last)| other == parent && DELIVERY.contains(&last))
                    && operation.same_part(of, "request")
            })
            .map(|operation| operation.id.clone())
    }
}

/// A path without the names of its parameters, which do not reach the wire.
fn nameless(path: &str) -> String {
    path.split('/')
        .map(|segment| {
            if segment.starts_with('{') {
                "{}"
            } else {
                segment
            }
        })
        .collect::<Vec<_>>()
        .join("/")
}

impl Operation {
    /// `METHOD PATH`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The operation as our description would write it.
    fn yaml_snippet(&self, known: &BTreeSet<String>) -> Vec<String> {
        let mut lines = vec![
            format!("{}:", self.path),
            format!("  {}:", self.method.to_lowercase()),
            format!("    operationId: {}", self.id),
            "    tags: []".to_owned(),
            "    summary: \"\"      # in our own words".to_owned(),
            "    description: \"\"  # in our own words".to_owned(),
        ];
        if self.security.is_empty() {
            lines.push("    security: []".to_owned());
        } else {
            lines.push("    security:".to_owned());
            lines.extend(
                self.security
                    .iter()
                    .map(|name| format!("      - {name}: []")),
            );
        }
        lines.push("    x-evidence: [published OpenAPI]".to_owned());
        let parameters = self.parts.iter().filter_map(|(part, node)| {
            let (place, name) = part.split_once('.')?;
            Some((place, name, node)).filter(|(place, ..)| ["path", "query"].contains(place))
        });
        for (index, (place, name, node)) in parameters.enumerate() {
            if index == 0 {
                lines.push("    parameters:".to_owned());
            }
            lines.push(format!(
                "      - {{name: {name}, in: {place}, required: {}, description: \"\", schema: {}}}",
                node.required,
                node.flow()
            ));
        }
        let reference = |lines: &mut Vec<String>, part: &str, indent: &str, name: &str| {
            lines.push(format!("{indent}content:"));
            lines.push(format!("{indent}  application/json:"));
            lines.push(format!("{indent}    schema:"));
            lines.push(format!(
                "{indent}      $ref: \"#/components/schemas/{name}\""
            ));
            if let Some(node) = self.parts.get(part).filter(|_| !known.contains(name)) {
                let members: Vec<&str> = node.properties.keys().map(String::as_str).collect();
                lines.push(format!(
                    "{indent}      # a component to write, with {}",
                    members.join(", ")
                ));
            }
        };
        let mut names = self.schemas.iter();
        if self.parts.contains_key("request") {
            lines.push("    requestBody:".to_owned());
            lines.push("      required: true".to_owned());
            let name = names.next().map_or("...", String::as_str);
            reference(&mut lines, "request", "      ", name);
        }
        lines.push("    responses:".to_owned());
        lines.push("      \"200\":".to_owned());
        lines.push("        description: \"\"".to_owned());
        if let Some(name) = names.next() {
            reference(&mut lines, "response", "        ", name);
        }
        lines.push("      4XX: {$ref: \"#/components/responses/Error\"}".to_owned());
        lines.push("      5XX: {$ref: \"#/components/responses/Error\"}".to_owned());
        lines
    }

    fn difference(&self, kind: Kind) -> Difference {
        Difference {
            method: self.method.clone(),
            path: self.path.clone(),
            operation: self.id.clone(),
            location: None,
            kind,
            ours: None,
            theirs: None,
            pointer: operation_pointer(&self.path, &self.method.to_lowercase()),
            moved: None,
            sibling: None,
            yaml_snippet: Vec::new(),
        }
    }

    /// Where the same operation is among others: by its id.
    fn twin<'a>(&self, mut others: impl Iterator<Item = &'a Self>) -> Option<String> {
        others
            .find(|other| !self.id.is_empty() && other.id == self.id)
            .map(Self::place)
    }

    fn same_part(&self, other: &Self, part: &str) -> bool {
        match (self.parts.get(part), other.parts.get(part)) {
            (Some(one), Some(other)) => {
                let mut found = Vec::new();
                self.walk(part, one, other, &mut found);
                // A property more or less is what siblings of one family differ in.
                found
                    .iter()
                    .all(|d| matches!(d.kind, Kind::FieldAdded | Kind::FieldOmitted | Kind::Type))
            }
            (None, None) => true,
            _ => false,
        }
    }

    fn differences(&self, other: &Self, found: &mut Vec<Difference>) {
        if self.security != other.security {
            let say = |names: &BTreeSet<String>| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Some(if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(" or ")
                })
            };
            found.push(Difference {
                ours: say(&self.security),
                theirs: say(&other.security),
                ..self.difference(Kind::Security)
            });
        }
        self.children("", &self.parts, &other.parts, "", found);
    }

    fn children(
        &self,
        location: &str,
        ours: &BTreeMap<String, Node>,
        theirs: &BTreeMap<String, Node>,
        pointer: &str,
        found: &mut Vec<Difference>,
    ) {
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            let location = if location.is_empty() {
                name.clone()
            } else {
                format!("{location}.{name}")
            };
            match (ours.get(name), theirs.get(name)) {
                (Some(one), Some(other)) => self.walk(&location, one, other, found),
                (Some(one), None) => found.push(Difference {
                    location: Some(location),
                    ours: Some(one.to_string()),
                    pointer: one.pointer.clone(),
                    ..self.difference(Kind::FieldAdded)
                }),
                (None, Some(other)) => {
                    let mut difference = self.difference(Kind::FieldOmitted);
                    difference.yaml_snippet = other.yaml_snippet(name);
                    difference.location = Some(location);
                    difference.theirs = Some(other.to_string());
                    if !pointer.is_empty() {
                        pointer.clone_into(&mut difference.pointer);
                    }
                    found.push(difference);
                }
                (None, None) => {}
            }
        }
    }

    fn walk(&self, location: &str, one: &Node, other: &Node, found: &mut Vec<Difference>) {
        let mut push = |kind, ours: String, theirs: String| {
            found.push(Difference {
                location: Some(location.to_owned()),
                ours: Some(ours),
                theirs: Some(theirs),
                pointer: one.pointer.clone(),
                ..self.difference(kind)
            });
        };
        if one.required != other.required {
            let say = |required| if required { "needed" } else { "optional" };
            push(
                Kind::Required,
                say(one.required).to_owned(),
                say(other.required).to_owned(),
            );
        }
        if one.shape != other.shape {
            push(Kind::Type, one.to_string(), other.to_string());
            return;
        }
        if one.format != other.format {
            push(Kind::Format, one.to_string(), other.to_string());
        }
        if one.values != other.values {
            let say = |values: &Option<BTreeSet<String>>| {
                values.as_ref().map_or_else(
                    || "any".to_owned(),
                    |values| values.iter().cloned().collect::<Vec<_>>().join(", "),
                )
            };
            push(Kind::Enum, say(&one.values), say(&other.values));
        }
        if let (Some(one_each), Some(other_each)) = (&one.each, &other.each) {
            let mark = if one.shape == Shape::Array {
                "[]"
            } else {
                "{}"
            };
            self.walk(&format!("{location}{mark}"), one_each, other_each, found);
        }
        self.children(
            location,
            &one.properties,
            &other.properties,
            &one.pointer,
            found,
        );
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

/// One way to authenticate, in our names.
fn requirement(value: &Value) -> Option<String> {
    let names = value.as_object()?.keys().map(|name| {
        SCHEMES
            .iter()
            .find(|(theirs, _)| theirs == name)
            .map_or(name.as_str(), |(_, ours)| ours)
    });
    let names: BTreeSet<&str> = names.collect();
    Some(names.into_iter().collect::<Vec<_>>().join(" with "))
}

struct RefResolver<'a> {
    document: &'a Value,
    /// Formats to leave out.
    without: &'a [&'a str],
}

impl<'a> RefResolver<'a> {
    fn operation(
        &self,
        path: &str,
        method: &str,
        item: &'a Value,
        operation: &'a Value,
    ) -> Operation {
        let pointer = operation_pointer(path, method);
        let mut parts = BTreeMap::new();
        let lists = [
            (format!("/paths/{}", escape(path)), item),
            (pointer.clone(), operation),
        ];
        for (pointer, holder) in lists {
            let parameters = holder.get("parameters").and_then(Value::as_array);
            for (index, parameter) in parameters.into_iter().flatten().enumerate() {
                let (pointer, parameter) =
                    self.follow(format!("{pointer}/parameters/{index}"), parameter);
                let text = |name| parameter.get(name).and_then(Value::as_str).unwrap_or("");
                const NONE: &Value = &Value::Null;
                let schema = parameter.get("schema").unwrap_or(NONE);
                let mut node = self.node(format!("{pointer}/schema"), schema, &mut Vec::new());
                node.required = is_true(parameter.get("required"));
                parts.insert(format!("{}.{}", text("in"), text("name")), node);
            }
        }
        let mut schemas = Vec::new();
        if let Some(body) = operation.get("requestBody") {
            let (pointer, body) = self.follow(format!("{pointer}/requestBody"), body);
            if let Some(mut node) = self.body(&pointer, body, &mut schemas) {
                node.required = is_true(body.get("required"));
                parts.insert("request".to_owned(), node);
            }
        }
        if let Some(answer) = operation.pointer("/responses/200") {
            let (pointer, answer) = self.follow(format!("{pointer}/responses/200"), answer);
            if let Some(node) = self.body(&pointer, answer, &mut schemas) {
                parts.insert("response".to_owned(), node);
            }
        }
        let security = operation.get("security").or(self.document.get("security"));
        let security = security.and_then(Value::as_array).into_iter().flatten();
        Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            id: operation
                .get("operationId")
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned(),
            deprecated: is_true(operation.get("deprecated")),
            schemas,
            security: security.filter_map(requirement).collect(),
            parts,
        }
    }

    /// The end of a chain of references, which is short: one that runs in a circle ends as it is.
    fn follow(&self, mut pointer: String, mut value: &'a Value) -> (String, &'a Value) {
        for _ in 0..16 {
            let target = value.get("$ref").and_then(Value::as_str);
            let Some(local) = target.and_then(|target| target.strip_prefix('#')) else {
                break;
            };
            let Some(next) = self.document.pointer(local) else {
                break;
            };
            local.clone_into(&mut pointer);
            value = next;
        }
        (pointer, value)
    }

    /// The schema of a JSON body; other content counts as none.
    fn body(&self, pointer: &str, holder: &'a Value, schemas: &mut Vec<String>) -> Option<Node> {
        let schema = holder.pointer("/content/application~1json/schema")?;
        let name = schema.get("$ref").and_then(Value::as_str);
        schemas.extend(
            name.and_then(|name| name.rsplit('/').next())
                .map(str::to_owned),
        );
        let pointer = format!("{pointer}/content/application~1json/schema");
        Some(self.node(pointer, schema, &mut Vec::new()))
    }

    fn node(&self, pointer: String, schema: &'a Value, above: &mut Vec<String>) -> Node {
        let (pointer, schema) = self.follow(pointer, schema);
        let mut node = Node {
            shape: Shape::Any,
            format: None,
            values: None,
            required: false,
            pointer: pointer.clone(),
            properties: BTreeMap::new(),
            each: None,
        };
        if above.contains(&pointer) {
            node.shape = Shape::Other("object inside itself".to_owned());
            return node;
        }
        above.push(pointer);
        self.fill(&mut node, schema, above);
        above.pop();
        node
    }

    fn fill(&self, node: &mut Node, schema: &'a Value, above: &mut Vec<String>) {
        let pointer = node.pointer.clone();
        let text = |name| schema.get(name).and_then(Value::as_str);
        let properties = schema.get("properties").and_then(Value::as_object);
        let values = schema
            .get("additionalProperties")
            .filter(|values| values.as_object().is_some_and(|values| !values.is_empty()));
        let kind = text("type").or(properties.map(|_| "object"));
        match kind {
            Some("object") => {
                let has_properties = properties.is_some_and(|properties| !properties.is_empty());
                node.shape = Shape::Object;
                if let Some(values) = values.filter(|_| !has_properties) {
                    let pointer = format!("{pointer}/additionalProperties");
                    node.shape = Shape::Map;
                    node.each = Some(Box::new(self.node(pointer, values, above)));
                }
            }
            Some("array") => {
                node.shape = Shape::Array;
                let items = schema.get("items").unwrap_or(&Value::Null);
                let pointer = format!("{pointer}/items");
                node.each = Some(Box::new(self.node(pointer, items, above)));
            }
            Some(scalar) => node.shape = Shape::Scalar(scalar.to_owned()),
            None => {}
        }
        node.format = text("format")
            .filter(|format| !self.without.contains(format))
            .map(str::to_owned);
        node.values = schema
            .get("enum")
            .and_then(Value::as_array)
            .map(|values| values.iter().map(plain).collect());
        for (name, property) in properties.into_iter().flatten() {
            let pointer = format!("{pointer}/properties/{}", escape(name));
            let child = self.node(pointer, property, above);
            node.properties.insert(name.clone(), child);
        }
        for part in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let (at, part) = self.follow(pointer.clone(), part);
            let mut other = Node {
                pointer: at,
                ..node.clone()
            };
            other.properties.clear();
            self.fill(&mut other, part, above);
            if node.shape == Shape::Any {
                node.shape = other.shape;
                node.each = other.each;
            }
            node.format = node.format.take().or(other.format);
            node.values = node.values.take().or(other.values);
            node.properties.append(&mut other.properties);
        }
        for name in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let property = name.as_str().and_then(|name| node.properties.get_mut(name));
            if let Some(property) = property {
                property.required = true;
            }
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(keyword).and_then(Value::as_array) {
                let choices: BTreeSet<String> = choices
                    .iter()
                    .map(|choice| self.node(pointer.clone() + "/", choice, above).to_string())
                    .collect();
                let choices: Vec<String> = choices.into_iter().collect();
                node.shape = Shape::Other(choices.join(" or "));
            }
        }
    }
}

/// A value of an enum as text, without quotes.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
