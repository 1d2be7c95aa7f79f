//! Where the database is: `store.url` and the data directory, made into something that can be opened and shown.
//!
//! The URL may hold a password. It stays inside: neither `Debug` nor `Display` nor any error of this file contains a part
//! of the URL that could be one, and parameters that the driver does not know are refused here, because it would log them with
//! their value.

use std::fmt;
use std::path::{Path, PathBuf};

use ground::Secret;
use ground::db::Engine;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The file of the embedded database, inside the data directory.
pub const DATABASE_FILE: &str = "mainstay.db";

/// What a `postgres://` URL may have behind its `?`.
const POSTGRES_PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// A database that can be opened.
#[derive(Clone)]
pub struct Location {
    pub(crate) target: Target,
    /// The data directory, where backups go.
    pub(crate) home: PathBuf,
}

#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// What is wrong with `store.url`. The texts hold nothing of the URL but its scheme or the name of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Neither SQLite nor PostgreSQL.
    #[error(
        "store.url must start with postgres:// or sqlite:{}; leave it out for the embedded database in the data directory",
        scheme.as_ref().map(|scheme| format!(", not {scheme}:")).unwrap_or_default()
    )]
    Scheme {
        /// What it starts with, when that looks like a scheme.
        scheme: Option<String>,
    },
    /// No path behind `sqlite:`.
    #[error(
        "store.url names no file; write sqlite:/absolute/path.db, or leave it out for the embedded database in the data directory"
    )]
    Path,
    /// Not a PostgreSQL URL.
    #[error(
        "store.url is not a valid PostgreSQL URL; write postgres://user:password@host:5432/database, with %40 for an @ and %2F \
         for a / in the password"
    )]
    Postgres,
    /// A parameter that does not exist.
    #[error(
        "store.url has an unknown parameter {name}; known are sslmode, sslrootcert, host, port, user, dbname, application_name, options"
    )]
    Parameter {
        /// Its name.
        name: String,
    },
}

impl Location {
    /// Reads `store.url`; empty is the embedded database in the data directory `home`.
    ///
    /// # Errors
    /// [`LocationError`], which says what to write instead.
    pub fn parse(url: &Secret, home: &Path) -> Result<Self, LocationError> {
        let text = url.expose();
        let target = if text.is_empty() {
            Target::Sqlite(home.join(DATABASE_FILE))
        } else if let Some(path) = text.strip_prefix("sqlite:") {
            Target::Sqlite(sqlite_path(path, home)?)
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Target::Postgres(Box::new(postgres_options(text)?))
        } else {
            return Err(LocationError::Scheme {
                scheme: scheme(text),
            });
        };
        Ok(Self {
            target,
            home: home.to_owned(),
        })
    }

    /// Which engine it is.
    pub const fn engine(&self) -> Engine {
        match self.target {
            Target::Sqlite(_) => Engine::Sqlite,
            Target::Postgres(_) => Engine::Postgres,
        }
    }

    /// The file, for SQLite.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::Sqlite(path) => Some(path),
            Target::Postgres(_) => None,
        }
    }
}

/// `sqlite:data.db`, `sqlite:/data.db` and `sqlite:///data.db`; a relative path begins at the data directory.
fn sqlite_path(path: &str, home: &Path) -> Result<PathBuf, LocationError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let is_file = !path.is_empty()
        && !path.ends_with('/')
        && !path.contains(['?', '\0'])
        && path != ":memory:";
    if is_file {
        Ok(home.join(path))
    } else {
        Err(LocationError::Path)
    }
}

fn postgres_options(url: &str) -> Result<PgConnectOptions, LocationError> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    for name in names_of(query) {
        let is_known = POSTGRES_PARAMETERS.contains(&name) || name.starts_with("options[");
        // A name that does not look like one could be the tail of a password with a bare `?` or `&` in it.
        let is_name = name.len() <= 32
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_' || c == '-');
        match (is_known, is_name) {
            (true, _) => {}
            (false, true) => {
                return Err(LocationError::Parameter {
                    name: name.to_owned(),
                });
            }
            (false, false) => return Err(LocationError::Postgres),
        }
    }
    let options: PgConnectOptions = url.parse().map_err(|_| LocationError::Postgres)?;
    let is_asked = names_of(query).any(|name| matches!(name, "sslmode" | "ssl-mode"));
    Ok(if is_asked || is_here(&options) {
        options
    } else {
        options.ssl_mode(PgSslMode::VerifyFull)
    })
}

/// Whether the server is on this machine, where no wire is listened to. For any other, the driver's own default would send everything
/// in the clear to whoever says that it has no TLS: there it is asked for, and who wants less says so.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || bare.parse().is_ok_and(is_loopback)
}

fn names_of(query: &str) -> impl Iterator<Item = &str> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split('=').next().unwrap_or_default())
}

/// What stands before the first colon, when it cannot be anything but a scheme.
fn scheme(text: &str) -> Option<String> {
    let (scheme, _) = text.split_once("://")?;
    let is_scheme =
        scheme.len() <= 16 && scheme.chars().all(|c| c.is_ascii_lowercase() || c == '+');
    is_scheme.then(|| scheme.to_owned())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Sqlite(path) => write!(f, "{}", path.display()),
            Target::Postgres(options) => {
                write!(f, "postgres://{}@", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display())?,
                    None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
                }
                write!(
                    f,
                    "/{}",
                    options.get_database().unwrap_or(options.get_username())
                )
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> Result<Location, LocationError> {
        Location::parse(&url.into(), Path::new("/data"))
    }

    fn shown(url: &str) -> String {
        parse(url).map_or_else(
            |error| format!("refused: {error}"),
            |location| location.to_string(),
        )
    }

    #[test]
    fn files() {
        assert_eq!(shown(""), "/data/mainstay.db");
        assert_eq!(shown("sqlite:other.db"), "/data/other.db");
        assert_eq!(shown("sqlite://other.db"), "/data/other.db");
        assert_eq!(shown("sqlite:/srv/x.db"), "/srv/x.db");
        assert_eq!(shown("sqlite:///srv/x.db"), "/srv/x.db");
        for nothing in [
            "sqlite:",
            "sqlite://",
            "sqlite:///",
            "sqlite::memory:",
            "sqlite:x.db?mode=ro",
        ] {
            assert_eq!(parse(nothing).err(), Some(LocationError::Path), "{nothing}");
        }
    }

    #[test]
    fn a_server_elsewhere_is_spoken_to_in_secret_unless_less_is_asked_for() {
        for (url, verified) in [
            ("postgres://ann@db.example/main", true),
            ("postgres://ann@10.0.0.7:6432/main?application_name=x", true),
            ("postgres:///main?host=db.example&user=ann", true),
            ("postgres://ann@db.example/main?sslmode=disable", false),
            ("postgres://ann@db.example/main?ssl-mode=require", false),
            ("postgres://ann@localhost/main", false),
            ("postgres://ann@127.0.0.1:6432/main", false),
            ("postgres://ann@[::1]/main", false),
            ("postgres:///main?host=/run/postgresql", false),
        ] {
            let location = parse(url).expect("a server");
            let Target::Postgres(options) = location.target else {
                panic!("{url}: a server")
            };
            let mode = options.get_ssl_mode();
            let is_verified = matches!(mode, PgSslMode::VerifyFull);
            assert_eq!(is_verified, verified, "{url}: {mode:?}");
        }
    }

    #[test]
    fn servers() {
        assert_eq!(
            shown("postgres://ann:pw@db.example:6432/main"),
            "postgres://ann@db.example:6432/main"
        );
        assert_eq!(
            shown("postgresql://ann@localhost/m?host=/run/pg"),
            "postgres://ann@/run/pg/m"
        );
        let parameter = |name: &str| {
            Some(LocationError::Parameter {
                name: name.to_owned(),
            })
        };
        assert_eq!(
            parse("postgres://a@h/d?pasword=hunter2").err(),
            parameter("pasword")
        );
        assert_eq!(
            parse("postgres://a@h:notaport/d").err(),
            Some(LocationError::Postgres)
        );
        assert_eq!(
            parse("mysql://a@h/d").err(),
            Some(LocationError::Scheme {
                scheme: Some("mysql".to_owned())
            })
        );
        assert_eq!(
            parse("/var/lib/x.db").err(),
            Some(LocationError::Scheme { scheme: None })
        );
    }

    proptest! {
        #[test]
        fn passwords_are_never_shown(password in "[A-Z0-9]{6}[A-Za-z0-9/?&=@:#%]{0,12}", tail in "(/main)?(\\?sslmode=[a-z]{1,8})?") {
            let secret: String = password.chars().take(6).collect();
            for url in [
                format!("postgres://ann:{password}@host{tail}"),
                format!("postgres://ann@host{tail}?password={password}"),
                format!("postgres:{password}"),
                password.clone(),
            ] {
                let told = match parse(&url) {
                    Ok(location) => format!("{location} {location:?}"),
                    Err(error) => format!("{error} {error:?}"),
                };
                prop_assert!(!told.contains(&secret), "{}", told);
            }
        }
    }
}
