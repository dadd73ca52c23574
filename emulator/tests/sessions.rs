//! Sessions, tenants, cookies and access keys, over HTTP.

#![allow(
    clippy::unwrap_used,
    reason = "a failing test should stop where it fails"
)]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use descope_magiclink_emulator::{
    AccessKey, CustomClaimsAt, Emulator, EmulatorBuilder, Filter, Purpose, RateLimit, RefreshReuse,
    SameSite, Tenant, TokenDelivery, User,
};
use serde_json::{Value, json};
use support::{Api, claims};

const SIGN_IN: &str = "/v1/auth/magiclink/signin/email";
const JOE: &str = "joe@example.com";

fn with_joe() -> EmulatorBuilder {
    Emulator::builder()
        .role("admin", ["invoice:write", "invoice:read"])
        .role("reader", ["invoice:read"])
        .tenant(
            Tenant::new("acme")
                .name("Acme Inc.")
                .attribute("plan", "pro"),
        )
        .tenant(Tenant::new("other"))
        .user(
            User::new(JOE)
                .phone("+15555550000")
                .role("reader")
                .tenant("acme", ["admin"])
                .tenant("other", Vec::<String>::new())
                .claim("department", "sales")
                .attribute("shoe", 42),
        )
}

/// Signs in with login options and gives the response of the verify.
async fn sign_in(api: &Api<'_>, options: Value) -> Value {
    api.post(SIGN_IN, json!({ "loginId": JOE, "loginOptions": options }))
        .await
        .ok();
    let message = api.emulator.outbox().next_for(JOE).await.unwrap();
    api.verify(message.token()).await.ok()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn roles_and_tenants_are_in_the_tokens() {
    let emulator = with_joe().start().await.unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let session = claims(&auth["sessionJwt"]);
    assert_eq!(session["roles"], json!(["reader"]));
    assert_eq!(session["permissions"], json!(["invoice:read"]));
    assert_eq!(
        session["tenants"],
        json!({ "acme": { "roles": ["admin"], "permissions": ["invoice:read", "invoice:write"] }, "other": {} })
    );
    assert_eq!(session["department"], "sales");
    // Two tenants and no choice: there is no current one.
    assert_eq!(session.get("dct"), None);
    assert_eq!(
        claims(&auth["refreshJwt"])["tenants"],
        json!({ "acme": {}, "other": {} })
    );
    assert_eq!(auth["user"]["customAttributes"], json!({ "shoe": 42 }));
    assert_eq!(auth["user"]["userTenants"][0]["tenantName"], "Acme Inc.");

    let bound = sign_in(&api, json!({ "tenantId": "other" })).await;
    assert_eq!(claims(&bound["sessionJwt"])["dct"], "other");
    let stranger = json!({ "loginId": JOE, "loginOptions": { "tenantId": "nowhere" } });
    api.post(SIGN_IN, stranger).await.refused(400, "E011004");

    let refresh = text(&auth["refreshJwt"]);
    let selected = api
        .post_as(
            refresh,
            "/v1/auth/tenant/select",
            json!({ "tenant": "acme" }),
        )
        .await
        .ok();
    let session = claims(&selected["sessionJwt"]);
    assert_eq!(session["dct"], "acme");
    assert!(session["tenants"].get("acme").is_some());
    assert!(selected["refreshJwt"].is_string());
    api.post_as(
        refresh,
        "/v1/auth/tenant/select",
        json!({ "tenant": "nowhere" }),
    )
    .await
    .refused(400, "E011004");
    api.post_as(refresh, "/v1/auth/tenant/select", json!({}))
        .await
        .refused(400, "E011002");

    let mine = |body: Value| async { api.post_as(refresh, "/v1/auth/me/tenants", body).await };
    let acme = json!({ "id": "acme", "name": "Acme Inc.", "customAttributes": { "plan": "pro" } });
    assert_eq!(
        mine(json!({ "dct": true, "ids": null })).await.ok(),
        json!({ "tenants": [acme] })
    );
    assert_eq!(
        mine(json!({ "ids": ["nowhere", "acme"] })).await.ok(),
        json!({ "tenants": [acme] })
    );
    mine(json!({ "dct": true, "ids": ["acme"] }))
        .await
        .refused(400, "E011004");
    mine(json!({})).await.refused(400, "E011002");
}

#[tokio::test]
async fn the_only_tenant_is_the_current_one() {
    let emulator = Emulator::builder()
        .user(User::new(JOE).tenant("acme", ["admin"]))
        .start()
        .await
        .unwrap();
    let auth = sign_in(&Api::new(&emulator), json!({})).await;
    assert_eq!(claims(&auth["sessionJwt"])["dct"], "acme");
}

#[tokio::test]
async fn step_up_and_mfa_build_on_a_session() {
    let emulator = with_joe()
        .user(User::new("ann@example.com"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let first = sign_in(&api, json!({})).await;
    let refresh = text(&first["refreshJwt"]);

    let body = json!({ "loginId": JOE, "loginOptions": { "stepup": true, "customClaims": { "why": "payment" } } });
    api.post(SIGN_IN, body.clone())
        .await
        .refused(401, "E061005");
    let other = json!({ "loginId": "ann@example.com", "loginOptions": { "stepup": true } });
    api.post_as(refresh, SIGN_IN, other)
        .await
        .refused(401, "E061005");
    api.post_as(refresh, SIGN_IN, body).await.ok();
    let message = emulator
        .outbox()
        .next(&Filter::to(JOE).purpose(Purpose::StepUp))
        .await
        .unwrap();
    let stepped = api.verify(message.token()).await.ok();
    let session = claims(&stepped["sessionJwt"]);
    assert_eq!(
        (&session["su"], &session["nsec"]),
        (&json!(true), &json!({ "why": "payment" }))
    );
    assert_eq!(
        session["exp"].as_i64().unwrap() - session["iat"].as_i64().unwrap(),
        600
    );

    // The token wears off, and no refresh gives another one, soon or late.
    for wait in [1, 601] {
        emulator.clock().advance(Duration::from_secs(wait));
        let later = api
            .post_as(refresh, "/v1/auth/refresh", json!({}))
            .await
            .ok();
        assert_eq!(claims(&later["sessionJwt"]).get("su"), None, "{wait}");
    }

    let body = json!({ "loginId": JOE, "loginOptions": { "mfa": true } });
    api.post_as(refresh, "/v1/auth/magiclink/signin/sms", body)
        .await
        .ok();
    let message = emulator
        .outbox()
        .next(&Filter::any().purpose(Purpose::Mfa))
        .await
        .unwrap();
    assert_eq!(message.to(), "+15555550000");
    let both = api.verify(message.token()).await.ok();
    assert_eq!(
        claims(&both["sessionJwt"])["amr"],
        json!(["email", "sms", "mfa"])
    );

    // The session that a factor is for may have ended in the meantime.
    let body = json!({ "loginId": JOE, "loginOptions": { "mfa": true } });
    api.post_as(refresh, SIGN_IN, body).await.ok();
    let message = emulator
        .outbox()
        .next(&Filter::to(JOE).purpose(Purpose::Mfa))
        .await
        .unwrap();
    api.post_as(refresh, "/v1/auth/logout", json!({}))
        .await
        .ok();
    api.verify(message.token()).await.refused(401, "E064001");
}

#[tokio::test]
async fn other_sessions_can_be_revoked() {
    let emulator = with_joe().start().await.unwrap();
    let api = Api::new(&emulator);
    let old = sign_in(&api, json!({})).await;
    let new = sign_in(
        &api,
        json!({ "revokeOtherSessions": true, "revokeOtherSessionsTypes": ["web"] }),
    )
    .await;
    api.get_as(text(&old["refreshJwt"]), "/v1/auth/me")
        .await
        .refused(401, "E064001");
    let history = api
        .get_as(text(&new["refreshJwt"]), "/v1/auth/me/history")
        .await
        .ok();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["userId"], new["user"]["userId"]);
    assert_eq!(history[0]["ip"], "127.0.0.1");
}

#[tokio::test]
async fn refresh_tokens_rotate_when_asked() {
    let emulator = with_joe()
        .rotate_refresh_tokens(true)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let first = text(&auth["refreshJwt"]);
    let second = api.post_as(first, "/v1/auth/refresh", json!({})).await.ok();
    let second = text(&second["refreshJwt"]);
    assert_ne!(first, second);
    let [old, new] = [&auth["refreshJwt"], &Value::from(second)].map(claims);
    assert_eq!(old["fti"], new["fti"], "the family stays");
    assert_ne!(old["jti"], new["jti"]);

    let message = api
        .post_as(first, "/v1/auth/refresh", json!({}))
        .await
        .refused(400, "E064006");
    assert_eq!(message, "JWT family ID invalidated, cannot use this token");
    for token in [first, second] {
        api.post_as(token, "/v1/auth/refresh", json!({}))
            .await
            .refused(400, "E064006");
        api.get_as(token, "/v1/auth/me")
            .await
            .refused(400, "E064006");
        assert_eq!(
            api.post_as(token, "/v1/auth/try-refresh", json!({}))
                .await
                .ok(),
            json!({})
        );
    }
    // The family is one login: another login of the same user goes on.
    let other = sign_in(&api, json!({})).await;
    api.get_as(text(&other["refreshJwt"]), "/v1/auth/me")
        .await
        .ok();
}

#[tokio::test]
async fn only_the_replaced_token_is_refused_where_asked() {
    let emulator = with_joe()
        .rotate_refresh_tokens(true)
        .refresh_reuse(RefreshReuse::RefuseToken)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let first = text(&auth["refreshJwt"]);
    let second = api.post_as(first, "/v1/auth/refresh", json!({})).await.ok();
    api.post_as(first, "/v1/auth/refresh", json!({}))
        .await
        .refused(400, "E064006");
    let body = json!({ "tenant": "acme" });
    let third = api
        .post_as(text(&second["refreshJwt"]), "/v1/auth/tenant/select", body)
        .await
        .ok();
    api.get_as(text(&second["refreshJwt"]), "/v1/auth/me")
        .await
        .refused(400, "E064006");
    api.get_as(text(&third["refreshJwt"]), "/v1/auth/me")
        .await
        .ok();
}

#[tokio::test]
async fn claims_are_those_that_the_service_was_seen_to_issue() {
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .user(User::new("tess@example.com").test())
        .echo_refresh_token(true)
        .start()
        .await
        .unwrap();
    emulator.clock().freeze();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let names =
        |claims: &serde_json::Map<String, Value>| claims.keys().cloned().collect::<Vec<_>>();
    let (session, refresh) = (claims(&auth["sessionJwt"]), claims(&auth["refreshJwt"]));
    assert_eq!(
        names(&session),
        ["amr", "drn", "exp", "iat", "iss", "rexp", "sub"]
    );
    assert_eq!(
        names(&refresh),
        ["amr", "drn", "dv", "exp", "fti", "iat", "iss", "jti", "sub"]
    );
    assert_eq!(refresh["dv"], 1);
    assert_eq!(refresh["fti"], refresh["jti"], "the first of its family");
    let id = text(&refresh["jti"]);
    assert!(id.len() == 28 && id.starts_with('J'), "{id}");

    // After five days: `rexp` counts from the session token, and the refresh token is the one that was sent.
    emulator.clock().advance(Duration::from_secs(5 * 86_400));
    let later = api
        .post_as(
            text(&auth["refreshJwt"]),
            "/v1/auth/refresh?dcs=t&dcr=f",
            json!({}),
        )
        .await
        .ok();
    assert_eq!(later["refreshJwt"], auth["refreshJwt"]);
    let rexp = |token: &Value| {
        let claims = claims(token);
        assert!(text(&claims["rexp"]).ends_with('Z'));
        let at = humantime::parse_rfc3339(text(&claims["rexp"])).unwrap();
        let iat = claims["iat"].as_u64().unwrap();
        at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - iat
    };
    assert_eq!(
        [rexp(&auth["sessionJwt"]), rexp(&later["sessionJwt"])],
        [2_419_200; 2]
    );

    let tess = emulator.tokens("tess@example.com").issue().unwrap();
    for token in [tess.session_jwt(), tess.refresh_jwt()] {
        assert_eq!(claims(&Value::from(token))["tu"], true);
    }
}

#[tokio::test]
async fn responses_have_the_members_that_were_recorded() {
    let emulator = Emulator::builder()
        .user(User::new(JOE).name("Joe Person"))
        .start()
        .await
        .unwrap();
    let auth = sign_in(&Api::new(&emulator), json!({})).await;
    let names = |value: &Value| {
        let members = value.as_object().unwrap();
        members.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        names(&auth),
        [
            "cookieDomain",
            "cookieExpiration",
            "cookieMaxAge",
            "cookiePath",
            "firstSeen",
            "refreshJwt",
            "sessionExpiration",
            "sessionJwt",
            "user"
        ]
    );
    assert_eq!(
        (&auth["cookieDomain"], &auth["cookiePath"]),
        (&json!(""), &json!("/"))
    );
    assert_eq!(auth["cookieMaxAge"], 2_419_199);
    assert_eq!(auth["cookieExpiration"], claims(&auth["refreshJwt"])["exp"]);
    assert_eq!(
        auth["sessionExpiration"],
        claims(&auth["sessionJwt"])["exp"]
    );
    let mut user = auth["user"].clone();
    assert!(user["createdTime"].as_u64().unwrap() < 10_000_000_000);
    for name in ["createdTime", "userId"] {
        user.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(
        user,
        json!({
            "loginIds": [JOE], "externalIds": [JOE], "name": "Joe Person", "email": JOE, "phone": "",
            "verifiedEmail": true, "verifiedPhone": false, "roleNames": [], "userTenants": [], "status": "enabled",
            "picture": "", "test": false, "customAttributes": {}, "TOTP": false, "SAML": false, "SCIM": false,
            "OAuth": {}, "webauthn": false, "password": false, "ssoAppIds": [],
            "givenName": "", "middleName": "", "familyName": "",
        })
    );
}

#[tokio::test]
async fn an_issuer_that_is_a_url_comes_with_an_audience() {
    for (issuer, audience) in [
        (None, None),
        (
            Some("https://api.descope.com/P2abc"),
            Some(json!(["P2abc"])),
        ),
        (
            Some("https://api.descope.com/v1/apps/P2abc"),
            Some(json!(["P2abc"])),
        ),
    ] {
        let builder = with_joe().project_id("P2abc");
        let builder = match issuer {
            Some(issuer) => builder.issuer(issuer),
            None => builder,
        };
        let emulator = builder.start().await.unwrap();
        let api = Api::new(&emulator);
        let auth = sign_in(&api, json!({})).await;
        for token in ["sessionJwt", "refreshJwt"] {
            let claims = claims(&auth[token]);
            assert_eq!(claims["iss"], issuer.unwrap_or("P2abc"));
            assert_eq!(claims.get("aud"), audience.as_ref());
        }
        api.get_as(text(&auth["refreshJwt"]), "/v1/auth/me")
            .await
            .ok();
    }
}

#[tokio::test]
async fn one_token_comes_in_the_body_and_one_in_a_cookie_where_asked() {
    for (delivery, in_body, in_cookie) in [
        (TokenDelivery::RefreshInCookie, "sessionJwt", "DSR="),
        (TokenDelivery::SessionInCookie, "refreshJwt", "DS="),
    ] {
        let emulator = with_joe().token_delivery(delivery).start().await.unwrap();
        let api = Api::new(&emulator);
        api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
        let message = emulator.outbox().next_for(JOE).await.unwrap();
        let response = api.verify(message.token()).await;
        let cookies: Vec<_> = response.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies.len(), 1);
        let cookie = cookies[0].to_str().unwrap();
        assert!(cookie.starts_with(in_cookie), "{cookie}");
        // The session cookie ends with the refresh token, long after the token in it.
        assert!(cookie.contains("; Max-Age=2419200; "), "{cookie}");
        let tokens = ["sessionJwt", "refreshJwt"];
        let body = response.body.as_object().unwrap();
        let found: Vec<_> = tokens
            .iter()
            .filter(|name| body.contains_key(**name))
            .collect();
        assert_eq!(found, [&in_body]);
    }
}

#[tokio::test]
async fn refresh_expires_and_try_refresh_never_fails() {
    let emulator = with_joe().echo_refresh_token(true).start().await.unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let refresh = text(&auth["refreshJwt"]);
    let fresh = api
        .post_as(refresh, "/v1/auth/refresh", json!({}))
        .await
        .ok();
    assert!(fresh["refreshJwt"].is_string());
    assert_eq!(fresh["user"]["userId"], auth["user"]["userId"]);

    let tried = api
        .post_as(refresh, "/v1/auth/try-refresh", json!({}))
        .await
        .ok();
    assert!(tried["sessionJwt"].is_string());
    assert_eq!((tried.get("user"), tried.get("firstSeen")), (None, None));
    assert_eq!(
        api.post("/v1/auth/try-refresh", json!({})).await.ok(),
        json!({})
    );
    assert_eq!(
        api.post_as("a.b.c", "/v1/auth/try-refresh", json!({}))
            .await
            .ok(),
        json!({})
    );

    emulator.clock().advance(Duration::from_secs(28 * 86_400));
    api.post_as(refresh, "/v1/auth/refresh", json!({}))
        .await
        .refused(401, "E061005");
    assert_eq!(
        api.post_as(refresh, "/v1/auth/try-refresh", json!({}))
            .await
            .ok(),
        json!({})
    );
}

#[tokio::test]
async fn validate_responds_with_the_claims_and_times_as_text() {
    let emulator = with_joe().start().await.unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let session = text(&auth["sessionJwt"]);
    let validated = api
        .post_as(session, "/v1/auth/validate", json!({}))
        .await
        .ok();
    let mut wanted = claims(&auth["sessionJwt"]);
    for name in ["exp", "iat"] {
        let at = UNIX_EPOCH + Duration::from_secs(wanted[name].as_u64().unwrap());
        wanted[name] = humantime::format_rfc3339_seconds(at).to_string().into();
    }
    assert_eq!(validated, Value::Object(wanted));
    let message = api
        .post_as(text(&auth["refreshJwt"]), "/v1/auth/validate", json!({}))
        .await
        .refused(401, "E061005");
    assert_eq!(
        message,
        "Failed to validate invalid JWT for any token - onetime"
    );
    api.post("/v1/auth/validate", json!({}))
        .await
        .refused(401, "E061005");
    emulator.clock().advance(Duration::from_secs(600));
    api.post_as(session, "/v1/auth/validate", json!({}))
        .await
        .refused(401, "E061005");
}

#[tokio::test]
async fn tokens_come_in_cookies_when_asked() {
    let emulator = with_joe()
        .token_delivery(TokenDelivery::Cookies)
        .cookie_names("MyDS", "MyDSR")
        .cookie_domain("example.com")
        .same_site(SameSite::Lax)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    let message = emulator.outbox().next_for(JOE).await.unwrap();
    let response = api.verify(message.token()).await;
    let cookies: Vec<String> = response
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    let body = response.ok();
    assert_eq!(
        (body.get("sessionJwt"), body.get("refreshJwt")),
        (None, None)
    );
    assert_eq!(
        (&body["cookieName"], &body["sessionCookieName"]),
        (&json!("MyDSR"), &json!("MyDS"))
    );
    assert_eq!(body["cookieDomain"], "example.com");
    assert_eq!(cookies.len(), 2);
    let token = |name: &str| {
        let cookie = cookies
            .iter()
            .find_map(|cookie| cookie.strip_prefix(&format!("{name}=")))
            .unwrap();
        for attribute in [
            "; HttpOnly",
            "; SameSite=Lax",
            "; Secure",
            "; Path=/",
            "; Domain=example.com",
            "; Max-Age=",
            "; Expires=",
        ] {
            assert!(cookie.contains(attribute), "{cookie} lacks {attribute}");
        }
        Value::from(cookie.split(';').next().unwrap())
    };
    assert_eq!(claims(&token("MyDS"))["drn"], "MyDS");
    let refresh = token("MyDSR");
    assert_eq!(claims(&refresh)["drn"], "MyDSR");

    // A browser has the refresh token in a cookie only.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let me = |cookie: String| {
        http.get(format!("{}/v1/auth/me", emulator.base_url()))
            .bearer_auth(emulator.project_id())
            .header("Cookie", cookie)
    };
    assert_eq!(
        me(format!("a=b; MyDSR={}", text(&refresh)))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let named =
        me(format!("Mine={}", text(&refresh))).header("x-descope-refresh-cookie-name", "Mine");
    assert_eq!(named.send().await.unwrap().status(), 200);
    assert_eq!(me("MyDSR=".to_owned()).send().await.unwrap().status(), 401);

    let response = api
        .post_as(text(&refresh), "/v1/auth/logout", json!({}))
        .await;
    let cleared: Vec<_> = response
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert!(
        cleared.len() == 2 && cleared.iter().all(|cookie| cookie.contains("Max-Age=0")),
        "{cleared:?}"
    );
}

#[tokio::test]
async fn two_users_merge_as_asked() {
    for keep_other in [false, true] {
        let emulator = with_joe()
            .tenant(Tenant::new("third"))
            .user(
                User::new("ann@example.com")
                    .name("Ann")
                    .role("admin")
                    .tenant("third", ["admin"]),
            )
            .start()
            .await
            .unwrap();
        let api = Api::new(&emulator);
        let auth = sign_in(&api, json!({})).await;
        let refresh = text(&auth["refreshJwt"]);
        let update = |more: Value| {
            let mut body = json!({ "loginId": JOE, "email": "ann@example.com" });
            body.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            api.post_as(refresh, "/v1/auth/magiclink/update/email", body)
        };
        // Joe's address is his login id: it cannot move onto Ann's.
        update(json!({})).await.refused(400, "E062125");
        update(json!({ "addToLoginIDs": true, "failOnConflict": true }))
            .await
            .refused(400, "E062125");
        update(json!({ "addToLoginIDs": true, "onMergeUseExisting": keep_other }))
            .await
            .ok();
        let ann = emulator.users().get("ann@example.com").unwrap();
        let message = emulator.outbox().next_for("ann@example.com").await.unwrap();
        let merged = api.verify(message.token()).await.ok();
        let survivor = if keep_other {
            &ann["userId"]
        } else {
            &auth["user"]["userId"]
        };
        assert_eq!(&merged["user"]["userId"], survivor);
        assert_eq!(emulator.users().count(), 1);
        let mut login_ids: Vec<_> = merged["user"]["loginIds"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        login_ids.sort_unstable();
        assert_eq!(login_ids, ["ann@example.com", JOE]);
        let tenants = claims(&merged["sessionJwt"])["tenants"].clone();
        assert_eq!(tenants.as_object().unwrap().len(), 3);
        assert_eq!(merged["user"]["name"], "Ann");
        let before = api.get_as(refresh, "/v1/auth/me").await;
        if keep_other {
            before.refused(401, "E064001");
        } else {
            before.ok();
        }
    }
}

#[tokio::test]
async fn access_keys_are_exchanged() {
    let key = AccessKey::new("K2reports", "s3cret")
        .role("reader")
        .tenant("acme", ["admin"])
        .claim("team", "data");
    let emulator = with_joe().access_key(key).start().await.unwrap();
    let api = Api::new(&emulator);
    let body =
        json!({ "loginOptions": { "customClaims": { "job": 1 }, "selectedTenant": "acme" } });
    let response = api
        .post_as("s3cret", "/v1/auth/accesskey/exchange", body)
        .await
        .ok();
    assert_eq!(response["keyId"], "K2reports");
    let claims = claims(&response["sessionJwt"]);
    assert_eq!(
        (&claims["sub"], &claims["drn"], &claims["dct"]),
        (&json!("K2reports"), &json!("DS"), &json!("acme"))
    );
    assert_eq!(
        (&claims["team"], &claims["nsec"]),
        (&json!("data"), &json!({ "job": 1 }))
    );
    assert_eq!(response["expiration"], claims["exp"]);
    api.post_as("wrong", "/v1/auth/accesskey/exchange", json!({}))
        .await
        .refused(401, "E062803");
    api.post("/v1/auth/accesskey/exchange", json!({}))
        .await
        .refused(401, "E062802");
}

#[tokio::test]
async fn redirects_can_be_limited() {
    let emulator = with_joe()
        .approved_redirects(["app.example.com", "*.test.example"])
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let to = |url: &str| api.post(SIGN_IN, json!({ "loginId": JOE, "redirectUrl": url }));
    to("https://app.example.com/x").await.ok();
    to("https://APP.example.com").await.ok();
    to("https://a.b.test.example/").await.ok();
    for url in [
        "https://test.example/",
        "https://example.com",
        "https://app.example.com.evil.com",
        "https://app.example.com@evil.com",
        "/verify",
        "javascript:alert(1)",
    ] {
        to(url).await.refused(400, "E011004");
    }
}

#[tokio::test]
async fn requests_can_be_limited() {
    let emulator = with_joe()
        .rate_limit(RateLimit::new(2, Duration::from_secs(60)).operation("SignInMagicLinkEmail"))
        .start()
        .await
        .unwrap();
    emulator.clock().freeze();
    let api = Api::new(&emulator);
    for _ in 0..2 {
        api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    }
    emulator.clock().advance(Duration::from_millis(10_500));
    let response = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
    assert_eq!(response.headers["retry-after"], "50");
    response.refused(429, "E130429");
    api.post("/v1/auth/magiclink/signin/sms", json!({ "loginId": JOE }))
        .await
        .ok();
    emulator.clock().advance(Duration::from_secs(50));
    api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
}

#[tokio::test]
async fn a_closed_project_needs_its_key() {
    let emulator = with_joe().auth_management_key("AMK").start().await.unwrap();
    let api = Api::new(&emulator);
    let body = json!({ "loginId": JOE });
    api.post(SIGN_IN, body.clone())
        .await
        .refused(401, "E061005");
    api.post_as("AMK", SIGN_IN, body).await.ok();
    let message = emulator.outbox().next_for(JOE).await.unwrap();
    let auth = api
        .post_as(
            "AMK",
            "/v1/auth/magiclink/verify",
            json!({ "token": message.token() }),
        )
        .await
        .ok();
    let refresh = text(&auth["refreshJwt"]);
    api.get_as(refresh, "/v1/auth/me")
        .await
        .refused(401, "E061005");
    api.get_as(&format!("{refresh}:AMK"), "/v1/auth/me")
        .await
        .ok();
}

#[tokio::test]
async fn custom_claims_have_limits_and_a_place() {
    let emulator = with_joe()
        .custom_claims_at(CustomClaimsAt::TopLevel)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(
        &api,
        json!({ "customClaims": { "plan": "pro", "sub": "me" } }),
    )
    .await;
    let session = claims(&auth["sessionJwt"]);
    assert_eq!(
        (&session["plan"], &session["sub"]),
        (&json!("pro"), &auth["user"]["userId"])
    );
    for bad in [
        json!({ "k".repeat(61): 1 }),
        json!({ "k": "v".repeat(501) }),
        (0..101).map(|n| (n.to_string(), n)).collect(),
    ] {
        let body = json!({ "loginId": JOE, "loginOptions": { "customClaims": bad } });
        api.post(SIGN_IN, body).await.refused(400, "E011004");
    }
}

#[tokio::test]
async fn disabled_and_deleted_users_are_out() {
    let emulator = with_joe()
        .user(User::new("no@example.com").disabled())
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    api.post(SIGN_IN, json!({ "loginId": "no@example.com" }))
        .await
        .refused(401, "E061005");
    let auth = sign_in(&api, json!({})).await;
    emulator.users().remove(JOE).unwrap();
    api.get_as(text(&auth["refreshJwt"]), "/v1/auth/me")
        .await
        .refused(401, "E064001");
    assert!(emulator.users().remove(JOE).is_err());
}

#[cfg(feature = "schema")]
#[tokio::test]
async fn requests_are_checked_against_the_description() {
    let emulator = with_joe().start().await.unwrap();
    let body = json!({ "loginId": JOE, "loginOptions": { "locale": 5 } });
    let message = Api::new(&emulator)
        .post("/v1/auth/magiclink/signup/email", body.clone())
        .await
        .refused(400, "E011003");
    assert_eq!(message, "The field loginOptions.locale must be a string");
    let unchecked = with_joe().check_requests(false).start().await.unwrap();
    let body = json!({ "loginId": JOE, "loginOptions": { "pkceChallenge": 5 } });
    Api::new(&emulator)
        .post(SIGN_IN, body.clone())
        .await
        .refused(400, "E011003");
    Api::new(&unchecked).post(SIGN_IN, body).await.ok();
}

#[tokio::test]
async fn minted_tokens_are_as_good_or_as_bad_as_asked() {
    let emulator = with_joe().start().await.unwrap();
    let api = Api::new(&emulator);
    let good = emulator
        .tokens(JOE)
        .tenant("acme")
        .amr(["sms", "mfa"])
        .claim("plan", "pro")
        .issue()
        .unwrap();
    let seen = api
        .post_as(good.session_jwt(), "/v1/auth/validate", json!({}))
        .await
        .ok();
    assert_eq!(
        (&seen["dct"], &seen["amr"], &seen["plan"]),
        (&json!("acme"), &json!(["sms", "mfa"]), &json!("pro"))
    );
    api.get_as(good.refresh_jwt(), "/v1/auth/me").await.ok();
    for bad in [
        emulator.tokens(JOE).expired(),
        emulator.tokens(JOE).forged(),
        emulator.tokens(JOE).issuer("P2other"),
        emulator.tokens(JOE).claim("drn", Value::Null),
    ] {
        let bad = bad.issue().unwrap();
        api.post_as(bad.session_jwt(), "/v1/auth/validate", json!({}))
            .await
            .refused(401, "E061005");
        api.get_as(bad.refresh_jwt(), "/v1/auth/me")
            .await
            .refused(401, "E061005");
    }
    assert!(!format!("{good:?}").contains(good.session_jwt()));
    assert!(
        emulator
            .tokens("nobody")
            .issue()
            .unwrap_err()
            .to_string()
            .contains("nobody")
    );
}

#[tokio::test]
async fn keys_rotate_and_are_revoked() {
    let emulator = with_joe().start().await.unwrap();
    let api = Api::new(&emulator);
    let auth = sign_in(&api, json!({})).await;
    let refresh = text(&auth["refreshJwt"]);
    emulator.keys().rotate().unwrap();
    api.get_as(refresh, "/v1/auth/me").await.ok();
    let path = format!("/v2/keys/{}", emulator.project_id());
    assert_eq!(
        api.send("GET", &path, None, None).await.ok()["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        api.send("GET", &path.replace("v2", "v1"), None, None)
            .await
            .ok()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    emulator.keys().rotate_and_revoke().unwrap();
    api.get_as(refresh, "/v1/auth/me")
        .await
        .refused(401, "E061005");
    assert_eq!(emulator.keys().ids().len(), 1);
    assert!(emulator.keys().revoke("SK0").is_err());
    api.send("GET", "/v2/keys/P2other", None, None)
        .await
        .refused(404, "E011004");
}
