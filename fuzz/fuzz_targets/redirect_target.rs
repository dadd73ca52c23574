//! No text that passes for a redirect target leads to another origin, as browsers read it.

#![no_main]

use descope_magiclink_web::RedirectTargets;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    let page = "https://app.example.com/verify";
    let targets = RedirectTargets::new(page)
        .and_then(|targets| targets.allow_origin("https://docs.example.com"))
        .unwrap();
    if let Ok(target) = targets.check(text) {
        assert!(target.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
        let lands = Url::parse(page).unwrap().join(target.as_str()).unwrap();
        let origin = lands.origin().ascii_serialization();
        assert!(["https://app.example.com", "https://docs.example.com"].contains(&&*origin));
        assert!(lands.username().is_empty() && lands.password().is_none());
        // What was written is what is read again.
        assert_eq!(targets.check(target.as_str()).as_ref(), Ok(&target));
    }
});
