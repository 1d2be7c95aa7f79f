//! The sources, read and parsed once per check.
//!
//! Why the file system and not `git ls-files`: a file that is not yet added must be right too, and a source package has
//! no repository.

use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::Visit;

/// The whole project.
pub(crate) struct Project {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Every file that is not built, fetched or binary, by its path from the root.
    pub(crate) texts: Vec<Text>,
}

/// A text file.
pub(crate) struct Text {
    /// The path from the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A function with its body, wherever it stands.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
    pub(crate) attributes: Vec<syn::Attribute>,
    pub(crate) block: syn::Block,
    pub(crate) is_public: bool,
    pub(crate) output: syn::ReturnType,
}

const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "dist", "snapshots"];
const KNOWN: [&str; 12] = [
    "rs", "toml", "md", "sql", "sh", "json", "yml", "yaml", "service", "html", "css", "js",
];

impl Project {
    /// Reads everything.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().expect("the workspace's root");
        let mut texts = Vec::new();
        collect(&root, &root, &mut texts);
        texts.sort_by(|a, b| a.path.cmp(&b.path));
        Self { root, texts }
    }

    /// A file by its path from the root.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|text| text.path == path)
            .map(|text| text.text.as_str())
    }

    /// The Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &Text> {
        self.texts.iter().filter(|text| text.has_extension("rs"))
    }

    /// The Rust sources that end up in the binary: no test, no bench, no task.
    pub(crate) fn production(&self) -> impl Iterator<Item = &Text> {
        self.rust().filter(|text| text.is_production())
    }

    /// The domains: every crate below `actors/` but `ground`.
    pub(crate) fn domains(&self) -> Vec<String> {
        let mut domains: Vec<String> = self
            .texts
            .iter()
            .filter_map(|text| {
                text.path
                    .strip_prefix("actors/")?
                    .strip_suffix("/Cargo.toml")
            })
            .filter(|name| *name != "ground" && !name.contains('/'))
            .map(str::to_owned)
            .collect();
        domains.sort();
        domains
    }
}

impl Text {
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn is_production(&self) -> bool {
        let in_product = ["supervisor/src/", "actors/", "edges/src/"]
            .iter()
            .any(|room| self.path.starts_with(room));
        let is_test = self
            .path
            .split('/')
            .any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples"))
            || self.path.ends_with("_tests.rs");
        in_product && !is_test && self.path.contains("/src/")
    }

    /// The syntax tree without test modules.
    pub(crate) fn production_tree(&self) -> syn::File {
        let mut file = self.tree();
        file.items.retain(|item| !is_test_item(item));
        file
    }

    /// The whole syntax tree.
    pub(crate) fn tree(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// The number of lines that do not belong to test modules.
    pub(crate) fn production_lines(&self) -> usize {
        let of_tests: usize = self
            .tree()
            .items
            .iter()
            .filter(|item| is_test_item(item))
            .map(lines_of)
            .sum();
        self.text.lines().count().saturating_sub(of_tests)
    }

    /// Every function of the production tree.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut collector = Collector::default();
        collector.visit_file(&self.production_tree());
        collector.found
    }
}

/// The lines from the first to the last token.
pub(crate) fn lines_of(spanned: &impl Spanned) -> usize {
    let span = spanned.span();
    span.end().line.saturating_sub(span.start().line) + 1
}

pub(crate) fn line_of(spanned: &impl Spanned) -> usize {
    spanned.span().start().line
}

/// Whether attributes hold `#[cfg(test)]` or a test attribute.
pub(crate) fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg_test = || {
            attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Path>()
                    .is_ok_and(|condition| condition.is_ident("test"))
        };
        attribute
            .path()
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "test")
            || is_cfg_test()
    })
}

fn is_test_item(item: &syn::Item) -> bool {
    match item {
        syn::Item::Mod(item) => is_test(&item.attrs),
        syn::Item::Fn(item) => is_test(&item.attrs),
        syn::Item::Impl(item) => is_test(&item.attrs),
        syn::Item::Use(item) => is_test(&item.attrs),
        _ => false,
    }
}

#[derive(Default)]
struct Collector {
    found: Vec<Function>,
}

impl Collector {
    fn add(
        &mut self,
        attributes: &[syn::Attribute],
        visibility: Option<&syn::Visibility>,
        signature: &syn::Signature,
        block: &syn::Block,
    ) {
        if is_test(attributes) {
            return;
        }
        self.found.push(Function {
            name: signature.ident.to_string(),
            line: line_of(signature),
            lines: block.span().end().line.saturating_sub(line_of(signature)) + 1,
            attributes: attributes.to_vec(),
            block: block.clone(),
            is_public: matches!(visibility, Some(syn::Visibility::Public(_))),
            output: signature.output.clone(),
        });
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add(&item.attrs, Some(&item.vis), &item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add(&item.attrs, Some(&item.vis), &item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.attrs, None, &item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

fn collect(root: &Path, dir: &Path, texts: &mut Vec<Text>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if !SKIPPED.contains(&name) {
                collect(root, &path, texts);
            }
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_known = extension.is_none_or(|extension| KNOWN.contains(&extension));
        if is_known && let Ok(text) = fs::read_to_string(&path) {
            let relative = path.strip_prefix(root).expect("below the root");
            let path = relative.to_string_lossy().replace('\\', "/");
            texts.push(Text { path, text });
        }
    }
}
