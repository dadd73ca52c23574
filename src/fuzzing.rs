//! What fuzz targets reach without a socket: only in builds with `--cfg fuzzing`, which `cargo fuzz` sets.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::SystemClock;
use crate::error::{Call, CredentialKind, Error};
use crate::raw::{ResponseValue, types};
use crate::transport::body::FromJson;
use crate::transport::response::{LARGEST_BODY, Received, unexpected};

/// The kinds of responses that [`response`] decodes.
pub const KINDS: usize = 14;

/// A response of the service, decoded as that of one operation or another.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decoded {
    /// How it prints.
    pub debug: String,
    /// How it is written back.
    pub json: serde_json::Value,
}

/// Decodes a response as one of the [`KINDS`], and gives how it prints and is written back.
///
/// # Errors
///
/// What a caller would get.
pub async fn response(kind: usize, response: http::Response<Vec<u8>>) -> Result<Decoded, Error> {
    async fn decode<T>(response: http::Response<Vec<u8>>) -> Result<Decoded, Error>
    where
        T: FromJson + Default + Debug + Serialize,
    {
        let received = Received::read(response.into(), LARGEST_BODY).await;
        let value = ResponseValue::<T>::decoded(received, "fuzzing", Duration::ZERO)?;
        Ok(Decoded {
            debug: format!("{value:?}"),
            json: serde_json::to_value(&*value).unwrap_or_default(),
        })
    }
    match kind % KINDS {
        0 => decode::<types::JwtResponse>(response).await,
        1 => decode::<types::OptionalJwtResponse>(response).await,
        2 => decode::<types::EmailMagicLinkResponse>(response).await,
        3 => decode::<types::PhoneMagicLinkResponse>(response).await,
        4 => decode::<types::ResponseUser>(response).await,
        5 => decode::<types::UserResponse>(response).await,
        6 => decode::<types::MyTenantsResponse>(response).await,
        7 => decode::<types::MeAuthHistoryResponse>(response).await,
        8 => decode::<types::ValidateSessionResponse>(response).await,
        9 => decode::<types::ExchangeAccessKeyResponse>(response).await,
        10 => decode::<types::JwkSet>(response).await,
        11 => decode::<types::LicenseResponse>(response).await,
        12 => decode::<types::EmbeddedLinkSignInResponse>(response).await,
        _ => decode::<types::TestUserGenerateMagicLinkResponse>(response).await,
    }
}

/// The error that a response with a status other than success makes.
pub async fn error(response: http::Response<Vec<u8>>) -> Error {
    let received = Received::read(response.into(), LARGEST_BODY).await;
    unexpected(received, &call())
}

fn call() -> Call {
    Call {
        operation_id: "fuzzing",
        clock: Arc::new(SystemClock),
        credential: CredentialKind::Project,
        base_url: "".into(),
        project_id: "".into(),
    }
}
