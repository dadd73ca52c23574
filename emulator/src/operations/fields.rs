//! Reading request bodies.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::ApiError;

/// The members of one JSON object; a member that is `null` counts as absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    /// Where the object is in the body, for messages.
    place: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(map: &'a Map<String, Value>) -> Self {
        Self {
            map: Some(map),
            place: "",
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, wanted: &str) -> ApiError {
        ApiError::wrong_shape(format!("The field {}{name} must be {wanted}", self.place))
    }

    /// Text; empty text counts as absent.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    pub(crate) fn owned(&self, name: &str) -> Result<Option<String>, ApiError> {
        Ok(self.text(name)?.map(str::to_owned))
    }

    /// Text that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)?
            .ok_or_else(|| ApiError::missing(format!("Missing {}{name}", self.place)))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.maybe_flag(name)?.unwrap_or(false))
    }

    pub(crate) fn maybe_flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(name, "a boolean")),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| self.wrong(name, "an integer")),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// The fields of an object inside, empty when there is none.
    pub(crate) fn inner(
        &self,
        name: &'static str,
        place: &'static str,
    ) -> Result<Fields<'a>, ApiError> {
        Ok(Fields {
            map: self.object(name)?,
            place,
        })
    }

    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let wrong = || self.wrong(name, "an array of strings");
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }

    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Fields<'a>>, ApiError> {
        let wrong = || self.wrong(name, "an array of objects");
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_object().map(Fields::new).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// Template options; values that are not text are taken as their JSON form.
    pub(crate) fn options(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        Ok(self
            .object(name)?
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| {
                (
                    key.clone(),
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned),
                )
            })
            .collect())
    }
}

impl Fields<'_> {
    /// The custom claims of login options or of an embedded link, within the documented limits.
    pub(crate) fn custom_claims(&self) -> Result<Map<String, Value>, ApiError> {
        let claims = self.object("customClaims")?.cloned().unwrap_or_default();
        if claims.len() > 100 {
            return Err(ApiError::invalid("At most 100 custom claims are allowed"));
        }
        for (name, value) in &claims {
            if name.is_empty() || name.chars().count() > 60 {
                return Err(ApiError::invalid(
                    "The name of a custom claim must have 1 to 60 characters",
                ));
            }
            let length = value.as_str().map_or_else(
                || value.to_string().chars().count(),
                |text| text.chars().count(),
            );
            if length > 500 {
                return Err(ApiError::invalid(format!(
                    "The custom claim {name} is longer than 500 characters"
                )));
            }
        }
        Ok(claims)
    }
}

/// Gives the members that have a second name on the wire the one name that the handlers read, and drops nulls.
pub(crate) fn normalise(body: &mut Map<String, Value>) {
    const ALIASES: [(&str, &str); 6] = [
        ("URI", "redirectUrl"),
        ("identifier", "loginId"),
        ("displayName", "name"),
        ("additionalLoginIds", "additionalIdentifiers"),
        ("ssoAppIDs", "ssoAppIds"),
        ("phoneNumber", "phone"),
    ];
    for (alias, name) in ALIASES {
        if let Some(value) = body.remove(alias)
            && !value.is_null()
            && body.get(name).is_none_or(Value::is_null)
        {
            body.insert(name.to_owned(), value);
        }
    }
    drop_nulls(body);
}

fn drop_nulls(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for (name, value) in map.iter_mut() {
        // What is free-form belongs to the caller, nulls included.
        if name == "customClaims" || name == "customAttributes" {
            continue;
        }
        match value {
            Value::Object(inner) => drop_nulls(inner),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(drop_nulls),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn aliases_and_nulls() {
        let mut body = json!({
            "URI": "http://a", "redirectUrl": null, "identifier": "x", "loginId": "y", "mfa": null,
            "loginOptions": { "stepup": null, "customClaims": { "a": null } },
            "userTenants": [{ "tenantId": "t", "roleNames": null }],
        });
        let map = body.as_object_mut().unwrap();
        normalise(map);
        assert_eq!(
            body,
            json!({
                "redirectUrl": "http://a", "loginId": "y", "loginOptions": { "customClaims": { "a": null } },
                "userTenants": [{ "tenantId": "t" }],
            })
        );
    }

    #[test]
    fn wrong_types_are_named() {
        let body = json!({ "loginId": 5, "loginOptions": { "mfa": "yes" }, "ids": ["a", 1], "timeout": 1.5 });
        let fields = Fields::new(body.as_object().unwrap());
        assert_eq!(
            fields.text("loginId").unwrap_err().message,
            "The field loginId must be a string"
        );
        let options = fields.inner("loginOptions", "loginOptions.").unwrap();
        assert_eq!(
            options.flag("mfa").unwrap_err().message,
            "The field loginOptions.mfa must be a boolean"
        );
        assert_eq!(fields.strings("ids").unwrap_err().code, "E011003");
        assert!(fields.integer("timeout").is_err());
        assert!(fields.object("ids").is_err());
        assert!(fields.objects("ids").is_err());
    }
}
