//! Rules for `spec/openapi.yaml`. Each keeps the generator from panicking, the generated code from
//! refusing what the service may send, or a secret from being printed.

mod keywords;
mod operations;
pub(crate) mod schemas;
pub(crate) mod secrets;

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::operation_pointer;
use super::load::Source;
use crate::error::{Error, Finding};

/// Checks a description against all rules.
///
/// # Errors
///
/// [`Error::Lint`] with every finding, in the order of the lines.
pub fn lint(source: &Source) -> Result<(), Error> {
    let mut lint = Lint {
        source,
        findings: BTreeSet::new(),
    };
    lint.document();
    lint.version();
    lint.operations();
    lint.schemas();
    if lint.findings.is_empty() {
        Ok(())
    } else {
        Err(Error::Lint(lint.findings.into_iter().collect()))
    }
}

struct Lint<'a> {
    source: &'a Source,
    findings: BTreeSet<Finding>,
}

impl Lint<'_> {
    fn find(&mut self, pointer: &str, message: impl Into<String>) {
        self.findings.insert(Finding {
            line: self.source.line(pointer),
            place: self.place(pointer),
            message: message.into(),
        });
    }

    /// A pointer in words: the operation's id or the schema's name first.
    fn place(&self, pointer: &str) -> String {
        let unescape = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let parts: Vec<String> = pointer.split('/').skip(1).map(unescape).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["paths", path, method, rest @ ..] => {
                let at = operation_pointer(path, method);
                let id = self.source.value.pointer(&format!("{at}/operationId"));
                let id = id.and_then(Value::as_str).unwrap_or("operation without id");
                let name = format!("{id} ({} {path})", method.to_uppercase());
                std::iter::once(name.as_str())
                    .chain(rest.iter().copied())
                    .collect::<Vec<_>>()
                    .join(" > ")
            }
            ["components", "schemas", name, rest @ ..] => std::iter::once(format!("schema {name}"))
                .chain(
                    rest.iter()
                        .filter(|part| **part != "properties")
                        .map(|part| (*part).to_owned()),
                )
                .collect::<Vec<_>>()
                .join(" > "),
            [] => "the document".to_owned(),
            parts => parts.join(" > "),
        }
    }

    fn version(&mut self) {
        let version = self
            .source
            .value
            .get("openapi")
            .and_then(Value::as_str)
            .unwrap_or("");
        if !version.starts_with("3.0.") {
            self.find("/openapi", "must be 3.0.x; the generator reads no other");
        }
    }

    /// Descriptions become rustdoc: no text there that rustdoc reads as code, a link or a tag.
    fn prose(&mut self, value: &Value, pointer: &str) {
        for keyword in ["summary", "description"] {
            let Some(text) = value.get(keyword).and_then(Value::as_str) else {
                continue;
            };
            let pointer = format!("{pointer}/{keyword}");
            let code = text.contains("```") || text.lines().any(|line| line.starts_with("    "));
            if code {
                self.find(
                    &pointer,
                    "has a code block, which rustdoc would run as a test",
                );
            }
            if text.contains(['[', ']']) {
                self.find(
                    &pointer,
                    "has square brackets, which rustdoc reads as a link",
                );
            }
            let without_links = text.replace("<http://", "").replace("<https://", "");
            if without_links.contains('<') {
                self.find(&pointer, "has `<`, which rustdoc reads as a tag");
            }
            if without_links.contains("http://") || without_links.contains("https://") {
                self.find(&pointer, "has a bare URL; put it between `<` and `>`");
            }
            if text.trim().is_empty() {
                self.find(&pointer, "is empty");
            }
        }
    }
}
