//! Imports run downwards, from floor to floor, and never in a circle.

mod reading;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use self::reading::{Graph, Imports};

/// Where the floors of each crate are listed; the file says what it means.
const LISTS: &str = "xtask/floors.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    #[serde(rename = "crate")]
    crates: Vec<Floors>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floors {
    folder: String,
    floors: Vec<Vec<String>>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    from: String,
    to: String,
    #[serde(rename = "reason")]
    _reason: String,
}

/// What is wrong in all crates.
///
/// # Errors
///
/// When the lists or sources cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let lists = fs::read_to_string(root.join(LISTS)).map_err(|error| error.to_string());
    let lists = lists.and_then(|text| toml::from_str(&text).map_err(|error| error.to_string()));
    let lists: Lists = lists.map_err(|error| format!("{LISTS} cannot be read: {error}"))?;
    let mut findings = Vec::new();
    for floors in &lists.crates {
        let graph = reading::read(&root.join(&floors.folder))?;
        findings.extend(judge(floors, &graph));
    }
    Ok(findings)
}

fn judge(floors: &Floors, graph: &Graph) -> Vec<String> {
    let folder = &floors.folder;
    let path = |name: &str| {
        let below = graph.files.get(name).map_or(name, String::as_str);
        format!("{folder}/{below}")
    };
    let mut findings = Vec::new();
    for name in graph.files.keys() {
        if floor(floors, name).is_none() {
            let path = path(name);
            findings.push(format!(
                "{path}: stands on no floor; give it one in {LISTS}"
            ));
        }
    }
    for listed in floors.floors.iter().flatten() {
        if !graph.files.keys().any(|name| is_in(name, listed)) {
            findings.push(format!("{LISTS}: {folder}/{listed} does not exist"));
        }
    }
    let mut imports = graph.imports.clone();
    for known in &floors.exceptions {
        imports.remove(&(known.from.clone(), known.to.clone()));
    }
    let place = |from: &str, line: usize| format!("{}:{line}", path(from));
    for ((from, to), line) in &imports {
        if let Some((here, above)) = floor(floors, from)
            && let Some((there, below)) = floor(floors, to)
            && there > here
        {
            findings.push(format!(
                "{}: imports {}, upwards: `{below}` stands above `{above}`",
                place(from, *line),
                path(to)
            ));
        }
    }
    for circle in circles(&imports) {
        let steps: Vec<String> = circle
            .iter()
            .map(|step| place(step.from, step.line))
            .collect();
        findings.push(format!(
            "{}: these files import each other, each the next and the last the first",
            steps.join(", ")
        ));
    }
    findings
}

/// The floor of a file by number, and the name that puts it there: the longest that fits.
fn floor<'a>(floors: &'a Floors, file: &str) -> Option<(usize, &'a str)> {
    if matches!(file, "lib" | "main") {
        return Some((usize::MAX, "the root"));
    }
    let floors = floors.floors.iter().enumerate();
    let all = floors.flat_map(|(number, names)| names.iter().map(move |name| (number, &**name)));
    all.filter(|(_, name)| is_in(file, name))
        .max_by_key(|(_, name)| name.len())
}

/// Whether a file is the one that a name stands for, or in the folder.
fn is_in(file: &str, name: &str) -> bool {
    let rest = file.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One import of a chain of them.
#[derive(Clone, Copy)]
struct Step<'a> {
    from: &'a str,
    to: &'a str,
    line: usize,
}

/// For each group of files that import each other, the shortest way round through its first file.
fn circles(imports: &Imports) -> Vec<Vec<Step<'_>>> {
    let mut by_file: BTreeMap<&str, Vec<Step<'_>>> = BTreeMap::new();
    for ((from, to), line) in imports {
        let line = *line;
        by_file
            .entry(from)
            .or_default()
            .push(Step { from, to, line });
    }
    let way = |from: &str, to: &str| way(from, to, &by_file);
    let mut found = Vec::new();
    let mut grouped: BTreeSet<&str> = BTreeSet::new();
    for start in by_file.keys().copied() {
        if !grouped.contains(start)
            && let Some(circle) = way(start, start)
        {
            // Whoever can be reached from here and back is of the same group.
            let files = by_file.keys().copied();
            grouped.extend(
                files.filter(|file| way(start, file).is_some() && way(file, start).is_some()),
            );
            found.push(circle);
        }
    }
    found
}

/// The shortest chain of imports from one file to another.
fn way<'a>(from: &str, to: &str, by_file: &BTreeMap<&str, Vec<Step<'a>>>) -> Option<Vec<Step<'a>>> {
    let mut chains: VecDeque<Vec<Step<'a>>> = VecDeque::from([Vec::new()]);
    let mut seen = BTreeSet::new();
    while let Some(chain) = chains.pop_front() {
        let at = chain.last().map_or(from, |step| step.to);
        for step in by_file.get(at).into_iter().flatten() {
            if seen.insert(step.to) {
                let mut chain = chain.clone();
                chain.push(*step);
                if step.to == to {
                    return Some(chain);
                }
                chains.push_back(chain);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate of these files.
    fn graph(files: &[(&str, &str)]) -> Graph {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        reading::read(folder.path()).unwrap()
    }

    fn imports(files: &[(&str, &str)]) -> Vec<String> {
        let graph = graph(files);
        let imports = graph.imports.iter();
        let show = imports.map(|((from, to), line)| (from, line, format!("{from}:{line} {to}")));
        let mut all: Vec<_> = show.collect();
        all.sort();
        all.into_iter().map(|(_, _, import)| import).collect()
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::B;\n");
    const B: (&str, &str) = ("b.rs", "pub struct B;\npub fn b() {}\n");
    const C: (&str, &str) = ("c/mod.rs", "pub mod d;\npub use d::D;\n");
    const D: (&str, &str) = ("c/d.rs", "pub struct D;\npub enum E { X }\n");

    /// What the file `a.rs` imports when it reads so.
    fn of_a(text: &str) -> Vec<String> {
        let all = imports(&[ROOT, ("a.rs", text), B, C, D]);
        let of_a = all.iter().filter_map(|import| import.strip_prefix("a:"));
        of_a.map(str::to_owned).collect()
    }

    #[test]
    fn trees_of_use_are_read() {
        assert_eq!(of_a("use crate::b::B;"), ["1 b"]);
        assert_eq!(
            of_a("\nuse crate::{b::{self, B as X}, c::d::{D, E}};"),
            ["2 b", "2 c/d"]
        );
        assert_eq!(
            of_a("use super::b;\nuse self::inner::F;\nmod inner { pub struct F; }"),
            ["1 b"]
        );
        assert_eq!(of_a("use crate::c::d::*;"), ["1 c/d"]);
        assert_eq!(
            of_a("use crate::c::d::E::X;\nuse crate::c::d::E::*;"),
            ["1 c/d"]
        );
        assert_eq!(
            of_a("use std::fmt;\nuse ::serde::Deserialize;\nuse other::b::B;"),
            [""; 0]
        );
        assert_eq!(of_a("mod inner { use super::super::b::B; }"), ["1 b"]);
        for glob in [
            "use super::*;",
            "use crate::*;",
            "use crate::{self as x};",
            "pub use super::*;",
        ] {
            assert_eq!(of_a(glob), ["1 lib"], "{glob}");
        }
        assert_eq!(of_a("use self::*;\nmod inner { use super::*; }"), [""; 0]);
        assert_eq!(
            of_a("#[cfg(test)]\nmod tests { use super::super::*; }"),
            [""; 0]
        );
    }

    #[test]
    fn paths_without_use_are_read() {
        assert_eq!(of_a("fn f() { crate::b::b() }"), ["1 b"]);
        assert_eq!(of_a("fn f(_: super::c::d::D) {}"), ["1 c/d"]);
        assert_eq!(
            of_a("struct S<T: crate::b::B>(T);\nimpl crate::c::d::D for S<()> {}"),
            ["1 b", "2 c/d"]
        );
        assert_eq!(of_a("fn f() { <() as crate::b::B>::f() }"), ["1 b"]);
        assert_eq!(
            of_a("use crate::c;\nfn f() -> c::d::D { c::d::D }"),
            ["1 c", "2 c/d"]
        );
        assert_eq!(of_a("fn f() { format!(\"{}\", crate::b::b()) }"), ["1 b"]);
        assert_eq!(
            of_a("use crate::c;\nfn f() { format!(\"{}\", c::d::f()) }"),
            ["1 c", "2 c/d"]
        );
        assert_eq!(of_a("#[derive(crate::b::B)]\nstruct S;"), ["1 b"]);
        assert_eq!(of_a("macro_rules! m { () => { $crate::b::b() } }"), ["1 b"]);
        assert_eq!(
            of_a("#[derive(X)]\nstruct S { #[serde(with = \"crate::b::b\")] x: () }"),
            ["2 b"]
        );
        assert_eq!(
            of_a("pub(crate) struct S;\npub(in crate::b) fn f() {}"),
            [""; 0]
        );
    }

    /// A name that is handed on counts for the file that defines it.
    #[test]
    fn re_exports_hide_nothing() {
        assert_eq!(of_a("use crate::B;"), ["1 b"]);
        assert_eq!(of_a("use crate::c::D;"), ["1 c/d"]);
        assert_eq!(of_a("fn f(_: crate::B) {}"), ["1 b"]);
        let all = imports(&[
            (
                "lib.rs",
                "mod a;\nmod b;\npub use a::*;\npub use a::X as Y;",
            ),
            ("a.rs", "pub struct X;\npub(crate) struct Z;"),
            ("b.rs", "use crate::X;\nfn f() -> crate::Y { crate::Z }"),
        ]);
        assert_eq!(all, ["b:1 a"]);
        // Handing on is no import, but using what is handed on is.
        assert!(
            imports(&[
                ("lib.rs", "mod a;\npub use a::X;"),
                ("a.rs", "pub struct X;")
            ])
            .is_empty()
        );
        let used = imports(&[
            ("lib.rs", "mod a;\npub use a::X;\nfn f(_: X) {}"),
            ("a.rs", "pub struct X;"),
        ]);
        assert_eq!(used, ["lib:3 a"]);
        // What is handed on from elsewhere is imported.
        assert_eq!(of_a("pub use crate::b::B;"), ["1 b"]);
    }

    #[test]
    fn modules_are_found_wherever_they_are() {
        let all = imports(&[
            (
                "main.rs",
                "#[cfg(unix)]\n#[path = \"one.rs\"]\nmod x;\n#[cfg(not(unix))]\n#[path = \"two.rs\"]\nmod x;\nmod y;",
            ),
            ("one.rs", "pub fn f() {}"),
            ("two.rs", "pub fn f() {}"),
            (
                "y.rs",
                "mod z { mod w; }\n#[cfg(feature = \"x\")]\nuse crate::x::f;\n#[cfg(test)]\nmod tests { use super::z::w; use crate::none::y; }",
            ),
            ("y/z/w.rs", "use crate::x;\nuse super::super::super::y;"),
        ]);
        assert_eq!(
            all,
            [
                "y:3 one",
                "y:3 two",
                "y/z/w:1 one",
                "y/z/w:1 two",
                "y/z/w:2 y"
            ]
        );
    }

    fn floors() -> Floors {
        let text = r#"
            folder = "x"
            floors = [["b"], ["c"], ["a", "e"], ["c/d"]]
            exceptions = [{ from = "b", to = "e", reason = "for the test" }]
        "#;
        toml::from_str(text).unwrap()
    }

    fn judged(a: &str, b: &str, d: &str) -> Vec<String> {
        let root = ("lib.rs", "mod a;\nmod b;\nmod c;\nmod e;");
        let e = ("e.rs", "use crate::b::B;");
        judge(
            &floors(),
            &graph(&[
                root,
                ("a.rs", a),
                ("b.rs", b),
                ("c/mod.rs", "pub mod d;"),
                ("c/d.rs", d),
                e,
            ]),
        )
    }

    #[test]
    fn an_import_upwards_is_refused() {
        assert!(
            judged(
                "use crate::b::B;\nuse crate::c;\nuse crate::e;",
                "",
                "use crate::a;"
            )
            .is_empty()
        );
        assert_eq!(
            judged("", "\nfn f() { crate::c::f() }", ""),
            ["x/b.rs:2: imports x/c/mod.rs, upwards: `c` stands above `b`"]
        );
        // The longer name decides.
        assert_eq!(
            judged("use crate::c::d::D;", "", ""),
            ["x/a.rs:1: imports x/c/d.rs, upwards: `c/d` stands above `a`"]
        );
        assert_eq!(
            judged("use crate::Root;", "", ""),
            ["x/a.rs:1: imports x/lib.rs, upwards: `the root` stands above `a`"]
        );
        assert!(
            judged("", "use crate::e::E;", "").is_empty(),
            "it is excepted"
        );
    }

    #[test]
    fn files_that_import_each_other_are_found() {
        let root = ("lib.rs", "mod a;\nmod b;\nmod c;\nmod e;");
        let graph = graph(&[
            root,
            ("a.rs", "use crate::e::E;"),
            ("b.rs", "use crate::e::E;"),
            ("c/mod.rs", "pub mod d;\nuse d::D;"),
            ("c/d.rs", "\nuse super::C;"),
            ("e.rs", "\n\nfn f() { crate::a::f() }"),
        ]);
        let found = judge(&floors(), &graph);
        assert_eq!(
            found,
            [
                "x/c/mod.rs:2: imports x/c/d.rs, upwards: `c/d` stands above `c`",
                "x/a.rs:1, x/e.rs:3: these files import each other, each the next and the last the first",
                "x/c/mod.rs:2, x/c/d.rs:2: these files import each other, each the next and the last the first",
            ]
        );
    }

    #[test]
    fn files_and_floors_without_each_other_are_found() {
        let graph = graph(&[
            ("lib.rs", "mod a;\nmod b;\nmod f;"),
            ("a.rs", ""),
            ("b.rs", ""),
            ("f.rs", ""),
        ]);
        let found = judge(&floors(), &graph);
        assert_eq!(
            found,
            [
                "x/f.rs: stands on no floor; give it one in xtask/floors.toml",
                "xtask/floors.toml: x/c does not exist",
                "xtask/floors.toml: x/e does not exist",
                "xtask/floors.toml: x/c/d does not exist",
            ]
        );
    }

    #[test]
    fn every_file_of_this_project_is_where_the_lists_say() {
        let findings =
            check(&descope_magiclink_codegen::generate::project::root().unwrap()).unwrap();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
