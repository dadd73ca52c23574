//! What the maintainer's loop says and does when the published description changes.
//!
//! Each drill takes our own description as the published one, so that nothing else differs, changes
//! it in code, and snapshots the outcome of the whole loop: the report of `cargo xtask upstream`; and,
//! when the change is followed, the diff of the generated files and the verdict of
//! `cargo xtask semver`.

#![expect(clippy::panic, reason = "helpers of tests")]

use std::fmt::Write as _;

use descope_magiclink_codegen::bindings;
use descope_magiclink_codegen::generate::load::{Source, load};
use descope_magiclink_codegen::generate::project;
use descope_magiclink_codegen::review::compare::{Api, Difference, Kind};
use descope_magiclink_codegen::review::{divergences, semver, upstream};
use serde_json::{Value, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const SIGN_IN: &str = "/paths/~1v1~1auth~1magiclink~1signin~1email/post";
const VERIFY: &str = "/paths/~1v1~1auth~1magiclink~1verify/post";

fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("the description has no {pointer}"))
}

fn properties<'a>(document: &'a mut Value, schema: &str) -> &'a mut Value {
    at(
        document,
        &format!("/components/schemas/{schema}/properties"),
    )
}

fn remove(object: &mut Value, member: &str) -> Value {
    let members = object.as_object_mut();
    members
        .and_then(|members| members.remove(member))
        .unwrap_or_else(|| panic!("there is no {member}"))
}

/// Runs the loop on `change`, made to our description after `prepare`.
fn drill(
    name: &str,
    list: &str,
    prepare: impl Fn(&mut Value),
    change: impl Fn(&mut Value),
) -> Outcome {
    drill_and_follow(name, list, prepare, &change, &change)
}

/// The same where following the change is another change than the published one.
fn drill_and_follow(
    name: &str,
    list: &str,
    prepare: impl Fn(&mut Value),
    change: impl Fn(&mut Value),
    follow: impl Fn(&mut Value),
) -> Outcome {
    // Without lines, which move with every edit of the file.
    let mut ours = Source::without_lines(load(&project::spec()?)?.value);
    prepare(&mut ours.value);
    let mut published = ours.value.clone();
    change(&mut published);
    let mut followed = ours.value.clone();
    follow(&mut followed);

    let entries = divergences::parse(list)?;
    let report = upstream::compare(&ours, &published, &entries)?;
    let mut outcome = format!("$ cargo xtask upstream published.yaml\n{}", report.text());
    let _ = writeln!(outcome, "[exit code {}]\n", i32::from(!report.is_clean()));

    if report.news.is_empty() {
        outcome.push_str("Nothing to follow: no code is generated and no version moves.\n");
    } else {
        let text = |document: &Value| serde_json::to_string(document);
        let (old, new) = (bindings(&text(&ours.value)?)?, bindings(&text(&followed)?)?);
        outcome.push_str("$ cargo xtask codegen  # after following it; then git diff -U1\n");
        for ((path, old), (_, new)) in old.files().into_iter().zip(new.files()) {
            let diff = similar::TextDiff::from_lines(old, new);
            let _ = write!(
                outcome,
                "{}",
                diff.unified_diff().context_radius(1).header(path, path)
            );
        }
        let changes = semver::description(&ours, &Source::without_lines(followed));
        let report = semver::report("v0.1.0", "0.1.0", &changes, None);
        let _ = write!(
            outcome,
            "\n$ cargo xtask semver v0.1.0 --spec-only\n{report}"
        );
    }
    second_opinion(&ours.value, &published);
    insta::with_settings!({
        prepend_module_to_snapshot => false,
        omit_expression => true,
        // What moves with edits of the description that have nothing to do with the drill.
        filters => [
            (r"\d+ of our \d+ operations are among the \d+", "[n] of our [n] operations are among the [n]"),
            (r"(?m)^@@ -.* @@$", "@@"),
        ],
    }, {
        insta::assert_snapshot!(format!("drill__{name}"), outcome);
    });
    Ok(())
}

/// The crate `drift` finds a difference where we find one, as far as it looks: not at security.
fn second_opinion(ours: &Value, theirs: &Value) {
    let (our_api, their_api) = (Api::new(ours), Api::new(theirs));
    let differences = our_api.differences(&their_api, |_| true);
    let is_security = |d: &Difference| d.kind == Kind::Security;
    if differences.iter().any(is_security) {
        return;
    }
    let changes = drift::compare(ours, theirs).unwrap_or_else(|error| panic!("{error:#}"));
    let drift_differs = changes
        .iter()
        .flat_map(|change| &change.changes)
        .any(|change| change.class != drift::ChangeClass::Trivial);
    assert_eq!(drift_differs, !differences.is_empty(), "{changes:#?}");
}

const NONE: &str = "divergences: []";

fn nothing(_: &mut Value) {}

#[test]
fn field_added_to_a_request() -> Outcome {
    drill("field_added_to_a_request", NONE, nothing, |document| {
        properties(document, "MagicLinkSignInRequest")["madeUpChannel"] =
            json!({ "type": "string", "description": "The channel of the message." });
    })
}

#[test]
fn field_added_to_an_answer() -> Outcome {
    drill("field_added_to_an_answer", NONE, nothing, |document| {
        properties(document, "JWTResponse")["madeUpToken"] =
            json!({ "type": "string", "format": "password", "description": "Trusts the device." });
    })
}

#[test]
fn field_removed() -> Outcome {
    drill("field_removed", NONE, nothing, |document| {
        remove(
            properties(document, "MagicLinkSignInRequest"),
            "useRecovery",
        );
    })
}

#[test]
fn type_changed() -> Outcome {
    drill("type_changed", NONE, nothing, |document| {
        properties(document, "JWTResponse")["sessionExpiration"]["type"] = json!("string");
        remove(
            &mut properties(document, "JWTResponse")["sessionExpiration"],
            "format",
        );
    })
}

/// Nothing is `required` in our description, so following is a word in the documentation.
#[test]
fn newly_required() -> Outcome {
    let publish = |document: &mut Value| {
        at(document, "/components/schemas/MagicLinkSignInRequest")["required"] =
            json!(["redirectUrl"]);
    };
    let follow = |document: &mut Value| {
        let description =
            &mut properties(document, "MagicLinkSignInRequest")["redirectUrl"]["description"];
        *description = json!("Page that the link leads to. Needed.");
    };
    drill_and_follow("newly_required", NONE, nothing, publish, follow)
}

#[test]
fn operation_removed() -> Outcome {
    drill("operation_removed", NONE, nothing, |document| {
        let paths = at(document, "/paths");
        remove(paths, "/v1/auth/magiclink/update/phone/whatsapp");
    })
}

#[test]
fn path_moved() -> Outcome {
    drill("path_moved", NONE, nothing, |document| {
        let paths = at(document, "/paths");
        let item = remove(paths, "/v1/auth/magiclink/verify");
        paths["/v2/auth/magiclink/verify"] = item;
    })
}

#[test]
fn new_delivery_method() -> Outcome {
    drill("new_delivery_method", NONE, nothing, |document| {
        let mut operation = at(document, SIGN_IN).clone();
        operation["operationId"] = json!("SignInMagicLinkVoice");
        operation["summary"] = json!("Sign in by voice");
        at(document, "/paths")["/v1/auth/magiclink/signin/voice"] = json!({ "post": operation });
    })
}

#[test]
fn new_magic_link_operation() -> Outcome {
    drill("new_magic_link_operation", NONE, nothing, |document| {
        let mut operation = at(document, VERIFY).clone();
        operation["operationId"] = json!("CancelMagicLink");
        operation["summary"] = json!("Cancel");
        operation["description"] = json!("Makes a link invalid.");
        remove(at(&mut operation, "/responses/200"), "content");
        at(document, "/paths")["/v1/auth/magiclink/cancel"] = json!({ "post": operation });
    })
}

#[test]
fn security_changed() -> Outcome {
    drill("security_changed", NONE, nothing, |document| {
        at(document, VERIFY)["security"] = json!([{ "session": [] }]);
    })
}

/// Our description has no enum; this drill gives it one in a request first.
#[test]
fn enum_value_added() -> Outcome {
    let with = |values: Value| {
        move |document: &mut Value| {
            properties(document, "MagicLinkSignInRequest")["madeUpChannel"] =
                json!({ "type": "string", "description": "The channel.", "enum": values });
        }
    };
    drill(
        "enum_value_added",
        NONE,
        with(json!(["push", "web"])),
        with(json!(["push", "voice", "web"])),
    )
}

#[test]
fn only_prose_changed() -> Outcome {
    fn shout(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(text) if name == "description" || name == "summary" => {
                            text.push_str(" Indeed.");
                        }
                        _ => shout(member),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(shout),
            _ => {}
        }
    }
    drill("only_prose_changed", NONE, nothing, shout)
}

/// Members of JSON objects come sorted here, so lists are what an order can change in.
#[test]
fn only_order_changed() -> Outcome {
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
    drill("only_order_changed", NONE, nothing, reverse)
}

#[test]
fn divergence_resolved() -> Outcome {
    let list = "divergences:
  - id: session-of-no-one
    at: POST /v1/auth/magiclink/*/* request.templateId
    kind: field-added
    reason: Every request that sends a message can choose its template.
    evidence: The Go SDK.
";
    drill("divergence_resolved", list, nothing, nothing)
}

#[test]
fn reference_renamed() -> Outcome {
    drill("reference_renamed", NONE, nothing, |document| {
        let text = document
            .to_string()
            .replace("\"ResponseUser\"", "\"UserView\"");
        let text = text.replace("schemas/ResponseUser\"", "schemas/UserView\"");
        *document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
        at(document, "/components/schemas/UserView");
    })
}

#[test]
fn schema_inlined() -> Outcome {
    drill("schema_inlined", NONE, nothing, |document| {
        let schema = at(document, "/components/schemas/LoginOptions").clone();
        let request = properties(document, "MagicLinkSignInRequest");
        assert!(request["loginOptions"].get("$ref").is_some());
        request["loginOptions"] = schema;
    })
}

/// Two divergences become stale and one difference is new, for the other two formats of the report.
#[test]
fn reports_for_programs_and_for_pull_requests() -> Outcome {
    let ours = Source::without_lines(load(&project::spec()?)?.value);
    let mut published = ours.value.clone();
    properties(&mut published, "ResponseUser")["madeUpName"] =
        json!({ "type": "string", "description": "A short name." });
    let list = "divergences:
  - {id: gone, at: POST /v1/auth/refresh, kind: security, reason: r, evidence: e}
";
    let report = upstream::compare(&ours, &published, &divergences::parse(list)?)?;
    let json = report.json()?;
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("report__json", json);
        insta::assert_snapshot!("report__markdown", report.markdown());
    });
    Ok(())
}

/// The place to edit is named by its line.
#[test]
fn the_report_names_the_line_to_edit() -> Outcome {
    let spec = project::spec()?;
    let ours = load(&spec)?;
    let mut published = ours.value.clone();
    properties(&mut published, "ResponseUser")["madeUpName"] = json!({ "type": "string" });
    let report = upstream::compare(&ours, &published, &[])?;
    let lines: Vec<_> = report.news.iter().filter_map(|news| news.line).collect();
    let [line] = lines.as_slice() else {
        panic!("one difference: {lines:?}");
    };
    let line = usize::try_from(*line)?;
    assert_eq!(
        spec.lines().nth(line - 1).map(str::trim),
        Some("ResponseUser:")
    );
    Ok(())
}

/// What the report asks to add makes it clean, once reason and evidence are given.
#[test]
fn the_suggested_entries_cover_the_differences() -> Outcome {
    let ours = load(&project::spec()?)?;
    let mut published = ours.value.clone();
    properties(&mut published, "ResponseUser")["madeUpName"] = json!({ "type": "string" });
    properties(&mut published, "SignUpUser")["madeUpName"] = json!({ "type": "string" });
    remove(properties(&mut published, "LoginOptions"), "locale");
    remove(at(&mut published, "/paths"), "/v1/auth/magiclink/verify");
    at(&mut published, SIGN_IN)["security"] = json!([]);
    let report = upstream::compare(&ours, &published, &[])?;
    assert!(report.news.len() >= 5, "{}", report.text());
    let mut list = "divergences:\n".to_owned();
    for news in &report.news {
        list.push_str(&news.entry);
    }
    let refused = divergences::parse(&list)
        .map(|_| ())
        .map_err(|error| error.to_string());
    assert!(refused.is_err_and(|text| text.contains("has no `reason`")));
    let list = list.replace("\"\"", "said");
    let report = upstream::compare(&ours, &published, &divergences::parse(&list)?)?;
    assert!(report.is_clean(), "{}", report.text());
    Ok(())
}

#[test]
fn a_file_without_operations_is_refused() -> Outcome {
    let ours = load(&project::spec()?)?;
    let error = upstream::compare(&ours, &json!({ "swagger": "2.0" }), &[]).err();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains("describes no operations"), "{text}");
    Ok(())
}
