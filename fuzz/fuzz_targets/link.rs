//! No text of a link makes a panic, and a token that is taken from it can be a token.

#![no_main]

use descope_magiclink::MagicLinkToken;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for found in [MagicLinkToken::from_url(text), MagicLinkToken::from_query(text)] {
        match found {
            Ok(token) => {
                let token = token.expose_secret();
                assert!(!token.is_empty() && !token.chars().any(char::is_control), "{token:?}");
                // It stands in the link, if need be percent-encoded, and without what URLs drop (tabs, line ends).
                let text = text.replace(['\t', '\n', '\r'], "").replace('+', " ");
                let decoded: Vec<u8> = percent_encoding::percent_decode_str(&text).collect();
                let decoded = String::from_utf8_lossy(&decoded);
                assert!(decoded.contains(token), "{token:?}");
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
