//! `token create|list|revoke`. A created token is printed alone on stdout, so that it can be put into a variable; it is
//! never part of an argument, an error or a list.

use std::time::Duration;

use ground::Micros;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Session,
    args::TokenVerb,
    block_on,
    client::{Client, query_text},
    document::{self, Page},
    exit::Exit,
    failure::Failure,
    render::table,
    screen::{self, Style},
    span, user,
};

const TOKENS: &str = "/api/v1/tokens";
/// Pages of a list that are read at most.
const PAGES: usize = 1_000;

/// Runs a `token` verb.
pub(crate) fn run(session: &Session, verb: TokenVerb) -> Result<Exit, Failure> {
    let client = session.client()?;
    match verb {
        TokenVerb::Create {
            name,
            scopes,
            expires,
            user,
        } => {
            let mut request = request(name.as_deref(), &scopes, expires);
            if let Some(email) = user {
                request["owner"] = json!(user::id_of(&client, &email)?);
            }
            let answer = block_on(client.post(TOKENS, Some(&request)))?;
            let created: Created = document::read(answer)?;
            screen::print(&format!("{}\n", created.token))?;
            screen::hint(&hint(&created));
        }
        TokenVerb::List { json } => {
            let items = block_on(all(&client))?;
            if json {
                screen::print(&document::json_text(
                    &json!({"items": items, "next_cursor": null}),
                ))?;
            } else {
                let tokens = items
                    .into_iter()
                    .map(document::read)
                    .collect::<Result<Vec<Token>, _>>()?;
                screen::print(&list(
                    &tokens,
                    ground::clock::now(),
                    &session.screen.style(),
                ))?;
            }
        }
        TokenVerb::Revoke { id } => {
            block_on(client.delete(&format!("{TOKENS}/{}", query_text(&id))))?;
            screen::hint(&format!("token {id} is revoked"));
        }
    }
    Ok(Exit::Done)
}

fn request(name: Option<&str>, scopes: &[String], expires: Option<Duration>) -> Value {
    let scopes: Vec<_> = scopes
        .iter()
        .map(|scope| scope.trim())
        .filter(|scope| !scope.is_empty())
        .collect();
    let mut request = json!({});
    if let Some(name) = name {
        request["name"] = json!(name);
    }
    if !scopes.is_empty() {
        request["scopes"] = json!(scopes);
    }
    if let Some(expires) = expires {
        request["expires_in_s"] = json!(expires.as_secs().max(1));
    }
    request
}

/// A token that was just made.
#[derive(Deserialize)]
struct Created {
    token: String,
    id: String,
    #[serde(default)]
    expires_at: Option<Micros>,
}

fn hint(created: &Created) -> String {
    let until = created.expires_at.map_or_else(
        || "until it is revoked".to_owned(),
        |at| format!("until {}", span::moment(at)),
    );
    format!(
        "token {} is valid {until}; it is shown this once. Use it as the header `Authorization: Bearer TOKEN`; \
         `mainstay token revoke {}` ends it.",
        created.id, created.id
    )
}

/// A token in the list.
#[derive(Debug, Deserialize)]
struct Token {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    created_at: Option<Micros>,
    #[serde(default)]
    last_used_at: Option<Micros>,
    #[serde(default)]
    expires_at: Option<Micros>,
    #[serde(default)]
    revoked_at: Option<Micros>,
}

async fn all(client: &Client) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut target = format!("{TOKENS}?limit=200");
    for _page in 0..PAGES {
        let page: Page<Value> = document::read(client.get(&target).await?)?;
        items.extend(page.items);
        match page.next_cursor {
            Some(cursor) => target = format!("{TOKENS}?limit=200&cursor={}", query_text(&cursor)),
            None => break,
        }
    }
    Ok(items)
}

fn list(tokens: &[Token], now: Micros, style: &Style) -> String {
    if tokens.is_empty() {
        return "there are no tokens; mainstay token create makes one\n".to_owned();
    }
    let ago = |at: Option<Micros>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| format!("{} ago", span::words(now.since(at))),
        )
    };
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| {
            let scopes = if token.scopes.is_empty() {
                "everything".to_owned()
            } else {
                token.scopes.join(",")
            };
            [
                token.id.clone(),
                token.name.clone().unwrap_or_else(|| "-".to_owned()),
                scopes,
                ago(token.created_at),
                ago(token.last_used_at),
                validity(token, now),
            ]
        })
        .collect();
    table::draw(
        ["ID", "NAME", "SCOPES", "CREATED", "USED", "VALID"],
        &rows,
        style,
    )
}

fn validity(token: &Token, now: Micros) -> String {
    match (token.revoked_at, token.expires_at) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(at)) if at <= now => "expired".to_owned(),
        (None, Some(at)) => format!("{} more", span::words(at.since(now))),
        (None, None) => "until revoked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_sent() {
        assert_eq!(request(None, &[], None), json!({}));
        let scopes = ["read".to_owned(), " terminals ".to_owned(), String::new()];
        let all = request(Some("laptop"), &scopes, Some(Duration::from_millis(1_500)));
        assert_eq!(
            all,
            json!({"name": "laptop", "scopes": ["read", "terminals"], "expires_in_s": 1})
        );
    }

    #[test]
    fn the_list_tells_how_long_each_is_valid() {
        let now: Micros = "2026-01-31T12:00:00Z".parse().unwrap();
        let token = |more: Value| -> Token {
            let mut token =
                json!({"id": "0198c2a4", "name": "laptop", "created_at": "2026-01-01T12:00:00Z"});
            for (key, value) in more.as_object().unwrap() {
                token[key] = value.clone();
            }
            document::read(token).unwrap()
        };
        let tokens = [
            token(json!({})),
            token(
                json!({"scopes": ["read", "terminals"], "expires_at": "2026-02-02T12:00:00Z", "last_used_at": "2026-01-31T11:59:00Z"}),
            ),
            token(json!({"expires_at": "2026-01-30T12:00:00Z"})),
            token(json!({"name": null, "revoked_at": "2026-01-30T12:00:00Z"})),
        ];
        insta::assert_snapshot!(list(&tokens, now, &Style::PLAIN));
        assert!(list(&[], now, &Style::PLAIN).contains("mainstay token create"));
    }

    #[test]
    fn the_hint_does_not_repeat_the_token() {
        let created = Created {
            token: "mst_secret".to_owned(),
            id: "1".to_owned(),
            expires_at: None,
        };
        assert!(!hint(&created).contains("mst_secret"));
    }
}
