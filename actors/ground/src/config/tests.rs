//! Tests of the schema side: leaves round-trip, sections collect every fault, references to secrets are guarded.

use std::collections::BTreeMap;

use super::*;

crate::section! {
    /// A section for the tests.
    struct Sample in "sample" {
        /// A number.
        count: u32 = 64, range 1..=10_000, reload live;
        /// A word.
        word: Option<String> = None, range 1..=8, example r#""abc""#, reload subtree;
        /// Groups by name.
        groups: BTreeMap<String, Member> = BTreeMap::new(), reload daemon;
    }
}

crate::section! {
    /// One of the groups.
    struct Member {
        /// Where it is.
        at: String = String::new(), check |at: &String| if at.contains(' ') { Err("a blank is not allowed".into()) } else { Ok(()) }, reload live;
    }
}

fn env(name: &str) -> Origin {
    Origin::Env(name.into())
}

fn table(entries: Vec<(&str, Value)>) -> Table {
    let entry = |(name, value): (&str, Value)| {
        let node = Node::new(value, env(name));
        (
            name.to_owned(),
            Entry {
                origin: env(name),
                node,
            },
        )
    };
    Table {
        entries: entries.into_iter().map(entry).collect(),
    }
}

fn read(layers: &[Table]) -> (Sample, Vec<Effective>, Vec<Problem>) {
    let surroundings = Surroundings::default();
    let mut reading = Reading::new(layers.iter().collect(), &surroundings, &|_, _| None);
    reading.announce::<Sample>();
    let sample = reading.section::<Sample>();
    let (effective, problems) = reading.finish();
    (sample, effective, problems)
}

#[test]
fn nothing_given_is_the_defaults() {
    let (sample, effective, problems) = read(&[]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!((sample.count, sample.word), (64, None));
    assert!(
        effective
            .iter()
            .all(|one| one.is_default && one.origin == Origin::Default)
    );
    assert_eq!(
        effective.iter().map(Effective::key).collect::<Vec<_>>(),
        ["sample.count", "sample.word"]
    );
}

#[test]
fn the_strongest_sound_layer_wins_and_every_fault_is_told() {
    let file = table(vec![(
        "sample",
        Value::Table(table(vec![
            ("count", Value::Integer(0)),
            ("wrod", Value::Bool(true)),
        ])),
    )]);
    let over = table(vec![(
        "sample",
        Value::Table(table(vec![("count", Value::Text("7".into()))])),
    )]);
    let (sample, _, problems) = read(&[file, over]);
    assert_eq!(sample.count, 7);
    let told: Vec<_> = problems
        .iter()
        .map(|problem| (problem.key.as_str(), problem.refusal.code))
        .collect();
    assert_eq!(
        told,
        [
            ("sample.count", "config.range"),
            ("sample.wrod", "config.unknown_key")
        ]
    );
    assert_eq!(
        problems[0].refusal.message,
        "expected integer from 1 to 10000, found 0"
    );
    assert_eq!(
        problems[1].refusal.hint.as_deref(),
        Some("did you mean MAINSTAY_SAMPLE__WORD?")
    );
}

#[test]
fn maps_of_groups_are_read_and_checked() {
    let member = |at: &str| Value::Table(table(vec![("at", Value::String(at.into()))]));
    let groups = Value::Table(table(vec![
        ("one", member("here")),
        ("two", member("over there")),
    ]));
    let (sample, effective, problems) = read(&[table(vec![(
        "sample",
        Value::Table(table(vec![("groups", groups)])),
    )])]);
    assert_eq!(sample.groups["one"].at, "here");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key, "sample.groups.two.at");
    assert!(
        effective
            .iter()
            .any(|one| one.key() == "sample.groups.one.at" && !one.is_default)
    );
}

#[test]
fn a_faulty_entry_of_a_list_is_told_at_its_own_place() {
    crate::section! {
        /// Lists.
        struct Lists in "lists" {
            /// Odd ones.
            odd: Vec<u8> = vec![1], each |number: &u8| if number % 2 == 1 { Ok(()) } else { Err("expected an odd number".to_owned()) }, reload live;
        }
    }
    let entry = |name: &str, value| Node::new(Value::Integer(value), env(name));
    let list = Value::Array(vec![
        entry("first", 3),
        entry("second", 4),
        entry("third", 300),
    ]);
    let layer = table(vec![("lists", Value::Table(table(vec![("odd", list)])))]);
    let surroundings = Surroundings::default();
    let mut reading = Reading::new(vec![&layer], &surroundings, &|_, _| None);
    let lists = reading.section::<Lists>();
    assert_eq!(lists.odd, [1]);
    let problems = reading.finish().1;
    assert_eq!(
        problems
            .iter()
            .filter(|problem| problem.origin == env("third"))
            .count(),
        1,
        "{problems:?}"
    );
}

#[test]
fn rules_over_several_keys_are_asked_when_each_key_is_sound() {
    crate::section! {
        /// A range.
        struct Span in "span" {
            /// The least.
            low: u8 = 1, range 1..=9, reload live;
            /// The most.
            high: u8 = 9, range 1..=9, reload live;
        }
        conflicts |span: &Span| {
            let message = format!("expected at most high, {}, found {}", span.high, span.low);
            if span.low > span.high { vec![Conflict { key: "low", message }] } else { Vec::new() }
        };
    }
    let told = |low, high| {
        let keys = table(vec![
            ("low", Value::Integer(low)),
            ("high", Value::Integer(high)),
        ]);
        let layer = table(vec![("span", Value::Table(keys))]);
        let surroundings = Surroundings::default();
        let mut reading = Reading::new(vec![&layer], &surroundings, &|_, _| None);
        reading.section::<Span>();
        let told = reading
            .finish()
            .1
            .into_iter()
            .map(|problem| (problem.key, problem.origin, problem.refusal.code));
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(1, 9), []);
    assert_eq!(
        told(5, 2),
        [("span.low".to_owned(), env("low"), "config.conflict")]
    );
    assert_eq!(
        told(5, 20),
        [("span.high".to_owned(), env("high"), "config.range")]
    );
}

mod secrets {
    //! References to secrets: followed, guarded, never shown.

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::Secret;

    crate::section! {
        /// A section with a secret.
        struct Guarded in "guarded" {
            /// The secret.
            key: Option<Secret> = None, reload live;
        }
    }

    fn read(value: Value, surroundings: &Surroundings) -> (Guarded, Vec<Effective>, Vec<Problem>) {
        let layer = table(vec![("guarded", Value::Table(table(vec![("key", value)])))]);
        let mut reading = Reading::new(vec![&layer], surroundings, &|_, _| None);
        let guarded = reading.section::<Guarded>();
        let (effective, problems) = reading.finish();
        (guarded, effective, problems)
    }

    fn reference(kind: &str, target: &str) -> Value {
        Value::Table(table(vec![(kind, Value::String(target.to_owned()))]))
    }

    fn surroundings(variables: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            env: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }

    fn write(directory: &Path, name: &str, mode: u32, content: &[u8]) -> String {
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The one fault, which must not tell the secret.
    fn refused(value: Value, surroundings: &Surroundings) -> String {
        let (guarded, _, problems) = read(value, surroundings);
        assert!(guarded.key.is_none());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
        problems[0].refusal.message.clone()
    }

    #[test]
    fn the_text_is_found_wherever_it_is_kept_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path(), "key", 0o640, b"hunter2\n");
        let around = surroundings(&[
            ("KEY", "hunter2"),
            ("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap()),
        ]);
        let cases = [
            (Value::String("hunter2".into()), "\"<secret>\"".to_owned()),
            (Value::Text("hunter2".into()), "\"<secret>\"".to_owned()),
            (reference("file", &path), format!("{{ file = \"{path}\" }}")),
            (reference("env", "KEY"), "{ env = \"KEY\" }".to_owned()),
            (
                reference("credential", "key"),
                "{ credential = \"key\" }".to_owned(),
            ),
        ];
        let identity = Secret::new("hunter2").identity();
        for (value, shown) in cases {
            let (guarded, effective, problems) = read(value, &around);
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(guarded.key.as_ref().map(Secret::expose), Some("hunter2"));
            assert_eq!(effective[0].shown, Some(shown));
            assert_eq!(effective[0].identity, identity);
            assert!(!format!("{guarded:?}{effective:?}{around:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_file_that_everybody_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = write(directory.path(), "key", 0o644, b"hunter2");
        let around = surroundings(&[("CREDENTIALS_DIRECTORY", directory.path().to_str().unwrap())]);
        assert!(refused(reference("file", &path), &around).contains("can be read by everybody"));
        assert!(
            refused(reference("credential", "key"), &around).contains("can be read by everybody")
        );
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str, content: &[u8]| {
            reference("file", &write(directory.path(), name, 0o600, content))
        };
        let around = surroundings(&[("EMPTY", ""), ("CREDENTIALS_DIRECTORY", "/nonexistent")]);
        let cases = [
            (at("empty", b"\n"), "is empty"),
            (at("huge", &vec![b'x'; 64 * 1024 + 1]), "longer than 64 KiB"),
            (at("binary", b"hunter2\xff"), "not valid UTF-8"),
            (
                reference("file", directory.path().to_str().unwrap()),
                "not a regular file",
            ),
            (reference("file", "/nonexistent/key"), "cannot read"),
            (reference("file", "key"), "not a full path"),
            (reference("env", "MISSING"), "is not set"),
            (reference("env", "EMPTY"), "is empty"),
            (
                reference("credential", "../key"),
                "not the name of a credential",
            ),
            (reference("credential", "key"), "cannot read"),
            (reference("fiel", "key"), "unknown reference `fiel`"),
            (Value::Table(table(vec![])), "found 0 keys"),
            (
                Value::Table(table(vec![("file", Value::Integer(1))])),
                "expected a string after `file =`",
            ),
            (Value::Integer(7), "found an integer"),
            (Value::String(String::new()), "is empty"),
        ];
        for (value, message) in cases {
            let told = refused(value, &around);
            assert!(told.contains(message), "{told}");
        }
        assert!(
            refused(reference("credential", "key"), &surroundings(&[]))
                .contains("CREDENTIALS_DIRECTORY is not set")
        );
    }
}

mod units {
    //! Durations and sizes.

    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::units::{duration_text, parse_bytes, parse_duration};
    use super::*;

    proptest! {
        #[test]
        fn durations_survive_writing(seconds in 0..u64::MAX, nanos in 0..1_000_000_000u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&duration_text(duration)).ok(), Some(duration));
        }

        #[test]
        fn sizes_survive_writing(size: u64) {
            prop_assert_eq!(parse_bytes(&Bytes(size).to_string()).ok(), Some(Bytes(size)));
        }

        #[test]
        fn no_text_makes_them_fail(text in "[0-9a-zA-Zµ .+-]{0,24}") {
            _ = parse_duration(&text);
            _ = parse_bytes(&text);
        }
    }

    #[test]
    fn spellings() {
        assert_eq!(parse_duration("1h30m").ok(), Some(Duration::from_mins(90)));
        assert_eq!(parse_duration("0s").ok(), Some(Duration::ZERO));
        assert_eq!(duration_text(Duration::from_hours(24)), "1d");
        assert_eq!(duration_text(Duration::from_millis(1500)), "1500ms");
        for refused in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5m1h",
            "5s5s",
            "99999999999999999999999999999999999999999d",
        ] {
            assert!(parse_duration(refused).is_err(), "{refused}");
        }
        assert_eq!(parse_bytes("64KiB").ok(), Some(Bytes::kib(64)));
        assert_eq!(parse_bytes("1kB").ok(), Some(Bytes(1000)));
        assert_eq!(Bytes(1500).to_string(), "1500B");
        for refused in ["", "KiB", "1 KiB", "-1B", "1K", "99999999TiB"] {
            assert!(parse_bytes(refused).is_err(), "{refused}");
        }
    }
}
