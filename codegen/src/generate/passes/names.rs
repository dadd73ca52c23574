//! What the description says beside types and paths: names, the order of arguments, deprecation.

use quote::format_ident;
use serde_json::Value;
use syn::{Attribute, File, FnArg, Pat, parse_quote};

use super::checks::{arguments, methods, rust_name, structs};
use super::syntax::wire_name;
use crate::error::{Error, Finding};
use crate::generate::document::{is_true, operation_pointer, operations, plain};
use crate::generate::load::{Source, escape};

fn deprecate(attributes: &mut Vec<Attribute>, described: &Value) {
    if is_true(described.get("deprecated")) {
        attributes.push(parse_quote!(#[deprecated = "the service will not have it for ever"]));
    }
}

/// Methods have the arguments in an order that a new name cannot change: two of one type would change
/// places in calls that still compile.
pub(super) fn name_methods(source: &Source, client: &mut File) {
    operations(&source.value, |path, _, operation| {
        let id = operation
            .get("operationId")
            .and_then(Value::as_str)
            .unwrap_or("");
        let Some(function) = methods(client).find(|f| plain(&f.sig.ident.to_string()) == plain(id))
        else {
            return;
        };
        let order = arguments(path, operation);
        let mut inputs: Vec<FnArg> = std::mem::take(&mut function.sig.inputs)
            .into_iter()
            .collect();
        inputs.sort_by_key(|input| match input {
            FnArg::Typed(argument) => match &*argument.pat {
                Pat::Ident(name) => order
                    .iter()
                    .position(|o| *o == plain(&name.ident.to_string()))
                    .map(|at| at + 1),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        });
        function.sig.inputs = inputs.into_iter().collect();
        let name = rust_name(operation, id);
        if name != id {
            function.sig.ident = format_ident!("{name}");
        }
        deprecate(&mut function.attrs, operation);
    });
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
