//! What each of the applications must do, whatever it is built on.

use descope_magiclink::Client;
use descope_magiclink_emulator::{Emulator, Fault, User};
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderName, SET_COOKIE};

const USER: &str = "ann@example.com";

/// The service, and a client of it.
pub async fn service() -> (Emulator, Client) {
    let emulator = Emulator::builder()
        .user(User::new(USER))
        .start()
        .await
        .unwrap();
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()
        .unwrap();
    (emulator, client)
}

/// Visits the application at an address such as `http://127.0.0.1:8080`. Its path `/orders` must be for
/// those who are signed in.
pub async fn visit(app: &str, emulator: &Emulator) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |header: Option<(HeaderName, String)>| {
        let request = http.get(format!("{app}/orders"));
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        request.send().await.unwrap()
    };
    let good = emulator.tokens(USER).issue().unwrap();
    let expired = emulator.tokens(USER).expired().issue().unwrap();
    let user_id = emulator.users().get(USER).unwrap()["userId"]
        .as_str()
        .unwrap()
        .to_owned();

    // Nobody, somebody by a cookie or by a bearer token, and whose session is over.
    assert_eq!(get(None).await.status(), 401);
    for (name, value) in [
        (COOKIE, format!("theme=dark; DS={}", good.session_jwt())),
        (AUTHORIZATION, format!("Bearer {}", good.session_jwt())),
    ] {
        let response = get(Some((name, value))).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers().get(SET_COOKIE).is_none());
        assert_eq!(
            response.text().await.unwrap(),
            format!("the orders of {user_id}")
        );
    }
    for (name, value) in [
        (COOKIE, format!("DS={}", expired.session_jwt())),
        (AUTHORIZATION, format!("Bearer {}", expired.session_jwt())),
        (COOKIE, format!("\u{2000}DS={}", good.session_jwt())),
    ] {
        assert_eq!(get(Some((name, value))).await.status(), 401);
    }

    // A session that has ended: not now while the service is down, and renewed when it is there.
    let both = format!("DS={}; DSR={}", expired.session_jwt(), good.refresh_jwt());
    let down = Fault::on("RefreshSession")
        .answer(403)
        .text("<html>blocked</html>");
    emulator.faults().add(down.times(1)).unwrap();
    let response = get(Some((COOKIE, both.clone()))).await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().get(SET_COOKIE).is_none());
    let response = get(Some((COOKIE, both))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    for part in [
        "HttpOnly",
        "Secure",
        "SameSite=Lax",
        "Path=/",
        "Max-Age=600",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let renewed = cookie.split(';').next().unwrap();
    assert_eq!(get(Some((COOKIE, renewed.to_owned()))).await.status(), 200);
}
