//! The types: names, documentation, what they print, and how requests are written.

use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, Field, File, Item, ItemEnum, ItemStruct, Meta, Type, parse_quote};

use super::syntax::{
    derives, doc_text, file_of, is_json_object, is_option, may_be_empty, structs, token_text,
    type_of,
};
use crate::error::Error;
use crate::generate::document::schemas;
use crate::generate::load::Source;

/// `null` is read as an empty list or map wherever an absent one is.
pub(super) struct Fields;

impl VisitMut for Fields {
    fn visit_field_mut(&mut self, field: &mut Field) {
        for attribute in &mut field.attrs {
            let Meta::List(list) = &mut attribute.meta else {
                continue;
            };
            let text = list.tokens.to_string();
            let has_default = text.split(',').any(|part| part.trim() == "default");
            if list.path.is_ident("serde") && has_default && !is_option(&field.ty) {
                let tokens = &list.tokens;
                let path = "crate::transport::body::null_default";
                list.tokens = quote::quote!(#tokens, deserialize_with = #path);
            }
        }
    }
}

/// The error of conversions goes where no type can fail to convert.
pub(super) fn drop_unused_error(types: &mut File) {
    let is_error = |item: &Item| matches!(item, Item::Mod(module) if module.ident == "error");
    let is_used = types
        .items
        .iter()
        .any(|item| !is_error(item) && token_text(item).contains("error::ConversionError"));
    if !is_used {
        types.items.retain(|item| !is_error(item));
    }
}

/// Members without a name in the description may hold anything, secrets among them: printing shows
/// their names alone.
pub(super) struct Redaction;

const EMPTY: &str = "crate::transport::body::is_empty";

impl VisitMut for Redaction {
    fn visit_field_mut(&mut self, field: &mut Field) {
        let is_extra = field.ident.as_ref().is_some_and(|name| name == "extra");
        self.visit_type_mut(&mut field.ty);
        if !token_text(&field.ty).starts_with("crate::transport::body::Members") {
            return;
        }
        for attribute in &mut field.attrs {
            if let Meta::List(list) = &mut attribute.meta {
                // The generator spells some paths with spaces.
                let text = list
                    .tokens
                    .to_string()
                    .replace(":: ", "::")
                    .replace(" ::", "::");
                let text = text
                    .replace("::serde_json::Map::is_empty", EMPTY)
                    .replace("::std::collections::BTreeMap::is_empty", EMPTY);
                if let Ok(tokens) = text.parse() {
                    list.tokens = tokens;
                }
            }
        }
        if is_extra {
            let docs = [
                " Members that the description does not know, or that cannot be read as it says. One that is described",
                " later moves to a field of its own, in a minor release.",
            ];
            field
                .attrs
                .splice(0..0, docs.map(|doc| parse_quote!(#[doc = #doc])));
        }
    }

    fn visit_type_mut(&mut self, node: &mut Type) {
        visit_mut::visit_type_mut(self, node);
        let text = token_text(node);
        if is_json_object(node) {
            *node = parse_quote!(crate::transport::body::Members);
        } else if text
            == "::std::collections::BTreeMap<::std::string::String,::std::string::String,>"
            || text == "::std::collections::BTreeMap<::std::string::String,::std::string::String>"
        {
            *node = parse_quote!(crate::transport::body::Members<#node>);
        }
    }
}

/// The generator derives `Default` for fewer types than could have it, and a sealed type without it
/// cannot be made outside the crate.
pub(super) fn derive_more(types: &mut File) {
    for item in structs(types) {
        let all_empty = item.fields.iter().all(|field| may_be_empty(&field.ty));
        derives(&mut item.attrs, |paths| {
            if all_empty && !paths.iter().any(|path| path.is_ident("Default")) {
                paths.push(parse_quote!(Default));
            }
            // For tests of those who work with them.
            paths.push(parse_quote!(PartialEq));
        });
    }
}

/// New fields are then no breaking change for those who use the types.
pub(super) fn seal(types: &mut File) {
    for item in &mut types.items {
        let (Item::Struct(ItemStruct { attrs, .. }) | Item::Enum(ItemEnum { attrs, .. })) = item
        else {
            continue;
        };
        attrs.push(parse_quote!(#[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]));
        attrs.push(parse_quote!(#[non_exhaustive]));
    }
}

/// A function that gives the JSON schema of each component by its name in the description.
pub(super) fn list_schemas(source: &Source, types: &mut File) -> Result<(), Error> {
    let mut entries: Vec<Expr> = Vec::new();
    for (name, _) in schemas(&source.value) {
        let ident = &type_of(types, name)?.ident;
        entries.push(parse_quote!((#name, generator.subschema_for::<#ident>())));
    }
    types.items.push(parse_quote! {
        /// The JSON schema of every type here, by the name that the description has for it.
        ///
        /// The schemas refer to each other as the generator is set up to; take the definitions from it
        /// afterwards.
        #[cfg(feature = "schemars")]
        pub fn json_schemas(
            generator: &mut ::schemars::SchemaGenerator,
        ) -> ::std::vec::Vec<(&'static str, ::schemars::Schema)> {
            vec![#(#entries),*]
        }
    });
    Ok(())
}

/// One `///` per line of a doc text, and none of the generator's own boilerplate.
pub(super) struct Docs;

impl VisitMut for Docs {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        let split = std::mem::take(attributes)
            .into_iter()
            .flat_map(|attribute| {
                let Some(text) = doc_text(&attribute) else {
                    return vec![attribute];
                };
                // The schema as JSON follows the description; the description is enough.
                let text = text.split("<details>").next().unwrap_or("").trim_end();
                text.lines()
                    .map(|line| {
                        let line = if line.is_empty() {
                            String::new()
                        } else {
                            format!(" {}", line.trim_start())
                        };
                        parse_quote!(#[doc = #line])
                    })
                    .collect()
            });
        *attributes = split.collect();
    }
}

/// Takes the content of the `types` module out, for a file of its own.
pub(super) fn lift_types(file: &mut File) -> Result<File, Error> {
    let is_it = |item: &Item| matches!(item, Item::Mod(module) if module.ident == "types");
    let types = file
        .items
        .iter()
        .position(is_it)
        .map(|at| file.items.remove(at));
    match types {
        Some(Item::Mod(syn::ItemMod {
            content: Some((_, items)),
            ..
        })) => Ok(file_of(items)),
        _ => Err(Error::Pass("it has no module `types`".to_owned())),
    }
}
