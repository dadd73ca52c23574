//! Rules for operations: names, parameters, credentials, requests and responses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Lint;
use super::schemas::{Place, is_scalar};
use super::secrets::{looks_secret, prints_nothing};
use crate::generate::document::{operation_pointer, operations, plain};
use crate::generate::load::escape;
use crate::generate::prepare::SCHEMES;

impl Lint<'_> {
    pub(super) fn operations(&mut self) {
        let source = self.source;
        let paths = source.value.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            if item.get("parameters").is_some() {
                self.find(
                    &format!("/paths/{}/parameters", escape(path)),
                    "parameters of a path are not read; give them to each operation",
                );
            }
        }
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        operations(&source.value, |path, method, operation| {
            let pointer = operation_pointer(path, method);
            match operation.get("operationId").and_then(Value::as_str) {
                None => self.find(
                    &pointer,
                    "has no operationId; it names the generated method",
                ),
                Some(id) => {
                    if let Some(other) = ids.insert(plain(id), id.to_owned()) {
                        self.find(
                            &format!("{pointer}/operationId"),
                            format!("`{id}` and `{other}` give methods of the same name"),
                        );
                    }
                }
            }
            for text in ["summary", "description"] {
                if operation.get(text).is_none() {
                    self.find(
                        &pointer,
                        format!("has no {text}; it is the method's documentation"),
                    );
                }
            }
            self.prose(operation, &pointer);
            if operation.get("x-evidence").is_none() {
                self.find(&pointer, "has no x-evidence; say where its facts come from");
            }
            self.security(operation, &pointer);
            self.request(operation, &pointer);
            self.responses(operation, &pointer);
            self.parameters(path, operation, &pointer);
        });
    }

    fn parameters(&mut self, path: &str, operation: &Value, pointer: &str) {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let mut in_path = BTreeSet::new();
        for (index, parameter) in parameters.into_iter().flatten().enumerate() {
            let pointer = format!("{pointer}/parameters/{index}");
            if parameter.get("description").is_none() {
                self.find(&pointer, "has no description");
            }
            self.prose(parameter, &pointer);
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or("");
            match parameter.get("in").and_then(Value::as_str) {
                Some("path") => {
                    in_path.insert(name);
                    if !path.contains(&format!("{{{name}}}")) {
                        self.find(&pointer, format!("the path has no `{{{name}}}`"));
                    }
                    if parameter.get("required") != Some(&Value::Bool(true)) {
                        self.find(&pointer, "must be `required: true`, as it is in the path");
                    }
                }
                Some("query") => {}
                _ => self.find(
                    &pointer,
                    "must be in the path or the query; headers come from `security`",
                ),
            }
            match parameter.get("schema").and_then(Value::as_object) {
                Some(schema) if schema.get("$ref").is_none() => {
                    if looks_secret(name) && !prints_nothing(schema) {
                        self.find(
                            &pointer,
                            format!("`{name}` looks like a secret; URLs end up in logs"),
                        );
                    }
                    if !schema.get("type").is_some_and(is_scalar) {
                        self.find(
                            &pointer,
                            "must be a string, an integer, a number or a boolean",
                        );
                    }
                    let pointer = format!("{pointer}/schema");
                    self.schema(&Value::Object(schema.clone()), &pointer, Place::Request);
                }
                _ => self.find(&pointer, "must have its `schema` in place"),
            }
        }
        let wanted = path
            .split('{')
            .skip(1)
            .filter_map(|part| part.split('}').next());
        for name in wanted.filter(|name| !in_path.contains(name)) {
            self.find(
                pointer,
                format!("has no parameter for `{{{name}}}` of its path"),
            );
        }
    }

    fn security(&mut self, operation: &Value, pointer: &str) {
        let Some(requirements) = operation.get("security").and_then(Value::as_array) else {
            self.find(
                pointer,
                "has no `security`; write `security: []` when it needs none",
            );
            return;
        };
        let pointer = format!("{pointer}/security");
        let mut credentials = 0;
        for requirement in requirements.iter().filter_map(Value::as_object) {
            if requirement.len() != 1 {
                self.find(
                    &pointer,
                    "each alternative must name one scheme; a request has one Authorization header",
                );
            }
            for name in requirement.keys() {
                match SCHEMES.iter().find(|scheme| scheme.name == name) {
                    Some(scheme) => credentials += usize::from(scheme.format.is_some()),
                    None => self.find(
                        &pointer,
                        format!("no credential is known for scheme `{name}`"),
                    ),
                }
                let declared = self.source.value.pointer("/components/securitySchemes");
                if declared.and_then(|schemes| schemes.get(name)).is_none() {
                    self.find(&pointer, format!("scheme `{name}` is not in components"));
                }
            }
        }
        if credentials > 1 {
            self.find(
                &pointer,
                "names more than one scheme beside `project`; a method takes one credential",
            );
        }
    }

    fn request(&mut self, operation: &Value, pointer: &str) {
        let Some(body) = operation.get("requestBody") else {
            return;
        };
        let pointer = format!("{pointer}/requestBody");
        if body.get("required") != Some(&Value::Bool(true)) {
            self.find(
                &pointer,
                "must be `required: true`; the generator always asks for it",
            );
        }
        self.content(body, &pointer);
    }

    fn responses(&mut self, operation: &Value, pointer: &str) {
        let pointer = format!("{pointer}/responses");
        let Some(responses) = operation.get("responses").and_then(Value::as_object) else {
            self.find(&pointer, "has no responses");
            return;
        };
        if responses.contains_key("default") {
            self.find(
                &format!("{pointer}/default"),
                "`default` counts as a success for the generator; describe errors as 4XX and 5XX",
            );
        }
        let successes: Vec<_> = responses
            .iter()
            .filter(|(status, _)| status.starts_with('2'))
            .collect();
        match successes.as_slice() {
            [(status, response)] if *status != "2XX" => {
                // Without content, the call has no result and its body is not read.
                if response.get("content").is_some() {
                    self.content(response, &format!("{pointer}/{status}"));
                }
            }
            _ => self.find(
                &pointer,
                "must have exactly one success, with a fixed status such as 200",
            ),
        }
    }

    fn content(&mut self, holder: &Value, pointer: &str) {
        let content = holder.get("content").and_then(Value::as_object);
        let only_json = content.is_some_and(|content| content.keys().eq(["application/json"]));
        let reference = holder.pointer("/content/application~1json/schema/$ref");
        if !only_json {
            self.find(pointer, "must have `application/json` as its only content");
        } else if reference.is_none() {
            self.find(
                pointer,
                "must refer to a component by `$ref`, so that its type has a name",
            );
        }
    }
}
