//! No request to the landing page makes a panic, and none without the page's own proof makes a call.

#![no_main]

use std::sync::LazyLock;

use descope_magiclink::{CallEvent, Client};
use descope_magiclink_web::LandingPage;
use http::{Method, Request, header};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());

static PAGE: LazyLock<LandingPage> = LazyLock::new(|| {
    let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
        .base_url("http://127.0.0.1:9")
        .on_call(|event| {
            if let CallEvent::Starting { operation, .. } = event {
                panic!("{operation} is called");
            }
        })
        .build()
        .unwrap();
    LandingPage::builder(&client, "https://app.example.com/verify").build().unwrap()
});

// Lines: the query, a cookie, an origin; what follows is the body of a form, or nothing for a page.
fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |octet| *octet == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (query, cookie, origin, body) = (next(), next(), next(), next());
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    let method = if body.is_empty() { Method::GET } else { Method::POST };
    let request = Request::builder()
        .method(method)
        .uri(format!("https://app.example.com/verify?{query}"))
        .header(header::HOST, "app.example.com")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookie)
        .header(header::ORIGIN, origin)
        .body(Full::new(bytes::Bytes::copy_from_slice(body)));
    let Ok(request) = request else {
        return;
    };
    let response = RUNTIME.block_on(PAGE.handle(request));
    assert!(!response.status().is_server_error(), "{}", response.status());
    assert!(!response.status().is_redirection() || response.headers().contains_key("location"));
});
