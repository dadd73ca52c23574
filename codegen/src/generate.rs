//! Runs progenitor.

use std::panic::{AssertUnwindSafe, catch_unwind};

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle};
use quote::quote;
use schemars::schema::{InstanceType, SchemaObject};

use crate::Error;

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
/// [`Error::Generator`]. The generator panics on some valid documents; the panic is caught and the
/// operation that causes it is looked for.
pub fn generate(document: &OpenAPI) -> Result<TokenStream, Error> {
    run(document).map_err(|message| Error::Generator {
        operation: culprit(document),
        message,
    })
}

fn run(document: &OpenAPI) -> Result<TokenStream, String> {
    let settings = settings();
    // The generator is made anew for each run, so that nothing broken is seen after a panic.
    catch_unwind(AssertUnwindSafe(|| {
        Generator::new(&settings)
            .generate_tokens(document)
            .map_err(|error| error.to_string())
    }))
    .unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("it panicked without a message").to_owned())
    })
}

/// The first operation on which the generator fails when it stands alone.
fn culprit(document: &OpenAPI) -> Option<String> {
    for (path, item) in &document.paths.paths {
        for (method, operation) in item.as_item()?.iter() {
            let mut alone = document.clone();
            alone.paths.paths.retain(|other, _| other == path);
            if run(&alone).is_err() {
                let name = operation.operation_id.clone().unwrap_or_default();
                return Some(format!("{name} ({} {path})", method.to_uppercase()));
            }
        }
    }
    None
}

fn settings() -> GenerationSettings {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::hooks::Inner))
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
