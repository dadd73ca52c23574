//! The compact form of a signed token, taken apart strictly (RFC 7515 section 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Document, Item};
use super::jwk::{Algorithm, is_key_id};
use crate::error::TokenProblem;

/// Real headers are below 200 characters; the header is all that is read of a token before its
/// signature is checked, so it gets a tighter cap than the token.
const MAX_HEADER: usize = 4096;
/// RSA with 8192 bits.
const MAX_SIGNATURE: usize = 1024;

/// A token in its three parts, not yet decoded.
#[derive(Clone, Copy)]
pub(crate) struct Compact<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    signing_input: &'t str,
}

impl<'t> Compact<'t> {
    pub(crate) fn split(token: &'t str, max_len: usize) -> Result<Self, TokenProblem> {
        if token.len() > max_len {
            return Err(TokenProblem::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenProblem::Malformed)?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(TokenProblem::Malformed)?;
        if payload.contains('.') {
            return Err(if token.matches('.').count() == 4 {
                TokenProblem::Encrypted
            } else {
                TokenProblem::Malformed
            });
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }

    /// Reads the header. Members that would bring a key along (`jwk`, `jku`, `x5u`, `x5c`) are
    /// ignored, as RFC 7515 section 4 has it for what is not understood: keys come from the project's
    /// key set only. A `typ` that is there must be `JWT` or one of `types`: a token made for another
    /// purpose by the same key is not taken (RFC 8725 section 3.11).
    pub(crate) fn header(&self, types: &[String]) -> Result<Header, TokenProblem> {
        if self.header.len() > MAX_HEADER {
            return Err(TokenProblem::Malformed);
        }
        let document = decode_document(self.header)?;
        let root = document
            .root()
            .as_object()
            .filter(|root| !root.has_repeats())
            .ok_or(TokenProblem::Malformed)?;
        let (mut algorithm, mut key_id) = (None, None);
        for (name, value) in root.iter() {
            match name {
                "alg" => algorithm = Some(value),
                "kid" => key_id = Some(value),
                // Whatever it says: a recipient that implements no extension has to refuse it.
                "crit" | "b64" => return Err(TokenProblem::UnsupportedCritical),
                "typ" if !is_accepted_type(value, types) => {
                    return Err(TokenProblem::UnsupportedType);
                }
                "cty" if says_jwt(value) => return Err(TokenProblem::Nested),
                _ => {}
            }
        }
        let algorithm = algorithm
            .and_then(Item::as_str)
            .and_then(Algorithm::from_name)
            .ok_or(TokenProblem::UnsupportedAlgorithm)?;
        let key_id = key_id
            .and_then(Item::as_str)
            .filter(|id| is_key_id(id))
            .ok_or(TokenProblem::MissingKeyId)?
            .to_owned();
        Ok(Header {
            algorithm,
            key_id,
            text: self.header.into(),
        })
    }

    /// The bytes that were signed.
    pub(crate) fn signing_input(&self) -> &'t [u8] {
        self.signing_input.as_bytes()
    }

    /// Decodes the signature and hands it to `check`.
    pub(crate) fn with_signature<T>(
        &self,
        check: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, TokenProblem> {
        // The longest allowed text decodes to one byte less than fits, so the buffer is enough.
        let mut buffer = [0_u8; MAX_SIGNATURE + 2];
        if self.signature.len() > MAX_SIGNATURE.div_ceil(3) * 4 {
            return Err(TokenProblem::InvalidSignature);
        }
        let len = URL_SAFE_NO_PAD
            .decode_slice(self.signature, &mut buffer)
            .map_err(|_| TokenProblem::Malformed)?;
        Ok(check(buffer.get(..len).unwrap_or_default()))
    }

    /// Reads the claims. To be called once the signature has been found good.
    pub(crate) fn claims(&self) -> Result<Document, TokenProblem> {
        let document = decode_document(self.payload)?;
        let good = document
            .root()
            .as_object()
            .is_some_and(|root| !root.has_repeats());
        if good {
            Ok(document)
        } else {
            Err(TokenProblem::Malformed)
        }
    }
}

/// What a header says that matters.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: String,
    /// As it stands in the token.
    text: Box<str>,
}

impl Header {
    /// Whether a token has this very header.
    pub(crate) fn is_of(&self, compact: &Compact<'_>) -> bool {
        *self.text == *compact.header
    }
}

/// RFC 7519 section 5.2: the value is "JWT", in any case; some write it as a full media type.
fn says_jwt(value: Item<'_>) -> bool {
    value.as_str().is_some_and(|text| {
        let kind = text.rsplit_once('/').map_or(text, |(_, kind)| kind);
        kind.eq_ignore_ascii_case("jwt")
    })
}

/// RFC 7515 section 4.1.9: a media type in any case, mostly without its `application/`.
fn is_accepted_type(value: Item<'_>, types: &[String]) -> bool {
    fn short(text: &str) -> &str {
        match text.split_at_checked("application/".len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case("application/") => rest,
            _ => text,
        }
    }
    value.as_str().is_some_and(|text| {
        let mut accepted = std::iter::once("JWT").chain(types.iter().map(String::as_str));
        accepted.any(|known| short(known).eq_ignore_ascii_case(short(text)))
    })
}

fn decode_document(part: &str) -> Result<Document, TokenProblem> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenProblem::Malformed)?;
    Document::parse(bytes).map_err(|_| TokenProblem::Malformed)
}
