//! The rules of magic links, over HTTP.

mod support;

use std::time::Duration;

use descope_magiclink_emulator::{Channel, Emulator, Filter, Purpose, RepeatedSignUp, User};
use serde_json::json;
use support::{Api, claims, header, signed_by};

const SIGN_UP: &str = "/v1/auth/magiclink/signup/email";
const SIGN_IN: &str = "/v1/auth/magiclink/signin/email";

#[tokio::test]
async fn sign_up_verify_and_read_the_tokens() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    let sent = api
        .post(
            SIGN_UP,
            json!({
                "loginId": "joe@example.com", "email": "joe@example.com", "redirectUrl": "https://app.example.com/in?x=1#top",
                "providerId": "mailer", "templateId": "welcome",
                "user": { "name": "Joe Person", "phone": "+15555555555" },
                "loginOptions": { "customClaims": { "plan": "pro", "n": 3 }, "templateOptions": { "greeting": "hi" }, "locale": "de" },
            }),
        )
        .await
        .ok();
    assert_eq!(sent, json!({ "maskedEmail": "j***@example.com" }));

    let message = emulator.outbox().next_for("JOE@example.com").await.unwrap();
    assert_eq!(
        (message.channel(), message.purpose()),
        (Channel::Email, Purpose::SignUp)
    );
    assert_eq!(
        (message.to(), message.login_id()),
        ("joe@example.com", "joe@example.com")
    );
    assert_eq!(
        message.link(),
        format!("https://app.example.com/in?x=1&t={}#top", message.token())
    );
    assert_eq!(
        (
            message.template_id(),
            message.provider_id(),
            message.locale()
        ),
        (Some("welcome"), Some("mailer"), Some("de"))
    );
    assert_eq!(message.template_options()["greeting"], "hi");
    assert_eq!(
        message
            .expires_at()
            .duration_since(message.sent_at())
            .unwrap(),
        Duration::from_secs(180)
    );
    assert!(message.text().contains(message.link()));

    let auth = api.verify(message.token()).await.ok();
    assert_eq!(auth["firstSeen"], true);
    let user = &auth["user"];
    assert_eq!(
        (&user["name"], &user["phone"], &user["verifiedEmail"]),
        (&json!("Joe Person"), &json!("+15555555555"), &json!(true))
    );
    assert_eq!(
        (&user["status"], &user["verifiedPhone"]),
        (&json!("enabled"), &json!(false))
    );

    let keys = api
        .send(
            "GET",
            &format!("/v2/keys/{}?certs=true", emulator.project_id()),
            None,
            None,
        )
        .await
        .ok();
    for (token, drn, lifetime) in [("sessionJwt", "DS", 600), ("refreshJwt", "DSR", 2_419_200)] {
        let token = &auth[token];
        assert!(signed_by(token, &keys));
        let head = header(token);
        assert_eq!(
            (&head["alg"], &head["typ"]),
            (&json!("RS256"), &json!("JWT"))
        );
        assert!(head["kid"].as_str().unwrap().starts_with("SK"));
        let claims = claims(token);
        assert_eq!(claims["drn"], drn);
        assert_eq!(claims["iss"], emulator.project_id());
        assert_eq!(claims["sub"], user["userId"]);
        assert_eq!(claims["amr"], json!(["email"]));
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            lifetime
        );
    }
    let session = claims(&auth["sessionJwt"]);
    assert_eq!(session["nsec"], json!({ "plan": "pro", "n": 3 }));
    assert!(session["rexp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(user["userId"].as_str().unwrap().len(), 28);

    let again = api
        .post(SIGN_UP, json!({ "loginId": "joe@example.com" }))
        .await;
    again.refused(400, "E062107");
}

#[tokio::test]
async fn a_link_works_once_and_until_it_expires() {
    let emulator = Emulator::start().await.unwrap();
    emulator.clock().freeze();
    let api = Api::new(&emulator);
    let first = api.joined("joe@example.com").await;
    assert_eq!(first["firstSeen"], true);

    for _ in 0..2 {
        api.post(SIGN_IN, json!({ "loginId": "joe@example.com" }))
            .await
            .ok();
    }
    let outbox = emulator.outbox();
    let (older, newer) = (
        outbox.next_for("joe@example.com").await.unwrap(),
        outbox.next_for("joe@example.com").await.unwrap(),
    );
    assert!(older.id() < newer.id());
    let second = api.verify(older.token()).await.ok();
    assert_eq!(second["firstSeen"], false);
    assert_eq!(
        api.verify(older.token()).await.refused(401, "E062504"),
        "Failed to load magic link token"
    );

    emulator.clock().advance(Duration::from_secs(179));
    api.verify(newer.token()).await.ok();
    api.post(SIGN_IN, json!({ "loginId": "joe@example.com" }))
        .await
        .ok();
    let late = outbox.next_for("joe@example.com").await.unwrap();
    emulator.clock().advance(Duration::from_secs(181));
    assert!(
        api.verify(late.token()).await.body["errorDescription"]
            .as_str()
            .unwrap()
            .contains("expire")
    );
    api.verify("nonsense").await.refused(401, "E062504");
    api.verify("").await.refused(400, "E011002");
    api.post("/v1/auth/magiclink/verify", json!({ "token": null }))
        .await
        .refused(400, "E011002");
    api.post("/v1/auth/magiclink/verify", json!({ "token": 5 }))
        .await
        .refused(400, "E011003");
}

#[tokio::test]
async fn phone_methods_and_sign_up_or_in() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    let number = "+15555551111";
    for (method, channel) in [("sms", Channel::Sms), ("whatsapp", Channel::WhatsApp)] {
        let masked = api
            .post(
                &format!("/v1/auth/magiclink/signup-in/{method}"),
                json!({ "loginId": number }),
            )
            .await
            .ok();
        assert_eq!(masked, json!({ "maskedPhone": "*****1111" }));
        let message = emulator
            .outbox()
            .next(&Filter::to(number).channel(channel))
            .await
            .unwrap();
        let auth = api.verify(message.token()).await.ok();
        assert_eq!(auth["user"]["verifiedPhone"], true);
        assert_eq!(claims(&auth["sessionJwt"])["amr"], json!([method]));
    }
    assert_eq!(emulator.users().count(), 1);
    // By email there is no address to send to.
    api.post(SIGN_IN, json!({ "loginId": number }))
        .await
        .refused(400, "E011002");
    api.post(
        "/v1/auth/magiclink/signup-in/email",
        json!({ "loginId": "not an address" }),
    )
    .await
    .refused(400, "E011004");
}

#[tokio::test]
async fn what_is_missing_or_unknown_is_said() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    assert_eq!(
        api.post(SIGN_IN, json!({ "loginId": "x@example.com" }))
            .await
            .refused(400, "E062108"),
        "Cannot find user"
    );
    api.post(SIGN_IN, json!({})).await.refused(400, "E011002");
    assert_eq!(
        api.post(SIGN_UP, json!({ "loginId": "joe" }))
            .await
            .refused(400, "E011002"),
        "Missing email or phone"
    );
    api.post(SIGN_UP, json!({ "loginId": "joe", "email": "joe" }))
        .await
        .refused(400, "E011004");
    api.post(SIGN_UP, json!({ "loginId": 7 }))
        .await
        .refused(400, "E011003");
    api.post(SIGN_UP, json!([])).await.refused(400, "E011001");
    let project = Some(format!("Bearer {}", emulator.project_id()));
    api.send("POST", SIGN_IN, None, Some(json!({})))
        .await
        .refused(401, "E061005");
    api.send(
        "POST",
        SIGN_IN,
        Some("Bearer P2other".to_owned()),
        Some(json!({})),
    )
    .await
    .refused(401, "E061005");
    api.send(
        "POST",
        SIGN_IN,
        Some(format!("Basic {}", emulator.project_id())),
        None,
    )
    .await
    .refused(401, "E061005");
    api.send("GET", SIGN_IN, project.clone(), None)
        .await
        .refused(405, "EMU405");
    api.send("GET", "/nowhere", project.clone(), None)
        .await
        .refused(404, "EMU404");
    let message = api
        .post("/v1/auth/otp/signin/email", json!({}))
        .await
        .refused(501, "EMU501");
    assert!(
        message.contains("POST /v1/auth/otp/signin/email (one-time codes)"),
        "{message}"
    );
    api.post("/v1/auth/magiclink/update/phone", json!({}))
        .await
        .refused(404, "EMU404");
    let body = "x".repeat(2 * 1024 * 1024);
    api.post(SIGN_UP, json!({ "loginId": body }))
        .await
        .refused(413, "EMU413");
}

#[tokio::test]
async fn bodies_of_every_sdk_are_accepted() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    let bodies = [
        json!({ "loginId": "a@example.com", "URI": "http://localhost/a", "user": { "email": "a@example.com" }, "loginOptions": {}, "email": "a@example.com" }),
        json!({ "loginId": "b@example.com", "URI": null, "user": { "email": "b@example.com" }, "email": "b@example.com" }),
        json!({ "loginId": "c@example.com", "loginOptions": {} }),
        json!({ "loginId": "d@example.com", "uri": "http://localhost/a", "user": null, "crossDevice": false, "jwtrequired": false, "voice": "x" }),
        json!({ "email": "e@example.com" }),
    ];
    for body in &bodies {
        api.post(SIGN_UP, body.clone()).await.ok();
    }
    assert!(
        emulator
            .outbox()
            .last_for("a@example.com")
            .unwrap()
            .link()
            .starts_with("http://localhost/a?t=")
    );
    assert!(
        emulator
            .outbox()
            .last_for("d@example.com")
            .unwrap()
            .link()
            .starts_with("http://localhost:3000/verify?t=")
    );
    let options = json!({
        "stepup": false, "mfa": false, "customClaims": null, "ssoAppId": null, "revokeOtherSessions": false, "jwtrequired": false,
    });
    api.post(
        SIGN_IN,
        json!({ "loginId": "a@example.com", "URI": "http://localhost/a", "loginOptions": options }),
    )
    .await
    .ok();
    api.post(
        "/v1/auth/magiclink/signup/whatsapp",
        json!({ "loginId": "w", "whatsapp": "+15555550000", "user": { "phone": "+15555550000" } }),
    )
    .await
    .ok();
    // A dangling colon, and a key after the project.
    let project = emulator.project_id();
    for authorization in [
        format!("Bearer {project}:"),
        format!("Bearer {project}:{}", emulator.management_key()),
    ] {
        api.send(
            "POST",
            SIGN_IN,
            Some(authorization),
            Some(json!({ "loginId": "a@example.com" })),
        )
        .await
        .ok();
    }
    let auth = api.joined("f@example.com").await;
    let refresh = auth["refreshJwt"].as_str().unwrap();
    let bearer = format!("bearer {project}:{refresh}:{}", emulator.management_key());
    api.send("POST", "/v1/auth/refresh", Some(bearer.clone()), None)
        .await
        .ok();
    api.send("POST", "/v1/auth/logout", Some(bearer), None)
        .await
        .ok();
}

#[tokio::test]
async fn updates_apply_at_verify_and_only_to_oneself() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    let joe = api.joined("joe@example.com").await;
    let ann = api.joined("ann@example.com").await;
    let (joe, ann) = (
        joe["refreshJwt"].as_str().unwrap(),
        ann["refreshJwt"].as_str().unwrap(),
    );
    let update = json!({ "loginId": "joe@example.com", "email": "new@example.com" });
    api.post("/v1/auth/magiclink/update/email", update.clone())
        .await
        .refused(401, "E061005");
    api.post_as(ann, "/v1/auth/magiclink/update/email", update.clone())
        .await
        .refused(401, "E061005");

    api.post_as(joe, "/v1/auth/magiclink/update/email", update)
        .await
        .ok();
    let message = emulator.outbox().next_for("new@example.com").await.unwrap();
    assert_eq!(message.purpose(), Purpose::UpdateEmail);
    assert_eq!(
        api.get_as(joe, "/v1/auth/me").await.ok()["email"],
        "joe@example.com"
    );
    let auth = api.verify(message.token()).await.ok();
    assert_eq!(auth["user"]["email"], "new@example.com");
    // The old address was a login id, so the login id moved along.
    assert_eq!(auth["user"]["loginIds"], json!(["new@example.com"]));

    for method in ["sms", "whatsapp"] {
        let body = json!({ "loginId": "new@example.com", "phone": "+12223334455", "addToLoginIDs": true, "onMergeUseExisting": false });
        let masked = api
            .post_as(
                joe,
                &format!("/v1/auth/magiclink/update/phone/{method}"),
                body,
            )
            .await
            .ok();
        assert_eq!(masked["maskedPhone"], "*****4455");
        let message = emulator.outbox().next_for("+12223334455").await.unwrap();
        let auth = api.verify(message.token()).await.ok();
        assert_eq!(auth["user"]["verifiedPhone"], true);
        assert_eq!(
            auth["user"]["loginIds"],
            json!(["new@example.com", "+12223334455"])
        );
    }
    let wrong = json!({ "loginId": "new@example.com", "phone": "joe@example.com" });
    api.post_as(joe, "/v1/auth/magiclink/update/phone/sms", wrong)
        .await
        .refused(400, "E011004");
}

#[tokio::test]
async fn refresh_and_logout() {
    let emulator = Emulator::start().await.unwrap();
    let api = Api::new(&emulator);
    let first = api.joined("joe@example.com").await;
    api.post(SIGN_IN, json!({ "loginId": "joe@example.com" }))
        .await
        .ok();
    let message = emulator.outbox().next_for("joe@example.com").await.unwrap();
    let second = api.verify(message.token()).await.ok();
    let (one, two) = (
        first["refreshJwt"].as_str().unwrap(),
        second["refreshJwt"].as_str().unwrap(),
    );
    assert_ne!(one, two);

    let fresh = api.post_as(one, "/v1/auth/refresh", json!({})).await.ok();
    assert_eq!(claims(&fresh["sessionJwt"])["sub"], first["user"]["userId"]);
    assert_eq!(fresh.get("refreshJwt"), None);

    let ended = api.post_as(one, "/v1/auth/logout", json!({})).await.ok();
    assert_eq!(
        (&ended["sessionJwt"], &ended["refreshJwt"]),
        (&json!(""), &json!(""))
    );
    for path in ["/v1/auth/refresh", "/v1/auth/logout"] {
        assert_eq!(
            api.post_as(one, path, json!({}))
                .await
                .refused(401, "E064001"),
            "Expired due to logout"
        );
    }
    assert!(
        api.get_as(one, "/v1/auth/me")
            .await
            .refused(401, "E064001")
            .contains("Expired due to logout")
    );
    api.get_as(two, "/v1/auth/me").await.ok();
    api.post_as(two, "/v1/auth/logoutall", json!({})).await.ok();
    api.get_as(two, "/v1/auth/me").await.refused(401, "E064001");
    // A session token is no refresh token.
    let session = first["sessionJwt"].as_str().unwrap();
    api.post_as(session, "/v1/auth/refresh", json!({}))
        .await
        .refused(401, "E061005");
}

#[tokio::test]
async fn a_second_sign_up_can_send_again() {
    let emulator = Emulator::builder()
        .repeated_sign_up(RepeatedSignUp::SendAgain)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    api.post(SIGN_UP, json!({ "loginId": "joe@example.com" }))
        .await
        .ok();
    api.post(SIGN_UP, json!({ "loginId": "joe@example.com" }))
        .await
        .ok();
    let message = emulator.outbox().next_for("joe@example.com").await.unwrap();
    api.verify(message.token()).await.ok();
    api.post(SIGN_UP, json!({ "loginId": "joe@example.com" }))
        .await
        .refused(400, "E062107");
}

#[tokio::test]
async fn waiting_for_a_message() {
    let emulator = Emulator::builder()
        .user(User::new("joe@example.com"))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let outbox = emulator.outbox();
    let nothing = outbox
        .clone()
        .patience(Duration::from_millis(20))
        .next_for("joe@example.com")
        .await
        .unwrap_err();
    assert!(
        nothing.to_string().contains("nothing was sent at all"),
        "{nothing}"
    );
    let patient = outbox.clone().patience(Duration::MAX);
    let (message, _) = tokio::join!(patient.next_for("joe@example.com"), async {
        // Whether it is sent before or after the question, it is the response.
        tokio::time::sleep(Duration::from_millis(30)).await;
        api.post(SIGN_IN, json!({ "loginId": "joe@example.com" }))
            .await
            .ok()
    });
    let message = message.unwrap();
    let nothing = outbox
        .patience(Duration::from_millis(20))
        .next_for("ann@example.com")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        nothing.contains("to ann@example.com")
            && nothing.contains("email for sign-in to joe@example.com, already returned"),
        "{nothing}"
    );
    let shown = format!("{message:?}");
    assert!(!shown.contains(message.token()), "{shown}");
}

#[tokio::test]
async fn emulators_are_isolated_and_stop() {
    let (one, two) = tokio::join!(Emulator::start(), Emulator::start());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.project_id(), two.project_id());
    let auth = Api::new(&one).joined("joe@example.com").await;
    let refresh = auth["refreshJwt"].as_str().unwrap();
    Api::new(&two)
        .get_as(refresh, "/v1/auth/me")
        .await
        .refused(401, "E061005");
    assert!(two.outbox().messages().is_empty());

    let address = one.address();
    one.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    tokio::net::TcpListener::bind(address).await.unwrap();

    // One task owns the listener and every connection, so all of them end with it.
    let mut open = tokio::net::TcpStream::connect(two.address()).await.unwrap();
    drop(two);
    let mut nothing = [0];
    let read = tokio::io::AsyncReadExt::read(&mut open, &mut nothing).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    for (builder, setting) in [
        (Emulator::builder().project_id("P:1"), "project_id"),
        (Emulator::builder().management_key("a:b"), "management_key"),
        (
            Emulator::builder().default_redirect("verify"),
            "default_redirect",
        ),
        (
            Emulator::builder().link_lifetime(Duration::ZERO),
            "link_lifetime",
        ),
        (Emulator::builder().cookie_names("DS", "DS"), "cookie_names"),
        (Emulator::builder().conflict_status(200), "conflict_status"),
        (
            Emulator::builder().signing_key_pkcs8(*b"no key"),
            "signing_key_pkcs8",
        ),
        (
            Emulator::builder()
                .user(User::new("a"))
                .user(User::new("a")),
            "user",
        ),
    ] {
        let refused = builder.start().await.unwrap_err().to_string();
        assert!(refused.contains(setting), "{setting}: {refused}");
    }
    let taken = Emulator::start().await.unwrap();
    let refused = Emulator::builder()
        .address(taken.address())
        .start()
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("cannot listen on 127.0.0.1:"),
        "{refused}"
    );
}
