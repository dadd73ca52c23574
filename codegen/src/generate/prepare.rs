//! What the generator must not see is taken out, and what it cannot infer is put in.

use openapiv3::OpenAPI;
use serde_json::{Value, json};

use super::document::strip;
use super::load::Source;
use crate::error::Error;

/// A security scheme of the description and the Rust type of the credential it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// The scheme's name in the description.
    pub name: &'static str,
    /// The string format that stands for the type, or `None` when the project id suffices.
    pub format: Option<&'static str>,
}

/// All schemes. `project` needs no argument: the client knows its project.
pub const SCHEMES: [Scheme; 5] = [
    Scheme {
        name: "project",
        format: None,
    },
    Scheme {
        name: "refresh",
        format: Some("refresh-jwt"),
    },
    Scheme {
        name: "session",
        format: Some("session-jwt"),
    },
    Scheme {
        name: "accessKey",
        format: Some("access-key"),
    },
    Scheme {
        name: "management",
        format: Some("management-key"),
    },
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
    for (_, item) in paths.into_iter().flatten() {
        let Some(item) = item.as_object_mut() else {
            continue;
        };
        for (_, operation) in item.iter_mut() {
            if let Some(responses) = operation
                .get_mut("responses")
                .and_then(Value::as_object_mut)
            {
                responses.retain(|status, _| status.starts_with('2'));
            }
            if let Some(parameter) = credential(operation)
                && let Some(operation) = operation.as_object_mut()
            {
                let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
                if let Some(parameters) = parameters.as_array_mut() {
                    parameters.insert(0, parameter);
                }
            }
        }
    }
    serde_json::from_value(document).map_err(|error| Error::Document(error.to_string()))
}

/// The parameter for the `Authorization` header: required, unless the project id alone will do too.
pub(super) fn credential(operation: &Value) -> Option<Value> {
    let names: Vec<&str> = operation
        .get("security")?
        .as_array()?
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|requirement| requirement.keys().map(String::as_str))
        .collect();
    let format = SCHEMES
        .iter()
        .find(|scheme| scheme.format.is_some() && names.contains(&scheme.name))?
        .format?;
    Some(json!({
        "name": "Authorization",
        "in": "header",
        "required": !names.contains(&"project"),
        "schema": { "type": "string", "format": format },
    }))
}
