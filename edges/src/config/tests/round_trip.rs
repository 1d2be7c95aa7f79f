//! Every type of value survives being written and read again, in the file and in the environment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ground::config::{
    Bytes, Effective, Group as _, Problem, Reading, Section as _, Surroundings, Table,
};
use proptest::prelude::*;

use super::super::{document, variables};
use super::*;

ground::choices! {
    /// Words.
    enum Word {
        /// One.
        One = "one",
        /// Two.
        TwoWords = "two-words",
    }
}

ground::section! {
    /// Every type of value.
    struct Every in "every" {
        /// A switch.
        switch: bool = false, reload live;
        /// A small number.
        small: u8 = 0, reload live;
        /// A number.
        number: i64 = 0, reload live;
        /// A large number.
        large: u64 = 0, reload live;
        /// A fraction.
        fraction: f64 = 0.0, reload live;
        /// Text.
        text: String = String::new(), reload live;
        /// A word.
        word: Word = Word::One, reload live;
        /// A time.
        time: Duration = Duration::ZERO, reload live;
        /// A size.
        size: Bytes = Bytes(0), reload live;
        /// An address.
        address: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 1)), reload live;
        /// A path.
        path: PathBuf = PathBuf::from("/"), reload live;
        /// Texts.
        texts: Vec<String> = Vec::new(), reload live;
        /// Lists of times.
        nested: Vec<Vec<Duration>> = Vec::new(), reload live;
        /// Perhaps a number.
        perhaps: Option<u32> = None, reload live;
        /// Groups by name.
        groups: BTreeMap<String, Member> = BTreeMap::new(), reload live;
    }
}

ground::section! {
    /// One of the groups.
    struct Member {
        /// Text.
        text: String = "default".to_owned(), reload live;
    }
}

prop_compose! {
    fn every()(
        switch: bool, small: u8, number: i64, large: u64, fraction in -1e300..1e300f64, text in "\\PC{0,12}|[\u{0}-\u{ff}]{0,12}",
        two: bool, time in (0..u64::MAX / 2, 0..1_000_000_000u32), size: u64, ip: IpAddr, port: u16,
        path in "/\\PC{0,12}", texts in prop::collection::vec("[^,\\[\\{ ]{1,9}", 0..4),
        nested in prop::collection::vec(prop::collection::vec(0..1u64 << 40, 0..3), 0..3), perhaps: Option<u32>,
        groups in prop::collection::btree_map("\\PC{1,6}", "\\PC{0,6}", 0..4),
    ) -> Every {
        Every {
            switch, small, number, large, fraction, text,
            word: if two { Word::TwoWords } else { Word::One },
            time: Duration::new(time.0, time.1),
            size: Bytes(size),
            address: SocketAddr::new(ip, port),
            path: PathBuf::from(path),
            texts,
            nested: nested.into_iter().map(|inner| inner.into_iter().map(Duration::from_nanos).collect()).collect(),
            perhaps,
            groups: groups.into_iter().map(|(name, text)| (name, Member { text })).collect(),
        }
    }
}

fn read(layer: &Table) -> (Every, Vec<Effective>, Vec<Problem>) {
    let surroundings = Surroundings::default();
    let mut reading = Reading::new(vec![layer], &surroundings, &document::parse_value);
    reading.announce::<Every>();
    let every = reading.section::<Every>();
    let (effective, problems) = reading.finish();
    (every, effective, problems)
}

/// The plain values in order, as TOML text.
fn rendered(every: &Every) -> Vec<(&'static str, String)> {
    use ground::config::Leaf as _;
    let mut values = vec![
        ("switch", every.switch.render()),
        ("small", every.small.render()),
        ("number", every.number.render()),
        ("large", every.large.render()),
        ("fraction", every.fraction.render()),
        ("text", every.text.render()),
        ("word", every.word.render()),
        ("time", every.time.render()),
        ("size", every.size.render()),
        ("address", every.address.render()),
        ("path", every.path.render()),
        ("texts", every.texts.render()),
        ("nested", every.nested.render()),
    ];
    values.extend(every.perhaps.map(|number| ("perhaps", number.render())));
    values
}

proptest! {
    #[test]
    fn through_a_file(every in every()) {
        use ground::config::{Leaf as _, quote};
        let mut text = String::from("[every]\n");
        for (key, value) in rendered(&every) {
            writeln!(text, "{key} = {value}").unwrap();
        }
        for (name, member) in &every.groups {
            writeln!(text, "[every.groups.{}]\ntext = {}", quote(name), member.text.render()).unwrap();
        }
        let (table, problems) = document::parse(&Source::new("x", text.as_bytes()));
        prop_assert!(problems.is_empty(), "{problems:?}\n{text}");
        let (again, _, problems) = read(&table);
        prop_assert!(problems.is_empty(), "{problems:?}\n{text}");
        prop_assert_eq!(format!("{every:?}"), format!("{again:?}"));
    }

    #[test]
    fn through_the_environment(every in every()) {
        let plain = |key: &str, value: String| match key {
            "text" => every.text.clone(),
            "path" => every.path.to_string_lossy().into_owned(),
            "texts" if every.texts.iter().all(|text| text.trim() == text) => every.texts.join(","),
            _ => value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).map_or(value.clone(), str::to_owned),
        };
        let values = rendered(&every).into_iter().map(|(key, value)| {
            let name = format!("MAINSTAY_EVERY__{}", key.to_uppercase());
            (OsString::from(name), OsString::from(plain(key, value)))
        });
        let (layer, problems) = variables::layer(&values.collect());
        prop_assert!(problems.is_empty(), "{problems:?}");
        let (again, effective, problems) = read(&layer);
        prop_assert!(problems.is_empty(), "{problems:?}");
        prop_assert_eq!(rendered(&every), rendered(&again));
        prop_assert_eq!(effective.len() + 1, Every::keys().len());
        prop_assert!(effective.iter().all(|one| one.section == Every::NAME));
    }
}
