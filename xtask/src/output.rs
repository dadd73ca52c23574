//! What commands say, and what they end with.

use std::error::Error;

/// What a command ends with: whether all is well, or what kept it from finding out.
pub(crate) type Outcome = Result<bool, Box<dyn Error>>;

#[expect(clippy::print_stdout, reason = "a command line's output")]
pub(crate) fn print(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(clippy::print_stderr, reason = "a command line's errors")]
pub(crate) fn print_error(text: &str) {
    eprintln!("{}", text.trim_end());
}
