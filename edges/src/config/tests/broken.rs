//! Files that are broken in form: one fault never hides another, and no input makes the reader fail.

use proptest::prelude::*;

use super::*;

#[test]
fn what_follows_a_fault_of_form_is_still_read() {
    let broken = [
        "x«syntax»",
        "x «syntax»: 1",
        "«unknown_key»x = «syntax»bare",
        "«unknown_key»x = «syntax»1 2",
        "«unknown_key»x = 1«syntax», 2",
        "«unknown_key»x = «syntax»[1, 2",
        "«unknown_key»x = [[1], «syntax»{ a = 1",
        "«unknown_key»x = «syntax»{ a = 1",
        "«unknown_key»x = «syntax»\"\"\"text",
        "«unknown_key»x = «syntax»'''text",
        "«unknown_key»x = «syntax»",
        "«unknown_key»x =«syntax»= 1",
        "«unknown_key»x = \"a«syntax»",
        "«syntax»= 1",
        "«syntax»]",
    ];
    for line in broken {
        assert_faults(&format!(
            "[http]\n{line}\nmax_streams = «range»0\n\n[log]\nformat = «invalid»\"x\"\n"
        ));
    }
}

#[test]
fn a_damaged_section_name_still_takes_its_keys() {
    assert_faults("[http«syntax»\nmax_streams = «range»0\n[log]\nformat = «invalid»\"x\"\n");
    assert_faults("[log] «syntax»x\nformat = «invalid»\"x\"\n");
    assert_faults("[«syntax»]\nx = 1\n[log]\nformat = «invalid»\"x\"\n");
}

#[test]
fn duplicates_are_told_at_the_second_place() {
    assert_faults("[log]\nformat = \"text\"\n«duplicate»format = \"x\"\n");
    assert_faults("log.format = \"text\"\n[«duplicate»log]\nfilter = \"debug\"\n");
    assert_faults("[log]\n[http]\n[«duplicate»log]\nformat = «invalid»\"x\"\n");
    assert_faults("log = 1\n[«duplicate»log]\n");
}

#[test]
fn a_byte_order_mark_and_line_breaks_of_other_systems_are_fine() {
    assert!(load_text("\u{feff}[log]\r\nformat = \"json\"\r\n").is_ok());
    assert_faults("\u{feff}[log]\r\nformat = «invalid»\"x\"\r\n«unknown_key»y = «syntax»\r\n");
}

#[test]
fn bytes_that_are_no_text_are_told_at_their_place() {
    let result = load_bytes(b"[log]\nfilter = \"inf\xff\xfeo\"\nformat = \"x\"\n", &[]);
    let expected = [
        (2, 14, "config.not_utf8".to_owned()),
        (3, 10, "config.invalid".to_owned()),
    ];
    assert_eq!(places(result), expected);
}

#[test]
fn a_large_file_that_is_all_faults_is_read_to_its_end() {
    let shapes = [
        "x = [\n",
        "x = {\n",
        "[\n",
        "x\n",
        "x = '''\n",
        "a.b.c.d = [[[[\n",
        "[[a]]\n",
        "\u{fffd}\n",
        "x = \"\n",
        "[",
    ];
    for shape in shapes {
        assert!(
            load_text(&shape.repeat(200_000 / shape.len())).is_err(),
            "{shape:?}"
        );
    }
}

/// Pieces that begin something which the next lines could belong to.
const OPENING: [&str; 11] = [
    "[http]", "[log]", "[[log]]", "[", "{", "\"text\"", "'", "\"", "\"\"\"", "'''", "#",
];
/// Pieces that do not.
const PLAIN: [&str; 19] = [
    "]",
    "}",
    "=",
    "listen",
    "format",
    "\\",
    ".",
    ",",
    " ",
    "1",
    "-",
    "true",
    "x",
    "\u{e4}",
    "\t",
    "\r",
    "1979-05-27",
    "0x",
    "\u{0}",
];

/// A line that makes sense, or does not.
fn line_of(pieces: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 0..8).prop_map(|pieces| pieces.concat())
}

fn any_line() -> impl Strategy<Value = String> {
    line_of([&OPENING[..], &PLAIN[..]].concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fail(lines in prop::collection::vec(any_line(), 0..12)) {
        let text = lines.join("\n");
        if let Err(invalid) = load_text(&text) {
            let last = u32::try_from(text.matches('\n').count() + 1).unwrap();
            for finding in &invalid.findings {
                prop_assert!(finding.line.is_some_and(|line| (1..=last).contains(&line)), "{finding:?}");
                prop_assert!(finding.column.is_some_and(|column| column >= 1), "{finding:?}");
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        _ = load_bytes(&bytes, &[]);
    }

    #[test]
    fn a_fault_in_one_statement_does_not_hide_the_next(line in line_of(PLAIN.to_vec())) {
        let text = format!("{line}\n[log]\nformat = \"x\"\n");
        let found = places(load_text(&text));
        prop_assert!(found.contains(&(3, 10, "config.invalid".to_owned())), "{found:?}\n{text}");
    }
}
