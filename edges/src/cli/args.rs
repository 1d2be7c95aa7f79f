//! The tree of verbs. What is written here is what `--help` shows and what the completions offer, so only verbs that work
//! are in it, and every verb's help ends with an example that can be pasted.
//!
//! The data directory is not read from the environment here although clap could: where it comes from decides what an error
//! suggests, and the order of its sources is the contract's ([`crate::data_dir::resolve`]).

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::{events::Since, span};

/// What the daemon is started with. `--data-dir` and the environment are already resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpOptions {
    /// The data directory, absolute where the current directory is known; it may not exist yet.
    pub data_dir: PathBuf,
    /// The configuration file that was named, if one was.
    pub config: Option<PathBuf>,
    /// Overrides `http.listen`. Port 0 takes a free port.
    pub listen: Option<SocketAddr>,
    /// Start these domains (and what they need) and no others; empty means all.
    pub only: Vec<String>,
    /// Leave these domains out.
    pub without: Vec<String>,
}

/// The command line of Mainstay.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    about = "One daemon for terminals and what grows around them, under supervision",
    after_help = "Examples:\n  mainstay up                start the daemon, with built-in defaults\n  mainstay status            \
                  how it is doing, as a tree\n  mainstay explain /store    why a part is not well, and what to do\n\nThe data \
                  directory also holds the socket that the other commands ask. Without --data-dir it is\n\
                  $MAINSTAY_DATA_DIR, $STATE_DIRECTORY, $XDG_DATA_HOME/mainstay or ~/.local/share/mainstay.\n\nExit codes: \
                  0 done, 1 failed, 2 wrong usage, 3 daemon not reachable, 4 configuration invalid,\n5 already running; \
                  status: 0 NORMAL, 10 DEGRADED, 11 CRITICAL, 12 OFFLINE",
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Global {
    /// The daemon's data directory [or: $MAINSTAY_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration file [or: mainstay.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the daemon and stay in the foreground
    #[command(
        after_help = "The line `mainstay ready on http://ADDR:PORT in N ms` on stdout tells that it serves; logs go to \
                      stderr.\nCtrl-C or SIGTERM stops it cleanly, SIGHUP reloads the configuration.\n\nExample:\n  mainstay up \
                      --listen 127.0.0.1:0"
    )]
    Up(UpArgs),
    /// Show how the daemon and its parts are doing
    #[command(
        after_help = "The exit code tells the level: 0 NORMAL, 10 DEGRADED, 11 CRITICAL, 12 OFFLINE.\n\nExamples:\n  mainstay \
                            status /ptys --watch\n  mainstay status events --since 2h"
    )]
    Status(StatusArgs),
    /// Watch and steer all parts on the full screen
    #[command(
        after_help = "Needs a terminal; `mainstay status --watch` does without. `?` shows the keys.\n\nExample:\n  mainstay top"
    )]
    Top,
    /// Tell in plain words why a part is not well, what you lose and what you can do
    #[command(after_help = "Example:\n  mainstay explain /store")]
    Explain(ExplainArgs),
    /// Restart a part, and what runs below it
    #[command(
        after_help = "A quarantined part is started at once, and its restart budget begins anew.\n\nExample:\n  mainstay \
                            restart /ptys"
    )]
    Restart(ActionArgs),
    /// Stop a part; it stays stopped until it is started again
    #[command(after_help = "Example:\n  mainstay stop /ptys")]
    Stop(ActionArgs),
    /// Start a part that was stopped or is quarantined
    #[command(after_help = "Example:\n  mainstay start /ptys")]
    Start(ActionArgs),
    /// Check what the daemon needs: each finding with its fix
    #[command(
        after_help = "Works with the daemon up or down. Exits 0 when nothing fails, else 1.\n\nExample:\n  mainstay doctor"
    )]
    Doctor(DoctorArgs),
    /// Write, check and show the configuration
    #[command(after_help = "Example:\n  mainstay config check /etc/mainstay/mainstay.toml")]
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Look after the database's schema while the daemon is down
    #[command(
        after_help = "`mainstay up` migrates by itself; these verbs are for looking first, and for the way back.\n\nExample:\n  \
                            mainstay migrate status"
    )]
    Migrate {
        #[command(subcommand)]
        verb: MigrateVerb,
    },
    /// Create, list and revoke access tokens
    #[command(after_help = "Example:\n  TOKEN=$(mainstay token create --name laptop)")]
    Token {
        #[command(subcommand)]
        verb: TokenVerb,
    },
    /// Show, prove and export the record of what people did
    #[command(
        after_help = "Every entry holds a hash over itself and all before it, so that a change of the record is found.\n\nExample:\n  \
                            mainstay audit list --action token. --since 7d"
    )]
    Audit {
        #[command(subcommand)]
        verb: AuditVerb,
    },
    /// Add, change, list and erase people
    #[command(after_help = "Example:\n  mainstay user add ada@example.com --role owner")]
    User {
        #[command(subcommand)]
        verb: UserVerb,
    },
    /// Inject a real fault for a bounded time and see that it is told and healed
    #[command(
        after_help = "Drills answer only where the configuration says `drills.enabled = true`.\n\nExample:\n  mainstay drill \
                            list"
    )]
    Drill {
        #[command(subcommand)]
        verb: DrillVerb,
    },
    /// Print the completions for a shell
    #[command(
        after_help = "Example:\n  mainstay completions bash > ~/.local/share/bash-completion/completions/mainstay"
    )]
    Completions(CompletionsArgs),
    /// Show the version, the commit and the build time
    #[command(after_help = "Example:\n  mainstay version --json")]
    Version(VersionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where to serve HTTP; port 0 takes a free port, and the ready line tells which
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Start only these domains and what they need
    #[arg(long, value_name = "DOMAIN,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leave these domains out
    #[arg(long, value_name = "DOMAIN,...", value_delimiter = ',')]
    pub(crate) without: Vec<String>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct StatusArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<StatusVerb>,
    /// Only this part of the tree, like /ptys
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Keep showing: redraw on a terminal; one line a change in a pipe or where TERM=dumb
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// Show which parts wait for which others at this moment instead
    #[arg(long, conflicts_with_all = ["watch", "path", "depth"])]
    pub(crate) waits: bool,
    /// Print the status document as JSON (with --watch: one event a line)
    #[arg(long)]
    pub(crate) json: bool,
    /// Show at most this many levels below the root of what is shown
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    pub(crate) depth: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StatusVerb {
    /// Tell what happened, oldest first, also from before the daemon was last started
    #[command(
        after_help = "How long events are kept: `[ledger]` in the configuration.\n\n\
                      Examples:\n  mainstay status events --path /ptys --since 2h\n  mainstay status events --follow --json"
    )]
    Events(EventsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only this part of the tree and what is below it, like /ptys
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Only what came later: for so long (2h), from a time on (2026-01-31T12:00:00Z), or after an event's id
    #[arg(long, value_name = "WHEN", value_parser = Since::parse)]
    pub(crate) since: Option<Since>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Go on with each event as it happens
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print one event a line as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The part to explain, like /ptys; / is the whole system
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Print the status document and the last events as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ActionArgs {
    /// The part, like /ptys
    #[arg(value_name = "PATH")]
    pub(crate) path: String,
    /// Return as soon as the daemon has taken the order
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait for the outcome
    #[arg(long, value_name = "DUR", default_value = "30s", value_parser = span::parse, conflicts_with = "no_wait")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print the checks as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print a commented configuration file with every key and its default
    #[command(after_help = "Example:\n  mainstay config init > mainstay.toml")]
    Init {
        /// Defaults for writing code against, or for serving
        #[arg(long, value_enum, default_value_t = Preset::Production)]
        env: Preset,
    },
    /// Report every error of a configuration at once, each with file and line
    #[command(
        after_help = "Exits 4 when there is an error.\n\nExample:\n  mainstay config check mainstay.toml"
    )]
    Check {
        /// The file; without it, what `mainstay up` would read
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the configuration in force, with where each value comes from
    #[command(after_help = "Secrets are never shown.\n\nExample:\n  mainstay config show --json")]
    Show {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show only what differs from the defaults
    #[command(after_help = "Example:\n  mainstay config diff")]
    Diff {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What the defaults of `config init` are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// For writing code against it on one's own machine.
    Development,
    /// For serving.
    Production,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateVerb {
    /// List the migrations: applied, pending, edited or unknown
    #[command(after_help = "Example:\n  mainstay migrate status --json")]
    Status {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Apply what is pending, after a backup
    #[command(after_help = "Example:\n  mainstay migrate up")]
    Up,
    /// Take migrations back, newest first, after a backup
    #[command(
        after_help = "What the migrations added, and the data in it, is gone afterwards.\n\nExample:\n  mainstay migrate down \
                            --steps 1"
    )]
    Down {
        /// How many to take back
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Take back all after this one instead; 0 takes back all
        #[arg(long, value_name = "VERSION", conflicts_with = "steps")]
        to: Option<u32>,
    },
    /// Read the database from end to end and check that it fits this binary
    #[command(
        after_help = "Exits 1 when it is damaged, newer than this binary, or a migration was edited.\n\nExample:\n  mainstay migrate verify"
    )]
    Verify {
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Create a token and print it, alone, on stdout
    #[command(
        after_help = "It is shown once: the daemon keeps only its hash.\n\nExample:\n  TOKEN=$(mainstay token create --name \
                            laptop --expires 30d)"
    )]
    Create {
        /// What to call it in the list
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// What it may do; without it, everything
        #[arg(long = "scope", value_name = "SCOPE,...", value_delimiter = ',')]
        scopes: Vec<String>,
        /// How long it is valid, like 12h or 30d; without it, until it is revoked
        #[arg(long, value_name = "DUR", value_parser = span::parse)]
        expires: Option<Duration>,
        /// Whose it is, by address: it never has more rights than this user; without it, the local operator's
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
    },
    /// List the tokens (never the tokens themselves)
    #[command(after_help = "Example:\n  mainstay token list")]
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; what uses it is disconnected
    #[command(
        after_help = "Example:\n  mainstay token revoke 0198c2a4-8f3e-7c1d-b6a5-0f2e4d6c8b1a"
    )]
    Revoke {
        /// The token's id, from `mainstay token list`
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// List what people did, newest first
    #[command(
        after_help = "How long entries are kept: `[audit]` in the configuration.\n\nExample:\n  mainstay audit list --outcome refused"
    )]
    List(AuditListArgs),
    /// Check that nobody changed the record, and tell the first place where somebody did
    #[command(
        after_help = "Exits 1 when the record does not hold.\n\nExample:\n  mainstay audit verify"
    )]
    Verify {
        /// Print the verdict as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print all of it, oldest first, one JSON document a line
    #[command(after_help = "Example:\n  mainstay audit export > audit.ndjson")]
    Export,
}

#[derive(Debug, Args)]
pub(crate) struct AuditListArgs {
    /// Only what this user did
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// Only actions that begin like this
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only what had this result
    #[arg(long, value_name = "RESULT", value_parser = ["done", "refused", "failed"])]
    pub(crate) outcome: Option<String>,
    /// Only what was done to this: a token's id, a part like /ptys
    #[arg(long, value_name = "OBJECT")]
    pub(crate) object: Option<String>,
    /// Only what came later: for so long (2h), or from a time on (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = Since::parse_time)]
    pub(crate) since: Option<Since>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// Print the list as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserVerb {
    /// Add a user; without a password, print an invitation to set one
    #[command(
        after_help = "On a terminal the password is asked for twice. Without one the invitation (msi_...) is printed, alone, on \
                      stdout:\nwhoever registers with it and the address within seven days sets the password.\n\nExample:\n  mainstay user add \
                      ada@example.com --role admin --name Ada"
    )]
    Add {
        /// The address to sign in with
        #[arg(value_name = "EMAIL")]
        email: String,
        /// What the user may do at most
        #[arg(long, value_name = "ROLE", value_enum, default_value_t = RoleWord::Member)]
        role: RoleWord,
        /// What to call the user
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Read the password from the first line of stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the users
    #[command(after_help = "Example:\n  mainstay user list")]
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep a user out; sessions, tokens and streams end at once
    #[command(after_help = "Example:\n  mainstay user disable ada@example.com")]
    Disable(UserArgs),
    /// Let a user in again
    #[command(after_help = "Example:\n  mainstay user enable ada@example.com")]
    Enable(UserArgs),
    /// Set a user's password; all sessions of the user end
    #[command(after_help = "Example:\n  mainstay user passwd ada@example.com --password-stdin")]
    Passwd {
        /// The user's address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// Read the password from the first line of stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take a user's authenticator app and recovery codes away, when both are lost; all sessions of the user end
    #[command(after_help = "Example:\n  mainstay user remove-factors ada@example.com")]
    RemoveFactors(UserArgs),
    /// Give a user another role
    #[command(after_help = "Example:\n  mainstay user role ada@example.com admin")]
    Role {
        /// The user's address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// What the user may do at most from now on
        #[arg(value_name = "ROLE", value_enum)]
        role: RoleWord,
    },
    /// Print all that is kept of a user, as JSON
    #[command(after_help = "Example:\n  mainstay user export ada@example.com > ada.json")]
    Export(UserArgs),
    /// Erase a user with all that is theirs
    #[command(
        after_help = "Entries of the audit stay and name only the user's id.\n\nExample:\n  mainstay user erase ada@example.com --yes"
    )]
    Erase {
        /// The user's address
        #[arg(value_name = "EMAIL")]
        email: String,
        /// Yes, for good
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// The user's address
    #[arg(value_name = "EMAIL")]
    pub(crate) email: String,
}

/// What somebody may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Everything
    Owner,
    /// Everything but what concerns owners
    Admin,
    /// Everything of one's own
    Member,
    /// To look
    Viewer,
}

impl RoleWord {
    /// The word for it, on the wire.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum DrillVerb {
    /// List the drills, with what each one hits and what should be told
    #[command(after_help = "Example:\n  mainstay drill list --json")]
    List {
        /// Print the list as JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a drill and wait for its verdict
    #[command(after_help = "Example:\n  mainstay drill run panic-actor /ptys/manager")]
    Run {
        /// The drill, from `mainstay drill list`
        #[arg(value_name = "NAME")]
        name: String,
        /// What to hit: an actor's path, or the name of a dependency like store.database; the first of the list without it
        #[arg(value_name = "TARGET")]
        target: Option<String>,
        /// How long the fault lasts, 100ms to 60s
        #[arg(long = "for", value_name = "DUR", value_parser = span::parse)]
        lasting: Option<Duration>,
        /// Print the run as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected ADDR:PORT, like 127.0.0.1:4110, [::1]:4110 or 0.0.0.0:0".to_owned())
}
