//! What the service may answer, and the crate must read: missing, null, unknown, and both ways where
//! the facts leave it open.

use std::time::{Duration, SystemTime};

use crate::support::{Reply, Socket};
use descope_magiclink::raw::types;
use descope_magiclink::{
    DeliveryMethod, Error, MagicLinkToken, RefreshToken, UncheckedAuthentication,
};
use serde_json::json;

async fn verify(reply: Reply) -> descope_magiclink::Result<UncheckedAuthentication> {
    let socket = Socket::start(vec![reply]).await;
    socket
        .client()
        .magic_link()
        .verify_unchecked(&MagicLinkToken::new("t"))
        .await
}

#[tokio::test]
async fn fields_may_be_missing_null_or_unknown() {
    let every_field_null = json!({
        "sessionJwt": "s", "refreshJwt": "r", "cookieDomain": null, "cookiePath": null, "cookieMaxAge": null,
        "cookieExpiration": null, "firstSeen": null, "idpResponse": null, "sessionExpiration": null,
        "externalToken": null, "claims": null, "tenantSSOID": null, "nextRefreshSeconds": null,
        "user": {
            "loginIds": null, "userId": null, "name": null, "roleNames": null, "userTenants": null,
            "externalIds": null, "customAttributes": null, "createdTime": null, "TOTP": null, "OAuth": null,
            "ssoAppIds": null, "permissions": null, "test": null
        }
    });
    let auth = verify(Reply::json(200, &every_field_null.to_string()))
        .await
        .unwrap();
    let user = auth.user.unwrap();
    assert_eq!(
        (user.user_id(), user.name(), user.login_ids().len()),
        (None, None, 0)
    );
    assert_eq!(auth.first_seen, None);

    let unknown = json!({
        "sessionJwt": "s", "refreshJwt": "r", "novelty": [1],
        "user": {
            "userId": "U1", "status": "hibernating", "novelty": { "a": 1 }, "createdTime": 1766912198,
            "customAttributes": { "n": 1, "b": true, "l": [1], "s": "x" },
            "userTenants": [{ "tenantId": "t1", "roleNames": ["a"], "novelty": 1 }]
        },
        "cookieMaxAge": 2419199, "cookieExpiration": 1769331398, "cookieDomain": "", "cookiePath": "/"
    });
    let auth = verify(Reply::json(200, &unknown.to_string()))
        .await
        .unwrap();
    let user = auth.user.unwrap();
    assert_eq!(user.status(), Some("hibernating"));
    assert_eq!(user.to_json()["novelty"]["a"], 1);
    assert_eq!(
        user.created_at(),
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_766_912_198))
    );
    let tenant = user.tenants().next().unwrap();
    assert_eq!((tenant.id(), tenant.role_names().len()), ("t1", 1));
    assert_eq!(auth.cookies.max_age, Some(Duration::from_secs(2_419_199)));
    assert_eq!(
        (auth.cookies.domain, auth.cookies.path.as_deref()),
        (None, Some("/"))
    );
}

#[tokio::test]
async fn tokens_come_from_the_body_or_from_cookies() {
    let cookies = |body: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        Reply::with_headers(200, &all, body)
    };
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
    );
    let cases: &[Case] = &[
        (r#"{"sessionJwt":"s","refreshJwt":"r"}"#, &[], "s", "r"),
        (
            r#"{"sessionJwt":"","refreshJwt":""}"#,
            &[
                (
                    "set-cookie",
                    "DS=cs; Path=/; Expires=Fri, 01 Jan 2027 00:00:00 GMT; HttpOnly",
                ),
                (
                    "set-cookie",
                    "DSR=cr; Path=/; Domain=api.descope.com; SameSite=None",
                ),
            ],
            "cs",
            "cr",
        ),
        (
            r#"{"cookieName":"R2","sessionCookieName":"S2"}"#,
            &[
                ("set-cookie", "S2=cs"),
                ("set-cookie", "R2=cr"),
                ("set-cookie", "DSR=other"),
            ],
            "cs",
            "cr",
        ),
        (
            "{}",
            &[
                ("set-cookie", "DS=old"),
                ("set-cookie", "DS=new"),
                ("set-cookie", "DSR=\"cr\""),
            ],
            "new",
            "cr",
        ),
    ];
    for (body, headers, session, refresh) in cases {
        let auth = verify(cookies(body, headers)).await.unwrap();
        assert_eq!(auth.session_token.expose_secret(), *session, "{body}");
        assert_eq!(
            auth.refresh_token().unwrap().expose_secret(),
            *refresh,
            "{body}"
        );
    }
    let no_cookie = &[("set-cookie", "DSR=; Max-Age=0")];
    for body in ["{}", r#"{"refreshJwt":"r"}"#, ""] {
        let error = verify(cookies(body, no_cookie)).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{error:?}");
        assert!(
            error.to_string().contains("has no session token"),
            "{error}"
        );
    }
    let auth = verify(cookies(r#"{"sessionJwt":"s"}"#, no_cookie)).await;
    let auth = auth.unwrap();
    assert_eq!(auth.session_token.expose_secret(), "s");
    let error = auth.refresh_token().unwrap_err();
    assert!(
        error.to_string().contains("has no refresh token"),
        "{error}"
    );
}

#[tokio::test]
async fn a_masked_address_may_be_missing() {
    for (body, masked) in [
        ("{}", ""),
        (r#"{"maskedEmail":null}"#, ""),
        (r#"{"maskedEmail":"j*"}"#, "j*"),
    ] {
        let socket = Socket::start(vec![Reply::json(200, body)]).await;
        let sent = socket
            .client()
            .magic_link()
            .sign_in(DeliveryMethod::Email, "joe")
            .send()
            .await
            .unwrap();
        assert_eq!(sent.masked_address().as_str(), masked);
    }
}

#[tokio::test]
async fn lists_and_free_objects_are_read_as_the_service_sends_them() {
    let history = json!([{ "userId": "U1", "loginTime": 1, "city": null, "novelty": 1 }, {}]);
    let socket = Socket::start(vec![
        Reply::json(200, &history.to_string()),
        Reply::json(200, r#"{"sub":"U1","exp":1,"drn":"DS"}"#),
        Reply::json(
            200,
            r#"{"keys":[{"kid":"a","kty":"RSA"},{"kid":"b","crv":"P-256","novelty":1}]}"#,
        ),
    ])
    .await;
    let client = socket.client();
    let refresh = RefreshToken::new("r");
    let history = client.raw().me_auth_history(&refresh).await.unwrap();
    assert_eq!(history.len(), 2);
    let body = types::ValidateSessionRequest::default();
    let claims = client
        .raw()
        .validate_session(&"s".into(), &body)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(serde_json::to_value(claims).unwrap()["drn"], "DS");
    let keys = client
        .raw()
        .get_keys_v2(client.project_id(), None)
        .await
        .unwrap();
    assert_eq!(keys.keys.len(), 2);
}
