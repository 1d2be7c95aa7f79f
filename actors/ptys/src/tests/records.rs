//! The records of terminals, on both databases: written when there is a store, never missed when there is none.

use std::sync::Arc;

use ground::{Micros, PageRequest, args};
use supervisor::Level;

use super::*;
use crate::store::{self, Change, Record};
use crate::{TerminalChange, TerminalState};

async fn rows(db: &Db) -> Vec<Record> {
    db.fetch_all(
        "SELECT id, name, shell, cwd, cols, rows, state, pid, exit_code, created_at, ended_at, owner FROM terminals ORDER BY id",
        args![],
    )
    .await
    .expect("readable")
}

async fn row(db: &Db, id: Id) -> Option<Record> {
    rows(db).await.into_iter().find(|row| row.id == id)
}

async fn daemon_on(db: &Db, config: Config) -> Daemon {
    let variables = [("PATH".into(), "/usr/bin:/bin".into())];
    Daemon::start_with(
        config,
        Ports::new(db.clone(), DaemonEnvironment::new(variables)),
    )
    .await
}

fn old_record(state: TerminalState, ended_at: Option<Micros>) -> Record {
    Record {
        owner: Some(Id::generate()),
        id: Id::generate(),
        name: "old".to_owned(),
        shell: "/bin/bash".to_owned(),
        cwd: "/".to_owned(),
        cols: 80,
        rows: 24,
        state,
        pid: 4_000_000,
        exit_code: None,
        created_at: Micros::now() - Duration::from_mins(10),
        ended_at,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminals_life_is_recorded() {
    ::store::testing::on_both(async |db: Db| {
        let daemon = daemon_on(&db, Config::default()).await;
        let shell = daemon.run("PS1='$ '").await;
        let id = shell.id();
        let saved = eventually(async || row(&db, id).await).await;
        assert_eq!(saved, Record::new(shell.info.clone(), None));

        let change = TerminalChange {
            name: Some("buildä".to_owned()),
            cols: Some(90),
            rows: None,
        };
        within(daemon.handle.update(id, change)).await.unwrap();
        eventually(async || {
            row(&db, id)
                .await
                .filter(|row| row.name == "buildä" && row.cols == 90)
        })
        .await;

        let mut client = daemon.attach(id, None).await;
        client.type_text("exit 4\n");
        client.take_all().await;
        let ended = eventually(async || {
            row(&db, id)
                .await
                .filter(|row| row.state == TerminalState::Exited)
        })
        .await;
        assert_eq!(ended.exit_code, Some(4));
        assert!(ended.ended_at.is_some_and(|at| at >= ended.created_at));

        within(daemon.handle.delete(id)).await.unwrap();
        eventually(async || row(&db, id).await.is_none().then_some(())).await;
        daemon.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_records_the_end_of_every_shell() {
    ::store::testing::on_both(async |db: Db| {
        let daemon = daemon_on(&db, Config::default()).await;
        let shell = daemon.run("PS1='$ '; echo ready").await;
        daemon
            .attach(shell.id(), None)
            .await
            .until_text("ready")
            .await;
        daemon.stop().await;
        let row = row(&db, shell.id()).await.expect("it is kept");
        assert_eq!(
            (row.state, row.exit_code),
            (TerminalState::Exited, Some(129))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_daemon_left_running_is_lost() {
    ::store::testing::on_both(async |db: Db| {
        let now = Micros::now();
        let running = old_record(TerminalState::Running, None);
        let exited = old_record(TerminalState::Exited, Some(now - Duration::from_mins(5)));
        let ancient = old_record(TerminalState::Exited, Some(now - Duration::from_hours(5)));
        let left =
            [&running, &exited, &ancient].map(|record| Change::Save(Box::new(record.clone())));
        store::apply(&db, left.to_vec()).await.unwrap();

        let daemon = daemon_on(&db, Config::default()).await;
        let listed = eventually(async || {
            let page = daemon.handle.list(PageRequest::default()).await.ok()?;
            (page.items.len() == 2).then_some(page.items)
        })
        .await;
        assert_eq!(
            (listed[0].id, listed[0].state),
            (running.id, TerminalState::Lost)
        );
        assert_eq!(
            (listed[1].id, listed[1].state),
            (exited.id, TerminalState::Exited)
        );
        let refused = daemon.handle.attach(running.id, None).await;
        assert!(matches!(refused, Err(PtysError::Lost(id)) if id == running.id));
        assert!(row(&db, ancient.id).await.is_none());

        within(daemon.handle.delete(running.id)).await.unwrap();
        eventually(async || row(&db, running.id).await.is_none().then_some(())).await;
        assert!(matches!(
            daemon.handle.get(running.id).await,
            Err(PtysError::NotFound(_))
        ));
        daemon.stop().await;
        assert!(row(&db, exited.id).await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_terminals_go_on_and_the_status_says_what_is_lost() {
    ::store::testing::on_both(async |db: Db| {
        let daemon = daemon_on(&db, Config::default()).await;
        let before = daemon.run("PS1='$ '").await;
        eventually(async || row(&db, before.id()).await).await;
        let level = |daemon: &Daemon| daemon.system.status(Some("/ptys"), None).unwrap();
        assert_eq!(level(&daemon).level, Level::Normal);

        let backend = db.vacate(Duration::from_millis(50)).expect("there was one");
        let during = daemon.run("PS1='$ '").await;
        let mut client = daemon.attach(before.id(), None).await;
        client.type_text("echo works-$((1+1)); exit\n");
        client.take_all().await;
        assert!(client.text().contains("works-2"));
        let told =
            eventually(async || Some(level(&daemon)).filter(|node| node.level == Level::Degraded))
                .await;
        let cause = told.cause.expect("a cause");
        assert_eq!(cause.code, "ptys.records_not_saved");
        assert_eq!(
            within(daemon.handle.list(PageRequest::default()))
                .await
                .unwrap()
                .items
                .len(),
            2
        );

        db.install(Arc::try_unwrap(backend).ok().expect("nobody else has it"));
        eventually(async || (level(&daemon).level == Level::Normal).then_some(())).await;
        assert_eq!(
            row(&db, before.id()).await.unwrap().state,
            TerminalState::Exited
        );
        assert_eq!(
            row(&db, during.id()).await.unwrap().state,
            TerminalState::Running
        );
        daemon.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_came_and_went_without_a_store_leaves_no_note() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    within(daemon.handle.delete(shell.id())).await.unwrap();
    // Before anything could be written nothing is known to have a row, so nothing is left to delete.
    assert_eq!(daemon.ports.directory.records().noted(), 0);
    eventually(async || {
        let node = daemon.system.status(Some("/ptys"), None)?;
        (node.level == Level::Normal).then_some(())
    })
    .await;
    daemon.stop().await;
}
