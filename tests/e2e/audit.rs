//! What people did is on record, and nobody can change the record unnoticed.
//!
//! Domains: `audit`.

use http::Method;
use kit::{Client, Daemon, PATIENCE, SharedDatabase, Signal, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::support::{daemon, daemon_on, id_of, open, shell, url_of};

on_both_databases![
    what_people_did_is_on_record_and_proven,
    a_flood_of_wrong_tokens_is_one_entry,
    the_record_outlives_a_killed_daemon,
    only_owners_and_admins_see_the_record,
    whoever_changes_the_record_is_found_out,
];

async fn entries(client: &Client, query: &str) -> Vec<Value> {
    let page = client.get(&format!("/api/v1/audit?{query}")).await;
    let page = page.expect(200).json();
    page["items"].as_array().expect("a list").clone()
}

/// What was done, newest first.
async fn actions(client: &Client, query: &str) -> Vec<String> {
    let entries = entries(client, query).await;
    let actions = entries.iter().map(|entry| entry["action"].as_str());
    actions
        .map(|action| action.expect("an action").to_owned())
        .collect()
}

async fn verified(client: &Client) -> Value {
    client.get("/api/v1/audit/verify").await.expect(200).json()
}

async fn what_people_did_is_on_record_and_proven(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let local = daemon.local();
    let id = story(&daemon).await;
    let all = entries(&local, "").await;
    told_as_it_was(&all, &id);
    found_by_what_is_asked_for(&local, &id).await;

    let found = verified(&local).await;
    assert_eq!((&found["ok"], &found["checked"]), (&json!(true), &json!(6)));
    let exported = local.get("/api/v1/audit/export").await.expect(200);
    let kind = exported.header("content-type");
    assert_eq!(kind, Some("application/x-ndjson"));
    let text = exported.text();
    let lines = text.lines().map(serde_json::from_str);
    let lines: Result<Vec<Value>, _> = lines.collect();
    let mut newest_first = lines.expect("a document a line");
    newest_first.reverse();
    assert_eq!(newest_first, all);
    command_line(&daemon).await;
    daemon.stop().await;
}

/// Six things that go on record, and one that changes nothing. Gives the id of the second token.
async fn story(daemon: &Daemon) -> String {
    let user = daemon.with_token(&daemon.new_token("laptop").await);
    let request = user.request(Method::POST, "/api/v1/supervisor/ptys/manager/restart");
    let request = request.header("x-request-id", "story-1");
    let request = request.header("user-agent", "tester\t1");
    request.send().await.expect(202);
    let nothing = "/api/v1/supervisor/nothing/restart";
    user.post(nothing, &json!({})).await.problem(404);
    let drill = "/api/v1/drills/panic-actor";
    user.post(drill, &json!({})).await.problem(403);
    let second = json!({ "name": "second" });
    let made = user.post("/api/v1/tokens", &second).await.expect(201);
    let id = id_of(&made.json());
    for _ in 0..2 {
        let revoked = user.delete(&format!("/api/v1/tokens/{id}")).await;
        revoked.expect(204);
    }
    id
}

fn told_as_it_was(all: &[Value], id: &str) {
    let [revoked, made, drill, refused, restart, first] = all else {
        panic!("six entries, not {all:#?}");
    };
    for (entry, action, object, outcome, kind) in [
        (first, "token.create", None, "done", "local"),
        (
            restart,
            "node.restart",
            Some("/ptys/manager"),
            "done",
            "token",
        ),
        (
            refused,
            "node.restart",
            Some("/nothing"),
            "refused",
            "token",
        ),
        (drill, "drill.run", Some("panic-actor"), "refused", "token"),
        (made, "token.create", Some(id), "done", "token"),
        (revoked, "token.revoke", Some(id), "done", "token"),
    ] {
        let told = (&entry["action"], &entry["outcome"], &entry["actor"]["kind"]);
        assert_eq!(
            told,
            (&json!(action), &json!(outcome), &json!(kind)),
            "{entry}"
        );
        assert!(
            object.is_none_or(|object| entry["object"] == object),
            "{entry}"
        );
    }
    assert_eq!(restart["request_id"], "story-1");
    assert_eq!(restart["address"], "127.0.0.1");
    let agent = restart["user_agent"].as_str().expect("text");
    assert!(!agent.contains('\t'), "{restart}");
    assert_eq!(drill["detail"]["code"], "drills.disabled");
    let text = serde_json::to_string(all).expect("JSON");
    assert!(!text.contains("mst_"), "no secret is on record");
}

async fn found_by_what_is_asked_for(client: &Client, id: &str) {
    for (query, wanted) in [
        (
            "action=token.&limit=2",
            vec!["token.revoke", "token.create"],
        ),
        ("outcome=refused", vec!["drill.run", "node.restart"]),
        (
            &format!("object={id}"),
            vec!["token.revoke", "token.create"],
        ),
        ("until=2020-01-01T00:00:00Z", vec![]),
    ] {
        assert_eq!(actions(client, query).await, wanted, "{query}");
    }
    let wrong = "/api/v1/audit?since=yesterday&cursor=x&limit=0";
    client.get(wrong).await.problem(422);
}

/// The same by the command line.
async fn command_line(daemon: &Daemon) {
    let listed = daemon
        .cli(&["audit", "list", "--action", "node.", "--since", "1h"])
        .await
        .expect(0);
    assert!(listed.stdout.contains("/ptys/manager"), "{}", listed.stdout);
    let exported = daemon.cli(&["audit", "export"]).await.expect(0);
    assert_eq!(exported.stdout.lines().count(), 6);
    let found = daemon.cli(&["audit", "verify"]).await.expect(0);
    assert!(
        found.stdout.contains("the record holds: 6 entries"),
        "{}",
        found.stdout
    );
    let checked = daemon.cli(&["doctor", "--json"]).await.json();
    let checks = checks_of(&checked);
    assert_eq!(checks["verdict"], "ok", "{checked}");
}

fn checks_of(report: &Value) -> &Value {
    let checks = report["checks"].as_array().expect("checks");
    checks
        .iter()
        .find(|check| check["name"] == "audit")
        .expect("a check of the audit")
}

async fn a_flood_of_wrong_tokens_is_one_entry(database: SharedDatabase) {
    // The limits of rates would refuse most of them unlooked.
    let daemon = daemon()
        .database(&database)
        .config("[limits]\nenabled = false\n");
    let daemon = daemon.start().await;
    let local = daemon.local();
    let wrong = daemon.with_token(&format!("mst_{}", "A".repeat(43)));
    for _ in 0..200 {
        wrong.get("/api/v1/status").await.problem(401);
    }
    daemon.anonymous().get("/api/v1/status").await.problem(401);
    eventually(PATIENCE, async || match entries(&local, "").await {
        told if told.is_empty() => Err("an entry".to_owned()),
        told => Ok(told),
    })
    .await;
    let told = entries(&local, "").await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["action"], "token.refuse");
    assert_eq!(told[0]["actor"]["kind"], "anonymous");
    assert_eq!(told[0]["address"], "127.0.0.1");
    assert_eq!(told[0]["detail"]["count"], 1);
    let home = daemon.home().clone();
    daemon.stop().await;
    // What was counted since is told by the time the daemon has stopped.
    let second = daemon_on_home(&database, &home).await;
    let told = entries(&second.local(), "action=token.refuse").await;
    let counts: Vec<&Value> = told.iter().map(|entry| &entry["detail"]["count"]).collect();
    assert_eq!(counts, [199, 1], "{told:#?}");
    second.stop().await;
}

async fn daemon_on_home(database: &SharedDatabase, home: &kit::Home) -> Daemon {
    daemon().database(database).home(home).start().await
}

async fn the_record_outlives_a_killed_daemon(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    let restart = "/api/v1/supervisor/ptys/manager/restart";
    first.local().post(restart, &json!({})).await.expect(202);
    let before = entries(&first.local(), "").await;
    assert_eq!(before.len(), 1);
    let home = first.kill9().await;
    let second = daemon_on_home(&database, &home).await;
    assert_eq!(entries(&second.local(), "").await, before);
    // A reload is on record, too, although nobody waits for an answer to a signal.
    second.signal(Signal::HUP);
    eventually(PATIENCE, async || {
        let told = actions(&second.local(), "").await;
        if told.first().is_some_and(|action| action == "config.reload") {
            Ok(())
        } else {
            Err(format!("a reload in {told:?}"))
        }
    })
    .await;
    assert_eq!(verified(&second.local()).await["checked"], 2);
    second.stop().await;
}

async fn only_owners_and_admins_see_the_record(database: SharedDatabase) {
    let daemon = daemon_on(&database).await;
    let created = daemon
        .cli(&["token", "create", "--scope", "read,operator"])
        .await
        .expect(0);
    let limited = daemon.with_token(created.stdout.trim());
    for path in [
        "/api/v1/audit",
        "/api/v1/audit/export",
        "/api/v1/audit/verify",
    ] {
        limited.get(path).await.problem(403);
        daemon.anonymous().get(path).await.problem(401);
    }
    // Nor can anybody change it: there is no way to.
    let operator = daemon.operator().await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        operator
            .request(method, "/api/v1/audit")
            .send()
            .await
            .problem(405);
    }
    daemon.stop().await;
}

async fn whoever_changes_the_record_is_found_out(database: SharedDatabase) {
    let first = daemon_on(&database).await;
    for _ in 0..3 {
        first.new_token("one").await;
    }
    let (home, url) = (first.home().clone(), url_of(&database, first.home()));
    first.stop().await;
    let change = "UPDATE audit_entries SET outcome = 'refused' WHERE seq = 2";
    assert_eq!(kit::sql(&url, change).await, 1);
    let second = daemon_on_home(&database, &home).await;
    let found = verified(&second.local()).await;
    assert_eq!(found["ok"], false);
    assert_eq!(
        (&found["broken"]["seq"], &found["broken"]["what"]),
        (&json!(2), &json!("altered"))
    );
    let told = second.cli(&["audit", "verify"]).await.expect(1);
    assert!(
        told.stdout.contains("entry 2 does not fit its hash"),
        "{}",
        told.stdout
    );
    let report = second.cli(&["doctor", "--json"]).await.expect(1).json();
    assert_eq!(checks_of(&report)["verdict"], "fail", "{report}");
    second.stop().await;
}

/// The record of a part that is stopped cannot be written at once. The operator can act all the same, and the entry comes later.
#[tokio::test]
async fn an_operator_acts_without_the_record_which_follows() {
    let daemon = daemon().start().await;
    let local = daemon.local();
    local
        .post("/api/v1/supervisor/audit/writer/stop", &json!({}))
        .await
        .expect(202);
    eventually(PATIENCE, async || {
        let status = local
            .get("/api/v1/status/audit/writer")
            .await
            .expect(200)
            .json();
        if status["state"] == "stopped" {
            Ok(())
        } else {
            Err(format!("a stopped writer: {status}"))
        }
    })
    .await;
    let before = actions(&local, "").await.len();
    local
        .post("/api/v1/supervisor/ptys/manager/restart", &json!({}))
        .await
        .expect(202);
    assert_eq!(actions(&local, "").await.len(), before);
    local
        .post("/api/v1/supervisor/audit/writer/start", &json!({}))
        .await
        .expect(202);
    eventually(PATIENCE, async || {
        let told = actions(&local, "").await;
        if told.contains(&"node.restart".to_owned()) && told.contains(&"node.start".to_owned()) {
            Ok(())
        } else {
            Err(format!("what was done meanwhile in {told:?}"))
        }
    })
    .await;
    assert_eq!(verified(&local).await["ok"], true);
    daemon.stop().await;
}

/// Terminals are their owner's. Whoever holds a token of the local operator is the local operator.
#[tokio::test]
async fn a_terminal_tells_whose_it_is() {
    let daemon = daemon().start().await;
    let operator = daemon.operator().await;
    let id = open(&operator, &shell()).await;
    let shown = daemon
        .local()
        .get(&format!("/api/v1/terminals/{id}"))
        .await
        .expect(200)
        .json();
    assert_eq!(shown["owner"], Value::Null);
    daemon.stop().await;
}
