//! What is misspelled is named, with what was probably meant.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should stop where it fails"
)]

mod support;

use std::time::Duration;

use descope_magiclink_emulator::{
    AccessKey, Emulator, EmulatorBuilder, Fault, RateLimit, Tenant, User,
};
use serde_json::json;
use support::Api;

fn with_roles() -> EmulatorBuilder {
    Emulator::builder()
        .role("admin", ["invoice:write"])
        .tenant(Tenant::new("acme"))
}

async fn refused(builder: EmulatorBuilder) -> String {
    builder.start().await.unwrap_err().to_string()
}

#[tokio::test]
async fn unknown_roles_and_tenants_are_refused_once_there_are_any() {
    let none = Vec::<String>::new();
    for (builder, wanted) in [
        (
            with_roles().user(User::new("joe").role("admni")),
            "no role admni; did you mean admin?",
        ),
        (
            with_roles().user(User::new("joe").tenant("acne", none.clone())),
            "no tenant acne; did you mean acme?",
        ),
        (
            with_roles().user(User::new("joe").tenant("acme", ["editor"])),
            "no role editor",
        ),
        (
            with_roles().access_key(AccessKey::new("K1", "secret").role("admim")),
            "did you mean admin?",
        ),
        (
            Emulator::builder()
                .rate_limit(RateLimit::new(1, Duration::from_secs(1)).operation("VerifyMagiclnk")),
            "did you mean VerifyMagicLink?",
        ),
    ] {
        let problem = refused(builder).await;
        assert!(problem.contains(wanted), "{problem}");
    }
    let emulator = with_roles()
        .user(User::new("joe").role("admin"))
        .start()
        .await
        .unwrap();
    let problem = emulator
        .users()
        .add(User::new("ann").role("admni"))
        .unwrap_err();
    assert!(
        problem.to_string().contains("did you mean admin?"),
        "{problem}"
    );
    let problem = emulator.tokens("joe").tenant("acm").issue().unwrap_err();
    assert!(
        problem.to_string().contains("did you mean acme?"),
        "{problem}"
    );
    let fault = Fault::on("verifymagiclink").reset();
    let problem = emulator.faults().add(fault).unwrap_err();
    assert!(
        problem
            .to_string()
            .contains("did you mean VerifyMagicLink?"),
        "{problem}"
    );
    let api = Api::new(&emulator);
    let body = json!({ "loginId": "bob@example.com", "roleNames": ["admni"] });
    let message = api
        .manage("/v1/mgmt/user/create/test", body)
        .await
        .refused(400, "E011004");
    assert!(message.contains("did you mean admin?"), "{message}");

    let free = Emulator::builder().user(User::new("joe").role("any").tenant("any", ["any"]));
    free.start().await.unwrap();
}

#[tokio::test]
async fn an_empty_login_id_is_not_a_taken_one() {
    let emulator = Emulator::builder()
        .user(User::new("joe"))
        .start()
        .await
        .unwrap();
    let problem = |login_id: &str| {
        emulator
            .users()
            .add(User::new(login_id))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(problem(""), "a login id is empty");
    assert_eq!(problem("joe"), "the login id joe is taken");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    for (builder, wanted) in [
        (
            Emulator::builder().default_redirect("javascript:alert(1)"),
            "default_redirect",
        ),
        (
            Emulator::builder().default_redirect("about:blank"),
            "default_redirect",
        ),
        (
            Emulator::builder().default_redirect("/verify"),
            "absolute URL",
        ),
        (Emulator::builder().cookie_domain("a;b"), "cookie_domain"),
        (Emulator::builder().cookie_domain("a b"), "cookie_domain"),
        (Emulator::builder().cookie_domain("a..b"), "cookie_domain"),
    ] {
        let problem = refused(builder).await;
        assert!(problem.contains(wanted), "{problem}");
    }
    let app = Emulator::builder().default_redirect("myapp://verify");
    app.cookie_domain(".example.com").start().await.unwrap();
    #[cfg(feature = "program")]
    {
        let slash = Emulator::builder().allowed_origins(["http://localhost:3000/"]);
        assert!(
            refused(slash)
                .await
                .contains("write it like http://localhost:3000")
        );
    }
}

#[tokio::test]
async fn odd_redirects_of_a_request_are_refused() {
    let emulator = Emulator::builder()
        .user(User::new("joe@example.com"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    for url in [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "mailto:a@b.c",
        "ws://x.test/",
    ] {
        let body = json!({ "loginId": "joe@example.com", "redirectUrl": url });
        let response = api.post("/v1/auth/magiclink/signin/email", body).await;
        response.refused(400, "E011004");
    }
}

#[tokio::test]
async fn a_misspelled_path_is_no_method_that_is_not_emulated() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    for (path, wanted) in [
        (
            "/v1/auth/magiclink/signin/voice",
            "/v1/auth/magiclink/signin/email",
        ),
        ("/v1/auth/magiclnk/verify", "/v1/auth/magiclink/verify"),
        ("/v1/auth/refrsh", "/v1/auth/refresh"),
        ("/v1/mgmt/user/delet", "/v1/mgmt/user/delete"),
    ] {
        let message = api.post(path, json!({})).await.refused(404, "EMU404");
        assert!(
            message.ends_with(&format!("; did you mean {wanted}?")),
            "{message}"
        );
    }
    let otp = api.post("/v1/auth/otp/signin/email", json!({})).await;
    assert!(otp.refused(501, "EMU501").contains("one-time codes"));
    let other = api.post("/health", json!({})).await.refused(404, "EMU404");
    assert!(!other.contains("did you mean"), "{other}");
}

#[tokio::test]
async fn a_sign_up_or_in_has_no_step_up() {
    let emulator = Emulator::builder()
        .user(User::new("joe@example.com"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    for option in ["stepup", "mfa"] {
        let body = json!({ "loginId": "joe@example.com", "loginOptions": { option: true } });
        let response = api.post("/v1/auth/magiclink/signup-in/email", body).await;
        assert!(response.refused(400, "E011004").contains("use sign-in"));
    }
}

#[tokio::test]
async fn a_refusal_for_too_many_requests_has_the_recorded_texts() {
    let emulator = Emulator::builder()
        .rate_limit(RateLimit::new(0, Duration::from_secs(60)))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let response = api.post("/v1/auth/refresh", json!({})).await;
    assert_eq!(response.headers["retry-after"], "60");
    assert_eq!(
        response.body,
        json!({
            "errorCode": "E130429",
            "errorDescription": "https://docs.descope.com/rate-limit",
            "errorMessage": "API rate limit exceeded.",
            "message": "API rate limit exceeded.",
        })
    );
}

#[cfg(feature = "program")]
#[tokio::test]
async fn control_requests_name_what_they_do_not_know_and_find_an_address_in_any_encoding() {
    let phone = "+15555550100";
    let mail = "joe+tag@example.com";
    let emulator = Emulator::builder()
        .user(User::new(phone))
        .user(User::new(mail))
        .control(true)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    api.post("/v1/auth/magiclink/signin/sms", json!({ "loginId": phone }))
        .await
        .ok();
    api.post(
        "/v1/auth/magiclink/signin/email",
        json!({ "loginId": mail }),
    )
    .await
    .ok();
    let get = |path: String| {
        let api = &api;
        async move { api.send("GET", &path, None, None).await }
    };
    for address in [
        "%2B15555550100",
        "+15555550100",
        "joe%2Btag@example.com",
        "joe+tag@example.com",
        "joe%2btag%40example.com",
    ] {
        let found = get(format!("/_emulator/v1/messages?to={address}"))
            .await
            .ok();
        assert_eq!(found["messages"].as_array().unwrap().len(), 1, "{address}");
        let found = get(format!("/_emulator/v1/users?loginId={address}"))
            .await
            .ok();
        assert_eq!(found["users"].as_array().unwrap().len(), 1, "{address}");
        let path = format!("/v1/mgmt/user?loginId={address}");
        api.get_as(emulator.management_key(), &path).await.ok();
    }
    let message = get("/_emulator/v1/messages?too=joe".to_owned())
        .await
        .refused(400, "EMU400");
    assert!(message.contains("did you mean to?"), "{message}");
    let message = get("/_emulator/v1/status?verbose=1".to_owned())
        .await
        .refused(400, "EMU400");
    assert!(message.contains("verbose"), "{message}");
}
