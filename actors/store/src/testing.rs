//! Real databases for the tests of every domain.
//!
//! A statement that works on one engine says little about the other, so that store tests run on both: a fresh, migrated
//! SQLite file, and a fresh database on a PostgreSQL server that is started for the test process and ended with it. Where no
//! server is installed the test prints why it was skipped there. It is part of the crate proper, since the tests of other
//! crates need it; nothing in the daemon uses it.
//!
//! ```no_run
//! # async fn a_test() {
//! store::testing::on_both(async |db: ground::Db| {
//!     let (one,) = db.fetch_one::<(i64,)>("SELECT 1", ground::args![]).await.expect("reads");
//!     assert_eq!(one, 1);
//! })
//! .await;
//! # }
//! ```

mod foundation;
mod pulled;
mod server;

pub use foundation::Foundation;
pub use pulled::{Pulled, eventually};
pub use server::Server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ground::db::Engine;
use ground::{Db, Id, Secret};
use supervisor::{Dependency, DependencyPolicy};
use tokio::sync::OnceCell;

use crate::config::StoreConfig;
use crate::location::Location;
use crate::opened;
use crate::writer::Writer;

/// The server of this process, or why there is none.
static SERVER: OnceCell<Result<Server, String>> = OnceCell::const_new();

/// Tells `story` with a fresh database of each engine.
///
/// # Panics
/// When a database cannot be opened.
pub async fn on_both(story: impl AsyncFn(Db)) {
    for stage in stages().await {
        let open = stage.open().await;
        story(open.db.clone()).await;
        open.close().await;
    }
}

/// An empty place for a database of each engine that is there.
///
/// # Panics
/// When a place cannot be made.
pub async fn stages() -> Vec<Stage> {
    let mut stages = vec![Stage::sqlite()];
    match SERVER.get_or_init(async || Server::start().await).await {
        Ok(server) => stages.push(Stage::postgres(server).await),
        Err(reason) => eprintln_skipped(reason),
    }
    stages
}

#[expect(
    clippy::print_stderr,
    reason = "a skipped test says so where the developer looks"
)]
fn eprintln_skipped(reason: &str) {
    eprintln!("skipped on PostgreSQL: {reason}");
}

/// An empty place for one database, with a data directory of its own. Nothing of it stays.
#[derive(Debug)]
pub struct Stage {
    /// Where the database is going to be.
    pub location: Location,
    /// The data directory; it goes away with this value.
    pub folder: Folder,
}

/// A folder that goes away with this value.
#[derive(Debug)]
pub struct Folder(PathBuf);

/// An opened database.
pub struct Open {
    /// The handle.
    pub db: Db,
    writer: Writer,
}

impl Stage {
    /// A place for a file.
    ///
    /// # Panics
    /// When no folder can be made.
    pub fn sqlite() -> Self {
        Self::at(&Secret::default())
    }

    /// A place on a server.
    ///
    /// # Panics
    /// When the server does not make a database.
    pub async fn postgres(server: &Server) -> Self {
        Self::at(&server.fresh_database().await)
    }

    fn at(url: &Secret) -> Self {
        let folder = Folder::fresh();
        let location = Location::parse(url, folder.path()).expect("own URL");
        Self { location, folder }
    }

    /// Which engine it is for.
    pub const fn engine(&self) -> Engine {
        self.location.engine()
    }

    /// Makes and opens the database.
    ///
    /// # Panics
    /// When that fails.
    pub async fn open(&self) -> Open {
        self.open_with(&StoreConfig::default()).await
    }

    /// Makes and opens the database with other settings.
    ///
    /// # Panics
    /// When that fails.
    pub async fn open_with(&self, config: &StoreConfig) -> Open {
        let db = Db::vacant();
        let opened = opened::open(&self.location, config).await;
        let opened = opened.unwrap_or_else(|error| panic!("{}: {error} {error:?}", self.engine()));
        let undisturbed = Dependency::new(
            crate::DATABASE,
            config.dependency(DependencyPolicy::default()),
        );
        let (writer, _) = opened.install(&db, self.engine(), config, &undisturbed);
        Open { db, writer }
    }
}

impl Open {
    /// How many writes there were, and how many transactions they shared.
    pub fn figures(&self) -> (u64, u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let figures = &self.writer.figures;
        (figures.writes.load(Relaxed), figures.batches.load(Relaxed))
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(self) {
        opened::close(&self.db, self.writer, Duration::from_secs(10)).await;
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

impl Folder {
    /// A folder that only this user can look into.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn fresh() -> Self {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("mainstay-test-{}", Id::generate()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .expect("a temporary folder");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A test may have taken it away itself.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
