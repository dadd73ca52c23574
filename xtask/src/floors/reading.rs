//! Which files of a crate import which, by their `use` and by their paths.
//!
//! The tree of modules is walked from the root, and names are looked up in it as the compiler does: child
//! modules, items, names that `use` brings in, and `*`. An import of a re-exported name counts for the
//! file that defines it, so that no `pub use` hides an edge; the re-export of an own descendant is no
//! import by itself. Attributes of `cfg` are not evaluated, so that an import under any of them counts,
//! but for `cfg(test)`. In what macros and attributes are given, paths of two names and more count.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Ident, Item, ItemMod, ItemUse, Lit, LitStr, Meta, Token};
use syn::{MetaNameValue, UseTree, Visibility};

type Failure = Box<dyn std::error::Error>;

/// The files of a crate and what they import. A file has the name of its path below the source folder,
/// without `.rs` and `/mod.rs`.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The path for each name.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) imports: Imports,
}

/// The file that imports, the one that is imported, and the first line that does it.
pub(crate) type Imports = BTreeMap<(String, String), usize>;

/// Reads the crate whose sources are in `folder`.
///
/// # Errors
///
/// When a file cannot be read, is not Rust, or a module has no file.
pub(crate) fn read(folder: &Path) -> Result<Graph, Failure> {
    let root = ["lib.rs", "main.rs"].map(|name| folder.join(name));
    let root = root.iter().find(|path| path.is_file());
    let root = root.ok_or_else(|| format!("{}: has no lib.rs and no main.rs", folder.display()))?;
    let mut tree = Tree {
        folder: folder.to_path_buf(),
        files: BTreeMap::new(),
        modules: Vec::new(),
        mentions: Vec::new(),
    };
    tree.file(None, root, folder.to_path_buf())?;
    let imports = tree.imports();
    Ok(Graph {
        files: tree.files,
        imports,
    })
}

/// A module: one of a file, or one written in place.
struct Module {
    parent: Option<usize>,
    /// The name of its file.
    file: String,
    /// Where the files of its children are.
    folder: PathBuf,
    /// More than one where `cfg` chooses between them. What `use` brings in with `*` is under that name.
    names: BTreeMap<String, Vec<Name>>,
}

/// What a name stands for in a module.
enum Name {
    Of(Target),
    Use(Vec<String>),
}

/// What a path leads to: a module, or an item in it.
#[derive(Clone, Copy)]
struct Target {
    module: usize,
    is_item: bool,
}

/// A path that a module names.
struct Mention {
    module: usize,
    path: Vec<String>,
    line: usize,
    by: By,
}

/// How a path is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Path,
    Use,
    Export,
}

struct Tree {
    folder: PathBuf,
    files: BTreeMap<String, String>,
    modules: Vec<Module>,
    mentions: Vec<Mention>,
}

impl Tree {
    /// Reads the module of a file, and those below it.
    fn file(
        &mut self,
        parent: Option<usize>,
        path: &Path,
        folder: PathBuf,
    ) -> Result<usize, Failure> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        let syntax = syn::parse_file(&text)
            .map_err(|error| format!("{}: is not Rust: {error}", path.display()))?;
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let below = below.to_string_lossy().replace('\\', "/");
        let name = below.trim_end_matches(".rs").trim_end_matches("/mod");
        let name = name.to_owned();
        self.files.insert(name.clone(), below);
        self.module(parent, name, folder, &syntax.items)
    }

    fn module(
        &mut self,
        parent: Option<usize>,
        file: String,
        folder: PathBuf,
        items: &[Item],
    ) -> Result<usize, Failure> {
        let number = self.modules.len();
        self.modules.push(Module {
            parent,
            file,
            folder,
            names: BTreeMap::new(),
        });
        for item in items.iter().filter(|item| !is_test(item)) {
            let mut declared = Vec::new();
            if let Item::Use(item) = item {
                let leaves = leaves(item).into_iter();
                declared.extend(leaves.map(|leaf| (leaf.name, Name::Use(leaf.path))));
            } else if let (_, Some(name)) = head(item) {
                let (module, is_item) = match item {
                    Item::Mod(item) => (self.child(number, item)?, false),
                    _ => (number, true),
                };
                let target = Target { module, is_item };
                declared.push((name.unraw().to_string(), Name::Of(target)));
            }
            if let Some(module) = self.modules.get_mut(number) {
                for (name, stands_for) in declared {
                    module.names.entry(name).or_default().push(stands_for);
                }
            }
            let mut reader = Reader {
                module: number,
                mentions: &mut self.mentions,
            };
            reader.visit_item(item);
        }
        Ok(number)
    }

    fn child(&mut self, parent: usize, item: &ItemMod) -> Result<usize, Failure> {
        let name = item.ident.unraw().to_string();
        let Module { folder, file, .. } = self.get(parent);
        let below = folder.join(&name);
        if let Some((_, items)) = &item.content {
            let file = file.clone();
            return self.module(Some(parent), file, below, items);
        }
        if let Some(path) = path_attribute(&item.attrs) {
            // It is relative to the folder of the file.
            let file = self.folder.join(self.files.get(file).unwrap_or(file));
            let path = file.with_file_name(path);
            let below = path.parent().unwrap_or(&path).to_path_buf();
            return self.file(Some(parent), &path, below);
        }
        let candidates = [folder.join(format!("{name}.rs")), below.join("mod.rs")];
        let path = candidates.iter().find(|path| path.is_file());
        let path =
            path.ok_or_else(|| format!("{}: has no file for `mod {name}`", folder.display()))?;
        self.file(Some(parent), path, below)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers of modules come from the list itself"
    )]
    fn get(&self, module: usize) -> &Module {
        &self.modules[module]
    }

    /// All that a path leads to, seen from a module: nothing when it leads out of the crate.
    fn resolve(
        &self,
        mut at: usize,
        path: &[String],
        seen: &mut Vec<(usize, String)>,
    ) -> Vec<Target> {
        let mut rest = path;
        while let [first, more @ ..] = rest {
            match first.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => at = self.get(at).parent.unwrap_or(0),
                _ => break,
            }
            rest = more;
        }
        self.descend(at, rest, rest.len() < path.len(), seen)
    }

    /// Looks names up below a module. From an anchor (`crate`, `self`, `super`, a module) whatever is not
    /// found is taken for an item that a macro makes there; without one it is of another crate.
    fn descend(
        &self,
        at: usize,
        path: &[String],
        is_anchored: bool,
        seen: &mut Vec<(usize, String)>,
    ) -> Vec<Target> {
        let target = |module, is_item| Target { module, is_item };
        let [first, more @ ..] = path else {
            return vec![target(at, false)];
        };
        let key = (at, first.clone());
        if seen.contains(&key) {
            return Vec::new();
        }
        seen.push(key);
        let names = &self.get(at).names;
        let mut found = Vec::new();
        for name in names.get(first).into_iter().flatten() {
            match name {
                Name::Of(target) => found.push(*target),
                Name::Use(path) => match self.resolve(at, path, seen) {
                    // Of another crate, and handed on here.
                    targets if targets.is_empty() && is_anchored => found.push(target(at, true)),
                    targets => found.extend(targets),
                },
            }
        }
        if found.is_empty() {
            for name in names.get("*").into_iter().flatten() {
                let Name::Use(path) = name else { continue };
                // An enum's variants, or a module's names: those that are there for sure.
                let modules = self.resolve(at, path, seen);
                for of in modules.iter().filter(|target| !target.is_item) {
                    found.extend(self.descend(of.module, std::slice::from_ref(first), false, seen));
                }
            }
        }
        if found.is_empty() && is_anchored {
            found.push(target(at, true));
        }
        seen.pop();
        let found = found.into_iter().flat_map(|target| {
            if target.is_item || more.is_empty() {
                vec![target]
            } else {
                self.descend(target.module, more, true, seen)
            }
        });
        found.collect()
    }

    fn is_below(&self, module: usize, of: usize) -> bool {
        let parent = self.get(module).parent;
        module == of || parent.is_some_and(|parent| self.is_below(parent, of))
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for mention in &self.mentions {
            let from = &self.get(mention.module).file;
            for target in self.resolve(mention.module, &mention.path, &mut Vec::new()) {
                let to = &self.get(target.module).file;
                // A single name is a variable as soon as a module, but for `use super::*`. What is handed on
                // from below is imported by who names it.
                let counts = match mention.by {
                    By::Path => target.is_item || mention.path.len() > 1,
                    By::Use => true,
                    By::Export => !self.is_below(target.module, mention.module),
                };
                if from != to && counts {
                    let first = imports.entry((from.clone(), to.clone()));
                    let first = first.or_insert(mention.line);
                    *first = mention.line.min(*first);
                }
            }
        }
        imports
    }
}

/// Reads the items of one module for the paths that they name.
struct Reader<'a> {
    module: usize,
    mentions: &'a mut Vec<Mention>,
}

impl Reader<'_> {
    fn mention(&mut self, path: Vec<String>, line: usize, by: By) {
        self.mentions.push(Mention {
            module: self.module,
            path,
            line,
            by,
        });
    }

    /// Paths in tokens that nobody parses; in those of attributes as texts too, for serde names functions so.
    fn tokens(&mut self, tokens: TokenStream, of_attribute: bool) {
        let paths = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if input.peek(LitStr) && of_attribute {
                    if let Ok(path) = input.parse::<LitStr>()?.parse::<syn::Path>()
                        && path.segments.len() > 1
                    {
                        self.visit_path(&path);
                    }
                } else if input.peek(Ident::peek_any) {
                    let first = input.call(Ident::parse_any)?;
                    let mut path = vec![first.unraw().to_string()];
                    while input.peek(Token![::]) && input.peek3(Ident::peek_any) {
                        input.parse::<Token![::]>()?;
                        path.push(input.call(Ident::parse_any)?.unraw().to_string());
                    }
                    if path.len() > 1 {
                        self.mention(path, first.span().start().line, By::Path);
                    }
                } else if let TokenTree::Group(group) = input.parse()? {
                    self.tokens(group.stream(), of_attribute);
                }
            }
            Ok(())
        };
        // It fails nowhere: whatever is there is read as a token.
        let _ = paths.parse2(tokens);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(item) {
            visit::visit_item(self, item);
        }
    }

    /// Modules have readers of their own.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let by = match item.vis {
            Visibility::Inherited => By::Use,
            _ => By::Export,
        };
        for leaf in leaves(item) {
            self.mention(leaf.path, leaf.line, by);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|s| s.ident.unraw().to_string());
            self.mention(names.collect(), path.span().start().line, By::Path);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.visit_path(&node.path);
        // Quoted code is another crate's.
        let name = node.path.segments.last().map(|last| last.ident.to_string());
        if !name.is_some_and(|name| name.contains("quote")) {
            self.tokens(node.tokens.clone(), false);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone(), true);
        }
        visit::visit_attribute(self, attribute);
    }
}

/// One name that a `use` brings in; `*` for all names of a module.
struct Leaf {
    name: String,
    path: Vec<String>,
    line: usize,
}

fn leaves(item: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        collect(&item.tree, Vec::new(), &mut found);
    }
    found
}

fn collect(tree: &UseTree, mut path: Vec<String>, found: &mut Vec<Leaf>) {
    let name = match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.unraw().to_string());
            return collect(&tree.tree, path, found);
        }
        UseTree::Group(tree) => {
            let trees = tree.items.iter();
            return trees.for_each(|tree| collect(tree, path.clone(), found));
        }
        UseTree::Glob(_) => Some("*".to_owned()),
        UseTree::Name(tree) => {
            path.push(tree.ident.unraw().to_string());
            None
        }
        UseTree::Rename(tree) => {
            path.push(tree.ident.unraw().to_string());
            Some(tree.rename.unraw().to_string())
        }
    };
    // `a::{self}` is `a`.
    path.pop_if(|last| last == "self");
    found.push(Leaf {
        name: name.or_else(|| path.last().cloned()).unwrap_or_default(),
        path,
        line: tree.span().start().line,
    });
}

/// The attributes of an item, and the name by which a path leads to it.
fn head(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::TraitAlias(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}

/// Whether an item is there for unit tests alone.
fn is_test(item: &Item) -> bool {
    head(item).0.iter().any(|attribute| {
        matches!(&attribute.meta, Meta::List(list)
            if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}

/// The text of `#[path = "..."]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find_map(|attribute| match &attribute.meta {
            Meta::NameValue(MetaNameValue {
                path,
                value:
                    Expr::Lit(ExprLit {
                        lit: Lit::Str(text),
                        ..
                    }),
                ..
            }) if path.is_ident("path") => Some(text.value()),
            _ => None,
        })
}
