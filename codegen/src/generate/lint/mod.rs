//! Rules for `spec/openapi.yaml`. Each keeps the generator from panicking, the generated code from
//! refusing what the service may send, or a secret from being printed.
//!
//! What one part of the description shows by itself is in `profile.yaml`, a JSON Schema; here is what
//! takes two parts.

pub(crate) mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Value, json};

use self::secrets::{looks_secret, prints_nothing, secret};
use super::document::{
    former_names, operation_pointer, operations, plain, reached_from, references, rust_name,
};
use super::load::{Source, escape};
use super::prepare::SCHEMES;
use crate::error::{Error, Finding};

/// All formats that may stand in the description.
pub(crate) const FORMATS: [&str; 7] = [
    "int32",
    "int64",
    "uint32",
    "session-jwt",
    "refresh-jwt",
    "magic-link-token",
    "password",
];

/// Methods of the client that no operation makes.
const TAKEN: [&str; 11] = [
    "authorize",
    "call",
    "clone",
    "exec",
    "license",
    "new",
    "request",
    "self",
    "sendobserved",
    "withheader",
    "withtimeout",
];

/// Types that the bindings name by one word.
const TYPES: [&str; 8] = [
    "btreemap", "box", "default", "option", "result", "self", "string", "vec",
];

/// Fields of other members, and functions that a type has beside the setters of its fields.
const OF_ALL: [&str; 5] = ["clone", "default", "extra", "member", "new"];

/// Other arguments of the method, and methods that each call has.
const OTHERS: [&str; 17] = [
    "accesskey",
    "authorization",
    "authorized",
    "body",
    "change",
    "credential",
    "described",
    "header",
    "json",
    "managementkey",
    "new",
    "query",
    "refreshtoken",
    "response",
    "send",
    "sessiontoken",
    "withbody",
];

/// Checks a description against all rules.
///
/// # Errors
///
/// [`Error::Lint`] with every finding, in the order of the lines.
pub fn lint(source: &Source) -> Result<(), Error> {
    let mut lint = Lint {
        source,
        findings: BTreeSet::new(),
    };
    let [document, any, of_response] = RULES
        .as_ref()
        .map_err(|error| Error::Document(error.clone()))?;
    document.check(&mut lint, "", &source.value);
    let schemas = source
        .value
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    let in_responses = reached_from(&source.value, "responses");
    for (name, schema) in schemas.into_iter().flatten() {
        let rules = if in_responses.contains(name) {
            of_response
        } else {
            any
        };
        rules.check(&mut lint, &schema_pointer(name), schema);
    }
    lint.operations();
    lint.schemas(&in_responses);
    if lint.findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Lint(lint.findings.into_iter().collect()))
    }
}

fn schema_pointer(name: &str) -> String {
    format!("/components/schemas/{}", escape(name))
}

/// One definition of the profile.
struct Rules {
    schema: Value,
    validator: jsonschema::Validator,
}

/// For the whole, and for components of requests and of responses.
static RULES: LazyLock<Result<[Rules; 3], String>> = LazyLock::new(|| {
    let profile =
        super::load::value(include_str!("profile.yaml")).map_err(|error| error.to_string())?;
    let of = |name| {
        let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": profile.get("$defs") });
        let validator = jsonschema::draft202012::new(&schema);
        let validator = validator.map_err(|error| format!("the profile: {error}"))?;
        Ok::<_, String>(Rules { schema, validator })
    };
    Ok([of("document")?, of("component")?, of("ofResponse")?])
});

impl Rules {
    /// Judges the part of the description that stands at a place.
    fn check(&self, lint: &mut Lint<'_>, at: &str, part: &Value) {
        for error in self.validator.iter_errors(part) {
            let pointer = format!("{at}{}", error.instance_path());
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    for name in unexpected {
                        let message =
                            format!("unknown keyword `{name}`; {}", self.nearest(&error, name));
                        lint.find(&format!("{pointer}/{}", escape(name)), message);
                    }
                }
                ValidationErrorKind::PropertyNames { error } => {
                    let name = error.instance().as_str().unwrap_or_default();
                    let said = self.said(error).unwrap_or("is not allowed");
                    lint.find(
                        &format!("{pointer}/{}", escape(name)),
                        format!("`{name}` {said}"),
                    );
                }
                _ => lint.find(
                    &pointer,
                    self.said(&error)
                        .map_or_else(|| error.to_string(), str::to_owned),
                ),
            }
        }
    }

    /// The description beside the rule that is broken, or not far above it.
    fn said(&self, error: &ValidationError<'_>) -> Option<&str> {
        let path = error.schema_path().to_string();
        let mut holders = path
            .rmatch_indices('/')
            .filter_map(|(at, _)| path.get(..at))
            .take(3);
        holders.find_map(|holder| self.schema.pointer(holder)?.get("description")?.as_str())
    }

    fn nearest(&self, error: &ValidationError<'_>, name: &str) -> String {
        let path = error.schema_path().to_string();
        let holder = path.rsplit_once('/').map_or("", |(holder, _)| holder);
        let known = self
            .schema
            .pointer(&format!("{holder}/properties"))
            .and_then(Value::as_object);
        let known = known.into_iter().flat_map(|known| known.keys());
        match known
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .min()
        {
            Some((..=3, known)) => format!("did you mean `{known}`?"),
            _ => "see the OpenAPI 3.0.3 specification".to_owned(),
        }
    }
}

struct Lint<'a> {
    source: &'a Source,
    findings: BTreeSet<Finding>,
}

impl Lint<'_> {
    fn find(&mut self, pointer: &str, message: impl Into<String>) {
        self.findings.insert(self.source.finding(pointer, message));
    }

    fn operations(&mut self) {
        let source = self.source;
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        operations(&source.value, |path, method, operation| {
            let pointer = operation_pointer(path, method);
            let id = operation.get("operationId").and_then(Value::as_str);
            let name = rust_name(operation, id.unwrap_or_default());
            let of = format!("{pointer}/operationId");
            for name in std::iter::once(name).chain(former_names(operation)) {
                if let Some(other) = ids.insert(plain(name), name.to_owned()) {
                    let message = format!("`{name}` and `{other}` give methods of the same name");
                    self.find(&of, message);
                }
                if TAKEN.contains(&plain(name).as_str()) {
                    let message = format!(
                        "`{name}` is a method that the client has already; give it an `x-rust-name`"
                    );
                    self.find(&of, message);
                }
            }
            self.names(operation, &pointer);
            self.security(operation, &pointer);
            self.parameters(path, operation, &pointer);
        });
    }

    /// Names that the description gives, if they can be some.
    fn names(&mut self, described: &Value, pointer: &str) {
        for (keyword, name) in described
            .get("x-rust-name")
            .and_then(Value::as_str)
            .map(|name| ("x-rust-name", name))
            .into_iter()
            .chain(former_names(described).map(|name| ("x-formerly", name)))
        {
            if plain(name).is_empty() || syn::parse_str::<syn::Ident>(name).is_err() {
                let pointer = format!("{pointer}/{keyword}");
                self.find(&pointer, format!("`{name}` cannot be a name in Rust"));
            }
        }
    }

    fn parameters(&mut self, path: &str, operation: &Value, pointer: &str) {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let (mut in_path, mut names) = (BTreeSet::new(), BTreeMap::new());
        for (index, parameter) in parameters.into_iter().flatten().enumerate() {
            let pointer = format!("{pointer}/parameters/{index}");
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or("");
            self.names(parameter, &pointer);
            let argument = plain(rust_name(parameter, name));
            let is_other = OTHERS.contains(&argument.as_str());
            if let Some(other) = names.insert(argument, name) {
                self.find(
                    &pointer,
                    format!("`{name}` and `{other}` give arguments of the same name"),
                );
            }
            if is_other {
                self.find(
                    &pointer,
                    format!(
                        "`{name}` is the name of another argument of the method, or of a method of its call; \
                         give it an `x-rust-name`"
                    ),
                );
            }
            if parameter.get("in").is_some_and(|place| place == "path") {
                in_path.insert(name);
                if !path.contains(&format!("{{{name}}}")) {
                    self.find(&pointer, format!("the path has no `{{{name}}}`"));
                }
            }
            let schema = parameter.get("schema").and_then(Value::as_object);
            if looks_secret(name) && !schema.is_some_and(prints_nothing) {
                self.find(
                    &pointer,
                    format!("`{name}` looks like a secret; URLs end up in logs"),
                );
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
        let requirements = operation
            .get("security")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let pointer = format!("{pointer}/security");
        let mut credentials = 0;
        for name in requirements
            .filter_map(Value::as_object)
            .flat_map(|requirement| requirement.keys())
        {
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
        if credentials > 1 {
            self.find(
                &pointer,
                "names more than one scheme beside `project`; a method takes one credential",
            );
        }
    }

    fn schemas(&mut self, in_responses: &BTreeSet<String>) {
        let source = self.source;
        let mut referred = BTreeSet::new();
        references(
            &source.value,
            &mut |pointer, target| match target.strip_prefix('#') {
                Some(local) if source.value.pointer(local).is_some() => {
                    referred.insert(target.to_owned());
                }
                Some(_) => self.find(pointer, format!("`{target}` does not exist")),
                None => self.find(
                    pointer,
                    format!("`{target}` is in another file; the generator reads one"),
                ),
            },
        );
        let schemas = source
            .value
            .pointer("/components/schemas")
            .and_then(Value::as_object);
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        for (name, schema) in schemas.into_iter().flatten() {
            let pointer = schema_pointer(name);
            self.names(schema, &pointer);
            for name in std::iter::once(name.as_str()).chain(former_names(schema)) {
                if let Some(other) = names.insert(plain(name), name) {
                    self.find(
                        &pointer,
                        format!("`{name}` and `{other}` give types of the same name"),
                    );
                }
                if TYPES.contains(&plain(name).as_str()) {
                    self.find(
                        &pointer,
                        format!("`{name}` is a type that the bindings name"),
                    );
                }
            }
            if !referred.contains(&format!("#{pointer}")) {
                self.find(&pointer, "is not used; remove it");
            }
            self.schema(schema, &pointer);
        }
        for name in reached_from(&source.value, "requestBody").intersection(in_responses) {
            self.find(
                &schema_pointer(name),
                "is in requests and in responses; requests are strict and responses lenient, so make two of it",
            );
        }
    }

    fn schema(&mut self, schema: &Value, pointer: &str) {
        let Some(members) = schema.as_object() else {
            return;
        };
        let mut names: BTreeMap<String, &String> = BTreeMap::new();
        for (name, property) in members
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let pointer = format!("{pointer}/properties/{}", escape(name));
            self.names(property, &pointer);
            let field = plain(rust_name(property, name));
            let is_of_all = OF_ALL.contains(&field.as_str());
            if let Some(other) = names.insert(field, name) {
                self.find(
                    &pointer,
                    format!("`{name}` and `{other}` give fields of the same name"),
                );
            }
            if is_of_all {
                self.find(
                    &pointer,
                    "is the name of the field for all other members, or of a function that each type has; leave it out, \
                     or give it an `x-rust-name`",
                );
            }
            let message = property
                .as_object()
                .and_then(|members| secret(name, members));
            message
                .into_iter()
                .for_each(|message| self.find(&pointer, message));
            self.schema(property, &pointer);
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(schema) = members.get(keyword) {
                self.schema(schema, &format!("{pointer}/{keyword}"));
            }
        }
    }
}
