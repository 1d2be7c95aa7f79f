//! Names, sizes, lists, and asking for what is not there.

use ground::PageRequest;

use super::*;
use crate::TerminalChange;

fn resize(cols: Option<u32>, rows: Option<u32>) -> TerminalChange {
    TerminalChange {
        cols,
        rows,
        name: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resize_reaches_the_program_from_either_side() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon
        .run("while :; do echo size $(stty size); read -r -t 0.05; done")
        .await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("size 24 80").await;
    let info = within(daemon.handle.update(shell.id(), resize(Some(132), None)))
        .await
        .unwrap();
    assert_eq!((info.cols, info.rows), (132, 24));
    client.until_text("size 24 132").await;
    client.send(1, br#"{"cols":61,"rows":17}"#);
    client.until_text("size 17 61").await;
    let info = daemon.handle.get(shell.id()).await.unwrap();
    assert_eq!((info.cols, info.rows), (61, 17));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_changes_are_told_and_change_nothing() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let change = TerminalChange {
        name: Some(String::new()),
        cols: Some(0),
        rows: Some(100_000),
    };
    let Err(PtysError::Invalid(findings)) = within(daemon.handle.update(shell.id(), change)).await
    else {
        panic!("it is wrong")
    };
    let told: Vec<&str> = findings
        .iter()
        .map(|finding| finding.pointer.as_str())
        .collect();
    assert_eq!(told, ["/name", "/cols", "/rows"]);
    let info = daemon.handle.get(shell.id()).await.unwrap();
    assert_eq!((info.cols, info.rows, info.name.as_str()), (80, 24, "bash"));

    let mut client = daemon.attach(shell.id(), None).await;
    client.type_text("exit\n");
    client.take_all().await;
    let late = within(daemon.handle.update(shell.id(), resize(Some(90), None))).await;
    assert!(matches!(late, Err(PtysError::Exited(_))));
    let renamed = TerminalChange {
        name: Some(" done ".to_owned()),
        ..TerminalChange::default()
    };
    assert_eq!(
        within(daemon.handle.update(shell.id(), renamed))
            .await
            .unwrap()
            .name,
        "done"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_in_pages_and_in_order() {
    let daemon = Daemon::start(Config::default()).await;
    let mut shells = Vec::new();
    for _ in 0..5 {
        shells.push(daemon.run("echo ready").await);
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest::new(Some(2), cursor.as_deref()).unwrap();
        let page = within(daemon.handle.list(page)).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|info| info.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, shells.iter().map(Shell::id).collect::<Vec<_>>());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_is_not_found() {
    let daemon = Daemon::start(Config::default()).await;
    let id = Id::generate();
    assert!(matches!(
        daemon.handle.get(id).await,
        Err(PtysError::NotFound(_))
    ));
    assert!(matches!(
        daemon.handle.delete(id).await,
        Err(PtysError::NotFound(_))
    ));
    assert!(matches!(
        daemon.handle.attach(id, None).await,
        Err(PtysError::NotFound(_))
    ));
    assert!(matches!(
        daemon.handle.update(id, TerminalChange::default()).await,
        Err(PtysError::NotFound(_))
    ));
    let handle = daemon.handle.clone();
    daemon.stop().await;
    assert!(matches!(
        handle.get(id).await,
        Err(PtysError::Ask(AskError::Down { .. }))
    ));
}
