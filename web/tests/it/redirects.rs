//! No link leads out of the application.

use descope_magiclink_web::{RedirectError, RedirectTargets};
use http::StatusCode;
use proptest::prelude::*;
use url::Url;

use crate::browser::{Browser, ORIGIN, VERIFY, emulator, fields, landing, link, location};

/// Ways to lead a browser away, by class. Each is refused or stays at home.
const PAYLOADS: [(&str, &[&str]); 12] = [
    (
        "another origin, plainly",
        &[
            "https://evil.example",
            "http://evil.example/",
            "HTTPS://EVIL.EXAMPLE/path?query#fragment",
            "https://evil.example:443",
            "http://app.example.com/downgraded",
            "https://app.example.com:8443/other-port",
            "ftp://app.example.com/",
        ],
    ),
    (
        "relative to the scheme",
        &[
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "//////////evil.example",
            "//evil.example/%2f..",
            "//evil.example@app.example.com",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https:////evil.example",
            ":evil.example",
            "://evil.example",
        ],
    ),
    (
        "backslashes",
        &[
            "\\\\evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\\/evil.example",
            "//\\evil.example",
            "/\\\\evil.example",
            "https:\\\\evil.example",
            "https:/\\evil.example",
            "https://app.example.com\\@evil.example",
            "https://evil.example\\app.example.com",
            "/path\\..\\..\\evil.example",
            "\\evil.example",
        ],
    ),
    (
        "user names",
        &[
            "https://app.example.com@evil.example",
            "https://app.example.com:password@evil.example/",
            "https://app.example.com%40evil.example",
            "https://evil.example@app.example.com/",
            "https://:@app.example.com/",
            "//app.example.com@evil.example",
            "https://app.example.com&@evil.example",
            "https://app.example.com:443@evil.example",
        ],
    ),
    (
        "control characters and spaces",
        &[
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "\t//evil.example",
            " //evil.example",
            "\u{0}//evil.example",
            "\u{1f}https://evil.example",
            "ht\ttps://evil.example",
            "https:\n//evil.example",
            "/ok\r\nLocation: https://evil.example",
            "/ok\r\n\r\n<script>alert(1)</script>",
            "\u{a0}//evil.example",
            "\u{2028}//evil.example",
            "\u{3000}//evil.example",
            "\u{feff}//evil.example",
            "//evil.example\u{7f}",
        ],
    ),
    (
        "encodings",
        &[
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%2f%2fevil.example",
            "/%5cevil.example",
            "/%5C%5Cevil.example",
            "%2f%2fevil.example",
            "%68ttps://evil.example",
            "/%09/evil.example",
            "/%0d%0aLocation:%20https://evil.example",
            "/%00/evil.example",
            "/%252fevil.example",
            "/%255cevil.example",
            "/%u2215%u2215evil.example",
            "https%3a%2f%2fevil.example",
            "/%ff%fe//evil.example",
        ],
    ),
    (
        "dots that browsers take out",
        &[
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/a/b/../..//evil.example",
            "/%2e/%2fevil.example",
            "/%2e%2e//evil.example",
            "/.%2e//evil.example",
            "/./%5cevil.example",
            "./..//evil.example",
            "..//evil.example",
        ],
    ),
    (
        "schemes that run or read",
        &[
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\tscript:alert(1)",
            "javascript://app.example.com/%0aalert(1)",
            "data:text/html,<script>alert(1)</script>",
            "data:text/html;base64,PHNjcmlwdD4=",
            "vbscript:msgbox(1)",
            "file:///etc/passwd",
            "blob:https://app.example.com/1",
            "about:blank",
            "view-source:https://app.example.com",
            "mailto:joe@example.com",
            "intent://evil.example#Intent;end",
            "filesystem:https://app.example.com/",
        ],
    ),
    (
        "hosts that look like ours",
        &[
            "https://app.example.com.evil.example",
            "https://app.example.comevil.example",
            "https://evil-app.example.com",
            "https://evil.example/app.example.com",
            "https://evil.example?https://app.example.com",
            "https://evil.example#https://app.example.com",
            "https://app.example.co",
            "https://example.com",
            "https://sub.app.example.com",
            "https://app.example.com.",
        ],
    ),
    (
        "international names",
        &[
            "https://аpp.example.com",
            "https://app.exаmple.com",
            "https://app.example.com。evil.example",
            "https://app.example.com／@evil.example",
            "https://ⓔⓥⓘⓛ.example",
            "https://evil。example",
            "//evil．example",
            "/／evil.example",
            "/⁄/evil.example",
            "https://xn--pp-6kc.example.com",
            "https://app\u{ad}.example.com@evil.example",
            "https://app.example.com\u{200b}.evil.example",
        ],
    ),
    (
        "addresses as numbers",
        &[
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "//2130706433",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "https://0/",
        ],
    ),
    (
        "what is no address",
        &[
            "",
            "?next=//evil.example",
            "#//evil.example",
            "evil.example",
            ".evil.example",
            "@evil.example",
            ";//evil.example",
            "*",
            "https://",
            "https://[",
            "https://[::1",
            "https://app.example.com:99999/",
            "/;@evil.example",
            "/@evil.example",
            "/?//evil.example",
            "/#//evil.example",
        ],
    ),
];

const PIECES: &[&str] = &[
    "/",
    "//",
    "\\",
    ".",
    "..",
    ":",
    "@",
    "?",
    "#",
    ";",
    "&",
    "=",
    "[",
    "]",
    "*",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "%",
    "%2f",
    "%5c",
    "%2e",
    "%09",
    "%0a",
    "%40",
    "%25",
    "http:",
    "https:",
    "https://",
    "HTTPS",
    "javascript:",
    "data:",
    "app.example.com",
    "evil.example",
    "443",
    "a",
    "\u{a0}",
    "\u{feff}",
    "／",
    "。",
    "⁄",
    "а",
];

fn payloads() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAYLOADS
        .iter()
        .flat_map(|(class, payloads)| payloads.iter().map(move |payload| (*class, *payload)))
}

/// Where a browser on the page goes, by the standard that browsers follow; and where it would go if
/// something on the way decoded the response once more.
fn lands_at_home(location: &str) -> bool {
    let page = Url::parse(VERIFY).unwrap();
    let origin = |text: &str| page.join(text).unwrap().origin().ascii_serialization();
    let decoded: String = percent_encoding(location);
    origin(location) == ORIGIN && origin(&decoded) == ORIGIN
}

/// Decodes what is encoded; bytes that are no text become marks.
fn percent_encoding(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn there_are_enough_payloads_and_each_is_its_own() {
    let mut all: Vec<_> = payloads().map(|(_, payload)| payload).collect();
    all.sort_unstable();
    let before = all.len();
    all.dedup();
    assert_eq!(all.len(), before);
    assert!(all.len() >= 60, "{}", all.len());
}

#[test]
fn no_payload_is_a_target_elsewhere() {
    let targets = RedirectTargets::new(VERIFY).unwrap();
    for (class, payload) in payloads() {
        if let Ok(target) = targets.check(payload) {
            assert!(
                lands_at_home(target.as_str()),
                "{class}: {payload:?} leads to {target}"
            );
        }
    }
}

#[test]
fn a_target_is_as_long_as_an_address_may_be() {
    let targets = RedirectTargets::new(VERIFY).unwrap();
    let longest = format!("/{}", "a".repeat(2047));
    assert_eq!(targets.check(&longest).unwrap().as_str(), longest);
    let longer = targets.check(&format!("{longest}a"));
    assert_eq!(longer, Err(RedirectError::TooLong));
    // As it is written counts, too: the form of the page carries that.
    for (letters, length) in [(341, 2047), (342, 2053)] {
        let target = format!("/{}", "\u{e9}".repeat(letters));
        let written = targets.check(&target).map(|target| target.as_str().len());
        let expected = if length > 2048 {
            Err(RedirectError::TooLong)
        } else {
            Ok(length)
        };
        assert_eq!(written, expected);
    }
}

#[test]
fn an_allowed_origin_opens_no_other() {
    let targets = RedirectTargets::new(VERIFY)
        .unwrap()
        .allow_origin("https://docs.example.com")
        .unwrap();
    let good = "https://docs.example.com/intro?a=b#c";
    let target = targets.check(good).unwrap();
    assert_eq!([target.as_str(), &target.to_string()], [good; 2]);
    for (class, payload) in payloads() {
        for payload in [
            payload.to_owned(),
            payload.replace("app.example.com", "docs.example.com"),
        ] {
            if let Ok(target) = targets.check(&payload) {
                let home = Url::parse(VERIFY).unwrap();
                let lands = home.join(target.as_str()).unwrap();
                let lands = lands.origin().ascii_serialization();
                assert!(
                    [ORIGIN, "https://docs.example.com"].contains(&&*lands),
                    "{class}: {payload:?} leads to {target}"
                );
            }
        }
    }
}

#[tokio::test]
async fn no_payload_leaves_the_origin_through_the_form() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    for (class, payload) in payloads() {
        let mut browser = Browser::default();
        // As the link's query, as a page of the application may have been talked into making it.
        let path = link(&emulator, &landing, &mut browser).await;
        let next: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        let page = browser.get(&landing, &format!("{path}&next={next}")).await;
        assert_eq!(page.status(), StatusCode::OK, "{class}: {payload:?}");
        let response = browser.press(&landing, &page).await;
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{class}: {payload:?}"
        );
        assert!(
            lands_at_home(location(&response)),
            "{class}: {payload:?} leads to {}",
            location(&response)
        );
    }
}

#[tokio::test]
async fn a_target_put_into_the_form_later_is_refused() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let mut form = fields(&page);
    for (name, value) in &mut form {
        if name == "next" {
            "/elsewhere".clone_into(value);
        }
    }
    let request = browser.post(&form);
    let response = browser.send(landing.clone(), request).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(emulator.requests().count("VerifyMagicLink"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever is put together from the pieces of such payloads.
    #[test]
    fn no_mixture_of_pieces_leaves_the_origin(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..8),
    ) {
        let targets = RedirectTargets::new(VERIFY).unwrap();
        let text = pieces.concat();
        if let Ok(target) = targets.check(&text) {
            prop_assert!(lands_at_home(target.as_str()), "{text:?} leads to {target}");
            prop_assert_eq!(targets.check(target.as_str()), Ok(target));
        }
    }
}

#[test]
fn pages_of_the_application_are_fine_and_come_out_as_browsers_read_them() {
    let targets = RedirectTargets::new("https://app.example.com/some/page?x#y").unwrap();
    for (target, written) in [
        ("/", "/"),
        ("/orders", "/orders"),
        (
            "/orders?page=2&sort=a%2Fb#row-3",
            "/orders?page=2&sort=a%2Fb#row-3",
        ),
        ("/a/../b", "/b"),
        ("/größe", "/gr%C3%B6%C3%9Fe"),
        ("/a//b", "/a//b"),
        (
            "/search?q=https://evil.example",
            "/search?q=https://evil.example",
        ),
        ("https://app.example.com", "https://app.example.com/"),
        (
            "https://app.example.com/orders",
            "https://app.example.com/orders",
        ),
    ] {
        assert_eq!(targets.check(target).unwrap().as_str(), written, "{target}");
    }
    assert_eq!(targets.check("//x"), Err(RedirectError::OtherOrigin));
    for text in [
        "/\\x",
        "/a b",
        "/a\u{a0}b",
        "/a\tb",
        "/a\u{1}b",
        " /a",
        "/a ",
    ] {
        let refused = targets.check(text);
        assert_eq!(refused, Err(RedirectError::InvalidCharacters), "{text:?}");
    }
}

#[test]
fn an_application_is_at_a_safe_origin() {
    for url in [
        "http://app.example.com",
        "app.example.com",
        "https://joe@app.example.com",
        "ftp://app.example.com",
        "",
        "/verify",
    ] {
        assert!(RedirectTargets::new(url).is_err(), "{url}");
    }
    let error = RedirectTargets::new("http://app.example.com").unwrap_err();
    assert!(error.to_string().contains("over http anyone"), "{error}");
    for url in [
        "http://localhost:3000/verify",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "http://app.localhost",
    ] {
        assert!(RedirectTargets::new(url).is_ok(), "{url}");
    }
    let targets = RedirectTargets::new(VERIFY).unwrap();
    for origin in [
        "https://docs.example.com/path",
        "https://docs.example.com?x",
        "https://DOCS.example.com",
        "https://docs.example.com:443",
        "http://docs.example.com",
        "*",
    ] {
        assert!(targets.clone().allow_origin(origin).is_err(), "{origin}");
    }
}
