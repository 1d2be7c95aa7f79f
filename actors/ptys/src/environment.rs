//! Which environment variables a shell gets.
//!
//! The daemon's own environment may hold its secrets and what its service manager told it alone, so a shell starts from nothing: a
//! short list of variables passes, then the configured ones, then the request's. The names in [`is_reserved`] never pass, by any way.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use supervisor::Finding;

/// Most variables of a request.
const MAX_COUNT: usize = 256;

/// Most bytes of all names and values of a request.
const MAX_BYTES: usize = 64 * 1024;

/// Variables that pass from the daemon's environment, beside all `LC_*`.
const INHERITED: [&str; 17] = [
    "EDITOR",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PAGER",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
    "VISUAL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "TERMINFO",
];

/// `PATH` where the daemon has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment that the daemon was started with. Its `Debug` shows no value.
#[derive(Clone, Default)]
pub struct DaemonEnvironment(Arc<BTreeMap<OsString, OsString>>);

impl DaemonEnvironment {
    /// From pairs of name and value, as `std::env::vars_os` gives them.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }

    /// The value of `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl std::fmt::Debug for DaemonEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Whether no shell may have a variable of this name: the daemon's own settings and secrets, and what the service manager
/// tells the daemon.
fn is_reserved(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "CREDENTIALS_DIRECTORY",
        "FDSTORE",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MANAGERPID",
        "NOTIFY_SOCKET",
        "SYSTEMD_EXEC_PID",
        "WATCHDOG_PID",
    ];
    NAMES.contains(&name)
        || ["MAINSTAY_", "LISTEN_", "WATCHDOG_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Whether `name` is a portable name of a variable: a letter or underscore, then letters, digits and underscores.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || each == '_')
}

/// Everything that is wrong with the variables of a request.
pub(crate) fn findings(wanted: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    let bytes: usize = wanted
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if wanted.len() > MAX_COUNT || bytes > MAX_BYTES {
        let message =
            format!("expected at most {MAX_COUNT} variables with {MAX_BYTES} bytes in all");
        return vec![Finding::new("/env", "too_large", message)];
    }
    for (name, value) in wanted {
        let pointer = format!("/env/{}", name.replace('~', "~0").replace('/', "~1"));
        if !is_name(name) {
            let message =
                "a variable's name is a letter or underscore, then letters, digits and underscores";
            found.push(Finding::new(pointer, "bad_name", message));
        } else if is_reserved(name) {
            let message = "this name is kept for the daemon itself";
            found.push(Finding::new(pointer, "reserved", message));
        } else if value.contains('\0') {
            let message = "a value cannot contain a zero byte";
            found.push(Finding::new(pointer, "bad_value", message));
        }
    }
    found
}

/// Checks one `NAME=value` of the configuration.
pub(crate) fn check_setting(setting: &str) -> Result<(String, String), String> {
    let (name, value) = setting
        .split_once('=')
        .ok_or_else(|| format!("`{setting}` is not of the form NAME=value"))?;
    match findings(&BTreeMap::from([(name.to_owned(), value.to_owned())])).pop() {
        Some(finding) => Err(format!("`{name}`: {}", finding.message)),
        None => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Checks the name of a further variable that is to pass.
pub(crate) fn check_inherited(name: &str) -> Result<(), String> {
    if is_name(name) && !is_reserved(name) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not a variable that may pass to a shell"
    ))
}

/// What a shell's environment is made of.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// The daemon's own.
    pub(crate) daemon: &'a DaemonEnvironment,
    /// Further names that pass from it.
    pub(crate) inherit: &'a [String],
    /// Configured variables.
    pub(crate) configured: &'a BTreeMap<String, String>,
    /// The request's variables.
    pub(crate) wanted: &'a BTreeMap<String, String>,
}

/// The environment of a shell. A later source wins: the daemon's, fixed ones, configured, the request's.
pub(crate) fn compose(sources: &Sources<'_>, shell: &OsStr) -> BTreeMap<OsString, OsString> {
    let passes = |name: &OsStr| {
        let text = name.to_string_lossy();
        let listed = INHERITED.contains(&&*text)
            || name.as_bytes().starts_with(b"LC_")
            || sources.inherit.iter().any(|more| **more == *text);
        listed && !is_reserved(&text)
    };
    let mut environment: BTreeMap<OsString, OsString> = sources
        .daemon
        .0
        .iter()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    environment
        .entry("PATH".into())
        .or_insert_with(|| DEFAULT_PATH.into());
    environment.insert("TERM".into(), "xterm-256color".into());
    environment.insert("COLORTERM".into(), "truecolor".into());
    environment.insert("SHELL".into(), shell.to_owned());
    for (name, value) in sources.configured.iter().chain(sources.wanted) {
        if !is_reserved(name) {
            environment.insert(name.into(), value.into());
        }
    }
    environment
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn daemon(pairs: &[(&str, &str)]) -> DaemonEnvironment {
        DaemonEnvironment::new(pairs.iter().map(|(n, v)| (n.into(), v.into())))
    }

    #[test]
    fn secrets_of_the_daemon_do_not_pass() {
        let daemon = daemon(&[
            ("HOME", "/home/a"),
            ("LC_TIME", "C"),
            ("MAINSTAY_STORE__URL", "secret"),
            ("OPENAI_API_KEY", "secret"),
            ("CREDENTIALS_DIRECTORY", "/run/secret"),
            ("NOTIFY_SOCKET", "/run/notify"),
            ("LISTEN_FDS", "3"),
            ("SSH_AUTH_SOCK", "/run/agent"),
        ]);
        let inherit = ["SSH_AUTH_SOCK".to_owned(), "MAINSTAY_STORE__URL".to_owned()];
        let sources = Sources {
            daemon: &daemon,
            inherit: &inherit,
            configured: &map(&[("A", "config"), ("B", "config"), ("LISTEN_PID", "1")]),
            wanted: &map(&[("B", "request"), ("TERM", "dumb"), ("MAINSTAY_X", "1")]),
        };
        let made = compose(&sources, OsStr::new("/bin/bash"));
        let text: Vec<String> = made
            .iter()
            .map(|(n, v)| format!("{}={}", n.display(), v.display()))
            .collect();
        assert_eq!(
            text,
            [
                "A=config",
                "B=request",
                "COLORTERM=truecolor",
                "HOME=/home/a",
                "LC_TIME=C",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "SHELL=/bin/bash",
                "SSH_AUTH_SOCK=/run/agent",
                "TERM=dumb",
            ]
        );
    }

    #[test]
    fn every_bad_variable_is_told_with_its_pointer() {
        let wanted = map(&[
            ("", "x"),
            ("1A", "x"),
            ("A/B~", "x"),
            ("GOOD", "x"),
            ("MAINSTAY_TOKEN", "x"),
            ("ZERO", "a\0b"),
        ]);
        let told: Vec<(String, String)> = findings(&wanted)
            .into_iter()
            .map(|f| (f.pointer, f.code))
            .collect();
        let expected = [
            ("/env/", "bad_name"),
            ("/env/1A", "bad_name"),
            ("/env/A~1B~0", "bad_name"),
            ("/env/MAINSTAY_TOKEN", "reserved"),
            ("/env/ZERO", "bad_value"),
        ];
        assert_eq!(told, expected.map(|(p, c)| (p.to_owned(), c.to_owned())));
        let long = map(&[("A", &"x".repeat(MAX_BYTES))]);
        assert_eq!(findings(&long)[0].pointer, "/env");
    }

    #[test]
    fn debug_shows_names_only() {
        assert_eq!(
            format!("{:?}", daemon(&[("TOKEN", "secret")])),
            r#"{"TOKEN"}"#
        );
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(
            check_setting("A=b=c"),
            Ok(("A".to_owned(), "b=c".to_owned()))
        );
        assert!(check_setting("A").is_err());
        assert!(check_setting("LISTEN_FDS=1").is_err());
        assert!(check_inherited("SSH_AUTH_SOCK").is_ok());
        assert!(check_inherited("MAINSTAY_X").is_err());
    }

    proptest! {
        #[test]
        fn a_reserved_name_never_passes(name in "(MAINSTAY_|LISTEN_|WATCHDOG_)[A-Z_]{0,8}|NOTIFY_SOCKET", value in ".{0,8}") {
            let one = BTreeMap::from([(name.clone(), value.clone())]);
            let daemon = DaemonEnvironment::new([((&name).into(), (&value).into())]);
            let inherit = [name.clone()];
            let sources = Sources { daemon: &daemon, inherit: &inherit, configured: &one, wanted: &one };
            prop_assert!(!compose(&sources, OsStr::new("/bin/sh")).contains_key(OsStr::new(&name)));
            prop_assert!(!findings(&one).is_empty());
        }
    }
}
