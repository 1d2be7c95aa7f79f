//! Files on disk: which one is read, what makes one unreadable, and the verbs over them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::super::load::load;
use super::super::verbs::{check, diff, show};
use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_named_file_goes_before_the_data_directory_before_the_system() {
    let dir = directory();
    let write = |name: &str, streams: u32| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("[http]\nmax_streams = {streams}\n")).unwrap();
        path
    };
    let mut sources = sources(&[]);
    let streams = |sources: &Sources| load(sources).unwrap().settings.http.max_streams;
    sources.data_dir = Some(dir.path().join("data"));
    assert_eq!(streams(&sources), 2048);
    sources.system_file = write("system.toml", 1);
    assert_eq!(streams(&sources), 1);
    write("data/mainstay.toml", 2);
    assert_eq!(streams(&sources), 2);
    sources.file = Some(write("named.toml", 3));
    assert_eq!(streams(&sources), 3);
    assert_eq!(load(&sources).unwrap().file, sources.file);
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_reason_and_the_rest_is_still_checked() {
    let dir = directory();
    symlink("loop", dir.path().join("loop")).unwrap();
    fs::write(dir.path().join("huge"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    let cases = [
        ("missing", "config.unreadable"),
        (".", "config.unreadable"),
        ("loop", "config.unreadable"),
        ("huge", "config.too_large"),
    ];
    for (name, code) in cases {
        let mut sources = sources(&[("MAINSTAY_LOG__FORMAT", "x")]);
        sources.file = Some(dir.path().join(name));
        let invalid = load(&sources).unwrap_err();
        let codes: Vec<&str> = invalid
            .findings
            .iter()
            .map(|one| one.code.as_str())
            .collect();
        assert_eq!(codes, [code, "config.invalid"], "{name}");
        assert_eq!(invalid.findings[0].line, None);
        let answer = check(&sources, false);
        assert!(!answer.is_valid);
        assert!(answer.stderr.contains(name), "{}", answer.stderr);
    }
}

#[test]
fn a_pipe_is_refused_without_waiting_for_it() {
    let dir = directory();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let sources = Sources {
        file: Some(pipe),
        ..sources(&[])
    };
    assert_eq!(
        load(&sources).unwrap_err().findings[0].message,
        "cannot be read: not a regular file"
    );
}

#[test]
fn a_file_of_the_largest_size_is_read() {
    let dir = directory();
    let path = dir.path().join("large.toml");
    let mut text = "# a comment to fill the file\n".repeat(36_000);
    text.push_str("[log]\nformat = \"x\"\n");
    fs::write(&path, &text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..sources(&[])
    };
    assert_eq!(load(&sources).unwrap_err().findings[0].line, Some(36_002));
}

#[test]
fn a_file_that_others_may_not_read_gives_the_reason() {
    let dir = directory();
    let path = dir.path().join("closed.toml");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let sources = Sources {
        file: Some(path),
        ..sources(&[])
    };
    // The superuser reads everything: nothing to see then.
    if let Err(invalid) = load(&sources) {
        assert_eq!(invalid.findings[0].code, "config.unreadable");
        assert!(invalid.findings[0].hint.is_some());
    }
}

#[test]
fn check_answers_for_people_and_for_programs() {
    let dir = directory();
    let path = dir.path().join("mainstay.toml");
    fs::write(&path, "[http]\nlistn = 1\nmax_streams = 0\n").unwrap();
    let mut sources = Sources {
        data_dir: Some(dir.path().to_owned()),
        ..sources(&[])
    };
    let told = check(&sources, false);
    let file = path.display();
    let expected = format!(
        "{file}:2:1: http.listn: unknown key `listn` in [http] [config.unknown_key]\n    did you mean `listen`?\n\
         {file}:3:15: http.max_streams: expected integer from 1 to 1000000, found 0 [config.range]\n\
         the configuration is not valid: 2 errors (file {file})\n"
    );
    assert_eq!(
        (told.stdout.as_str(), told.stderr.as_str(), told.is_valid),
        ("", expected.as_str(), false)
    );
    let answer = check(&sources, true);
    assert!(!answer.is_valid && answer.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(json["valid"], false);
    assert_eq!(json["errors"][0]["line"], 2);
    assert_eq!(json["errors"][0]["column"], 1);
    assert_eq!(json["errors"][0]["code"], "config.unknown_key");
    assert_eq!(json["errors"][0]["hint"], "did you mean `listen`?");
    assert_eq!(json["errors"][1]["file"], file.to_string());
    fs::write(&path, "").unwrap();
    assert_eq!(
        check(&sources, false).stdout,
        format!("config OK ({file})\n")
    );
    sources.data_dir = None;
    assert_eq!(
        check(&sources, false).stdout,
        "config OK (built-in defaults, no file)\n"
    );
    assert!(check(&sources, true).is_valid);
}

#[test]
fn show_and_diff_tell_who_set_what() {
    let dir = directory();
    let path = dir.path().join("mainstay.toml");
    fs::write(&path, "[http]\nmax_streams = 7\n[log]\nformat = \"text\"\n").unwrap();
    let mut sources = sources(&[("MAINSTAY_HTTP__BODY_LIMIT", "64KiB")]);
    sources.file = Some(path.clone());
    let shown = show(&sources, false).stdout;
    assert!(
        shown.contains(&format!("# {}:2, default 2048\n", path.display())),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("# {}:4\n", path.display())),
        "{shown}"
    );
    assert!(shown.contains("# default\n"), "{shown}");
    assert!(load_text(&shown).is_ok(), "{shown}");
    let changed = diff(&sources, false).stdout;
    assert_eq!(changed.lines().count(), 3, "{changed}");
    assert!(
        changed.contains("# environment MAINSTAY_HTTP__BODY_LIMIT, default \"1MiB\""),
        "{changed}"
    );
    let json: serde_json::Value = serde_json::from_str(&diff(&sources, true).stdout).unwrap();
    assert_eq!(json["values"][0]["key"], "http.max_streams");
    assert_eq!(json["values"][0]["value"], 7);
    assert_eq!(json["values"][0]["origin"]["line"], 2);
    assert_eq!(json["values"][1]["origin"]["kind"], "environment");
    assert!(
        diff(&super::sources(&[]), false)
            .stdout
            .starts_with("# nothing differs")
    );
}
