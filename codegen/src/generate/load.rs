//! YAML text to a JSON value that knows its lines.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::error::Error;

/// A description with the line of each of its parts.
#[derive(Debug, Clone)]
pub struct Source {
    /// The description as JSON.
    pub value: Value,
    lines: HashMap<String, u64>,
}

impl Source {
    /// The line at which the part that a JSON pointer (RFC 6901) names begins; that of the nearest
    /// part around it when it does not exist.
    #[must_use]
    pub fn line(&self, pointer: &str) -> Option<u64> {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return Some(*line);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}

/// Reads YAML (or JSON, which is YAML). A key that stands twice is an error.
///
/// # Errors
///
/// [`Error::Yaml`], with the line.
pub fn load(text: &str) -> Result<Source, Error> {
    let node: Spanned<Node> =
        serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string()))?;
    let mut lines = HashMap::new();
    let value = flatten(node.value, "", &mut lines);
    Ok(Source { value, lines })
}

/// Reads YAML or JSON without its lines, which is much faster for a large file.
///
/// # Errors
///
/// [`Error::Yaml`], with the line.
pub fn value(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .or_else(|_| serde_saphyr::from_str(text).map_err(|error| Error::Yaml(error.to_string())))
}

/// One part of a pointer: `~` and `/` escaped as RFC 6901 3 has it.
#[must_use]
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn flatten(node: Node, pointer: &str, lines: &mut HashMap<String, u64>) -> Value {
    match node {
        Node::Scalar(value) => value,
        Node::List(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    let pointer = format!("{pointer}/{index}");
                    lines.insert(pointer.clone(), item.referenced.line());
                    flatten(item.value, &pointer, lines)
                })
                .collect(),
        ),
        // Sorted, whether or not some crate of the build makes the map keep the order of insertion.
        Node::Object(mut members) => Value::Object({
            members.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
            members
                .into_iter()
                .map(|(key, member)| {
                    let pointer = format!("{pointer}/{}", escape(&key.value));
                    lines.insert(pointer.clone(), key.referenced.line());
                    (key.value, flatten(member, &pointer, lines))
                })
                .collect::<Map<_, _>>()
        }),
    }
}

enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Object(Vec<(Spanned<String>, Node)>),
}

macro_rules! scalar {
    ($($visit:ident: $of:ty),*) => {
        $(fn $visit<E>(self, value: $of) -> Result<Node, E> {
            Ok(Node::Scalar(value.into()))
        })*
    };
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;

        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            scalar!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Object(members))
            }
        }

        deserializer.deserialize_any(NodeVisitor)
    }
}
