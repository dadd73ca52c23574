//! `cargo xtask public-api`: what the crate exports, one item per line.
//!
//! The listing comes from the JSON that rustdoc writes. That output is unstable: rustdoc gives it on a
//! stable toolchain only when `RUSTC_BOOTSTRAP` is set, and each release of the crate `public-api`
//! reads one version of it. Setting the variable for all of cargo would make it build the dependencies
//! anew, so cargo is told to run this program as its rustdoc, which sets the variable and hands on. A
//! listing read from the syntax tree would need no such thing, but would not see what macros export,
//! and much here comes from macros.

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use descope_magiclink_codegen::generate::project;
use public_api::Builder;

use crate::output::{Outcome, print, print_error};
use crate::run::output;

/// The published libraries, each with the listing that was reviewed.
pub(crate) const PACKAGES: [(&str, &str); 4] = [
    ("descope-magiclink", "tests/public-api.txt"),
    ("descope-magiclink-web", "web/tests/public-api.txt"),
    (EMULATOR, "emulator/tests/public-api.txt"),
    ("descope-magiclink-redis", "redis/tests/public-api.txt"),
];
/// For tests: no application carries what it exports.
pub(crate) const EMULATOR: &str = "descope-magiclink-emulator";
/// The toolchain whose rustdoc writes the format that is read here.
const TOOLCHAIN: &str = "1.95";
/// When this variable is set, the program is rustdoc; its value names the real one.
const REAL_RUSTDOC: &str = "XTASK_RUSTDOC";

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
    let version = output(Command::new("rustc").arg("--version").current_dir(&root))?;
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
    for (package, file) in PACKAGES {
        let wanted = listing_of(&root, package)?;
        let path = root.join(file);
        let found = fs::read_to_string(&path).unwrap_or_default();
        let diff = project::unified_diff(&found, &wanted, file, "exported");
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

fn listing_of(root: &Path, package: &str) -> Result<String, Box<dyn Error>> {
    let json = rustdoc_json(root, package)?;
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

fn rustdoc_json(root: &Path, package: &str) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustdoc = env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
    let target = target()?;
    output(
        Command::new(cargo)
            .args(["rustdoc", "--quiet", "--package", package, "--lib"])
            .args(["--features", &features(root, package)?, "--target-dir"])
            .arg(&target)
            .args(["--", "-Z", "unstable-options", "--output-format", "json"])
            .args(["--cap-lints", "allow"])
            .env("RUSTDOC", env::current_exe()?)
            .env(REAL_RUSTDOC, rustdoc)
            .current_dir(root),
    )?;
    let file = format!("doc/{}.json", package.replace('-', "_"));
    Ok(target.join(file))
}

/// All features but `native-tls`: it exports nothing, and wants a system library that a machine with
/// nothing but Rust lacks.
fn features(root: &Path, package: &str) -> Result<String, Box<dyn Error>> {
    let mut names = packages(root)?.remove(package).unwrap_or_default();
    names.retain(|name| name != "native-tls");
    Ok(names.join(","))
}

/// The packages in a folder, with their features.
fn packages(root: &Path) -> Result<BTreeMap<String, Vec<String>>, Box<dyn Error>> {
    let metadata = metadata(root)?;
    let packages = metadata.get("packages").and_then(|v| v.as_array());
    let packages = packages.into_iter().flatten();
    Ok(packages
        .filter_map(|package| {
            let features = package.get("features")?.as_object()?;
            Some((
                package.get("name")?.as_str()?.to_owned(),
                features.keys().cloned().collect(),
            ))
        })
        .collect())
}

/// The target folder of this project; what other revisions are built in too, for their dependencies
/// are mostly the same.
fn target() -> Result<PathBuf, Box<dyn Error>> {
    let metadata = metadata(&project::root()?)?;
    let folder = metadata.get("target_directory").and_then(|v| v.as_str());
    Ok(folder.ok_or("cargo names no target folder")?.into())
}

/// What cargo says of the workspace in a folder.
fn metadata(root: &Path) -> Result<serde_json::Value, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = output(
        Command::new(cargo)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(root),
    )?;
    Ok(serde_json::from_str(&metadata)?)
}

/// A folder below the target folder for a revision's files.
pub(crate) fn scratch(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(target()?.join("xtask").join(name))
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
