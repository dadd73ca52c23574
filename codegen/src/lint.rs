//! Rules for `spec/openapi.yaml`. Each keeps the generator from panicking, the generated code from
//! refusing what the service may send, or a secret from being printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};

use crate::Error;
use crate::load::{Source, escape};
use crate::prepare::{SCHEMES, operation_pointer, operations};

/// A broken rule and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The line in the text, where it is known.
    pub line: Option<u64>,
    /// The operation or the schema concerned, and the way down from there.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// String formats that the generator turns into redacting types.
const SECRET_FORMATS: [&str; 4] = ["session-jwt", "refresh-jwt", "magic-link-token", "password"];
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
/// Parts of a property's name, in whatever case, that make it look like a secret.
const SECRET_WORDS: [&str; 21] = [
    "assertion",
    "bearer",
    "code",
    "cookie",
    "credential",
    "jwt",
    "key",
    "link",
    "nonce",
    "otp",
    "passcode",
    "passphrase",
    "password",
    "passwd",
    "pin",
    "secret",
    "seed",
    "signature",
    "ticket",
    "token",
    "verifier",
];
/// Properties that look like secrets and are none, each with the reason.
const NO_SECRETS: [(&str, &str); 12] = [
    ("cookieDomain", "an attribute of a cookie, not its value"),
    (
        "cookieExpiration",
        "an attribute of a cookie, not its value",
    ),
    ("cookieMaxAge", "an attribute of a cookie, not its value"),
    ("cookieName", "the name of a cookie, not its value"),
    ("cookiePath", "an attribute of a cookie, not its value"),
    ("errorCode", "names a kind of failure"),
    (
        "hashedPassword",
        "an object; its members are judged by themselves",
    ),
    ("keyId", "names an access key, is not one"),
    ("key_ops", "what a public key is for"),
    ("keys", "public keys"),
    (
        "sessionCookieDomain",
        "an attribute of a cookie, not its value",
    ),
    ("sessionCookieName", "the name of a cookie, not its value"),
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
    lint.keywords(&source.value, "", Kind::Document);
    lint.version();
    lint.operations();
    lint.schemas();
    if lint.findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Lint(lint.findings.into_iter().collect()))
    }
}

struct Lint<'a> {
    source: &'a Source,
    findings: BTreeSet<Finding>,
}

/// The objects of OpenAPI 3.0.3 that the description uses.
#[derive(Clone, Copy)]
enum Kind {
    Document,
    Info,
    Contact,
    License,
    Server,
    Tag,
    Paths,
    PathItem,
    Operation,
    Parameter,
    RequestBody,
    Responses,
    Response,
    Header,
    Media,
    Components,
    SecurityScheme,
    Schema,
    /// A map from free names to objects of a kind.
    MapOf(&'static Kind),
    /// A list of objects of a kind.
    ListOf(&'static Kind),
    /// A schema, or `true` or `false`.
    SchemaOrFlag,
    /// Anything: not looked into.
    Any,
}

impl Kind {
    /// The members that objects of this kind may have, by OpenAPI 3.0.3.
    fn members(self) -> &'static [(&'static str, Kind)] {
        use Kind as K;
        const fn any(name: &'static str) -> (&'static str, Kind) {
            (name, Kind::Any)
        }
        match self {
            K::Document => {
                const {
                    &[
                        any("openapi"),
                        ("info", K::Info),
                        ("servers", K::ListOf(&K::Server)),
                        ("tags", K::ListOf(&K::Tag)),
                        ("paths", K::Paths),
                        ("components", K::Components),
                        any("security"),
                    ]
                }
            }
            K::Info => {
                const {
                    &[
                        any("title"),
                        any("version"),
                        any("description"),
                        any("termsOfService"),
                        ("contact", K::Contact),
                        ("license", K::License),
                    ]
                }
            }
            K::Contact => const { &[any("name"), any("url"), any("email")] },
            K::License => const { &[any("name"), any("url")] },
            K::Server => const { &[any("url"), any("description"), any("variables")] },
            K::Tag => const { &[any("name"), any("description")] },
            K::PathItem => {
                const {
                    &[
                        ("get", K::Operation),
                        ("put", K::Operation),
                        ("post", K::Operation),
                        ("delete", K::Operation),
                        ("patch", K::Operation),
                        any("summary"),
                        any("description"),
                        any("parameters"),
                    ]
                }
            }
            K::Operation => {
                const {
                    &[
                        any("operationId"),
                        any("tags"),
                        any("summary"),
                        any("description"),
                        any("deprecated"),
                        any("security"),
                        ("parameters", K::ListOf(&K::Parameter)),
                        ("requestBody", K::RequestBody),
                        ("responses", K::Responses),
                    ]
                }
            }
            K::Parameter => {
                const {
                    &[
                        any("name"),
                        any("in"),
                        any("required"),
                        any("description"),
                        any("deprecated"),
                        ("schema", K::Schema),
                    ]
                }
            }
            K::RequestBody => {
                const {
                    &[
                        any("required"),
                        any("description"),
                        ("content", K::MapOf(&K::Media)),
                    ]
                }
            }
            K::Response => {
                const {
                    &[
                        any("$ref"),
                        any("description"),
                        ("headers", K::MapOf(&K::Header)),
                        ("content", K::MapOf(&K::Media)),
                    ]
                }
            }
            K::Header => const { &[any("description"), any("required"), ("schema", K::Schema)] },
            K::Media => const { &[("schema", K::Schema), any("example"), any("examples")] },
            K::Components => {
                const {
                    &[
                        ("schemas", K::MapOf(&K::Schema)),
                        ("responses", K::MapOf(&K::Response)),
                        ("securitySchemes", K::MapOf(&K::SecurityScheme)),
                    ]
                }
            }
            K::SecurityScheme => {
                const {
                    &[
                        any("type"),
                        any("scheme"),
                        any("bearerFormat"),
                        any("description"),
                    ]
                }
            }
            K::Schema => {
                const {
                    &[
                        any("$ref"),
                        any("type"),
                        any("format"),
                        any("title"),
                        any("description"),
                        any("deprecated"),
                        any("nullable"),
                        any("required"),
                        any("enum"),
                        any("default"),
                        any("pattern"),
                        any("minLength"),
                        any("maxLength"),
                        any("minimum"),
                        any("maximum"),
                        any("minItems"),
                        any("maxItems"),
                        any("uniqueItems"),
                        any("example"),
                        any("readOnly"),
                        any("writeOnly"),
                        ("properties", K::MapOf(&K::Schema)),
                        ("items", K::Schema),
                        ("additionalProperties", K::SchemaOrFlag),
                        ("allOf", K::ListOf(&K::Schema)),
                        ("oneOf", K::ListOf(&K::Schema)),
                        ("anyOf", K::ListOf(&K::Schema)),
                    ]
                }
            }
            K::Paths | K::Responses | K::MapOf(_) | K::ListOf(_) | K::SchemaOrFlag | K::Any => &[],
        }
    }
}

impl Lint<'_> {
    fn find(&mut self, pointer: &str, message: impl Into<String>) {
        self.findings.insert(Finding {
            line: self.source.line(pointer),
            place: self.place(pointer),
            message: message.into(),
        });
    }

    /// A pointer in words: the operation's id or the schema's name first.
    fn place(&self, pointer: &str) -> String {
        let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let parts: Vec<String> = pointer.split('/').skip(1).map(unescape).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["paths", path, method, rest @ ..] => {
                let at = operation_pointer(path, method);
                let id = self.source.value.pointer(&format!("{at}/operationId"));
                let id = id.and_then(Value::as_str).unwrap_or("operation without id");
                let name = format!("{id} ({} {path})", method.to_uppercase());
                std::iter::once(name.as_str())
                    .chain(rest.iter().copied())
                    .collect::<Vec<_>>()
                    .join(" > ")
            }
            ["components", "schemas", name, rest @ ..] => std::iter::once(format!("schema {name}"))
                .chain(
                    rest.iter()
                        .filter(|part| **part != "properties")
                        .map(|part| (*part).to_owned()),
                )
                .collect::<Vec<_>>()
                .join(" > "),
            [] => "the document".to_owned(),
            parts => parts.join(" > "),
        }
    }

    /// No member that OpenAPI does not know: readers drop those without a word.
    fn keywords(&mut self, value: &Value, pointer: &str, kind: Kind) {
        match (kind, value) {
            (Kind::Any, _) | (Kind::SchemaOrFlag, Value::Bool(_)) => {}
            (Kind::SchemaOrFlag, _) => self.keywords(value, pointer, Kind::Schema),
            (Kind::ListOf(of), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.keywords(item, &format!("{pointer}/{index}"), *of);
                }
            }
            (Kind::MapOf(of), Value::Object(members)) => {
                for (name, member) in members {
                    self.keywords(member, &format!("{pointer}/{}", escape(name)), *of);
                }
            }
            (Kind::Paths, Value::Object(members)) => {
                for (name, member) in members {
                    let pointer = format!("{pointer}/{}", escape(name));
                    if !name.starts_with('/') {
                        self.find(&pointer, "a path must start with `/`");
                    }
                    self.keywords(member, &pointer, Kind::PathItem);
                }
            }
            (Kind::Responses, Value::Object(members)) => {
                for (name, member) in members {
                    let pointer = format!("{pointer}/{}", escape(name));
                    let range = matches!(name.as_str(), "1XX" | "2XX" | "3XX" | "4XX" | "5XX");
                    let code = name.len() == 3 && name.bytes().all(|b| b.is_ascii_digit());
                    if !range && !code && name != "default" {
                        self.find(
                            &pointer,
                            format!("`{name}` is no status, range or `default`"),
                        );
                    }
                    self.keywords(member, &pointer, Kind::Response);
                }
            }
            (Kind::ListOf(_), _) => self.find(pointer, "must be a list"),
            (_, Value::Object(members)) => self.members(members, pointer, kind),
            _ => self.find(pointer, "must be an object"),
        }
    }

    fn members(&mut self, members: &Map<String, Value>, pointer: &str, kind: Kind) {
        let known = kind.members();
        for (name, member) in members {
            if name.starts_with("x-") {
                continue;
            }
            let pointer = format!("{pointer}/{}", escape(name));
            if let Some((_, kind)) = known.iter().find(|(known, _)| known == name) {
                self.keywords(member, &pointer, *kind);
                continue;
            }
            let nearest = known
                .iter()
                .map(|(known, _)| (strsim::damerau_levenshtein(known, name), *known))
                .min()
                .filter(|(distance, _)| *distance <= 3);
            let hint = nearest.map_or_else(
                || "see the OpenAPI 3.0.3 specification".to_owned(),
                |(_, known)| format!("did you mean `{known}`?"),
            );
            self.find(&pointer, format!("unknown keyword `{name}`; {hint}"));
        }
    }

    fn version(&mut self) {
        let version = self
            .source
            .value
            .get("openapi")
            .and_then(Value::as_str)
            .unwrap_or("");
        if !version.starts_with("3.0.") {
            self.find("/openapi", "must be 3.0.x; the generator reads no other");
        }
    }

    fn operations(&mut self) {
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

    fn schemas(&mut self) {
        let source = self.source;
        let schemas = source
            .value
            .pointer("/components/schemas")
            .and_then(Value::as_object);
        let in_responses = reached_from(&source.value, "responses");
        let mut referred = BTreeSet::new();
        references(
            &source.value,
            "",
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
        let mut names: BTreeMap<String, &String> = BTreeMap::new();
        for (name, schema) in schemas.into_iter().flatten() {
            let pointer = format!("/components/schemas/{}", escape(name));
            if let Some(other) = names.insert(plain(name), name) {
                self.find(
                    &pointer,
                    format!("`{name}` and `{other}` give types of the same name"),
                );
            }
            if !referred.contains(&format!("#{pointer}")) {
                self.find(&pointer, "is not used; remove it");
            }
            if schema.get("description").is_none() {
                self.find(
                    &pointer,
                    "has no description; it is the type's documentation",
                );
            }
            let place = if in_responses.contains(name) {
                Place::Response
            } else {
                Place::Request
            };
            self.component(schema, &pointer, place);
            self.schema(schema, &pointer, place);
        }
        let in_requests = reached_from(&source.value, "requestBody");
        for name in in_responses.intersection(&in_requests) {
            self.find(
                &format!("/components/schemas/{}", escape(name)),
                "is in requests and in responses; requests are strict and responses lenient, so make two of it",
            );
        }
    }

    /// A component has members by name, or is a free-form object, or a list of components: the type
    /// made of anything else would print whatever it holds. One of responses keeps what it does not know.
    fn component(&mut self, schema: &Value, pointer: &str, place: Place) {
        let additional = schema.get("additionalProperties");
        let is_open = additional.is_none_or(|values| values.is_boolean() || *values == json!({}));
        let is_good = match schema.get("type").and_then(Value::as_str) {
            Some("object") => is_open,
            Some("array") => schema.pointer("/items/$ref").is_some(),
            _ => false,
        };
        if !is_good {
            self.find(
                pointer,
                "must be an object, free-form beyond its named members, or a list of components by `$ref`",
            );
        }
        let has_properties = schema.get("properties").is_some();
        if place == Place::Response && has_properties && additional != Some(&json!({})) {
            self.find(
                pointer,
                "needs `additionalProperties: {}`, so that what is not described, or cannot be read, is kept",
            );
        }
    }

    fn schema(&mut self, schema: &Value, pointer: &str, place: Place) {
        let Some(members) = schema.as_object() else {
            return;
        };
        let in_response = place == Place::Response;
        let kind = members.get("type");
        if let Some(kind) = kind
            && !is_scalar(kind)
            && kind != "array"
            && kind != "object"
        {
            self.find(
                &format!("{pointer}/type"),
                format!(
                    "`{}` is no type of OpenAPI 3.0",
                    kind.as_str().unwrap_or("a list")
                ),
            );
        }
        // Printing would show whatever stands there, and a secret may.
        for keyword in ["allOf", "oneOf", "anyOf"] {
            if members.contains_key(keyword) {
                self.find(
                    &format!("{pointer}/{keyword}"),
                    format!("`{keyword}` is not read; {UNTYPED}"),
                );
            }
        }
        if kind.is_none() && !members.contains_key("$ref") && !is_any_member(pointer) {
            self.find(pointer, format!("has no type; {UNTYPED}"));
        }
        if kind.is_some_and(|kind| kind == "array") && !members.contains_key("items") {
            self.find(pointer, "is an array without `items`");
        }
        if members.contains_key("$ref") && members.len() > 1 {
            self.find(
                pointer,
                "has members beside `$ref`, which readers drop; describe the component instead",
            );
        }
        self.prose(schema, pointer);
        for keyword in [
            "default",
            "pattern",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "uniqueItems",
        ] {
            if members.contains_key(keyword) {
                let why = if keyword == "default" {
                    "the value would always be sent"
                } else {
                    "the generated type would refuse what the service may accept"
                };
                self.find(
                    &format!("{pointer}/{keyword}"),
                    format!("`{keyword}` is not allowed: {why}"),
                );
            }
        }
        if in_response {
            if members.contains_key("enum") {
                self.find(
                    &format!("{pointer}/enum"),
                    "`enum` in a response makes a new value fail the whole answer; name the values in the description",
                );
            }
            if members.get("additionalProperties") == Some(&Value::Bool(false)) {
                self.find(
                    pointer,
                    "`additionalProperties: false` in a response refuses new fields",
                );
            }
            if members.get("type") == Some(&json!("integer"))
                && members.get("format") != Some(&json!("int64"))
            {
                self.find(
                    pointer,
                    "a whole number in a response must be `format: int64`, or the value of another day does not fit",
                );
            }
            if members.contains_key("required") {
                self.find(pointer, "`required` in a response fails the whole answer when the service leaves it out");
            }
        }
        if let Some(format) = members.get("format").and_then(Value::as_str)
            && !FORMATS.contains(&format)
        {
            self.find(
                &format!("{pointer}/format"),
                format!("format `{format}` is not one of {}", FORMATS.join(", ")),
            );
        }
        self.secret(members, pointer);
        let properties = members.get("properties").and_then(Value::as_object);
        let mut names: BTreeMap<String, &String> = BTreeMap::new();
        for (name, property) in properties.into_iter().flatten() {
            let pointer = format!("{pointer}/properties/{}", escape(name));
            if let Some(other) = names.insert(plain(name), name) {
                self.find(
                    &pointer,
                    format!("`{name}` and `{other}` give fields of the same name"),
                );
            }
            if name.starts_with("x-") {
                self.find(
                    &pointer,
                    "begins with `x-`, which is for extensions, and would be dropped",
                );
            }
            if property.get("description").is_none() && property.get("$ref").is_none() {
                self.find(
                    &pointer,
                    "has no description; it is the field's documentation",
                );
            }
            self.inline(property, &pointer);
            self.schema(property, &pointer, place);
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(schema) = members.get(keyword) {
                let pointer = format!("{pointer}/{keyword}");
                self.inline(schema, &pointer);
                self.schema(schema, &pointer, place);
            }
        }
    }

    fn inline(&mut self, schema: &Value, pointer: &str) {
        if schema.get("properties").is_some() {
            self.find(
                pointer,
                "is an inline object; make it a component, so that its type has a name",
            );
        }
    }

    /// What looks like a secret has a redacting type, by a format that the generator recognises only
    /// on a schema that has nothing else.
    fn secret(&mut self, members: &Map<String, Value>, pointer: &str) {
        let name = pointer.rsplit('/').next().unwrap_or("");
        let is_property = pointer.rsplit('/').nth(1) == Some("properties");
        if is_secret(members) {
            let extra = members.keys().find(|key| {
                !matches!(
                    key.as_str(),
                    "type" | "format" | "description" | "x-evidence"
                )
            });
            if let Some(extra) = extra {
                self.find(
                    pointer,
                    format!("`{extra}` beside a secret format makes the type a plain String"),
                );
            }
            return;
        }
        let excused = NO_SECRETS.iter().any(|(known, _)| *known == name);
        if is_property && looks_secret(name) && !excused && !prints_nothing(members) {
            self.find(
                pointer,
                format!(
                    "`{name}` looks like a secret; make it text with `format: {}`, or list it in NO_SECRETS of \
                     codegen/src/lint.rs with a reason",
                    SECRET_FORMATS.join("`, `format: ")
                ),
            );
        }
    }

    /// Descriptions become rustdoc: no text there that rustdoc reads as code, a link or a tag.
    fn prose(&mut self, value: &Value, pointer: &str) {
        for keyword in ["summary", "description"] {
            let Some(text) = value.get(keyword).and_then(Value::as_str) else {
                continue;
            };
            let pointer = format!("{pointer}/{keyword}");
            let code = text.contains("```") || text.lines().any(|line| line.starts_with("    "));
            if code {
                self.find(
                    &pointer,
                    "has a code block, which rustdoc would run as a test",
                );
            }
            if text.contains(['[', ']']) {
                self.find(
                    &pointer,
                    "has square brackets, which rustdoc reads as a link",
                );
            }
            let without_links = text.replace("<http://", "").replace("<https://", "");
            if without_links.contains('<') {
                self.find(&pointer, "has `<`, which rustdoc reads as a tag");
            }
            if without_links.contains("http://") || without_links.contains("https://") {
                self.find(&pointer, "has a bare URL; put it between `<` and `>`");
            }
            if text.trim().is_empty() {
                self.find(&pointer, "is empty");
            }
        }
    }
}

const UNTYPED: &str = "describe a free-form object (`type: object`), which prints names only, or leave the member \
     out, so that it is kept in `extra`";

/// Whether a schema stands for the members of an object that have no names of their own.
fn is_any_member(pointer: &str) -> bool {
    pointer.ends_with("/additionalProperties")
}

/// Where a schema is used; what stands in both counts as a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Request,
    Response,
}

/// The schemas that a part of operations, `requestBody` or `responses`, leads to.
pub(crate) fn reached_from(document: &Value, part: &str) -> BTreeSet<String> {
    let mut todo: Vec<&Value> = Vec::new();
    operations(document, |_, _, operation| todo.extend(operation.get(part)));
    todo.extend(document.pointer(&format!("/components/{part}")));
    let mut reached = BTreeSet::new();
    while let Some(value) = todo.pop() {
        references(value, "", &mut |_, target| {
            let Some(name) = target.strip_prefix("#/components/schemas/") else {
                return;
            };
            if reached.insert(name.to_owned()) {
                todo.extend(document.pointer(&format!("/components/schemas/{}", escape(name))));
            }
        });
    }
    reached
}

/// A name as it is when only its words count: two that are equal then give the same Rust name.
pub(crate) fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

fn is_scalar(kind: &Value) -> bool {
    ["string", "integer", "number", "boolean"]
        .iter()
        .any(|scalar| kind == scalar)
}

fn is_secret(members: &Map<String, Value>) -> bool {
    let format = members.get("format").and_then(Value::as_str);
    format.is_some_and(|format| SECRET_FORMATS.contains(&format))
}

pub(crate) fn looks_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// Whether no value of a schema shows when it is printed: redacted text, a flag, a free-form object
/// (which prints the names of its members), and lists and maps of these.
fn prints_nothing(members: &Map<String, Value>) -> bool {
    let each = |keyword| members.get(keyword).and_then(Value::as_object);
    match members.get("type").and_then(Value::as_str) {
        Some("string") => is_secret(members),
        Some("boolean") => true,
        Some("array") => each("items").is_some_and(prints_nothing),
        Some("object") => match each("additionalProperties") {
            Some(values) if !values.is_empty() => prints_nothing(values),
            _ => !members.contains_key("properties"),
        },
        _ => false,
    }
}

/// Calls `each` with the place and the target of every `$ref` below a value.
pub(crate) fn references<'a>(value: &'a Value, pointer: &str, each: &mut dyn FnMut(&str, &'a str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => each(pointer, target),
                    _ => references(member, &format!("{pointer}/{}", escape(name)), each),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                references(item, &format!("{pointer}/{index}"), each);
            }
        }
        _ => {}
    }
}
