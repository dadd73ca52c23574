//! No key set panics, whatever it says.

#![no_main]

use descope_magiclink::SessionValidator;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
        .allow_es384()
        .key_set(data)
        .build();
});
