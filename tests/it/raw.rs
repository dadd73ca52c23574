//! What the service adds one day is kept, and printing it shows no value.

use descope_magiclink::raw::types;
use serde_json::json;

type Outcome = Result<(), serde_json::Error>;

#[test]
fn unknown_members_are_kept_and_print_by_name_only() -> Outcome {
    let sent = json!({
        "sessionJwt": "canary-1",
        "newToken": "canary-2",
        "user": { "userId": "U1", "newSecret": { "inner": "canary-3" } },
    });
    let answer: types::JwtResponse = serde_json::from_value(sent.clone())?;
    assert_eq!(answer.extra["newToken"], "canary-2");
    assert_eq!(serde_json::to_value(&answer).unwrap(), sent);
    for printed in [format!("{answer:?}"), format!("{answer:#?}")] {
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
fn free_form_answers_print_by_name_only() -> Outcome {
    let claims: types::ValidateSessionResponse =
        serde_json::from_value(json!({ "jwt": "canary", "sub": "U1" }))?;
    assert_eq!(claims["sub"], "U1");
    assert_eq!(
        format!("{claims:?}"),
        r#"ValidateSessionResponse {"jwt", "sub"}"#
    );
    Ok(())
}

/// Types with `#[non_exhaustive]` can be made outside the crate by `default` alone.
#[test]
fn answers_can_be_made_for_tests() {
    let mut user = types::ResponseUser::default();
    user.user_id = Some("U1".to_owned());
    assert_eq!(
        serde_json::to_value(&user).unwrap(),
        json!({ "userId": "U1" })
    );
    assert!(types::JwtResponse::default().extra.is_empty());
    assert!(types::EmptyResponse::default().is_empty());
}
