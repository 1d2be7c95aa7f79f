//! From a request to a shell that can be started: defaults filled in, everything checked, all findings at once.
//!
//! The checks look at the file system, so they run off the async threads. They cannot promise that the start succeeds (the
//! file may vanish in between); they are there so that the usual mistakes are told by field and not as a failed start.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use supervisor::Finding;

use crate::config::Config;
use crate::environment::{self, DaemonEnvironment, Sources};
use crate::types::{NewTerminal, Size, check_name};

/// A shell to start. All of it was checked.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) shell: PathBuf,
    pub(crate) cwd: PathBuf,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) size: Size,
}

/// Checks `new` and fills in what it leaves out. Blocks on the file system.
pub(crate) fn prepare(
    new: &NewTerminal,
    config: &Config,
    daemon: &DaemonEnvironment,
) -> Result<Launch, Vec<Finding>> {
    let mut findings = Vec::new();
    let size = keep(Size::checked(new.cols, new.rows), &mut findings);
    let name = new.name.as_deref().map(check_name).transpose();
    let name = keep(name.map_err(|finding| vec![finding]), &mut findings);
    findings.extend(environment::findings(&new.env));

    let configured = config.variables();
    let shell = choose_shell(new, config, daemon);
    let sources = Sources {
        daemon,
        inherit: &config.inherit_env,
        configured: &configured,
        wanted: &new.env,
    };
    let env = environment::compose(&sources, &shell);
    let path = env.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let shell = keep(find_program(&shell, path), &mut findings);
    let cwd = choose_cwd(new, config, &env);
    let cwd = keep(check_cwd(cwd), &mut findings);

    match (size, name, shell, cwd) {
        (Some(size), Some(name), Some(shell), Some(cwd)) if findings.is_empty() => {
            let mut env = env;
            env.insert("SHELL".into(), shell.clone().into());
            Ok(Launch {
                name: name.unwrap_or_else(|| default_name(&shell)),
                shell,
                cwd,
                env,
                size,
            })
        }
        _ => Err(findings),
    }
}

/// The finding for a shell that passed all checks and was refused by the kernel, such as a script without interpreter.
pub(crate) fn not_executed(launch: &Launch, error: &std::io::Error) -> Finding {
    let message = format!(
        "{} could not be executed: {}",
        launch.shell.display(),
        reason(error)
    );
    Finding::new("/shell", "not_executable", message)
}

/// The value, or nothing and its findings kept.
fn keep<T>(checked: Result<T, Vec<Finding>>, findings: &mut Vec<Finding>) -> Option<T> {
    checked.map_err(|more| findings.extend(more)).ok()
}

fn default_name(shell: &Path) -> String {
    shell
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .and_then(|name| check_name(&name).ok())
        .unwrap_or_else(|| "shell".to_owned())
}

fn choose_shell(new: &NewTerminal, config: &Config, daemon: &DaemonEnvironment) -> OsString {
    let wanted = new
        .shell
        .as_ref()
        .or(config.shell.as_ref())
        .map(OsString::from);
    wanted
        .or_else(|| {
            daemon
                .value("SHELL")
                .filter(|shell| !shell.is_empty())
                .map(OsStr::to_owned)
        })
        .unwrap_or_else(|| {
            let bash = Path::new("/bin/bash");
            if is_program(bash) {
                bash.into()
            } else {
                "/bin/sh".into()
            }
        })
}

/// The absolute path of a program that is named by an absolute path, or by a bare name in `path`.
fn find_program(program: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Vec<Finding>> {
    let refused = |code: &str, message: String| Err(vec![Finding::new("/shell", code, message)]);
    let shown = program.display();
    let wanted = Path::new(program);
    if has_nul(program) || program.is_empty() {
        return refused(
            "bad_path",
            "expected an absolute path or a program's name".to_owned(),
        );
    }
    if wanted.is_absolute() {
        return match fs::metadata(wanted) {
            Err(error) => refused(
                "not_found",
                format!("{shown} cannot be used: {}", reason(&error)),
            ),
            Ok(found) if !found.is_file() => {
                refused("not_a_file", format!("{shown} is not a file"))
            }
            Ok(_) if !is_program(wanted) => {
                refused("not_executable", format!("{shown} is not executable"))
            }
            Ok(_) => Ok(wanted.to_owned()),
        };
    }
    if wanted.components().count() != 1 || program == ".." || program == "." {
        return refused(
            "bad_path",
            format!("{shown} is neither an absolute path nor a program's name"),
        );
    }
    std::env::split_paths(path.unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(wanted))
        .find(|candidate| is_program(candidate))
        .map_or_else(
            || refused("not_found", format!("{shown} is not found in PATH")),
            Ok,
        )
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file()) && access(path, Access::EXEC_OK).is_ok()
}

/// The wanted directory; the flag says whether the request itself named it.
fn choose_cwd(
    new: &NewTerminal,
    config: &Config,
    env: &BTreeMap<OsString, OsString>,
) -> (PathBuf, bool) {
    if let Some(cwd) = &new.cwd {
        return (PathBuf::from(cwd), true);
    }
    let configured = config.cwd.as_ref().map(PathBuf::from);
    let home = || env.get(OsStr::new("HOME")).map(PathBuf::from);
    (
        configured
            .or_else(home)
            .unwrap_or_else(|| PathBuf::from("/")),
        false,
    )
}

/// A default directory that cannot be used gives way to the root, as it does at a login: a shell in the wrong place is worth
/// more than none. One that the request names is a finding.
fn check_cwd((cwd, named): (PathBuf, bool)) -> Result<PathBuf, Vec<Finding>> {
    let (code, message) = match unusable_cwd(&cwd) {
        None => return Ok(cwd),
        Some(_) if !named => return Ok(PathBuf::from("/")),
        Some(refusal) => refusal,
    };
    Err(vec![Finding::new("/cwd", code, message)])
}

fn unusable_cwd(cwd: &Path) -> Option<(&'static str, String)> {
    let shown = cwd.display();
    if has_nul(cwd.as_os_str()) || !cwd.is_absolute() {
        return Some(("bad_path", "expected an absolute path".to_owned()));
    }
    match fs::metadata(cwd) {
        Err(error) => Some((
            "not_found",
            format!("{shown} cannot be used: {}", reason(&error)),
        )),
        Ok(found) if !found.is_dir() => {
            Some(("not_a_directory", format!("{shown} is not a directory")))
        }
        Ok(_) if access(cwd, Access::EXEC_OK).is_err() => {
            Some(("not_allowed", format!("{shown} may not be entered")))
        }
        Ok(_) => None,
    }
}

/// The system's words for an error, without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

fn has_nul(text: &OsStr) -> bool {
    text.as_encoded_bytes().contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> NewTerminal {
        NewTerminal {
            cols: 80,
            rows: 24,
            ..NewTerminal::default()
        }
    }

    fn check(new: &NewTerminal) -> Result<Launch, Vec<(String, String)>> {
        prepare(new, &Config::default(), &DaemonEnvironment::default())
            .map_err(|all| all.into_iter().map(|f| (f.pointer, f.code)).collect())
    }

    #[test]
    fn defaults_are_filled_in() {
        let launch = check(&request()).expect("all defaults");
        assert!(is_program(&launch.shell));
        assert_eq!(launch.cwd, Path::new("/"));
        assert_eq!(launch.env[OsStr::new("SHELL")], launch.shell.as_os_str());
        assert!(!launch.name.is_empty());
    }

    #[test]
    fn a_bare_name_is_found_in_the_path() {
        let new = NewTerminal {
            shell: Some("sh".to_owned()),
            ..request()
        };
        let launch = check(&new).expect("there is always sh");
        assert!(launch.shell.is_absolute() && launch.name == "sh");
    }

    #[test]
    fn all_findings_come_at_once() {
        let new = NewTerminal {
            cwd: Some("/etc/passwd".to_owned()),
            shell: Some("/no/such/shell".to_owned()),
            env: BTreeMap::from([("1".to_owned(), String::new())]),
            cols: 0,
            rows: 100_000,
            name: Some("\n".to_owned()),
        };
        let told = check(&new).expect_err("everything is wrong");
        let expected = [
            ("/cols", "out_of_range"),
            ("/rows", "out_of_range"),
            ("/name", "bad_name"),
            ("/env/1", "bad_name"),
            ("/shell", "not_found"),
            ("/cwd", "not_a_directory"),
        ];
        assert_eq!(told, expected.map(|(p, c)| (p.to_owned(), c.to_owned())));
    }

    #[test]
    fn shells_and_directories_that_cannot_be_used_are_told_apart() {
        for (shell, code) in [
            ("/etc", "not_a_file"),
            ("/etc/passwd", "not_executable"),
            ("bin/sh", "bad_path"),
            ("..", "bad_path"),
            ("", "bad_path"),
            ("a\0b", "bad_path"),
            ("no-such-program", "not_found"),
        ] {
            let new = NewTerminal {
                shell: Some(shell.to_owned()),
                ..request()
            };
            let told = check(&new).expect_err(shell);
            assert_eq!(told, [("/shell".to_owned(), code.to_owned())], "{shell}");
        }
        for (cwd, code) in [
            ("/no/such", "not_found"),
            ("tmp", "bad_path"),
            ("/\0", "bad_path"),
        ] {
            let new = NewTerminal {
                cwd: Some(cwd.to_owned()),
                ..request()
            };
            let told = check(&new).expect_err(cwd);
            assert_eq!(told, [("/cwd".to_owned(), code.to_owned())], "{cwd}");
        }
    }
}
