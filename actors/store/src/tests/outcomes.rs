//! Every statement counts for the breaker of the database: by how it ended, and by how long it took.

use std::time::Duration;

use futures::future::join_all;
use ground::db::{Conn, Engine};
use ground::{DbError, Id, Micros, Secret, args};
use supervisor::{
    Backoff, BreakerState, Dependency, DependencyPolicy, Detail, Disturbance, Level, NodeStatus,
};
use tokio::time::Instant;

use crate::config::StoreConfig;
use crate::connect::{Role, connect};
use crate::location::Location;
use crate::manifest::DATABASE;
use crate::testing::Folder;
use crate::tests::house::{House, PATIENCE, own_server};

/// From here on a call is slow.
const SLOW: Duration = Duration::from_millis(200);

/// A house that nobody looks at while nothing hints at trouble, on each engine.
async fn on_both(
    limit: Duration,
    tune: impl Fn(DependencyPolicy) -> DependencyPolicy,
    story: impl AsyncFn(House, Location),
) {
    let server = own_server().await;
    let mut urls = vec![Secret::default()];
    if let Some(server) = &server {
        urls.push(server.fresh_database().await);
    }
    for url in urls {
        let folder = Folder::fresh();
        let location = Location::parse(&url, folder.path()).expect("own URL");
        let config = StoreConfig {
            url,
            probe_interval: Duration::from_mins(5),
            read_limit: limit,
            write_limit: limit,
            ..StoreConfig::default()
        };
        let policy = config.dependency(DependencyPolicy {
            slow_call: SLOW,
            ..DependencyPolicy::default()
        });
        // Long enough to be seen open.
        let open = Backoff {
            first: Duration::from_secs(2),
            max: Duration::from_secs(2),
        };
        let policy = tune(DependencyPolicy { open, ..policy });
        let house = House::start_with(config, policy, folder.path()).await;
        house.at(Level::Normal, None).await;
        story(house, location).await;
    }
}

fn node(house: &House) -> NodeStatus {
    let node = house.system.status(Some(DATABASE), Some(0));
    node.expect("the database is in the tree")
}

/// Nobody waits for a database that is away, once the manager has let go of it.
async fn is_refused_at_once(house: &House) {
    house.until(|_| house.db.engine().is_none()).await;
    let began = Instant::now();
    for error in [house.insert().await.map(drop), house.ids().await.map(drop)] {
        assert!(
            matches!(error, Err(DbError::Unavailable { .. })),
            "{error:?}"
        );
    }
    assert!(began.elapsed() < Duration::from_millis(500), "at once");
}

fn is_counted(database: &Dependency, calls: u32, faults: u32) {
    let rates = database.rates();
    assert_eq!((rates.calls, rates.faults), (calls, faults), "{rates:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_as_well_whatever_it_says() {
    on_both(PATIENCE, |policy| policy, async |house, _| {
        let (db, database) = (&house.db, &house.database);
        is_counted(database, 0, 0);
        let id = house.insert().await.expect("writes");
        assert_eq!(house.ids().await.expect("reads"), [id]);
        is_counted(database, 2, 0);
        let taken = "INSERT INTO terminals (id, name, shell, cwd, cols, rows, state, created_at) \
                     VALUES ($1, 'x', '/bin/sh', '/', 80, 24, 'running', $2)";
        let conflict = db.execute(taken, args![id, Micros(1)]).await;
        assert!(matches!(conflict, Err(DbError::Conflict { .. })), "{conflict:?}");
        let refusal = DbError::failed(std::fmt::Error);
        let refused = db.write(async move |tx: &mut Conn| {
            tx.execute(taken, args![Id::generate(), Micros(1)]).await?;
            Err::<(), _>(refusal.clone())
        });
        assert!(refused.await.is_err(), "the closure decides against itself");
        let nonsense = db.fetch_all::<(i64,)>("SELECT nothing FROM nowhere", args![]).await;
        assert!(matches!(nonsense, Err(DbError::Failed(_))), "{nonsense:?}");
        is_counted(database, 5, 0);
        let mut now = db.snapshot().await.expect("begins");
        let (count,) = now.fetch_one::<(i64,)>("SELECT count(*) FROM terminals", args![]).await.expect("reads");
        assert_eq!(count, 1);
        now.end().await;
        is_counted(database, 7, 0);
        assert_eq!(node(&house).level, Level::Normal);
        house.stop().await;
    })
    .await;
}

/// Somebody else keeps every write to a table waiting, and all reads where the engine lets that happen.
async fn lock(location: &Location) -> Conn {
    let conn = connect(location, Role::Write, &StoreConfig::default()).await;
    let mut conn = conn.expect("a connection of its own");
    let lock = match location.engine() {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN; LOCK TABLE terminals IN ACCESS EXCLUSIVE MODE",
    };
    conn.script(lock).await.expect("locks");
    conn
}

/// The probe's own looks find nothing wrong all the time.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_hang_open_the_breaker_and_a_probe_closes_it() {
    let limit = Duration::from_millis(500);
    on_both(
        limit,
        |policy| policy,
        async |house, location| {
            let kept = house.insert().await.expect("writes");
            let somebody = lock(&location).await;
            let hung = join_all((0..8).map(|_| house.insert())).await;
            assert!(hung.iter().all(Result::is_err), "{hung:?}");
            assert_eq!(house.database.state(), BreakerState::Open);
            let status = house.at(Level::Critical, Some("dependency.open")).await;
            let cause = status.cause.expect("a cause");
            assert_eq!(cause.path, DATABASE);
            assert!(cause.message.contains("calls failed"), "{cause:?}");
            assert!(cause.message.contains("(store.deadline)"), "{cause:?}");
            is_refused_at_once(&house).await;
            somebody.close().await;
            house.at(Level::Normal, None).await;
            house.insert().await.expect("writes again");
            assert!(house.ids().await.expect("reads").contains(&kept));
            house.stop().await;
        },
    )
    .await;
}

/// A drill makes it slow, which the small looks of the probe are too few to tell.
#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_are_told_while_they_go_on() {
    on_both(
        PATIENCE,
        |policy| policy,
        async |house, _| {
            house.insert().await.expect("writes");
            let slow = Disturbance::Slow(SLOW + SLOW / 10);
            house
                .system
                .disturb(DATABASE, slow, PATIENCE)
                .expect("disturbs");
            let reads = join_all((0..4).map(|_| house.ids())).await;
            assert!(
                reads.iter().all(Result::is_ok),
                "slow and no error: {reads:?}"
            );
            house.insert().await.expect("writes slowly");
            let status = house.at(Level::Degraded, Some("dependency.slow")).await;
            assert_eq!(status.cause.expect("a cause").path, DATABASE);
            let rates = house.database.rates();
            assert!(rates.slow >= 5 && rates.faults == 0, "{rates:?}");
            let told = node(&house).detail.get("slow_percent").cloned();
            assert_eq!(told, Some(Detail::from(rates.slow_percent())));
            assert_eq!(house.database.state(), BreakerState::Closed);
            house.system.calm(DATABASE).expect("calms");
            house.at(Level::Normal, None).await;
            house.stop().await;
        },
    )
    .await;
}

/// Where the policy says so, slowness alone keeps callers away.
#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_open_the_breaker_where_the_policy_says_so() {
    let tune = |policy| DependencyPolicy {
        slow_opens: true,
        ..policy
    };
    on_both(PATIENCE, tune, async |house, _| {
        let slow = Disturbance::Slow(SLOW + SLOW / 10);
        house
            .system
            .disturb(DATABASE, slow, PATIENCE)
            .expect("disturbs");
        join_all((0..8).map(|_| house.ids())).await;
        let status = house.at(Level::Critical, Some("dependency.open")).await;
        let cause = status.cause.expect("a cause");
        assert!(cause.message.contains("were slow"), "{cause:?}");
        is_refused_at_once(&house).await;
        house.system.calm(DATABASE).expect("calms");
        house.at(Level::Normal, None).await;
        house.insert().await.expect("writes");
        house.stop().await;
    })
    .await;
}
