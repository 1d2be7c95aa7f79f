//! `user add|list|disable|enable|passwd|remove-factors|role|export|erase`: people, as the local operator looks after them.

use ground::{Micros, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Session,
    args::{RoleWord, UserVerb},
    block_on,
    client::{Client, query_text},
    document::{self, Page},
    exit::Exit,
    failure::Failure,
    render::table,
    screen::{self, Style},
    span,
    typed::{Typed, new_password},
};

const USERS: &str = "/api/v1/users";
/// Pages of a list that are read at most.
const PAGES: usize = 1_000;

/// Runs a `user` verb.
pub(crate) fn run(session: &Session, verb: UserVerb) -> Result<Exit, Failure> {
    let client = session.client()?;
    match verb {
        UserVerb::Add {
            email,
            role,
            name,
            password_stdin,
        } => add(&client, &email, role, name.as_deref(), password_stdin)?,
        UserVerb::List { json } => list(session, &client, json)?,
        UserVerb::Disable(args) => {
            change(&client, &args.email, &json!({"disabled": true}))?;
            screen::hint(&format!(
                "{} is kept out; sessions and tokens have ended",
                args.email
            ));
        }
        UserVerb::Enable(args) => {
            change(&client, &args.email, &json!({"disabled": false}))?;
            screen::hint(&format!("{} may come in again", args.email));
        }
        UserVerb::Passwd {
            email,
            password_stdin,
        } => passwd(&client, &email, password_stdin)?,
        UserVerb::RemoveFactors(args) => {
            let target = format!("{USERS}/{}/factors", id_of(&client, &args.email)?);
            block_on(client.delete(&target))?;
            screen::hint(&format!(
                "{} has no authenticator app and no recovery codes any more; sessions have ended",
                args.email
            ));
        }
        UserVerb::Role { email, role } => {
            change(&client, &email, &json!({"role": role.word()}))?;
            screen::hint(&format!("{email} is {} now", role.word()));
        }
        UserVerb::Export(args) => {
            let target = format!("{USERS}/{}/export", id_of(&client, &args.email)?);
            screen::print(&document::json_text(&block_on(client.get(&target))?))?;
        }
        UserVerb::Erase { email, yes } => erase(&client, &email, yes)?,
    }
    Ok(Exit::Done)
}

/// A user in the list.
#[derive(Debug, Deserialize)]
struct User {
    id: String,
    email: String,
    #[serde(default)]
    name: Option<String>,
    role: String,
    tier: String,
    #[serde(default)]
    disabled_at: Option<Micros>,
    #[serde(default)]
    last_sign_in_at: Option<Micros>,
    #[serde(default)]
    has_password: bool,
}

/// A user who was just made.
#[derive(Deserialize)]
struct Created {
    user: User,
    #[serde(default)]
    invite: Option<Invite>,
}

#[derive(Deserialize)]
struct Invite {
    token: Secret,
    expires_at: Micros,
}

/// The id of the user with an address.
///
/// # Errors
/// When nobody has it, and as every request.
pub(crate) fn id_of(client: &Client, email: &str) -> Result<String, Failure> {
    let target = format!("{USERS}?email={}", query_text(email));
    let page: Page<User> = document::read(block_on(client.get(&target))?)?;
    let found = page.items.into_iter().next();
    found.map(|user| user.id).ok_or_else(|| {
        Failure::failed(format!("nobody has the address {email}"))
            .next("mainstay user list shows who there is")
    })
}

fn add(
    client: &Client,
    email: &str,
    role: RoleWord,
    name: Option<&str>,
    is_piped: bool,
) -> Result<(), Failure> {
    let mut request = json!({"email": email, "role": role.word()});
    if let Some(name) = name {
        request["name"] = json!(name);
    }
    if let Typed::Password(password) = new_password(is_piped)? {
        request["password"] = json!(password.expose());
    }
    let created: Created = document::read(block_on(client.post(USERS, Some(&request)))?)?;
    if let Some(invite) = &created.invite {
        screen::print(&format!("{}\n", invite.token.expose()))?;
    }
    screen::hint(&told(&created));
    Ok(())
}

fn told(created: &Created) -> String {
    let User {
        email, role, id, ..
    } = &created.user;
    match &created.invite {
        None => format!("{email} is {role}, with the id {id}, and can sign in"),
        Some(invite) => format!(
            "{email} is {role}, with the id {id}. The invitation is shown this once and valid until {}: whoever sends it with this address and a \
             password to POST /api/v1/auth/register sets the password.",
            span::moment(invite.expires_at)
        ),
    }
}

fn list(session: &Session, client: &Client, json: bool) -> Result<(), Failure> {
    let items = block_on(all(client))?;
    if json {
        let list = json!({"items": items, "next_cursor": null});
        return Ok(screen::print(&document::json_text(&list))?);
    }
    let users: Vec<User> = items
        .into_iter()
        .map(document::read)
        .collect::<Result<_, _>>()?;
    let shown = shown(&users, ground::clock::now(), &session.screen.style());
    Ok(screen::print(&shown)?)
}

async fn all(client: &Client) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut target = format!("{USERS}?limit=200");
    for _page in 0..PAGES {
        let page: Page<Value> = document::read(client.get(&target).await?)?;
        items.extend(page.items);
        match page.next_cursor {
            Some(cursor) => target = format!("{USERS}?limit=200&cursor={}", query_text(&cursor)),
            None => break,
        }
    }
    Ok(items)
}

fn shown(users: &[User], now: Micros, style: &Style) -> String {
    if users.is_empty() {
        return "there are no users; mainstay user add EMAIL --role owner makes the first\n"
            .to_owned();
    }
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            let signed_in = user.last_sign_in_at.map_or_else(
                || "never".to_owned(),
                |at| format!("{} ago", span::words(now.since(at))),
            );
            [
                user.email.clone(),
                user.name.clone().unwrap_or_else(|| "-".to_owned()),
                user.role.clone(),
                user.tier.clone(),
                state(user).to_owned(),
                signed_in,
            ]
        })
        .collect();
    let heads = ["EMAIL", "NAME", "ROLE", "TIER", "STATE", "SIGNED IN"];
    table::draw(heads, &rows, style)
}

fn state(user: &User) -> &'static str {
    match (user.disabled_at, user.has_password) {
        (Some(_), _) => "kept out",
        (None, false) => "no password",
        (None, true) => "active",
    }
}

fn change(client: &Client, email: &str, change: &Value) -> Result<Value, Failure> {
    let target = format!("{USERS}/{}", id_of(client, email)?);
    block_on(client.patch(&target, change))
}

fn passwd(client: &Client, email: &str, is_piped: bool) -> Result<(), Failure> {
    let target = format!("{USERS}/{}/password", id_of(client, email)?);
    let Typed::Password(password) = new_password(is_piped)? else {
        let failure = Failure::usage("there is no terminal to ask for the password on");
        return Err(
            failure.next("mainstay user passwd EMAIL --password-stdin, with the password on stdin")
        );
    };
    let body = json!({"password": password.expose()});
    block_on(client.post(&target, Some(&body)))?;
    screen::hint(&format!(
        "the password of {email} is set; sessions have ended"
    ));
    Ok(())
}

fn erase(client: &Client, email: &str, is_sure: bool) -> Result<(), Failure> {
    let target = format!("{USERS}/{}", id_of(client, email)?);
    if !is_sure {
        let failure = Failure::usage(format!(
            "all that is kept of {email} would be gone for good"
        ));
        return Err(failure.next("the same with --yes"));
    }
    block_on(client.delete(&target))?;
    screen::hint(&format!("{email} is erased"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(more: &Value) -> User {
        let mut user = json!({"id": "0198c2a4", "email": "ada@example.com", "role": "member", "tier": "standard", "has_password": true});
        for (key, value) in more.as_object().expect("an object") {
            user[key] = value.clone();
        }
        document::read(user).expect("a user")
    }

    #[test]
    fn the_list_tells_who_can_come_in() {
        let now: Micros = "2026-01-31T12:00:00Z".parse().expect("a time");
        let users = [
            user(
                &json!({"name": "Ada", "role": "owner", "last_sign_in_at": "2026-01-31T11:00:00Z"}),
            ),
            user(&json!({"email": "bob@example.com", "disabled_at": "2026-01-30T12:00:00Z"})),
            user(&json!({"email": "eve@example.com", "tier": "premium", "has_password": false})),
        ];
        insta::assert_snapshot!(shown(&users, now, &Style::PLAIN));
        assert!(shown(&[], now, &Style::PLAIN).contains("mainstay user add"));
    }

    #[test]
    fn the_hint_does_not_repeat_the_invitation() {
        let created = Created {
            user: user(&json!({})),
            invite: Some(Invite {
                token: Secret::from("msi_secret"),
                expires_at: Micros(0),
            }),
        };
        assert!(!told(&created).contains("msi_secret"));
    }
}
