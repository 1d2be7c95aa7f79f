//! Whose terminals are whose: those of others do not exist, for nobody but the local operator.

use ::store::testing::on_both;
use ground::PageRequest;
use supervisor::Fault;

use super::*;
use crate::TerminalChange;

fn user(role: &'static str) -> Viewer {
    let id = Id::generate();
    Viewer::User { id, role }
}

/// The domain as one person sees it.
fn seen(daemon: &Daemon, viewer: &Viewer) -> Terminals {
    let manager = daemon.handle.clone();
    manager.of(viewer.clone())
}

async fn listed(terminals: &Terminals) -> Vec<Id> {
    let page = within(terminals.list(PageRequest::default())).await;
    page.expect("a page")
        .items
        .iter()
        .map(|info| info.id)
        .collect()
}

/// Everything that can be asked about a terminal.
async fn codes(terminals: &Terminals, id: Id) -> Vec<&'static str> {
    let code = |error: PtysError| error.code();
    let change = || TerminalChange {
        name: Some("mine now".to_owned()),
        ..TerminalChange::default()
    };
    vec![
        within(terminals.get(id)).await.map(drop).map_err(code),
        within(terminals.attach(id, None))
            .await
            .map(drop)
            .map_err(code),
        within(terminals.update(id, change()))
            .await
            .map(drop)
            .map_err(code),
        within(terminals.delete(id)).await.map_err(code),
    ]
    .into_iter()
    .map(|result| result.err().unwrap_or("done"))
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_terminal_of_another() {
    let daemon = Daemon::start(Config::default()).await;
    let (one, other) = (user("owner"), user("owner"));
    let home = home_with("");
    let theirs = within(seen(&daemon, &one).open(request(&home)))
        .await
        .expect("a shell");
    let operators = daemon.run("").await;
    assert_eq!((theirs.owner, operators.info.owner), (one.owner(), None));

    assert_eq!(listed(&seen(&daemon, &one)).await, [theirs.id]);
    assert!(listed(&seen(&daemon, &other)).await.is_empty());
    assert_eq!(listed(&daemon.handle).await, [theirs.id, operators.id()]);
    for id in [theirs.id, operators.id()] {
        let refused = codes(&seen(&daemon, &other), id).await;
        assert_eq!(refused, ["ptys.not_found"; 4]);
    }
    assert_eq!(codes(&seen(&daemon, &one), theirs.id).await, ["done"; 4]);
    assert_eq!(codes(&daemon.handle, operators.id()).await, ["done"; 4]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_roles_that_the_configuration_names_run_programs() {
    let config = Config {
        roles: vec!["admin".to_owned()],
        ..Config::default()
    };
    let daemon = Daemon::start(config).await;
    let home = home_with("");
    for role in ["owner", "member", "viewer"] {
        let refused = within(seen(&daemon, &user(role)).open(request(&home))).await;
        assert_eq!(
            refused.expect_err("refused").code(),
            "ptys.role_not_allowed"
        );
    }
    let admin = user("admin");
    let opened = within(seen(&daemon, &admin).open(request(&home)))
        .await
        .expect("a shell");
    // Whose role was taken away still sees what is theirs and can end it, but runs nothing more.
    let Viewer::User { id, .. } = admin else {
        unreachable!("a user")
    };
    let demoted = Viewer::User { id, role: "member" };
    let told = codes(&seen(&daemon, &demoted), opened.id).await;
    assert_eq!(told, ["done", "ptys.role_not_allowed", "done", "done"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_daemon_left_still_has_its_owner() {
    on_both(async |db: Db| {
        let (one, other) = (user("owner"), user("owner"));
        let ports = || Ports::new(db.clone(), DaemonEnvironment::new([]));
        let daemon = Daemon::start_with(Config::default(), ports()).await;
        let home = home_with("");
        let opened = within(seen(&daemon, &one).open(request(&home)))
            .await
            .expect("a shell");
        // As if it had been killed: the row says that it runs.
        let row: Option<(Id,)> = db
            .fetch_optional(
                "SELECT owner FROM terminals WHERE id = $1",
                ground::args![opened.id],
            )
            .await
            .expect("reads");
        assert_eq!(row.map(|(owner,)| owner), one.owner());
        daemon.stop().await;

        let daemon = Daemon::start_with(Config::default(), ports()).await;
        assert_eq!(listed(&seen(&daemon, &one)).await, [opened.id]);
        assert!(listed(&seen(&daemon, &other)).await.is_empty());
        let refused = codes(&seen(&daemon, &other), opened.id).await;
        assert_eq!(refused, ["ptys.not_found"; 4]);
        within(seen(&daemon, &one).delete(opened.id))
            .await
            .expect("gone");
        daemon.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_one_owner_is_told_and_ended_at_once() {
    on_both(async |db: Db| {
        let (one, other) = (user("owner"), user("owner"));
        let owner = one.owner().expect("a user");
        let ports = || Ports::new(db.clone(), DaemonEnvironment::new([]));
        let home = home_with("");
        let earlier = Daemon::start_with(Config::default(), ports()).await;
        let opened = within(seen(&earlier, &one).open(request(&home))).await;
        let lost = opened.expect("a shell").id;
        earlier.stop().await;

        let daemon = Daemon::start_with(Config::default(), ports()).await;
        let mut theirs = Vec::new();
        for _ in 0..2 {
            let opened = within(seen(&daemon, &one).open(request(&home))).await;
            theirs.push(opened.expect("a shell"));
        }
        let kept = within(seen(&daemon, &other).open(request(&home))).await;
        let kept = kept.expect("a shell");
        let told = crate::personal::terminals_of(&db, owner).await;
        let mut told: Vec<Id> = told.expect("reads").iter().map(|info| info.id).collect();
        told.sort_unstable();
        assert_eq!(told, [lost, theirs[0].id, theirs[1].id]);

        within(daemon.face.end_all(owner)).await.expect("ended");
        assert!(theirs.iter().all(|info| !is_alive(info.pid)));
        assert!(is_alive(kept.pid));
        assert_eq!(listed(&daemon.handle).await, [kept.id]);
        // Again, with nothing left.
        within(daemon.face.end_all(owner)).await.expect("ended");
        db.write(async move |tx| crate::personal::remove_of(tx, owner).await)
            .await
            .expect("removed");
        let told = crate::personal::terminals_of(&db, owner).await;
        assert!(told.expect("reads").is_empty());
        let told = crate::personal::terminals_of(&db, other.owner().expect("a user")).await;
        assert_eq!(told.expect("reads").len(), 1);
        daemon.stop().await;
    })
    .await;
}
