//! What each of the applications must do, whatever it is built on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use descope_magiclink::Client;
use descope_magiclink_emulator::{Emulator, Fault, User};
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderName, SET_COOKIE};

const USER: &str = "ann@example.com";

/// A test for each rule of a session, in an application that `$start` starts for a client: it says where.
/// Its path `/orders` must be for those who are signed in, and `POST /sign-out` must end the session.
#[macro_export]
macro_rules! one_test_per_rule {
    ($test:meta, $start:path) => {
        $crate::one_test_per_rule!($test, $start,
            visit
            a_sign_out_is_not_undone_by_a_renewal
            a_bearer_token_is_never_renewed
            only_the_services_own_word_is_a_refusal
            the_refresh_cookie_is_set_only_when_rotated
            a_cookie_that_cannot_be_set_does_not_fail_the_request
            the_request_sees_the_renewed_tokens
        );
    };
    ($test:meta, $start:path, $($rule:ident)+) => {
        $(#[$test]
        async fn $rule() {
            for rotating in [false, true] {
                let (emulator, client) = $crate::service(rotating).await;
                let app = $start(client).await;
                $crate::$rule(&app, &emulator, rotating).await;
            }
        })+
    };
}

/// An example is no example when it is long: 40 lines, with neither those that are empty nor those that name
/// its tests.
pub fn is_short(source: &str) {
    let lines = source.lines().filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !["#[cfg(test)]", "mod test;"].contains(line));
    let count = lines.count();
    assert!(count <= 40, "{count} lines");
}

/// The service, and a client of it.
pub async fn service(rotating: bool) -> (Emulator, Client) {
    let emulator = Emulator::builder()
        .rotate_refresh_tokens(rotating)
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
pub async fn visit(app: &str, emulator: &Emulator, rotating: bool) {
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

    // Nobody, somebody by a cookie or by a bearer token, and whose session has expired.
    assert_eq!(get(None).await.status(), 401);
    for (name, value) in [
        (
            COOKIE,
            format!("theme=dark; __Host-DS={}", good.session_jwt()),
        ),
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
        (COOKIE, format!("__Host-DS={}", expired.session_jwt())),
        (AUTHORIZATION, format!("Bearer {}", expired.session_jwt())),
        (COOKIE, format!("\u{2000}__Host-DS={}", good.session_jwt())),
    ] {
        assert_eq!(get(Some((name, value))).await.status(), 401);
    }

    // A session that has ended: not now while the service is down, and renewed when it is there.
    let both = format!(
        "__Host-DS={}; __Host-DSR={}",
        expired.session_jwt(),
        good.refresh_jwt()
    );
    let down = Fault::on("RefreshSession")
        .respond(403)
        .text("<html>blocked</html>");
    emulator.faults().add(down.times(1)).unwrap();
    let response = get(Some((COOKIE, both.clone()))).await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().get(SET_COOKIE).is_none());
    let response = get(Some((COOKIE, both))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let lines = response.headers().get_all(SET_COOKIE).iter();
    let mut lines = lines.map(|line| line.to_str().unwrap().to_owned());
    let cookie = lines.find(|line| line.starts_with("__Host-DS=")).unwrap();
    for part in [
        "HttpOnly",
        "Secure",
        "SameSite=Lax",
        "Path=/",
        "Max-Age=600",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(stored(&response).len(), if rotating { 2 } else { 1 });
    let renewed = cookie.split(';').next().unwrap();
    assert_eq!(get(Some((COOKIE, renewed.to_owned()))).await.status(), 200);
}

async fn send(app: &str, path: &str, headers: &[(HeaderName, String)]) -> Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{app}{path}");
    let mut request = match path {
        "/sign-out" => http.post(url),
        _ => http.get(url),
    };
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

/// The names of the cookies that are set and not removed.
fn stored(response: &Response) -> Vec<String> {
    let lines = response.headers().get_all(SET_COOKIE).iter();
    lines
        .map(|line| line.to_str().unwrap())
        .filter(|line| !line.contains("Max-Age=0"))
        .map(|line| line.split('=').next().unwrap().to_owned())
        .collect()
}

/// The cookies of a session that has ended and can be renewed.
fn ended(emulator: &Emulator) -> (HeaderName, String) {
    let expired = emulator.tokens(USER).expired().issue().unwrap();
    let good = emulator.tokens(USER).issue().unwrap();
    let (session, refresh) = (expired.session_jwt(), good.refresh_jwt());
    (COOKIE, format!("__Host-DS={session}; __Host-DSR={refresh}"))
}

pub async fn a_sign_out_is_not_undone_by_a_renewal(app: &str, emulator: &Emulator, _: bool) {
    let response = send(app, "/sign-out", &[ended(emulator)]).await;
    assert_eq!(response.status(), 200);
    assert!(stored(&response).is_empty());
    assert!(response.headers().get_all(SET_COOKIE).iter().count() >= 2);
}

pub async fn a_bearer_token_is_never_renewed(app: &str, emulator: &Emulator, _: bool) {
    let expired = emulator.tokens(USER).expired().issue().unwrap();
    let bearer = format!("Bearer {}", expired.session_jwt());
    let headers = [(AUTHORIZATION, bearer), ended(emulator)];
    let response = send(app, "/orders", &headers).await;
    assert_eq!(response.status(), 401);
    assert!(response.headers().get(SET_COOKIE).is_none());
    assert_eq!(emulator.requests().count("RefreshSession"), 0);
}

pub async fn only_the_services_own_word_is_a_refusal(app: &str, emulator: &Emulator, _: bool) {
    let refresh = || Fault::on("RefreshSession");
    let body =
        r#"{"errorCode":"E064001","errorDescription":"No","errorMessage":"no","message":"no"}"#;
    for (fault, status) in [
        (refresh().respond(401).text(body), 401),
        (refresh().respond(400).text(body), 401),
        (refresh().respond(401), 503),
        (refresh().respond(403).text("<html>blocked</html>"), 503),
        (refresh().respond(404), 503),
        (refresh().rate_limited(None), 503),
    ] {
        emulator.faults().add(fault.times(1)).unwrap();
        let response = send(app, "/orders", &[ended(emulator)]).await;
        assert_eq!(response.status(), status);
        assert!(response.headers().get(SET_COOKIE).is_none());
    }
}

pub async fn the_refresh_cookie_is_set_only_when_rotated(
    app: &str,
    emulator: &Emulator,
    rotating: bool,
) {
    let response = send(app, "/orders", &[ended(emulator)]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let all = ["__Host-DS", "__Host-DSR"];
    assert_eq!(stored(&response), all[..if rotating { 2 } else { 1 }]);
}

pub async fn a_cookie_that_cannot_be_set_does_not_fail_the_request(
    app: &str,
    emulator: &Emulator,
    _: bool,
) {
    // Larger than four cookies, and not too large for a token: four characters are three bytes of it.
    let with = |size: usize| {
        let minted = emulator.tokens(USER).claim("many", "x".repeat(size));
        minted.issue().unwrap()
    };
    let large = with(11_000 + (16_364 - with(11_000).session_jwt().len()) * 3 / 4);
    assert!((16_340..=16_384).contains(&large.session_jwt().len()));
    let session = large.session_jwt();
    let body = format!(r#"{{"sessionJwt":"{session}"}}"#);
    let fault = Fault::on("RefreshSession").respond(200).text(body);
    emulator.faults().add(fault.times(1)).unwrap();
    let response = send(app, "/orders", &[ended(emulator)]).await;
    assert_eq!(response.status(), 200);
    assert!(stored(&response).is_empty());
}

pub async fn the_request_sees_the_renewed_tokens(app: &str, emulator: &Emulator, _: bool) {
    let response = send(app, "/sign-out", &[ended(emulator)]).await;
    assert_eq!(response.status(), 200);
    // The old refresh token may be superseded by then, and end nothing.
    let logout = emulator.requests().of("Logout").pop().unwrap();
    assert_eq!(logout.status(), Some(200));
}

/// A service that gives responses one after the other, each over a connection of its own, and keeps the requests.
pub struct Canned {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    /// Open beyond the last response: whoever connects then waits.
    _listener: TcpListener,
}

impl Canned {
    /// Starts it on a free port.
    pub fn start(responses: impl IntoIterator<Item = (u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, responses) = (Arc::clone(&requests), Vec::from_iter(responses));
        let open = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            for (status, body) in responses {
                let (mut socket, _) = listener.accept().unwrap();
                let request = request(&mut socket);
                kept.lock().unwrap().push(request);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                // Who has read enough may have gone.
                let _ = socket.write_all((head + &body).as_bytes());
            }
        });
        Self {
            url,
            requests,
            _listener: open,
        }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far, as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads up to the end of the body that the head announces; of what is no HTTP, the first bytes.
fn request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = socket.read(&mut chunk).unwrap_or(0);
        bytes.extend_from_slice(&chunk[..read]);
        if read == 0 || bytes.first() == Some(&22) {
            return text;
        }
    }
}
