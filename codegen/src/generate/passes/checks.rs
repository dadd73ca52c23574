//! The types against the description: what is described is there, under its name. Of methods, the pass that
//! makes them sees to it.
//!
//! The generator leaves out, without a word, what it cannot name twice, and a new version of it may do
//! anything.

use quote::ToTokens;
use serde_json::Value;
use syn::visit_mut::VisitMut;
use syn::{Attribute, File, ImplItem, ImplItemFn, Item, ItemStruct};

use super::syntax::{doc_text, has_attribute, token_text, wire_name};
use crate::error::{Error, Finding};
use crate::generate::document::{is_true, plain};
use crate::generate::generator::FORMATS;
use crate::generate::load::{Source, escape};

/// The methods of operations.
pub(super) fn methods(client: &mut File) -> impl Iterator<Item = &mut ImplItemFn> {
    let items = client.items.iter_mut().flat_map(|item| match item {
        Item::Impl(item) if token_text(&item.self_ty) == "Client" => item.items.as_mut_slice(),
        _ => &mut [],
    });
    items.filter_map(|item| match item {
        ImplItem::Fn(function) if token_text(&function.sig.output).starts_with("->Call<") => {
            Some(function)
        }
        _ => None,
    })
}

/// The types made of components.
pub(super) fn structs(types: &mut File) -> impl Iterator<Item = &mut ItemStruct> {
    types.items.iter_mut().filter_map(|item| match item {
        Item::Struct(item) => Some(item),
        _ => None,
    })
}

/// Compares all that was generated with the description.
pub(super) fn check(source: &Source, client: &mut File, types: &mut File) -> Result<(), Error> {
    let mut findings = Vec::new();
    let mut find = |pointer: &str, place: String, message: String| {
        findings.push(Finding {
            line: source.line(pointer),
            place,
            message,
        });
    };
    let schemas = source
        .value
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    let mut types_described = 0;
    for (name, schema) in schemas.into_iter().flatten() {
        types_described += 1;
        let pointer = format!("/components/schemas/{}", escape(name));
        let Some(item) = structs(types).find(|item| plain(&item.ident.to_string()) == plain(name))
        else {
            find(&pointer, format!("schema {name}"), "has no type".to_owned());
            continue;
        };
        if !item
            .attrs
            .iter()
            .any(|attribute| token_text(attribute).contains("Default"))
        {
            find(
                &pointer,
                format!("schema {name}"),
                "its type has no `Default`, so that nobody can make it".to_owned(),
            );
        }
        for (property, schema) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let pointer = format!("{pointer}/properties/{}", escape(property));
            let field = item.fields.iter().find(|field| {
                field.ident.as_ref().is_some_and(|ident| {
                    wire_name(field).unwrap_or_else(|| ident.to_string()) == *property
                })
            });
            let message = match field {
                None => "has no field",
                Some(field)
                    if count_secrets(schema)
                        != usize::from(token_text(&field.ty).contains("crate::secret::")) =>
                {
                    "is a secret on one side only"
                }
                // Members that nobody has named may hold anything.
                Some(field) if token_text(&field.ty).contains("serde_json::") => {
                    "would print values of any kind"
                }
                Some(field)
                    if is_true(schema.get("deprecated"))
                        != has_attribute(&field.attrs, "deprecated") =>
                {
                    "is deprecated on one side only"
                }
                Some(_) => continue,
            };
            find(
                &pointer,
                format!("schema {name} > {property}"),
                message.to_owned(),
            );
        }
    }
    if findings.is_empty() {
        let structs = structs(types).count();
        if structs != types_described {
            return Err(Error::Pass(format!(
                "{structs} types for {types_described} schemas"
            )));
        }
        leftovers(client, types)
    } else {
        Err(Error::Output(findings))
    }
}

/// What a new version of the generator may write otherwise.
fn leftovers(client: &File, types: &File) -> Result<(), Error> {
    let text = code_of(client) + &code_of(types);
    for forbidden in [
        "progenitor_client",
        "unwrap ()",
        "unsafe",
        "UnexpectedResponse",
        "try_into",
        "serde_json :: Value",
    ] {
        if text.contains(forbidden) {
            return Err(Error::Pass(format!("`{forbidden}` is left in it")));
        }
    }
    Ok(())
}

/// The code without its documentation, whose words prove nothing.
fn code_of(file: &File) -> String {
    struct NoDocs;

    impl VisitMut for NoDocs {
        fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
            attributes.retain(|attribute| doc_text(attribute).is_none());
        }
    }

    let mut file = file.clone();
    NoDocs.visit_file_mut(&mut file);
    file.to_token_stream().to_string()
}

/// The schemas below a value whose format stands for a redacting type.
fn count_secrets(value: &Value) -> usize {
    match value {
        Value::Object(members) => {
            let format = members.get("format").and_then(Value::as_str);
            let here = FORMATS.iter().any(|(name, _)| Some(*name) == format);
            usize::from(here) + members.values().map(count_secrets).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(count_secrets).sum(),
        _ => 0,
    }
}
