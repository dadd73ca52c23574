//! What the generator must not see is taken out, and what it cannot infer is put in.

use openapiv3::OpenAPI;
use serde_json::{Value, json};

use super::document::{items, strip};
use super::load::Source;
use crate::error::Error;

/// All security schemes, each with the string format that stands for the type of its credential. `project`
/// needs no argument: the client knows its project.
pub const SCHEMES: [(&str, Option<&str>); 5] = [
    ("project", None),
    ("refresh", Some("refresh-jwt")),
    ("session", Some("session-jwt")),
    ("accessKey", Some("access-key")),
    ("management", Some("management-key")),
];

/// The document for the generator: no extension members, no error responses (so that each arrives
/// whole), and a parameter for the credential where an operation takes one.
///
/// # Errors
///
/// [`Error::Document`] when `openapiv3` cannot read the result.
pub fn prepare(source: &Source) -> Result<OpenAPI, Error> {
    let mut document = source.value.clone();
    strip(&mut document, &|name, _| !name.starts_with("x-"));
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths
        .into_iter()
        .flatten()
        .filter_map(|(_, item)| item.as_object_mut());
    for (_, operation) in items.flatten() {
        if let Some(Value::Object(responses)) = operation.get_mut("responses") {
            responses.retain(|status, _| status.starts_with('2'));
        }
        if let Some(parameter) = credential(operation)
            && let Some(operation) = operation.as_object_mut()
            && let Value::Array(all) = operation.entry("parameters").or_insert(json!([]))
        {
            all.insert(0, parameter);
        }
    }
    serde_json::from_value(document).map_err(|error| Error::Document(error.to_string()))
}

/// The names of the security schemes that an operation takes.
pub(super) fn secured_by(operation: &Value) -> impl Iterator<Item = &str> {
    let names = items(operation, "security").filter_map(Value::as_object);
    names.flat_map(|names| names.keys().map(String::as_str))
}

/// The parameter for the `Authorization` header: required, unless the project id alone will do too.
pub(super) fn credential(operation: &Value) -> Option<Value> {
    let names: Vec<&str> = secured_by(operation).collect();
    let mut formats = SCHEMES.iter().filter(|(name, _)| names.contains(name));
    let format = formats.find_map(|(_, format)| *format)?;
    Some(json!({
        "name": "Authorization",
        "in": "header",
        "required": !names.contains(&"project"),
        "schema": { "type": "string", "format": format },
    }))
}
