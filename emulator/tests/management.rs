//! Management operations, over HTTP.

mod support;

use std::time::Duration;

use descope_magiclink_emulator::{Emulator, Tenant, User};
use serde_json::json;
use support::{Api, claims};

const CREATE: &str = "/v1/mgmt/user/create/test";
const LINK: &str = "/v1/mgmt/tests/generate/magiclink";

#[tokio::test]
async fn test_users_get_links_without_a_message() {
    let emulator = Emulator::builder()
        .role("admin", ["all"])
        .tenant(Tenant::new("acme"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let body = json!({
        "loginId": "t@example.com", "displayName": "T", "verifiedEmail": true, "roleNames": ["admin"], "test": true, "invite": false,
        "userTenants": [{ "tenantId": "acme", "roleNames": ["admin"] }], "customAttributes": { "n": 1 }, "additionalLoginIds": ["t2"],
        "ssoAppIDs": ["app"], "phone": "+15555550000", "password": null,
    });
    let created = api.manage(CREATE, body.clone()).await.ok();
    assert_eq!(created["created"], true);
    let user = &created["user"];
    assert_eq!(
        (&user["name"], &user["test"], &user["status"]),
        (&json!("T"), &json!(true), &json!("invited"))
    );
    assert_eq!(
        (&user["loginIds"], &user["ssoAppIds"]),
        (&json!(["t@example.com", "t2"]), &json!(["app"]))
    );
    assert_eq!(api.manage(CREATE, body).await.ok()["created"], false);

    let body = json!({
        "loginId": "t@example.com", "deliveryMethod": "sms", "URI": "http://localhost:3000/verify",
        "loginOptions": { "customClaims": { "k1": 7 } },
    });
    let made = api.manage(LINK, body).await.ok();
    let token = made["link"]
        .as_str()
        .unwrap()
        .strip_prefix("http://localhost:3000/verify?t=")
        .unwrap();
    assert!(emulator.outbox().messages().is_empty());
    // A sign-in in between does not matter.
    api.post(
        "/v1/auth/magiclink/signin/email",
        json!({ "loginId": "t@example.com" }),
    )
    .await
    .ok();
    let auth = api.verify(token).await.ok();
    assert_eq!(
        (&auth["firstSeen"], &auth["user"]["userId"]),
        (&json!(true), &user["userId"])
    );
    let session = claims(&auth["sessionJwt"]);
    assert_eq!(
        (&session["nsec"], &session["amr"]),
        (&json!({ "k1": 7 }), &json!(["sms"]))
    );

    emulator.users().add(User::new("real@example.com")).unwrap();
    api.manage(
        LINK,
        json!({ "loginId": "real@example.com", "deliveryMethod": "email" }),
    )
    .await
    .refused(400, "E011004");
    api.manage(
        LINK,
        json!({ "loginId": "none@example.com", "deliveryMethod": "email" }),
    )
    .await
    .refused(404, "E112102");
    api.manage(LINK, json!({ "loginId": "t2", "deliveryMethod": "pigeon" }))
        .await
        .refused(400, "E011004");

    let key = format!(
        "Bearer {}:{}",
        emulator.project_id(),
        emulator.management_key()
    );
    assert_eq!(
        api.send("DELETE", "/v1/mgmt/user/test/delete/all", Some(key), None)
            .await
            .ok(),
        json!({})
    );
    assert!(emulator.users().get("t2").is_none());
    assert!(emulator.users().get("real@example.com").is_some());
}

#[tokio::test]
async fn embedded_links() {
    let emulator = Emulator::builder()
        .user(User::new("joe@example.com").phone("+15555550000"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let path = "/v1/mgmt/user/signin/embeddedlink";
    let made = api
        .manage(
            path,
            json!({ "loginId": "joe@example.com", "customClaims": { "k1": "v1" }, "timeout": 1 }),
        )
        .await
        .ok();
    assert_eq!(
        (&made["maskedEmail"], &made["maskedPhone"]),
        (&json!("j***@example.com"), &json!("*****0000"))
    );
    emulator.clock().advance(Duration::from_secs(2));
    api.verify(made["token"].as_str().unwrap())
        .await
        .refused(401, "E062504");
    let made = api
        .manage(
            path,
            json!({ "loginId": "joe@example.com", "customClaims": { "k1": "v1" } }),
        )
        .await
        .ok();
    let auth = api.verify(made["token"].as_str().unwrap()).await.ok();
    assert_eq!(claims(&auth["sessionJwt"])["nsec"], json!({ "k1": "v1" }));
    api.manage(path, json!({ "loginId": "joe@example.com", "timeout": -1 }))
        .await
        .refused(400, "E011004");
    api.manage(path, json!({ "loginId": "ann@example.com" }))
        .await
        .refused(404, "E112102");

    let path = "/v1/mgmt/user/signup/embeddedlink";
    let body = json!({ "loginId": "ann@example.com", "user": { "name": "Ann" }, "emailVerified": true, "loginOptions": { "customClaims": { "a": 1 } } });
    let made = api.manage(path, body).await.ok();
    let auth = api.verify(made["token"].as_str().unwrap()).await.ok();
    assert_eq!(
        (&auth["user"]["name"], &auth["user"]["verifiedEmail"]),
        (&json!("Ann"), &json!(true))
    );
    assert_eq!(auth["firstSeen"], true);
}

#[tokio::test]
async fn users_are_loaded_deleted_and_logged_out() {
    let emulator = Emulator::builder()
        .user(User::new("joe@example.com"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let key = emulator.management_key();
    let loaded = api
        .get_as(key, "/v1/mgmt/user?loginId=joe%40example.com")
        .await
        .ok();
    let id = loaded["user"]["userId"].as_str().unwrap();
    assert_eq!(
        api.get_as(key, &format!("/v1/mgmt/user?userId={id}"))
            .await
            .ok(),
        loaded
    );
    api.get_as(key, "/v1/mgmt/user?loginId=ann")
        .await
        .refused(404, "E112102");
    api.get_as(key, "/v1/mgmt/user")
        .await
        .refused(400, "E011002");

    let tokens = emulator.tokens("joe@example.com").issue().unwrap();
    api.manage("/v1/mgmt/user/logout", json!({ "userId": id }))
        .await
        .ok();
    api.get_as(tokens.refresh_jwt(), "/v1/auth/me")
        .await
        .refused(401, "E064001");
    api.manage(
        "/v1/mgmt/user/delete",
        json!({ "loginId": "joe@example.com" }),
    )
    .await
    .ok();
    api.manage(
        "/v1/mgmt/user/delete",
        json!({ "loginId": "joe@example.com" }),
    )
    .await
    .refused(404, "E112102");
}

#[tokio::test]
async fn only_the_management_key_manages() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    api.post(CREATE, json!({ "loginId": "a" }))
        .await
        .refused(401, "E111119");
    api.post_as("wrong", CREATE, json!({ "loginId": "a" }))
        .await
        .refused(401, "E111119");
    api.send("POST", CREATE, None, Some(json!({})))
        .await
        .refused(401, "E111119");
    api.manage(CREATE, json!({})).await.refused(400, "E011002");
    api.manage(CREATE, json!({ "loginId": "a", "email": "no" }))
        .await
        .refused(400, "E011004");
    api.manage(
        CREATE,
        json!({ "loginId": "a", "userTenants": [{ "tenantId": 1 }] }),
    )
    .await
    .refused(400, "E011003");
    assert_eq!(
        api.get_as(emulator.management_key(), "/v1/mgmt/license")
            .await
            .ok()["rateLimitTier"],
        "tier1"
    );
    let message = api
        .manage("/v1/mgmt/role/create", json!({}))
        .await
        .refused(501, "EMU501");
    assert!(
        message.contains("POST /v1/mgmt/role/create (a management operation)"),
        "{message}"
    );
    // The older way to make a test user.
    let made = api
        .manage(
            "/v1/mgmt/user/create",
            json!({ "identifier": "old@example.com", "test": true }),
        )
        .await
        .ok();
    assert_eq!(
        (&made["user"]["test"], &made["user"]["verifiedEmail"]),
        (&json!(true), &json!(true))
    );
}
