//! A strict reader of small JSON documents: token headers, claims and key sets.
//!
//! `serde_json` does the grammar. On top of it this reader notices repeated member names, caps the
//! nesting and keeps integers apart from other numbers. A document is two flat buffers, the text as it
//! came and the places in it, so that reading a token costs few allocations, however many claims it has.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deeper nesting than this is refused; real claims stay below six levels.
const MAX_DEPTH: u8 = 32;

/// How `serde_json` hands over a number that is no 64-bit integer when some crate of the build has
/// turned on its `arbitrary_precision` feature: as a map with this one member.
pub(crate) const NUMBER_MEMBER: &str = "$serde_json::private::Number";

/// Whether this build of `serde_json` hands such numbers over as maps; asked once, by reading one.
static NUMBERS_ARE_MAPS: LazyLock<bool> = LazyLock::new(|| {
    struct Probe;
    impl<'de> Visitor<'de> for Probe {
        type Value = bool;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }
        fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
            Ok(false)
        }
        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<bool, A::Error> {
            Ok(true)
        }
    }
    let mut number = serde_json::Deserializer::from_str("1.5");
    serde::Deserializer::deserialize_any(&mut number, Probe).unwrap_or(true)
});

/// Why a text is no acceptable document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    /// Above `i64::MAX`.
    Large(u64),
    Float(f64),
    Text(Span),
    /// The elements follow; `end` is the index past the last of their nodes.
    Array {
        end: u32,
    },
    /// Names and values follow in turn. `repeated`: a name occurs twice, here or further in.
    Object {
        end: u32,
        repeated: bool,
    },
}

/// A JSON text, read completely.
#[derive(Debug)]
pub(crate) struct Document {
    /// The JSON as it came, and behind it the texts that were written with escapes.
    text: Box<str>,
    nodes: Box<[Node]>,
}

impl Document {
    /// Reads a whole text: one value, nothing after it.
    pub(crate) fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, NotJson> {
        let mut text = String::from_utf8(bytes.into()).map_err(|_| NotJson)?;
        let mut builder = Builder {
            source: &text,
            unescaped: String::new(),
            nodes: Vec::with_capacity(text.len() / 10 + 4),
            names: Vec::with_capacity(32),
            repeats: 0,
        };
        let mut reader = serde_json::Deserializer::from_str(&text);
        let seed = Element {
            builder: &mut builder,
            depth: MAX_DEPTH,
        };
        seed.deserialize(&mut reader).map_err(|_| NotJson)?;
        reader.end().map_err(|_| NotJson)?;
        let Builder {
            unescaped, nodes, ..
        } = builder;
        text.push_str(&unescaped);
        Ok(Self {
            text: text.into(),
            nodes: nodes.into(),
        })
    }

    pub(crate) fn root(&self) -> Item<'_> {
        Item {
            document: self,
            at: 0,
        }
    }

    /// The item at a place that [`Item::place`] gave.
    pub(crate) fn at(&self, place: Place) -> Item<'_> {
        Item {
            document: self,
            at: place.0,
        }
    }

    fn node(&self, at: usize) -> Node {
        self.nodes.get(at).copied().unwrap_or(Node::Null)
    }

    fn span(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    /// The index after a value and all that is in it.
    fn after(&self, at: usize) -> usize {
        match self.node(at) {
            Node::Array { end } | Node::Object { end, .. } => end as usize,
            _ => at + 1,
        }
    }
}

/// Where an item is in its document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

/// One value of a document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'d> {
    document: &'d Document,
    at: usize,
}

impl<'d> Item<'d> {
    pub(crate) fn place(self) -> Place {
        Place(self.at)
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self.document.node(self.at), Node::Null)
    }

    pub(crate) fn as_str(self) -> Option<&'d str> {
        match self.document.node(self.at) {
            Node::Text(span) => Some(self.document.span(span)),
            _ => None,
        }
    }

    pub(crate) fn is_true(self) -> bool {
        matches!(self.document.node(self.at), Node::Bool(true))
    }

    /// An integer; never a float that happens to be whole.
    pub(crate) fn as_i64(self) -> Option<i64> {
        match self.document.node(self.at) {
            Node::Integer(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_array(self) -> Option<impl Iterator<Item = Item<'d>>> {
        let Node::Array { end } = self.document.node(self.at) else {
            return None;
        };
        Some(Elements {
            document: self.document,
            at: self.at + 1,
            end: end as usize,
        })
    }

    pub(crate) fn as_object(self) -> Option<Object<'d>> {
        match self.document.node(self.at) {
            Node::Object { end, repeated } => Some(Object {
                document: self.document,
                at: self.at + 1,
                end: end as usize,
                repeated,
            }),
            _ => None,
        }
    }

    /// The value as `serde_json` knows it.
    pub(crate) fn to_json(self) -> Value {
        match self.document.node(self.at) {
            Node::Null => Value::Null,
            Node::Bool(value) => Value::Bool(value),
            Node::Integer(value) => Value::Number(value.into()),
            Node::Large(value) => Value::Number(value.into()),
            Node::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            Node::Text(span) => Value::String(self.document.span(span).to_owned()),
            Node::Array { .. } => Value::Array(
                self.as_array()
                    .into_iter()
                    .flatten()
                    .map(Item::to_json)
                    .collect(),
            ),
            Node::Object { .. } => {
                Value::Object(self.as_object().map(Object::to_json).unwrap_or_default())
            }
        }
    }
}

struct Elements<'d> {
    document: &'d Document,
    at: usize,
    end: usize,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Item<'d>;

    fn next(&mut self) -> Option<Item<'d>> {
        if self.at >= self.end {
            return None;
        }
        let item = Item {
            document: self.document,
            at: self.at,
        };
        self.at = self.document.after(self.at);
        Some(item)
    }
}

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'d> {
    document: &'d Document,
    at: usize,
    end: usize,
    repeated: bool,
}

impl<'d> Object<'d> {
    /// Whether a name occurs twice in this object or in one inside it.
    pub(crate) fn has_repeats(self) -> bool {
        self.repeated
    }

    pub(crate) fn is_empty(self) -> bool {
        self.at >= self.end
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = (&'d str, Item<'d>)> {
        let mut items = Elements {
            document: self.document,
            at: self.at,
            end: self.end,
        };
        std::iter::from_fn(move || {
            let name = items.next()?;
            Some((name.as_str().unwrap_or_default(), items.next()?))
        })
    }

    pub(crate) fn get(self, name: &str) -> Option<Item<'d>> {
        self.iter()
            .find_map(|(member, value)| (member == name).then_some(value))
    }

    pub(crate) fn to_json(self) -> Map<String, Value> {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.to_json()))
            .collect()
    }
}

struct Builder<'s> {
    source: &'s str,
    unescaped: String,
    nodes: Vec<Node>,
    /// Scratch space of `has_repeat`.
    names: Vec<(u64, Span)>,
    /// Objects so far, anywhere, in which a name occurs twice.
    repeats: usize,
}

impl Builder<'_> {
    /// A text that may stand in the source as it is: where, its address says.
    fn push_borrowed<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        let start = text
            .as_ptr()
            .addr()
            .wrapping_sub(self.source.as_ptr().addr());
        match start.checked_add(text.len()) {
            Some(end) if end <= self.source.len() => self.push_span(start, text.len()),
            _ => self.push_text(text),
        }
    }

    fn push_text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        let start = self.source.len() + self.unescaped.len();
        self.unescaped.push_str(text);
        self.push_span(start, text.len())
    }

    fn push_span<E: serde::de::Error>(&mut self, start: usize, len: usize) -> Result<(), E> {
        let span = Span {
            start: u32::try_from(start).map_err(E::custom)?,
            end: u32::try_from(start + len).map_err(E::custom)?,
        };
        self.nodes.push(Node::Text(span));
        Ok(())
    }

    /// Puts a container's node at `at`, now that its end is known.
    fn close<E: serde::de::Error>(
        &mut self,
        at: usize,
        node: impl FnOnce(u32) -> Node,
    ) -> Result<(), E> {
        let end = u32::try_from(self.nodes.len()).map_err(E::custom)?;
        if let Some(slot) = self.nodes.get_mut(at) {
            *slot = node(end);
        }
        Ok(())
    }

    fn text(&self, span: Span) -> &str {
        let (start, end) = (span.start as usize, span.end as usize);
        let before = self.source.len();
        let text = match start.checked_sub(before) {
            None => self.source.get(start..end),
            Some(start) => self.unescaped.get(start..end - before),
        };
        text.unwrap_or_default()
    }

    fn name(&self, at: usize) -> &str {
        match self.nodes.get(at) {
            Some(Node::Text(span)) => self.text(*span),
            _ => "",
        }
    }

    /// Whether a name stands twice in the object that was just read, whose first name is at `first`.
    fn has_repeat(&mut self, first: usize) -> bool {
        let mut names = std::mem::take(&mut self.names);
        names.clear();
        let mut at = first;
        while let Some(Node::Text(name)) = self.nodes.get(at) {
            names.push((mix(self.text(*name)), *name));
            at = match self.nodes.get(at + 1) {
                Some(Node::Array { end } | Node::Object { end, .. }) => *end as usize,
                _ => at + 2,
            };
        }
        // Names that are mixed alike, made to be so perhaps, cost a look at their texts and no more.
        names.sort_unstable_by(|(mixed, name), (other_mixed, other_name)| {
            mixed
                .cmp(other_mixed)
                .then_with(|| self.text(*name).cmp(self.text(*other_name)))
        });
        let mut neighbours = names.iter().zip(names.iter().skip(1));
        let is_repeated = neighbours
            .any(|(one, other)| one.0 == other.0 && self.text(one.1) == self.text(other.1));
        self.names = names;
        is_repeated
    }
}

/// A number for a name, so that most are told apart by one comparison.
fn mix(name: &str) -> u64 {
    let words = name.as_bytes().chunks_exact(8);
    let rest = words.remainder().iter();
    let rest = rest.fold(name.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
    words.fold(rest, |mixed, word| {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        (mixed.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// Reads one value, whatever it is, into the builder.
struct Element<'b, 's> {
    builder: &'b mut Builder<'s>,
    /// How many more levels may open.
    depth: u8,
}

impl Element<'_, '_> {
    fn deeper<E: serde::de::Error>(&self) -> Result<u8, E> {
        self.depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("nested too deeply"))
    }

    fn number<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let node = if let Ok(value) = text.parse::<i64>() {
            Node::Integer(value)
        } else if let Ok(value) = text.parse::<u64>() {
            Node::Large(value)
        } else {
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Node::Float(value),
                _ => return Err(E::custom("number out of range")),
            }
        };
        self.builder.nodes.push(node);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.builder.nodes.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.builder.nodes.push(Node::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.builder.nodes.push(Node::Integer(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        let node = i64::try_from(value).map_or(Node::Large(value), Node::Integer);
        self.builder.nodes.push(node);
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("number out of range"));
        }
        self.builder.nodes.push(Node::Float(value));
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        self.builder.push_borrowed(text)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.builder.push_text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        let at = self.builder.nodes.len();
        self.builder.nodes.push(Node::Null);
        while seq
            .next_element_seed(Element {
                builder: &mut *self.builder,
                depth,
            })?
            .is_some()
        {}
        self.builder.close(at, |end| Node::Array { end })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let at = self.builder.nodes.len();
        let repeats = self.builder.repeats;
        self.builder.nodes.push(Node::Null);
        let first = at + 1;
        loop {
            let name = self.builder.nodes.len();
            let seed = Name {
                builder: &mut *self.builder,
            };
            if map.next_key_seed(seed)?.is_none() {
                break;
            }
            if name == first && *NUMBERS_ARE_MAPS && self.builder.name(name) == NUMBER_MEMBER {
                self.builder.nodes.truncate(at);
                let text: String = map.next_value()?;
                return self.number(&text);
            }
            let depth = self.deeper()?;
            map.next_value_seed(Element {
                builder: &mut *self.builder,
                depth,
            })?;
        }
        self.deeper::<A::Error>()?;
        self.builder.repeats += usize::from(self.builder.has_repeat(first));
        let repeated = self.builder.repeats > repeats;
        self.builder.close(at, |end| Node::Object { end, repeated })
    }
}

/// Reads a member's name into the builder.
struct Name<'b, 's> {
    builder: &'b mut Builder<'s>,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        self.builder.push_borrowed(text)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.builder.push_text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    fn repeats(text: &str) -> bool {
        read(text).root().as_object().unwrap().has_repeats()
    }

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,18446744073709551615],"b":{"c":null,"d":[true,{}]},"e\u0041":"\ud83d\ude00\n","":[]}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text).root().to_json(), expected);
        let document = read(text);
        let root = document.root().as_object().unwrap();
        assert_eq!(root.get("eA").unwrap().as_str(), Some("\u{1f600}\n"));
        assert!(
            root.get("b")
                .unwrap()
                .as_object()
                .unwrap()
                .get("c")
                .unwrap()
                .is_null()
        );
        assert_eq!(
            root.get("c").map(Item::to_json),
            None,
            "nested names are not the root's"
        );
    }

    #[test]
    fn notices_repeated_names_at_every_level() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"x":[1,[{"y":{"a":1,"a":1}}]]}"#,
            r#"{"x":{"a":[1,2,{"b":0}],"c":{},"a":0}}"#,
        ] {
            assert!(repeats(text), "{text}");
        }
        for text in [
            r#"{"a":{"a":{"a":1}},"b":["a","a"]}"#,
            "{}",
            r#"{"a":{"b":1},"b":{"a":1}}"#,
        ] {
            assert!(!repeats(text), "{text}");
        }
    }

    #[test]
    fn notices_a_repeat_in_a_large_object() {
        let members: Vec<String> = (0..500)
            .map(|n| format!(r#""m{n}":{{"n":[{n}]}}"#))
            .collect();
        assert!(!repeats(&format!("{{{}}}", members.join(","))));
        for again in ["m0", "m31", "m32", "m33", "m499"] {
            assert!(
                repeats(&format!(r#"{{{},"{again}":1}}"#, members.join(","))),
                "{again}"
            );
        }
    }

    #[test]
    fn names_that_are_mixed_alike_are_told_apart() {
        let (one, other) = ("!1234567a", "a1234567c");
        assert_eq!(mix(one), mix(other));
        assert!(!repeats(&format!(r#"{{"{one}":1,"{other}":2}}"#)));
        assert!(repeats(&format!(r#"{{"{one}":1,"{other}":2,"{one}":3}}"#)));
    }

    #[test]
    fn texts_with_escapes_stand_beside_those_without() {
        let members: Vec<String> = (0..50)
            .map(|n| format!(r#""m{n}":"plain","\u006e{n}":"a\tb{n}""#))
            .collect();
        let text = format!("{{{}}}", members.join(","));
        let document = read(&text);
        let root = document.root().as_object().unwrap();
        assert!(!root.has_repeats());
        assert_eq!(root.get("m49").unwrap().as_str(), Some("plain"));
        assert_eq!(root.get("n49").unwrap().as_str(), Some("a\tb49"));
        let expected: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document.root().to_json(), expected);
        assert!(repeats(&format!(r#"{{{},"n7":1}}"#, members.join(","))));
    }

    #[test]
    fn a_repeat_is_told_of_the_objects_it_is_in_only() {
        let document = read(r#"{"keys":[{"kid":"a","kid":"b"},{"kid":"c"}]}"#);
        let keys: Vec<bool> = document
            .root()
            .as_object()
            .and_then(|root| root.get("keys"))
            .and_then(Item::as_array)
            .into_iter()
            .flatten()
            .filter_map(Item::as_object)
            .map(Object::has_repeats)
            .collect();
        assert_eq!(keys, [true, false]);
    }

    #[test]
    fn refuses_what_is_no_single_document() {
        let deep = |open: &str, close: &str, levels: usize| {
            format!("{}1{}", open.repeat(levels), close.repeat(levels))
        };
        for text in [
            "",
            " ",
            "{",
            "{}x",
            "{} {}",
            "\u{feff}{}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1e400}",
            "{\"a\":-1e400}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "[1,]",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\" 1}",
            "{1:1}",
            "nul",
            &deep("[", "]", 33),
            &deep("{\"a\":", "}", 33),
            &deep("[", "]", 1_000_000),
            &deep("{\"a\":[", "]}", 17),
        ] {
            assert_eq!(
                Document::parse(text.as_bytes()).unwrap_err(),
                NotJson,
                "{text:.60}"
            );
        }
        assert!(Document::parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(Document::parse(b"\xff\xfe{\0}\0").is_err());
        assert!(Document::parse(deep("[", "]", 32).as_bytes()).is_ok());
        assert!(Document::parse(deep("{\"a\":", "}", 32).as_bytes()).is_ok());
    }

    #[test]
    fn keeps_integers_apart() {
        let document =
            read("[1, -1, 1.0, 1e3, 9223372036854775807, 9223372036854775808, \"1\", true]");
        let integers: Vec<Option<i64>> = document
            .root()
            .as_array()
            .unwrap()
            .map(Item::as_i64)
            .collect();
        assert_eq!(
            integers,
            [
                Some(1),
                Some(-1),
                None,
                None,
                Some(i64::MAX),
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn an_object_that_looks_like_a_number_of_serde_json_stays_an_object() {
        // Only the text of a number keeps its last zero.
        let number: Value = serde_json::from_str("1.50").unwrap();
        assert_eq!(*NUMBERS_ARE_MAPS, number.to_string() == "1.50");
        if !*NUMBERS_ARE_MAPS {
            let text = format!(r#"{{"exp":{{"{NUMBER_MEMBER}":"1"}}}}"#);
            let document = read(&text);
            let exp = document.root().as_object().unwrap().get("exp").unwrap();
            assert_eq!(exp.as_i64(), None);
            assert!(exp.as_object().is_some());
        }
    }
}
