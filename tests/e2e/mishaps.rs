//! What goes wrong around accounts at the worst moment: a crowd at the door, a death in between, a database of yesterday.
//!
//! Domains: `accounts`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::Method;
use kit::{Client, Daemon, PATIENCE, Reply, SharedDatabase, eventually, on_both_databases};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{daemon, daemon_on};

on_both_databases![
    a_death_while_people_come_in_leaves_nobody_in_between,
    a_death_during_a_refresh_ends_no_session,
];

const EMAIL: &str = "owner@example.org";
const PASSWORD: &str = "correct horse battery staple";
const LOGIN: &str = "/api/v1/auth/login";
/// What one hash needs, in KiB.
const HASH_KIB: u64 = 47_104;

async fn set_up(daemon: &Daemon) -> Value {
    let token = eventually(PATIENCE, async || {
        let told = daemon.stderr().text();
        let lines = told.split_inclusive('\n');
        let mut tokens = lines.filter_map(|line| line.strip_prefix("setup token: "));
        let whole = tokens.next().and_then(|token| token.strip_suffix('\n'));
        whole.map(str::to_owned).ok_or("a setup token")
    })
    .await;
    let body = json!({ "setup_token": token, "email": EMAIL, "password": PASSWORD });
    let made = daemon.anonymous().post("/api/v1/setup", &body).await;
    made.expect(200).json()
}

async fn sign_in(client: &Client, email: &str) -> Reply {
    let body = json!({ "email": email, "password": PASSWORD });
    client.post(LOGIN, &body).await
}

fn text(document: &Value, member: &str) -> String {
    document[member].as_str().expect("a text").to_owned()
}

/// A figure of the kernel about a process, in KiB.
fn memory(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|line| line.trim_matches([':', ' ', '\t']).split(' ').next());
    figure
        .and_then(|figure| figure.parse().ok())
        .expect("a figure")
}

/// A hash takes much memory on purpose. So only as many run as there are cores, a few wait, and who is too many hears so at once.
#[tokio::test]
async fn a_crowd_at_the_door_costs_a_bounded_memory() {
    let daemon = daemon().start().await;
    set_up(&daemon).await;
    let before = memory(daemon.pid(), "VmRSS");
    let client = daemon.anonymous();
    let crowd = (0..100).map(|_| sign_in(&client, EMAIL));
    let answers = futures::future::join_all(crowd).await;
    let came_in = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(came_in > 0, "somebody comes in");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        // So many at one account are also what guessing looks like.
        let (status, code) = match refused.status {
            429 => (429, "accounts.too_many_guesses"),
            _ => (503, "accounts.hashing_busy"),
        };
        assert_eq!(refused.problem(status)["code"], code);
        assert!(refused.header("retry-after").is_some());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let allowed = u64::try_from(cores).expect("few") * HASH_KIB + 64 * 1024;
    let most = memory(daemon.pid(), "VmHWM").saturating_sub(before);
    assert!(most <= allowed, "{most} KiB more, {allowed} are allowed");
    sign_in(&client, EMAIL).await.expect(200);
    daemon.stop().await;
}

async fn a_death_while_people_come_in_leaves_nobody_in_between(database: SharedDatabase) {
    let open = "[accounts]\nregistration = \"open\"\n";
    let mut house = daemon().database(&database).config(open).start().await;
    set_up(&house).await;
    for round in 0..4 {
        let people: Vec<String> = (0..6)
            .map(|one| format!("p{round}-{one}@example.org"))
            .collect();
        let client = house.anonymous();
        let register = |email: String| {
            let body = json!({ "email": email, "password": PASSWORD });
            let request = client
                .request(Method::POST, "/api/v1/auth/register")
                .json(&body);
            async move {
                (
                    email,
                    request.try_send().await.ok().map(|reply| reply.status),
                )
            }
        };
        let mut coming: FuturesUnordered<_> = people.iter().cloned().map(register).collect();
        // It dies when so many were answered, with the others at whatever step they are.
        let mut answered: Vec<_> = (&mut coming).take(round + 1).collect().await;
        let home = house.kill9().await;
        answered.extend(coming.collect::<Vec<_>>().await);
        let again = daemon().database(&database).home(&home).config(open);
        house = again.start().await;
        let client = house.anonymous();
        for (email, status) in answered {
            let mut inside = sign_in(&client, &email).await;
            if status == Some(202) {
                inside = inside.expect(200);
            }
            if inside.status != 200 {
                assert_eq!(inside.problem(401)["code"], "accounts.wrong_credentials");
                let body = json!({ "email": email, "password": PASSWORD });
                client
                    .post("/api/v1/auth/register", &body)
                    .await
                    .expect(202);
                inside = sign_in(&client, &email).await;
            }
            let in_session = house.with_token(&text(&inside.expect(200).json(), "access_token"));
            assert_eq!(
                in_session.get("/api/v1/me").await.expect(200).json()["email"],
                email
            );
        }
        house.cli(&["audit", "verify"]).await.expect(0);
    }
    house.stop().await;
}

async fn a_death_during_a_refresh_ends_no_session(database: SharedDatabase) {
    let mut house = daemon_on(&database).await;
    let mut tokens = set_up(&house).await;
    for _ in 0..4 {
        let body = json!({ "refresh_token": tokens["refresh_token"] });
        let path = "/api/v1/auth/refresh";
        let asked = house.anonymous().request(Method::POST, path).json(&body);
        let since = Instant::now();
        let (asked, home) = tokio::join!(asked.try_send(), house.kill9());
        drop(asked);
        house = daemon().database(&database).home(&home).start().await;
        let again = house.anonymous().post(path, &body).await;
        if since.elapsed() > Duration::from_secs(4) {
            // Too slow a machine for the five seconds in which an answer can be asked for again.
            tokens = sign_in(&house.anonymous(), EMAIL).await.expect(200).json();
            continue;
        }
        tokens = again.expect(200).json();
        let client = house.with_token(&text(&tokens, "access_token"));
        let sessions = client.get("/api/v1/auth/sessions").await.expect(200).json();
        assert_eq!(
            sessions["items"].as_array().map(Vec::len),
            Some(1),
            "{sessions}"
        );
    }
    house.stop().await;
}

/// The files of the database.
fn database_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let files = entries.map(|entry| entry.expect("readable").path());
    let is_database = |path: &PathBuf| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.contains(".db"))
    };
    files
        .filter(|path| path.is_file() && is_database(path))
        .collect()
}

/// Put back by hand: what was made since is unknown, and everything from before goes on.
#[tokio::test]
async fn a_database_of_yesterday_knows_nothing_of_today() {
    let first = daemon().start().await;
    let old = set_up(&first).await;
    let home = first.home().clone();
    first.stop().await;
    let folder = home.data_dir();
    let kept = home.root().join("yesterday");
    std::fs::create_dir(&kept).expect("made");
    for file in database_files(&folder) {
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, kept.join(name)).expect("copied");
    }

    let today = daemon().home(&home).start().await;
    let new = sign_in(&today.anonymous(), EMAIL).await.expect(200).json();
    let client = today.with_token(&text(&new, "access_token"));
    let made = client
        .post("/api/v1/tokens", &json!({ "name": "today" }))
        .await;
    let token = text(&made.expect(201).json(), "token");
    let body = json!({ "email": "bob@example.org", "password": PASSWORD });
    client.post("/api/v1/users", &body).await.expect(201);
    today.stop().await;
    for file in database_files(&folder) {
        std::fs::remove_file(file).expect("removed");
    }
    for file in database_files(&kept) {
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, folder.join(name)).expect("put back");
    }

    let again = daemon().home(&home).start().await;
    for unknown in [&token, &text(&new, "access_token")] {
        again
            .with_token(unknown)
            .get("/api/v1/me")
            .await
            .problem(401);
    }
    let refresh = |tokens: &Value| json!({ "refresh_token": tokens["refresh_token"] });
    let stranger = again.anonymous();
    let path = "/api/v1/auth/refresh";
    stranger.post(path, &refresh(&new)).await.problem(401);
    sign_in(&stranger, "bob@example.org").await.problem(401);
    stranger.post(path, &refresh(&old)).await.expect(200);
    sign_in(&stranger, EMAIL).await.expect(200);
    again.cli(&["audit", "verify"]).await.expect(0);
    again.cli(&["status"]).await.expect(0);
    again.stop().await;
}
