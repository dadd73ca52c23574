//! What validation takes from the heap: `heap KEYS TOKEN...`, files. For each token a line: its length, allocations
//! of one validation, bytes that a session keeps.

use std::alloc::System;
use std::fs::read_to_string;

use descope_magiclink::{SessionToken, SessionValidator};
use descope_magiclink_bench::PROJECT;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let mut args = std::env::args().skip(1);
    let keys = read_to_string(args.next().expect("a file")).expect("keys");
    let validator = SessionValidator::builder(PROJECT).key_set(keys);
    let validator = validator.build().expect("a validator");
    for file in args {
        let token = SessionToken::new(read_to_string(file).expect("a token"));
        drop(validator.validate_cached(&token).expect("a session"));
        let region = Region::new(GLOBAL);
        let session = validator.validate_cached(&token).expect("a session");
        let change = region.change();
        let kept = change.bytes_allocated - change.bytes_deallocated;
        println!(
            "{} {} {kept}",
            token.expose_secret().len(),
            change.allocations + change.reallocations
        );
        drop(session);
    }
}
