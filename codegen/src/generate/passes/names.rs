//! What the description says beside types and paths: names and deprecation.

use quote::format_ident;
use serde_json::Value;
use syn::{Attribute, File, parse_quote};

use super::checks::structs;
use super::syntax::wire_name;
use crate::error::{Error, Finding};
use crate::generate::document::{
    former_names, is_true, operation_pointer, operations, plain, rust_name,
};
use crate::generate::load::{Source, escape};

pub(super) fn deprecate(attributes: &mut Vec<Attribute>, described: &Value) {
    if is_true(described.get("deprecated")) {
        attributes.push(parse_quote!(#[deprecated = "the service will not have it for ever"]));
    }
}

/// Fields have the names that the description asks for by `x-rust-name`, where the generator makes a bad
/// one of the wire name.
pub(super) fn name_fields(source: &Source, types: &mut File) -> Result<(), Error> {
    let mut findings = Vec::new();
    let schemas = source
        .value
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    for (name, schema) in schemas.into_iter().flatten() {
        let Some(item) = structs(types).find(|item| plain(&item.ident.to_string()) == plain(name))
        else {
            continue;
        };
        for (property, schema) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let field = item.fields.iter_mut().find(|field| {
                let ident = field.ident.as_ref().map(ToString::to_string);
                wire_name(field)
                    .or(ident)
                    .is_some_and(|wire| wire == *property)
            });
            let Some(field) = field else { continue };
            deprecate(&mut field.attrs, schema);
            let to = rust_name(schema, "");
            if !to.is_empty() {
                if wire_name(field).is_none() {
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
                findings.push(Finding {
                    line: source.line(&format!(
                        "/components/schemas/{}/properties/{}",
                        escape(name),
                        escape(property)
                    )),
                    place: format!("schema {name} > {property}"),
                    message: format!("its field would be `{given}`; name it by `x-rust-name`"),
                });
            }
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Output(findings))
    }
}

/// Types under the names that their schemas had before: callers have a major release's time to change theirs.
pub(super) fn keep_old_types(source: &Source, types: &mut File) {
    let schemas = source
        .value
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    for (name, schema) in schemas.into_iter().flatten() {
        for old in former_names(schema) {
            let old = format_ident!("{old}");
            let item = structs(types).find(|item| plain(&item.ident.to_string()) == plain(name));
            let Some(new) = item.map(|item| item.ident.clone()) else {
                continue;
            };
            let note = format!("now `{new}`");
            types
                .items
                .push(parse_quote!(#[deprecated = #note] pub type #old = #new;));
        }
    }
}

/// Where an operation is, for errors.
pub(crate) fn line_of(source: &Source, id: &str) -> Option<u64> {
    let mut line = None;
    operations(&source.value, |path, method, operation| {
        if operation
            .get("operationId")
            .is_some_and(|other| other == id)
        {
            line = source.line(&operation_pointer(path, method));
        }
    });
    line
}
