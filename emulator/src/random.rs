//! Random identifiers.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The system's random generator failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRandomness;

/// `length` letters and digits, each equally likely.
pub(crate) fn text(length: usize) -> Result<String, NoRandomness> {
    let mut out = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while out.len() < length {
        // Not the generator of the cryptographic library, whose first use takes 20 ms.
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        // 248 is the largest multiple of 62 that fits a byte: taking the rest modulo 62 would favour some letters.
        let letters = bytes
            .iter()
            .filter(|byte| **byte < 248)
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        out.extend(
            letters
                .take(length - out.len())
                .map(|byte| char::from(*byte)),
        );
    }
    Ok(out)
}

/// The text of a link's token: 32 bytes in hexadecimal digits, as the service writes it.
pub(crate) fn link_token() -> Result<String, NoRandomness> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A prefix and 27 letters and digits, the form of the service's identifiers.
pub(crate) fn id(prefix: &str) -> Result<String, NoRandomness> {
    Ok(format!("{prefix}{}", text(27)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_length_and_alphabet_of_the_service() {
        let id = id("U").unwrap();
        assert_eq!(id.len(), 28);
        assert!(id.starts_with('U'));
        assert!(id.chars().all(|letter| letter.is_ascii_alphanumeric()));
        assert_ne!(super::id("U").unwrap(), id);
    }

    #[test]
    fn every_letter_of_the_alphabet_is_drawn() {
        let long = text(4000).unwrap();
        assert_eq!(long.len(), 4000);
        assert!(ALPHABET.iter().all(|byte| long.contains(char::from(*byte))));
    }
}
