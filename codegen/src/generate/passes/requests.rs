//! Types that requests consist of: a macro gives them setters, and a place for what is not described.

use std::collections::BTreeSet;

use syn::{Fields, File, Item, ItemStruct, Meta, parse_quote};

use super::syntax::{doc_text, file_of, may_be_empty, token_text, type_of};
use crate::error::Error;
use crate::generate::document::reached_from;
use crate::generate::load::Source;

/// Spellings that the generator has for what the file imports, or what every file knows.
const SHORTER: [(&str, &str); 6] = [
    // Within attributes.
    (" :: ", "::"),
    ("::std::option::Option", "Option"),
    ("::std::string::String", "String"),
    ("::std::vec::Vec", "Vec"),
    ("::std::collections::BTreeMap", "BTreeMap"),
    ("::std::result::Result", "Result"),
];

/// Makes the types fit for the macro `request`, and names them.
pub(super) fn requests(source: &Source, types: &mut File) -> Result<BTreeSet<String>, Error> {
    let mut requests = BTreeSet::new();
    for name in reached_from(&source.value, "requestBody") {
        let item = type_of(types, &name)?;
        if matches!(item.fields, Fields::Named(_)) {
            open(item)?;
            requests.insert(item.ident.to_string());
        }
    }
    Ok(requests)
}

fn open(item: &mut ItemStruct) -> Result<(), Error> {
    // Nothing is unknown where all is kept.
    item.attrs.retain(|attribute| {
        !matches!(&attribute.meta, Meta::List(list)
            if list.path.is_ident("serde") && list.tokens.to_string() == "deny_unknown_fields")
    });
    for field in &mut item.fields {
        // In the order that the macro reads them in.
        field.attrs.sort_by_key(|attribute| match () {
            () if doc_text(attribute).is_some() => 0,
            () if attribute.path().is_ident("serde") => 1,
            () if attribute.path().is_ident("doc") => 2,
            () => 3,
        });
        let of = token_text(&field.ty);
        if of == "crate::transport::body::Members" {
            field.ty = parse_quote!(
                crate::transport::body::Members<::serde_json::Map<String, ::serde_json::Value>>
            );
        } else if !may_be_empty(&field.ty) {
            let message = format!("a field of `{}` is of the type `{of}`", item.ident);
            return Err(Error::Pass(message));
        }
    }
    Ok(())
}

/// The file as text, with those types in the macro that completes them.
pub(super) fn print(types: &File, requests: &BTreeSet<String>) -> Result<String, Error> {
    let mut types = types.clone();
    let import = parse_quote!(
        use std::collections::BTreeMap;
    );
    types.items.insert(0, import);
    let mut text = String::new();
    for item in types.items {
        let is_request =
            matches!(&item, Item::Struct(item) if requests.contains(&item.ident.to_string()));
        let printed = shorter(&file_of(vec![item]))?;
        if is_request {
            text.push_str("request! {\n");
            for line in printed.lines() {
                text.push_str(&format!("    {line}\n"));
            }
            text.push_str("}\n");
        } else {
            text.push_str(&printed);
        }
    }
    Ok(text)
}

/// Printed with the shorter spellings, so that what fits into one line stands on one.
fn shorter(file: &File) -> Result<String, Error> {
    let long = prettyplease::unparse(file);
    let text = SHORTER
        .iter()
        .fold(long, |text, (long, short)| text.replace(long, short));
    let file = syn::parse_file(&text).map_err(|error| Error::Pass(error.to_string()))?;
    Ok(prettyplease::unparse(&file))
}
