//! Passes over the generator's syntax tree, and printing.

mod calls;
mod checks;
mod docs;
mod names;
mod requests;
mod responses;
mod syntax;
mod types;

use proc_macro2::TokenStream;
use syn::File;
use syn::visit_mut::VisitMut;

use self::calls::make_calls;
use self::checks::check;
use self::names::{keep_old_types, name_fields};
use self::requests::{print, requests};
use self::responses::read_leniently;
use self::types::{
    Docs, Fields, Redaction, derive_more, drop_unused_error, lift_types, list_schemas, seal,
};
use super::follow::{for_emulator, request_fields};
use super::load::Source;
use super::project::{Files, HEADER};
use crate::error::Error;

/// Rewrites the generator's output for our runtime and prints it, with what else follows from the description.
///
/// # Errors
///
/// [`Error::Pass`] when the output has another form than the passes know.
pub fn finish(source: &Source, tokens: TokenStream) -> Result<Files, Error> {
    let mut file: File = syn::parse2(tokens).map_err(|error| Error::Pass(error.to_string()))?;
    Fields.visit_file_mut(&mut file);
    Docs.visit_file_mut(&mut file);
    let mut types = lift_types(&mut file)?;
    let methods = make_calls(source, &mut file)?;
    drop_unused_error(&mut types);
    Redaction.visit_file_mut(&mut types);
    name_fields(source, &mut types)?;
    read_leniently(source, &mut types)?;
    derive_more(&mut types);
    seal(&mut types);
    list_schemas(source, &mut types)?;
    docs::document(source, &methods, &mut types)?;
    check(source, &mut types)?;
    let requests = requests(source, &mut types)?;
    keep_old_types(source, &mut types)?;
    Ok(Files::from([
        (
            "src/raw/client.rs",
            format!("{HEADER}{}", prettyplease::unparse(&file)),
        ),
        (
            "src/raw/types.rs",
            format!("{HEADER}{}", print(&types, &requests)?),
        ),
        ("emulator/src/operations/openapi.json", for_emulator(source)),
        ("tests/request_types.rs", request_fields(&requests, &types)),
    ]))
}
