//! The size limits: what is small can be read, and what grows past them has two jobs.

use syn::spanned::Spanned;
use syn::visit::Visit;

use crate::source::{Function, Project, Text, is_test, line_of, lines_of};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 100;
const LONG_FUNCTION_LINES: usize = 60;
const LONG_FUNCTIONS_PERCENT: usize = 2;
const MESSAGES: usize = 16;
const ERRORS: usize = 12;
const HANDLER_LINES: usize = 10;
const HANDLE_LINES: usize = 3;
const PORT_METHODS: usize = 4;
const LINES_PER_UNWRAP: usize = 1000;

/// Files over the cap; harness and tasks keep to it as well.
pub(crate) fn files(project: &Project) -> Vec<String> {
    let others = project
        .rust()
        .filter(|text| text.path.starts_with("tests/kit/src") || text.path.starts_with("xtask"));
    project
        .production()
        .chain(others)
        .filter_map(|text| {
            let lines = text.production_lines();
            (lines > FILE_LINES).then(|| format!("{}:1: {lines} lines", text.path))
        })
        .collect()
}

pub(crate) fn functions(project: &Project) -> Vec<String> {
    all_functions(project)
        .filter(|(_, function)| function.lines > FUNCTION_LINES)
        .map(describe)
        .collect()
}

pub(crate) fn long_functions(project: &Project) -> Vec<String> {
    let total = all_functions(project).count();
    let long: Vec<String> = all_functions(project)
        .filter(|(_, function)| function.lines > LONG_FUNCTION_LINES)
        .map(describe)
        .collect();
    if long.len() * 100 > total * LONG_FUNCTIONS_PERCENT {
        long
    } else {
        Vec::new()
    }
}

pub(crate) fn message_enums(project: &Project) -> Vec<String> {
    let is_message = |text: &Text, item: &syn::ItemEnum| {
        let name = item.ident.to_string();
        text.file_name() == "messages.rs" || name.ends_with("Msg") || name.ends_with("Message")
    };
    enums(project, MESSAGES, is_message)
}

pub(crate) fn error_enums(project: &Project) -> Vec<String> {
    let is_error = |_: &Text, item: &syn::ItemEnum| {
        let derives_error = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("derive")
                && attribute
                    .parse_args_with(
                        syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated,
                    )
                    .is_ok_and(|traits| {
                        traits.iter().any(|path| {
                            path.segments
                                .last()
                                .is_some_and(|last| last.ident == "Error")
                        })
                    })
        });
        derives_error || item.ident.to_string().ends_with("Error")
    };
    enums(project, ERRORS, is_error)
}

/// A handler may extract, convert, call one handle method and map the reply.
pub(crate) fn handlers(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for (text, function) in all_functions(project) {
        let is_handler = function.attributes.iter().any(|attribute| {
            attribute
                .path()
                .segments
                .first()
                .is_some_and(|first| first.ident == "utoipa")
        });
        if !text.path.starts_with("edges/src/http") || !is_handler {
            continue;
        }
        let lines = body_lines(&function.block);
        if lines > HANDLER_LINES {
            findings.push(format!(
                "{}:{}: `{}` has {lines} lines",
                text.path, function.line, function.name
            ));
        }
        if let Some(line) = forbidden_in_handler(&function.block) {
            findings.push(format!(
                "{}:{line}: `{}` decides, loops or spawns",
                text.path, function.name
            ));
        }
    }
    findings
}

pub(crate) fn handle_methods(project: &Project) -> Vec<String> {
    let is_handle =
        |text: &&Text| text.path.starts_with("actors/") && text.file_name() == "handle.rs";
    let mut findings = Vec::new();
    for text in project.production().filter(is_handle) {
        for function in text
            .functions()
            .iter()
            .filter(|function| function.is_public)
        {
            let statements = function.block.stmts.len();
            if statements > HANDLE_LINES {
                findings.push(format!(
                    "{}:{}: `{}` has {statements} statements",
                    text.path, function.line, function.name
                ));
            }
        }
    }
    findings
}

pub(crate) fn ports(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    for text in project
        .production()
        .filter(|text| text.file_name() == "ports.rs")
    {
        for item in text.production_tree().items {
            if let syn::Item::Trait(port) = item {
                let methods = port
                    .items
                    .iter()
                    .filter(|item| matches!(item, syn::TraitItem::Fn(_)))
                    .count();
                if methods > PORT_METHODS {
                    let line = line_of(&port.ident);
                    findings.push(format!(
                        "{}:{line}: `{}` has {methods} methods",
                        text.path, port.ident
                    ));
                }
            }
        }
    }
    findings
}

pub(crate) fn unwraps(project: &Project) -> Vec<String> {
    let mut findings = Vec::new();
    let mut lines = 0;
    for text in project.production() {
        lines += text.production_lines();
        let mut finder = Unwraps::default();
        finder.visit_file(&text.production_tree());
        findings.extend(
            finder
                .lines
                .iter()
                .map(|line| format!("{}:{line}", text.path)),
        );
    }
    if findings.len() * LINES_PER_UNWRAP > lines {
        findings
    } else {
        Vec::new()
    }
}

fn all_functions(project: &Project) -> impl Iterator<Item = (&Text, Function)> {
    project.production().flat_map(|text| {
        text.functions()
            .into_iter()
            .map(move |function| (text, function))
    })
}

fn describe((text, function): (&Text, Function)) -> String {
    format!(
        "{}:{}: `{}` has {} lines",
        text.path, function.line, function.name, function.lines
    )
}

fn enums(
    project: &Project,
    cap: usize,
    wanted: impl Fn(&Text, &syn::ItemEnum) -> bool,
) -> Vec<String> {
    let mut findings = Vec::new();
    for text in project.production() {
        for item in text.production_tree().items {
            if let syn::Item::Enum(item) = item
                && wanted(text, &item)
                && item.variants.len() > cap
            {
                let (line, count) = (line_of(&item.ident), item.variants.len());
                findings.push(format!(
                    "{}:{line}: `{}` has {count} variants",
                    text.path, item.ident
                ));
            }
        }
    }
    findings
}

/// The lines between the braces.
fn body_lines(block: &syn::Block) -> usize {
    match (block.stmts.first(), block.stmts.last()) {
        (Some(first), Some(last)) => (last.span().end().line + 1).saturating_sub(line_of(first)),
        _ => 0,
    }
}

fn forbidden_in_handler(block: &syn::Block) -> Option<usize> {
    let mut finder = Decisions::default();
    finder.visit_block(block);
    finder.line
}

/// Finds the first place where a handler does more than pass on. One `if` may map the reply.
#[derive(Default)]
struct Decisions {
    branches: usize,
    line: Option<usize>,
}

impl<'ast> Visit<'ast> for Decisions {
    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        self.branches += usize::from(matches!(expression, syn::Expr::If(_) | syn::Expr::Match(_)));
        let acts = match expression {
            syn::Expr::ForLoop(_) | syn::Expr::While(_) | syn::Expr::Loop(_) => true,
            syn::Expr::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == "spawn"),
            syn::Expr::MethodCall(call) => call.method == "spawn",
            _ => false,
        };
        if (acts || self.branches > 1) && self.line.is_none() {
            self.line = Some(line_of(expression));
        }
        syn::visit::visit_expr(self, expression);
    }
}

#[derive(Default)]
struct Unwraps {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Unwraps {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" || call.method == "expect" {
            self.lines.push(line_of(&call.method));
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_fn(self, item);
        }
    }
}

#[test]
fn lines_of_a_body_are_counted_between_its_braces() {
    let function: syn::ItemFn =
        syn::parse_str("fn f() {\n    one();\n    two(\n        3,\n    );\n}").expect("parses");
    assert_eq!(body_lines(&function.block), 4);
    assert_eq!(lines_of(&function.block), 6);
    assert_eq!(forbidden_in_handler(&function.block), None);
    let branching: syn::ItemFn =
        syn::parse_str("fn f() {\n    if a { b() }\n    for x in y {}\n}").expect("parses");
    assert_eq!(forbidden_in_handler(&branching.block), Some(3));
}
