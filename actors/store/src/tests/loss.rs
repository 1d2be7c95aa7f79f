//! Losing the database while serving, and finding it again, under a real supervisor.

use std::time::Duration;

use ground::db::Conn;
use ground::{DbError, Id, Micros, Secret, args};
use supervisor::{Action, Disturbance, Forced, Injection, Level, NodeStatus, State};
use tokio::time::{Instant, sleep, timeout};

use crate::manifest::DATABASE;
use crate::testing::Folder;
use crate::tests::house::{House, PATIENCE, own_server};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_back() {
    let Some(server) = own_server().await else {
        return;
    };
    let folder = Folder::fresh();
    let house = House::start(server.fresh_database().await, folder.path()).await;
    house.at(Level::Normal, None).await;
    let mut kept = vec![house.insert().await.expect("writes")];
    for crash in [false, true] {
        if crash {
            server.crash();
        } else {
            server.stop();
        }
        let status = house.at(Level::Critical, Some("store.unreachable")).await;
        let cause = status.cause.expect("a cause");
        assert_eq!(cause.path, DATABASE);
        assert!(status.impact.is_some() && status.fallback.is_some());
        let began = Instant::now();
        for error in [house.insert().await.map(drop), house.ids().await.map(drop)] {
            assert!(
                matches!(error, Err(DbError::Unavailable { retry_after }) if retry_after < PATIENCE)
            );
        }
        assert!(house.handle.stats().await.is_err());
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "answered at once"
        );
        server.launch().await.expect("starts again");
        house.at(Level::Normal, None).await;
        kept.push(house.insert().await.expect("writes again"));
        assert_eq!(house.ids().await.expect("reads again"), kept);
    }
    assert_eq!(
        house.status().restarts.count,
        0,
        "losing the database is no reason to end"
    );
    house.stop().await;
}

/// A server that was restarted while nobody looked: the stale connections are found out, and no write fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_restarted_between_two_writes() {
    let Some(server) = own_server().await else {
        return;
    };
    let folder = Folder::fresh();
    let house = House::start(server.fresh_database().await, folder.path()).await;
    house.at(Level::Normal, None).await;
    house.insert().await.expect("writes");
    server.stop();
    server.launch().await.expect("starts again");
    let give_up = Instant::now() + PATIENCE;
    while house.insert().await.is_err() {
        assert!(Instant::now() < give_up, "writes again");
    }
    house.at(Level::Normal, None).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet() {
    let Some(server) = own_server().await else {
        return;
    };
    let folder = Folder::fresh();
    let url = server.fresh_database().await;
    server.stop();
    let house = House::start(url, folder.path()).await;
    let status = house.refused("store.unreachable").await;
    assert_ne!(status.level, Level::Normal);
    assert!(matches!(
        house.ids().await,
        Err(DbError::Unavailable { .. })
    ));
    server.launch().await.expect("starts");
    house.at(Level::Normal, None).await;
    house.insert().await.expect("writes");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_moved_away_takes_no_acknowledged_write_with_it() {
    let folder = Folder::fresh();
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    let mut kept = vec![house.insert().await.expect("writes")];
    let (file, away) = (
        folder.path().join("mainstay.db"),
        folder.path().join("away.db"),
    );
    std::fs::rename(&file, &away).expect("moves");
    assert!(matches!(
        house.insert().await,
        Err(DbError::Unavailable { .. })
    ));
    house.at(Level::Critical, Some("store.unreachable")).await;
    assert!(
        !file.try_exists().expect("looks"),
        "no new database in its place"
    );
    std::fs::rename(&away, &file).expect("moves back");
    house.at(Level::Normal, None).await;
    kept.push(house.insert().await.expect("writes again"));
    let found = house.ids().await.expect("reads");
    assert!(kept.iter().all(|id| found.contains(id)), "{found:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_writes_only() {
    let folder = Folder::fresh();
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    let kept = house.insert().await.expect("writes");
    let limit_pages = |pages: &'static str| {
        house.db.write(async move |tx: &mut Conn| {
            tx.script(&format!("PRAGMA max_page_count = {pages}")).await
        })
    };
    // SQLite answers a file that may not grow as it answers a full disk.
    limit_pages("1").await.expect("sets the limit");
    let large = "x".repeat(1 << 20);
    let sql = "INSERT INTO tokens (id, name, secret_hash, scopes, role, created_at) VALUES ($1, $2, $3, '[]', 'owner', $4)";
    let write = async |n: u8| {
        house
            .db
            .execute(sql, args![Id::generate(), large, [n; 32], Micros(1)])
            .await
    };
    assert!(matches!(write(1).await, Err(DbError::Unavailable { .. })));
    let status = timeout(PATIENCE, async {
        loop {
            // The probe's small row still fits, so that the level flickers as long as nobody writes something large.
            drop(write(2).await);
            let status = house.status();
            if status
                .cause
                .as_ref()
                .is_some_and(|cause| cause.code == "store.disk_full")
            {
                return status;
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    let status = status.await.expect("CRITICAL");
    assert_eq!(status.level, Level::Critical);
    assert_eq!(house.ids().await.expect("reads go on"), [kept]);
    limit_pages("1000000").await.expect("space again");
    write(3).await.expect("writes again");
    house.at(Level::Normal, None).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_dies_comes_back_with_everything() {
    let folder = Folder::fresh();
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    let mut kept = vec![house.insert().await.expect("writes")];
    for (injection, count) in [
        (Injection::Panic, 1),
        (Injection::Kill, 2),
        (Injection::Error, 3),
    ] {
        assert!(
            house
                .system
                .inject("/store/manager", injection)
                .await
                .expect("injects")
        );
        let give_up = Instant::now() + PATIENCE;
        loop {
            match house.insert().await {
                Ok(id) => break kept.push(id),
                Err(error) => assert!(Instant::now() < give_up, "{injection:?}: {error}"),
            }
        }
        let found = house.ids().await;
        assert!(
            found.is_ok_and(|found| kept.iter().all(|id| found.contains(id))),
            "{injection:?}"
        );
        let is_back = |status: &NodeStatus| {
            let manager = &status.children[1];
            manager.restarts.count == count
                && manager.state == State::Running
                && status.level == Level::Normal
        };
        house.until(is_back).await;
    }
    house.stop().await;
}

/// What drills do to the database is refused at once, told as its fault, and over when they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_takes_the_database_away_and_gives_it_back() {
    let folder = Folder::fresh();
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    let mut kept = vec![house.insert().await.expect("writes")];
    let span = Duration::from_millis(700);
    let drills: [&dyn Fn(); 3] = [
        &|| drop(house.system.disturb(DATABASE, Disturbance::Down, span)),
        &|| drop(house.system.disturb(DATABASE, Disturbance::Garbage, span)),
        &|| drop(house.system.force(DATABASE, Forced::Open, span)),
    ];
    for (drill, code) in
        drills
            .into_iter()
            .zip(["store.unreachable", "store.unreachable", "dependency.open"])
    {
        drill();
        let status = house.at(Level::Critical, Some(code)).await;
        assert_eq!(status.cause.expect("a cause").path, DATABASE);
        let give_up = Instant::now() + PATIENCE;
        loop {
            let began = Instant::now();
            if let Err(DbError::Unavailable { retry_after }) = house.insert().await {
                assert!(began.elapsed() < Duration::from_millis(500), "at once");
                assert!(retry_after < PATIENCE);
                break;
            }
            assert!(Instant::now() < give_up, "it was let go");
        }
        house.at(Level::Normal, None).await;
        kept.push(house.insert().await.expect("writes again"));
    }
    let found = house.ids().await.expect("reads");
    assert!(kept.iter().all(|id| found.contains(id)), "{found:?}");
    assert_eq!(house.status().restarts.count, 0);
    house.stop().await;
}

/// The actor that probes holds nothing: while it is away the database serves, and a loss is found out afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_node_of_the_database_may_die_at_any_time() {
    let folder = Folder::fresh();
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    let (file, away) = (
        folder.path().join("mainstay.db"),
        folder.path().join("away.db"),
    );
    std::fs::rename(&file, &away).expect("moves");
    house.at(Level::Critical, Some("store.unreachable")).await;
    assert!(
        house
            .system
            .inject(DATABASE, Injection::Panic)
            .await
            .expect("injects")
    );
    house
        .until(|status| status.children[0].restarts.count == 1)
        .await;
    house.at(Level::Critical, Some("store.unreachable")).await;
    std::fs::rename(&away, &file).expect("moves back");
    house.at(Level::Normal, None).await;
    house.insert().await.expect("writes again");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_by_hand_keeps_everything() {
    let folder = Folder::fresh();
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    let kept = house.insert().await.expect("writes");
    house.system.act("/store", Action::Stop).expect("orders");
    house.until(|status| status.state == State::Stopped).await;
    assert!(matches!(
        house.insert().await,
        Err(DbError::Unavailable { .. })
    ));
    house.system.act("/store", Action::Start).expect("orders");
    house.at(Level::Normal, None).await;
    assert_eq!(house.ids().await.expect("reads"), [kept]);
    house.stop().await;
    // The next daemon finds the file free.
    let house = House::start(Secret::default(), folder.path()).await;
    house.at(Level::Normal, None).await;
    assert_eq!(house.ids().await.expect("reads"), [kept]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_quarantined_with_what_to_do() {
    let folder = Folder::fresh();
    std::fs::write(
        folder.path().join("mainstay.db"),
        "not a database at all, whatever its name says",
    )
    .expect("writes");
    let house = House::start(Secret::default(), folder.path()).await;
    let status = house.refused("store.not_a_database").await;
    assert!(
        status
            .cause
            .is_some_and(|cause| cause.message.contains("move it away"))
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_url_is_refused_without_showing_it() {
    let folder = Folder::fresh();
    let house = House::start(
        "postgres://ann:hunter2@host:notaport/main".into(),
        folder.path(),
    )
    .await;
    let status = house.refused("store.invalid_url").await;
    assert!(!format!("{status:?}").contains("hunter2"), "{status:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_and_figures() {
    let folder = Folder::fresh();
    let mut urls = vec![Secret::default()];
    let server = own_server().await;
    if let Some(server) = &server {
        urls.push(server.fresh_database().await);
    }
    for url in urls {
        let house = House::start(url, folder.path()).await;
        house.at(Level::Normal, None).await;
        house.insert().await.expect("writes");
        let probe = house.handle.probe().await.expect("probes");
        assert!(probe.read_us > 0 && probe.write_us > 0);
        let stats = house.handle.stats().await.expect("figures");
        assert_eq!(
            Some(stats.engine),
            house.db.engine().map(ground::db::Engine::name)
        );
        assert_eq!(stats.log_bytes.is_some(), stats.engine == "sqlite");
        assert!(
            stats.size_bytes > 0 && stats.writes >= 2 && stats.schema_version >= 3,
            "{stats:?}"
        );
        let detail = house
            .system
            .status(Some("/store/manager"), None)
            .expect("in the tree")
            .detail;
        assert!(
            detail.contains_key("engine") && detail.contains_key("schema_version"),
            "{detail:?}"
        );
        house.stop().await;
    }
}
