//! Ways through a description that is JSON.

use std::collections::BTreeSet;

use serde_json::Value;

use super::load::escape;

/// The HTTP methods that a path item may have.
pub const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// Calls `each` with the path, the method and the operation, in the order of the description.
pub fn operations<'a>(document: &'a Value, mut each: impl FnMut(&'a str, &'a str, &'a Value)) {
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
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
    let mut todo: Vec<&Value> = Vec::new();
    operations(document, |_, _, operation| todo.extend(operation.get(part)));
    todo.extend(document.pointer(&format!("/components/{part}")));
    let mut reached = BTreeSet::new();
    while let Some(value) = todo.pop() {
        references(value, "", &mut |_, target| {
            let Some(name) = target.strip_prefix("#/components/schemas/") else {
                return;
            };
            if reached.insert(name.to_owned()) {
                todo.extend(document.pointer(&format!("/components/schemas/{}", escape(name))));
            }
        });
    }
    reached
}

/// Calls `each` with the place and the target of every `$ref` below a value.
pub(crate) fn references<'a>(value: &'a Value, pointer: &str, each: &mut dyn FnMut(&str, &'a str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => each(pointer, target),
                    _ => references(member, &format!("{pointer}/{}", escape(name)), each),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                references(item, &format!("{pointer}/{index}"), each);
            }
        }
        _ => {}
    }
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
    described
        .get("x-rust-name")
        .and_then(Value::as_str)
        .unwrap_or(name)
}

/// The names that an operation or a schema had before.
pub(crate) fn former_names(described: &Value) -> impl Iterator<Item = &str> {
    let names = described.get("x-formerly").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}
