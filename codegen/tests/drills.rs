//! What the maintainer's loop says and does when the published description changes.
//!
//! Each drill takes a small description as ours and as the published one, so that nothing else differs,
//! changes it in code, and snapshots the outcome of the whole loop: the report of `cargo xtask upstream`;
//! and, when the change is followed, the diff of the generated bindings and the verdict of
//! `cargo xtask semver`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it fails"
)]

use std::fmt::Write as _;

use descope_magiclink_codegen::bindings;
use descope_magiclink_codegen::generate::load::{Source, load};
use descope_magiclink_codegen::review::compare::compare;
use descope_magiclink_codegen::review::divergences::{self, Divergence};
use descope_magiclink_codegen::review::facts::Facts;
use descope_magiclink_codegen::review::semver;
use descope_magiclink_codegen::review::upstream::{self, Report};
use serde_json::{Value, json};

const SMALL: &str = include_str!("small.yaml");
const SEND: &str = "/paths/~1v1~1auth~1magiclink~1signin~1email/post";
const KEYS: &str = "/paths/~1v1~1keys~1{projectId}/get";
const REQUEST: &str = "/components/schemas/SendLinkRequest/properties";
const RESPONSE: &str = "/components/schemas/SendLinkResponse/properties";

type Change<'a> = &'a dyn Fn(&mut Value);

fn small() -> Source {
    load(SMALL).unwrap()
}

fn changed(source: &Source, change: Change<'_>) -> Source {
    let mut value = source.value.clone();
    change(&mut value);
    load(&value.to_string()).unwrap()
}

fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("there is no {pointer}"))
}

fn remove(object: &mut Value, member: &str) -> Value {
    object
        .as_object_mut()
        .and_then(|members| members.remove(member))
        .unwrap_or_else(|| panic!("there is no {member}"))
}

fn published(ours: &Source, published: &Source) -> Facts {
    Facts::published(&published.value, &Facts::ours(&ours.value)).unwrap()
}

/// The report on a change, with the small description as what was published before.
fn review(ours: &Source, theirs: &Source, divergences: &[Divergence]) -> Report {
    upstream::review(
        ours,
        &published(ours, theirs),
        &published(ours, ours),
        divergences,
    )
}

/// Runs the loop on a published change that is followed as it is.
fn drill(name: &str, change: Change<'_>) {
    drill_and_follow(name, change, change);
}

/// The same where following the change is another change than the published one.
fn drill_and_follow(name: &str, change: Change<'_>, follow: Change<'_>) {
    let ours = small();
    let (theirs, followed) = (changed(&ours, change), changed(&ours, follow));
    let report = review(&ours, &theirs, &[]);
    let mut outcome = format!(
        "$ cargo xtask upstream published.yaml\n{}",
        report.markdown()
    );
    let _ = writeln!(outcome, "[exit code {}]\n", i32::from(!report.is_clean()));
    if report.news.is_empty() {
        outcome.push_str("Nothing to follow: no code is generated and no version moves.\n");
    } else {
        let text = |source: &Source| serde_json::to_string(&source.value).unwrap();
        let (old, new) = (
            bindings(SMALL).unwrap(),
            bindings(&text(&followed)).unwrap(),
        );
        outcome.push_str("$ cargo xtask codegen  # after following it; then git diff -U1 src\n");
        for (path, new) in new.iter().filter(|(path, _)| path.starts_with("src/")) {
            let diff = similar::TextDiff::from_lines(&old[path], new);
            let _ = write!(
                outcome,
                "{}",
                diff.unified_diff().context_radius(1).header(path, path)
            );
        }
        let changes = semver::description(&ours, &followed);
        let report = semver::report("v0.1.0", "0.1.0", &changes, None);
        let _ = write!(
            outcome,
            "\n$ cargo xtask semver v0.1.0 --spec-only\n{report}"
        );
        let left = review(&followed, &theirs, &[]);
        assert!(left.is_followed(), "{}", left.markdown());
    }
    second_opinion(&ours.value, &theirs.value);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("drill__{name}"), outcome);
    });
}

/// The crate `drift` finds a difference where we find one, as far as it looks: not at security.
fn second_opinion(ours: &Value, theirs: &Value) {
    let differences = compare(&Facts::exact(ours), &Facts::exact(theirs), &["id", "path"]);
    if differences.iter().any(|d| d.member == "security") {
        return;
    }
    let changes = drift::compare(ours, theirs).unwrap_or_else(|error| panic!("{error:#}"));
    let mut changes_inside = changes.iter().flat_map(|change| &change.changes);
    let drift_differs = changes_inside.any(|change| change.class != drift::ChangeClass::Trivial);
    assert_eq!(
        drift_differs,
        !differences.is_empty(),
        "{changes:#?}\n{differences:#?}"
    );
}

#[test]
fn field_added_to_a_request() {
    drill("field_added_to_a_request", &|document| {
        at(document, REQUEST)["channel"] =
            json!({ "type": "string", "description": "The channel." });
    });
}

#[test]
fn secret_added_to_a_response() {
    drill("secret_added_to_a_response", &|document| {
        at(document, RESPONSE)["deviceToken"] =
            json!({ "type": "string", "format": "password", "description": "Trusts the device." });
    });
}

#[test]
fn field_removed() {
    drill("field_removed", &|document| {
        remove(at(document, REQUEST), "loginId");
    });
}

#[test]
fn type_changed() {
    drill("type_changed", &|document| {
        at(document, RESPONSE)["retries"] =
            json!({ "type": "string", "description": "How often." });
    });
}

/// Nothing is `required` in our description, so following is a word in the documentation, and an entry.
#[test]
fn newly_required() {
    let ours = small();
    let theirs = changed(&ours, &|document| {
        at(document, "/components/schemas/SendLinkRequest")["required"] = json!(["loginId"]);
    });
    let report = review(&ours, &theirs, &[]);
    let text = report.markdown();
    assert!(
        text.contains(
            "`loginId`: ours `string`, published `string; required`. patch: write \"Needed.\""
        ),
        "{text}"
    );
}

#[test]
fn operation_removed() {
    drill("operation_removed", &|document| {
        remove(at(document, "/paths"), "/v1/keys/{projectId}");
        let schemas = at(document, "/components/schemas");
        remove(schemas, "KeySet");
        remove(schemas, "Key");
    });
}

/// With the old names in `x-formerly`, what callers have goes on compiling.
#[test]
fn names_changed() {
    let ours = small();
    let rename = |formerly: bool| {
        let yaml = SMALL
            .replace(
                "operationId: SendLink\n",
                "operationId: MailLink\n      x-formerly: [send_link]\n",
            )
            .replace("SendLinkResponse", "MailLinkResponse")
            .replace(
                "    MailLinkResponse:\n",
                "    MailLinkResponse:\n      x-formerly: [SendLinkResponse]\n",
            );
        if formerly {
            yaml
        } else {
            yaml.replace("x-formerly", "x-nothing")
        }
    };
    let verdict = |yaml: &str| semver::verdict(&semver::description(&ours, &load(yaml).unwrap()));
    assert_eq!(
        verdict(&rename(true)).map(|v| v.to_string()).as_deref(),
        Some("minor")
    );
    assert_eq!(
        verdict(&rename(false)).map(|v| v.to_string()).as_deref(),
        Some("major")
    );
    // The same where only the name in Rust is another one.
    let in_rust = |place: &str, more: &str| {
        let yaml = SMALL.replacen(place, &format!("{place}{more}"), 1);
        assert_ne!(yaml, SMALL);
        verdict(&yaml).map(|v| v.to_string())
    };
    let (id, minor, major) = ("operationId: SendLink\n", "minor", "major");
    let kept = "      x-rust-name: mail_link\n      x-formerly: [send_link]\n";
    assert_eq!(in_rust(id, kept).as_deref(), Some(minor));
    let lost = in_rust(id, "      x-rust-name: mail_link\n");
    assert_eq!(lost.as_deref(), Some(major));
    for place in ["{name: certs, in: query, ", "        loginId: {"] {
        let lost = in_rust(place, "x-rust-name: other, ");
        assert_eq!(lost.as_deref(), Some(major), "{place}");
    }
    let files = bindings(&rename(true)).unwrap();
    let client: String = files["src/raw/client.rs"].split_whitespace().collect();
    for kept in [
        "#[deprecated=\"now`mail_link`\"]pubfnsend_link(&self,body:",
        "{self.mail_link(body)}",
        "#[deprecated=\"now`MailLink`\"]pubtypeSendLink=MailLink;",
    ] {
        assert!(client.contains(kept), "{kept}: {client}");
    }
    let types = &files["src/raw/types.rs"];
    assert!(types.contains("#[deprecated = \"now `MailLinkResponse`\"]\npub type SendLinkResponse = MailLinkResponse;"), "{types}");
}

#[test]
fn path_moved() {
    drill("path_moved", &|document| {
        let item = remove(at(document, "/paths"), "/v1/auth/magiclink/signin/email");
        at(document, "/paths")["/v2/auth/magiclink/signin/email"] = item;
    });
}

#[test]
fn new_delivery_method() {
    drill("new_delivery_method", &|document| {
        let mut operation = at(document, SEND).clone();
        operation["operationId"] = json!("SendLinkByVoice");
        at(document, "/paths")["/v1/auth/magiclink/signin/voice"] = json!({ "post": operation });
    });
}

#[test]
fn optional_query_added() {
    drill("optional_query_added", &|document| {
        let tenant = json!({ "name": "tenantId", "in": "query", "description": "The tenant.", "schema": { "type": "string" } });
        at(document, SEND)["parameters"] = json!([tenant]);
    });
}

#[test]
fn optional_credential_added() {
    let (ours, with) = (
        small(),
        SMALL.replacen(
            "      security: []",
            "      security:\n        - project: []",
            1,
        ),
    );
    let before = load(&with).unwrap();
    let verdict = |old: &Source, change: Change<'_>| {
        let changes = semver::description(old, &changed(old, change));
        semver::verdict(&changes).map(|v| v.to_string())
    };
    let take = |document: &mut Value, schemes: &[&str]| {
        let list = schemes
            .iter()
            .map(|scheme| json!({ *scheme: [] }))
            .collect();
        at(document, KEYS)["security"] = Value::Array(list);
    };
    let minor = Some("minor".to_owned());
    assert_eq!(
        verdict(&before, &|d| take(d, &["project", "refresh"])),
        minor
    );
    let major = Some("major".to_owned());
    assert_eq!(verdict(&before, &|d| take(d, &["refresh"])), major);
    // Another credential than before is another setter.
    let other = |d: &mut Value| {
        at(d, SEND)["security"] = json!([{ "project": [] }, { "session": [] }]);
    };
    assert_eq!(verdict(&ours, &other), major);
}

#[test]
fn security_changed() {
    drill("security_changed", &|document| {
        at(document, SEND)["security"] = json!([{ "session": [] }]);
    });
}

/// Whatever success it is, and without content too.
#[test]
fn success_without_content() {
    drill("success_without_content", &|document| {
        at(document, SEND)["responses"]["204"] = json!({ "description": "Sent." });
        remove(at(document, &format!("{SEND}/responses")), "200");
        remove(at(document, "/components/schemas"), "SendLinkResponse");
    });
}

#[test]
fn only_prose_changed() {
    fn shout(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(text) if name == "description" || name == "summary" => {
                            text.push_str(" Indeed.")
                        }
                        _ => shout(member),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(shout),
            _ => {}
        }
    }
    drill("only_prose_changed", &shout);
}

/// What does not reach the wire is no change: names, order, and whether a schema stands in place.
#[test]
fn only_the_form_changed() {
    fn reverse(value: &mut Value) {
        match value {
            Value::Object(members) => members.values_mut().for_each(reverse),
            Value::Array(items) => {
                items.reverse();
                items.iter_mut().for_each(reverse);
            }
            _ => {}
        }
    }
    let rename = |document: &mut Value| {
        let text = document
            .to_string()
            .replace("\"SendLinkResponse\"", "\"other.v2.Sent\"");
        *document = serde_json::from_str(
            &text.replace("schemas/SendLinkResponse\"", "schemas/other.v2.Sent\""),
        )
        .unwrap();
    };
    let inline = |document: &mut Value| {
        let schema = remove(at(document, "/components/schemas"), "Key");
        at(document, "/components/schemas/KeySet/properties/keys")["items"] = schema;
    };
    let parameter = |document: &mut Value| {
        let text = document.to_string().replace("projectId", "project");
        *document = serde_json::from_str(&text).unwrap();
    };
    let charset = |document: &mut Value| {
        let content = at(document, &format!("{SEND}/responses/200/content"));
        let media = remove(content, "application/json");
        content["application/json; charset=utf-8"] = media;
    };
    let changes: [Change<'_>; 5] = [&reverse, &rename, &inline, &parameter, &charset];
    for (index, change) in changes.into_iter().enumerate() {
        let ours = small();
        let report = review(&ours, &changed(&ours, change), &[]);
        assert!(report.is_clean(), "{index}: {}", report.markdown());
    }
}

/// Each of these once passed without a word.
#[test]
fn nothing_that_reaches_the_wire_is_passed_over() {
    let cases: [(&str, Change<'_>); 21] = [
        (
            "`*`: published `string`, and we lack it. patch: members without a name have a type",
            &|d| {
                at(d, "/components/schemas/SendLinkRequest")["additionalProperties"] =
                    json!({ "type": "string" });
            },
        ),
        ("**document**\n  - [ ] `servers`", &|d| {
            d["servers"] = json!([{ "url": "https://new.example" }])
        }),
        (
            "`scheme refresh`: ours `http bearer`, published `apiKey header X-Key`. major",
            &|d| {
                at(d, "/components/securitySchemes")["refresh"] =
                    json!({ "type": "apiKey", "in": "header", "name": "X-Key" });
            },
        ),
        ("  # POST /v2/auth/magiclink/signin/email, line 3", &|d| {
            let mut item = at(d, "/paths/~1v1~1auth~1magiclink~1signin~1email").clone();
            item["post"]["operationId"] = json!("SendLinkV2");
            d["paths"]["/v2/auth/magiclink/signin/email"] = item;
        }),
        ("`success`: ours `200`, published `200, 202`. patch", &|d| {
            at(d, SEND)["responses"]["202"] = json!({ "description": "Later." });
        }),
        ("`success`: ours `200`, published `201`. patch", &|d| {
            let responses = at(d, &format!("{SEND}/responses"));
            responses["201"] = remove(responses, "200");
        }),
        (
            "  # POST /v1/mgmt/tests/generate/magiclink/batch, line 3",
            &|d| {
                let mut operation = at(d, SEND).clone();
                operation["operationId"] = json!("Batch");
                d["paths"]["/v1/mgmt/tests/generate/magiclink/batch"] =
                    json!({ "post": operation });
            },
        ),
        (
            "`deprecated`: published `yes`, and we lack it. minor",
            &|d| at(d, SEND)["deprecated"] = json!(true),
        ),
        (
            "`loginId`: ours `string`, published `string; deprecated`. minor",
            &|d| {
                at(d, REQUEST)["loginId"]["deprecated"] = json!(true);
            },
        ),
        (
            "`query certs`: ours `boolean`, published `boolean; deprecated`. minor",
            &|d| {
                at(d, KEYS)["parameters"][1]["deprecated"] = json!(true);
            },
        ),
        (
            "        # header X-Tenant is published as string; required",
            &|d| {
                let parameter = json!({ "name": "X-Tenant", "in": "header", "required": true, "schema": { "type": "string" } });
                at(d, KEYS)["parameters"]
                    .as_array_mut()
                    .unwrap()
                    .push(parameter);
            },
        ),
        (
            "`security`: ours `project or refresh`, published `management`. major",
            &|d| {
                at(d, SEND)["security"] = json!([{ "Descope Project ID and Management Key": [] }]);
            },
        ),
        (
            "`loginId`: ours `string`, published `string in {a, b}`. patch",
            &|d| {
                at(d, REQUEST)["loginId"]["enum"] = json!(["b", "a"]);
            },
        ),
        (
            "`loginId`: ours `string`, published `one of (integer | string)`. major",
            &|d| {
                at(d, REQUEST)["loginId"] =
                    json!({ "oneOf": [{ "type": "string" }, { "type": "integer" }] });
            },
        ),
        (
            "`request`: ours `<SendLinkRequest>; required`, published `text/plain; required`. major",
            &|d| {
                at(d, SEND)["requestBody"]["content"] =
                    json!({ "text/plain": { "schema": { "type": "string" } } });
            },
        ),
        ("  # POST /v2/auth/magiclink/signin/email, line 3", &|d| {
            d["paths"]["/v2/auth/magiclink/signin/email"] =
                json!({ "$ref": "#/paths/~1v1~1auth~1magiclink~1signin~1email" });
        }),
        (
            "`kid`: ours `string`, published `string; deprecated`. minor",
            &|d| at(d, "/components/schemas/Key")["deprecated"] = json!(true),
        ),
        (
            "`servers`: published `https://keys.example`, and we lack it. patch: see whether calls",
            &|d| at(d, KEYS)["servers"] = json!([{ "url": "https://keys.example" }]),
        ),
        (
            "`servers`: published `https://keys.example`, and we lack it. patch: see whether calls",
            &|d| {
                at(d, "/paths/~1v1~1keys~1{projectId}")["servers"] =
                    json!([{ "url": "https://keys.example" }]);
            },
        ),
        (
            "- POST /v1/auth/magiclink/signin/email others: `request text/xml, response 200 text/csv` instead of nothing",
            &|d| {
                let operation = at(d, SEND);
                operation["requestBody"]["content"]["text/xml"] = json!({});
                operation["responses"]["200"]["content"]["text/csv"] = json!({});
            },
        ),
        (
            "`loginId`: ours `string`, published `string (uuid)`. patch: name the values, or their form, in",
            &|d| at(d, REQUEST)["loginId"]["format"] = json!("uuid"),
        ),
    ];
    for (says, change) in cases {
        let ours = small();
        let report = review(&ours, &changed(&ours, change), &[]);
        assert!(
            !report.is_clean() && report.markdown().contains(says),
            "no {says:?} in\n{}",
            report.markdown()
        );
    }
}

/// Ours has no limits, defaults and the like, so they are no differences; but when one comes, goes or
/// changes, it is told: each keyword, whether or not anybody has thought of it.
#[test]
fn every_other_keyword_is_told_when_it_moves() {
    let login_id = |keyword: &'static str, value: Value| {
        let change: Box<dyn Fn(&mut Value)> =
            Box::new(move |d| at(d, REQUEST)["loginId"][keyword] = value.clone());
        change
    };
    let any = |pointer: &'static str, keyword: &'static str, value: Value| {
        let change: Box<dyn Fn(&mut Value)> =
            Box::new(move |d| at(d, pointer)[keyword] = value.clone());
        change
    };
    const PARAMETER: &str = "/paths/~1v1~1keys~1{projectId}/get/parameters/1";
    const WHOLE: &str = "/components/schemas/SendLinkRequest";
    const LOGIN_ID: &str = "/components/schemas/SendLinkRequest/properties/loginId";
    const TICKETS: &str = "/components/schemas/SendLinkRequest/properties/tickets";
    const TICKET: &str = "/components/schemas/SendLinkRequest/properties/tickets/items";
    let of = "SendLinkRequest.loginId: `string";
    let cases = [
        (format!("{of}; minLength 1`"), login_id("minLength", json!(1))),
        (format!("{of}; maxLength 9`"), login_id("maxLength", json!(9))),
        (format!("{of}; pattern \"^<a; b>$\"`"), login_id("pattern", json!("^<a; b>$"))),
        (format!("{of}; minimum 0.5`"), login_id("minimum", json!(0.5))),
        (format!("{of}; exclusiveMaximum true`"), login_id("exclusiveMaximum", json!(true))),
        (format!("{of}; multipleOf 2`"), login_id("multipleOf", json!(2))),
        (format!("{of}; default \"\"`"), login_id("default", json!(""))),
        (format!("{of}; default false`"), login_id("default", json!(false))),
        (format!("{of}; readOnly true`"), login_id("readOnly", json!(true))),
        (format!("{of}; writeOnly true`"), login_id("writeOnly", json!(true))),
        (format!("{of}; nullable true`"), login_id("nullable", json!(true))),
        (format!("{of}; not {{\"enum\":[\"\"]}}`"), login_id("not", json!({ "enum": [""] }))),
        (format!("{of}; nobodyKnows 7`"), login_id("nobodyKnows", json!(7))),
        (
            "SendLinkResponse.masked: `string; nullable true` instead of `string`".to_owned(),
            any("/components/schemas/SendLinkResponse/properties/masked", "nullable", json!(true)),
        ),
        (
            "SendLinkRequest.tickets: `list of string; maxItems 3`".to_owned(),
            any(TICKETS, "maxItems", json!(3)),
        ),
        (
            "SendLinkRequest.tickets: `list of string; items.maxLength 5`".to_owned(),
            any(TICKET, "maxLength", json!(5)),
        ),
        (
            "SendLinkRequest.(object): `additionalProperties false` instead of nothing".to_owned(),
            any(WHOLE, "additionalProperties", json!(false)),
        ),
        (
            "SendLinkRequest.(object): `minProperties 1` instead of nothing".to_owned(),
            any(WHOLE, "minProperties", json!(1)),
        ),
        (
            "GET /v1/keys/{} query certs: `boolean; explode true; style \"form\"`".to_owned(),
            Box::new(|d: &mut Value| {
                at(d, PARAMETER)["style"] = json!("form");
                at(d, PARAMETER)["explode"] = json!(true);
            }),
        ),
        (
            "GET /v1/keys/{} query certs: `boolean; default true`".to_owned(),
            any("/paths/~1v1~1keys~1{projectId}/get/parameters/1/schema", "default", json!(true)),
        ),
        (
            "POST /v1/auth/magiclink/signin/email others: `response 200 headers {\"Retry-After\":{\"schema\":{\"type\":\"integer\"}}}`".to_owned(),
            any(
                "/paths/~1v1~1auth~1magiclink~1signin~1email/post/responses/200",
                "headers",
                json!({ "Retry-After": { "description": "Later.", "schema": { "type": "integer" } } }),
            ),
        ),
        (
            "POST /v1/auth/magiclink/signin/email others: `callbacks {}` instead of nothing".to_owned(),
            any(SEND, "callbacks", json!({})),
        ),
        (
            "SendLinkRequest.tickets: `list of string; items.deprecated true`".to_owned(),
            any(TICKET, "deprecated", json!(true)),
        ),
        (
            "GET /v1/keys/{} query certs: `boolean; deprecated true`".to_owned(),
            any("/paths/~1v1~1keys~1{projectId}/get/parameters/1/schema", "deprecated", json!(true)),
        ),
        (
            format!("{of}; deprecated true`"),
            Box::new(|d: &mut Value| {
                at(d, "/components/schemas")["Id"] = json!({ "type": "string", "deprecated": true });
                *at(d, LOGIN_ID) = json!({ "$ref": "#/components/schemas/Id" });
            }),
        ),
        (
            "GET /v1/keys/{} query certs: `boolean; explode false`".to_owned(),
            any(PARAMETER, "explode", json!(false)),
        ),
        (
            "others: `response 200 headers {\"x-ratelimit-remaining\":{\"schema\":{}}}`".to_owned(),
            any(
                "/paths/~1v1~1auth~1magiclink~1signin~1email/post/responses/200",
                "headers",
                json!({ "x-ratelimit-remaining": { "schema": { "title": "Left" } } }),
            ),
        ),
        (
            format!("{of}; default {{\"title\":\"a\",\"x-b\":1}}`"),
            login_id("default", json!({ "title": "a", "x-b": 1 })),
        ),
        (
            format!("{of}; discriminator {{\"mapping\":{{\"x-b\":\"c\"}}}}`"),
            login_id("discriminator", json!({ "mapping": { "x-b": "c" } })),
        ),
        (
            format!("{of}; not {{\"properties\":{{\"title\":{{}}}}}}`"),
            login_id("not", json!({ "properties": { "title": { "title": "A" } }, "x-b": 1 })),
        ),
        (format!("{of}; items {{\"type\":\"string\"}}`"), login_id("items", json!({ "type": "string" }))),
        (
            "SendLinkRequest.(object): `enum [{}]` instead of nothing".to_owned(),
            any(WHOLE, "enum", json!([{}])),
        ),
    ];
    for (says, change) in cases {
        let ours = small();
        let theirs = changed(&ours, &*change);
        let report = review(&ours, &theirs, &[]);
        let text = report.markdown();
        assert!(
            report.is_followed() && !report.is_clean() && text.contains(&says),
            "no {says:?} in\n{text}"
        );
        let now = published(&ours, &theirs);
        let lock = Facts::parse(&now.text()).unwrap();
        assert!(
            upstream::review(&ours, &now, &lock, &[]).is_clean(),
            "accepted once: {says}"
        );
        let back = upstream::review(&ours, &published(&ours, &ours), &lock, &[]);
        assert!(
            back.is_followed() && !back.is_clean(),
            "it goes again: {says}"
        );
    }
    // One beside another difference is shown with it, and an entry for that covers both.
    let ours = small();
    let theirs = changed(&ours, &|d| {
        at(d, REQUEST)["loginId"] = json!({ "type": "integer", "maximum": 9 });
    });
    let text = review(&ours, &theirs, &[]).markdown();
    assert!(
        text.contains("ours `string`, published `integer; maximum 9`"),
        "{text}"
    );
    let list = "divergences:\n  - {at: [SendLinkRequest.loginId], ours: string, published: integer, reason: said, evidence: said}\n";
    let report = review(&ours, &theirs, &divergences::parse(list).unwrap());
    assert!(
        report.is_followed() && !report.is_clean(),
        "{}",
        report.markdown()
    );
}

/// What says what nothing says is no change.
/// What moves within something that we have otherwise, or not at all, is told too.
#[test]
fn what_stands_beside_other_keywords_is_told_when_it_moves() {
    let one_of =
        json!({ "anyOf": [{ "required": ["q"] }], "properties": { "q": { "type": "string" } } });
    let with = |value: &Value, keyword: &str, other: Value| {
        let mut value = value.clone();
        value[keyword] = other;
        value
    };
    let map = json!({ "additionalProperties": { "type": "string" } });
    let old = json!({ "type": "object", "deprecated": false, "properties": { "a": { "type": "string" } } });
    let of_old = json!({ "a": { "type": "string", "deprecated": true } });
    let default = json!({ "type": "object", "default": { "title": "a" } });
    for (one, other) in [
        (
            one_of.clone(),
            with(&one_of, "properties", json!({ "q": { "type": "integer" } })),
        ),
        (one_of.clone(), with(&one_of, "required", json!(["q"]))),
        (one_of.clone(), with(&one_of, "type", json!("object"))),
        (
            one_of.clone(),
            with(&one_of, "additionalProperties", map.clone()),
        ),
        (
            one_of.clone(),
            with(&one_of, "oneOf", json!([{ "required": ["r"] }])),
        ),
        (
            map.clone(),
            with(&map, "additionalProperties", json!({ "type": "integer" })),
        ),
        (
            json!({ "items": { "type": "string" } }),
            json!({ "items": { "type": "integer" } }),
        ),
        (old.clone(), with(&old, "properties", of_old)),
        (old.clone(), with(&old, "deprecated", json!(true))),
        (
            default.clone(),
            with(&default, "default", json!({ "title": "b" })),
        ),
    ] {
        let ours = small();
        let [one, other] = [one, other].map(|schema| {
            let theirs = changed(&ours, &|d| at(d, REQUEST)["more"] = schema.clone());
            published(&ours, &theirs)
        });
        let report = upstream::review(&ours, &other, &one, &[]);
        assert!(
            !report.moved.is_empty() || report.news.iter().any(|news| news.before.is_some()),
            "nothing is told of\n{}{}",
            one.text(),
            other.text()
        );
    }
}

/// Whatever way a schema contains itself, and however far objects lead.
#[test]
fn schemas_that_contain_themselves_are_read() {
    let itself = json!({ "$ref": "#/components/schemas/SendLinkRequest" });
    for (parent, says) in [
        (itself.clone(), "parent: `<SendLinkRequest>`"),
        (json!({ "allOf": [itself] }), "parent: `<SendLinkRequest>`"),
        (
            json!({ "allOf": [itself, { "nullable": true }] }),
            "parent: `<SendLinkRequest>; nullable true`",
        ),
        (
            json!({ "allOf": [{ "description": "Of it." }, itself] }),
            "parent: `<SendLinkRequest>`",
        ),
        (
            json!({ "allOf": [itself], "properties": { "at": { "type": "string" } } }),
            "parent: `<SendLinkRequest.parent>`",
        ),
        (
            json!({ "allOf": [itself, { "required": ["loginId"] }] }),
            "parent: `<SendLinkRequest.parent>`",
        ),
        (
            json!({ "type": "array", "items": { "allOf": [itself], "required": ["loginId"] } }),
            "parent: `list of <SendLinkRequest.parent.*>`",
        ),
    ] {
        let ours = small();
        let theirs = changed(&ours, &|d| at(d, REQUEST)["parent"] = parent.clone());
        let facts = published(&ours, &theirs);
        assert!(facts.schemas.len() < 9, "{parent}: {}", facts.text());
        let before = published(&ours, &ours);
        let report = upstream::review(&theirs, &facts, &before, &[]).markdown();
        assert!(report.contains(says), "no {says:?} in\n{report}");
        let value = json!({ "type": "object", "properties": {} });
        let broken = changed(&theirs, &|d| {
            at(d, REQUEST)["parent"] = value.clone();
        });
        assert_ne!(facts, published(&ours, &broken));
    }
    // Of one that is no object, it is told to the place where it begins again.
    let ours = small();
    let theirs = changed(&ours, &|d| {
        let any = json!({ "$ref": "#/components/schemas/Any" });
        at(d, REQUEST)["any"] = any.clone();
        at(d, "/components/schemas")["Any"] = json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": any },
            { "type": "object", "additionalProperties": any },
        ] });
    });
    let facts = published(&ours, &theirs);
    assert_eq!(
        facts.schemas["SendLinkRequest"]["any"],
        "one of (list of any | map to any | string)"
    );
    let mut value = ours.value.clone();
    let name = |number: usize| format!("Link{number}");
    let next = |number| json!({ "$ref": format!("#/components/schemas/{}", name(number)) });
    at(&mut value, REQUEST)["next"] = next(0);
    for number in 0..9_999 {
        let link = json!({ "type": "object", "properties": { "next": next(number + 1) } });
        at(&mut value, "/components/schemas")[name(number)] = link;
    }
    at(&mut value, "/components/schemas")[name(9_999)] = json!({ "type": "string" });
    let facts = Facts::published(&value, &Facts::ours(&ours.value)).unwrap();
    assert_eq!(facts.schemas["Link9998"]["next"], "string");
    let before = published(&ours, &ours);
    let report = upstream::review(&ours, &facts, &before, &[]);
    assert_eq!(report.news[0].advice.components.len(), 9_999);
    at(&mut value, "/components/schemas")[name(9_999)] = json!({ "type": "integer" });
    let last = Facts::published(&value, &Facts::ours(&ours.value)).unwrap();
    let report = upstream::review(&ours, &facts, &last, &[]).markdown();
    assert!(report.contains("- Link9998.next: `string` instead of `integer`"));
}

#[test]
fn keywords_that_say_nothing_are_passed_over() {
    let ours = small();
    let theirs = changed(&ours, &|d| {
        for keyword in ["nullable", "readOnly", "deprecated", "uniqueItems"] {
            at(d, REQUEST)["loginId"][keyword] = json!(false);
        }
        at(d, REQUEST)["loginId"]["title"] = json!("Login");
        at(d, REQUEST)["loginId"]["x-order"] = json!(1);
        at(d, REQUEST)["loginId"]["example"] = json!("jo");
        at(d, "/components/schemas/SendLinkRequest")["additionalProperties"] = json!(true);
        at(d, SEND)["tags"] = json!(["Links"]);
        at(d, "/components/securitySchemes/refresh")["bearerFormat"] = json!("Project:JWT");
    });
    let report = review(&ours, &theirs, &[]);
    assert!(report.is_clean(), "{}", report.markdown());
}

/// A property may have the name of a part of an operation.
#[test]
fn properties_are_not_taken_for_parts_of_operations() {
    let names = [
        "id",
        "formerly",
        "servers",
        "deprecated",
        "security",
        "success",
        "request",
        "response",
        "responseCode",
    ];
    let of = |kind: &str| {
        changed(&small(), &|d| {
            for name in names {
                at(d, REQUEST)[name] = json!({ "type": kind, "description": "One." });
            }
        })
    };
    let text = review(&small(), &of("string"), &[]).markdown();
    assert_eq!(text.matches("- [ ]").count(), 1, "{text}");
    assert!(
        text.contains("minor: add under `properties`; a setter"),
        "{text}"
    );
    let text = review(&of("string"), &of("integer"), &[]).markdown();
    let again = "major: find out what the service sends and takes now";
    assert_eq!(text.matches(again).count(), names.len(), "{text}");
    let verdicts = |old: &Source, new: &Source| -> Vec<String> {
        let changes = semver::description(old, new);
        changes
            .iter()
            .map(|change| format!("{} {}", change.release, change.section))
            .collect()
    };
    let (without, with) = (small(), of("string"));
    assert_eq!(verdicts(&without, &with), ["minor Added"; 9]);
    assert_eq!(verdicts(&with, &without), ["major Removed"; 9]);
    assert_eq!(verdicts(&with, &of("integer")), ["major Changed"; 9]);
}

/// A difference that is meant is so with its values, at all its places and at no other.
#[test]
fn a_divergence_holds_for_what_it_names() {
    let mut ours = small();
    let voice = |document: &mut Value| {
        let mut operation = at(document, SEND).clone();
        operation["operationId"] = json!("SendLinkByVoice");
        document["paths"]["/v1/auth/magiclink/signin/voice"] = json!({ "post": operation });
    };
    voice(&mut ours.value);
    let theirs = changed(&ours, &|d| {
        at(d, REQUEST)["loginId"]["type"] = json!("integer")
    });
    let list = |at: &str| {
        let text = format!(
            "divergences:\n  - {{at: [{at}], ours: string, published: integer, reason: said, evidence: said}}\n"
        );
        divergences::parse(&text).unwrap()
    };
    let all = list("SendLinkRequest.loginId");
    let report = review(&ours, &theirs, &all);
    assert!(report.is_followed(), "{}", report.markdown());

    // The published side moves on.
    let moved = changed(&ours, &|d| {
        at(d, REQUEST)["loginId"]["type"] = json!("boolean")
    });
    let before = published(&ours, &theirs);
    let report = upstream::review(&ours, &published(&ours, &moved), &before, &all);
    let text = report.markdown();
    assert!(
        text.contains("ours `string`, published `boolean` (before: `integer`)"),
        "{text}"
    );
    assert!(
        text.contains("line 2: `SendLinkRequest.loginId` the two sides say something else now"),
        "{text}"
    );

    // Only one of two operations has it.
    let partly = changed(&ours, &|d| {
        let mut request = at(d, "/components/schemas/SendLinkRequest").clone();
        request["properties"]["loginId"]["type"] = json!("integer");
        at(d, "/components/schemas")["VoiceRequest"] = request;
        let voice = at(d, "/paths/~1v1~1auth~1magiclink~1signin~1voice/post");
        voice["requestBody"]["content"]["application/json"]["schema"] =
            json!({ "$ref": "#/components/schemas/VoiceRequest" });
    });
    let report = review(&ours, &partly, &all);
    let text = report.markdown();
    assert!(
        text.contains(
            "`loginId` in POST /v1/auth/magiclink/signin/voice: ours `string`, published `integer`"
        ),
        "{text}"
    );
    assert!(text.contains("holds in some operations only"), "{text}");
    let report = review(
        &ours,
        &partly,
        &list("SendLinkRequest.loginId in POST /v1/auth/magiclink/signin/voice"),
    );
    assert!(report.is_followed(), "{}", report.markdown());

    // The difference goes.
    let report = review(&ours, &ours, &all);
    assert!(
        !report.is_followed()
            && report
                .markdown()
                .contains("no longer differs: remove the place")
    );
}

/// Facts of parts that we do not describe are news once, and are then in the lock.
#[test]
fn what_we_have_no_part_in_is_told_and_accepted() {
    let ours = small();
    let theirs = changed(&ours, &|d| {
        at(d, SEND)["responses"]["429"] = json!({ "description": "Slowly." });
    });
    let report = review(&ours, &theirs, &[]);
    assert!(report.is_followed() && !report.is_clean());
    let text = report.markdown();
    assert!(
        text.contains("POST /v1/auth/magiclink/signin/email errors: `429, 4XX` instead of `4XX`"),
        "{text}"
    );
    assert!(text.contains("run this again with `--accept`"), "{text}");
    let lock = published(&ours, &theirs).text();
    let lock = Facts::parse(&lock).unwrap();
    assert!(upstream::review(&ours, &lock, &lock, &[]).is_clean());
}

/// What the report asks to add passes the rules, generates, and leaves nothing to follow; and what it
/// asks to write into the list of divergences covers the same.
#[test]
fn the_advice_can_be_taken() {
    let ours = small();
    let theirs = changed(&ours, &|d| {
        let inner = json!({ "type": "object", "properties": {
            "no": { "type": "string" }, "a.b": { "type": "integer", "format": "int64" },
            "apiToken": { "type": "string" }, "list": { "type": "array", "items": { "type": "string" } },
            "claims": { "type": "object", "additionalProperties": { "type": "boolean" } },
            "more": { "type": "object", "properties": { "n": { "type": "number" } } },
        } });
        let schemas = at(d, "/components/schemas");
        schemas["v1.Inner"] = inner.clone();
        schemas["v1.InnerOfRequest"] = inner;
        at(d, REQUEST)["inner"] = json!({ "$ref": "#/components/schemas/v1.InnerOfRequest" });
        at(d, REQUEST)["y"] =
            json!({ "type": "string", "description": "With: a colon # and more" });
        at(d, RESPONSE)["inners"] =
            json!({ "type": "array", "items": { "$ref": "#/components/schemas/v1.Inner" } });
        d["paths"]["/v1/auth/magiclink/cancel/{sendId}"] = json!({ "delete": {
            "operationId": "links.cancel",
            "parameters": [
                { "name": "sendId", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "by", "in": "query", "schema": { "type": "string" } },
            ],
            "security": [{ "refresh": [] }],
            "responses": { "204": { "description": "Gone." } },
        } });
    });
    let report = review(&ours, &theirs, &[]);
    let text = report.markdown();

    let mut list = "divergences:\n".to_owned();
    list.extend(
        text.lines()
            .filter(|line| line.starts_with("  - {at:"))
            .map(|line| format!("{line}\n")),
    );
    assert!(
        divergences::parse(&list).is_err(),
        "reason and evidence are for people"
    );
    let kept = review(
        &ours,
        &theirs,
        &divergences::parse(&list.replace("\"\"", "said")).unwrap(),
    );
    assert!(kept.is_followed(), "{}", kept.markdown());

    // The blocks of YAML, put where their comments say.
    let (mut yaml, mut place) = (SMALL.to_owned(), String::new());
    let blocks = text
        .split("```yaml\n")
        .skip(1)
        .filter(|block| !block.starts_with("  - {at"));
    let lines = blocks.flat_map(|block| block.split("```\n").next().unwrap().lines());
    for line in lines {
        if line.trim_start().starts_with("# ") {
            let head = line
                .trim_start_matches([' ', '#'])
                .split(',')
                .next()
                .unwrap();
            place = match head {
                "components/schemas" => "  schemas:\n".to_owned(),
                head if head.starts_with("DELETE /v1/") => "paths:\n".to_owned(),
                head => properties_of(head),
            };
            continue;
        }
        assert!(yaml.contains(&place), "{place}");
        yaml = yaml.replacen(&place, &format!("{place}{line}\n"), 1);
        place += &format!("{line}\n");
    }
    let yaml = yaml.replace("\"\"", "To be said.");
    let followed = load(&yaml).unwrap();
    let left = review(&followed, &theirs, &[]);
    assert!(left.is_followed(), "{}\n{yaml}", left.markdown());
    bindings(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
}

/// What is to be added stands together by what it means, with a comment on where; all else has its line.
#[test]
fn a_report_is_short_and_loses_nothing() {
    let ours = small();
    let theirs = changed(&ours, &|d| {
        for name in ["one", "two"] {
            at(d, REQUEST)[name] = json!({ "type": "string" });
            at(d, RESPONSE)[name] = json!({ "type": "string", "enum": ["a"], "maxLength": 9 });
        }
        at(d, REQUEST)["loginId"]["type"] = json!("integer");
    });
    let report = review(&ours, &theirs, &[]);
    let text = report.markdown();
    let (_, text) = text.split_once("## spec/openapi.yaml\n").unwrap();
    let (text, _) = text.split_once("\n## ").unwrap();
    let expected = r#"
- **SendLinkRequest**, in POST /v1/auth/magiclink/signin/email
  - [ ] line 69: `loginId`: ours `string`, published `integer`. major: find out what the service sends and takes now, then change `loginId` in schema SendLinkRequest
- [ ] published, and we lack it. minor: add under `properties`; a setter in the facade where users need it
```yaml
        # SendLinkRequest, line 68, in POST /v1/auth/magiclink/signin/email
        one: {type: string, description: ""}
        two: {type: string, description: ""}
```
- [ ] published, and we lack it. minor: add under `properties`; an accessor in the facade where users need it
```yaml
        # SendLinkResponse, line 76, in POST /v1/auth/magiclink/signin/email
        # one is published as string in {a}; maxLength 9
        one: {type: string, description: ""}
        # two is published as string in {a}; maxLength 9
        two: {type: string, description: ""}
```
"#;
    assert_eq!(text, expected);
}

/// What was published before stands with what is to be added, and the type where the YAML has another.
#[test]
fn what_the_yaml_does_not_say_stands_beside_it() {
    let with = |schema: Value| changed(&small(), &|d| at(d, RESPONSE)["more"] = schema.clone());
    let text = json!({ "type": "string" });
    let list = |of: Value| json!({ "type": "array", "items": of });
    let map = |of: Value| json!({ "type": "object", "additionalProperties": of });
    let key = json!({ "$ref": "#/components/schemas/Key" });
    let null = json!({ "type": "string", "nullable": true });
    let number = |kind: &str, format: &str| json!({ "type": kind, "format": format });
    for (schema, says) in [
        (text.clone(), None),
        (list(text.clone()), None),
        (list(key.clone()), None),
        (map(map(key)), None),
        (map(json!(true)), None),
        (number("integer", "int64"), None),
        (number("number", "double"), Some("number (double)")),
        (number("integer", "int32"), Some("integer (int32)")),
        (json!({ "type": "integer" }), Some("integer")),
        (list(null.clone()), Some("list of string or null")),
        (map(list(null)), Some("map to list of string or null")),
    ] {
        let (ours, theirs) = (small(), with(schema.clone()));
        let text = review(&ours, &theirs, &[]).markdown();
        let said = text.split_once("# more is published as ");
        let said = said.and_then(|(_, rest)| rest.lines().next());
        assert_eq!(said, says, "{schema} in\n{text}");
        let was = with(json!({ "type": "boolean" }));
        let [now, was] = [theirs, was].map(|theirs| published(&ours, &theirs));
        let text = upstream::review(&ours, &now, &was, &[]).markdown();
        assert!(
            text.contains(" (before: `boolean`)\n"),
            "{schema} in\n{text}"
        );
    }
}

fn properties_of(schema: &str) -> String {
    let (_, rest) = SMALL.split_once(&format!("    {schema}:\n")).unwrap();
    let (head, _) = rest.split_once("properties:\n").unwrap();
    format!("    {schema}:\n{head}properties:\n")
}

/// Each is refused before anything is compared, with the line where there is one, and what to do.
#[test]
fn files_that_cannot_be_compared_are_refused() {
    let ours = Facts::ours(&small().value);
    let before = Facts {
        described: 5,
        ..Facts::default()
    };
    let cut = &SMALL[..SMALL.find("    SendLinkResponse:\n      type").unwrap()];
    let listed = SMALL.replace(
        "{type: string, description: The address.}",
        "{type: [string, \"null\"]}",
    );
    let nowhere = |what: &str| SMALL.replace(what, "{$ref: \"#/components/nowhere\"}");
    let nowhere_says: &[&str] = &["`#/components/nowhere` is not in it", "download it whole"];
    let body = "        required: true\n        content:\n          application/json:\n            schema: {$ref: \"#/components/schemas/SendLinkRequest\"}\n";
    let cases: [(&str, &[&str]); 14] = [
        (
            cut,
            &[
                "line ",
                "`#/components/schemas/SendLinkResponse` is not in it",
                "download it whole",
            ],
        ),
        (
            &SMALL.replace("3.0.3", "3.1.0"),
            &["line 1: it is OpenAPI 3.1.0", "3.0 is what is read"],
        ),
        (
            &listed,
            &["line ", "the type is a list, as OpenAPI 3.1 has it"],
        ),
        (
            &SMALL.replace("schema: {type: boolean}", "schema: {type: [boolean, \"null\"]}"),
            &["line 13: the type is a list"],
        ),
        (&nowhere("{name: certs, in: query, description: Whether to add certificates., schema: {type: boolean}}"), nowhere_says),
        (&SMALL.replace(body, "        $ref: \"#/components/nowhere\"\n"), nowhere_says),
        (&nowhere("{$ref: \"#/components/responses/Error\"}").replace("4XX", "\"201\""), nowhere_says),
        (
            &SMALL.replace("  /v1/keys/{projectId}:\n", "  /v2/auth/magiclink/x:\n    $ref: \"#/components/nowhere\"\n  /v1/keys/{projectId}:\n"),
            nowhere_says,
        ),
        (
            &SMALL.replace("{$ref: \"#/components/schemas/Key\"}", "{allOf: [{$ref: \"#/components/nowhere\"}, {type: object}]}"),
            nowhere_says,
        ),
        ("swagger: \"2.0\"\npaths: {}\n", &["no member `openapi`"]),
        ("openapi: 3.0.3\npaths: {}\n", &["describes 0 operations"]),
        (
            SMALL,
            &["describes 2 operations, and 5 were published before"],
        ),
        ("a: [", &["line "]),
        ("", &["no member `openapi`"]),
    ];
    for (text, says) in cases {
        let error = upstream::read(text, &ours, Some(&before))
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        for part in says {
            assert!(error.contains(part), "no {part:?} in {error:?}");
        }
    }
    assert_eq!(upstream::read(SMALL, &ours, None).unwrap().described, 2);
}

/// What is in the tree agrees: ours, what was published last, and what differs on purpose.
#[test]
fn the_lock_and_the_divergences_of_the_tree_hold() {
    let root = descope_magiclink_codegen::generate::project::root().unwrap();
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let lock = Facts::parse(&read("spec/published.lock")).unwrap();
    assert_eq!(
        lock.text(),
        read("spec/published.lock"),
        "written by the command alone"
    );
    let ours = load(&read("spec/openapi.yaml")).unwrap();
    let list = divergences::parse(&read("spec/divergences.yaml")).unwrap();
    let report = upstream::review(&ours, &lock, &lock, &list);
    assert!(report.is_clean(), "{}", report.markdown());
    serde_json::from_str::<Value>(&report.json().unwrap()).unwrap();
}
