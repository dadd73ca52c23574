//! Ways through a description that is JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use super::load::{Source, escape};
use crate::error::Finding;

impl Source {
    /// What is wrong with a part, with its line and its place in words: the operation's id or the schema's
    /// name first.
    pub(crate) fn finding(&self, pointer: &str, message: impl Into<String>) -> Finding {
        let parts: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (first, rest) = match parts.as_slice() {
            [] => ("the document".to_owned(), &[][..]),
            ["paths", path, method, rest @ ..] => {
                let operation = self.value.pointer(&operation_pointer(path, method));
                let id = operation.map_or("", |operation| text(operation, "operationId"));
                let id = if id.is_empty() {
                    "operation without id"
                } else {
                    id
                };
                (format!("{id} ({} {path})", method.to_uppercase()), rest)
            }
            ["components", "schemas", name, rest @ ..] => (format!("schema {name}"), rest),
            [first, rest @ ..] => ((*first).to_owned(), rest),
        };
        let rest = rest.iter().filter(|part| **part != "properties").copied();
        let place: Vec<&str> = std::iter::once(first.as_str()).chain(rest).collect();
        Finding {
            line: self.line(pointer),
            place: place.join(" > "),
            message: message.into(),
        }
    }
}

/// The HTTP methods that a path item may have.
pub const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// The text of a member; empty when it has none.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or("")
}

/// The members of a member that is an object.
pub(crate) fn members<'a>(
    value: &'a Value,
    member: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let members = value.get(member).and_then(Value::as_object);
    members.into_iter().flatten()
}

/// The items of a member that is a list.
pub(crate) fn items<'a>(
    value: &'a Value,
    member: &str,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    let items = value.get(member).and_then(Value::as_array);
    items.into_iter().flatten()
}

/// All components that are schemas.
pub(crate) fn schemas(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    members(
        document.get("components").unwrap_or(&Value::Null),
        "schemas",
    )
}

/// The pointer to a component that is a schema.
pub(crate) fn schema_pointer(name: &str) -> String {
    format!("/components/schemas/{}", escape(name))
}

/// The name of the component that a reference is to.
pub(crate) fn component(target: &str) -> Option<&str> {
    target.strip_prefix("#/components/schemas/")
}

/// Calls `each` with the path, the method and the operation, in the order of the description.
pub fn operations<'a>(document: &'a Value, mut each: impl FnMut(&'a str, &'a str, &'a Value)) {
    for (path, item) in members(document, "paths") {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                each(path, method, operation);
            }
        }
    }
}

/// The pointer to an operation.
#[must_use]
pub fn operation_pointer(path: &str, method: &str) -> String {
    format!("/paths/{}/{method}", escape(path))
}

/// The schemas that a part of operations, `requestBody` or `responses`, leads to.
pub(crate) fn reached_from(document: &Value, part: &str) -> BTreeSet<String> {
    let mut from: Vec<&Value> = Vec::new();
    operations(document, |_, _, operation| from.extend(operation.get(part)));
    from.extend(document.pointer(&format!("/components/{part}")));
    reached(document, from)
}

/// The schemas that some parts of a description lead to.
pub(crate) fn reached<'a>(document: &'a Value, mut from: Vec<&'a Value>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    while let Some(value) = from.pop() {
        references(value, &mut |_, target| {
            let name = component(target).filter(|name| reached.insert((*name).to_owned()));
            from.extend(name.and_then(|name| document.pointer(&schema_pointer(name))));
        });
    }
    reached
}

/// Calls `each` with the pointer and the value of everything in a value, itself first, and goes further
/// down where that says so.
pub(crate) fn visit<'a>(
    value: &'a Value,
    pointer: &str,
    each: &mut dyn FnMut(&str, &'a Value) -> bool,
) {
    if !each(pointer, value) {
        return;
    }
    let mut down = |part: &str, value| visit(value, &format!("{pointer}/{part}"), each);
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| down(&escape(name), member)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| down(&index.to_string(), item)),
        _ => {}
    }
}

/// Calls `each` with the place and the target of every `$ref` in a value.
pub(crate) fn references<'a>(value: &'a Value, each: &mut dyn FnMut(&str, &'a str)) {
    visit(value, "", &mut |pointer, value| {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            each(pointer, target);
        }
        true
    });
}

/// Takes members out at every depth.
pub(crate) fn strip(value: &mut Value, is_kept: &dyn Fn(&str, &Value) -> bool) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| is_kept(name, member));
            members
                .values_mut()
                .for_each(|member| strip(member, is_kept));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, is_kept)),
        _ => {}
    }
}

/// Whether a member is for programs: no extension, and nothing that only people read.
pub(crate) fn is_machine_read(name: &str, value: &Value) -> bool {
    let is_prose = matches!(name, "description" | "summary") && value.is_string();
    !is_prose && !name.starts_with("x-")
}

/// A name as it is when only its words count: two that are equal then give the same Rust name.
pub(crate) fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// A path without the names of its parameters, which do not reach the wire.
#[must_use]
pub fn nameless(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or(path).to_owned();
    parts.fold(first, |text, part| {
        text + "{}" + part.split_once('}').map_or("", |(_, rest)| rest)
    })
}

/// Whether a list of words has a name.
pub(crate) fn has_word(words: &str, name: &str) -> bool {
    words.split(' ').any(|word| word == name)
}

pub(crate) fn is_true(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

/// Gives an object a member.
pub(crate) fn set(object: &mut Value, name: &str, member: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), member);
    }
}

/// The name in Rust that an operation, a parameter or a property asks for, or that it has.
pub(crate) fn rust_name<'a>(described: &'a Value, name: &'a str) -> &'a str {
    let asked = described.get("x-rust-name").and_then(Value::as_str);
    asked.unwrap_or(name)
}

/// The names that an operation or a schema had before.
pub(crate) fn former_names(described: &Value) -> impl Iterator<Item = &str> {
    items(described, "x-formerly").filter_map(Value::as_str)
}
