//! What holds for any input at all.

use std::sync::LazyLock;

use descope_magiclink::SessionToken;
use descope_magiclink::SessionValidator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::signing::{Key, PROJECT, USER, jwks, key_set};

static KEYS: LazyLock<[Key; 2]> = LazyLock::new(|| [Key::rsa("rsa"), Key::p256("ec")]);

static VALIDATOR: LazyLock<SessionValidator> = LazyLock::new(|| {
    SessionValidator::builder(PROJECT)
        .key_set(key_set(&[&KEYS[0], &KEYS[1]]))
        .build()
        .unwrap()
});

static TOKENS: LazyLock<[String; 2]> = LazyLock::new(|| {
    let claims = json!({
        "iss": PROJECT, "sub": USER, "drn": "DS", "exp": 9_999_999_999_i64, "roles": ["admin"],
    });
    [KEYS[0].sign(&claims), KEYS[1].sign(&claims)]
});

fn is_accepted(token: &str) -> bool {
    VALIDATOR.validate_cached(&SessionToken::new(token)).is_ok()
}

#[test]
fn every_change_of_one_letter_is_refused() {
    for token in TOKENS.iter() {
        assert!(is_accepted(token));
        for at in 0..token.len() {
            for letter in [
                'A', 'B', 'z', '0', '-', '_', '.', '=', '+', ' ', '\n', '\0', '\u{e9}',
            ] {
                let (before, rest) = token.split_at(at);
                let changed = format!("{before}{letter}{}", &rest[1..]);
                assert!(
                    &changed == token || !is_accepted(&changed),
                    "{letter:?} at {at}"
                );
            }
            let (before, rest) = token.split_at(at);
            assert!(
                !is_accepted(&format!("{before}{}", &rest[1..])),
                "without {at}"
            );
            assert!(
                !is_accepted(&format!("{before}A{rest}")),
                "with one more at {at}"
            );
            assert!(!is_accepted(before), "cut off at {at}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The claims of a good session, with one more whose value is this text.
fn with_claim(text: &str) -> String {
    let exp = 9_999_999_999_i64;
    let claims =
        format!(r#"{{"iss":"{PROJECT}","sub":"{USER}","drn":"DS","exp":{exp},"x":{text}}}"#);
    KEYS[1].sign_texts(KEYS[1].header().to_string(), claims)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_change_of_any_one_byte_is_refused(which in 0..2_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let token = &TOKENS[which];
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        prop_assert!(!is_accepted(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn no_text_is_a_token(text in any::<String>()) {
        prop_assert!(!is_accepted(&text));
    }

    #[test]
    fn nothing_like_a_token_is_one(text in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,5}") {
        prop_assert!(!is_accepted(&text));
    }

    #[test]
    fn any_signed_header_has_a_verdict(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
        prop_assert!(!is_accepted(&KEYS[1].sign_texts(header, claims)));
    }

    #[test]
    fn any_signed_claims_have_a_verdict(
        name in "iss|sub|dsub|aud|exp|nbf|iat|drn|cnf|tenants|dct|roles|amr|rexp",
        value in prop_oneof![
            any::<i64>().prop_map(|n| json!(n)),
            any::<f64>().prop_map(|n| json!(n)),
            any::<String>().prop_map(|s| json!(s)),
            any::<Vec<String>>().prop_map(|s| json!(s)),
            prop::collection::btree_map(any::<String>(), any::<String>(), 0..5).prop_map(|m| json!(m)),
        ],
    ) {
        let mut claims = json!({"iss": PROJECT, "sub": USER, "drn": "DS", "exp": 9_999_999_999_i64});
        claims[name.as_str()] = value;
        let token = SessionToken::new(KEYS[1].sign(&claims));
        if let Ok(session) = VALIDATOR.validate_cached(&token) {
            // Whatever the shape, each question has a response.
            let _ = (session.user_id(), session.expires_at(), session.issued_at(), session.is_mfa());
            let _ = (session.expires_at(), session.claims(), session.custom_claims());
            let tenants: Vec<String> = session.tenants().map(str::to_owned).collect();
            for tenant in tenants {
                prop_assert!(session.tenant(&tenant).is_ok());
            }
            prop_assert_eq!(Some(session.has_roles(["x"])), Some(session.roles().any(|role| role == "x")));
        }
    }

    #[test]
    fn claims_are_read_as_serde_json_reads_them(value in any_json()) {
        let text = value.to_string();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let session = VALIDATOR.validate_cached(&SessionToken::new(with_claim(&text))).unwrap();
        prop_assert_eq!(session.claim("x"), Some(expected));
    }

    #[test]
    fn claims_that_serde_json_refuses_are_refused(text in r#"[\[\]":0-9a-ce\\ .+-]{0,40}"#) {
        // Without braces and commas: serde_json lets names stand twice, and a text must not end the object.
        let ours = is_accepted(&with_claim(&text));
        prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn any_key_set_has_a_verdict(bytes in any::<Vec<u8>>()) {
        let _ = SessionValidator::builder(PROJECT).key_set(bytes).build();
    }

    #[test]
    fn any_key_has_a_verdict(
        name in "kty|kid|alg|use|key_ops|n|e|crv|x|y",
        text in "[A-Za-z0-9_-]{0,100}",
        which in 0..2_usize,
    ) {
        let mut jwk = KEYS[which].jwk();
        jwk[name.as_str()] = json!(text);
        let _ = SessionValidator::builder(PROJECT).key_set(jwks(vec![jwk])).build();
    }

    #[test]
    fn any_project_id_and_url_has_a_verdict(id in any::<String>(), url in any::<String>()) {
        for (id, url) in [(id.as_str(), url.clone()), (PROJECT, format!("https://{url}"))] {
            let _ = SessionValidator::builder(id).base_url(url).key_set(KEYS[1].jwk().to_string()).build();
        }
    }
}
