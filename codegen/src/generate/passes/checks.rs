//! The output against the description: what is described is there, under its name and in its order.
//!
//! The generator leaves out, without a word, what it cannot name twice, and a new version of it may do
//! anything.

use quote::ToTokens;
use serde_json::Value;
use syn::visit_mut::VisitMut;
use syn::{Attribute, File, FnArg, ImplItem, ImplItemFn, Item, ItemStruct, Pat};

use super::calls::Calls;
use super::syntax::{doc_text, has_attribute, spelt, wire_name};
use crate::error::{Error, Finding};
use crate::generate::document::{is_true, operation_pointer, operations, plain};
use crate::generate::generator::FORMATS;
use crate::generate::load::{Source, escape};
use crate::generate::prepare::credential;

/// The generated methods, by the description's operations.
pub(super) fn methods(client: &mut File) -> impl Iterator<Item = &mut ImplItemFn> {
    let items = client.items.iter_mut().flat_map(|item| match item {
        Item::Impl(item) => item.items.as_mut_slice(),
        _ => &mut [],
    });
    items.filter_map(|item| match item {
        ImplItem::Fn(function) if function.sig.asyncness.is_some() => Some(function),
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

/// The name that the operation or property asks for, or that it has.
pub(super) fn rust_name<'a>(described: &'a Value, name: &'a str) -> &'a str {
    described
        .get("x-rust-name")
        .and_then(Value::as_str)
        .unwrap_or(name)
}

/// What the arguments of an operation's method are called, in their order: the credential, what is in the
/// path, the query as it is described, the body.
pub(super) fn arguments(path: &str, operation: &Value) -> Vec<String> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let mut names: Vec<(usize, &str)> = parameters
        .into_iter()
        .flatten()
        .filter_map(|parameter| {
            let name = parameter.get("name")?.as_str()?;
            let in_path = parameter.get("in")? == "path";
            let place = path.find(&format!("{{{name}}}")).filter(|_| in_path);
            Some((place.unwrap_or(path.len()), name))
        })
        .collect();
    names.sort_by_key(|(place, _)| *place);
    let credential = credential(operation).map(|_| "authorization".to_owned());
    let body = operation.get("requestBody").map(|_| "body".to_owned());
    credential
        .into_iter()
        .chain(names.into_iter().map(|(_, name)| plain(name)))
        .chain(body)
        .collect()
}

/// The names of a method's arguments.
fn given(function: &ImplItemFn) -> Vec<String> {
    let names = function
        .sig
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Typed(argument) => match &*argument.pat {
                Pat::Ident(name) => Some(plain(&name.ident.to_string())),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        });
    names.collect()
}

/// Compares all that was generated with the description.
pub(super) fn check(
    source: &Source,
    calls: &Calls,
    client: &mut File,
    types: &mut File,
) -> Result<(), Error> {
    let mut findings = Vec::new();
    let mut find = |pointer: &str, place: String, message: String| {
        findings.push(Finding {
            line: source.line(pointer),
            place,
            message,
        });
    };
    let mut described = 0;
    operations(&source.value, |path, method, operation| {
        described += 1;
        let id = operation
            .get("operationId")
            .and_then(Value::as_str)
            .unwrap_or("");
        let pointer = operation_pointer(path, method);
        let place = || format!("operation {id}");
        let name = plain(rust_name(operation, id));
        let Some(function) =
            methods(client).find(|function| plain(&function.sig.ident.to_string()) == name)
        else {
            return find(
                &pointer,
                place(),
                "has no method; give it another operationId".to_owned(),
            );
        };
        let (given, wanted) = (given(function), arguments(path, operation));
        if given != wanted {
            let message = format!(
                "its method takes {}, and should take {}",
                given.join(", "),
                wanted.join(", ")
            );
            find(&pointer, place(), message);
        }
        let body = spelt(&function.block);
        let url = path
            .split('{')
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
        let url = format!("\"{{}}{}\"", url.collect::<Vec<_>>().join("{}"));
        if !body.contains(&url) || !body.contains(&format!(".{method}(url)")) {
            find(
                &pointer,
                place(),
                format!("its method does not send {} {path}", method.to_uppercase()),
            );
        }
        if is_true(operation.get("deprecated")) != has_attribute(&function.attrs, "deprecated") {
            find(
                &pointer,
                place(),
                "is deprecated on one side only".to_owned(),
            );
        }
    });
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
            .any(|attribute| spelt(attribute).contains("Default"))
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
                        != usize::from(spelt(&field.ty).contains("crate::secret::")) =>
                {
                    "is a secret on one side only"
                }
                // Members that nobody has named may hold anything.
                Some(field) if spelt(&field.ty).contains("serde_json::") => {
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
        leftovers(calls, described, client, types)
    } else {
        Err(Error::Output(findings))
    }
}

/// What a new version of the generator may write otherwise.
fn leftovers(calls: &Calls, described: usize, client: &File, types: &File) -> Result<(), Error> {
    let Calls {
        methods,
        version_headers,
        successes,
        unexpected,
        builds,
    } = calls;
    for (what, found) in [
        ("methods", methods),
        ("api-version headers", version_headers),
        ("successes", successes),
        ("unexpected responses", unexpected),
        ("request builds", builds),
    ] {
        if *found != described {
            return Err(Error::Pass(format!(
                "{what}: {found} for {described} operations"
            )));
        }
    }
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
    if client.items.iter().any(|item| matches!(item, Item::Fn(_))) {
        return Err(Error::Pass("it has free functions".to_owned()));
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
