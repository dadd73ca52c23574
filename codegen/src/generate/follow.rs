//! What else follows from the description: the emulator's copy of it, and a list of all that requests can
//! say, for the tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::document::{is_machine_read, strip};
use super::load::Source;
use super::project::HEADER;

/// The description without what only people read, as JSON.
pub(super) fn for_emulator(source: &Source) -> String {
    let mut value = source.value.clone();
    strip(&mut value, &is_machine_read);
    format!("{value}\n")
}

/// Each type that a request consists of, with its fields.
pub(super) fn request_fields(requests: &BTreeSet<String>, types: &syn::File) -> String {
    let mut text = format!("{HEADER}request_types! {{\n");
    for item in &types.items {
        let syn::Item::Struct(item) = item else {
            continue;
        };
        let name = item.ident.to_string();
        if requests.contains(&name) {
            let fields = item.fields.iter().filter_map(|field| field.ident.as_ref());
            let fields: Vec<String> = fields.map(|ident| format!("        {ident},\n")).collect();
            let _ = writeln!(text, "    {name} {{\n{}    }}", fields.concat());
        }
    }
    text + "}\n"
}
