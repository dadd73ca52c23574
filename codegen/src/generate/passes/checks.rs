//! The types, at the end, against the description: who reads it can make them, and they print no secret.

use quote::ToTokens;
use syn::visit_mut::VisitMut;
use syn::{Attribute, File};

use super::syntax::{doc_text, token_text, type_of, wire_name};
use crate::error::{Error, OUTPUT};
use crate::generate::document::{members, schema_pointer, schemas, text, visit};
use crate::generate::generator::FORMATS;
use crate::generate::load::{Source, escape};

/// Compares what was generated with the description.
pub(super) fn check(source: &Source, client: &File, types: &mut File) -> Result<(), Error> {
    let mut findings = Vec::new();
    for (name, schema) in schemas(&source.value) {
        let (item, pointer) = (type_of(types, name)?, schema_pointer(name));
        if !item
            .attrs
            .iter()
            .any(|attribute| token_text(attribute).contains("Default"))
        {
            let message = "its type has no `Default`, so that nobody can make it";
            findings.push(source.finding(&pointer, message));
        }
        for field in &item.fields {
            let property = wire_name(field);
            let Some((_, schema)) =
                members(schema, "properties").find(|(name, _)| **name == property)
            else {
                continue;
            };
            let (of, mut secrets) = (token_text(&field.ty), 0);
            visit(schema, "", &mut |_, value| {
                let format = text(value, "format");
                secrets += usize::from(FORMATS.iter().any(|(name, _)| *name == format));
                true
            });
            let message = if secrets != usize::from(of.contains("crate::secret::")) {
                "is a secret on one side only"
            } else if of.contains("serde_json::") {
                // Members that nobody has named may hold anything.
                "would print values of any kind"
            } else {
                continue;
            };
            let pointer = format!("{pointer}/properties/{}", escape(&property));
            findings.push(source.finding(&pointer, message));
        }
    }
    Error::of(OUTPUT, findings)?;
    leftovers(client, types)
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
