//! Runs progenitor.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, InterfaceStyle};
use quote::quote;
use schemars::schema::{InstanceType, SchemaObject};
use serde_json::{Value, json};

use super::document::{operation_pointer, operations, reached, schemas};
use super::load::Source;
use crate::error::Error;

/// String formats that stand for hand-written types.
pub const FORMATS: [(&str, &str); 6] = [
    ("session-jwt", "crate::secret::SessionToken"),
    ("refresh-jwt", "crate::secret::RefreshToken"),
    ("magic-link-token", "crate::secret::MagicLinkToken"),
    ("access-key", "crate::secret::AccessKey"),
    ("management-key", "crate::secret::ManagementKey"),
    ("password", "crate::secret::Secret"),
];

/// The generator's output, unformatted.
///
/// # Errors
///
/// [`Error::Findings`]. The generator panics on some valid documents; the panic is caught and the
/// operation that causes it is looked for.
pub fn generate(source: &Source, document: &OpenAPI) -> Result<TokenStream, Error> {
    run(document).map_err(|message| {
        let finding = source.finding(&culprit(document).unwrap_or_default(), message);
        Error::Findings("the generator failed", vec![finding])
    })
}

thread_local! {
    static IN_GENERATOR: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics of the generator off the terminal: they are reported as errors, with the operation.
/// All other panics are printed as before.
fn silence_generator() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IN_GENERATOR.get() {
                before(info);
            }
        }));
    });
}

fn run(document: &OpenAPI) -> Result<TokenStream, String> {
    silence_generator();
    IN_GENERATOR.set(true);
    // The generator is made anew for each run, so that nothing broken is seen after a panic.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let tokens = Generator::new(&settings()).generate_tokens(document);
        tokens.map_err(|error| error.to_string())
    }));
    IN_GENERATOR.set(false);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("it panicked without a message").to_owned())
    })
}

/// The pointer to the first operation on which the generator fails when it stands alone, with the schemas it uses.
fn culprit(document: &OpenAPI) -> Option<String> {
    let whole = serde_json::to_value(document).ok()?;
    let mut found = None;
    operations(&whole, |path, method, operation| {
        if found.is_some() {
            return;
        }
        let mut alone = whole.clone();
        let used = reached(&whole, vec![operation]);
        let schemas = schemas(&whole).filter(|(name, _)| used.contains(*name));
        let schemas = schemas.map(|(name, schema)| (name.clone(), schema.clone()));
        let parts = [
            ("/paths", json!({ path: { method: operation } })),
            ("/components/schemas", Value::Object(schemas.collect())),
        ];
        for (pointer, part) in parts {
            if let Some(place) = alone.pointer_mut(pointer) {
                *place = part;
            }
        }
        if serde_json::from_value(alone).is_ok_and(|alone| run(&alone).is_err()) {
            found = Some(operation_pointer(path, method));
        }
    });
    found
}

fn settings() -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_inner_type(quote!(crate::raw::hooks::Inner))
        .with_map_type("::std::collections::BTreeMap");
    for (format, path) in FORMATS {
        let schema = SchemaObject {
            instance_type: Some(InstanceType::String.into()),
            format: Some(format.to_owned()),
            ..SchemaObject::default()
        };
        settings.with_conversion(schema, path, std::iter::empty());
    }
    settings
}
