//! Against a real project. Ignored; run with
//!
//! `DESCOPE_PROJECT_ID=P... DESCOPE_MANAGEMENT_KEY=K... DESCOPE_LIVE_TESTS=this-is-a-test-project cargo test -p descope-magiclink-tests --test live -- --ignored`
//!
//! Only test users are created, and they are deleted again. Nothing is delivered to anybody.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use descope_magiclink::management::{Management, TestUser};
use descope_magiclink::{Client, DeliveryMethod, ErrorCode};

/// A client and its management, or what is missing.
#[allow(
    clippy::disallowed_methods,
    reason = "the settings of a live test come from the environment"
)]
fn project() -> (Client, Management) {
    let consent = std::env::var("DESCOPE_LIVE_TESTS").unwrap_or_default();
    assert_eq!(
        consent, "this-is-a-test-project",
        "set DESCOPE_LIVE_TESTS=this-is-a-test-project if the project is one"
    );
    let client = Client::from_env().expect("set DESCOPE_PROJECT_ID");
    let management = client.management().expect("set DESCOPE_MANAGEMENT_KEY");
    (client, management)
}

#[tokio::test]
#[ignore = "needs a real project"]
async fn a_test_user_signs_in_by_every_method_and_a_link_works_once() {
    let (client, management) = project();
    let login_id = "descope-magiclink-live-test@example.com";
    let user = TestUser::new(login_id)
        .email(login_id)
        .phone("+15555550100")
        .name("Live Test");
    let created = management.create_test_user(user).await.unwrap();
    for method in DeliveryMethod::ALL.iter().copied() {
        let link = management
            .test_magic_link(method, login_id)
            .redirect_url("https://example.com/verify")
            .custom_claim("n", 1)
            .send()
            .await
            .unwrap();
        let token = link.token().unwrap();
        let auth = client.magic_link().verify(&token).await.unwrap();
        assert_eq!(auth.user.unwrap().user_id(), created.user_id());
        let error = client.magic_link().verify(&token).await.unwrap_err();
        assert!(
            error
                .status()
                .is_some_and(|status| status.is_client_error()),
            "{error}"
        );
    }
    management.delete_user(login_id).await.unwrap();
    let error = management.user(login_id).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::ManagementUserNotFound));
}

#[tokio::test]
#[ignore = "needs a real project"]
async fn an_unknown_token_is_refused_with_a_code() {
    let (client, _) = project();
    let error = client
        .magic_link()
        .verify(&"not-a-token".into())
        .await
        .unwrap_err();
    assert!(error.code().is_some(), "{error:?}");
}
