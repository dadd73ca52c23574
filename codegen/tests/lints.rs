//! Each rule for the description stops a document that breaks it, and names the place.

use descope_magiclink_codegen::generate::{generator, lint, load, prepare, project};
use descope_magiclink_codegen::{Error, bindings};
use serde_json::json;

/// A small description that keeps all rules.
const GOOD: &str = include_str!("small.yaml");

/// A rule, how to break it (this text, replaced by that one), and what the error must say.
struct Case {
    rule: &'static str,
    replace: &'static str,
    by: &'static str,
    says: &'static [&'static str],
}

const fn case(
    rule: &'static str,
    replace: &'static str,
    by: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case {
        rule,
        replace,
        by,
        says,
    }
}

const MASKED: &str = "{type: string, description: The address.}";
const LOGIN_ID: &str = "{type: string, description: The user.}";
const SENT: &str = "schema: {$ref: \"#/components/schemas/SendLinkResponse\"}";

const CASES: &[Case] = &[
    case(
        "misspelt keyword of an operation",
        "operationId: SendLink",
        "operationID: SendLink",
        &[
            "line 22: ",
            "POST /v1/auth/magiclink/signin/email",
            "unknown keyword `operationID`; did you mean `operationId`?",
        ],
    ),
    case(
        "misspelt keyword of a schema",
        "properties:\n        kid",
        "propertes:\n        kid",
        &["schema Key > propertes", "did you mean `properties`?"],
    ),
    case(
        "keyword that nothing resembles",
        "      description: Keys.\n      additionalProperties",
        "      description: Keys.\n      patternProperties: {}\n      additionalProperties",
        &["schema KeySet", "`patternProperties`"],
    ),
    case(
        "key that stands twice",
        "info: {title: Small, version: \"1\"}",
        "info: {title: Small, version: \"1\"}\ninfo: {title: Other, version: \"2\"}",
        &["duplicate", "line 3"],
    ),
    case(
        "not YAML",
        "paths:",
        "paths: [",
        &["cannot be read", "line"],
    ),
    case(
        "status that is none",
        "\"200\":\n          description: Sent.",
        "\"20O\":\n          description: Sent.",
        &[
            "SendLink (POST /v1/auth/magiclink/signin/email) > responses > 20O",
            "`20O` is no status",
        ],
    ),
    case(
        "OpenAPI 3.1",
        "openapi: 3.0.3",
        "openapi: 3.1.0",
        &["line 1: openapi: must be 3.0.x"],
    ),
    case(
        "type list of OpenAPI 3.1",
        MASKED,
        "{type: [string, \"null\"], description: The address.}",
        &[
            "SendLinkResponse > masked > type",
            "is no type of OpenAPI 3.0",
        ],
    ),
    case(
        "misspelt type",
        MASKED,
        "{type: strng, description: The address.}",
        &[
            "SendLinkResponse > masked > type",
            "is no type of OpenAPI 3.0",
        ],
    ),
    case(
        "success beside a default response",
        "4XX: {$ref: \"#/components/responses/Error\"}",
        "default: {$ref: \"#/components/responses/Error\"}",
        &[
            "SendLink (POST /v1/auth/magiclink/signin/email) > responses > default",
            "`default` is no status",
        ],
    ),
    case(
        "two successes",
        "        4XX:",
        "        \"202\": {$ref: \"#/components/responses/Error\"}\n        4XX:",
        &["SendLink", "exactly one success"],
    ),
    case(
        "range of successes",
        "\"200\":\n          description: Sent.",
        "2XX:\n          description: Sent.",
        &["SendLink", "`2XX` is no status"],
    ),
    case(
        "no operation id",
        "      operationId: SendLink\n",
        "",
        &[
            "operation without id (POST /v1/auth/magiclink/signin/email)",
            "\"operationId\" is a required",
        ],
    ),
    case(
        "operation ids that collide",
        "operationId: SendLink",
        "operationId: get_keys",
        &["`GetKeys` and `get_keys` give methods of the same name"],
    ),
    case(
        "properties that collide",
        "masked: {type",
        "masked_: {type: string, description: Same.}\n        masked: {type",
        &["give fields of the same name"],
    ),
    case(
        "schemas that collide",
        "    SendLinkResponse:\n",
        "    send_link_request: {type: object, description: Same.}\n    SendLinkResponse:\n",
        &["give types of the same name"],
    ),
    case(
        "no summary",
        "      summary: Send\n",
        "",
        &["SendLink", "\"summary\" is a required"],
    ),
    case(
        "no evidence",
        "      x-evidence: [docs]\n      requestBody",
        "      requestBody",
        &["SendLink", "\"x-evidence\" is a required"],
    ),
    case(
        "property without description",
        MASKED,
        "{type: string}",
        &["SendLinkResponse > masked", "has no description"],
    ),
    case(
        "code block in a description",
        "description: Sends a link.",
        "description: |-\n        Sends a link.\n\n            let x = 1;",
        &["SendLink", "> description", "has a code block"],
    ),
    case(
        "fenced code in a description",
        MASKED,
        "{type: string, description: \"```x```\"}",
        &[
            "SendLinkResponse > masked > description",
            "has a code block",
        ],
    ),
    case(
        "brackets in a description",
        "description: Sends a link.",
        "description: \"Sends [a link].\"",
        &["square brackets"],
    ),
    case(
        "tag in a description",
        "description: Sends a link.",
        "description: Sends <b>a link</b>.",
        &["has `<`"],
    ),
    case(
        "bare URL in a description, behind a good one",
        "description: Sends a link.",
        "description: See <https://a.example> and https://b.example.",
        &["has a bare URL"],
    ),
    case(
        "empty description",
        MASKED,
        "{type: string, description: \"\"}",
        &["SendLinkResponse > masked > description", "is empty"],
    ),
    case(
        "path without a slash",
        "  /v1/auth/magiclink/signin/email:",
        "  v1/links:",
        &["paths > v1/links", "must start with `/`"],
    ),
    case(
        "list in place of an object",
        "description: One key.\n",
        "description: One key.\n      items: [1]\n",
        &["schema Key > items", "is not of type \"object\""],
    ),
    case(
        "no security",
        "      security: []\n",
        "",
        &[
            "GetKeys (GET /v1/keys/{projectId})",
            "\"security\" is a required",
        ],
    ),
    case(
        "unknown security scheme",
        "- refresh: []",
        "- cookie: []",
        &[
            "SendLink (POST /v1/auth/magiclink/signin/email) > security",
            "`cookie` is a scheme for which no credential is known",
            "scheme `cookie` is not in components",
        ],
    ),
    case(
        "two credentials",
        "- refresh: []",
        "- refresh: []\n        - session: []",
        &["a method takes one credential"],
    ),
    case(
        "two schemes at once",
        "- project: []\n        - refresh: []",
        "- project: []\n          refresh: []",
        &["each alternative must name one scheme"],
    ),
    case(
        "header parameter",
        "{name: certs, in: query",
        "{name: certs, in: header",
        &[
            "GetKeys",
            "> parameters > 1",
            "headers come from `security`",
        ],
    ),
    case(
        "parameters of a path",
        "  /v1/auth/magiclink/signin/email:\n",
        "  /v1/auth/magiclink/signin/email:\n    parameters: []\n",
        &[
            "/v1/auth/magiclink/signin/email",
            "give them to each operation",
        ],
    ),
    case(
        "path without its parameter",
        "/v1/keys/{projectId}",
        "/v1/keys/{projectId}/{kid}",
        &["GetKeys", "has no parameter for `{kid}`"],
    ),
    case(
        "parameter without its path",
        "/v1/keys/{projectId}",
        "/v1/keys/all",
        &["> parameters > 0", "the path has no `{projectId}`"],
    ),
    case(
        "optional parameter in the path",
        "in: path, required: true",
        "in: path, required: false",
        &["> parameters > 0", "must be `required: true`"],
    ),
    case(
        "secret in the query by a name that a member may have",
        "{name: certs, in: query, description: Whether to add certificates., schema: {type: boolean}}",
        "{name: hashedPassword, in: query, description: X., schema: {type: string}}",
        &["> parameters > 1", "URLs end up in logs"],
    ),
    case(
        "key in the query",
        "{name: certs, in: query, description: Whether to add certificates., schema: {type: boolean}}",
        "{name: keyId, in: query, description: X., schema: {type: string}}",
        &["> parameters > 1", "URLs end up in logs"],
    ),
    case(
        "redacted secret in the query",
        "{name: certs, in: query, description: Whether to add certificates., schema: {type: boolean}}",
        "{name: loginToken, in: query, description: X., schema: {type: string, format: password}}",
        &["> parameters > 1", "URLs end up in logs"],
    ),
    case(
        "secret in the query by its format",
        "{name: certs, in: query, description: Whether to add certificates., schema: {type: boolean}}",
        "{name: login, in: query, description: X., schema: {type: string, format: session-jwt}}",
        &["> parameters > 1", "URLs end up in logs"],
    ),
    case(
        "secret in the query",
        "{name: certs, in: query, description: Whether to add certificates., schema: {type: boolean}}",
        "{name: token, in: query, description: A token., schema: {type: string}}",
        &["> parameters > 1", "URLs end up in logs"],
    ),
    case(
        "object in the query",
        "schema: {type: boolean}",
        "schema: {type: object}",
        &["> parameters > 1", "must be a string"],
    ),
    case(
        "optional request body",
        "      requestBody:\n        required: true",
        "      requestBody:\n        required: false",
        &["SendLink", "> requestBody", "must be `required: true`"],
    ),
    case(
        "request that is no JSON",
        "        required: true\n        content:\n          application/json:",
        "        required: true\n        content:\n          application/x-www-form-urlencoded:",
        &["> requestBody", "`application/json` as its only content"],
    ),
    case(
        "response that is no JSON",
        "          description: Sent.\n          content:\n            application/json:",
        "          description: Sent.\n          content:\n            text/plain:",
        &[
            "> responses > 200",
            "`application/json` as its only content",
        ],
    ),
    case(
        "response in place",
        SENT,
        "schema: {type: object}",
        &["> responses > 200", "must refer to a component"],
    ),
    case(
        "inline object",
        MASKED,
        "{type: object, description: X., properties: {a: {type: string, description: A.}}}",
        &["SendLinkResponse > masked", "is an inline object"],
    ),
    case(
        "inline object in a list",
        "items: {$ref: \"#/components/schemas/Key\"}",
        "items: {type: object, properties: {k: {$ref: \"#/components/schemas/Key\"}}}",
        &["KeySet > keys > items", "is an inline object"],
    ),
    case(
        "list without items",
        MASKED,
        "{type: array, description: X.}",
        &["SendLinkResponse > masked", "is an array without `items`"],
    ),
    case(
        "member beside a reference",
        "items: {$ref: \"#/components/schemas/Key\"}",
        "items: {$ref: \"#/components/schemas/Key\", description: X.}",
        &["KeySet > keys > items", "members beside `$ref`"],
    ),
    case(
        "reference to nothing",
        "schema: {$ref: \"#/components/schemas/SendLinkResponse\"}",
        "schema: {$ref: \"#/components/schemas/SendLinkResult\"}",
        &["`#/components/schemas/SendLinkResult` does not exist"],
    ),
    case(
        "reference to another file",
        "schema: {$ref: \"#/components/schemas/SendLinkResponse\"}",
        "schema: {$ref: \"other.yaml#/SendLinkResponse\"}",
        &["`other.yaml#/SendLinkResponse` is in another file"],
    ),
    case(
        "unused component",
        "    ErrorResponse:\n",
        "    Unused: {type: object, description: Nothing.}\n    ErrorResponse:\n",
        &["schema Unused", "is not used"],
    ),
    case(
        "enum in a response",
        MASKED,
        "{type: string, enum: [a], description: The address.}",
        &[
            "SendLinkResponse > masked > enum",
            "makes a new value fail the whole response",
        ],
    ),
    case(
        "required in a response",
        "      description: Sent.\n      additionalProperties",
        "      description: Sent.\n      required: [masked]\n      additionalProperties",
        &[
            "schema SendLinkResponse",
            "is not allowed, for a response may lack anything",
        ],
    ),
    case(
        "closed object in a response",
        "      description: Sent.\n      additionalProperties: {}",
        "      description: Sent.\n      additionalProperties: false",
        &["schema SendLinkResponse", "must not be false"],
    ),
    case(
        "default",
        LOGIN_ID,
        "{type: string, default: x, description: The user.}",
        &[
            "SendLinkRequest > loginId > default",
            "would always be sent",
        ],
    ),
    case(
        "pattern",
        LOGIN_ID,
        "{type: string, pattern: x, description: The user.}",
        &[
            "SendLinkRequest > loginId > pattern",
            "refuse what the service may accept",
        ],
    ),
    case(
        "length",
        LOGIN_ID,
        "{type: string, maxLength: 1, description: The user.}",
        &["SendLinkRequest > loginId > maxLength"],
    ),
    case(
        "format that pulls in a crate",
        LOGIN_ID,
        "{type: string, format: date-time, description: The user.}",
        &["SendLinkRequest > loginId > format", "must be int32, int64"],
    ),
    case(
        "secret as plain text",
        "loginId: {",
        "resetToken: {type: string, description: X.}\n        loginId: {",
        &["SendLinkRequest > resetToken", "looks like a secret"],
    ),
    case(
        "secrets as a list of plain text",
        "loginId: {",
        "apiKeys: {type: array, description: X., items: {type: string}}\n        loginId: {",
        &["SendLinkRequest > apiKeys", "looks like a secret"],
    ),
    case(
        "secrets as a map of plain text",
        "loginId: {",
        "secrets: {type: object, description: X., additionalProperties: {type: string}}\n        loginId: {",
        &["SendLinkRequest > secrets", "looks like a secret"],
    ),
    case(
        "secret behind a reference",
        "How often.}\n    ErrorResponse:\n",
        "How often.}\n        linkToken: {$ref: \"#/components/schemas/Plain\"}\n    \
         Plain: {type: string, description: X.}\n    ErrorResponse:\n",
        &["SendLinkResponse > linkToken", "looks like a secret"],
    ),
    case(
        "secret that is no text",
        MASKED,
        "{type: string, description: The address.}\n        pin: {type: integer, format: int64, description: X.}",
        &["SendLinkResponse > pin", "looks like a secret"],
    ),
    case(
        "secret as an object with members",
        "How often.}\n    ErrorResponse:\n",
        "How often.}\n        newToken: {$ref: \"#/components/schemas/Inner\"}\n    \
         Inner: {type: object, description: X., additionalProperties: {}, properties: {value: {type: string, \
         description: X.}}}\n    ErrorResponse:\n",
        &["SendLinkResponse > newToken", "looks like a secret"],
    ),
    case(
        "secrets as a list of whatever",
        MASKED,
        "{type: array, description: X., items: {}}",
        &["SendLinkResponse > masked > items", "has no type"],
    ),
    case(
        "member of any type",
        MASKED,
        "{description: X.}",
        &[
            "SendLinkResponse > masked",
            "has no type",
            "kept in `extra`",
        ],
    ),
    case(
        "alternatives",
        MASKED,
        "{description: X., oneOf: [{type: string}, {type: integer}]}",
        &["SendLinkResponse > masked > oneOf", "is not read"],
    ),
    case(
        "component that is text",
        "    ErrorResponse:\n",
        "    Text: {type: string, description: X.}\n    ErrorResponse:\n",
        &["schema Text", "must be an object, free-form"],
    ),
    case(
        "component that is a list of text",
        "    ErrorResponse:\n",
        "    Texts: {type: array, description: X., items: {type: string}}\n    ErrorResponse:\n",
        &["schema Texts", "a list of components by `$ref`"],
    ),
    case(
        "component that is a map of text",
        "    ErrorResponse:\n",
        "    Texts: {type: object, description: X., additionalProperties: {type: string}}\n    ErrorResponse:\n",
        &["schema Texts", "must be an object, free-form"],
    ),
    case(
        "response that keeps nothing",
        "      description: Sent.\n      additionalProperties: {}\n",
        "      description: Sent.\n",
        &[
            "schema SendLinkResponse",
            "needs `additionalProperties: {}`",
        ],
    ),
    case(
        "small number in a response",
        "format: int64",
        "format: int32",
        &["SendLinkResponse > retries", "must be `format: int64`"],
    ),
    case(
        "component of requests and responses",
        SENT,
        "schema: {$ref: \"#/components/schemas/SendLinkRequest\"}",
        &["schema SendLinkRequest", "is in requests and in responses"],
    ),
    case(
        "keyword beside a secret format",
        "format: password, description: A secret.}",
        "format: password, nullable: true, description: A secret.}",
        &[
            "SendLinkRequest > ticket > nullable",
            "`nullable` stands beside a secret format",
        ],
    ),
    case(
        "no as YAML 1.1 reads it",
        "description: Sends a link.",
        "description: no",
        &[
            "line 24: ",
            "SendLink",
            "> description: must be text: put it in quotes",
        ],
    ),
    case(
        "a number as a title",
        "title: Small",
        "title: 1.0",
        &["line 2: info > title: must be text: put it in quotes"],
    ),
    case(
        "flag in quotes",
        MASKED,
        "{type: string, nullable: \"no\", description: The address.}",
        &["masked > nullable: must be true or false"],
    ),
    case(
        "query parameter of the name of one in the path",
        "{name: certs, in: query",
        "{name: project_id, in: query",
        &[
            "> parameters > 1",
            "`project_id` and `projectId` give arguments of the same name",
        ],
    ),
    case(
        "query parameter of the name of another argument",
        "{name: certs, in: query",
        "{name: body, in: query",
        &["> parameters > 1", "`body` is the name of another argument"],
    ),
    case(
        "properties that differ in what no name has",
        "masked: {type",
        "login Id: {type: string, description: A.}\n        login.id: {type: string, description: B.}\n        masked: {type",
        &["`login.id` and `login Id` give fields of the same name"],
    ),
    case(
        "property of the name of all others",
        "masked: {type",
        "extra: {type: string, description: A.}\n        masked: {type",
        &[
            "SendLinkResponse > extra",
            "is the name of the field for all other members",
        ],
    ),
    case(
        "operation that the client has already",
        "operationId: SendLink",
        "operationId: new",
        &["`new` is a method that the client has already"],
    ),
    case(
        "field of a bad name",
        "loginId: {",
        "appIDs: {type: string, description: X.}\n        loginId: {",
        &["SendLinkRequest > appIDs", "its field would be `app_i_ds`"],
    ),
    case(
        "required in a request",
        "description: Where to.\n",
        "description: Where to.\n      required: [loginId]\n",
        &[
            "schema SendLinkRequest > required",
            "say \"Needed.\" in its description",
        ],
    ),
    case(
        "alternatives in a response",
        SENT,
        "schema: {oneOf: [{$ref: \"#/components/schemas/SendLinkResponse\"}, {$ref: \"#/components/schemas/Key\"}]}",
        &["> responses > 200", "must refer to a component"],
    ),
    case(
        "name that is none in Rust",
        "loginId: {",
        "loginId: {x-rust-name: login id, ",
        &[
            "line 69: ",
            "SendLinkRequest > loginId > x-rust-name: `login id` cannot be a name in Rust",
        ],
    ),
    case(
        "name that is a word of Rust",
        "operationId: SendLink",
        "x-rust-name: fn\n      operationId: SendLink",
        &["> x-rust-name: `fn` cannot be a name in Rust"],
    ),
    case(
        "name of a parameter that is none in Rust",
        "{name: certs, ",
        "{name: certs, x-rust-name: 1st, ",
        &["> parameters > 1 > x-rust-name: `1st` cannot be a name in Rust"],
    ),
    case(
        "old name that is none in Rust",
        "    SendLinkResponse:\n",
        "    SendLinkResponse:\n      x-formerly: [a-b]\n",
        &["SendLinkResponse > x-formerly > 0: `a-b` cannot be a name in Rust"],
    ),
    case(
        "old names that are no list",
        "operationId: SendLink",
        "x-formerly: send_it\n      operationId: SendLink",
        &["> x-formerly: must be a list of names"],
    ),
    case(
        "deprecated component",
        "    SendLinkResponse:\n",
        "    SendLinkResponse:\n      deprecated: true\n",
        &[
            "schema SendLinkResponse",
            "write `deprecated` at each of its properties",
        ],
    ),
    case(
        "misspelt extension",
        "operationId: SendLink",
        "x-rust-nam: send_it\n      operationId: SendLink",
        &["unknown keyword `x-rust-nam`; did you mean `x-rust-name`?"],
    ),
    case(
        "name of another operation",
        "operationId: SendLink",
        "x-rust-name: get_keys\n      operationId: SendLink",
        &["`GetKeys` and `get_keys` give methods of the same name"],
    ),
    case(
        "old name of another operation",
        "operationId: SendLink",
        "x-formerly: [get_keys]\n      operationId: SendLink",
        &["`GetKeys` and `get_keys` give methods of the same name"],
    ),
    case(
        "old name that is still the name",
        "    SendLinkResponse:\n",
        "    SendLinkResponse:\n      x-formerly: [SendLinkResponse]\n",
        &["give types of the same name"],
    ),
    case(
        "name of another field",
        "loginId: {",
        "loginId: {x-rust-name: ticket, ",
        &["`ticket` and `loginId` give fields of the same name"],
    ),
    case(
        "name of another parameter",
        "{name: certs, ",
        "{name: certs, x-rust-name: project_id, ",
        &["`certs` and `projectId` give arguments of the same name"],
    ),
    case(
        "property that is a function of every request",
        "loginId: {",
        "new: {type: string, description: X.}\n        loginId: {",
        &["SendLinkRequest > new", "a function that each type has"],
    ),
    case(
        "schema that is a type of the bindings",
        "    SendLinkResponse:\n",
        "    SendLinkResponse:\n      x-formerly: [Option]\n",
        &["schema SendLinkResponse: `Option` is a type that the bindings name"],
    ),
];

/// No operation and no option may have the name of a method that is there.
#[test]
fn names_of_hand_written_methods_are_refused() -> Result<(), Box<dyn std::error::Error>> {
    let root = project::root()?;
    let mut missing = String::new();
    for (file, of, place) in [
        ("call.rs", "Client", "operationId: SendLink"),
        ("hooks.rs", "Client", "operationId: SendLink"),
        ("license.rs", "Client", "operationId: SendLink"),
        ("call.rs", "Call", "{name: certs"),
    ] {
        let text = std::fs::read_to_string(root.join("src/raw").join(file))?;
        for item in syn::parse_file(&text)?.items {
            let syn::Item::Impl(item) = item else {
                continue;
            };
            let syn::Type::Path(of_item) = &*item.self_ty else {
                continue;
            };
            let is_it = of_item
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == of);
            for function in item.items.iter().filter(|_| is_it && item.trait_.is_none()) {
                let syn::ImplItem::Fn(function) = function else {
                    continue;
                };
                let name = function.sig.ident.to_string();
                let (key, _) = place.split_once(' ').unwrap_or_default();
                let bad = GOOD.replacen(place, &format!("{key} {name}"), 1);
                let error = bindings(&bad).err().map(|error| error.to_string());
                let error = error.unwrap_or_default();
                if !error.contains(&format!("`{name}` is")) {
                    missing += &format!("{file}: {name}: {error}\n");
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
    Ok(())
}

/// What the description says beside types and paths is in the code: order, names, deprecation; and items
/// that may be `null` are read.
#[test]
fn what_is_described_is_generated() -> Result<(), Error> {
    let with = GOOD
        .replacen("{name: certs, in: query", "{name: zeta, in: query, deprecated: true, description: Z., schema: {type: string}}\n        - {name: certs, in: query", 1)
        .replacen("operationId: SendLink\n", "operationId: SendLink\n      deprecated: true\n      x-rust-name: mail_link\n", 1)
        .replacen(LOGIN_ID, "{type: object, additionalProperties: {type: object, additionalProperties: true}, description: X.}", 1)
        .replacen(MASKED, "{type: array, items: {type: string, nullable: true}, deprecated: true, x-rust-name: faces, description: X.}", 1);
    let files = bindings(&with)?;
    let client = &files["src/raw/client.rs"];
    let dense: String = client.split_whitespace().collect();
    for part in [
        "pubfnget_keys(&self,project_id:&str)->Call<'_,operations::GetKeys>{Call::described(self,Method::GET,\"/v1/keys/{}\",&[&project_id])}",
        "pubfnzeta(self,zeta:&str)->Self{self.query(\"zeta\",zeta)}",
        "pubfncerts(self,certs:bool)->Self{self.query(\"certs\",certs)}",
        "pubfnmail_link(&self,body:&types::SendLinkRequest,)->Call<'_,operations::MailLink>",
        "pubfnrefresh_token(self,refresh_token:&crate::secret::RefreshToken)->Self{self.authorized(refresh_token)}",
    ] {
        assert!(dense.contains(part), "{part}: {client}");
    }
    assert_eq!(client.matches("#[deprecated").count(), 2, "{client}");
    let types = &files["src/raw/types.rs"];
    let dense: String = types.split_whitespace().collect();
    let field = "pubfaces:Option<Vec<Option<String>>>";
    assert!(dense.contains(field), "{types}");
    let (before, _) = types
        .split_once("pub login_id: BTreeMap<")
        .unwrap_or_default();
    assert!(
        before.contains("BTreeMap::is_empty"),
        "a map of free-form objects is none itself: {types}"
    );
    assert!(
        types.contains("\"masked\" => self.faces") && types.contains("rename = \"masked\""),
        "{types}"
    );
    Ok(())
}

#[test]
fn the_good_description_passes() -> Result<(), Error> {
    let bindings = bindings(GOOD)?;
    assert!(bindings["src/raw/client.rs"].contains("pub fn send_link"));
    assert!(bindings["src/raw/types.rs"].contains("Option<crate::secret::Secret>"));
    Ok(())
}

/// What looks like a secret, in whatever case and shape, is redacted or refused.
#[test]
fn no_name_and_no_shape_let_a_secret_be_printed() -> Result<(), Error> {
    let names = [
        "recoveryCode",
        "recovery_code",
        "RECOVERYCODE",
        "credential",
        "passCode",
        "devicePin",
        "assertion",
        "authCookie",
        "signingKey",
        "deviceToken",
        "clientSecret",
        "newPassword",
        "idJwt",
        "magicLink",
        "totpSeed",
    ];
    // None of these types may print a value; a flag may, and says nothing.
    let redacted = [
        "{type: string, format: password, description: X.}",
        "{type: array, description: X., items: {type: string, format: password}}",
        "{type: object, description: X., additionalProperties: {type: string, format: password}}",
        "{type: object, description: X., additionalProperties: true}",
        "{type: object, description: X., additionalProperties: {}}",
        "{type: array, description: X., items: {type: object, additionalProperties: true}}",
        "{type: boolean, description: X.}",
    ];
    let refused = [
        "{type: string, description: X.}",
        "{type: integer, format: int64, description: X.}",
        "{type: number, description: X.}",
        "{description: X.}",
        "{type: array, description: X., items: {type: string}}",
        "{type: array, description: X., items: {}}",
        "{type: object, description: X., additionalProperties: {type: string}}",
        "{description: X., oneOf: [{type: string}, {type: object}]}",
        "{description: X., anyOf: [{type: string}]}",
        "{description: X., allOf: [{$ref: \"#/components/schemas/Key\"}]}",
        "{$ref: \"#/components/schemas/Key\"}",
    ];
    for name in names {
        for shape in refused {
            let with = format!("{MASKED}\n        {name}: {shape}");
            let outcome = bindings(&GOOD.replacen(MASKED, &with, 1));
            let Err(Error::Findings(_, findings)) = outcome else {
                panic!("{name}: {shape} was not refused");
            };
            assert!(
                findings.iter().any(|finding| finding.place.contains(name)),
                "{name}: {shape}"
            );
        }
    }
    for shape in redacted {
        let with = format!("{MASKED}\n        recoveryCode: {shape}");
        let types = bindings(&GOOD.replacen(MASKED, &with, 1))?["src/raw/types.rs"].clone();
        let field = types
            .split("pub recovery_code: ")
            .nth(1)
            .unwrap_or_default();
        let of = field
            .split("\n}")
            .next()
            .unwrap_or_default()
            .split("    ///")
            .next()
            .unwrap_or_default();
        let hides = ["crate::secret::Secret", "body::Members", "bool"];
        assert!(hides.iter().any(|kind| of.contains(kind)), "{shape}: {of}");
        assert!(!of.contains("serde_json"), "{shape}: {of}");
    }
    Ok(())
}

/// An operation without a result gives none, and its body is not read.
#[test]
fn a_success_without_content_is_not_read() -> Result<(), Error> {
    let without = GOOD.replacen(
        &format!("\n          content:\n            application/json:\n              {SENT}"),
        "",
        1,
    );
    let without = without.replace("    SendLinkResponse:\n", "    Left:\n");
    let without = without.replace(
        "additionalProperties: {}\n      properties:\n        kid",
        "additionalProperties: {}\n      properties:\n        \
         left: {$ref: \"#/components/schemas/Left\"}\n        kid",
    );
    let client = bindings(&without)?["src/raw/client.rs"].clone();
    let marker = "operation!(SendLink, \"send_link\", ());";
    assert!(client.contains(marker), "{client}");
    Ok(())
}

#[test]
fn the_curated_description_passes() -> Result<(), Box<dyn std::error::Error>> {
    Ok(lint::lint(&load::load(
        &project::spec(&project::root()?)?,
    )?)?)
}

#[test]
fn each_rule_stops_what_breaks_it() {
    let mut missing = String::new();
    for case in CASES {
        let rule = case.rule;
        assert!(GOOD.contains(case.replace), "{rule}: nothing to replace");
        let bad = GOOD.replacen(case.replace, case.by, 1);
        let Err(error) = bindings(&bad) else {
            panic!("{rule}: was not found");
        };
        let text = error.to_string();
        for part in case.says {
            if !text.contains(part) {
                missing += &format!("{rule}: no {part:?} in\n{text}\n");
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
}

#[test]
fn all_findings_come_at_once_in_the_order_of_lines() {
    let bad = GOOD
        .replace("openapi: 3.0.3", "openapi: 3.1.0")
        .replace("      summary: Send\n", "");
    let Err(Error::Findings(_, findings)) = bindings(&bad) else {
        panic!("two rules are broken");
    };
    let lines: Vec<_> = findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [Some(1), Some(21)]);
}

/// The generator panics on two values of an enum that give one name; no rule is about that.
const PANICS: (&str, &str) = (
    LOGIN_ID,
    "{type: string, enum: [a b, a_b], description: The user.}",
);

#[test]
fn a_panic_of_the_generator_names_the_operation() {
    let bad = GOOD.replacen(PANICS.0, PANICS.1, 1);
    let error = bindings(&bad)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    let start =
        "the generator failed:\n  line 21: SendLink (POST /v1/auth/magiclink/signin/email): ";
    assert!(
        error.starts_with(start) && error.len() > start.len() + 5,
        "{error}"
    );
}

#[test]
fn a_failure_of_the_generator_is_told_with_its_words() -> Result<(), Error> {
    let mut source = load::load(GOOD)?;
    if let Some(operation) = source
        .value
        .pointer_mut("/paths/~1v1~1auth~1magiclink~1signin~1email/post")
    {
        operation["responses"]["204"] = json!({ "description": "Nothing." });
    }
    let error = generator::generate(&source, &prepare::prepare(&source)?)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    let start = "the generator failed:\n  line 21: SendLink (POST ";
    assert!(error.starts_with(start), "{error}");
    Ok(())
}
