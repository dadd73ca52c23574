//! What the description says beside types and paths: names and deprecation.

use quote::format_ident;
use serde_json::Value;
use syn::{Attribute, File, parse_quote};

use super::syntax::{structs, type_of, wire_name};
use crate::error::{Error, OUTPUT};
use crate::generate::document::{
    former_names, is_true, members, rust_name, schema_pointer, schemas,
};
use crate::generate::load::{Source, escape};

pub(super) fn deprecate(attributes: &mut Vec<Attribute>, described: &Value) {
    if is_true(described.get("deprecated")) {
        attributes.push(parse_quote!(#[deprecated = "the service will not have it for ever"]));
    }
}

/// Finds the type and the field of everything that is described: the generator leaves out, without a word,
/// what it cannot name twice. Fields have the names that the description asks for by `x-rust-name`, where
/// the generator makes a bad one of the wire name.
pub(super) fn name_fields(source: &Source, types: &mut File) -> Result<(), Error> {
    let (mut findings, mut described) = (Vec::new(), 0);
    for (name, schema) in schemas(&source.value) {
        described += 1;
        let Ok(item) = type_of(types, name) else {
            findings.push(source.finding(&schema_pointer(name), "has no type"));
            continue;
        };
        for (property, schema) in members(schema, "properties") {
            let pointer = format!("{}/properties/{}", schema_pointer(name), escape(property));
            let field = item
                .fields
                .iter_mut()
                .find(|field| wire_name(field) == *property);
            let Some(field) = field else {
                findings.push(source.finding(&pointer, "has no field"));
                continue;
            };
            deprecate(&mut field.attrs, schema);
            let to = rust_name(schema, "");
            if !to.is_empty() {
                if field.ident.as_ref().is_some_and(|ident| ident == property) {
                    field.attrs.push(parse_quote!(#[serde(rename = #property)]));
                }
                field.ident = Some(format_ident!("{to}"));
            }
            let given = field
                .ident
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            if given.contains("_i_") || given.starts_with("o_") {
                let message = format!("its field would be `{given}`; name it by `x-rust-name`");
                findings.push(source.finding(&pointer, message));
            }
        }
    }
    let made = structs(types).count();
    Error::of(OUTPUT, findings)?;
    if made == described {
        Ok(())
    } else {
        Err(Error::Pass(format!("{made} types for {described} schemas")))
    }
}

/// Types under the names that their schemas had before: callers have a major release's time to change theirs.
pub(super) fn keep_old_types(source: &Source, types: &mut File) -> Result<(), Error> {
    for (name, schema) in schemas(&source.value) {
        for old in former_names(schema) {
            let (old, new) = (format_ident!("{old}"), type_of(types, name)?.ident.clone());
            let note = format!("now `{new}`");
            let alias = parse_quote!(#[deprecated = #note] pub type #old = #new;);
            types.items.push(alias);
        }
    }
    Ok(())
}
