//! No text that passes for a redirect target leads to another origin, as browsers read it.

#![no_main]

use std::sync::LazyLock;

use descope_magiclink_web::RedirectTargets;
use libfuzzer_sys::fuzz_target;
use url::Url;

const PAGE: &str = "https://app.example.com/verify";

static TARGETS: LazyLock<RedirectTargets> = LazyLock::new(|| {
    RedirectTargets::new(PAGE)
        .and_then(|targets| targets.allow_origin("https://docs.example.com"))
        .unwrap()
});

fuzz_target!(|text: &str| {
    if let Ok(target) = TARGETS.check(text) {
        assert!(target.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        let lands = Url::parse(PAGE).unwrap().join(target.as_str()).unwrap();
        let origin = lands.origin().ascii_serialization();
        assert!(["https://app.example.com", "https://docs.example.com"].contains(&&*origin));
        assert!(lands.username().is_empty() && lands.password().is_none());
        // What was written is what is read again.
        assert_eq!(TARGETS.check(target.as_str()).as_ref(), Ok(&target));
    }
});
