//! Access keys, exchanged for session tokens.

use serde_json::{Value, json};

use super::call::{Call, Caller, Outcome};
use crate::error::ApiError;
use crate::state::State;

pub(super) fn exchange(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    let options = call.fields().inner("loginOptions", "loginOptions.")?;
    let custom = options.custom_claims()?;
    let key_id = by
        .access_key
        .as_deref()
        .ok_or_else(ApiError::missing_access_key)?;
    let claims = state.access_key_claims(key_id, &custom, options.text("selectedTenant")?)?;
    let expiration = claims.get("exp").and_then(Value::as_i64).unwrap_or(0);
    Ok(json!({
        "keyId": key_id,
        "sessionJwt": state.keys.sign(&claims)?,
        "expiration": expiration,
    })
    .into())
}
