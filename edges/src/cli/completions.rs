//! `completions`: made from the same tree of verbs that the help comes from, so they cannot differ.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{args::Cli, exit::Exit, failure::Failure, screen};

/// Prints the completion script for `shell`.
pub(crate) fn run(shell: Shell) -> Result<Exit, Failure> {
    screen::print(&script(shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "mainstay", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_completes_every_verb() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for verb in Cli::command().get_subcommands() {
                assert!(
                    script.contains(verb.get_name()),
                    "{shell}: {}",
                    verb.get_name()
                );
            }
        }
    }
}
