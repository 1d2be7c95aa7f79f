//! The `[ptys]` section: how many terminals, what they keep, and what their shells start with.

use std::collections::BTreeMap;
use std::time::Duration;

use ground::config::Bytes;

use crate::environment::{check_inherited, check_setting};

/// The words for roles, as accounts spell them.
const ROLES: [&str; 4] = ["owner", "admin", "member", "viewer"];
const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

ground::section! {
    /// Terminals.
    pub struct Config in "ptys" {
        /// How many shells may run at once.
        max_terminals: u32 = 64, range 1..=10_000, reload daemon;
        /// Who may open and use terminals, which run programs as the daemon's own user: roles out of owner, admin, member and viewer. The local operator always may.
        roles: Vec<String> = default_roles(), check check_roles, reload daemon;
        /// How many viewers one terminal may have at once.
        max_viewers: u32 = 16, range 1..=1_000, reload daemon;
        /// How much output is kept of each terminal, for viewers who come later. It is taken as output comes.
        scrollback: Bytes = Bytes::mib(1), range Bytes::kib(64)..=Bytes::mib(64), reload daemon;
        /// A viewer that confirms what it has shown gets at most this much unconfirmed output.
        unconfirmed_output: Bytes = Bytes::kib(512), range Bytes::kib(16)..=Bytes::mib(16), reload daemon;
        /// A terminal without viewer, input and output for this long is closed; 0s keeps it for ever.
        idle_timeout: Duration = Duration::ZERO, range Duration::ZERO..=YEAR, reload daemon;
        /// How long processes have to end after the hang-up signal, before they are killed.
        hangup_grace: Duration = Duration::from_secs(2), range Duration::ZERO..=Duration::from_secs(5), reload daemon;
        /// How many terminals whose shell has ended are kept with their output.
        keep_exited: u32 = 32, range 0..=10_000, reload daemon;
        /// How long a terminal whose shell has ended is kept; 0s drops it at once.
        keep_exited_for: Duration = HOUR, range Duration::ZERO..=YEAR, reload daemon;
        /// The shell when a request names none: an absolute path, or a name to look up in PATH. Unset: the SHELL of the daemon.
        shell: Option<String> = None, example r#""/bin/bash""#, reload daemon;
        /// Where a shell starts when a request names no directory: an absolute path. Unset: the home directory.
        cwd: Option<String> = None, check check_directory, example r#""/srv""#, reload daemon;
        /// Variables for every shell, each as NAME=value.
        env: Vec<String> = Vec::new(), check check_settings, example r#"["EDITOR=vim"]"#, reload daemon;
        /// Further variables of the daemon's environment that pass to shells; by default only the usual ones do (HOME, PATH, LANG, …).
        inherit_env: Vec<String> = Vec::new(), check check_names, example r#"["SSH_AUTH_SOCK"]"#, reload daemon;
    }
}

impl Config {
    /// The configured variables, without those that the check would refuse.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        self.env
            .iter()
            .filter_map(|setting| check_setting(setting).ok())
            .collect()
    }
}

/// The roles that are trusted with the machine itself.
fn default_roles() -> Vec<String> {
    ["owner", "admin"].map(str::to_owned).to_vec()
}

#[expect(
    clippy::ptr_arg,
    reason = "the declaration checks the field's own type"
)]
fn check_roles(roles: &Vec<String>) -> Result<(), String> {
    let is_role = |role: &String| ROLES.contains(&role.as_str());
    match roles.iter().find(|role| !is_role(role)) {
        Some(role) => Err(format!(
            "{role:?} is no role; there are {}",
            ROLES.join(", ")
        )),
        None => Ok(()),
    }
}

#[expect(
    clippy::ref_option,
    reason = "the declaration checks the field's own type"
)]
fn check_directory(cwd: &Option<String>) -> Result<(), String> {
    match cwd {
        Some(path) if !path.starts_with('/') => Err("expected an absolute path".to_owned()),
        _ => Ok(()),
    }
}

#[expect(
    clippy::ptr_arg,
    reason = "the declaration checks the field's own type"
)]
fn check_settings(settings: &Vec<String>) -> Result<(), String> {
    settings
        .iter()
        .try_for_each(|setting| check_setting(setting).map(drop))
}

#[expect(
    clippy::ptr_arg,
    reason = "the declaration checks the field's own type"
)]
fn check_names(names: &Vec<String>) -> Result<(), String> {
    names.iter().try_for_each(|name| check_inherited(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_name_and_value() {
        let config = Config {
            env: vec!["A=1".to_owned(), "B=x=y".to_owned()],
            ..Config::default()
        };
        assert_eq!(check_settings(&config.env), Ok(()));
        assert_eq!(config.variables()["B"], "x=y");
        assert!(check_settings(&vec!["A".to_owned()]).is_err());
        assert!(check_names(&vec!["NOTIFY_SOCKET".to_owned()]).is_err());
        assert!(check_directory(&Some("srv".to_owned())).is_err());
        assert!(check_directory(&None).is_ok());
        assert_eq!(check_roles(&config.roles), Ok(()));
        assert!(check_roles(&vec!["root".to_owned()]).is_err());
    }
}
