//! The keywords of OpenAPI 3.0.3.

use serde_json::{Map, Value};

use super::Lint;
use crate::generate::load::escape;

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
    /// No member that OpenAPI does not know: readers drop those without a word.
    pub(super) fn document(&mut self) {
        let source = self.source;
        self.keywords(&source.value, "", Kind::Document);
    }

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
}
