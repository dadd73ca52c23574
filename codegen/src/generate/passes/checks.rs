//! What must hold for every output, so that a new version of the generator cannot change it unseen.

use quote::ToTokens;
use syn::visit_mut::VisitMut;
use syn::{Attribute, File, Item, ItemFn};

use super::calls::Calls;
use super::syntax::{doc_text, spelt};
use crate::error::Error;
use crate::generate::generator::FORMATS;
use crate::generate::load::Source;

/// What must hold for every output, so that a new version of the generator cannot change it unseen.
pub(super) fn check(calls: &Calls, client: &File, types: &File) -> Result<(), Error> {
    let expect = |what: &str, found: usize| {
        if found == calls.methods {
            return Ok(());
        }
        Err(Error::Pass(format!(
            "{what}: {found} for {} methods",
            calls.methods
        )))
    };
    expect("api-version headers", calls.version_headers)?;
    expect("successes", calls.successes)?;
    expect("unexpected responses", calls.unexpected)?;
    expect("request builds", calls.builds)?;
    let text = code_of(client) + &code_of(types);
    for forbidden in [
        "progenitor_client",
        "unwrap ()",
        "unsafe",
        "UnexpectedResponse",
        "try_into",
    ] {
        if text.contains(forbidden) {
            return Err(Error::Pass(format!("`{forbidden}` is left in it")));
        }
    }
    let public_free_functions = client
        .items
        .iter()
        .any(|item| matches!(item, Item::Fn(ItemFn { .. })));
    if public_free_functions {
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

/// No field is left whose type prints values of members that nobody has named.
pub(super) fn check_printing(types: &File) -> Result<(), Error> {
    for item in &types.items {
        let Item::Struct(item) = item else { continue };
        for field in &item.fields {
            if spelt(&field.ty).contains("serde_json::") {
                let name = field.ident.as_ref().map(ToString::to_string);
                return Err(Error::Pass(format!(
                    "`{}.{}` would print values of any kind",
                    item.ident,
                    name.unwrap_or_default()
                )));
            }
        }
    }
    Ok(())
}

/// As many fields have a redacting type as the description asks for. Any keyword beside a format
/// makes the generator use a plain `String`, without a word.
pub(super) fn check_secrets(source: &Source, types: &File) -> Result<(), Error> {
    let schemas = source.value.pointer("/components/schemas");
    let schemas = schemas.and_then(serde_json::Value::as_object);
    let asked: usize = schemas
        .into_iter()
        .flat_map(|schemas| schemas.values())
        .map(count_secrets)
        .sum();
    let fields = types.items.iter().filter_map(|item| match item {
        Item::Struct(item) => Some(&item.fields),
        _ => None,
    });
    let given = fields
        .flat_map(|fields| fields.iter())
        .filter(|field| spelt(&field.ty).contains("crate::secret::"))
        .count();
    if asked == given {
        return Ok(());
    }
    Err(Error::Pass(format!(
        "{given} fields have a redacting type, and the description asks for {asked}"
    )))
}

/// The schemas below a value whose format stands for a redacting type.
fn count_secrets(value: &serde_json::Value) -> usize {
    use serde_json::Value;
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
