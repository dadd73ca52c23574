//! Which files of a crate import which, by their `use` and by their paths.
//!
//! The tree of modules is walked from the root, and names are looked up in it as the compiler does: child
//! modules, items, names that `use` brings in, and `*`. An import of a re-exported name counts for the
//! file that defines it, so that no `pub use` hides an edge; the re-export of an own descendant is no
//! import by itself. Attributes of `cfg` are not evaluated, so that an import under any of them counts,
//! but for `cfg(test)`. Paths inside macros count where they begin with `crate`, `self` or `super`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, Meta, UseTree, Visibility};

type Failure = Box<dyn std::error::Error>;

/// An import: the file that imports and the line, and the file that is imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// Below the source folder, without `.rs` and `/mod.rs`.
    pub(crate) from: String,
    pub(crate) line: usize,
    pub(crate) to: String,
}

/// The files of a crate and what they import.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Names as in [`Import`], and the path below the source folder.
    pub(crate) files: BTreeMap<String, String>,
    /// One for each pair of files, at the first line.
    pub(crate) imports: Vec<Import>,
}

/// Reads the crate whose sources are in `folder`.
///
/// # Errors
///
/// When a file cannot be read, is not Rust, or a module has no file.
pub(crate) fn read(folder: &Path) -> Result<Graph, Failure> {
    let root = ["lib.rs", "main.rs"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{}: has no lib.rs and no main.rs", folder.display()))?;
    let mut tree = Tree {
        folder: folder.to_path_buf(),
        modules: Vec::new(),
        graph: Graph::default(),
        sources: Vec::new(),
    };
    let file = tree.open(&root)?;
    let root = tree.module(None, file, folder.to_path_buf());
    tree.load(root)?;
    Ok(tree.finish())
}

/// A module: one of a file, or one written in place.
#[derive(Debug)]
struct Module {
    parent: Option<usize>,
    /// Its file, by number.
    file: usize,
    /// Where the files of its children are.
    folder: PathBuf,
    children: BTreeMap<String, Vec<usize>>,
    items: BTreeSet<String>,
    /// What `use` brings in, by the name it has here.
    names: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// An item, in the file with this number.
    Item(usize),
}

struct Tree {
    folder: PathBuf,
    modules: Vec<Module>,
    graph: Graph,
    /// The files, and the name of each.
    sources: Vec<(String, File)>,
}

impl Tree {
    /// Reads a file, which then has a number.
    fn open(&mut self, path: &Path) -> Result<usize, Failure> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        let syntax = syn::parse_file(&text)
            .map_err(|error| format!("{}: is not Rust: {error}", path.display()))?;
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let below = below.to_string_lossy().replace('\\', "/");
        let name = below.trim_end_matches(".rs").trim_end_matches("/mod");
        self.graph.files.insert(name.to_owned(), below.clone());
        self.sources.push((name.to_owned(), syntax));
        Ok(self.sources.len() - 1)
    }

    fn module(&mut self, parent: Option<usize>, file: usize, folder: PathBuf) -> usize {
        self.modules.push(Module {
            parent,
            file,
            folder,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
        });
        self.modules.len() - 1
    }

    /// Reads what a module of a file holds, and its children.
    fn load(&mut self, module: usize) -> Result<(), Failure> {
        let file = self.get(module).file;
        let items = match self.sources.get(file) {
            Some((_, syntax)) => syntax.items.clone(),
            None => Vec::new(),
        };
        self.declare(module, &items)
    }

    fn declare(&mut self, module: usize, items: &[Item]) -> Result<(), Failure> {
        for item in items {
            match item {
                Item::Use(item) => {
                    for leaf in leaves(item) {
                        let module = self.get_mut(module);
                        match leaf.name {
                            Some(name) => drop(module.names.insert(name, leaf.path)),
                            None => module.globs.push(leaf.path),
                        }
                    }
                }
                Item::Mod(item) if !is_test(&item.attrs) => self.child(module, item)?,
                item => self.get_mut(module).items.extend(name_of(item)),
            }
        }
        Ok(())
    }

    fn child(&mut self, parent: usize, item: &ItemMod) -> Result<(), Failure> {
        let name = unraw(&item.ident);
        let folder = self.get(parent).folder.clone();
        let below = folder.join(&name);
        if let Some((_, items)) = &item.content {
            let child = self.module(Some(parent), self.get(parent).file, below);
            self.adopt(parent, name, child);
            return self.declare(child, items);
        }
        let (path, below) = match path_attribute(&item.attrs) {
            Some(path) => {
                let of = self.file_folder(parent);
                let path = of.join(path);
                let below = path.parent().map_or(of, Path::to_path_buf);
                (path, below)
            }
            None => {
                let candidates = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
                let found = candidates.into_iter().find(|path| path.is_file());
                let path = found
                    .ok_or_else(|| format!("{}: has no file for `mod {name}`", folder.display()))?;
                (path, below)
            }
        };
        let file = self.open(&path)?;
        let child = self.module(Some(parent), file, below);
        self.adopt(parent, name, child);
        self.load(child)
    }

    fn adopt(&mut self, parent: usize, name: String, child: usize) {
        self.get_mut(parent)
            .children
            .entry(name)
            .or_default()
            .push(child);
    }

    /// The folder that the module's file lies in, to which `#[path]` is relative.
    fn file_folder(&self, module: usize) -> PathBuf {
        let name = self.sources.get(self.get(module).file);
        let below = name.and_then(|(name, _)| self.graph.files.get(name));
        let path = self.folder.join(below.map_or("", String::as_str));
        path.parent().map_or(path.clone(), Path::to_path_buf)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of modules come from the list itself"
    )]
    fn get(&self, module: usize) -> &Module {
        &self.modules[module]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of modules come from the list itself"
    )]
    fn get_mut(&mut self, module: usize) -> &mut Module {
        &mut self.modules[module]
    }

    /// All that a path leads to, seen from a module: nothing when it leads out of the crate.
    fn resolve(&self, module: usize, path: &[String]) -> Vec<Target> {
        self.follow(module, path, &mut Vec::new())
    }

    fn follow(
        &self,
        module: usize,
        path: &[String],
        seen: &mut Vec<(usize, String)>,
    ) -> Vec<Target> {
        let mut at = module;
        let mut rest = path;
        loop {
            let [first, more @ ..] = rest else {
                return vec![Target::Module(at)];
            };
            match first.as_str() {
                "crate" | "$crate" => at = 0,
                "self" => {}
                "super" => at = self.get(at).parent.unwrap_or(0),
                _ => break,
            }
            rest = more;
        }
        let anchored = rest.len() < path.len();
        self.descend(at, rest, anchored, seen)
    }

    /// Looks names up below a module. From an anchor (`crate`, `self`, `super`, a module) whatever is not
    /// found is taken for an item that a macro makes there; without one it is of another crate.
    fn descend(
        &self,
        at: usize,
        path: &[String],
        anchored: bool,
        seen: &mut Vec<(usize, String)>,
    ) -> Vec<Target> {
        let [first, more @ ..] = path else {
            return vec![Target::Module(at)];
        };
        let key = (at, first.clone());
        if seen.contains(&key) {
            return Vec::new();
        }
        seen.push(key);
        let module = self.get(at);
        let mut found = Vec::new();
        if let Some(children) = module.children.get(first) {
            found.extend(children.iter().map(|child| Target::Module(*child)));
        }
        if module.items.contains(first) {
            found.push(Target::Item(module.file));
        }
        if let Some(path) = module.names.get(first) {
            found.extend(self.follow(at, path, seen));
        }
        if found.is_empty() {
            for glob in &module.globs {
                for target in self.follow(at, glob, seen) {
                    // An enum's variants, or a module's names.
                    let Target::Module(of) = target else { continue };
                    found.extend(self.known(of, first, seen));
                }
            }
        }
        if found.is_empty() && anchored {
            found.push(Target::Item(module.file));
        }
        seen.pop();
        let found = found.into_iter().flat_map(|target| match target {
            Target::Module(of) if !more.is_empty() => self.descend(of, more, true, seen),
            target => vec![target],
        });
        found.collect()
    }

    /// A name of a module that a glob looks into, if it is there for sure.
    fn known(&self, module: usize, name: &str, seen: &mut Vec<(usize, String)>) -> Vec<Target> {
        self.descend(module, &[name.to_owned()], false, seen)
    }

    fn file_of(&self, target: Target) -> usize {
        match target {
            Target::Module(module) => self.get(module).file,
            Target::Item(file) => file,
        }
    }

    fn finish(self) -> Graph {
        let mut lines: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (number, module) in self.modules.iter().enumerate() {
            let is_of_file = module
                .parent
                .is_none_or(|parent| self.get(parent).file != module.file);
            if let Some((_, syntax)) = self.sources.get(module.file).filter(|_| is_of_file) {
                let mut reader = Reader {
                    tree: &self,
                    module: number,
                    file: module.file,
                    lines: &mut lines,
                };
                reader.visit_file(syntax);
            }
        }
        let name = |file: usize| self.sources.get(file).map(|(name, _)| name.clone());
        let mut graph = self.graph;
        let imports = lines.into_iter().filter_map(|((from, to), line)| {
            Some(Import {
                from: name(from)?,
                line,
                to: name(to)?,
            })
        });
        graph.imports = imports.collect();
        graph.imports.sort();
        graph
    }
}

/// Reads one file for its imports.
struct Reader<'a> {
    tree: &'a Tree,
    module: usize,
    file: usize,
    /// The first line of each pair of files.
    lines: &'a mut BTreeMap<(usize, usize), usize>,
}

impl Reader<'_> {
    fn import(&mut self, target: Target, span: Span) {
        let to = self.tree.file_of(target);
        if to != self.file {
            let line = span.start().line;
            let first = self.lines.entry((self.file, to)).or_insert(line);
            *first = line.min(*first);
        }
    }

    /// Whether a module is below the one that is being read.
    fn is_own(&self, target: Target) -> bool {
        let file = self.tree.file_of(target);
        let mut of =
            (0..self.tree.modules.len()).find(|number| self.tree.get(*number).file == file);
        while let Some(module) = of {
            if module == self.module {
                return true;
            }
            of = self.tree.get(module).parent;
        }
        false
    }

    fn path(&mut self, path: &[String], span: Span) {
        let targets = self.tree.resolve(self.module, path);
        let is_name = path.len() == 1;
        for target in targets {
            // A single name is a variable as soon as a module.
            if !is_name || matches!(target, Target::Item(_)) {
                self.import(target, span);
            }
        }
    }

    /// Paths in tokens that nobody parses, as far as they show that they are of this crate.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut start = Span::call_site();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let text = unraw(&ident);
                    if !path.is_empty() && colons == 2 {
                        path.push(text);
                    } else {
                        self.end(&mut path, start);
                        if matches!(text.as_str(), "crate" | "self" | "super") {
                            path.push(text);
                            start = ident.span();
                        }
                    }
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end(&mut path, start);
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    self.end(&mut path, start);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, start);
    }

    fn end(&mut self, path: &mut Vec<String>, span: Span) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.path(&path, span);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let Some((_, items)) = &item.content else {
            return;
        };
        let outer = self.module;
        let children = self.tree.get(outer).children.get(&unraw(&item.ident));
        let here = children
            .into_iter()
            .flatten()
            .find(|child| self.tree.get(**child).file == self.file);
        if let Some(here) = here {
            self.module = *here;
            for item in items {
                self.visit_item(item);
            }
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_export = !matches!(item.vis, Visibility::Inherited);
        for leaf in leaves(item) {
            for target in self.tree.resolve(self.module, &leaf.path) {
                // What is handed on from below is imported by who names it.
                if !(is_export && self.is_own(target)) {
                    self.import(target, leaf.span);
                }
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments: Vec<String> = path
                .segments
                .iter()
                .map(|segment| unraw(&segment.ident))
                .collect();
            if let Some(first) = path.segments.first() {
                self.path(&segments, first.ident.span());
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.visit_path(&node.path);
        // Quoted code is another crate's.
        let name = node.path.segments.last().map(|last| unraw(&last.ident));
        if !name.is_some_and(|name| name.contains("quote")) {
            self.tokens(node.tokens.clone());
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // Serde names functions by their path in a text.
        if let Meta::List(list) = &attribute.meta {
            for token in list.tokens.clone() {
                let TokenTree::Literal(literal) = token else {
                    continue;
                };
                let text = literal.to_string();
                let text = text.trim_matches('"');
                if ["crate::", "self::", "super::"]
                    .iter()
                    .any(|start| text.starts_with(start))
                {
                    let path: Vec<String> = text.split("::").map(str::to_owned).collect();
                    self.path(&path, literal.span());
                }
            }
        }
        visit::visit_attribute(self, attribute);
    }
}

/// One name that a `use` brings in; all names of a module have none.
struct Leaf {
    name: Option<String>,
    path: Vec<String>,
    span: Span,
}

fn leaves(item: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        collect(&item.tree, &[], &mut found);
    }
    found
}

fn collect(tree: &UseTree, before: &[String], found: &mut Vec<Leaf>) {
    let with = |name: String| {
        let mut path = before.to_vec();
        // `a::{self}` is `a`.
        if name != "self" || before.is_empty() {
            path.push(name);
        }
        path
    };
    let leaf = |ident: &syn::Ident, path: Vec<String>, name: Option<String>| Leaf {
        name,
        path,
        span: ident.span(),
    };
    match tree {
        UseTree::Path(tree) => collect(&tree.tree, &with(unraw(&tree.ident)), found),
        UseTree::Name(tree) => {
            let path = with(unraw(&tree.ident));
            let name = path.last().cloned();
            found.push(leaf(&tree.ident, path, name));
        }
        UseTree::Rename(tree) => {
            let path = with(unraw(&tree.ident));
            found.push(leaf(&tree.ident, path, Some(unraw(&tree.rename))));
        }
        UseTree::Glob(tree) => found.push(Leaf {
            name: None,
            path: before.to_vec(),
            span: tree
                .star_token
                .spans
                .first()
                .copied()
                .unwrap_or_else(Span::call_site),
        }),
        UseTree::Group(tree) => tree
            .items
            .iter()
            .for_each(|tree| collect(tree, before, found)),
    }
}

fn unraw(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(unraw(ident))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        matches!(&attribute.meta, Meta::List(list)
            if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

/// The text of `#[path = "..."]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(literal) = &pair.value else {
            return None;
        };
        let syn::Lit::Str(text) = &literal.lit else {
            return None;
        };
        pair.path.is_ident("path").then(|| text.value())
    })
}
