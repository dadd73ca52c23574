//! Requests checked against the API description.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, JsonType, Validator};
use serde_json::{Map, Value, json};

use super::table::Operation;
use crate::error::ApiError;

/// The API description as JSON, without its prose.
const DESCRIPTION: &str = include_str!("openapi.json");

static PARSED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(DESCRIPTION).unwrap_or_default());

type Validators = HashMap<&'static str, Option<Arc<Validator>>>;

/// Validators by operation id, made when first needed: most runs use few operations.
static VALIDATORS: LazyLock<Mutex<Validators>> = LazyLock::new(Mutex::default);

/// Refuses a body whose known members have wrong types; unknown members pass.
pub(super) fn check(operation: &Operation, body: &Map<String, Value>) -> Result<(), ApiError> {
    let validator = {
        let mut known = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(operation.id)
            .or_insert_with(|| build(operation).map(Arc::new))
            .clone()
    };
    let Some(validator) = validator else {
        return Ok(());
    };
    let body = Value::Object(body.clone());
    let found = validator.iter_errors(&body).next().map(|error| {
        let place = error
            .instance_path()
            .as_str()
            .trim_start_matches('/')
            .replace('/', ".");
        // The value itself stays out of the message: it may be a token.
        format!("The field {place} {}", complaint(error.kind()))
    });
    found.map_or(Ok(()), |message| Err(ApiError::wrong_shape(message)))
}

fn complaint(kind: &ValidationErrorKind) -> String {
    match kind {
        ValidationErrorKind::Type {
            kind: TypeKind::Single(wanted),
        } => format!("must be {}", name(*wanted)),
        ValidationErrorKind::Enum { options } => format!("must be one of {options}"),
        other => format!("is not as the API description says ({})", other.keyword()),
    }
}

fn name(wanted: JsonType) -> &'static str {
    match wanted {
        JsonType::String => "a string",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::Array => "an array",
        JsonType::Null => "null",
    }
}

/// The validator of an operation's request body; none when the description has no body for it.
fn build(operation: &Operation) -> Option<Validator> {
    let mut root = PARSED.clone();
    let method = operation.verb.as_str().to_ascii_lowercase();
    let schema = root
        .get("paths")?
        .get(operation.path)?
        .get(method)?
        .get("requestBody")?
        .get("content")?
        .get("application/json")?
        .get("schema")?
        .clone();
    let mut schemas = root.get_mut("components")?.get_mut("schemas")?.take();
    open(&mut schemas);
    let document = json!({ "allOf": [schema], "components": { "schemas": schemas } });
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(false)
        .build(&document)
        .ok()
}

/// The service ignores members that it does not know, so no schema may forbid them.
fn open(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                members.remove("additionalProperties");
            }
            members.values_mut().for_each(open);
        }
        Value::Array(items) => items.iter_mut().for_each(open),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::table::OPERATIONS;

    fn operation(id: &str) -> &'static Operation {
        OPERATIONS.iter().find(|known| known.id == id).unwrap()
    }

    fn refused(id: &str, body: &Value) -> Option<String> {
        check(operation(id), body.as_object().unwrap())
            .err()
            .map(|refused| refused.message)
    }

    #[test]
    fn every_described_body_has_a_validator() {
        for operation in OPERATIONS {
            let method = operation.verb.as_str().to_ascii_lowercase();
            let described = !PARSED["paths"][operation.path][&method]["requestBody"].is_null();
            assert_eq!(build(operation).is_some(), described, "{}", operation.id);
        }
    }

    #[test]
    fn wrong_types_are_named_without_their_value() {
        let id = "SignInMagicLinkEmail";
        assert_eq!(
            refused(
                id,
                &json!({ "loginId": "a", "unknown": 1, "loginOptions": {} })
            ),
            None
        );
        let message = refused(id, &json!({ "loginOptions": { "pkceChallenge": 42 } })).unwrap();
        assert_eq!(
            message,
            "The field loginOptions.pkceChallenge must be a string"
        );
        let message = refused(
            id,
            &json!({ "loginOptions": { "templateOptions": { "a": true } } }),
        )
        .unwrap();
        assert_eq!(
            message,
            "The field loginOptions.templateOptions.a must be a string"
        );
        assert_eq!(
            refused(
                id,
                &json!({ "loginOptions": { "customClaims": { "n": 1, "deep": { "b": true } } } })
            ),
            None
        );
        assert_eq!(refused("ValidateSession", &json!({ "more": 1 })), None);
        assert_eq!(refused("Me", &json!({ "anything": 1 })), None);
    }
}
