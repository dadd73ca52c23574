//! Types of responses are read leniently, member by member.

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;
use syn::{Fields as FieldList, File, Item, parse_quote};

use super::syntax::{is_open, is_option, remove_derive, token_text, type_of, wire_name};
use crate::error::Error;
use crate::generate::document::{is_true, reached_from, schema_pointer};
use crate::generate::load::Source;

/// Wire names in capitals that the Go SDK reads in lower case: both are taken.
const ALIASES: [(&str, &str); 5] = [
    ("OAuth", "oauth"),
    ("OIDC", "oidc"),
    ("SAML", "saml"),
    ("SCIM", "scim"),
    ("TOTP", "totp"),
];

/// Types of responses are read member by member: what cannot be read as described is left in `extra`,
/// where it is written from as it came. Lists and maps are optional, so that an empty one and none are
/// two things.
pub(super) fn read_leniently(source: &Source, types: &mut File) -> Result<(), Error> {
    let (mut readers, mut names) = (Vec::new(), Vec::new());
    for name in reached_from(&source.value, "responses") {
        let schema = source
            .value
            .pointer(&schema_pointer(&name))
            .unwrap_or(&Value::Null);
        let wrapper = schema.get("x-wrapped").and_then(Value::as_str);
        let optional = is_true(schema.get("x-optional-body"));
        let optional = optional.then(|| {
            quote!(
                const OPTIONAL_BODY: bool = true;
            )
        });
        let item = type_of(types, &name)?;
        remove_derive(&mut item.attrs, "Deserialize");
        readers.push(match &item.fields {
            FieldList::Named(_) => read_members(item, wrapper, optional.as_ref())?,
            _ => read_whole(item, wrapper.unwrap_or_default(), optional.as_ref())?,
        });
        names.push(item.ident.clone());
    }
    readers.push(parse_quote!(crate::transport::body::deserialize_leniently!(#(#names),*);));
    types.items.append(&mut readers);
    Ok(())
}

fn read_members(
    item: &mut syn::ItemStruct,
    wrapper: Option<&str>,
    optional: Option<&TokenStream>,
) -> Result<Item, Error> {
    let mut readers = Vec::new();
    for field in &mut item.fields {
        let Some(ident) = field.ident.clone() else {
            continue;
        };
        if ident == "extra" {
            continue;
        }
        if !is_option(&field.ty) {
            let of = &field.ty;
            field.ty = parse_quote!(::std::option::Option<#of>);
        }
        let name = wire_name(field);
        field
            .attrs
            .retain(|attribute| !attribute.path().is_ident("serde"));
        let rename = (ident != name.as_str()).then(|| quote!(rename = #name,));
        field.attrs.push(parse_quote!(
            #[serde(#rename skip_serializing_if = "::std::option::Option::is_none")]
        ));
        let alias = ALIASES.iter().find(|(of, _)| *of == name);
        let alias = alias.map(|(_, alias)| quote!(| #alias));
        readers.push(quote!(#name #alias => self.#ident = object.take(&name)?));
    }
    if readers.len() + 1 != item.fields.len() {
        return Err(Error::Pass(format!("`{}` has no `extra`", item.ident)));
    }
    let wrapper = wrapper.map(|wrapper| {
        quote! {
            const WRAPPER: ::std::option::Option<&'static str> =
                ::std::option::Option::Some(#wrapper);
        }
    });
    let ident = &item.ident;
    Ok(parse_quote! {
        impl crate::transport::body::FromMembers for #ident {
            #optional
            #wrapper
            fn read<'de, A: ::serde::de::MapAccess<'de>>(
                &mut self,
                name: ::std::borrow::Cow<'de, str>,
                object: &mut crate::transport::body::Object<'_, A>,
            ) -> ::std::result::Result<(), A::Error> {
                match &*name {
                    #(#readers,)*
                    _ => object.keep(name)?,
                }
                Ok(())
            }
            fn extra(&mut self) -> &mut crate::transport::body::Members {
                &mut self.extra
            }
        }
    })
}

/// A list, or a free-form object, and nothing around it.
fn read_whole(
    item: &syn::ItemStruct,
    wrapper: &str,
    optional: Option<&TokenStream>,
) -> Result<Item, Error> {
    let ident = &item.ident;
    let is_list = matches!(&item.fields, FieldList::Unnamed(fields)
        if fields.unnamed.iter().all(|field| token_text(&field.ty).starts_with("::std::vec::Vec<")));
    if is_list {
        return Ok(parse_quote! {
            impl crate::transport::body::FromJson for #ident {
                const EXPECTED: &'static str = "a list of objects";
                #optional
                fn from_list<'de, A: ::serde::de::SeqAccess<'de>>(
                    items: A,
                    skipped: &mut crate::transport::body::Skipped,
                ) -> ::std::result::Result<crate::transport::body::Read<Self>, A::Error> {
                    Ok(crate::transport::body::list(items, skipped)?.map(Self))
                }
                fn from_object<'de, A: ::serde::de::MapAccess<'de>>(
                    members: A,
                    skipped: &mut crate::transport::body::Skipped,
                ) -> ::std::result::Result<crate::transport::body::Read<Self>, A::Error> {
                    Ok(crate::transport::body::wrapped_list(members, #wrapper, skipped)?.map(Self))
                }
            }
        });
    }
    if !is_open(item) {
        return Err(Error::Pass(format!("`{ident}` is no list and no object")));
    }
    Ok(parse_quote! {
        impl crate::transport::body::FromJson for #ident {
            #optional
            fn from_object<'de, A: ::serde::de::MapAccess<'de>>(
                members: A,
                _: &mut crate::transport::body::Skipped,
            ) -> ::std::result::Result<crate::transport::body::Read<Self>, A::Error> {
                Ok(Ok(Self(crate::transport::body::members(members, #wrapper)?)))
            }
        }
    })
}
