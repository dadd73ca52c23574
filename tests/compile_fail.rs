//! What cannot work does not compile.

#[test]
#[ignore = "compiler messages differ between versions of Rust; .ci/run runs it"]
fn mistakes_do_not_compile() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
