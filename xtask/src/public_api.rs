//! `cargo xtask public-api`: what the crate exports, one item per line.
//!
//! The listing comes from the JSON that rustdoc writes. That output is unstable: rustdoc gives it on a
//! stable toolchain only when `RUSTC_BOOTSTRAP` is set, and each release of the crate `public-api`
//! reads one version of it. Setting the variable for all of cargo would make it build the dependencies
//! anew, so cargo is told to run this program as its rustdoc, which sets the variable and hands on. A
//! listing read from the syntax tree would need no such thing, but would not see what macros export,
//! and much here comes from macros.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use descope_magiclink_codegen::generate::project;
use public_api::Builder;
use serde_json::Value;

use crate::output::{Outcome, print, print_error};
use crate::run::{output, program};

/// The published libraries, each with the start of its paths.
pub(crate) const PACKAGES: [(&str, &str); 4] = [
    ("descope-magiclink", ""),
    ("descope-magiclink-web", "web/"),
    ("descope-magiclink-emulator", "emulator/"),
    ("descope-magiclink-redis", "redis/"),
];
/// The toolchain whose rustdoc writes the format that is read here.
const TOOLCHAIN: &str = "1.95";
/// When this variable is set, the program is rustdoc; its value names the real one.
const REAL_RUSTDOC: &str = "XTASK_RUSTDOC";

/// The listing that was reviewed, of the library in this folder.
pub(crate) fn listing(folder: &str) -> String {
    format!("{folder}tests/public-api.txt")
}

/// Runs rustdoc, if that is what this process was started for.
pub(crate) fn as_rustdoc() -> Option<ExitCode> {
    let rustdoc = env::var_os(REAL_RUSTDOC)?;
    let status = Command::new(rustdoc)
        .args(env::args_os().skip(1))
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove(REAL_RUSTDOC)
        .status();
    Some(match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

pub(crate) fn public_api(check: bool) -> Outcome {
    let root = project::root()?;
    let version = output(&mut program("rustc --version")?)?;
    if !version.starts_with(&format!("rustc {TOOLCHAIN}.")) {
        print_error(&format!(
            "the public interface is listed with Rust {TOOLCHAIN} only, whose rustdoc writes the form that is read here; \
             this is {}",
            version.trim()
        ));
        // Those who work with another version are not stopped, and are told; CI must have this one.
        return Ok(check && env::var_os("CI").is_none());
    }
    let mut is_good = true;
    let metadata = metadata()?;
    for (package, folder) in PACKAGES {
        let wanted = exported(&metadata, package)?;
        let file = listing(folder);
        let path = root.join(&file);
        let found = fs::read_to_string(&path).unwrap_or_default();
        let diff = project::unified_diff(&found, &wanted, &file, "exported");
        if diff.is_empty() {
            print(&format!("{file} is up to date"));
            continue;
        }
        print(&diff);
        if check {
            print_error(&format!(
                "{file} is not what the crate exports; if the change is meant, run `cargo xtask public-api` and \
                 commit the file"
            ));
            is_good = false;
        } else {
            fs::write(path, wanted)?;
            print(&format!("wrote {file}"));
        }
    }
    Ok(is_good)
}

fn exported(metadata: &Value, package: &str) -> Result<String, Box<dyn Error>> {
    let json = rustdoc_json(metadata, package)?;
    let all = Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .build()
        .map_err(|error| {
            format!(
                "the JSON of rustdoc cannot be read; it must be that of Rust {TOOLCHAIN}: {error}"
            )
        })?;
    let lines: Vec<String> = all
        .items()
        .map(|item| abbreviated(&item.to_string()))
        .collect();
    Ok(telling(&lines))
}

/// Leaves out what follows from other lines: the functions of a trait that is implemented, the heads
/// of impl blocks without a trait, and traits that the compiler finds out by itself. Where `Send` or
/// `Sync` is missing, the line that says so stays.
fn telling(lines: &[String]) -> String {
    const OF_THE_COMPILER: [&str; 8] = [
        "Freeze",
        "RefUnwindSafe",
        "Send",
        "StructuralPartialEq",
        "Sync",
        "Unpin",
        "UnsafeUnpin",
        "UnwindSafe",
    ];
    let mut text = String::new();
    // What is exported under two paths has its methods listed under both, in the same words.
    let mut seen = HashSet::new();
    // The type whose trait impl the lines before belong to.
    let mut implementor: Option<&str> = None;
    for line in lines {
        if let Some(head) = line.strip_prefix("impl") {
            let (of, to) = head.split_once(" for ").unzip();
            implementor = to.map(|to| to.split(['<', ' ']).next().unwrap_or(to));
            let of = of.unwrap_or_default();
            let name = of.rsplit([' ', '!']).next().unwrap_or(of);
            let is_loss = of.contains("!Send") || of.contains("!Sync");
            if implementor.is_none() || (OF_THE_COMPILER.contains(&name) && !is_loss) {
                continue;
            }
        } else if let (Some((_, function)), Some(implementor)) =
            (line.split_once("fn "), implementor)
            && function.starts_with(implementor)
        {
            continue;
        }
        if seen.insert(line) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The line with the items of the standard library by their last name.
fn abbreviated(line: &str) -> String {
    let mut out = String::new();
    for word in line
        .split_inclusive(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter))
    {
        let is_std = ["core::", "alloc::", "std::"]
            .iter()
            .any(|start| word.starts_with(start));
        let start = if is_std {
            word.rfind("::").map_or(0, |at| at + 2)
        } else {
            0
        };
        out.push_str(word.get(start..).unwrap_or(word));
    }
    out
}

/// Has rustdoc write its JSON, with all features but `native-tls`: it exports nothing, and wants a system
/// library that a machine with nothing but Rust lacks.
fn rustdoc_json(metadata: &Value, package: &str) -> Result<PathBuf, Box<dyn Error>> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let mut packages = packages.into_iter().flatten();
    let found = packages.find(|of| of.get("name").is_some_and(|name| name == package));
    let features = found.and_then(|found| found.get("features")?.as_object());
    let features = features.into_iter().flat_map(|features| features.keys());
    let features = features.map(String::as_str);
    let features: Vec<&str> = features.filter(|name| *name != "native-tls").collect();
    let rustdoc = env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
    output(
        program(&format!("cargo rustdoc --quiet --package {package} --lib"))?
            .args(["--features", &features.join(",")])
            .args("-- -Z unstable-options --output-format json --cap-lints allow".split(' '))
            .env("RUSTDOC", env::current_exe()?)
            .env(REAL_RUSTDOC, rustdoc),
    )?;
    let file = format!("doc/{}.json", package.replace('-', "_"));
    Ok(target(metadata)?.join(file))
}

/// What cargo says of the workspace.
pub(crate) fn metadata() -> Result<Value, Box<dyn Error>> {
    let text = output(&mut program("cargo metadata --no-deps --format-version 1")?)?;
    Ok(serde_json::from_str(&text)?)
}

/// The target folder, by what cargo says.
pub(crate) fn target(metadata: &Value) -> Result<PathBuf, Box<dyn Error>> {
    let folder = metadata.get("target_directory").and_then(Value::as_str);
    Ok(folder.ok_or("cargo names no target folder")?.into())
}

#[cfg(test)]
mod tests {
    use super::{abbreviated, telling};

    #[test]
    fn what_follows_from_other_lines_is_left_out() {
        let lines = [
            "pub struct a::B",
            "impl a::B",
            "pub fn a::B::new() -> Self",
            "impl Clone for a::B",
            "pub fn a::B::clone(&self) -> a::B",
            "impl Deref for a::B",
            "pub type a::B::Target = u8",
            "pub fn a::B::deref(&self) -> &u8",
            "impl Freeze for a::B",
            "impl !Send for a::B",
            "impl Sync for a::B",
            "pub fn a::f()",
        ];
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let expected = "pub struct a::B\npub fn a::B::new() -> Self\nimpl Clone for a::B\n\
            impl Deref for a::B\npub type a::B::Target = u8\nimpl !Send for a::B\npub fn a::f()\n";
        assert_eq!(telling(&lines), expected);
    }

    #[test]
    fn the_standard_library_is_abbreviated() {
        assert_eq!(
            abbreviated(
                "pub fn a::b(core::option::Option<alloc::string::String>) -> &'a std::path::Path"
            ),
            "pub fn a::b(Option<String>) -> &'a Path"
        );
    }
}
