//! The types, at the end, against the description: who reads it can make them, and they print no secret.

use syn::File;

use super::syntax::{token_text, type_of, wire_name};
use crate::error::{Error, OUTPUT};
use crate::generate::document::{members, schema_pointer, schemas, text, visit};
use crate::generate::generator::FORMATS;
use crate::generate::load::{Source, escape};

/// Compares what was generated with the description.
pub(super) fn check(source: &Source, types: &mut File) -> Result<(), Error> {
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
    Error::of(OUTPUT, findings)
}
