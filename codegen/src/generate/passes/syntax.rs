//! Reading and changing attributes, and telling types apart.

use quote::ToTokens;
use syn::{
    Attribute, Expr, ExprLit, Field, Fields as FieldList, File, Item, ItemStruct, Lit, Meta, Type,
};

use crate::error::Error;
use crate::generate::document::plain;

/// The paths in the `derive` of a type, for changing.
pub(super) fn derives(attributes: &mut [Attribute], change: impl FnOnce(&mut Vec<syn::Path>)) {
    for attribute in attributes {
        let Meta::List(list) = &mut attribute.meta else {
            continue;
        };
        if !list.path.is_ident("derive") {
            continue;
        }
        let parser = syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
        if let Ok(paths) = list.parse_args_with(parser) {
            let mut paths: Vec<_> = paths.into_iter().collect();
            change(&mut paths);
            list.tokens = quote::quote!(#(#paths),*);
        }
        return;
    }
}

pub(super) fn remove_derive(attributes: &mut [Attribute], name: &str) {
    derives(attributes, |paths| {
        paths.retain(|path| path.segments.last().is_none_or(|last| last.ident != name));
    });
}

/// The name of a field on the wire.
pub(super) fn wire_name(field: &Field) -> String {
    let mut found = field
        .ident
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            if let Ok(value) = meta.value()
                && let Ok(text) = value.parse::<syn::LitStr>()
                && meta.path.is_ident("rename")
            {
                found = text.value();
            }
            Ok(())
        });
    }
    found
}

pub(super) fn doc_text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = &pair.value
    else {
        return None;
    };
    pair.path.is_ident("doc").then(|| text.value())
}

pub(super) fn token_text(node: &impl ToTokens) -> String {
    node.to_token_stream().to_string().replace(' ', "")
}

pub(super) fn is_option(node: &Type) -> bool {
    token_text(node).starts_with("::std::option::Option<")
}

/// Whether a field of this type may be left out.
pub(super) fn may_be_empty(node: &Type) -> bool {
    let text = token_text(node);
    let paths = ["option::Option<", "vec::Vec<", "collections::BTreeMap<"];
    let is_std = text.strip_prefix("::std::");
    is_std.is_some_and(|rest| paths.iter().any(|path| rest.starts_with(path)))
        || text.starts_with("crate::transport::body::Members")
}

pub(super) fn is_json_object(node: &Type) -> bool {
    token_text(node).starts_with("::serde_json::Map<")
}

pub(super) fn file_of(items: Vec<Item>) -> File {
    File {
        shebang: None,
        frontmatter: None,
        attrs: Vec::new(),
        items,
    }
}

/// All types.
pub(super) fn structs(types: &mut File) -> impl Iterator<Item = &mut ItemStruct> {
    types.items.iter_mut().filter_map(|item| match item {
        Item::Struct(item) => Some(item),
        _ => None,
    })
}

/// The type made of a component.
pub(super) fn type_of<'a>(
    types: &'a mut File,
    component: &str,
) -> Result<&'a mut ItemStruct, Error> {
    structs(types)
        .find(|item| plain(&item.ident.to_string()) == plain(component))
        .ok_or_else(|| Error::Pass(format!("schema `{component}` has no struct")))
}

/// Whether a type is nothing but a free-form object.
pub(super) fn is_open(item: &ItemStruct) -> bool {
    matches!(&item.fields, FieldList::Unnamed(fields)
        if fields.unnamed.iter().all(|field| token_text(&field.ty) == "crate::transport::body::Members"))
}
