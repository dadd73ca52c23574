//! Reading of bodies: of bytes within a limit, and of JSON so that nothing harmless costs a response.
//!
//! A member that cannot be read as described is left where unknown ones are, as it came.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::secret::{MagicLinkToken, RefreshToken, Secret, SessionToken};

/// Most members that an event names.
const MOST_NAMED: usize = 16;

/// Why a body was not read to its end, with what had arrived.
pub(crate) enum Stop {
    TooLarge(Vec<u8>),
    Failed(Vec<u8>, reqwest::Error),
}

pub(crate) async fn read(response: &mut reqwest::Response, limit: usize) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limit => {
                return Err(Stop::TooLarge(body));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Stop::Failed(body, error)),
        }
    }
}

/// Reads JSON behind a byte order mark or none. Of a member that stands twice the last one counts.
///
/// # Errors
///
/// When it is no JSON, even after [`mend`].
pub(crate) fn parse(body: &[u8]) -> serde_json::Result<Value> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body)
        .or_else(|error| serde_json::from_str(&mend(body)).map_err(|_| error))
}

/// JSON in which U+FFFD stands for bad bytes and for lone surrogates, and a text for a number that no
/// `f64` holds.
fn mend(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut mended = String::with_capacity(text.len());
    let mut rest = &*text;
    let mut in_string = false;
    while let Some(first) = rest.chars().next() {
        let (length, instead) = match first {
            '\\' if in_string => match (unit(rest), rest.get(6..).and_then(unit)) {
                (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, None),
                (Some(0xD800..=0xDFFF), _) => (6, Some("\u{fffd}".to_owned())),
                _ => (1 + rest.chars().nth(1).map_or(0, char::len_utf8), None),
            },
            '-' | '0'..='9' if !in_string => {
                let is_other = |c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
                let length = rest.find(is_other).unwrap_or(rest.len());
                let number = rest.get(..length).unwrap_or_default();
                let is_too_large = number.parse().is_ok_and(f64::is_infinite);
                (length, is_too_large.then(|| format!("\"{number}\"")))
            }
            _ => {
                in_string ^= first == '"';
                (first.len_utf8(), None)
            }
        };
        let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        mended.push_str(instead.as_deref().unwrap_or(part));
        rest = after;
    }
    mended
}

/// The UTF-16 code unit of an escape at the start of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The paths of members that could not be read as described.
#[derive(Debug, Default)]
pub(crate) struct Skipped(Vec<String>);

impl Skipped {
    pub(crate) fn paths(&self) -> &[String] {
        &self.0
    }

    fn add(&mut self, path: impl fmt::Display) {
        if self.0.len() < MOST_NAMED {
            self.0.push(path.to_string());
        }
    }

    /// Puts a name before the paths that reading adds.
    fn within<T>(&mut self, name: impl fmt::Display, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.0.len();
        let value = read(self);
        for path in self.0.iter_mut().skip(before) {
            *path = format!("{name}.{path}");
        }
        value
    }
}

/// What can be read from JSON without fail, if it [fits](Self::fits) at all.
pub(crate) trait FromJson: Sized {
    /// What must stand there.
    const EXPECTED: &'static str = "an object";
    /// Whether a response without it is a success all the same.
    const OPTIONAL_BODY: bool = false;

    /// Whether the value is of the kind that is expected.
    fn fits(value: &Value) -> bool;

    /// `None` only for a value that does not fit.
    fn from_json(value: Value, skipped: &mut Skipped) -> Option<Self>;
}

/// A described object.
pub(crate) trait FromMembers: Sized {
    const OPTIONAL_BODY: bool = false;
    /// A member that may hold the whole, where no described member stands beside it.
    const WRAPPER: Option<&'static str> = None;

    fn from_members(object: &mut Object<'_>) -> Self;
}

/// The members of an object that are not read yet.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Map<String, Value>,
    /// The wrapper to look into, until a described member is found.
    wrapper: Option<&'static str>,
    skipped: &'a mut Skipped,
}

impl Object<'_> {
    /// Takes a member out; one that does not fit stays.
    pub(crate) fn take<T: FromJson>(&mut self, name: &str) -> Option<T> {
        let (name, value) = self.members.remove_entry(name)?;
        self.wrapper = None;
        if T::fits(&value) {
            return self
                .skipped
                .within(&name, |skipped| T::from_json(value, skipped));
        }
        if !value.is_null() {
            self.skipped.add(&name);
        }
        self.members.insert(name, value);
        None
    }

    /// What nobody has taken; nothing, if it is to be read again from inside its wrapper.
    pub(crate) fn rest(&mut self) -> Members {
        let wrapped = self.wrapper.and_then(|name| self.members.get(name));
        match wrapped {
            Some(Value::Object(_)) => Members::default(),
            _ => std::mem::take(&mut self.members).into(),
        }
    }
}

impl<T: FromMembers> FromJson for T {
    const OPTIONAL_BODY: bool = T::OPTIONAL_BODY;

    fn fits(value: &Value) -> bool {
        value.is_object()
    }

    fn from_json(value: Value, skipped: &mut Skipped) -> Option<Self> {
        let Value::Object(members) = value else {
            return None;
        };
        let wrapper = T::WRAPPER;
        let mut object = Object {
            members,
            wrapper,
            skipped,
        };
        let read = T::from_members(&mut object);
        let wrapped = object.wrapper.take();
        match wrapped.and_then(|name| object.members.remove(name)) {
            Some(Value::Object(members)) => {
                object.members = members;
                Some(T::from_members(&mut object))
            }
            _ => Some(read),
        }
    }
}

/// The members of an object, or of one that it wraps.
pub(crate) fn members(value: Value, wrapper: &str) -> Option<Map<String, Value>> {
    let Value::Object(mut members) = value else {
        return None;
    };
    match members.remove_entry(wrapper) {
        Some((_, Value::Object(wrapped))) => return Some(wrapped),
        Some((name, other)) => drop(members.insert(name, other)),
        None => {}
    }
    Some(members)
}

/// Whether a value is a list of objects, at least one, or an object around one; no list at all may be
/// written as an empty list, an empty object or null.
pub(crate) fn is_list(value: &Value, wrapper: &str) -> bool {
    match value {
        Value::Array(items) => items.is_empty() || items.iter().any(Value::is_object),
        Value::Object(members) => match members.get(wrapper) {
            Some(Value::Null) => true,
            Some(list) => list.is_array() && is_list(list, wrapper),
            None => members.is_empty(),
        },
        _ => false,
    }
}

/// The items of a list, or of one that an object wraps, that can be read.
pub(crate) fn list<T: FromJson>(
    value: Value,
    wrapper: &str,
    skipped: &mut Skipped,
) -> Option<Vec<T>> {
    let items = match value {
        Value::Array(items) => items,
        Value::Object(mut members) => match members.remove(wrapper) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => return None,
    };
    let read = |(index, item)| {
        if T::fits(&item) {
            return skipped.within(index, |skipped| T::from_json(item, skipped));
        }
        skipped.add(index);
        None
    };
    Some(items.into_iter().enumerate().filter_map(read).collect())
}

/// What a derived implementation would be, but lenient.
///
/// # Errors
///
/// When the value as a whole is of another kind.
pub(crate) fn deserialize<'de, T: FromJson, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    T::fits(&value)
        .then(|| T::from_json(value, &mut Skipped::default()))
        .flatten()
        .ok_or_else(|| D::Error::custom(format_args!("expected {}", T::EXPECTED)))
}

/// Implements `Deserialize` for what can be read leniently.
macro_rules! deserialize_leniently {
    ($($name:ident),*) => {$(
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                crate::body::deserialize(deserializer)
            }
        }
    )*};
}
pub(crate) use deserialize_leniently;

macro_rules! texts {
    ($($name:ty),+) => {$(
        impl FromJson for $name {
            fn fits(value: &Value) -> bool {
                value.is_string()
            }

            fn from_json(value: Value, _: &mut Skipped) -> Option<Self> {
                match value {
                    Value::String(text) => Some(text.into()),
                    _ => None,
                }
            }
        }
    )+};
}

texts!(String, SessionToken, RefreshToken, MagicLinkToken, Secret);

impl FromJson for bool {
    fn fits(value: &Value) -> bool {
        value.is_boolean()
    }

    fn from_json(value: Value, _: &mut Skipped) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for i64 {
    fn fits(value: &Value) -> bool {
        integer(value).is_some()
    }

    fn from_json(value: Value, _: &mut Skipped) -> Option<Self> {
        integer(&value)
    }
}

/// A whole number, also when it is written as `1.0` or `1e9`.
fn integer(value: &Value) -> Option<i64> {
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= LARGEST_EXACT;
    value
        .as_i64()
        .or_else(|| value.as_f64().filter(whole).map(|number| number as i64))
}

impl<T: FromJson> FromJson for Vec<T> {
    fn fits(value: &Value) -> bool {
        value
            .as_array()
            .is_some_and(|items| items.iter().all(T::fits))
    }

    fn from_json(value: Value, skipped: &mut Skipped) -> Option<Self> {
        list(value, "", skipped)
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn fits(value: &Value) -> bool {
        value
            .as_object()
            .is_some_and(|members| members.values().all(T::fits))
    }

    fn from_json(value: Value, skipped: &mut Skipped) -> Option<Self> {
        let read = |(name, value)| Some((name, T::from_json(value, skipped)?));
        match value {
            Value::Object(members) => Some(members.into_iter().filter_map(read).collect()),
            _ => None,
        }
    }
}

impl FromJson for Members {
    fn fits(value: &Value) -> bool {
        value.is_object()
    }

    fn from_json(value: Value, _: &mut Skipped) -> Option<Self> {
        members(value, "").map(Self)
    }
}

/// Reads `null` as the type's default, as it does an absent list or map.
pub(crate) fn null_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The members of an object whose names the description does not know, with values of any kind or, as
/// `Members<BTreeMap<String, String>>`, with text.
///
/// Printing shows the names and not the values: nobody knows what stands there, and a secret may.
///
/// ```
/// use descope_magiclink::raw::types;
///
/// let tenant: types::MyTenant = serde_json::from_str(r#"{"id": "T1", "apiToken": "s3cret"}"#)?;
/// assert_eq!(tenant.extra["apiToken"], "s3cret");
/// assert_eq!(format!("{:?}", tenant.extra), r#"{"apiToken"}"#);
///
/// let mut options = types::LoginOptions::default();
/// options.custom_claims.insert("plan".to_owned(), "pro".into());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Members<M = Map<String, Value>>(M);

impl<M> Members<M> {
    /// The map itself, which prints its values.
    #[must_use]
    pub fn into_inner(self) -> M {
        self.0
    }
}

impl<M> Deref for Members<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M> DerefMut for Members<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.0
    }
}

impl<M> From<M> for Members<M> {
    fn from(members: M) -> Self {
        Self(members)
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for Members<BTreeMap<String, String>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether there is nothing to send.
pub(crate) fn is_empty<M: Default + PartialEq>(members: &Members<M>) -> bool {
    members.0 == M::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_no_text_can_hold_becomes_the_replacement_character() {
        let read = |body: &[u8]| parse(body).unwrap();
        assert_eq!(
            read(br#"["\ud800", "\ud83d\ude00\udc00"]"#),
            json!(["\u{fffd}", "\u{1f600}\u{fffd}"])
        );
        assert_eq!(
            read(br#"["\\ud800", "\"", "a\ud800\"b\\"]"#),
            json!(["\\ud800", "\"", "a\u{fffd}\"b\\"])
        );
        assert_eq!(
            read(b"{\"a\": \"\xff\xfeb\"}"),
            json!({ "a": "\u{fffd}\u{fffd}b" })
        );
        assert_eq!(
            read(b"[1, -1e400, \"\xff 1e400\"]"),
            json!([1, "-1e400", "\u{fffd} 1e400"])
        );
        assert_eq!(read(b"\xef\xbb\xbf{\"a\":1,\"a\":2}"), json!({ "a": 2 }));
    }

    #[test]
    fn no_text_makes_mending_fail() {
        for body in [
            &b"\\"[..],
            b"\"\\",
            b"\"\\u",
            b"\"\\ud8",
            b"\"\\ud800\\u",
            b"\xff",
            b"-",
            b"\"\\\xff",
        ] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let read = |text: &str| integer(&serde_json::from_str(text).unwrap());
        assert_eq!(read("1.0"), Some(1));
        assert_eq!(read("2e9"), Some(2_000_000_000));
        assert_eq!(read("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(read("9223372036854775808"), None);
        assert_eq!(read("1.5"), None);
        assert_eq!(read("\"1\""), None);
    }
}
