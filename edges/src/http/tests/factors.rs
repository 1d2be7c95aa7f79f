//! Second factors: whose they are, what a body may hold, and what happens while the domain is down.

use super::*;

const POSTS: [(&str, &str); 4] = [
    ("/api/v1/auth/totp/enroll", "{}"),
    ("/api/v1/auth/totp/confirm", r#"{"totp_code":"123456"}"#),
    ("/api/v1/auth/totp/disable", r#"{"totp_code":"123456"}"#),
    (
        "/api/v1/auth/recovery-codes",
        r#"{"recovery_code":"0000-0000-0000-0000-0000-0000"}"#,
    ),
];

#[tokio::test]
async fn they_are_a_users_own() {
    let app = app().await;
    for (path, body) in POSTS {
        let local = ask(Method::POST, path).json(body).of(&app).await;
        let token = ask(Method::POST, path).json(body).bearing("mst_all");
        for answer in [local, token.of(&app).await] {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::FORBIDDEN, "http.not_a_user"),
                "{path}"
            );
        }
    }
    let shown = get("/api/v1/auth/factors").bearing("mst_read").of(&app);
    assert_eq!(shown.await.code(), "http.not_a_user");
}

#[tokio::test]
async fn while_the_domain_is_down_they_are_unavailable() {
    let app = app().await;
    for (path, body) in POSTS {
        let asked = ask(Method::POST, path).json(body).bearing("mst_user");
        let answer = asked.of(&app).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.code(), "supervisor.down");
        assert!(answer.header("retry-after").is_some());
    }
    let shown = get("/api/v1/auth/factors").bearing("mst_user").of(&app);
    assert_eq!(shown.await.code(), "supervisor.down");
}

#[tokio::test]
async fn a_proof_is_one_of_two() {
    let app = app().await;
    let long = "1".repeat(65);
    let recovery = "0000-0000-0000-0000-0000-0000";
    let cases = [
        ("{}".to_owned(), vec![("/totp_code", "missing")]),
        (
            format!(r#"{{"totp_code":"123456","recovery_code":"{recovery}"}}"#),
            vec![("/totp_code", "too_many")],
        ),
        (
            format!(r#"{{"totp_code":"12345","recovery_code":"{long}","x":1}}"#),
            vec![
                ("/totp_code", "too_short"),
                ("/recovery_code", "too_long"),
                ("/x", "unknown_field"),
            ],
        ),
        (
            r#"{"totp_code":123456}"#.to_owned(),
            vec![("/totp_code", "wrong_type")],
        ),
    ];
    for (body, wanted) in cases {
        for path in ["/api/v1/auth/totp/disable", "/api/v1/auth/recovery-codes"] {
            let asked = ask(Method::POST, path).json(body.clone());
            let answer = asked.bearing("mst_user").of(&app).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            let errors = answer.json()["errors"].clone();
            let mut found: Vec<(&str, &str)> = errors
                .as_array()
                .expect("findings")
                .iter()
                .filter_map(|error| Some((error["pointer"].as_str()?, error["code"].as_str()?)))
                .collect();
            let mut wanted = wanted.clone();
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{body}");
            assert!(!answer.text.contains("12345"), "nothing of a code is told");
        }
    }
}
