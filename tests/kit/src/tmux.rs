//! A real terminal to look at: tmux draws what a program paints, and presses its keys.
//!
//! Why tmux and no parser of our own: a screen is right when a terminal that people use shows it, and puts it back.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{base_command, wait_for_end};
use crate::database::say_skipped;
use crate::{Home, PATIENCE, eventually};

/// A tmux server of our own with one window and a plain shell in it. Dropping it ends them.
#[derive(Debug)]
pub struct Tmux {
    // Apart from the daemon's, so that the shell in here is not taken for something that the daemon left.
    home: Home,
    server: i32,
}

impl Tmux {
    /// Starts one of this size. `None` where this machine has no tmux, which is said on stderr.
    ///
    /// # Panics
    ///
    /// When tmux is there and does not start.
    #[must_use]
    pub fn start(columns: u16, rows: u16) -> Option<Self> {
        let is_there = Command::new("tmux")
            .arg("-V")
            .stdout(Stdio::null())
            .status();
        if !is_there.is_ok_and(|status| status.success()) {
            say_skipped("this machine has no tmux");
            return None;
        }
        let mut tmux = Self {
            home: Home::new(),
            server: 0,
        };
        let mut command = tmux.command();
        command.args(["-f", "/dev/null", "new-session", "-d", "-s", "test"]);
        command.args(["-x", &columns.to_string(), "-y", &rows.to_string()]);
        command.args(["-e", "PS1=$ ", "/bin/bash", "--norc", "--noprofile", "-i"]);
        run(&mut command);
        tmux.server = tmux.ask("#{pid}").parse().expect("a process id");
        Some(tmux)
    }

    /// What is on the screen.
    ///
    /// # Panics
    ///
    /// When tmux is gone.
    #[must_use]
    pub fn screen(&self) -> String {
        run(self.command().args(["capture-pane", "-p"]))
    }

    /// Types a line, and Enter.
    ///
    /// # Panics
    ///
    /// When tmux is gone.
    pub fn type_line(&self, text: &str) {
        run(self.command().args(["send-keys", "-l", text]));
        self.press(&["Enter"]);
    }

    /// Presses keys, as tmux names them: `a`, `Enter`, `Escape`, `Down`, `C-c`.
    ///
    /// # Panics
    ///
    /// When tmux is gone.
    pub fn press(&self, keys: &[&str]) {
        run(self.command().arg("send-keys").args(keys));
    }

    /// Makes the window this big.
    ///
    /// # Panics
    ///
    /// When tmux is gone.
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        run(self
            .command()
            .args(["resize-window", "-x", &columns, "-y", &rows]));
    }

    /// What tmux knows of the window, by a format such as `#{alternate_on}`.
    ///
    /// # Panics
    ///
    /// When tmux is gone.
    #[must_use]
    pub fn ask(&self, format: &str) -> String {
        let told = run(self.command().args(["display-message", "-p", format]));
        told.trim_end().to_owned()
    }

    /// Waits until the screen is as `check` wants it, and gives it.
    ///
    /// # Panics
    ///
    /// With the screen, when it is not within 30 s.
    pub async fn until(&self, what: &str, check: impl Fn(&str) -> bool) -> String {
        eventually(PATIENCE, async || {
            let screen = self.screen();
            if check(&screen) {
                Ok(screen)
            } else {
                Err(format!("{what}; the screen is\n{screen}"))
            }
        })
        .await
    }

    /// Waits until the screen shows all of these words.
    ///
    /// # Panics
    ///
    /// With the screen, when it does not within 30 s.
    pub async fn shows(&self, words: &[&str]) -> String {
        let what = format!("the screen shows {words:?}");
        self.until(&what, |screen| {
            words.iter().all(|word| screen.contains(word))
        })
        .await
    }

    fn command(&self) -> Command {
        let mut command = base_command(Path::new("tmux"), &self.home);
        // Its socket as well goes with the home.
        command
            .env("TMUX_TMPDIR", self.home.root())
            .args(["-L", "t"]);
        command
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _gone_already = self.command().arg("kill-server").output();
        wait_for_end(self.server, PATIENCE);
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("tmux runs");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
