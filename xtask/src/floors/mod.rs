//! Imports run downwards, from floor to floor, and never in a circle.

mod lists;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::lists::{CRATES, Floors};
use self::reading::{Graph, Import};

/// What is wrong in all crates whose layout holds.
///
/// # Errors
///
/// When sources cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut findings = Vec::new();
    for floors in CRATES.iter().filter(|floors| floors.holds) {
        let graph = reading::read(&root.join(floors.folder))?;
        findings.extend(judge(floors, &graph));
    }
    Ok(findings)
}

fn judge(floors: &Floors, graph: &Graph) -> Vec<String> {
    let path = |name: &str| {
        let below = graph.files.get(name).map_or(name, String::as_str);
        format!("{}/{below}", floors.folder)
    };
    let mut findings = Vec::new();
    for name in graph.files.keys() {
        if floor(floors, name).is_none() {
            findings.push(format!(
                "{}: stands on no floor; give it one in xtask/src/floors/lists.rs",
                path(name)
            ));
        }
    }
    for listed in floors.floors.iter().copied().flatten() {
        let folder = format!("{listed}/");
        let is_there = |name: &String| name == listed || name.starts_with(&folder);
        if !graph.files.keys().any(is_there) {
            findings.push(format!(
                "xtask/src/floors/lists.rs: {}/{listed} does not exist",
                floors.folder
            ));
        }
    }
    let is_excepted = |import: &Import| {
        let mut exceptions = floors.exceptions.iter();
        exceptions.any(|known| known.from == import.from && known.to == import.to)
    };
    let imports: Vec<&Import> = graph.imports.iter().filter(|i| !is_excepted(i)).collect();
    for import in &imports {
        let (from, to) = (floor(floors, &import.from), floor(floors, &import.to));
        if let (Some((from, above)), Some((to, below))) = (from, to)
            && to > from
        {
            findings.push(format!(
                "{}:{}: imports {}, upwards: `{below}` stands above `{above}`",
                path(&import.from),
                import.line,
                path(&import.to)
            ));
        }
    }
    for circle in circles(&imports) {
        let steps: Vec<String> = circle
            .iter()
            .map(|import| format!("{}:{}", path(&import.from), import.line))
            .collect();
        findings.push(format!(
            "{}: these files import each other, each the next and the last the first",
            steps.join(", ")
        ));
    }
    findings
}

/// The floor of a file by number, and the name that puts it there.
fn floor<'a>(floors: &'a Floors, file: &str) -> Option<(usize, &'a str)> {
    if matches!(file, "lib" | "main") {
        return Some((usize::MAX, "the root"));
    }
    let all = floors
        .floors
        .iter()
        .enumerate()
        .flat_map(|(number, names)| names.iter().map(move |name| (number, *name)));
    all.filter(|(_, name)| {
        let rest = file.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
    .max_by_key(|(_, name)| name.len())
}

/// For each group of files that import each other, the shortest way round through its first file.
fn circles<'a>(imports: &[&'a Import]) -> Vec<Vec<&'a Import>> {
    let mut by_file: BTreeMap<&str, Vec<&Import>> = BTreeMap::new();
    for import in imports {
        by_file.entry(&import.from).or_default().push(import);
    }
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for start in by_file.keys() {
        if done.contains(start) {
            continue;
        }
        let Some(circle) = way_round(start, &by_file) else {
            continue;
        };
        // Whoever can be reached from here and back is of the same group.
        let forth = reached(start, &by_file);
        done.extend(
            forth
                .into_iter()
                .filter(|file| reached(file, &by_file).contains(start)),
        );
        found.push(circle);
    }
    found
}

fn reached<'a>(start: &str, by_file: &BTreeMap<&'a str, Vec<&'a Import>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut todo = vec![start];
    while let Some(file) = todo.pop() {
        for import in by_file.get(file).into_iter().flatten() {
            if found.insert(import.to.as_str()) {
                todo.push(&import.to);
            }
        }
    }
    found
}

/// The shortest chain of imports from a file back to itself.
fn way_round<'a>(
    start: &str,
    by_file: &BTreeMap<&'a str, Vec<&'a Import>>,
) -> Option<Vec<&'a Import>> {
    let mut chains: Vec<Vec<&'a Import>> = vec![Vec::new()];
    let mut seen = BTreeSet::new();
    while !chains.is_empty() {
        let mut longer = Vec::new();
        for chain in chains {
            let at = chain.last().map_or(start, |import| import.to.as_str());
            for import in by_file.get(at).into_iter().flatten() {
                let mut chain = chain.clone();
                chain.push(import);
                if import.to == start {
                    return Some(chain);
                }
                if seen.insert(&import.to) {
                    longer.push(chain);
                }
            }
        }
        chains = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floors::lists::Exception;

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
        let show = |import: &Import| format!("{}:{} {}", import.from, import.line, import.to);
        graph.imports.iter().map(show).collect()
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

    const FLOORS: Floors = Floors {
        folder: "x",
        holds: true,
        floors: &[&["b"], &["c"], &["a", "e"], &["c/d"]],
        exceptions: &[Exception {
            from: "b",
            to: "e",
            reason: "for the test",
        }],
    };

    fn judged(a: &str, b: &str, d: &str) -> Vec<String> {
        let root = ("lib.rs", "mod a;\nmod b;\nmod c;\nmod e;");
        let e = ("e.rs", "use crate::b::B;");
        judge(
            &FLOORS,
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
        let found = judge(&FLOORS, &graph);
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
        let found = judge(&FLOORS, &graph);
        assert_eq!(
            found,
            [
                "x/f.rs: stands on no floor; give it one in xtask/src/floors/lists.rs",
                "xtask/src/floors/lists.rs: x/c does not exist",
                "xtask/src/floors/lists.rs: x/e does not exist",
                "xtask/src/floors/lists.rs: x/c/d does not exist",
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
