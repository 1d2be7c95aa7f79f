//! Making, changing, exporting and erasing people.

#![expect(clippy::too_many_lines, reason = "each is one story")]

use ground::{PageRequest, args};

use super::*;
use crate::draft;
use crate::token;
use crate::types::Identity;
use crate::types::{NewToken, TokenInfo};

fn role(role: Role) -> Change {
    Change {
        role: Some(role),
        ..Change::default()
    }
}

fn disabled(is_disabled: bool) -> Change {
    Change {
        is_disabled: Some(is_disabled),
        ..Change::default()
    }
}

/// A token of somebody, in the table and in memory.
async fn token_of(room: &Room, user: &User) -> (TokenInfo, crate::token::TokenHash) {
    let now = ground::clock::now();
    let drawn = draft::check(&NewToken::default(), now, None).expect("sound");
    let info = TokenInfo {
        id: Id::generate(),
        name: drawn.name,
        scopes: drawn.scopes,
        owner: Some(user.id.to_string()),
        role: user.role,
        created_at: now,
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    };
    let secret = token::make(
        &mut *Id::generate()
            .as_bytes()
            .repeat(2)
            .first_chunk_mut::<32>()
            .expect("32 bytes"),
    );
    let hash = token::read(secret.expose()).expect("well-formed");
    crate::store::add(
        &room.desk.db,
        &info,
        &hash,
        100,
        &ground::audit::By::system(),
    )
    .await
    .expect("added");
    let known = &room.desk.shared.known;
    known
        .remember(
            known.epoch(),
            hash,
            Identity::of(&info, Tier::Standard),
            None,
        )
        .expect("remembered");
    (info, hash)
}

#[tokio::test]
async fn somebody_is_read_as_they_were_made() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let new = NewUser {
            email: "J\u{fc}rgen@B\u{fc}cher.example".to_owned(),
            password: Some(Secret::from(PASSWORD)),
            name: Some(" J\u{fc}rgen ".to_owned()),
            role: Role::Admin,
            tier: Tier::Premium,
        };
        let (made, invite) = room.desk.create(local(), new.clone()).await.expect("made");
        assert_eq!(invite, None);
        assert_eq!(
            room.desk.find(made.id).await.expect("readable"),
            Some(made.clone())
        );
        let found = room
            .desk
            .find_by_email("j\u{fc}rgen@xn--bcher-kva.example")
            .await
            .expect("readable");
        assert_eq!(found, Some(made.clone()));
        assert_eq!(made.name.as_deref(), Some("J\u{fc}rgen"));
        let again = room.desk.create(local(), new).await;
        assert!(matches!(again, Err(PeopleError::EmailTaken)), "{again:?}");
        assert_eq!(
            room.desk
                .find_by_email("no address")
                .await
                .expect("readable"),
            None
        );
        let kept: (String,) = db
            .fetch_one("SELECT password_hash FROM users", args![])
            .await
            .expect("readable");
        assert!(kept.0.starts_with("$argon2id$") && !kept.0.contains("quartz"));
        let all = room
            .desk
            .list(PageRequest::default(), None)
            .await
            .expect("readable");
        assert_eq!(all.items, [made]);
    })
    .await;
}

#[tokio::test]
async fn users_are_bounded() {
    ::store::testing::on_both(async |db| {
        let config = Config {
            max_users: 1,
            ..Config::default()
        };
        let room = Room::with(&db, config);
        room.somebody("ada@example.com", Role::Owner).await;
        let new = NewUser {
            email: "bob@example.com".to_owned(),
            password: None,
            name: None,
            role: Role::Viewer,
            tier: Tier::Standard,
        };
        let full = room.desk.create(local(), new).await;
        assert!(matches!(full, Err(PeopleError::TooMany { limit: 1 })));
    })
    .await;
}

#[tokio::test]
async fn a_change_counts_and_names_the_version_that_it_is_about() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = room.somebody("ada@example.com", Role::Member).await;
        let change = Change {
            name: Some(Some("Ada".to_owned())),
            role: Some(Role::Viewer),
            tier: Some(Tier::Premium),
            is_disabled: None,
        };
        let changed = room
            .desk
            .change(local(), ada.id, Some(1), change.clone())
            .await
            .expect("changed");
        assert_eq!(
            (
                changed.version,
                changed.role,
                changed.tier,
                changed.name.as_deref()
            ),
            (2, Role::Viewer, Tier::Premium, Some("Ada"))
        );
        assert_eq!(
            room.desk.find(ada.id).await.expect("readable"),
            Some(changed.clone())
        );
        let stale = room
            .desk
            .change(local(), ada.id, Some(1), role(Role::Admin))
            .await;
        assert!(
            matches!(stale, Err(PeopleError::Stale { present: 2 })),
            "{stale:?}"
        );
        // What changes nothing is no change.
        let same = room
            .desk
            .change(local(), ada.id, Some(2), change)
            .await
            .expect("nothing to do");
        assert_eq!(same.version, 2);
        let nobody = room
            .desk
            .change(local(), Id::generate(), None, role(Role::Admin))
            .await;
        assert!(matches!(nobody, Err(PeopleError::NotFound)));
        let bad = Change {
            name: Some(Some("\u{202e}".to_owned())),
            ..Change::default()
        };
        assert!(matches!(
            room.desk.change(local(), ada.id, None, bad).await,
            Err(PeopleError::Invalid(_))
        ));
        let actions: Vec<String> = room
            .audit()
            .await
            .into_iter()
            .map(|entry| entry.0)
            .collect();
        assert_eq!(
            actions,
            ["user.create", "user.rename", "user.role", "user.tier"]
        );
    })
    .await;
}

#[tokio::test]
async fn the_last_owner_stays_however_it_is_tried() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = room.somebody("ada@example.com", Role::Owner).await;
        let bob = room.somebody("bob@example.com", Role::Owner).await;
        // Two at once, each about the other: one of them is too late.
        let (one, two) = tokio::join!(
            room.desk.change(by(&ada), bob.id, None, role(Role::Member)),
            room.desk.change(by(&bob), ada.id, None, disabled(true)),
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let left = if one.is_ok() { ada } else { bob };
        for change in [role(Role::Admin), disabled(true)] {
            for asker in [local(), by(&left)] {
                let refused = room.desk.change(asker, left.id, None, change.clone()).await;
                assert!(
                    matches!(refused, Err(PeopleError::Refused(Denied::LastOwner))),
                    "{refused:?}"
                );
            }
        }
        let refused = room.desk.erase(local(), left.id).await;
        assert!(matches!(
            refused,
            Err(PeopleError::Refused(Denied::LastOwner))
        ));
        let still = room
            .desk
            .find(left.id)
            .await
            .expect("readable")
            .expect("there");
        assert_eq!((still.role, still.disabled_at), (Role::Owner, None));
    })
    .await;
}

#[tokio::test]
async fn whoever_is_kept_out_is_out_with_all_they_have() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        room.somebody("owner@example.com", Role::Owner).await;
        let ada = room.somebody("ada@example.com", Role::Admin).await;
        let invite = room
            .desk
            .invite(by(&ada), NewInvite::Role(Role::Member))
            .await
            .expect("an invitation");
        let (token, hash) = token_of(&room, &ada).await;
        let mut stream = room.desk.shared.revocations.watch(token.id, None);
        room.desk
            .change(local(), ada.id, None, disabled(true))
            .await
            .expect("kept out");
        let ending = tokio::time::timeout(Duration::from_secs(1), stream.ended()).await;
        assert_eq!(ending, Ok(crate::Ending::Revoked));
        assert_eq!(
            room.desk.shared.known.look(&hash, ground::clock::now()),
            crate::known::Look::Missing
        );
        let kept = crate::store::token_with_hash(&db, &hash)
            .await
            .expect("readable")
            .expect("kept");
        assert!(kept.revoked_at.is_some());
        assert_eq!(*lock(&room.sessions.ended), [(ada.id, None)]);
        room.sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect_err("kept out");
        let registration = Registration {
            email: "new@example.com".to_owned(),
            password: Secret::from(PASSWORD),
            name: None,
            invite: Some(invite.token),
        };
        assert!(
            room.desk.register(registration, from(1)).await.is_err(),
            "invitations end as well"
        );
        room.desk
            .change(local(), ada.id, None, disabled(false))
            .await
            .expect("let in again");
        room.sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect("in");
        // What was revoked stays so.
        let kept = crate::store::token_with_hash(&db, &hash)
            .await
            .expect("readable")
            .expect("kept");
        assert!(kept.revoked_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn another_role_is_not_remembered_in_its_old_form() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = room.somebody("ada@example.com", Role::Admin).await;
        let (_, hash) = token_of(&room, &ada).await;
        room.desk
            .change(local(), ada.id, None, role(Role::Viewer))
            .await
            .expect("changed");
        assert_eq!(
            room.desk.shared.known.look(&hash, ground::clock::now()),
            crate::known::Look::Missing
        );
        let kept = crate::store::token_with_hash(&db, &hash)
            .await
            .expect("readable")
            .expect("kept");
        assert_eq!(kept.revoked_at, None);
        assert_eq!(*lock(&room.sessions.changed), [ada.id]);
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_password_is_set_by_who_may() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let owner = room.somebody("owner@example.com", Role::Owner).await;
        let admin = room.somebody("admin@example.com", Role::Admin).await;
        let ada = room.somebody("ada@example.com", Role::Member).await;
        let new = || Secret::from("seven green umbrellas");
        for (asker, target, denied) in [
            (&ada, &admin, Denied::NoAdmin),
            (&admin, &owner, Denied::Owner),
            (&admin, &admin, Denied::Oneself),
        ] {
            let refused = room.desk.set_password(by(asker), target.id, new()).await;
            assert!(
                matches!(refused, Err(PeopleError::Refused(found)) if found == denied),
                "{refused:?}"
            );
        }
        room.desk
            .set_password(by(&admin), ada.id, new())
            .await
            .expect("set");
        assert_eq!(*lock(&room.sessions.ended), [(ada.id, None)]);
        room.sign_in("ada@example.com", "seven green umbrellas", 1)
            .await
            .expect("in");
        let denied = room.desk.set_password(by(&ada), owner.id, new()).await;
        let denied = room
            .desk
            .tell_denied(&by(&ada), "user.password", denied)
            .await;
        assert!(denied.is_err());
        let audit = room.audit().await;
        let (action, outcome, _) = audit.last().expect("an entry");
        assert_eq!(
            (action.as_str(), outcome.as_str()),
            ("user.password", "refused")
        );
    })
    .await;
}

#[tokio::test]
async fn all_that_is_kept_of_somebody_is_told_and_erased() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let owner = room.somebody("owner@example.com", Role::Owner).await;
        let ada = room.somebody("ada@example.com", Role::Member).await;
        let eve = room.somebody("eve@example.com", Role::Member).await;
        let (token, hash) = token_of(&room, &ada).await;
        room.sign_in("ada@example.com", PASSWORD, 9)
            .await
            .expect("in");
        let export = room
            .desk
            .export(by(&ada), ada.id)
            .await
            .expect("of oneself");
        assert_eq!(export["user"]["email"], "ada@example.com");
        assert_eq!(export["tokens"][0]["id"], token.id.to_string());
        assert_eq!(export["networks"][0]["network"], "192.0.2.9");
        let text = export.to_string();
        assert!(
            !text.contains("argon2") && !text.contains("secret"),
            "{text}"
        );
        let foreign = room.desk.export(by(&eve), ada.id).await;
        assert!(matches!(foreign, Err(PeopleError::NotFound)));
        room.desk
            .export(by(&owner), ada.id)
            .await
            .expect("by an owner");

        let refused = room.desk.erase(by(&eve), ada.id).await;
        assert!(matches!(
            refused,
            Err(PeopleError::Refused(Denied::NoAdmin))
        ));
        room.desk.erase(by(&owner), ada.id).await.expect("erased");
        assert_eq!(room.desk.find(ada.id).await.expect("readable"), None);
        assert_eq!(lock(&room.sessions.ended).last(), Some(&(ada.id, None)));
        let kept = crate::store::token_with_hash(&db, &hash)
            .await
            .expect("readable")
            .expect("kept for others to notice");
        assert!(kept.revoked_at.is_some() && kept.name == "erased");
        let networks: (i64,) = db
            .fetch_one("SELECT count(*) FROM familiar_networks", args![])
            .await
            .expect("readable");
        assert_eq!(networks.0, 0);
        let entries: Vec<(Option<String>, String)> = db
            .fetch_all(
                "SELECT object, detail FROM audit_entries LIMIT 1000",
                args![],
            )
            .await
            .expect("readable");
        assert!(
            entries
                .iter()
                .any(|entry| entry.0 == Some(ada.id.to_string()))
        );
        assert!(entries.iter().all(|entry| !entry.1.contains("ada@")));
        // Again: there is nobody left.
        assert!(matches!(
            room.desk.erase(by(&owner), ada.id).await,
            Err(PeopleError::NotFound)
        ));
    })
    .await;
}
