//! No description makes the generator panic: it generates, or says what is wrong.

#![no_main]

use descope_magiclink_codegen::generate::bindings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = bindings(text) {
        assert!(!error.to_string().is_empty());
    }
});
