//! Documentation that follows from the description: what a reference stands for, where a type is used,
//! the names on the wire for the search, and Rust's names in the prose.

use std::collections::BTreeMap;

use serde_json::Value;
use syn::{Attribute, File, parse_quote};

use super::checks::{methods, structs};
use super::syntax::{doc_text, wire_name};
use crate::generate::document::{operation_pointer, operations, plain, references, rust_name};
use crate::generate::load::Source;

/// Sentences on where a schema is used.
type Uses = BTreeMap<String, BTreeMap<&'static str, Vec<String>>>;

/// Writes the documentation of methods, types and fields.
pub(super) fn document(source: &Source, client: &mut File, types: &mut File) {
    let mut uses = Uses::new();
    operations(&source.value, |path, method, operation| {
        let id = operation
            .get("operationId")
            .and_then(Value::as_str)
            .unwrap_or("");
        let name = plain(rust_name(operation, id));
        let Some(function) = methods(client).find(|f| plain(&f.sig.ident.to_string()) == name)
        else {
            return;
        };
        let link = format!("[`{0}`](super::Client::{0})", function.sig.ident);
        alias(&mut function.attrs, &[path, id]);
        for (part, role) in [("requestBody", "Request of"), ("responses", "Response of")] {
            let of = format!("{}/{part}", operation_pointer(path, method));
            let part = source.value.pointer(&of).unwrap_or(&Value::Null);
            // Errors are shared by reference, and are not of this operation alone.
            references(part, &mut |_, target| using(&mut uses, target, role, &link));
        }
    });
    let names: BTreeMap<String, String> = structs(types)
        .map(|item| (plain(&item.ident.to_string()), item.ident.to_string()))
        .collect();
    let schemas = source
        .value
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    for (name, schema) in schemas.into_iter().flatten() {
        let link = names
            .get(&plain(name))
            .map(|name| format!("[`{name}`]"))
            .unwrap_or_default();
        references(schema, &mut |_, target| {
            using(&mut uses, target, "Part of", &link)
        });
    }
    for (name, schema) in schemas.into_iter().flatten() {
        let Some(item) = structs(types).find(|item| plain(&item.ident.to_string()) == plain(name))
        else {
            continue;
        };
        if item.ident != name {
            alias(&mut item.attrs, &[name]);
        }
        let mut in_rust = BTreeMap::new();
        for field in &mut item.fields {
            let Some(ident) = field.ident.as_ref().map(ToString::to_string) else {
                continue;
            };
            let wire = wire_name(field).unwrap_or_else(|| ident.clone());
            let property = schema
                .get("properties")
                .and_then(|properties| properties.get(&wire));
            let target =
                property.and_then(|property| property.get("$ref")?.as_str()?.strip_prefix('#'));
            let said = target
                .and_then(|target| source.value.pointer(target)?.get("description")?.as_str());
            if let Some(said) = said {
                let said = format!(" {said}");
                field.attrs.insert(0, parse_quote!(#[doc = #said]));
            }
            if wire.chars().any(char::is_uppercase) {
                alias(&mut field.attrs, &[&wire]);
                in_rust.insert(wire, format!("[`{ident}`](field@Self::{ident})"));
            }
        }
        item.attrs
            .iter_mut()
            .for_each(|attribute| rename(attribute, &in_rust));
        for field in &mut item.fields {
            field
                .attrs
                .iter_mut()
                .for_each(|attribute| rename(attribute, &in_rust));
        }
        let last = item
            .attrs
            .iter()
            .rposition(|attribute| doc_text(attribute).is_some())
            .map_or(0, |at| at + 1);
        let lines = uses
            .get(name)
            .into_iter()
            .flatten()
            .map(|(role, links)| format!(" {role} {}.", links.join(", ")));
        let lines: Vec<Attribute> = lines
            .flat_map(|line| [String::new(), line])
            .map(|line| parse_quote!(#[doc = #line]))
            .collect();
        item.attrs.splice(last..last, lines);
    }
}

fn using(uses: &mut Uses, target: &str, role: &'static str, link: &str) {
    let Some(name) = target.strip_prefix("#/components/schemas/") else {
        return;
    };
    let links = uses
        .entry(name.to_owned())
        .or_default()
        .entry(role)
        .or_default();
    if !links.iter().any(|other| other == link) {
        links.push(link.to_owned());
    }
}

/// Names under which the search of the documentation finds an item.
fn alias(attributes: &mut Vec<Attribute>, names: &[&str]) {
    attributes.extend(
        names
            .iter()
            .map(|name| -> Attribute { parse_quote!(#[doc(alias = #name)]) }),
    );
}

/// Puts links to fields in place of their names on the wire.
pub(super) fn rename(attribute: &mut Attribute, in_rust: &BTreeMap<String, String>) {
    let Some(text) = doc_text(attribute) else {
        return;
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split_inclusive(|c| !is_name(c)).map(|word| {
        let (name, rest) = word.split_at(word.find(|c| !is_name(c)).unwrap_or(word.len()));
        in_rust
            .get(name)
            .map_or_else(|| word.to_owned(), |link| link.clone() + rest)
    });
    let renamed: String = words.collect();
    if renamed != text {
        *attribute = parse_quote!(#[doc = #renamed]);
    }
}
