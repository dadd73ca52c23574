//! A canary in every secret: it must be in no text that could reach a log.

use std::error::Error as _;
use std::fmt::{Debug, Write as _};

use crate::support::{PROJECT, Reply, Socket};
use descope_magiclink::management::TestUser;
use descope_magiclink::raw::types;
use descope_magiclink::session::UncheckedAuthentication;
use descope_magiclink::{
    AccessKey, Client, DeliveryMethod, Error, MagicLinkToken, ManagementKey, PhoneDelivery,
    RefreshToken, Secret, SessionToken,
};

const CANARY: &str = "canary-7f3a9c-4d21-SECRET";

#[derive(Default)]
struct Log(String);

impl Log {
    fn debug(&mut self, value: &dyn Debug) {
        writeln!(self.0, "{value:?}\n{value:#?}").unwrap();
    }

    fn error(&mut self, error: &Error) {
        self.debug(error);
        writeln!(self.0, "{error}").unwrap();
        let mut source = error.source();
        while let Some(cause) = source {
            writeln!(self.0, "{cause}\n{cause:?}").unwrap();
            source = cause.source();
        }
    }

    fn check(&self, what: &str) {
        let at = self.0.find(CANARY).or_else(|| self.0.find("7f3a9c"));
        if let Some(at) = at {
            panic!(
                "{what} prints a secret: {}",
                &self.0[at.saturating_sub(200)..at + 30]
            );
        }
    }
}

#[test]
#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls")),
    ignore = "makes clients for https"
)]
fn secrets_and_what_holds_them_print_redacted() {
    let mut log = Log::default();
    let (refresh, session) = (RefreshToken::new(CANARY), SessionToken::new(CANARY));
    log.debug(&refresh);
    log.debug(&session);
    log.debug(&MagicLinkToken::from_query(format!("t={CANARY}")).unwrap());
    log.debug(&ManagementKey::new(CANARY));
    log.debug(&AccessKey::new(CANARY));
    log.debug(&Secret::new(CANARY));

    let builder = Client::builder(PROJECT).auth_management_key(CANARY);
    log.debug(&builder);
    let client = builder.build().unwrap();
    log.debug(&client);
    log.debug(&client.raw());
    let magic_link = client.magic_link();
    log.debug(&magic_link);
    log.debug(
        &magic_link
            .sign_in(DeliveryMethod::Email, "joe")
            .step_up(&refresh)
            .mfa(&refresh),
    );
    log.debug(&magic_link.update_email(&refresh, "a@b.c"));
    log.debug(&magic_link.update_phone(&refresh, PhoneDelivery::Sms, "+1"));
    let management = client.management_with(CANARY);
    log.debug(&management);
    log.debug(&management.test_magic_link(DeliveryMethod::Email, "joe"));
    log.debug(&management.embedded_sign_in("joe"));
    log.debug(&management.embedded_sign_up("joe"));
    log.debug(&TestUser::new("joe"));
    log.check("a type of the facade");

    let text = serde_json::json!({
        "sessionJwt": CANARY, "refreshJwt": CANARY, "externalToken": CANARY, "trustedDeviceJwt": CANARY,
        "token": CANARY, "link": CANARY, "password": CANARY,
        "idpResponse": { "samlResponse": CANARY, "oidcResponse": CANARY },
        "novelJwt": CANARY, "user": { "novelToken": CANARY }
    })
    .to_string();
    macro_rules! raw {
        ($($name:ident),+) => {
            $(log.debug(&serde_json::from_str::<types::$name>(&text).unwrap());)+
        };
    }
    raw!(
        JwtResponse,
        OptionalJwtResponse,
        VerifyMagicLinkRequest,
        EmbeddedLinkSignInResponse
    );
    raw!(
        TestUserGenerateMagicLinkResponse,
        CreateUserRequest,
        RefreshSessionRequest,
        IdpResponse
    );
    log.check("a raw type");
}

#[tokio::test]
async fn a_successful_sign_in_prints_redacted() {
    let body = format!(
        r#"{{"sessionJwt":"{CANARY}","refreshJwt":"{CANARY}","x":"{CANARY}","user":{{"y":"{CANARY}"}}}}"#
    );
    let cookie = format!("DSR={CANARY}");
    let reply = Reply::with_headers(200, &[("set-cookie", &cookie)], &body);
    let socket = Socket::start(vec![reply]).await;
    let client = socket.client();
    let auth: UncheckedAuthentication = client
        .magic_link()
        .verify_unchecked(&MagicLinkToken::new(CANARY))
        .await
        .unwrap();
    let mut log = Log::default();
    log.debug(&auth);
    let body = types::VerifyMagicLinkRequest::default();
    log.debug(&client.raw().verify_magic_link(&body).send().await.unwrap());
    log.check("a success");
}

#[tokio::test]
async fn no_error_prints_a_secret_that_was_sent_or_came_back() {
    let html = format!("<html>{CANARY}</html>");
    let json = format!(
        r#"{{"errorCode":"{CANARY}","errorDescription":"bad token {CANARY}","errorMessage":"{CANARY}"}}"#
    );
    let wrong = format!(r#"{{"sessionJwt":{{"{CANARY}":1}},"cookieMaxAge":"{CANARY}"}}"#);
    let cookie = format!("DSR={CANARY}");
    let headers = [
        ("set-cookie", cookie.as_str()),
        ("location", CANARY),
        ("retry-after", CANARY),
    ];
    let mut replies = vec![
        Reply::json(200, &wrong),
        Reply::json(200, &html),
        Reply::json(200, &format!("\"{CANARY}\"")),
        Reply::Close,
        Reply::Bytes(format!("HTTP/1.1 {CANARY}\r\n\r\n").into_bytes()),
        Reply::Bytes(
            format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{CANARY}").into_bytes(),
        ),
    ];
    for status in [302, 400, 401, 403, 404, 409, 429, 500, 503] {
        for body in ["", &html, &json, &json[..20]] {
            replies.push(Reply::with_headers(status, &headers, body));
        }
    }
    for reply in replies {
        let socket = Socket::start(vec![reply.clone()]).await;
        let client = socket
            .builder()
            .auth_management_key(CANARY)
            .build()
            .unwrap();
        let error = client
            .magic_link()
            .verify_unchecked(&MagicLinkToken::new(CANARY))
            .await
            .unwrap_err();
        let mut log = Log::default();
        log.error(&error);
        log.check(&format!("the error for {reply:?}"));
    }

    // Bound but not listening: no other program gets the port in the meantime.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/{CANARY}", closed.local_addr().unwrap());
    let client = Client::builder(PROJECT).base_url(url).build().unwrap();
    let mut log = Log::default();
    let token = MagicLinkToken::new(CANARY);
    log.error(
        &client
            .magic_link()
            .verify_unchecked(&token)
            .await
            .unwrap_err(),
    );
    log.error(
        &client
            .raw()
            .load_user(&CANARY.into())
            .login_id(CANARY)
            .send()
            .await
            .unwrap_err(),
    );
    log.error(
        &client
            .management_with(format!("{CANARY}\n"))
            .user("joe")
            .await
            .unwrap_err(),
    );
    log.error(&MagicLinkToken::from_url(format!("https://x/?q={CANARY}")).unwrap_err());
    log.check("an error before the response");
}
