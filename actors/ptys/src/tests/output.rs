//! Every byte, in order, before the exit; and who could not keep up is told what he missed.

use super::*;

/// `text` as a PTY prints it.
fn printed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    for byte in text {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_output_comes_before_the_exit() {
    let daemon = Daemon::start(Config::default()).await;
    for _ in 0..50 {
        let shell = daemon
            .run("head -c 200000 /dev/urandom | base64 | tee all; exit 3")
            .await;
        let mut client = daemon.attach(shell.id(), None).await;
        client.take_all().await;
        let expected = printed(&std::fs::read(shell.home.path().join("all")).unwrap());
        assert!(expected.len() > 260_000);
        assert_eq!(client.notices.iter().filter(|n| is_missed(n)).count(), 0);
        let all = [client.snapshot.as_slice(), client.output.as_slice()].concat();
        assert!(all == expected, "{} bytes of {}", all.len(), expected.len());
        let exit = client.exit.expect("an exit");
        assert_eq!(exit["exit_code"], 3);
        assert_eq!(exit["seq"], expected.len());
        within(daemon.handle.delete(shell.id())).await.unwrap();
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_resumes_from_any_byte_without_loss() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("seq 1 60000; exit").await;
    let mut first = daemon.attach(shell.id(), Some(0)).await;
    first.take_all().await;
    let all = first.output;
    assert!(all.ends_with(b"60000\r\n"));
    let length = all.len();
    for since in [
        0,
        1,
        4095,
        65_535,
        65_536,
        65_537,
        length / 2,
        length - 1,
        length,
    ] {
        let mut client = daemon.attach(shell.id(), Some(since as u64)).await;
        client.take_all().await;
        assert_eq!(client.notices[0]["resumed"], true);
        assert_eq!(client.notices[0]["seq"], since);
        assert!(client.output == all[since..], "from {since}");
    }
    let mut beyond = daemon.attach(shell.id(), Some(length as u64 + 1)).await;
    beyond.take_all().await;
    assert_eq!(beyond.notices[0]["resumed"], false);
    assert!(beyond.snapshot == all && beyond.output.is_empty());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_viewer_is_told_what_it_missed_and_holds_up_nobody() {
    let config = Config {
        scrollback: ground::config::Bytes::mib(4),
        ..Config::default()
    };
    let daemon = Daemon::start(config).await;
    let total = 40_000_000;
    let shell = daemon
        .run(&format!(
            "read -r; head -c {total} /dev/zero | tr '\\0' x; exit"
        ))
        .await;
    let mut slow = daemon.attach(shell.id(), None).await;
    let mut fast = daemon.attach(shell.id(), None).await;
    fast.type_text("\n");
    fast.take_all().await;
    assert_eq!(fast.notices.iter().filter(|n| is_missed(n)).count(), 0);
    let end = fast
        .exit
        .as_ref()
        .expect("the shell ended without the slow viewer")["seq"]
        .as_u64()
        .unwrap();
    assert_eq!(fast.text().len() as u64, end);
    assert!(end >= total);

    slow.take_all().await;
    let missed = slow
        .notices
        .iter()
        .find(|n| is_missed(n))
        .expect("it is told");
    let bytes = missed["bytes"].as_u64().unwrap();
    assert_eq!(
        missed["to"].as_u64().unwrap() - missed["from"].as_u64().unwrap(),
        bytes
    );
    assert_eq!(slow.text().len() as u64 + bytes, end);
    assert!(slow.text().len() < 5 << 20);
    assert!(slow.exit.is_some());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_printer_without_viewers_is_bounded_and_runs_on() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("yes mainstay").await;
    let at_least = async |seq: u64| {
        eventually(async || {
            let info = daemon.handle.get(shell.id()).await.unwrap();
            (info.last_seq >= seq).then_some(info)
        })
        .await;
    };
    at_least(50_000_000).await;
    let mut client = Client::new(daemon.handle.attach(shell.id(), Some(1)).await.unwrap());
    assert!(client.take().await);
    assert_eq!(client.notices[0]["resumed"], false);
    let kept = greeting_end(&client) - client.notices[0]["seq"].as_u64().unwrap();
    assert!(kept <= 1 << 20, "{kept}");
    // A viewer that is attached and reads nothing does not stop it either.
    let mute = daemon.handle.attach(shell.id(), None).await.unwrap();
    at_least(100_000_000).await;
    drop(mute);
    within(daemon.handle.delete(shell.id())).await.unwrap();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_see_the_same_and_each_may_type() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon.run("PS1='$ '").await;
    let mut one = daemon.attach(shell.id(), None).await;
    let mut two = daemon.attach(shell.id(), None).await;
    one.type_text("echo from-$((40+2))\n");
    for client in [&mut one, &mut two] {
        client.until_text("from-42").await;
    }
    two.type_text("echo again-$((40+3)); exit 7\n");
    for client in [&mut one, &mut two] {
        client.take_all().await;
        assert!(client.text().contains("again-43"));
        assert_eq!(client.exit.as_ref().unwrap()["exit_code"], 7);
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_input_arrives_whole() {
    let daemon = Daemon::start(Config::default()).await;
    let shell = daemon
        .run("stty raw -echo; echo ready; head -c 900000 | sha256sum; exit")
        .await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("ready").await;
    let input: Vec<u8> = (0..900_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    for part in input.chunks(50_000) {
        client.send(0, part);
    }
    client.take_all().await;
    let home = shell.home.path().join("input");
    std::fs::write(&home, &input).unwrap();
    let expected = std::process::Command::new("sha256sum")
        .arg(&home)
        .output()
        .unwrap()
        .stdout;
    let digest = String::from_utf8_lossy(&expected[..64]).into_owned();
    assert!(
        client.text().contains(&digest),
        "{} has not {digest}",
        client.text()
    );
    assert!(!client.notices.iter().any(|n| n["type"] == "input_dropped"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_nobody_has_open_for_a_while_goes_on() {
    let daemon = Daemon::start(Config::default()).await;
    let script = "tty=$(tty); echo $tty; exec <&- >&- 2>&- 255>&-; sleep 0.3; exec >$tty; seq 1 50000; sleep 0.3; echo last; exit 6";
    let shell = daemon.run(script).await;
    let mut client = daemon.attach(shell.id(), None).await;
    client.until_text("/dev/pts/").await;
    client.type_text("nobody reads this");
    client.take_all().await;
    let text = client.text();
    let numbers: Vec<String> = (1..=50_000).map(|n| n.to_string()).collect();
    assert!(text.contains(&numbers.join("\r\n")));
    assert!(text.trim_end().ends_with("last"), "{text}");
    assert_eq!(client.exit.unwrap()["exit_code"], 6);
    daemon.stop().await;
}
