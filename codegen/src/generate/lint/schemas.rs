//! Rules for schemas: what the types made of them read, and keep.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Lint;
use crate::generate::document::{plain, reached_from, references};
use crate::generate::load::escape;

/// All formats that may stand in the description.
pub(crate) const FORMATS: [&str; 7] = [
    "int32",
    "int64",
    "uint32",
    "session-jwt",
    "refresh-jwt",
    "magic-link-token",
    "password",
];

const UNTYPED: &str = "describe a free-form object (`type: object`), which prints names only, or leave the member \
     out, so that it is kept in `extra`";

/// Where a schema is used; what stands in both counts as a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Request,
    Response,
}

impl Lint<'_> {
    pub(super) fn schemas(&mut self) {
        let source = self.source;
        let schemas = source
            .value
            .pointer("/components/schemas")
            .and_then(Value::as_object);
        let in_responses = reached_from(&source.value, "responses");
        let mut referred = BTreeSet::new();
        references(
            &source.value,
            "",
            &mut |pointer, target| match target.strip_prefix('#') {
                Some(local) if source.value.pointer(local).is_some() => {
                    referred.insert(target.to_owned());
                }
                Some(_) => self.find(pointer, format!("`{target}` does not exist")),
                None => self.find(
                    pointer,
                    format!("`{target}` is in another file; the generator reads one"),
                ),
            },
        );
        let mut names: BTreeMap<String, &String> = BTreeMap::new();
        for (name, schema) in schemas.into_iter().flatten() {
            let pointer = format!("/components/schemas/{}", escape(name));
            if let Some(other) = names.insert(plain(name), name) {
                self.find(
                    &pointer,
                    format!("`{name}` and `{other}` give types of the same name"),
                );
            }
            if !referred.contains(&format!("#{pointer}")) {
                self.find(&pointer, "is not used; remove it");
            }
            if schema.get("description").is_none() {
                self.find(
                    &pointer,
                    "has no description; it is the type's documentation",
                );
            }
            let place = if in_responses.contains(name) {
                Place::Response
            } else {
                Place::Request
            };
            self.component(schema, &pointer, place);
            self.schema(schema, &pointer, place);
        }
        let in_requests = reached_from(&source.value, "requestBody");
        for name in in_responses.intersection(&in_requests) {
            self.find(
                &format!("/components/schemas/{}", escape(name)),
                "is in requests and in responses; requests are strict and responses lenient, so make two of it",
            );
        }
    }

    /// A component has members by name, or is a free-form object, or a list of components: the type
    /// made of anything else would print whatever it holds. One of responses keeps what it does not know.
    fn component(&mut self, schema: &Value, pointer: &str, place: Place) {
        let additional = schema.get("additionalProperties");
        let is_open = additional.is_none_or(|values| values.is_boolean() || *values == json!({}));
        let is_good = match schema.get("type").and_then(Value::as_str) {
            Some("object") => is_open,
            Some("array") => schema.pointer("/items/$ref").is_some(),
            _ => false,
        };
        if !is_good {
            self.find(
                pointer,
                "must be an object, free-form beyond its named members, or a list of components by `$ref`",
            );
        }
        let has_properties = schema.get("properties").is_some();
        if place == Place::Response && has_properties && additional != Some(&json!({})) {
            self.find(
                pointer,
                "needs `additionalProperties: {}`, so that what is not described, or cannot be read, is kept",
            );
        }
    }

    pub(super) fn schema(&mut self, schema: &Value, pointer: &str, place: Place) {
        let Some(members) = schema.as_object() else {
            return;
        };
        let in_response = place == Place::Response;
        let kind = members.get("type");
        if let Some(kind) = kind
            && !is_scalar(kind)
            && kind != "array"
            && kind != "object"
        {
            self.find(
                &format!("{pointer}/type"),
                format!(
                    "`{}` is no type of OpenAPI 3.0",
                    kind.as_str().unwrap_or("a list")
                ),
            );
        }
        // Printing would show whatever stands there, and a secret may.
        for keyword in ["allOf", "oneOf", "anyOf"] {
            if members.contains_key(keyword) {
                self.find(
                    &format!("{pointer}/{keyword}"),
                    format!("`{keyword}` is not read; {UNTYPED}"),
                );
            }
        }
        if kind.is_none() && !members.contains_key("$ref") && !is_any_member(pointer) {
            self.find(pointer, format!("has no type; {UNTYPED}"));
        }
        if kind.is_some_and(|kind| kind == "array") && !members.contains_key("items") {
            self.find(pointer, "is an array without `items`");
        }
        if members.contains_key("$ref") && members.len() > 1 {
            self.find(
                pointer,
                "has members beside `$ref`, which readers drop; describe the component instead",
            );
        }
        self.prose(schema, pointer);
        for keyword in [
            "default",
            "pattern",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "uniqueItems",
        ] {
            if members.contains_key(keyword) {
                let why = if keyword == "default" {
                    "the value would always be sent"
                } else {
                    "the generated type would refuse what the service may accept"
                };
                self.find(
                    &format!("{pointer}/{keyword}"),
                    format!("`{keyword}` is not allowed: {why}"),
                );
            }
        }
        if in_response {
            if members.contains_key("enum") {
                self.find(
                    &format!("{pointer}/enum"),
                    "`enum` in a response makes a new value fail the whole answer; name the values in the description",
                );
            }
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                self.find(
                    pointer,
                    "`additionalProperties: false` in a response refuses new fields",
                );
            }
            if members.get("type") == Some(&json!("integer"))
                && members.get("format") != Some(&json!("int64"))
            {
                self.find(
                    pointer,
                    "a whole number in a response must be `format: int64`, or the value of another day does not fit",
                );
            }
            if members.contains_key("required") {
                self.find(pointer, "`required` in a response fails the whole answer when the service leaves it out");
            }
        }
        if let Some(format) = members.get("format").and_then(Value::as_str)
            && !FORMATS.contains(&format)
        {
            self.find(
                &format!("{pointer}/format"),
                format!("format `{format}` is not one of {}", FORMATS.join(", ")),
            );
        }
        self.secret(members, pointer);
        let properties = members.get("properties").and_then(Value::as_object);
        let mut names: BTreeMap<String, &String> = BTreeMap::new();
        for (name, property) in properties.into_iter().flatten() {
            let pointer = format!("{pointer}/properties/{}", escape(name));
            if let Some(other) = names.insert(plain(name), name) {
                self.find(
                    &pointer,
                    format!("`{name}` and `{other}` give fields of the same name"),
                );
            }
            if name.starts_with("x-") {
                self.find(
                    &pointer,
                    "begins with `x-`, which is for extensions, and would be dropped",
                );
            }
            if property.get("description").is_none() && property.get("$ref").is_none() {
                self.find(
                    &pointer,
                    "has no description; it is the field's documentation",
                );
            }
            self.inline(property, &pointer);
            self.schema(property, &pointer, place);
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(schema) = members.get(keyword) {
                let pointer = format!("{pointer}/{keyword}");
                self.inline(schema, &pointer);
                self.schema(schema, &pointer, place);
            }
        }
    }

    fn inline(&mut self, schema: &Value, pointer: &str) {
        if schema.get("properties").is_some() {
            self.find(
                pointer,
                "is an inline object; make it a component, so that its type has a name",
            );
        }
    }
}

/// Whether a schema stands for the members of an object that have no names of their own.
fn is_any_member(pointer: &str) -> bool {
    pointer.ends_with("/additionalProperties")
}

pub(super) fn is_scalar(kind: &Value) -> bool {
    ["string", "integer", "number", "boolean"]
        .iter()
        .any(|scalar| kind == scalar)
}
