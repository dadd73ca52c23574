//! What commands say, and what they end with.

use std::error::Error;
use std::io::{self, Write as _};

/// What a command ends with: whether all is well, or what kept it from finding out.
pub(crate) type Outcome = Result<bool, Box<dyn Error>>;

/// A reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

pub(crate) fn print_error(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.trim_end());
}
