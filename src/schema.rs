//! JSON schemas of the types that are written by hand, for applications that put them into a
//! description of their own.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::delivery::{DeliveryMethod, PhoneDelivery};
use crate::magic_link::sign_up::SignUpUser;
use crate::raw::{Members, types};
use crate::secret::{AccessKey, MagicLinkToken, ManagementKey, RefreshToken, Secret, SessionToken};
use crate::user::User;

macro_rules! schemas {
    ($($name:ident, inline $inline:literal: $schema:expr;)+) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                $inline
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!("descope_magiclink::", stringify!($name)).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

/// Tools that show a schema keep the values of such a string hidden.
fn secret() -> Schema {
    json_schema!({ "type": "string", "format": "password" })
}

fn one_of(all: impl Iterator<Item = &'static str>) -> Schema {
    json_schema!({
        "type": "string",
        "description": "How a link is sent.",
        "enum": all.collect::<Vec<_>>(),
    })
}

schemas! {
    AccessKey, inline true: secret();
    MagicLinkToken, inline true: secret();
    ManagementKey, inline true: secret();
    RefreshToken, inline true: secret();
    Secret, inline true: secret();
    SessionToken, inline true: secret();
    Members, inline true: json_schema!({ "type": "object", "additionalProperties": true });
    DeliveryMethod, inline false: one_of(DeliveryMethod::ALL.iter().map(|method| method.as_str()));
    PhoneDelivery, inline false: one_of(PhoneDelivery::ALL.iter().map(|method| method.as_str()));
}

impl JsonSchema for Members<BTreeMap<String, String>> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, String>::json_schema(generator)
    }
}

/// The schema is that of the raw type inside, under its name.
macro_rules! as_raw {
    ($($name:ident = $raw:ident;)+) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                types::$raw::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                types::$raw::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                types::$raw::json_schema(generator)
            }
        }
    )+};
}

as_raw! {
    SignUpUser = SignUpUser;
    User = ResponseUser;
}
