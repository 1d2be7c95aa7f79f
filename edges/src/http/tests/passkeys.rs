//! Passkeys: whose they are, what a body may hold, and what happens while the domain is down.

use super::*;

const BASE: &str = "/api/v1/auth/passkeys";
const ONE: &str = "/api/v1/auth/passkeys/01890a5d-ac96-774b-bcce-b302099a8057";
const ANSWER: &str = r#"{"challenge_id":"x","credential":{}}"#;

fn of_a_user() -> Vec<(Method, String, &'static str)> {
    vec![
        (Method::POST, format!("{BASE}/register/begin"), ""),
        (Method::POST, format!("{BASE}/register/finish"), ANSWER),
        (Method::PATCH, ONE.to_owned(), r#"{"name":"key"}"#),
        (Method::DELETE, ONE.to_owned(), ""),
        (Method::GET, BASE.to_owned(), ""),
    ]
}

#[tokio::test]
async fn they_are_a_users_own() {
    let app = app().await;
    for (method, path, body) in of_a_user() {
        for token in [None, Some("mst_all")] {
            let mut asked = ask(method.clone(), &path);
            if !body.is_empty() {
                asked = asked.json(body);
            }
            if let Some(token) = token {
                asked = asked.bearing(token);
            }
            let answer = asked.of(&app).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::FORBIDDEN, "http.not_a_user"),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn while_the_domain_is_down_they_are_unavailable() {
    let app = app().await;
    let mut all = of_a_user();
    all.push((Method::POST, format!("{BASE}/login/begin"), "{}"));
    all.push((Method::POST, format!("{BASE}/login/finish"), ANSWER));
    for (method, path, body) in all {
        let mut asked = ask(method, &path).bearing("mst_user");
        if !body.is_empty() {
            asked = asked.json(body);
        }
        let answer = asked.of(&app).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.code(), "supervisor.down");
        assert!(answer.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_at_once() {
    let app = app().await;
    let finish = format!("{BASE}/login/finish");
    let cases = [
        (finish.as_str(), "{}", vec!["/challenge_id", "/credential"]),
        (
            &finish,
            r#"{"challenge_id":7,"credential":"x","y":1}"#,
            vec!["/challenge_id", "/credential", "/y"],
        ),
        (
            &format!("{BASE}/login/begin"),
            r#"{"email":7}"#,
            vec!["/email"],
        ),
    ];
    for (path, body, wanted) in cases {
        let answer = ask(Method::POST, path).json(body).of(&app).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let errors = answer.json()["errors"].clone();
        let errors = errors.as_array().expect("findings").iter();
        let mut found: Vec<String> = errors
            .filter_map(|error| Some(error["pointer"].as_str()?.to_owned()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{body}");
    }
}
