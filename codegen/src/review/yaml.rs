//! JSON values as YAML that reads like `spec/openapi.yaml`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// How wide a line of `spec/openapi.yaml` may be.
pub const WIDTH: usize = 110;
/// Members in the order in which a reader wants them; all others follow by name.
const ORDER: &str =
    "at ours published reason evidence operationId summary name in required type description";

/// The value in lines: what fits into a line of `width` stands in one, `{a: b}`. With none everything has
/// its line, sorted by name.
#[must_use]
pub fn block(value: &Value, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let pad = " ".repeat(indent);
    let mut line = |head: &str, value: &Value| {
        let text = flow(value);
        let is_nested = !text.ends_with("{}")
            && !text.ends_with("[]")
            && (value.is_object() || value.is_array());
        let _ = if is_nested && indent + head.len() + 1 + text.len() > width {
            write!(out, "{pad}{head}\n{}", block(value, indent + 2, width))
        } else {
            writeln!(out, "{pad}{head} {text}")
        };
    };
    match value {
        Value::Object(members) => {
            let sorted = || members.iter().collect();
            for (name, member) in if width == 0 {
                sorted()
            } else {
                ordered(members)
            } {
                line(&format!("{}:", scalar(name)), member);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| line("-", item)),
        other => line("", other),
    }
    out
}

/// The value in one line.
#[must_use]
pub fn flow(value: &Value) -> String {
    let list = |parts: Vec<String>, open, close| format!("{open}{}{close}", parts.join(", "));
    match value {
        Value::Object(members) => {
            let members = ordered(members).into_iter();
            list(
                members
                    .map(|(name, member)| format!("{}: {}", scalar(name), flow(member)))
                    .collect(),
                '{',
                '}',
            )
        }
        Value::Array(items) => list(items.iter().map(flow).collect(), '[', ']'),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

fn ordered(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| {
        let place = ORDER.split(' ').position(|known| known == *name);
        (place.unwrap_or(usize::MAX), *name)
    });
    members
}

/// Text as it is where every reader of YAML, 1.1 or 1.2, takes it for the same text; else in quotes.
#[must_use]
pub fn scalar(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || "/_$".contains(c));
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_/$.-;<>() ".contains(c))
        && !text.ends_with(' ')
        && !text.contains(" #");
    let is_word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&text.to_ascii_lowercase().as_str());
    if starts && is_plain && !is_word {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
