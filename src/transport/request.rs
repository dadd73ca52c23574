//! What calls are made of beside their response.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;

/// All that RFC 3986 2.3 calls unreserved may stand in a path segment as it is.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes one path segment.
///
/// # Errors
///
/// A segment that a URL parser would drop or walk up from: empty, `.` and `..`.
pub(crate) fn encode_path(segment: &str) -> Result<String, Error> {
    if matches!(segment, "" | "." | "..") {
        return Err(Error::argument(
            "in the path",
            "must be an id: not empty, and no `.` or `..`",
        ));
    }
    Ok(utf8_percent_encode(segment, NOT_UNRESERVED).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_segment_of_the_path() {
        for id in ["", ".", ".."] {
            assert!(
                matches!(encode_path(id), Err(Error::InvalidArgument(_))),
                "{id}"
            );
        }
        assert_eq!(encode_path("..\\..\\x/y").unwrap(), "..%5C..%5Cx%2Fy");
    }
}
