//! No request headers panic, and what is read from them is what was in them.

#![no_main]

use std::sync::LazyLock;

use descope_magiclink::SessionValidator;
use descope_magiclink_web::cookies::SessionCookies;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

static COOKIES: LazyLock<[SessionCookies; 2]> = LazyLock::new(|| {
    let validator = SessionValidator::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    [
        SessionCookies::builder(&validator).plain_names().build().unwrap(),
        SessionCookies::builder(&validator).also_read_session("DS").build().unwrap(),
    ]
});

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let (name, value) = match line.split_first() {
            Some((b'A', value)) => (AUTHORIZATION, value),
            _ => (COOKIE, line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let text = String::from_utf8_lossy(data);
    for cookies in &*COOKIES {
        let tokens = cookies.read(&headers);
        assert_eq!(tokens.session.is_some(), tokens.session_source.is_some());
        for found in [
            tokens.session.as_ref().map(|token| token.expose_secret()),
            tokens.refresh.as_ref().map(|token| token.expose_secret()),
        ]
        .into_iter()
        .flatten()
        {
            // A token that came in parts stands nowhere as a whole.
            assert!(text.contains(found) || text.contains(".0"));
        }
    }
});
