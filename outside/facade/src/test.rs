use std::time::Duration;

use descope_magiclink::{ApiError, ErrorCode};
use descope_magiclink_emulator::{Emulator, User};
use http::{HeaderMap, StatusCode};
use outside_support::Canned;

use super::*;

#[tokio::test]
async fn a_code_signs_in() {
    let signer = Emulator::builder()
        .user(User::new("ann@example.com"))
        .signer();
    let signer = signer.unwrap();
    let tokens = signer.tokens("ann@example.com").issue().unwrap();
    let issued = json!({ "sessionJwt": tokens.session_jwt(), "refreshJwt": tokens.refresh_jwt() });
    let refusal = json!({ "errorCode": "E061102", "errorDescription": "Wrong code" });
    let service = Canned::start([
        (200, json!({ "maskedEmail": "a**@example.com" }).to_string()),
        (200, issued.to_string()),
        (401, refusal.to_string()),
        (200, format!("\"{}\"", "x".repeat(2 << 20))),
    ]);
    let keys = signer.keys().published().unwrap().to_string();
    let client = Client::builder(signer.project_id())
        .base_url(service.url())
        .session_validation(|validation| validation.key_set(keys))
        .build()
        .unwrap();
    let otp = Otp(&client);
    let sent = otp.send("ann@example.com").await.unwrap();
    assert_eq!(sent.as_deref(), Some("a**@example.com"));
    let auth = otp.verify("ann@example.com", "123456").await.unwrap();
    assert_eq!(auth.session.project_id(), signer.project_id());
    let refused = otp.verify("ann@example.com", "1").await.unwrap_err();
    assert_eq!(refused.code(), Some(&ErrorCode::from("E061102")));
    assert_eq!(refused.operation(), Some("verify_otp_email"));
    let large = otp.send("ann@example.com").await.unwrap_err();
    assert!(matches!(large, Error::Transport(error) if error.is_too_large()));
    let hurried = client.with_timeout(Duration::from_millis(50));
    assert!(Otp(&hurried).send("a").await.unwrap_err().is_timeout());
    let head = &service.requests()[1];
    let bearer = format!("authorization: Bearer {}\r\n", signer.project_id());
    assert!(head.starts_with("POST /v1/auth/otp/verify/email") && head.contains(&bearer));
}

#[tokio::test]
async fn links_are_sent_and_counted() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::builder(emulator.project_id()).base_url(emulator.base_url());
    let client = client.build().unwrap();
    let links = Links::new(&client);
    links.sign_up("ann@example.com", "Ann").await.unwrap();
    links.sign_in("ann@example.com").await.unwrap();
    assert_eq!((links.keys().await.unwrap(), links.calls()), (1, 3));
}

/// What a test matches can be made.
#[test]
fn a_member_is_found_wherever_it_stands() {
    let sent = serde_json::from_value(json!({ "maskedEmail": "a", "attempt": 2 })).unwrap();
    let sent = ResponseValue::new(sent, StatusCode::OK, HeaderMap::new());
    assert_eq!(attempt(&sent), Some(2));
    assert_eq!(sent.json(), json!({ "maskedEmail": "a", "attempt": 2 }));
    let refused = ApiError::with_code(StatusCode::UNAUTHORIZED, ErrorCode::TokenExpired);
    assert!(Error::from(refused).is_unauthorized());
}
