//! Rules for `spec/openapi.yaml`. Each keeps the generator from panicking, the generated code from
//! refusing what the service may send, or a secret from being printed.
//!
//! What one part of the description shows by itself is in `profile.yaml`, a JSON Schema; here is what
//! takes two parts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Value, json};

use super::document::{
    former_names, has_word, items, members, operation_pointer, operations, plain, reached_from,
    references, rust_name, schema_pointer, schemas, text,
};
use super::load::{Source, escape};
use super::prepare::{SCHEMES, secured_by};
use crate::error::{Error, Finding};

/// Methods of the client that no operation makes.
const TAKEN: &str =
    "authorize call clone exec license new request self sendobserved withheader withtimeout";

/// Types that the bindings name by one word.
const TYPES: &str = "btreemap box default option result self string vec";

/// Fields of other members, and functions that a type has beside the setters of its fields.
const OF_ALL: &str = "clone default extra member new";

/// Other arguments of the method, and methods that each call has.
const OTHERS: &str = "accesskey authorization authorized body change credential described header json \
    managementkey new query refreshtoken response send sessiontoken withbody";

/// Checks a description against all rules.
///
/// # Errors
///
/// [`Error::Findings`] with every finding, in the order of the lines.
pub fn lint(source: &Source) -> Result<(), Error> {
    let mut lint = Lint {
        source,
        findings: BTreeSet::new(),
    };
    let [document, any, of_response, ..] = RULES
        .as_ref()
        .map_err(|error| Error::Document(error.clone()))?;
    document.check(&mut lint, "", &source.value);
    let in_responses = reached_from(&source.value, "responses");
    for (name, schema) in schemas(&source.value) {
        let is_of_response = in_responses.contains(name);
        let rules = if is_of_response { of_response } else { any };
        rules.check(&mut lint, &schema_pointer(name), schema);
    }
    lint.operations();
    lint.schemas(&in_responses);
    Error::of(
        "spec/openapi.yaml breaks rules",
        lint.findings.into_iter().collect(),
    )
}

/// Whether a member of this name must not be printed, and would be if it is described so.
pub(crate) fn prints_secret(name: &str, schema: &Value) -> bool {
    let member = json!({ name: schema });
    RULES
        .as_ref()
        .is_ok_and(|[.., secrets, _]| !secrets.validator.is_valid(&member))
}

/// Whether a parameter of this name puts a secret into the URL.
fn shows_secret(name: &str, schema: &Value) -> bool {
    let parameter = json!({ name: schema });
    RULES
        .as_ref()
        .is_ok_and(|[.., in_url]| !in_url.validator.is_valid(&parameter))
}

/// One definition of the profile.
struct Rules {
    schema: Value,
    validator: jsonschema::Validator,
}

/// For the whole, for components of requests and of responses, and for what looks like a secret, as a member
/// and in a URL.
static RULES: LazyLock<Result<[Rules; 5], String>> = LazyLock::new(|| {
    let profile =
        super::load::value(include_str!("profile.yaml")).map_err(|error| error.to_string())?;
    let of = |name| {
        let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": profile.get("$defs") });
        let validator = jsonschema::options()
            .with_format("rust-name", |name| {
                !plain(name).is_empty() && syn::parse_str::<syn::Ident>(name).is_ok()
            })
            .with_format("security-scheme", |name| {
                SCHEMES.iter().any(|(known, _)| *known == name)
            })
            .should_validate_formats(true)
            .build(&schema);
        let validator = validator.map_err(|error| format!("the profile: {error}"))?;
        Ok::<_, String>(Rules { schema, validator })
    };
    Ok([
        of("document")?,
        of("component")?,
        of("ofResponse")?,
        of("secrets")?,
        of("inUrl")?,
    ])
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
                kind => {
                    let said = self
                        .said(&error)
                        .map_or_else(|| error.to_string(), str::to_owned);
                    let name = error.instance().as_str();
                    let name = name.filter(|_| matches!(kind, ValidationErrorKind::Format { .. }));
                    let name = name.map(|name| format!("`{name}` ")).unwrap_or_default();
                    lint.find(&pointer, name + &said);
                }
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

    /// Takes the name that `described` has in Rust among those of its kind; what is in `reserved` nobody may
    /// have.
    fn take(
        &mut self,
        names: &mut BTreeMap<String, String>,
        (name, described): (&str, &Value),
        (kind, reserved): (&str, &str),
        (pointer, message): (&str, &str),
    ) {
        let in_rust = plain(rust_name(described, name));
        if has_word(reserved, &in_rust) {
            self.find(pointer, format!("`{name}` {message}"));
        }
        if let Some(other) = names.insert(in_rust, name.to_owned()) {
            self.find(
                pointer,
                format!("`{name}` and `{other}` give {kind} of the same name"),
            );
        }
    }

    fn operations(&mut self) {
        let source = self.source;
        let mut methods = BTreeMap::new();
        operations(&source.value, |path, method, operation| {
            let pointer = operation_pointer(path, method);
            let name = rust_name(operation, text(operation, "operationId"));
            let of = format!("{pointer}/operationId");
            let message = "is a method that the client has already; give it an `x-rust-name`";
            for name in std::iter::once(name).chain(former_names(operation)) {
                self.take(
                    &mut methods,
                    (name, &Value::Null),
                    ("methods", TAKEN),
                    (&of, message),
                );
            }
            let declared = source.value.pointer("/components/securitySchemes");
            for name in secured_by(operation) {
                if declared.and_then(|schemes| schemes.get(name)).is_none() {
                    let message = format!("scheme `{name}` is not in components");
                    self.find(&format!("{pointer}/security"), message);
                }
            }
            self.parameters(path, operation, &pointer);
        });
    }

    fn parameters(&mut self, path: &str, operation: &Value, pointer: &str) {
        let (mut in_path, mut arguments) = (BTreeSet::new(), BTreeMap::new());
        let message = "is the name of another argument of the method, or of a method of its call; give it an \
                       `x-rust-name`";
        for (index, parameter) in items(operation, "parameters").enumerate() {
            let pointer = format!("{pointer}/parameters/{index}");
            let wire = text(parameter, "name");
            self.take(
                &mut arguments,
                (wire, parameter),
                ("arguments", OTHERS),
                (&pointer, message),
            );
            if text(parameter, "in") == "path" {
                in_path.insert(wire);
                if !path.contains(&format!("{{{wire}}}")) {
                    self.find(&pointer, format!("the path has no `{{{wire}}}`"));
                }
            }
            if shows_secret(wire, parameter.get("schema").unwrap_or(&Value::Null)) {
                let message = format!("`{wire}` looks like a secret; URLs end up in logs");
                self.find(&pointer, message);
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

    fn schemas(&mut self, in_responses: &BTreeSet<String>) {
        let document = &self.source.value;
        let mut referred = BTreeSet::new();
        references(
            document,
            &mut |pointer, target| match target.strip_prefix('#') {
                Some(local) if document.pointer(local).is_some() => {
                    referred.insert(local.to_owned());
                }
                Some(_) => self.find(pointer, format!("`{target}` does not exist")),
                None => {
                    let message = format!("`{target}` is in another file; the generator reads one");
                    self.find(pointer, message);
                }
            },
        );
        let mut types = BTreeMap::new();
        for (name, schema) in schemas(document) {
            let pointer = schema_pointer(name);
            for name in std::iter::once(name.as_str()).chain(former_names(schema)) {
                let message = "is a type that the bindings name";
                self.take(
                    &mut types,
                    (name, &Value::Null),
                    ("types", TYPES),
                    (&pointer, message),
                );
            }
            if !referred.contains(&pointer) {
                self.find(&pointer, "is not used; remove it");
            }
            let mut fields = BTreeMap::new();
            let message = "is the name of the field for all other members, or of a function that each type has; leave \
                           it out, or give it an `x-rust-name`";
            for (name, property) in members(schema, "properties") {
                let pointer = format!("{pointer}/properties/{}", escape(name));
                self.take(
                    &mut fields,
                    (name, property),
                    ("fields", OF_ALL),
                    (&pointer, message),
                );
            }
        }
        for name in reached_from(document, "requestBody").intersection(in_responses) {
            self.find(
                &schema_pointer(name),
                "is in requests and in responses; requests are strict and responses lenient, so make two of it",
            );
        }
    }
}
