//! `cargo xtask tidy`: what no other tool checks.

use std::fs;

use descope_magiclink_codegen::generate::project;
use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;

use crate::floors;
use crate::output::{Outcome, print, print_error};
use crate::run::{output, program};

/// What stands in no file whose path ends so: a pattern, whose first group is shown, and what to do. None
/// fits itself.
const LEFTOVERS: [(&str, &str, &[&str]); 7] = [
    ("(TO(?:DO))", "finish it or leave it out", &[""]),
    ("(FIX(?:ME))", "fix it", &[""]),
    (r"(dbg(?:!)\()", "remove it", &[""]),
    ("(/(?:root|home|work)/)", "a path of one machine", &[""]),
    (
        "(?m)^[/! #]*```(?:.*[, ])?(ignore)(?:[, ]|$)",
        "an example that nobody compiles; use no_run, compile_fail or text",
        &[".rs", "README.md"],
    ),
    // As many letters of base64 as only a key has, behind a PEM header or as the private exponent of a JWK.
    (
        r#"(PRIVATE KEY-----)(?:\\n|["\\+\s])*(?:[A-Za-z0-9/_-](?:\\n|["\\+])*){40}"#,
        "a private key; make it when the test runs",
        &[""],
    ),
    (
        r#"("d")\s*:\s*"\s*[A-Za-z0-9/_-]{40}"#,
        "a private key; make it when the test runs",
        &[""],
    ),
];
/// Names that this project once had, and the field's words for them.
const OLD_NAMES: [(&str, &str); 55] = [
    ("Ages", "CachePolicy"),
    ("Answer", "Response"),
    ("AskedRecently", "InCooldown"),
    ("Asker", "Requester"),
    ("AtHand", "CachedKey"),
    ("Chore", "Command"),
    ("Claimed", "PendingFetch"),
    ("CookieFacts", "CookieAttributes"),
    ("Flight", "PendingRefresh"),
    ("ForeignForm", "CrossSite"),
    ("Issued", "IssueContext"),
    ("Journal", "RequestLog"),
    ("Kept", "CachedOutcome"),
    ("LandingProblem", "LandingError"),
    ("Lasting", "Tokens"),
    ("Look", "CacheState"),
    ("Minted", "IssuedTokens"),
    ("NoKey", "KeyLookupError"),
    ("NoRuntime", "NoThread"),
    ("NotFetched", "NotLoaded"),
    ("OfClient", "ClientSettings"),
    ("Sending", "LinkRequest"),
    ("SharedTurn", "SharedState"),
    ("Sketch", "YamlSnippet"),
    ("TokenPair", "Tokens"),
    ("Told", "Outcome"),
    ("Turn", "RefreshState or LinkState"),
    ("Unfolding", "RefResolver"),
    ("Want", "FetchReason"),
    ("Whose", "Owner"),
    ("World", "Fixture or Simulation"),
    ("WrongKind", "WrongTokenType"),
    ("answer", "respond or response"),
    ("answers", "responses"),
    ("ask_again", "new_link"),
    ("asked_for", "requested"),
    ("complain", "print_error"),
    ("cool_down", "cooldown"),
    ("first_wait", "initial_backoff"),
    ("flight", "pending or in_flight"),
    ("is_foreign", "is_from_intermediary or is_cross_site"),
    ("kind_fits", "check_type"),
    ("kit", "signing or browser"),
    ("let_preflights_through", "allow_preflights"),
    ("note_change", "publish_change"),
    ("onwards", "continue_link"),
    ("pages_are", "pages_for"),
    ("remember_tokens", "token_cache_bytes"),
    ("token_cache_capacity", "token_cache_bytes"),
    ("take_turn", "join_or_start"),
    ("tell", "notify or publish"),
    ("told_to_wait", "cooldown_error"),
    ("unknown_key_cool_down", "unknown_key_cooldown"),
    ("validate_now", "validate_cached"),
    ("world", "fixture or simulation"),
];
/// One of the patterns, what it finds, and the ends of paths.
type Pattern = (Regex, &'static str, &'static [&'static str]);

/// Commands that the README must show, for who tries it and who changes it.
const COMMANDS: [&str; 2] = ["cargo run --example ", "cargo test"];
const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

pub(crate) fn tidy() -> Outcome {
    let root = project::root()?;
    let listed = output(&mut program(
        "git ls-files --cached --others --exclude-standard -z",
    )?)?;
    let patterns = patterns()?;
    let mut findings = Vec::new();
    let mut files = 0;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Binary files, and files that were just deleted.
        let Ok(text) = fs::read_to_string(root.join(path)) else {
            continue;
        };
        files += 1;
        leftovers(&patterns, path, &text, &mut findings);
        // What is no Rust is the compiler's to say.
        if path.ends_with(".rs")
            && let Ok(tokens) = text.parse()
        {
            old_names(path, tokens, &mut findings);
        }
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
    findings.extend(floors::check(&root)?);
    for finding in &findings {
        print_error(finding);
    }
    print(&format!("{files} files, {} findings", findings.len()));
    Ok(findings.is_empty())
}

/// [`LEFTOVERS`] with their patterns compiled.
fn patterns() -> Result<Vec<Pattern>, regex::Error> {
    let patterns = LEFTOVERS.iter();
    let compiled = patterns.map(|(pattern, what, ends)| Ok((Regex::new(pattern)?, *what, *ends)));
    compiled.collect()
}

fn leftovers(patterns: &[Pattern], path: &str, text: &str, findings: &mut Vec<String>) {
    for (pattern, what, ends) in patterns {
        if ends.iter().any(|end| path.ends_with(end)) {
            for word in pattern.captures_iter(text).filter_map(|found| found.get(1)) {
                let before = text.get(..word.start()).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                findings.push(format!("{path}:{line}: `{}`: {what}", word.as_str()));
            }
        }
    }
}

/// Identifiers that are names of before; texts and comments may have the word.
fn old_names(path: &str, tokens: TokenStream, findings: &mut Vec<String>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => old_names(path, group.stream(), findings),
            TokenTree::Ident(ident) => {
                if let Some((old, new)) = OLD_NAMES.iter().find(|(old, _)| ident == *old) {
                    let line = ident.span().start().line;
                    findings.push(format!("{path}:{line}: `{old}`: the word is {new}"));
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
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
    let says = format!("Rust version is {version}");
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
        leftovers(&patterns().unwrap(), path, text, &mut findings);
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
        assert_eq!(
            all("web/README.md", "x\n\n```rust,ignore,no_run\n"),
            [
                "web/README.md:3: `ignore`: an example that nobody compiles; use no_run, compile_fail or text"
            ]
        );
        assert!(all("a.md", "```ignore").is_empty());
    }

    #[test]
    fn private_keys_are_found_and_public_ones_are_not() {
        let found = |text: &str| all("a.json", text).len();
        let header = format!("-----BEGIN {}{}", "PRIVATE", " KEY-----");
        let base64 = "MIIE".repeat(16);
        assert_eq!(found(&format!("{header}\n{base64}\n")), 1);
        assert_eq!(found(&format!("\"{header}\\n{base64}\"")), 1);
        assert_eq!(found(&format!("{{\"d\" : \"{base64}\"}}")), 1);
        assert!(!all("a.rs", &format!("{header}\n{base64}"))[0].contains("MIIE"));
        // Code that reads keys, public keys, and other members.
        assert_eq!(
            found(&format!(
                ".split_once(\"{header}\").and_then(|(_, rest)| rest)"
            )),
            0
        );
        assert_eq!(found(&format!("-----BEGIN PUBLIC KEY-----\n{base64}")), 0);
        assert_eq!(
            found(&format!("{{\"id\": \"{base64}\", \"d\": \"short\"}}")),
            0
        );
    }

    #[test]
    fn names_of_before_are_refused_in_identifiers_only() {
        let found = |text: &str| {
            let mut findings = Vec::new();
            old_names("a.rs", text.parse().unwrap(), &mut findings);
            findings
        };
        for (old, new) in OLD_NAMES {
            assert_eq!(
                found(&format!("fn f() {{\n    g(a.{old}())\n}}")),
                [format!("a.rs:2: `{old}`: the word is {new}")]
            );
        }
        let others =
            "/// The answer of World.\nfn answering_world() -> &'static str { \"answer\" } // tell";
        assert_eq!(found(others), [""; 0]);
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
        let text = "cargo run --example a\ncargo test\nRust version is 1.88";
        readme(text, "rust-version = \"1.88\"", &mut findings);
        assert!(findings.is_empty());
        readme(text, "rust-version = \"1.90\"", &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
