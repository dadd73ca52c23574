//! The public keys of the project.

use serde_json::{Value, json};

use super::call::{Call, Caller, Outcome};
use crate::error::ApiError;
use crate::state::State;

fn published(state: &State, call: &Call) -> Result<Value, ApiError> {
    if call.path_argument != state.settings.project_id {
        return Err(ApiError::new(
            404,
            "E011004",
            "Request contains invalid arguments",
            format!(
                "The project of this emulator is {}",
                state.settings.project_id
            ),
        ));
    }
    state.keys.published()
}

pub(super) fn keys(state: &mut State, call: &Call, _: &Caller) -> Outcome {
    Ok(published(state, call)?.into())
}

/// The older form: the bare array.
pub(super) fn keys_v1(state: &mut State, call: &Call, _: &Caller) -> Outcome {
    let keys = published(state, call)?.get("keys").cloned();
    Ok(keys.unwrap_or_else(|| json!([])).into())
}
