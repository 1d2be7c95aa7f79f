//! What a file, an item and a fallible function must say of themselves.

use syn::visit::Visit;

use crate::source::{Project, Text, line_of};

pub(crate) fn file_docs(project: &Project) -> Vec<String> {
    project
        .rust()
        .filter(|text| !text.text.starts_with("//!"))
        .map(|text| format!("{}:1", text.path))
        .collect()
}

pub(crate) fn item_docs(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for text in documented(project) {
        let mut finder = Undocumented::default();
        finder.visit_file(&text.production_tree());
        findings.extend(
            finder
                .found
                .iter()
                .map(|(line, name)| format!("{}:{line}: `{name}`", text.path)),
        );
    }
    findings
}

pub(crate) fn errors(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for text in documented(project) {
        for function in text.functions() {
            let told = doc_of(&function.attributes).contains("# Errors");
            if function.is_public && returns_result(&function.output) && !told {
                findings.push(format!(
                    "{}:{}: `{}`",
                    text.path, function.line, function.name
                ));
            }
        }
    }
    findings
}

/// The binary's own crate has no outside reader: its public items are those of its modules, which the compiler checks.
fn documented(project: &Project) -> impl Iterator<Item = &Text> {
    project
        .production()
        .filter(|text| !text.path.starts_with("edges/"))
}

fn returns_result(output: &syn::ReturnType) -> bool {
    let syn::ReturnType::Type(_, output) = output else {
        return false;
    };
    matches!(&**output, syn::Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"))
}

fn doc_of(attributes: &[syn::Attribute]) -> String {
    let mut doc = String::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
    {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &pair.value
        {
            doc.push_str(&text.value());
            doc.push('\n');
        }
    }
    doc
}

fn has_doc(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("doc"))
}

#[derive(Default)]
struct Undocumented {
    found: Vec<(usize, String)>,
}

impl Undocumented {
    fn check(
        &mut self,
        attributes: &[syn::Attribute],
        visibility: &syn::Visibility,
        name: &syn::Ident,
    ) {
        if matches!(visibility, syn::Visibility::Public(_)) && !has_doc(attributes) {
            self.found.push((line_of(name), name.to_string()));
        }
    }
}

impl<'ast> Visit<'ast> for Undocumented {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.check(&item.attrs, &item.vis, &item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.check(&item.attrs, &item.vis, &item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.check(&item.attrs, &item.vis, &item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.check(&item.attrs, &item.vis, &item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.check(&item.attrs, &item.vis, &item.ident);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.check(&item.attrs, &item.vis, &item.sig.ident);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_none() {
            syn::visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.check(&item.attrs, &item.vis, &item.sig.ident);
    }
}
