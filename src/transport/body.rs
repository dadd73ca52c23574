//! Reading of bodies: of bytes within a limit, and of JSON so that nothing harmless costs a response.
//!
//! A member that cannot be read as described is left where unknown ones are, as it came.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::value::{
    BorrowedStrDeserializer, MapAccessDeserializer, SeqAccessDeserializer, SeqDeserializer,
};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, SeqAccess,
    Visitor,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use crate::jwt::json::NUMBER_MEMBER;
use crate::secret::{MagicLinkToken, RefreshToken, Secret, SessionToken};

/// Most members that an event names.
const MOST_NAMED: usize = 16;

/// Most bytes that are set aside for a body before it is there.
const MOST_RESERVED: usize = 64 * 1024;

/// Why a body was not read to its end, with what had arrived.
pub(crate) enum Stop {
    TooLarge(Vec<u8>),
    Failed(Vec<u8>, reqwest::Error),
}

pub(super) async fn read(response: &mut reqwest::Response, limit: usize) -> Result<Vec<u8>, Stop> {
    let told = response.content_length();
    let told = told.and_then(|bytes| usize::try_from(bytes).ok());
    // Room for what was told, where it is believable.
    let mut body = Vec::with_capacity(told.unwrap_or_default().min(limit).min(MOST_RESERVED));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                body.extend_from_slice(&chunk);
                if body.len() > limit {
                    return Err(Stop::TooLarge(body));
                }
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(Stop::Failed(body, error)),
        }
    }
}

/// What stands behind a byte order mark, if there is one.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Reads JSON behind a byte order mark or none. Of a member that stands twice the last one counts.
///
/// # Errors
///
/// When it is no JSON, even after [`mend`].
pub(crate) fn parse<T: FromJson>(
    body: &[u8],
    skipped: &mut Skipped,
) -> serde_json::Result<Read<T>> {
    let body = without_mark(body);
    let mut parse = |body: &[u8]| {
        skipped.0.clear();
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = Reader::new(skipped).deserialize(&mut json)?;
        json.end().map(|()| read)
    };
    parse(body).or_else(|error| parse(mend(body).as_bytes()).map_err(|_| error))
}

/// Any type of serde's, from JSON with the same tolerance.
///
/// # Errors
///
/// When it is no JSON, even after [`mend`], or no `T`.
pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let body = without_mark(body);
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

/// An operation without a result: its body is not looked at.
impl FromJson for () {
    const HAS_BODY: bool = false;
}

/// What was read, or the value as it came when it is of another kind.
pub(crate) type Read<T> = Result<T, Value>;

/// What can be read from JSON of one kind. Whatever is not overridden takes the value as it came.
pub(crate) trait FromJson: Serialize + Sized {
    /// What must stand there.
    const EXPECTED: &'static str = "an object";
    /// Whether a response without it is a success all the same.
    const OPTIONAL_BODY: bool = false;
    /// Whether there is anything to read.
    const HAS_BODY: bool = true;

    fn from_null() -> Read<Self> {
        Err(Value::Null)
    }

    fn from_bool(value: bool) -> Read<Self> {
        Err(value.into())
    }

    fn from_number(value: f64) -> Read<Self> {
        Err(value.into())
    }

    fn from_integer(value: i64) -> Read<Self> {
        Err(value.into())
    }

    fn from_text(text: &str) -> Read<Self> {
        Err(text.into())
    }

    fn from_list<'de, A: SeqAccess<'de>>(
        items: A,
        _: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(Err)
    }

    fn from_object<'de, A: MapAccess<'de>>(
        members: A,
        _: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(members)).map(Err)
    }
}

/// Reads whatever comes next.
struct Reader<'a, T> {
    skipped: &'a mut Skipped,
    of: PhantomData<T>,
}

impl<'a, T> Reader<'a, T> {
    fn new(skipped: &'a mut Skipped) -> Self {
        let of = PhantomData;
        Self { skipped, of }
    }
}

impl<'de, T: FromJson> DeserializeSeed<'de> for Reader<'_, T> {
    type Value = Read<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromJson> Visitor<'de> for Reader<'_, T> {
    type Value = Read<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Read<T>, E> {
        Ok(T::from_null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Read<T>, E> {
        Ok(T::from_bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Read<T>, E> {
        Ok(T::from_integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Read<T>, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => T::from_integer(value),
            Err(_) => Err(value.into()),
        })
    }

    /// A whole number may be written as `1.0` or `1e9`.
    fn visit_f64<E>(self, value: f64) -> Result<Read<T>, E> {
        const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
        let is_whole = value.fract() == 0.0 && value.abs() <= LARGEST_EXACT;
        let whole = is_whole.then(|| T::from_integer(value as i64).ok());
        Ok(whole.flatten().map_or_else(|| T::from_number(value), Ok))
    }

    fn visit_str<E>(self, text: &str) -> Result<Read<T>, E> {
        Ok(T::from_text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Read<T>, A::Error> {
        T::from_list(items, self.skipped)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Read<T>, A::Error> {
        let Some(Name(first)) = members.next_key()? else {
            return T::from_object(members, self.skipped);
        };
        if first == NUMBER_MEMBER {
            let text: String = members.next_value()?;
            return match text.parse::<Number>() {
                Ok(number) => self.visit_number(number),
                Err(_) => Ok(Err(
                    Map::from_iter([(first.into_owned(), text.into())]).into()
                )),
            };
        }
        let first = Some(first);
        T::from_object(Peeked { first, members }, self.skipped)
    }
}

impl<T: FromJson> Reader<'_, T> {
    fn visit_number<E: serde::de::Error>(self, number: Number) -> Result<Read<T>, E> {
        match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => self.visit_i64(value),
            (None, Some(value)) => self
                .visit_f64(value)
                .map(|read| read.map_err(|_| number.into())),
            (None, None) => Ok(Err(number.into())),
        }
    }
}

/// An object whose first name was read already.
struct Peeked<'de, A> {
    first: Option<Cow<'de, str>>,
    members: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Peeked<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(Cow::Borrowed(name)) => seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some),
            Some(Cow::Owned(name)) => seed.deserialize(name.into_deserializer()).map(Some),
            None => self.members.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.members.next_value_seed(seed)
    }
}

/// A described object.
pub(crate) trait FromMembers: Serialize + Default {
    const OPTIONAL_BODY: bool = false;
    /// A member that may hold the whole, where no described member stands beside it.
    const WRAPPER: Option<&'static str> = None;

    /// Reads the member that comes next, or keeps it.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: Cow<'de, str>,
        object: &mut Object<'_, A>,
    ) -> Result<(), A::Error>;

    /// Where the others are kept.
    fn extra(&mut self) -> &mut Members;
}

/// An object whose members are being read.
pub(crate) struct Object<'a, A> {
    members: A,
    is_described: bool,
    extra: Map<String, Value>,
    skipped: &'a mut Skipped,
}

impl<'de, A: MapAccess<'de>> Object<'_, A> {
    /// The value of a described member; one of another kind is kept.
    pub(crate) fn take<T: FromJson>(&mut self, name: &str) -> Result<Option<T>, A::Error> {
        self.is_described = true;
        let members = &mut self.members;
        let read = self.skipped.within(name, |skipped| {
            members.next_value_seed(Reader::new(skipped))
        })?;
        match read {
            Ok(value) => {
                // It may have stood there before, with a value that was kept.
                if !self.extra.is_empty() {
                    self.extra.remove(name);
                }
                Ok(Some(value))
            }
            Err(value) => {
                if !value.is_null() {
                    self.skipped.add(name);
                }
                self.extra.insert(name.to_owned(), value);
                Ok(None)
            }
        }
    }

    /// Keeps a member that is not described.
    pub(crate) fn keep(&mut self, name: Cow<'_, str>) -> Result<(), A::Error> {
        let value = self.members.next_value()?;
        self.extra.insert(name.into_owned(), value);
        Ok(())
    }
}

impl<T: FromMembers> FromJson for T {
    const OPTIONAL_BODY: bool = T::OPTIONAL_BODY;

    fn from_object<'de, A: MapAccess<'de>>(
        members: A,
        skipped: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        let mut read = Self::default();
        let mut object = Object {
            members,
            is_described: false,
            extra: Map::new(),
            skipped,
        };
        while let Some(Name(name)) = object.members.next_key()? {
            read.read(name, &mut object)?;
        }
        let wrapper = T::WRAPPER.filter(|_| !object.is_described);
        let wrapped = wrapper.and_then(|name| object.extra.get_mut(name));
        if let Some(wrapped @ Value::Object(_)) = wrapped {
            let whole = Reader::new(object.skipped).deserialize(wrapped.take());
            return whole.map_err(A::Error::custom);
        }
        *read.extra() = object.extra.into();
        Ok(Ok(read))
    }
}

/// The name of a member, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object, or of the one that it wraps.
pub(crate) fn members<'de, A: MapAccess<'de>>(
    members: A,
    wrapper: &str,
) -> Result<Members, A::Error> {
    let mut members = Map::deserialize(MapAccessDeserializer::new(members))?;
    match members.get_mut(wrapper) {
        Some(Value::Object(wrapped)) => Ok(std::mem::take(wrapped).into()),
        _ => Ok(members.into()),
    }
}

/// The items of a list that can be read; a list in which none can is of another kind.
pub(crate) fn list<'de, T: FromJson, A: SeqAccess<'de>>(
    mut list: A,
    skipped: &mut Skipped,
) -> Result<Read<Vec<T>>, A::Error> {
    let (mut items, mut others) = (Vec::new(), Vec::new());
    for index in 0_usize.. {
        let next = skipped.within(index, |skipped| {
            list.next_element_seed(Reader::new(skipped))
        });
        match next? {
            Some(Ok(item)) => items.push(item),
            Some(Err(other)) => {
                skipped.add(index);
                others.push(other);
            }
            None => break,
        }
    }
    let is_other = items.is_empty() && !others.is_empty();
    Ok(if is_other {
        Err(others.into())
    } else {
        Ok(items)
    })
}

/// The items of a list that an object wraps; no list at all may be an empty object or null.
pub(crate) fn wrapped_list<'de, T: FromJson, A: MapAccess<'de>>(
    members: A,
    wrapper: &str,
    skipped: &mut Skipped,
) -> Result<Read<Vec<T>>, A::Error> {
    let mut members: Map<String, Value> = Map::deserialize(MapAccessDeserializer::new(members))?;
    if members.is_empty() || members.get(wrapper).is_some_and(Value::is_null) {
        return Ok(Ok(Vec::new()));
    }
    let Some(Value::Array(items)) = members.get_mut(wrapper) else {
        return Ok(Err(members.into()));
    };
    let items = SeqDeserializer::new(std::mem::take(items).into_iter());
    list(items, skipped).map_err(|error: serde_json::Error| A::Error::custom(error))
}

/// What a derived implementation would be, but lenient.
///
/// # Errors
///
/// When the value as a whole is of another kind.
pub(crate) fn deserialize<'de, T: FromJson, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Reader::new(&mut Skipped::default())
        .deserialize(deserializer)?
        .map_err(|_| D::Error::custom(format_args!("expected {}", T::EXPECTED)))
}

/// Implements `Deserialize` for what can be read leniently.
macro_rules! deserialize_leniently {
    ($($name:ident),*) => {$(
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                crate::transport::body::deserialize(deserializer)
            }
        }
    )*};
}
pub(crate) use deserialize_leniently;

macro_rules! texts {
    ($($name:ty),+) => {$(
        impl FromJson for $name {
            fn from_text(text: &str) -> Read<Self> {
                Ok(text.into())
            }
        }
    )+};
}

texts!(String, SessionToken, RefreshToken, MagicLinkToken, Secret);

impl FromJson for bool {
    fn from_bool(value: bool) -> Read<Self> {
        Ok(value)
    }
}

impl FromJson for i64 {
    fn from_integer(value: i64) -> Read<Self> {
        Ok(value)
    }
}

impl FromJson for f64 {
    fn from_integer(value: i64) -> Read<Self> {
        Ok(value as Self)
    }

    fn from_number(value: f64) -> Read<Self> {
        Ok(value)
    }
}

/// An item of a list or a map that may be `null`.
impl<T: FromJson> FromJson for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_null() -> Read<Self> {
        Ok(None)
    }

    fn from_bool(value: bool) -> Read<Self> {
        T::from_bool(value).map(Some)
    }

    fn from_number(value: f64) -> Read<Self> {
        T::from_number(value).map(Some)
    }

    fn from_integer(value: i64) -> Read<Self> {
        T::from_integer(value).map(Some)
    }

    fn from_text(text: &str) -> Read<Self> {
        T::from_text(text).map(Some)
    }

    fn from_list<'de, A: SeqAccess<'de>>(
        items: A,
        skipped: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        Ok(T::from_list(items, skipped)?.map(Some))
    }

    fn from_object<'de, A: MapAccess<'de>>(
        members: A,
        skipped: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        Ok(T::from_object(members, skipped)?.map(Some))
    }
}

/// What was read is written again, which gives what came.
fn as_it_came(read: &impl Serialize) -> Value {
    serde_json::to_value(read).unwrap_or_default()
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_list<'de, A: SeqAccess<'de>>(
        mut list: A,
        skipped: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        let mut items = Self::new();
        for index in 0_usize.. {
            let next = skipped.within(index, |skipped| {
                list.next_element_seed(Reader::new(skipped))
            });
            match next? {
                Some(Ok(item)) => items.push(item),
                Some(Err(other)) => {
                    let mut all: Vec<Value> = items.iter().map(as_it_came).collect();
                    all.push(other);
                    while let Some(item) = list.next_element()? {
                        all.push(item);
                    }
                    return Ok(Err(all.into()));
                }
                None => break,
            }
        }
        Ok(Ok(items))
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_object<'de, A: MapAccess<'de>>(
        mut members: A,
        skipped: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        let (mut read, mut others) = (Self::new(), Map::new());
        while let Some(name) = members.next_key::<String>()? {
            match members.next_value_seed(Reader::new(skipped))? {
                Ok(value) => {
                    others.remove(&name);
                    read.insert(name, value);
                }
                Err(other) => {
                    read.remove(&name);
                    others.insert(name, other);
                }
            }
        }
        if others.is_empty() {
            return Ok(Ok(read));
        }
        others.extend(
            read.iter()
                .map(|(name, value)| (name.clone(), as_it_came(value))),
        );
        Ok(Err(others.into()))
    }
}

impl FromJson for Members {
    fn from_object<'de, A: MapAccess<'de>>(of: A, _: &mut Skipped) -> Result<Read<Self>, A::Error> {
        members(of, "").map(Ok)
    }
}

impl FromJson for Members<BTreeMap<String, String>> {
    fn from_object<'de, A: MapAccess<'de>>(
        members: A,
        skipped: &mut Skipped,
    ) -> Result<Read<Self>, A::Error> {
        Ok(BTreeMap::from_object(members, skipped)?.map(Self))
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
/// let options = types::LoginOptions::default().custom_claims([("plan", "pro")]);
/// assert_eq!(options.custom_claims["plan"], "pro");
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

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Members {
    fn from(members: [(K, V); N]) -> Self {
        let members = members.into_iter();
        Self(members.map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]>
    for Members<BTreeMap<String, String>>
{
    fn from(members: [(K, V); N]) -> Self {
        let members = members.into_iter();
        Self(members.map(|(k, v)| (k.into(), v.into())).collect())
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

    fn read<T: FromJson>(body: &[u8]) -> Read<T> {
        parse(body, &mut Skipped::default()).unwrap()
    }

    #[test]
    fn what_no_text_can_hold_becomes_the_replacement_character() {
        let read = |body: &[u8]| Value::Object(read::<Members>(body).unwrap().into_inner());
        assert_eq!(
            read(br#"{"a": ["\ud800", "\ud83d\ude00\udc00"]}"#),
            json!({ "a": ["\u{fffd}", "\u{1f600}\u{fffd}"] })
        );
        assert_eq!(
            read(br#"{"\\ud800": "\"", "a\ud800\"b\\": 1}"#),
            json!({ "\\ud800": "\"", "a\u{fffd}\"b\\": 1 })
        );
        assert_eq!(
            read(b"{\"a\": \"\xff\xfeb\"}"),
            json!({ "a": "\u{fffd}\u{fffd}b" })
        );
        assert_eq!(
            read(b"{\"a\": [1, -1e400, \"\xff 1e400\"]}"),
            json!({ "a": [1, "-1e400", "\u{fffd} 1e400"] })
        );
        assert_eq!(read(b"\xef\xbb\xbf{\"a\":1,\"a\":2}"), json!({ "a": 2 }));
    }

    #[test]
    fn every_type_that_can_be_described_is_read() {
        type Texts = Members<BTreeMap<String, String>>;
        assert_eq!(read::<f64>(b"1.5").unwrap().to_string(), "1.5");
        assert_eq!(read::<f64>(b"2").unwrap().to_string(), "2");
        assert_eq!(read::<f64>(b"\"2\"").unwrap_err(), json!("2"));
        let items = read::<Vec<Option<String>>>(br#"["a", null]"#).unwrap();
        assert_eq!(items, [Some("a".to_owned()), None]);
        assert_eq!(
            read::<Vec<String>>(br#"["a", null]"#).unwrap_err(),
            json!(["a", null])
        );
        assert_eq!(read::<Texts>(br#"{"a": "b"}"#).unwrap()["a"], "b");
        assert_eq!(
            read::<Texts>(br#"{"a": 1}"#).unwrap_err(),
            json!({ "a": 1 })
        );
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
            b"{} {}",
        ] {
            assert!(
                parse::<Members>(body, &mut Skipped::default()).is_err(),
                "{body:?}"
            );
        }
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let read = |text: &str| read::<i64>(text.as_bytes());
        assert_eq!(read("1.0"), Ok(1));
        assert_eq!(read("2e9"), Ok(2_000_000_000));
        assert_eq!(read("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(
            read("9223372036854775808"),
            Err(json!(9_223_372_036_854_775_808_u64))
        );
        assert_eq!(read("1.5"), Err(json!(1.5)));
        assert_eq!(read("\"1\""), Err(json!("1")));
    }

    #[test]
    fn lists_and_maps_with_other_values_come_back_as_they_came() {
        for text in ["[\"a\",null,\"b\",{}]", "{}", "7", "null", "\"a\""] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read::<Vec<String>>(text.as_bytes()), Err(value), "{text}");
        }
        for text in [
            "{\"a\":true,\"b\":null,\"c\":false}",
            "{\"a\":true,\"a\":1}",
            "[]",
            "false",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(
                read::<BTreeMap<String, bool>>(text.as_bytes()),
                Err(value),
                "{text}"
            );
        }
        let twice = read::<BTreeMap<String, bool>>(b"{\"a\":1,\"a\":true}");
        assert_eq!(twice, Ok(BTreeMap::from([("a".to_owned(), true)])));
    }
}
