//! Puts the layers together: which file, what the environment and the flags add, and whether the whole is sound.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use ground::config::{
    Effective, Node, Origin, Problem, Reading, Refusal, Surroundings, Table, Value,
};

use super::document;
use super::file::{self, FileFault, Source};
use super::findings::{Finding, Invalid};
use super::settings::Settings;
use super::variables;
use crate::http::Pair;

/// The file of the whole machine, read where no other is.
pub const SYSTEM_FILE: &str = "/etc/mainstay/mainstay.toml";
/// The name of the file in the data directory.
const FILE_NAME: &str = "mainstay.toml";

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is written: `--listen`.
    pub name: &'static str,
    /// The dotted key: `http.listen`.
    pub key: &'static str,
    /// The text behind it.
    pub value: String,
}

/// Where the layers are. Reading them is a function of this and of the files alone.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file of `--config`: it must be there.
    pub file: Option<PathBuf>,
    /// The data directory, whose `mainstay.toml` is read when no file is named; it may be missing.
    pub data_dir: Option<PathBuf>,
    /// The file that is read when there is none in the data directory; it may be missing. Usually [`SYSTEM_FILE`].
    pub system_file: PathBuf,
    /// The environment, from [`environment`](super::environment).
    pub environment: BTreeMap<OsString, OsString>,
    /// The flags that set keys.
    pub flags: Vec<Flag>,
}

impl Sources {
    /// The usual places, with this environment.
    pub fn new(environment: BTreeMap<OsString, OsString>) -> Self {
        Self {
            file: None,
            data_dir: None,
            system_file: SYSTEM_FILE.into(),
            environment,
            flags: Vec::new(),
        }
    }

    /// Sets a key from a flag that was given.
    #[must_use]
    pub fn flag(
        mut self,
        name: &'static str,
        key: &'static str,
        value: Option<impl ToString>,
    ) -> Self {
        self.flags.extend(value.map(|value| Flag {
            name,
            key,
            value: value.to_string(),
        }));
        self
    }
}

/// A sound configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings, one field a section.
    pub settings: Settings,
    /// Every key with its value and who set it, in the order of the default file.
    pub effective: Vec<Effective>,
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    /// What is allowed and hardly meant.
    pub warnings: Vec<Finding>,
}

/// Reads and checks all layers.
///
/// # Errors
/// Every fault of every layer, in the order file, environment, flags.
pub fn load(sources: &Sources) -> Result<Loaded, Invalid> {
    let (path, file_layer, problems) = file_layer(sources);
    assemble(sources, path, &file_layer, problems)
}

/// Adds the other layers to what the file says, and reads the whole.
pub(super) fn assemble(
    sources: &Sources,
    path: Option<PathBuf>,
    file_layer: &Table,
    mut problems: Vec<Problem>,
) -> Result<Loaded, Invalid> {
    let (env_layer, env_problems) = variables::layer(&sources.environment);
    let flag_layer = flag_layer(&sources.flags);
    problems.extend(env_problems);
    let surroundings = Surroundings {
        env: sources.environment.clone(),
    };
    let layers = vec![file_layer, &env_layer, &flag_layer];
    let reading = Reading::new(layers, &surroundings, &document::parse_value);
    let (settings, effective, found) = Settings::read(reading);
    problems.extend(found);
    if problems.is_empty() {
        problems.extend(unusable_pair(&settings, &effective));
    }
    if problems.is_empty() {
        let warnings = warnings(&settings, &effective);
        Ok(Loaded {
            settings,
            effective,
            file: path,
            warnings,
        })
    } else {
        Err(Invalid::new(
            path,
            problems.iter().map(Finding::of).collect(),
        ))
    }
}

/// The files of `[http.tls]` are read here already: a server that cannot use them would serve nobody.
fn unusable_pair(settings: &Settings, effective: &[Effective]) -> Option<Problem> {
    let (certificate, key) = settings.http.tls.files()?;
    let fault = Pair::load(certificate, key).err()?;
    let name = if fault.is_about_the_key() {
        "http.tls.key_file"
    } else {
        "http.tls.cert_file"
    };
    let refusal = Refusal::coded("config.tls", fault.to_string());
    Some(Problem {
        origin: origin_of(name, effective),
        key: name.to_owned(),
        refusal,
    })
}

fn warnings(settings: &Settings, effective: &[Effective]) -> Vec<Finding> {
    let doubts = settings.http.doubts().into_iter();
    let warning = |(key, message): (&str, String)| {
        Finding::of(&Problem {
            origin: origin_of(key, effective),
            key: key.to_owned(),
            refusal: Refusal::coded("config.doubt", message),
        })
    };
    doubts.map(warning).collect()
}

fn origin_of(key: &str, effective: &[Effective]) -> Origin {
    let found = effective.iter().find(|one| one.key() == key);
    found.map_or(Origin::Default, |one| one.origin.clone())
}

/// The file, if there is one, and what it says.
fn file_layer(sources: &Sources) -> (Option<PathBuf>, Table, Vec<Problem>) {
    let named = sources.file.iter().map(|path| (path.clone(), true));
    let in_data_dir = sources
        .data_dir
        .iter()
        .map(|path| (path.join(FILE_NAME), false));
    let candidates = named
        .chain(in_data_dir)
        .chain([(sources.system_file.clone(), false)]);
    for (path, must_be_there) in candidates {
        match file::read(&path) {
            Ok(bytes) => {
                let source = Source::new(&path.to_string_lossy(), &bytes);
                let (table, problems) = document::parse(&source);
                return (Some(path), table, problems);
            }
            Err(FileFault::Io(error)) if is_missing(&error) && !must_be_there => {}
            Err(fault) => {
                let problem = unreadable(&path, &fault);
                return (Some(path), Table::default(), vec![problem]);
            }
        }
    }
    (None, Table::default(), Vec::new())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The fault of a file that gives no text. Line 0 says that it is about the file as a whole.
fn unreadable(path: &Path, fault: &FileFault) -> Problem {
    let refusal = match fault {
        FileFault::TooLarge => Refusal::coded("config.too_large", fault.to_string()),
        _ => Refusal::coded("config.unreadable", format!("cannot be read: {fault}")),
    };
    let refusal = match fault {
        FileFault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            refusal.hint("let the user that the daemon runs as read it")
        }
        FileFault::Io(error) if is_missing(error) => refusal.hint(format!(
            "`mainstay config init > {}` writes one with every key",
            path.display()
        )),
        _ => refusal,
    };
    let origin = Origin::File {
        file: path.to_string_lossy().into(),
        line: 0,
        column: 0,
    };
    Problem {
        origin,
        key: String::new(),
        refusal,
    }
}

fn flag_layer(flags: &[Flag]) -> Table {
    let mut root = Table::default();
    for flag in flags {
        let origin = Origin::Flag(flag.name.into());
        let path: Vec<String> = flag.key.split('.').map(str::to_owned).collect();
        let node = Node::new(Value::Text(flag.value.clone()), origin.clone());
        // A flag given twice is refused by the command line, and no flag sets a part of another.
        _ = variables::insert(&mut root, &path, node, &origin);
    }
    root
}
