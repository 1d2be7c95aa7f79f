//! Many faults in one file: all are told in one run, each at its line and column.

use super::super::findings::MOST_FINDINGS;
use super::*;

/// Each mark stands right before the character that a message must point at.
const TWENTY_FIVE: &str = r#"# A file with 25 independent faults.
«unknown_key»listen = "127.0.0.1:1"

[http]
listen = «invalid»"localhost:4110"
request_timeout = «type»30
header_timeout = «invalid»"10 seconds"
max_connections = «range»0
max_in_flight = «type»"many"
max_streams = «syntax»lots
body_limit = «range»"1B"
allowed_origins = [
    "https://good.example",
    «type»7,
]
«unknown_key»max_conections = 5
«duplicate»listen = "127.0.0.1:2"
«unknown_key»filter = "info"

[«duplicate»http]
«unknown_key»x = { a = 1 }

[log]
filter = «invalid»"info,=,="
format = «invalid»"jsn"
this «syntax»line has no equals sign
«unknown_key»"größe" = 1
«unknown_key»colour = 'blue«syntax»

[«unknown_section»htttp]
a = 1

[«unknown_section»nothing.like.it]

[«syntax»]

[[«unknown_key»lists]]
open = «syntax»[1, 2
"#;

#[test]
fn twenty_five_of_twenty_five() {
    assert_eq!(marked(TWENTY_FIVE).1.len(), 25);
    assert_faults(TWENTY_FIVE);
}

#[test]
fn the_entry_of_a_list_is_pointed_at() {
    assert_faults(
        "[http]\nallowed_origins = [\"https://a.b\",\n  «invalid»\"b\", «invalid»\"https://c/d\"]\n",
    );
}

#[test]
fn columns_count_characters() {
    assert_faults(
        "[log]\nformat = «invalid»\"größer\" # ß\n«unknown_key»\"ä\" = \"ö\"\n«unknown_key»\"ü\" = \"ö\" «syntax»ß\n",
    );
    assert_faults("log = { «unknown_key»\"größe\" = 1, format = «invalid»\"größer\" }\n");
}

#[test]
fn names_that_were_meant_are_told() {
    let hint = |text: &str| {
        load_text(text).unwrap_err().findings[0]
            .hint
            .clone()
            .unwrap()
    };
    assert_eq!(hint("[http]\nlistn = 1"), "did you mean `listen`?");
    assert_eq!(hint("[htpp]\nlisten = 1"), "did you mean [http]?");
    assert_eq!(hint("[log]\nlisten = 1"), "`listen` belongs in [http]");
    assert_eq!(hint("listen = 1"), "`listen` belongs in [http]");
    assert_eq!(hint("[log]\nformat = \"jason\""), "did you mean \"json\"?");
    assert_eq!(hint("[log]\nzzzzzzzz = 1"), "valid here: filter, format");
    assert_eq!(
        hint("[http]\nmax_streams = \"5\""),
        "write the number without the quotes"
    );
    assert_eq!(
        hint("[http]\nrequest_timeout = 5"),
        "a duration needs its unit: write \"5s\" or \"5ms\""
    );
}

#[test]
fn a_section_that_is_no_table_is_told_once() {
    assert_faults("http = «type»5\n");
    assert_faults("log = «type»[]\n");
}

#[test]
fn values_are_checked_for_what_they_mean() {
    for filter in [
        "inof",
        "info,",
        "ptys",
        "ptys=loud",
        "info,ptys=debug,x",
        "ptys[span]=debug",
        "=info",
    ] {
        assert_faults(&format!("[log]\nfilter = «invalid»\"{filter}\"\n"));
    }
    for filter in [
        "INFO",
        "off",
        "info,ptys=debug",
        "warn,edges::http=trace",
        "info, ptys = debug",
    ] {
        assert!(
            load_text(&format!("[log]\nfilter = \"{filter}\"\n")).is_ok(),
            "{filter}"
        );
    }
    for origin in [
        "example.org",
        "https://",
        "https://Example.org",
        "https://a/b",
        "https://*.a",
        "ftp://a",
    ] {
        assert_faults(&format!(
            "[http]\nallowed_origins = [«invalid»\"{origin}\"]\n"
        ));
    }
    assert!(
        load_text("[http]\nallowed_origins = [\"http://localhost:5173\", \"https://a.example\"]\n")
            .is_ok()
    );
    assert_faults("[http]\nlisten = «invalid»\"224.0.0.1:1\"\n");
}

#[test]
fn the_number_of_findings_is_bounded_and_the_rest_counted() {
    let unknown: Vec<String> = (0..5000).map(|n| format!("zz{n} = 1\n")).collect();
    let text = format!("[http]\n{}", unknown.concat());
    let invalid = load_text(&text).unwrap_err();
    assert_eq!(invalid.findings.len(), MOST_FINDINGS);
    assert_eq!(invalid.more, 5000 - MOST_FINDINGS);
    assert!(invalid.to_string().contains("… and 4800 more"));
}
