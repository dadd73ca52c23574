//! What a signed-in user may read of themselves.

use serde_json::{Value, json};

use super::call::{Call, Caller, Outcome};
use crate::error::ApiError;
use crate::state::State;

pub(super) fn me(state: &mut State, _: &Call, by: &Caller) -> Outcome {
    let (_, user) = state.session_and_user(by.session()?)?;
    Ok(state.project.user_json(user).into())
}

pub(super) fn history(state: &mut State, _: &Call, by: &Caller) -> Outcome {
    let (_, user) = state.session_and_user(by.session()?)?;
    let sign_ins: Vec<Value> = user
        .history
        .iter()
        .rev()
        .map(|sign_in| {
            json!({
                "userId": user.id,
                "loginTime": sign_in.at,
                "city": "",
                "country": "",
                "ip": sign_in.ip,
                "selectedTenant": sign_in.tenant.clone().unwrap_or_default(),
            })
        })
        .collect();
    Ok(Value::from(sign_ins).into())
}

pub(super) fn tenants(state: &mut State, call: &Call, by: &Caller) -> Outcome {
    let fields = call.fields();
    let id = by.session()?;
    let wanted = match (
        fields.flag("dct")?,
        fields.strings("ids")?.filter(|ids| !ids.is_empty()),
    ) {
        (true, Some(_)) => return Err(ApiError::invalid("Only one of dct and ids may be given")),
        (true, None) => Vec::from_iter(state.current_tenant(id)),
        (false, Some(ids)) => ids,
        (false, None) => return Err(ApiError::missing("Missing dct or ids")),
    };
    let (_, user) = state.session_and_user(id)?;
    let tenants: Vec<Value> = wanted
        .iter()
        .filter(|tenant| user.tenants.contains_key(*tenant))
        .map(|tenant| {
            let known = state.project.tenants.get(tenant);
            json!({
                "id": tenant,
                "name": state.project.tenant_name(tenant),
                "customAttributes": known.map(|known| &known.attributes),
            })
        })
        .collect();
    Ok(json!({ "tenants": tenants }).into())
}
