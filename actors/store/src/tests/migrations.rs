//! Migrations: there and back leaves the same schema, and what must be refused is refused untouched.

use std::path::{Path, PathBuf};

use ground::db::{Conn, Engine};
use ground::{Id, Micros, args};
use supervisor::{Fault as _, StartError};

use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::error::StoreError;
use crate::location::Location;
use crate::migrate::{self, EMBEDDED, Migration, Script, Standing};
use crate::testing::{Folder, Stage, stages};

async fn conn(location: &Location) -> Conn {
    connect(location, Role::Migrate, &StoreConfig::default())
        .await
        .expect("connects")
}

/// The schema as text: every table, index, column and constraint.
async fn schema(location: &Location) -> Vec<String> {
    let mut conn = conn(location).await;
    let sql = conn.engine().pick(
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE name <> 'store_migrations' ORDER BY 1",
        "SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' '
                || coalesce(column_default, '')
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'store_migrations'
         UNION ALL
         SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = 'public'::regnamespace AND conrelid <> 'store_migrations'::regclass
         UNION ALL
         SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'store_migrations'
         ORDER BY 1",
    );
    let rows = conn
        .fetch_all::<(String,)>(sql, args![])
        .await
        .expect("reads the schema");
    conn.close().await;
    rows.into_iter().map(|(line,)| line).collect()
}

/// The columns of every table as `table.column nullable`, which both engines must agree on.
async fn shape(location: &Location) -> Vec<String> {
    let mut conn = conn(location).await;
    let sql = conn.engine().pick(
        "SELECT t.name || '.' || c.name || CASE WHEN c.\"notnull\" OR c.pk THEN '' ELSE ' null' END
         FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1",
        "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN '' ELSE ' null' END
         FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
    );
    let mut rows = conn
        .fetch_all::<(String,)>(sql, args![])
        .await
        .expect("reads the schema");
    conn.close().await;
    rows.sort();
    rows.into_iter().map(|(line,)| line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn up_down_up_gives_the_same_schema_step_by_step() {
    for stage in stages().await {
        let location = &stage.location;
        let mut before = Vec::new();
        for count in 1..=EMBEDDED.len() {
            let known = &EMBEDDED[..count];
            let version = known[count - 1].version;
            let target = if count == 1 {
                0
            } else {
                known[count - 2].version
            };
            migrate::up_with(location, &StoreConfig::default(), known)
                .await
                .expect("up");
            let there = schema(location).await;
            assert_ne!(there, before, "{version} changes something");
            migrate::down_with(location, target, known)
                .await
                .expect("down");
            assert_eq!(
                schema(location).await,
                before,
                "{version} down on {}",
                stage.engine()
            );
            let report = migrate::up_with(location, &StoreConfig::default(), known)
                .await
                .expect("up again");
            assert_eq!((report.from, report.to), (target, version));
            assert_eq!(
                schema(location).await,
                there,
                "{version} up again on {}",
                stage.engine()
            );
            before = there;
        }
        migrate::down(location, 0).await.expect("all the way down");
        assert!(schema(location).await.is_empty(), "{}", stage.engine());
        migrate::up(location).await.expect("all the way up");
        assert_eq!(schema(location).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_have_the_same_tables() {
    let mut shapes = Vec::new();
    for stage in stages().await {
        migrate::up(&stage.location).await.expect("up");
        shapes.push(shape(&stage.location).await);
    }
    assert!(
        shapes.windows(2).all(|pair| pair[0] == pair[1]),
        "{shapes:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_is_applied_and_pending() {
    for stage in stages().await {
        let before = migrate::status(&stage.location)
            .await
            .expect("status of nothing");
        assert_eq!(
            (before.version, before.standing(Standing::Pending).count()),
            (0, EMBEDDED.len())
        );
        let report = migrate::up(&stage.location).await.expect("up");
        assert_eq!(
            (report.from, report.steps.len(), report.backup),
            (0, EMBEDDED.len(), None)
        );
        let after = migrate::verify(&stage.location).await.expect("verifies");
        assert_eq!(after.standing(Standing::Applied).count(), EMBEDDED.len());
        let again = migrate::up(&stage.location).await.expect("up again");
        assert_eq!((again.steps, again.backup), (Vec::new(), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_migration_is_refused_and_named() {
    for stage in stages().await {
        migrate::up(&stage.location).await.expect("up");
        let mut conn = conn(&stage.location).await;
        let edit = "UPDATE store_migrations SET checksum = $1 WHERE version = 2";
        conn.execute(edit, args![[7_u8; 32]]).await.expect("edits");
        conn.close().await;
        let before = schema(&stage.location).await;
        let path = format!("{}/accounts/0002_tokens", stage.engine());
        for error in [
            migrate::up(&stage.location).await.expect_err("up"),
            migrate::down(&stage.location, 0).await.expect_err("down"),
            migrate::verify(&stage.location).await.expect_err("verify"),
            crate::opened::open(&stage.location, &StoreConfig::default())
                .await
                .expect_err("open"),
        ] {
            assert_eq!(error.code(), "store.edited_migration");
            assert!(error.outside().contains(&path), "{error}");
            assert!(StartError::from(error).permanent);
        }
        assert_eq!(schema(&stage.location).await, before);
        let status = migrate::status(&stage.location).await.expect("status");
        assert_eq!(
            status
                .standing(Standing::Edited)
                .map(|step| step.version)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_is_refused_and_named() {
    for stage in stages().await {
        migrate::up(&stage.location).await.expect("up");
        let mut conn = conn(&stage.location).await;
        let newer = "INSERT INTO store_migrations VALUES (9001, 'spaces', 'later', $1, $2)";
        conn.execute(newer, args![[0_u8; 32], Micros(1)])
            .await
            .expect("inserts");
        conn.close().await;
        let error = migrate::up(&stage.location).await.expect_err("refused");
        assert_eq!(error.code(), "store.newer_database");
        assert!(error.outside().contains("spaces/9001_later"), "{error}");
        assert!(error.is_permanent());
    }
}

/// Files that are no database of ours, and what they are taken for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_refused_untouched() {
    let garbage: Vec<u8> = (0..9000_u32)
        .map(|n| u8::try_from(n * 7919 % 251).expect("small"))
        .collect();
    for content in [b"hello".to_vec(), b"# a text file\n".repeat(600), garbage] {
        let stage = Stage::sqlite();
        let file = stage.location.file().expect("a file");
        std::fs::write(file, &content).expect("writes");
        let error = migrate::up(&stage.location).await.expect_err("refused");
        assert_eq!(error.code(), "store.not_a_database", "{error}");
        assert!(error.outside().contains("move it away"), "{error}");
        assert_eq!(std::fs::read(file).expect("reads"), content);
    }
    let stage = Stage::sqlite();
    let mut other = conn(&stage.location).await;
    other
        .script("PRAGMA application_id = 42; CREATE TABLE theirs (x)")
        .await
        .expect("another program");
    other.close().await;
    let error = migrate::up(&stage.location).await.expect_err("refused");
    assert_eq!(error.code(), "store.not_a_database");
    assert_eq!(
        schema(&stage.location).await,
        ["table theirs: CREATE TABLE theirs (x)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn places_that_cannot_be_opened_say_why() {
    let folder = Folder::fresh();
    let file = folder.path().join("mainstay.db");
    std::fs::create_dir(&file).expect("a folder in its place");
    let code = |error: &StoreError| (error.code(), error.is_permanent());
    let at = |url: String| Location::parse(&url.into(), folder.path()).expect("valid");
    let error = migrate::up(&at(String::new())).await.expect_err("a folder");
    assert_eq!(code(&error), ("store.unreachable", false));
    assert!(error.outside().contains("not a file"), "{error}");
    let error = migrate::up(&at("sqlite:/nowhere/at/all.db".to_owned()))
        .await
        .expect_err("no folder");
    assert_eq!(code(&error), ("store.unreachable", false));
    let error = migrate::up(&at("postgres://ann:hunter2@127.0.0.1:9/main".to_owned()))
        .await
        .expect_err("no server");
    assert_eq!(code(&error), ("store.unreachable", false));
    assert!(
        error.outside().contains("no server answers")
            && !format!("{error:?}{error}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_use_is_refused() {
    let stage = Stage::sqlite();
    let open = stage.open().await;
    let error = migrate::up(&stage.location).await.expect_err("refused");
    assert_eq!(error.code(), "store.in_use");
    open.close().await;
    migrate::up(&stage.location).await.expect("free again");
}

/// One more step after the real ones, with the same text for both engines.
fn with_one_more(up: &'static str, down: &'static str) -> Vec<Migration> {
    let copy = |script: &Script| Script {
        up: script.up,
        down: script.down,
    };
    let mut all: Vec<Migration> = EMBEDDED
        .iter()
        .map(|known| Migration {
            sqlite: copy(&known.sqlite),
            postgres: copy(&known.postgres),
            ..*known
        })
        .collect();
    all.push(Migration {
        version: 9000,
        domain: "store",
        name: "test",
        sqlite: Script { up, down },
        postgres: Script { up, down },
    });
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_migration_leaves_nothing() {
    let broken = with_one_more(
        "CREATE TABLE half (x bigint); INSERT INTO nowhere VALUES (1);",
        "DROP TABLE half;",
    );
    for stage in stages().await {
        migrate::up(&stage.location).await.expect("up");
        let before = schema(&stage.location).await;
        let error = migrate::up_with(&stage.location, &StoreConfig::default(), &broken)
            .await
            .expect_err("fails");
        assert_eq!(error.code(), "store.migration_failed");
        assert!(
            error.outside().contains("store/9000_test") && error.outside().contains("nowhere"),
            "{error}"
        );
        assert_eq!(schema(&stage.location).await, before);
        migrate::verify(&stage.location).await.expect("as before");
    }
}

fn backups(home: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.join("backups"))
        .into_iter()
        .flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_comes_before_a_migration_and_five_are_kept() {
    let more = with_one_more("CREATE TABLE extra (x bigint);", "DROP TABLE extra;");
    for stage in stages().await {
        let open = stage.open().await;
        let insert = "INSERT INTO tokens (id, name, secret_hash, scopes, role, created_at) VALUES ($1, $2, $3, '[]', 'owner', $4)";
        open.db
            .execute(insert, args![Id::generate(), "kept", [1_u8; 32], Micros(1)])
            .await
            .expect("writes");
        open.close().await;
        let report = migrate::up_with(&stage.location, &StoreConfig::default(), &more)
            .await
            .expect("up");
        let Some(backup) = report.backup else {
            assert_eq!(stage.engine(), Engine::Postgres, "SQLite always makes one");
            continue;
        };
        assert_eq!(
            backups(stage.folder.path()),
            std::slice::from_ref(&backup),
            "nothing unfinished beside it"
        );
        if stage.engine() == Engine::Sqlite {
            let copy = Location::parse(
                &format!("sqlite:{}", backup.display()).into(),
                stage.folder.path(),
            )
            .expect("valid");
            let status = migrate::verify(&copy).await.expect("a whole database");
            assert_eq!(status.version, report.from);
            let mut conn = conn(&copy).await;
            let names = conn
                .fetch_all::<(String,)>("SELECT name FROM tokens", args![])
                .await
                .expect("reads");
            assert_eq!(names, [("kept".to_owned(),)]);
            conn.close().await;
            std::fs::remove_file(&backup).expect("removes");
            for older in 0..7 {
                let name = format!("backups/pre-migration-0001-0002-2020010{older}T000000Z.db");
                std::fs::write(stage.folder.path().join(name), "old").expect("writes");
            }
            std::fs::write(stage.folder.path().join("backups/mine.db"), "own").expect("writes");
            migrate::down_with(&stage.location, report.from, &more)
                .await
                .expect("down");
            let left = backups(stage.folder.path());
            assert_eq!(
                left.iter()
                    .filter(|file| file.display().to_string().contains("pre-migration-"))
                    .count(),
                5
            );
            assert!(left.iter().any(|file| file.ends_with("mine.db")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backup_there_is_no_migration() {
    let more = with_one_more("CREATE TABLE extra (x bigint);", "DROP TABLE extra;");
    let stage = Stage::sqlite();
    migrate::up(&stage.location).await.expect("up");
    std::fs::write(stage.folder.path().join("backups"), "in the way").expect("writes");
    let error = migrate::up_with(&stage.location, &StoreConfig::default(), &more)
        .await
        .expect_err("refused");
    assert_eq!(
        (error.code(), error.is_permanent()),
        ("store.backup_failed", false)
    );
    assert_eq!(
        migrate::verify(&stage.location)
            .await
            .expect("as before")
            .standing(Standing::Unknown)
            .count(),
        0
    );
}

/// A step of SQLite may rebuild a table that others refer to, but must not leave a reference that leads nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_dangling_reference_fails_the_migration() {
    let dangling = with_one_more(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY); CREATE TABLE child (p INTEGER REFERENCES parent (id)); INSERT INTO child VALUES (1);",
        "DROP TABLE child; DROP TABLE parent;",
    );
    for stage in stages().await {
        let error = migrate::up_with(&stage.location, &StoreConfig::default(), &dangling)
            .await
            .expect_err("fails");
        assert_eq!(error.code(), "store.migration_failed", "{error}");
        assert_eq!(
            migrate::status(&stage.location)
                .await
                .expect("status")
                .version,
            EMBEDDED.last().map_or(0, |last| last.version)
        );
    }
}

/// Two daemons start at once on one database: both end with all steps applied once.
#[tokio::test(flavor = "multi_thread")]
async fn two_runners_do_not_harm_each_other() {
    for stage in stages().await {
        let config = StoreConfig::default();
        let run = || migrate::up_with(&stage.location, &config, EMBEDDED);
        let (one, two) = tokio::join!(run(), run());
        let steps = one.expect("one").steps.len() + two.expect("two").steps.len();
        assert_eq!(steps, EMBEDDED.len(), "{}", stage.engine());
        migrate::verify(&stage.location).await.expect("sound");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_found_out() {
    use std::os::unix::fs::FileExt as _;
    let stage = Stage::sqlite();
    let open = stage.open().await;
    let insert = "INSERT INTO tokens (id, name, secret_hash, scopes, role, created_at) VALUES ($1, $2, $3, '[]', 'owner', $4)";
    for n in 0..200_u8 {
        open.db
            .execute(
                insert,
                args![Id::generate(), "x".repeat(200), [n; 32], Micros(1)],
            )
            .await
            .expect("writes");
    }
    open.close().await;
    let file = stage.location.file().expect("a file");
    let length = std::fs::metadata(file).expect("looks").len();
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .open(file)
        .expect("opens");
    opened
        .write_all_at(&[0xAA; 9000], length - 12_000)
        .expect("damages");
    drop(opened);
    let error = migrate::verify(&stage.location).await.expect_err("damaged");
    assert_eq!(
        (error.code(), error.is_permanent()),
        ("store.damaged", true)
    );
    assert!(error.outside().contains("restore a backup"), "{error}");
    let error = crate::opened::reopen(&stage.location, &StoreConfig::default())
        .await
        .expect_err("damaged");
    assert_eq!(error.code(), "store.damaged");
}
