//! `cargo xtask tidy`: what no other tool checks.

use std::fs;

use descope_magiclink_codegen::project;

use crate::run::git;
use crate::{Outcome, complain, say};

/// Words of unfinished work, and folders of somebody's machine. Cut in two, so that this file passes.
const LEFTOVERS: [(&str, &str, &str); 6] = [
    ("TO", "DO", "finish it or leave it out"),
    ("FIX", "ME", "fix it"),
    ("dbg", "!(", "remove it"),
    ("/ro", "ot/", "a path of one machine"),
    ("/ho", "me/", "a path of one machine"),
    ("/wo", "rk/", "a path of one machine"),
];
/// Commands that the README must show, for who tries it and who changes it.
const COMMANDS: [&str; 2] = ["cargo run --example ", "cargo test"];
const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

pub(crate) fn tidy() -> Outcome {
    let root = project::root();
    let listed = git(&[
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ])?;
    let mut findings = Vec::new();
    let mut files = 0;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Binary files, and files that were just deleted.
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            continue;
        };
        files += 1;
        leftovers(path, &text, &mut findings);
        if path.ends_with("Cargo.toml") {
            sorted(path, &text, &mut findings);
        }
    }
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    readme(&read("README.md"), &read("Cargo.toml"), &mut findings);
    for license in LICENSES {
        if !root.join(license).is_file() {
            findings.push(format!(
                "{license}: is missing; the manifest names that license"
            ));
        }
    }
    for finding in &findings {
        complain(finding);
    }
    say(&format!("{files} files, {} findings", findings.len()));
    Ok(findings.is_empty())
}

fn leftovers(path: &str, text: &str, findings: &mut Vec<String>) {
    let is_rust = path.ends_with(".rs");
    for (index, line) in text.lines().enumerate() {
        let at = format!("{path}:{}", index + 1);
        for (start, end, what) in LEFTOVERS {
            let word = format!("{start}{end}");
            if line.contains(&word) {
                findings.push(format!("{at}: `{word}`: {what}"));
            }
        }
        let fence = line.trim_start_matches(['/', '!', ' ', '#']);
        let skipped = fence
            .strip_prefix("```")
            .is_some_and(|tags| tags.split([',', ' ']).any(|tag| tag == "ignore"));
        if skipped && (is_rust || path == "README.md") {
            findings.push(format!(
                "{at}: an example that nobody compiles; use no_run, compile_fail or text"
            ));
        }
        if holds_private_key(line) {
            findings.push(format!("{at}: a private key; make it when the test runs"));
        }
    }
}

/// A PEM header with its key after it, not the bare marker that a reader looks for; or the private exponent of a JWK.
fn holds_private_key(line: &str) -> bool {
    let pem = concat!("PRIVATE", " KEY-----");
    let followed_by_key = |rest: &str| rest.trim_end().is_empty() || rest.starts_with("\\n");
    if let (true, Some((_, rest))) = (line.contains("-----BEGIN"), line.split_once(pem))
        && followed_by_key(rest)
    {
        return true;
    }
    let compact: String = line.split_whitespace().collect();
    compact.split("\"d\":\"").skip(1).any(|rest| {
        rest.split('"').next().is_some_and(|value| {
            value.len() >= 40
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
    })
}

/// The entries of each dependency table in alphabetical order, up to an empty line or a comment.
fn sorted(path: &str, text: &str, findings: &mut Vec<String>) {
    let mut in_table = false;
    let mut last = "";
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            in_table = line.trim_end_matches(']').ends_with("dependencies");
        }
        let name = line.split(['=', '.', ' ']).next().unwrap_or("");
        let is_entry = line.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !in_table || !is_entry {
            last = "";
        } else {
            if name < last {
                findings.push(format!(
                    "{path}:{}: `{name}` belongs before `{last}`",
                    index + 1
                ));
            }
            last = name;
        }
    }
}

fn readme(readme: &str, manifest: &str, findings: &mut Vec<String>) {
    for command in COMMANDS {
        if !readme.contains(command) {
            findings.push(format!("README.md: does not show `{command}`"));
        }
    }
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap_or("")
        .trim_matches('"');
    let says = format!("Rust {version}");
    if version.is_empty() || !readme.contains(&says) {
        findings.push(format!(
            "README.md: does not say `{says}`, as the manifest does"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        leftovers(path, text, &mut findings);
        sorted(path, text, &mut findings);
        findings
    }

    #[test]
    fn leftovers_are_found() {
        let todo = format!("// {}{}: later", "TO", "DO");
        assert_eq!(all("a.rs", &todo).len(), 1);
        assert_eq!(all("a.rs", &format!("see /{}/x", "root")).len(), 1);
        assert!(all("a.rs", "/// the root/ of all").is_empty());
    }

    #[test]
    fn examples_that_nobody_compiles_are_found() {
        assert_eq!(all("a.rs", "/// ```ignore").len(), 1);
        assert_eq!(all("a.rs", "//! ```rust,ignore").len(), 1);
        assert!(all("a.rs", "/// ```no_run").is_empty());
        assert!(all("a.rs", "/// we ignore it").is_empty());
    }

    #[test]
    fn private_keys_are_found_and_public_ones_are_not() {
        assert!(holds_private_key(&format!(
            "-----BEGIN {}{}",
            "PRIVATE", " KEY-----"
        )));
        assert!(holds_private_key(&format!(
            "{{\"d\" : \"{}\"}}",
            "A".repeat(43)
        )));
        assert!(!holds_private_key("-----BEGIN PUBLIC KEY-----"));
        assert!(!holds_private_key("{\"d\": \"short\"}"));
    }

    #[test]
    fn unsorted_dependencies_are_found() {
        let text = "[dependencies]\nb = \"1\"\na.workspace = true\n\n[features]\nz = []\nb = []\n";
        assert_eq!(
            all("Cargo.toml", text),
            ["Cargo.toml:3: `a` belongs before `b`"]
        );
    }

    #[test]
    fn a_readme_that_contradicts_the_manifest_is_found() {
        let mut findings = Vec::new();
        let text = "cargo run --example a\ncargo test\nRust 1.88";
        readme(text, "rust-version = \"1.88\"", &mut findings);
        assert!(findings.is_empty());
        readme(text, "rust-version = \"1.90\"", &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
