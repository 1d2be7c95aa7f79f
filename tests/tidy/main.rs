//! The project's own rules, checked over its sources and its dependency graph.
//!
//! Why a test and not a page: a rule that nobody checks holds until the first hurry. What is here is what CONTRIBUTING.md
//! asks for and a program can decide; every finding names file, line and rule.
//!
//! # Layout
//!
//! * `source` reads the tracked sources and parses them once.
//! * `caps` holds the size limits, `docs` what every file must say of itself, `imports` who may use whom.
//! * `asvs` holds the table of security requirements against the tests that it names.
//! * `domains` checks that each domain has all its places, `hygiene` what must not be in any file, `personal` that all that is kept of people
//!   is written down.

mod asvs;
mod caps;
mod docs;
mod domains;
mod hygiene;
mod imports;
mod personal;
mod source;

use source::Project;

/// Fails with all findings at once.
fn expect_none(rule: &str, findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} place(s) against the rule: {rule}\n{}",
        findings.len(),
        findings.join("\n")
    );
}

macro_rules! rules {
    ($($name:ident: $rule:literal => $check:expr;)+) => {
        $(#[test]
        fn $name() {
            let project = Project::read();
            expect_none($rule, &$check(&project));
        })+
    };
}

rules! {
    files_are_short: "a production file has at most 600 lines" => caps::files;
    functions_are_short: "a production function has at most 100 lines" => caps::functions;
    few_functions_are_long: "at most 2 % of the production functions have more than 60 lines" => caps::long_functions;
    message_enums_are_small: "a message enum has at most 16 variants" => caps::message_enums;
    error_enums_are_small: "an error enum has at most 12 variants" => caps::error_enums;
    handlers_are_thin: "an HTTP handler has at most 10 lines and one branch, and does not loop or spawn" => caps::handlers;
    handles_are_thin: "a method of a domain's handle has at most 3 lines" => caps::handle_methods;
    ports_are_small: "a port trait has at most 4 methods" => caps::ports;
    nothing_is_unwrapped: "at most one `unwrap` or `expect` per 1,000 production lines" => caps::unwraps;
    every_file_says_why: "a file begins with `//!`" => docs::file_docs;
    public_items_are_documented: "a public item has a doc comment" => docs::item_docs;
    fallible_functions_tell_errors: "a public function that returns `Result` has `# Errors`" => docs::errors;
    crates_import_by_the_rules: "who may import whom" => imports::graph;
    tests_stay_outside: "tests/e2e uses no crate of ours but the harness" => imports::end_to_end;
    unsafe_is_confined: "every crate but ptys forbids unsafe code" => imports::unsafe_code;
    sql_is_in_the_store: "SQL is in `store.rs` or `store/` of a domain, in the domain store, or in ground's database handle" => imports::sql;
    domains_have_all_files: "a domain has the same file names as the others" => domains::files;
    domains_have_migrations: "a domain with a `store.rs` has migrations for both databases" => domains::migrations;
    migrations_are_numbered: "migrations are `NNNN_name.{up,down}.sql`, in pairs, each number once" => domains::migration_names;
    domains_are_configured: "a domain has a section in config/mainstay.toml" => domains::config;
    domains_are_tested: "a domain has an end-to-end module" => domains::end_to_end;
    domains_are_in_the_readme: "a domain has a row in README.md's table of domains" => domains::readme;
    personal_data_is_written_down: "a column that refers to a person has its row in docs/personal_data.md" => personal::data;
    files_name_no_machine: "no file holds a path of a machine" => hygiene::machine_paths;
    nothing_is_unfinished: "no unfinished work is marked in a source" => hygiene::unfinished;
    tests_do_not_sleep: "a test waits for a condition with a deadline" => hygiene::sleeps;
    every_requirement_has_a_verdict: "docs/asvs.md has one row a requirement, with its level and a verdict" => asvs::requirements;
    verdicts_are_counted: "docs/asvs.md counts its verdicts" => asvs::counts;
    what_shows_it_is_there: "docs/asvs.md names tests and headings that exist" => asvs::names;
    every_action_is_in_the_inventory: "docs/security.md lists every action of the audit" => asvs::actions;
    packages_come_from_one_registry: "Cargo.lock names crates.io and a checksum for every package that is not ours" => hygiene::packages;
    the_papers_are_there: "README, CHANGELOG, CONTRIBUTING and both licences exist" => hygiene::papers;
}
