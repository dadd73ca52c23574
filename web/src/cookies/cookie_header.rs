//! `Cookie` lines, read as octets (RFC 6265bis).

/// The names and values of all cookies, in the order in which they came.
///
/// Of names and values only space and tab are trimmed, as browsers do before they look for `__Host-`.
/// With any other octet before it, such as a space of Unicode, it is another cookie: one that a
/// neighbour of the same domain can set.
pub(crate) fn pairs<'h>(
    lines: impl IntoIterator<Item = &'h [u8]>,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    lines
        .into_iter()
        .flat_map(|line| line.split(|octet| *octet == b';'))
        .filter_map(|pair| {
            let mut parts = pair.splitn(2, |octet| *octet == b'=');
            Some((trim(parts.next()?), trim(parts.next()?)))
        })
}

/// The values of all cookies of this name, in the order in which they came.
pub(crate) fn values<'h>(
    lines: impl IntoIterator<Item = &'h [u8]>,
    name: &str,
) -> impl Iterator<Item = &'h [u8]> {
    pairs(lines).filter_map(move |(found, value)| (found == name.as_bytes()).then_some(value))
}

/// Without the space and tab around it.
pub(crate) fn trim(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}
