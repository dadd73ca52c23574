//! Documentation that follows from the description: what a reference stands for, where a type is used,
//! the names on the wire for the search, and Rust's names in the prose.

use std::collections::BTreeMap;

use serde_json::Value;
use syn::{Attribute, File, Ident, parse_quote};

use super::syntax::{doc_text, type_of, wire_name};
use crate::error::Error;
use crate::generate::document::{component, references, schemas, text};
use crate::generate::load::{Source, escape};

/// Sentences on where a schema is used.
type Uses = BTreeMap<String, BTreeMap<&'static str, Vec<String>>>;

/// Writes the documentation of types and fields.
pub(super) fn document(
    source: &Source,
    methods: &[(Ident, &Value)],
    types: &mut File,
) -> Result<(), Error> {
    let mut uses = Uses::new();
    for (method, operation) in methods {
        let link = format!("[`{method}`](super::Client::{method})");
        for (part, role) in [("requestBody", "Request of"), ("responses", "Response of")] {
            // Errors are shared by reference, and are not of this operation alone.
            let part = operation.get(part).unwrap_or(&Value::Null);
            references(part, &mut |_, target| using(&mut uses, target, role, &link));
        }
    }
    for (name, schema) in schemas(&source.value) {
        let link = format!("[`{}`]", type_of(types, name)?.ident);
        references(schema, &mut |_, target| {
            using(&mut uses, target, "Part of", &link)
        });
    }
    for (name, schema) in schemas(&source.value) {
        let item = type_of(types, name)?;
        if item.ident != name {
            alias(&mut item.attrs, &[name]);
        }
        let mut in_rust = BTreeMap::new();
        for field in &mut item.fields {
            let Some(ident) = field.ident.as_ref().map(ToString::to_string) else {
                continue;
            };
            let wire = wire_name(field);
            let target = schema.pointer(&format!("/properties/{}/$ref", escape(&wire)));
            let said = target
                .and_then(|target| source.value.pointer(target.as_str()?.strip_prefix('#')?))
                .map(|component| format!(" {}", text(component, "description")));
            if let Some(said) = said {
                field.attrs.insert(0, parse_quote!(#[doc = #said]));
            }
            if wire.chars().any(char::is_uppercase) {
                alias(&mut field.attrs, &[&wire]);
                in_rust.insert(wire, format!("[`{ident}`](field@Self::{ident})"));
            }
        }
        let of_fields = item.fields.iter_mut().flat_map(|field| &mut field.attrs);
        item.attrs
            .iter_mut()
            .chain(of_fields)
            .for_each(|attribute| rename(attribute, &in_rust));
        let last = item
            .attrs
            .iter()
            .rposition(|attribute| doc_text(attribute).is_some());
        let last = last.map_or(0, |at| at + 1);
        let lines = uses
            .remove(name)
            .into_iter()
            .flatten()
            .flat_map(|(role, links)| [String::new(), format!(" {role} {}.", links.join(", "))]);
        let lines: Vec<Attribute> = lines.map(|line| parse_quote!(#[doc = #line])).collect();
        item.attrs.splice(last..last, lines);
    }
    Ok(())
}

fn using(uses: &mut Uses, target: &str, role: &'static str, link: &str) {
    let Some(name) = component(target) else {
        return;
    };
    let of_name = uses.entry(name.to_owned()).or_default();
    let links = of_name.entry(role).or_default();
    if !links.iter().any(|other| other == link) {
        links.push(link.to_owned());
    }
}

/// Names under which the search of the documentation finds an item.
pub(super) fn alias(attributes: &mut Vec<Attribute>, names: &[&str]) {
    for name in names {
        attributes.push(parse_quote!(#[doc(alias = #name)]));
    }
}

/// Puts links to fields in place of their names on the wire.
pub(super) fn rename(attribute: &mut Attribute, in_rust: &BTreeMap<String, String>) {
    let Some(said) = doc_text(attribute) else {
        return;
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = said.split_inclusive(|c| !is_name(c)).map(|word| {
        let (name, rest) = word.split_at(word.find(|c| !is_name(c)).unwrap_or(word.len()));
        in_rust
            .get(name)
            .map_or_else(|| word.to_owned(), |link| link.clone() + rest)
    });
    let renamed: String = words.collect();
    if renamed != said {
        *attribute = parse_quote!(#[doc = #renamed]);
    }
}
