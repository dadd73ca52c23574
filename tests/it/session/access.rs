//! What a session says of its user, in whatever shape the claims come.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use descope_magiclink::SessionToken;
use descope_magiclink::session::SessionError;
use descope_magiclink::{Session, SessionValidator};
use serde_json::{Value, json};

use super::signing::{Key, PROJECT, USER, key_set, merged};

static KEY: LazyLock<Key> = LazyLock::new(|| Key::p256("k"));

/// A session of these claims.
fn session(change: Value) -> Session {
    let claims = json!({"iss": PROJECT, "sub": USER, "drn": "DS", "exp": 253_402_300_000_i64});
    let validator = SessionValidator::builder(PROJECT)
        .key_set(key_set(&[&KEY]))
        .build()
        .unwrap();
    let token = SessionToken::new(KEY.sign(&merged(claims, change)));
    validator.validate_cached(&token).unwrap()
}

/// A claim under the names of both lists, so that each rule is seen to hold for both.
fn grants(list: Value) -> Value {
    json!({"permissions": list, "roles": list})
}

fn project_has(session: &Session, names: &[&str]) -> bool {
    let by_permissions = session.has_permissions(names);
    assert_eq!(by_permissions, session.has_roles(names));
    by_permissions
}

/// `None`: the user does not belong to the tenant.
fn tenant_has(session: &Session, tenant: &str, names: &[&str]) -> Option<bool> {
    match session.tenant(tenant) {
        Ok(tenant) => {
            let by_permissions = tenant.has_permissions(names);
            assert_eq!(by_permissions, tenant.has_roles(names));
            Some(by_permissions)
        }
        Err(SessionError::NotInTenant) => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn project_level() {
    let user = session(grants(json!(["read", "write", "admin"])));
    for (names, expected) in [
        (vec!["read"], true),
        (vec!["write", "read"], true),
        (vec![], true),
        (vec!["delete"], false),
        (vec!["read", "delete"], false),
        // Asking twice asks no more than asking once.
        (vec!["read", "read"], true),
        (vec!["READ"], false),
        (vec!["rea"], false),
        (vec![""], false),
    ] {
        assert_eq!(project_has(&user, &names), expected, "{names:?}");
    }
    assert_eq!(
        user.permissions().collect::<Vec<_>>(),
        ["read", "write", "admin"]
    );
    // Any kind of list of any kind of text will do.
    assert!(user.has_permissions(&["read".to_owned()]));
    assert!(user.has_roles(["read"].iter()));
}

#[test]
fn a_claim_of_the_wrong_shape_grants_nothing_and_spoils_nothing() {
    for wrong in [
        json!("read"),
        json!({"read": true}),
        json!(true),
        json!(1),
        json!([["read"]]),
        json!([{"read": 1}, 1, true, null]),
    ] {
        let user = session(merged(
            grants(wrong.clone()),
            json!({"tenants": wrong, "dct": wrong, "amr": wrong, "rexp": wrong, "nsec": wrong}),
        ));
        assert!(!project_has(&user, &["read"]), "{wrong}");
        assert!(project_has(&user, &[]), "{wrong}");
        assert_eq!(user.user_id(), USER);
        assert_eq!(user.claim("roles"), Some(wrong));
    }
    let user = session(grants(json!([1, "read", null, ["write"], "admin"])));
    assert!(project_has(&user, &["read", "admin"]));
    assert!(!project_has(&user, &["write"]));
}

#[test]
fn tenant_level() {
    let user = session(json!({
        "permissions": ["project"], "roles": ["project"],
        "tenants": {
            "t1": {"permissions": ["p"], "roles": ["p"]},
            "t2": {},
            "t3": null,
            "t4": "p",
            "t5": {"permissions": "p", "roles": "p"},
            "t6": {"permissions": {"p": true}, "roles": [["p"], 1]},
            "t7": ["p"],
            "": {"permissions": ["p"], "roles": ["p"]},
            "__proto__": {"permissions": ["proto"], "roles": ["proto"]},
            "constructor": {},
        },
    }));
    for (tenant, names, expected) in [
        ("t1", vec!["p"], Some(true)),
        ("t1", vec!["p", "p"], Some(true)),
        ("t1", vec!["p", "q"], Some(false)),
        ("t1", vec![], Some(true)),
        ("t1", vec!["project"], Some(false)),
        ("t2", vec!["p"], Some(false)),
        ("t2", vec![], Some(true)),
        ("t2", vec!["project"], Some(false)),
        ("t3", vec!["p"], Some(false)),
        ("t4", vec!["p"], Some(false)),
        ("t5", vec!["p"], Some(false)),
        ("t6", vec!["p"], Some(false)),
        ("t7", vec!["p"], Some(false)),
        ("__proto__", vec!["proto"], Some(true)),
        ("__proto__", vec!["p"], Some(false)),
        ("constructor", vec!["p"], Some(false)),
        // A user is not in a tenant that is not listed, and then not even nothing is granted.
        ("t8", vec![], None),
        ("T1", vec![], None),
        ("toString", vec![], None),
        ("hasOwnProperty", vec!["p"], None),
        // An empty id is no tenant, even where the token has one of that name.
        ("", vec!["p"], None),
        ("", vec![], None),
    ] {
        assert_eq!(
            tenant_has(&user, tenant, &names),
            expected,
            "{tenant} {names:?}"
        );
    }
    let first = user.tenant("t1").unwrap();
    assert_eq!(
        first.permissions().chain(first.roles()).collect::<Vec<_>>(),
        ["p", "p"]
    );
    assert_eq!(first.value("roles"), Some(json!(["p"])));
    assert_eq!(user.tenant("t4").unwrap().value("roles"), None);
    let mut tenants: Vec<&str> = user.tenants().collect();
    tenants.sort_unstable();
    assert_eq!(
        tenants,
        [
            "__proto__",
            "constructor",
            "t1",
            "t2",
            "t3",
            "t4",
            "t5",
            "t6",
            "t7"
        ]
    );
}

#[test]
fn the_current_tenant() {
    let with = |change| session(merged(grants(json!(["p"])), change));
    let mut null = merged(grants(json!(["p"])), json!({"dct": "t1"}));
    null["tenants"] = Value::Null;
    // `merged` takes null for "remove", so this one is built by hand.
    let null = {
        let mut claims =
            json!({"iss": PROJECT, "sub": USER, "drn": "DS", "exp": 253_402_300_000_i64});
        for (name, value) in null.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let validator = SessionValidator::builder(PROJECT)
            .key_set(key_set(&[&KEY]))
            .build()
            .unwrap();
        validator
            .validate_cached(&SessionToken::new(KEY.sign(&claims)))
            .unwrap()
    };
    for (name, user, tenant, expected) in [
        // Without a `tenants` claim the grants at the top are those of the current tenant ...
        ("no tenants", with(json!({"dct": "t1"})), "t1", Some(true)),
        ("tenants null", null, "t1", Some(true)),
        (
            "no tenants, another one",
            with(json!({"dct": "t1"})),
            "t2",
            None,
        ),
        // ... but an empty claim is not the same as none,
        (
            "tenants empty",
            with(json!({"dct": "t1", "tenants": {}})),
            "t1",
            Some(false),
        ),
        (
            "tenants empty, another one",
            with(json!({"dct": "t1", "tenants": {}})),
            "t2",
            None,
        ),
        // nor is one that lists the tenant or others,
        (
            "tenants without grants",
            with(json!({"dct": "t1", "tenants": {"t1": {}}})),
            "t1",
            Some(false),
        ),
        (
            "tenants with others",
            with(json!({"dct": "t1", "tenants": {"t2": {"permissions": ["p"], "roles": ["p"]}}})),
            "t1",
            Some(false),
        ),
        (
            "tenants with others, another one",
            with(json!({"dct": "t1", "tenants": {"t2": {"permissions": ["p"], "roles": ["p"]}}})),
            "t2",
            Some(true),
        ),
        // nor one of the wrong shape.
        (
            "tenants a list",
            with(json!({"dct": "t1", "tenants": ["t1"]})),
            "t1",
            Some(false),
        ),
        (
            "tenants a text",
            with(json!({"dct": "t1", "tenants": "t1"})),
            "t1",
            Some(false),
        ),
        ("dct empty", with(json!({"dct": ""})), "", None),
        ("dct a number", with(json!({"dct": 1})), "1", None),
        ("dct a list", with(json!({"dct": ["t1"]})), "t1", None),
        ("no dct", with(json!({})), "t1", None),
    ] {
        assert_eq!(tenant_has(&user, tenant, &["p"]), expected, "{name}");
        // Nothing asked for is granted to whoever belongs to the tenant.
        assert_eq!(
            tenant_has(&user, tenant, &[]),
            expected.map(|_| true),
            "{name}"
        );
    }
    let tenants = |change| {
        let user = session(change);
        let mut tenants: Vec<String> = user.tenants().map(str::to_owned).collect();
        tenants.sort();
        tenants
    };
    assert_eq!(tenants(json!({"dct": "t1"})), ["t1"]);
    assert_eq!(tenants(json!({"dct": "t1", "tenants": {}})), ["t1"]);
    assert_eq!(
        tenants(json!({"dct": "t1", "tenants": {"t1": {}, "t2": {}}})),
        ["t1", "t2"]
    );
    assert_eq!(
        tenants(json!({"dct": "t3", "tenants": {"t1": {}, "t2": {}}})),
        ["t1", "t2", "t3"]
    );
    assert_eq!(tenants(json!({})), [""; 0]);
    assert_eq!(session(json!({"dct": "t1"})).current_tenant(), Some("t1"));
    assert_eq!(session(json!({"dct": ""})).current_tenant(), None);
}

#[test]
fn a_session_is_stepped_up_by_the_claim_true_and_by_nothing_like_it() {
    assert!(session(json!({ "su": true })).is_stepped_up());
    for other in [
        json!(false),
        json!(null),
        json!("true"),
        json!(1),
        json!([true]),
    ] {
        assert!(!session(json!({ "su": other })).is_stepped_up(), "{other}");
    }
    assert!(!session(json!({ "nsec": { "su": true } })).is_stepped_up());
    assert!(!session(json!({})).is_stepped_up());
}

#[test]
fn times_and_methods() {
    let user = session(json!({
        "iat": 1_769_330_798, "rexp": "2026-01-25T08:56:38Z", "amr": ["email", "totp"],
    }));
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(user.issued_at(), Some(at(1_769_330_798)));
    assert_eq!(user.expires_at(), at(253_402_300_000));
    assert_eq!(
        user.authentication_methods().collect::<Vec<_>>(),
        ["email", "totp"]
    );
    assert!(user.is_mfa());
    for (amr, is_mfa) in [
        (json!(["email"]), false),
        (json!(["email", "email"]), false),
        (json!(["email", "mfa"]), true),
        (json!(["mfa"]), false),
        (json!([]), false),
        (json!("email,totp"), false),
        (json!([1, 2]), false),
        (json!(["email", 2]), false),
        (json!({"email": 1, "totp": 1}), false),
    ] {
        assert_eq!(session(json!({ "amr": amr })).is_mfa(), is_mfa, "{amr}");
    }
    assert!(!session(json!({})).is_mfa());
}

#[test]
fn custom_claims() {
    let user = session(json!({
        "plan": "pro", "seats": 5, "beta": {"on": true, "since": 1.5}, "nsec": {"color": "red", "plan": "free"},
        "roles": ["admin"], "azp": PROJECT,
    }));
    assert_eq!(user.custom_claim("plan"), Some(json!("pro")));
    assert_eq!(user.custom_claim("seats"), Some(json!(5)));
    assert_eq!(
        user.custom_claim("beta"),
        Some(json!({"on": true, "since": 1.5}))
    );
    assert_eq!(
        user.custom_claim("color"),
        None,
        "what clients chose is kept apart"
    );
    assert_eq!(user.nonsecure_claim("color"), Some(json!("red")));
    assert_eq!(user.nonsecure_claim("plan"), Some(json!("free")));
    assert_eq!(user.nonsecure_claim("seats"), None);
    for reserved in ["sub", "roles", "nsec", "azp", "exp"] {
        assert_eq!(user.custom_claim(reserved), None);
        assert!(user.claim(reserved).is_some());
    }
    let custom = Value::from(user.custom_claims());
    assert_eq!(
        custom,
        json!({"plan": "pro", "seats": 5, "beta": {"on": true, "since": 1.5}})
    );
    let all = user.claims();
    assert_eq!(all.get("sub"), Some(&json!(USER)));
    assert_eq!(all.len(), 10);
}

#[test]
fn sessions_are_cheap_to_share() {
    fn shareable<T: Clone + Send + Sync + 'static>(_: &T) {}
    let user = session(json!({}));
    shareable(&user);
    let same = user.clone();
    assert_eq!(
        std::thread::spawn(move || same.user_id().to_owned())
            .join()
            .unwrap(),
        USER
    );
}
