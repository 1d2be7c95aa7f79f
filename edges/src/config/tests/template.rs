//! The default file is what the declarations say, and the shipped copy is that file.

use proptest::prelude::*;

use super::super::settings::SectionKeys;
use super::super::template::{Environment, template, write_section};
use super::super::verbs;
use super::*;

/// The commented-out keys: a # with a name right behind it.
fn is_commented_key(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = ")
    })
}

#[test]
fn the_shipped_file_is_what_config_init_prints() {
    let shipped = include_str!("../../../../config/mainstay.toml");
    let printed = verbs::init(Environment::Production).stdout;
    let differs = shipped
        .lines()
        .zip(printed.lines())
        .find(|(shipped, printed)| shipped != printed);
    assert_eq!(
        differs, None,
        "write config/mainstay.toml anew with `mainstay config init`"
    );
    assert_eq!(
        shipped.len(),
        printed.len(),
        "write config/mainstay.toml anew with `mainstay config init`"
    );
}

#[test]
fn the_default_file_is_the_defaults() {
    let loaded = load_text(&template(Environment::Production)).unwrap();
    assert!(loaded.effective.iter().all(|one| one.is_default));
    let all: String = template(Environment::Production)
        .lines()
        .map(|line| if is_commented_key(line) && !leads_elsewhere(line) { line.replacen('#', "", 1) } else { line.to_owned() } + "\n")
        .collect();
    let loaded = load_text(&all).unwrap();
    let odd: Vec<_> = loaded
        .effective
        .iter()
        .filter(|one| !one.is_default && one.default.is_some())
        .collect();
    assert!(
        odd.iter().all(|one| one.default.as_deref() == Some("[]")),
        "{odd:?}"
    );
}

/// A reference to a secret that is not on this machine.
fn leads_elsewhere(line: &str) -> bool {
    line.contains("= { file = ")
}

#[test]
fn every_key_is_documented() {
    let text = template(Environment::Production);
    for one in load_text("").unwrap().effective {
        assert!(
            text.contains(&format!("\n#{} = ", one.name)),
            "{}",
            one.key()
        );
        assert!(
            text.contains(&ground::config::env_name(&one.key())),
            "{}",
            one.key()
        );
    }
    assert!(text.lines().all(|line| line.chars().count() <= 160));
}

#[test]
fn the_development_file_is_valid_and_differs() {
    let loaded = load_text(&template(Environment::Development)).unwrap();
    assert!(loaded.effective.iter().any(|one| !one.is_default));
}

#[test]
fn a_map_of_groups_is_shown_inside_a_comment() {
    use std::collections::BTreeMap;

    use ground::config::{Group as _, Section as _};

    ground::section! {
        /// Routes.
        struct Routes in "routes" {
            /// Where to.
            to: BTreeMap<String, Route> = BTreeMap::new(), reload live;
        }
    }
    ground::section! {
        /// A route.
        struct Route {
            /// Its gate.
            gate: Option<u16> = None, range 1..=99, example "7", reload live;
        }
    }
    let mut text = String::new();
    let section = SectionKeys {
        name: Routes::NAME,
        doc: Routes::DOC,
        keys: Routes::keys(),
    };
    write_section(&mut text, &section, Environment::Production);
    let expected = "\n# Routes.\n[routes]\n\n# Where to.\n#   [routes.to.NAME]\n#\n# Its gate.\n# integer, from 1 to 99; live\n#   gate = 7\n";
    assert_eq!(text, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_keys_may_be_uncommented(picks in prop::collection::vec(any::<bool>(), 256)) {
        let mut picks = picks.into_iter().cycle();
        let text: String = template(Environment::Production)
            .lines()
            .map(|line| if is_commented_key(line) && picks.next() == Some(true) { line.replacen('#', "", 1) } else { line.to_owned() } + "\n")
            .collect();
        let findings = load_text(&text).err().map(|invalid| invalid.findings).unwrap_or_default();
        // A key may need another one beside it; that all of them together fit is tested above.
        let is_expected = |code: &str| ["config.secret", "config.conflict"].contains(&code);
        prop_assert!(findings.iter().all(|one| is_expected(&one.code)), "{findings:?}");
    }
}
