//! Responses are read leniently, written back as they came, and print no value of unknown members.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;

use descope_magiclink::raw::types;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

type Outcome = Result<(), serde_json::Error>;

#[test]
fn unknown_members_are_kept_and_print_by_name_only() -> Outcome {
    let sent = json!({
        "sessionJwt": "canary-1",
        "newToken": "canary-2",
        "user": { "userId": "U1", "newSecret": { "inner": "canary-3" } },
    });
    let response: types::JwtResponse = serde_json::from_value(sent.clone())?;
    assert_eq!(response.extra["newToken"], "canary-2");
    assert_eq!(serde_json::to_value(&response).unwrap(), sent);
    for printed in [format!("{response:?}"), format!("{response:#?}")] {
        assert!(!printed.contains("canary"), "{printed}");
        assert!(
            printed.contains("newToken") && printed.contains("newSecret"),
            "{printed}"
        );
        assert!(printed.contains("U1"), "{printed}");
    }
    Ok(())
}

#[test]
fn free_form_responses_print_by_name_only() -> Outcome {
    let claims: types::ValidateSessionResponse =
        serde_json::from_value(json!({ "jwt": "canary", "sub": "U1" }))?;
    assert_eq!(claims["sub"], "U1");
    assert_eq!(
        format!("{claims:?}"),
        r#"ValidateSessionResponse({"jwt", "sub"})"#
    );
    Ok(())
}

/// Members of any type, and texts by a name of the user's, may hold a secret.
#[test]
fn free_form_members_print_by_name_only() -> Outcome {
    let free = json!({ "name-1": "canary-1", "name-2": { "inner": ["canary-2"] } });
    let texts = json!({ "name-1": "canary-1" });
    let sent = json!({ "customClaims": free, "templateOptions": texts, "claims": free, "customAttributes": free,
        "idpSAMLAttributes": free, "idpOIDCClaims": free, "user": { "customAttributes": free } });
    fn print<T: DeserializeOwned + std::fmt::Debug>(sent: &Value) -> serde_json::Result<String> {
        serde_json::from_value::<T>(sent.clone()).map(|value| format!("{value:?} {value:#?}"))
    }
    let printed = [
        print::<types::LoginOptions>(&sent)?,
        print::<types::SignupLoginOptions>(&sent)?,
        print::<types::AccessKeyLoginOptions>(&sent)?,
        print::<types::EmbeddedLinkSignInRequest>(&sent)?,
        print::<types::UpdateUserEmailMagicLinkRequest>(&sent)?,
        print::<types::UpdateUserPhoneMagicLinkRequest>(&sent)?,
        print::<types::CreateUserRequest>(&sent)?,
        print::<types::JwtResponse>(&sent)?,
        print::<types::OptionalJwtResponse>(&sent)?,
        print::<types::IdpResponse>(&sent)?,
        print::<types::UserResponse>(&sent)?,
        print::<types::MyTenant>(&sent)?,
    ];
    for printed in printed {
        assert!(!printed.contains("canary"), "{printed}");
        assert!(printed.contains("name-1"), "{printed}");
    }
    Ok(())
}

/// What cannot be read as described is absent, and is kept as it came.
#[test]
fn what_cannot_be_read_is_kept() -> Outcome {
    let sent = json!({
        "sessionJwt": "s", "refreshJwt": "r", "cookieMaxAge": "2419199", "cookieDomain": 7, "claims": [], "firstSeen": "yes",
        "cookieExpiration": 1.5,
        "user": {
            "userId": "U1", "roleNames": ["a", null], "permissions": "p", "customAttributes": [], "OAuth": { "x": null },
            "name": null, "externalIds": [], "userTenants": [null], "createdTime": 4_102_444_800_i64, "test": 0
        },
        "idpResponse": ["x"],
    });
    let read: types::JwtResponse = serde_json::from_value(sent.clone())?;
    assert_eq!(
        read.session_jwt.as_ref().map(|token| token.expose_secret()),
        Some("s")
    );
    assert_eq!(
        (read.cookie_max_age, read.cookie_expiration, read.first_seen),
        (None, None, None)
    );
    assert_eq!(read.extra["cookieMaxAge"], "2419199");
    assert!(read.idp_response.is_none());
    let user = read.user.as_ref().unwrap();
    assert_eq!(user.user_id.as_deref(), Some("U1"));
    assert_eq!(user.created_time, Some(4_102_444_800));
    assert_eq!(
        (&user.role_names, &user.external_ids),
        (&None, &Some(vec![]))
    );
    assert_eq!(user.extra["roleNames"], json!(["a", null]));
    assert_eq!(serde_json::to_value(&read)?, sent);
    Ok(())
}

#[test]
fn absent_null_and_empty_stay_what_they_are() -> Outcome {
    for sent in [
        json!({}),
        json!({ "roleNames": [], "userTenants": [], "customAttributes": {}, "OAuth": {}, "email": "", "test": false }),
        json!({ "roleNames": null, "userTenants": null, "customAttributes": null, "OAuth": null, "email": null }),
        json!({ "userTenants": [{ "roleNames": [], "permissions": null }] }),
    ] {
        let user: types::ResponseUser = serde_json::from_value(sent.clone())?;
        assert_eq!(serde_json::to_value(&user)?, sent);
    }
    Ok(())
}

#[test]
fn of_a_member_that_comes_twice_the_last_counts() -> Outcome {
    let twice = r#"{"sessionJwt":"old","sessionJwt":"new","user":{"userId":"U1","userId":"U2"},"cookiePath":"/","cookiePath":7}"#;
    let read: types::JwtResponse = serde_json::from_str(twice)?;
    assert_eq!(
        read.session_jwt.as_ref().map(|token| token.expose_secret()),
        Some("new")
    );
    assert_eq!(
        read.user.and_then(|user| user.user_id).as_deref(),
        Some("U2")
    );
    assert_eq!(
        (read.cookie_path, &read.extra["cookiePath"]),
        (None, &json!(7))
    );
    Ok(())
}

/// Some sources have a user, a history or claims inside a member; both forms are read.
#[test]
fn what_may_be_wrapped_is_read_either_way() -> Outcome {
    let user = json!({ "userId": "U1", "user": { "more": 1 } });
    let plain: types::ResponseUser = serde_json::from_value(user.clone())?;
    assert_eq!(serde_json::to_value(plain)?, user);
    let wrapped: types::ResponseUser =
        serde_json::from_value(json!({ "user": user.clone(), "more": 1 }))?;
    assert_eq!(serde_json::to_value(wrapped)?, user);
    let other = json!({ "user": "x", "more": 1 });
    let unknown: types::ResponseUser = serde_json::from_value(other.clone())?;
    assert_eq!(serde_json::to_value(unknown)?, other);

    for history in [
        json!([{ "ip": "1.2.3.4" }, {}]),
        json!({ "authHistory": [{ "ip": "1.2.3.4" }, null, {}] }),
    ] {
        let history: types::MeAuthHistoryResponse = serde_json::from_value(history)?;
        assert_eq!(
            (history.len(), history[0].ip.as_deref()),
            (2, Some("1.2.3.4"))
        );
    }
    for nothing in [json!([]), json!({}), json!({ "authHistory": null })] {
        assert!(serde_json::from_value::<types::MeAuthHistoryResponse>(nothing)?.is_empty());
    }
    for other in [
        json!({ "message": "x" }),
        json!("x"),
        json!(null),
        json!({ "authHistory": "x" }),
        json!([1, null]),
    ] {
        assert!(serde_json::from_value::<types::MeAuthHistoryResponse>(other).is_err());
    }

    for claims in [
        json!({ "sub": "U1" }),
        json!({ "parsedJWT": { "sub": "U1" } }),
    ] {
        let claims: types::ValidateSessionResponse = serde_json::from_value(claims)?;
        assert_eq!(serde_json::to_value(claims)?, json!({ "sub": "U1" }));
    }
    Ok(())
}

/// An error of reading names the kind, and never the value.
#[test]
fn what_is_no_object_is_an_error_without_the_value() {
    for other in ["\"canary\"", "[\"canary\"]", "7", "null"] {
        let error = serde_json::from_str::<types::JwtResponse>(other)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected an object") && !error.contains("canary"),
            "{error}"
        );
    }
}

/// Reads a response as the type of a component and writes it again.
fn round_trip(component: &str, text: &str) -> serde_json::Result<Value> {
    fn through<T: DeserializeOwned + Serialize>(text: &str) -> serde_json::Result<Value> {
        serde_json::to_value(serde_json::from_str::<T>(text)?)
    }
    macro_rules! through {
        ($($name:literal => $type:ident),+ $(,)?) => {
            match component {
                $($name => through::<types::$type>(text),)+
                other => panic!("no type is listed for {other}"),
            }
        };
    }
    through! {
        "EmailMagicLinkResponse" => EmailMagicLinkResponse,
        "EmbeddedLinkSignInResponse" => EmbeddedLinkSignInResponse,
        "ErrorResponse" => ErrorResponse,
        "ExchangeAccessKeyResponse" => ExchangeAccessKeyResponse,
        "ExportedAuthHistory" => ExportedAuthHistory,
        "IDPResponse" => IdpResponse,
        "JWK" => Jwk,
        "JWKSet" => JwkSet,
        "JWTResponse" => JwtResponse,
        "LicenseResponse" => LicenseResponse,
        "MeAuthHistoryResponse" => MeAuthHistoryResponse,
        "MyTenant" => MyTenant,
        "MyTenantsResponse" => MyTenantsResponse,
        "OptionalJWTResponse" => OptionalJwtResponse,
        "PhoneMagicLinkResponse" => PhoneMagicLinkResponse,
        "ResponseUser" => ResponseUser,
        "TestUserGenerateMagicLinkResponse" => TestUserGenerateMagicLinkResponse,
        "UserResponse" => UserResponse,
        "UserTenant" => UserTenant,
        "ValidateSessionResponse" => ValidateSessionResponse,
    }
}

fn spec() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/openapi.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The components that responses lead to.
fn response_components(spec: &Value) -> BTreeSet<String> {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut todo = Vec::new();
    for item in spec["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            references(&operation["responses"], &mut todo);
        }
    }
    let mut components = BTreeSet::new();
    while let Some(target) = todo.pop() {
        if let Some(name) = target.strip_prefix("#/components/schemas/")
            && !components.insert(name.to_owned())
        {
            continue;
        }
        references(spec.pointer(&target[1..]).unwrap(), &mut todo);
    }
    components
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..4).prop_map(String::from_iter)
}

fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Samples that a schema allows; a property may also be absent or null, as on the wire.
fn samples(schema: &Value, spec: &Value) -> BoxedStrategy<Value> {
    if let Some(target) = schema["$ref"].as_str() {
        return samples(spec.pointer(&target[1..]).unwrap(), spec);
    }
    match schema["type"].as_str().unwrap() {
        "string" => text().prop_map(Value::from).boxed(),
        "integer" => any::<i64>().prop_map(Value::from).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "array" => prop::collection::vec(samples(&schema["items"], spec), 0..3)
            .prop_map(Value::from)
            .boxed(),
        "object" => {
            let mut all = Just(Map::new()).boxed();
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let name = name.clone();
                let value = prop_oneof![
                    2 => Just(None),
                    1 => Just(Some(Value::Null)),
                    4 => samples(property, spec).prop_map(Some),
                ];
                all = (all, value)
                    .prop_map(move |(mut all, value)| {
                        all.extend(value.map(|value| (name.clone(), value)));
                        all
                    })
                    .boxed();
            }
            let more = match &schema["additionalProperties"] {
                Value::Object(values) if !values.is_empty() => {
                    samples(&schema["additionalProperties"], spec)
                }
                _ => any_json(),
            };
            // No name that a component has, or reads in another case.
            let more = prop::collection::btree_map("_[a-z]{1,4}", more, 0..3);
            (all, more)
                .prop_map(|(mut all, more)| {
                    all.extend(more);
                    Value::Object(all)
                })
                .boxed()
        }
        other => panic!("no samples for {other}"),
    }
}

#[test]
fn every_sample_of_every_response_survives_a_round_trip() {
    let spec = spec();
    let components = response_components(&spec);
    assert!(components.len() >= 20, "{components:?}");
    for name in components {
        let samples = samples(&spec["components"]["schemas"][&name], &spec);
        let config = Config {
            cases: 1000,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&samples, |sample| {
            let text = sample.to_string();
            let sent: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(round_trip(&name, &text).unwrap(), sent);
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Types with `#[non_exhaustive]` can be made outside the crate by `default` alone.
#[test]
fn responses_can_be_made_for_tests() {
    let mut user = types::ResponseUser::default();
    user.user_id = Some("U1".to_owned());
    assert_eq!(
        serde_json::to_value(&user).unwrap(),
        json!({ "userId": "U1" })
    );
    assert!(types::JwtResponse::default().extra.is_empty());
    assert!(types::ValidateSessionResponse::default().is_empty());
}
