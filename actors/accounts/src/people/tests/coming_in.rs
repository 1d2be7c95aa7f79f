//! The first owner, registering, signing in.

#![expect(clippy::too_many_lines, reason = "each is one story")]

use ground::{Micros, args, clock};

use super::*;
use crate::config::RegistrationPolicy;

fn setup(token: &Secret, email: &str) -> Setup {
    Setup {
        token: token.clone(),
        email: email.to_owned(),
        password: Secret::from(PASSWORD),
        name: Some("Ada".to_owned()),
    }
}

fn registration(email: &str, invite: Option<&Secret>) -> Registration {
    Registration {
        email: email.to_owned(),
        password: Secret::from(PASSWORD),
        name: None,
        invite: invite.cloned(),
    }
}

#[tokio::test]
async fn the_first_owner_is_made_once() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let old = room
            .desk
            .prepare_setup()
            .await
            .expect("stored")
            .expect("a token");
        let token = room
            .desk
            .prepare_setup()
            .await
            .expect("stored")
            .expect("a token");
        assert!(token.expose().starts_with(SETUP_PREFIX));
        for wrong in [&old, &Secret::from("mss_"), &Secret::from("")] {
            let refused = room
                .desk
                .setup(setup(wrong, "ada@example.com"), from(1))
                .await;
            assert!(
                matches!(refused, Err(SignInError::BadSetupToken)),
                "{refused:?}"
            );
        }
        assert_eq!(
            room.hashed(),
            0,
            "nobody makes the daemon hash without a token"
        );
        let invalid = room
            .desk
            .setup(setup(&token, "nobody"), from(1))
            .await
            .expect_err("no address");
        assert_eq!(invalid.code(), "accounts.invalid");
        room.desk
            .setup(setup(&token, "ada@example.com"), from(1))
            .await
            .expect("set up");
        let begun = lock(&room.sessions.begun).clone();
        assert_eq!(begun.len(), 1);
        assert_eq!(begun[0].method, Method::Setup);
        let owner = room
            .desk
            .find_by_email("ADA@example.com")
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(
            (owner.role, owner.name.as_deref(), owner.version),
            (Role::Owner, Some("Ada"), 1)
        );
        let again = room
            .desk
            .setup(setup(&token, "eve@example.com"), from(1))
            .await;
        assert!(matches!(again, Err(SignInError::AlreadySetUp)), "{again:?}");
        assert_eq!(room.desk.prepare_setup().await.expect("readable"), None);
        assert_eq!(room.audit().await[0].0, "user.setup");
    })
    .await;
}

#[tokio::test]
async fn of_two_first_owners_at_once_one_wins() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let token = room
            .desk
            .prepare_setup()
            .await
            .expect("stored")
            .expect("a token");
        let (one, two) = tokio::join!(
            room.desk.setup(setup(&token, "ada@example.com"), from(1)),
            room.desk.setup(setup(&token, "bob@example.com"), from(2)),
        );
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        let refused = one.err().or(two.err()).expect("one of them");
        assert!(matches!(
            refused,
            SignInError::AlreadySetUp | SignInError::BadSetupToken
        ));
        let all = room
            .desk
            .list(ground::PageRequest::default(), None)
            .await
            .expect("readable");
        assert_eq!(all.items.len(), 1);
    })
    .await;
}

/// Whoever is refused learns nothing: the same error after the same work.
#[tokio::test]
async fn what_is_wrong_with_a_sign_in_cannot_be_told_apart() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        room.somebody("ada@example.com", Role::Member).await;
        let bob = room.somebody("bob@example.com", Role::Member).await;
        let off = Change {
            is_disabled: Some(true),
            ..Change::default()
        };
        room.desk
            .change(local(), bob.id, None, off)
            .await
            .expect("kept out");
        let new = NewUser {
            email: "eve@example.com".to_owned(),
            password: None,
            name: None,
            role: Role::Viewer,
            tier: Tier::Standard,
        };
        room.desk.create(local(), new).await.expect("made");
        let overlong = "x".repeat(10_000);
        let cases = [
            ("ada@example.com", "wrong", "wrong_password"),
            ("ada@example.com", overlong.as_str(), "wrong_password"),
            (
                "ada@example.com",
                "quartz lantern ferry\0",
                "wrong_password",
            ),
            ("nobody@example.com", PASSWORD, "unknown_user"),
            ("no address", PASSWORD, "unknown_user"),
            ("bob@example.com", PASSWORD, "disabled"),
            ("bob@example.com", "wrong", "wrong_password"),
            ("eve@example.com", PASSWORD, "no_password"),
        ];
        for (number, (email, password, reason)) in (0..).zip(cases) {
            let before = room.hashed();
            let refused = room
                .sign_in(email, password, number)
                .await
                .expect_err("refused");
            assert!(
                matches!(refused, SignInError::Wrong),
                "{email}: {refused:?}"
            );
            assert_eq!(
                room.hashed() - before,
                1,
                "{email}: one hash, whoever it is"
            );
            let audit = room.audit().await;
            let (action, outcome, detail) = audit.last().expect("an entry");
            assert_eq!(
                (action.as_str(), outcome.as_str()),
                ("session.refused", "refused")
            );
            assert!(
                detail.contains(reason) && !detail.contains("quartz"),
                "{detail}"
            );
        }
        let before = room.hashed();
        room.sign_in("Ada@Example.com", PASSWORD, 100)
            .await
            .expect("let in");
        assert_eq!(room.hashed() - before, 1);
        assert_eq!(lock(&room.sessions.begun).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn guessing_becomes_slow_without_a_hash_and_owners_stay_in() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        room.somebody("ada@example.com", Role::Owner).await;
        room.sign_in("ada@example.com", PASSWORD, 200)
            .await
            .expect("familiar from now on");
        let mut wrong = 0;
        while room
            .sign_in("ada@example.com", "guess", wrong)
            .await
            .is_err_and(|error| matches!(error, SignInError::Wrong))
        {
            wrong += 1;
        }
        assert_eq!(wrong, 4);
        let before = room.hashed();
        for last in 50..60 {
            let refused = room
                .sign_in("ada@example.com", PASSWORD, last)
                .await
                .expect_err("delayed");
            assert_eq!(
                (refused.kind(), refused.code()),
                (FaultKind::Limited, "accounts.too_many_guesses")
            );
            assert!(
                refused
                    .retry_after()
                    .is_some_and(|wait| wait <= Duration::from_secs(1))
            );
        }
        assert_eq!(room.hashed(), before, "nothing was hashed");
        room.sign_in("ada@example.com", PASSWORD, 200)
            .await
            .expect("a familiar address is not delayed by others");
        // Unless it was too long ago.
        let long_ago = clock::now() - Duration::from_hours(31 * 24);
        db.execute("UPDATE familiar_networks SET seen_at = $1", args![long_ago])
            .await
            .expect("written");
        assert!(
            room.sign_in("ada@example.com", PASSWORD, 200)
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn a_second_factor_is_asked_for_after_the_password() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        room.somebody("ada@example.com", Role::Member).await;
        *lock(&room.factors.is_on) = true;
        let wrong = room
            .sign_in("ada@example.com", "wrong", 1)
            .await
            .expect_err("wrong");
        assert_eq!(wrong.code(), "accounts.wrong_credentials");
        let asked = room
            .sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect_err("a code is wanted");
        assert_eq!(asked.code(), "test.no_code");
        let shown = |code: &str| Credentials {
            email: "ada@example.com".to_owned(),
            password: Secret::from(PASSWORD),
            code: Some(Secret::from(code)),
        };
        room.desk
            .sign_in(shown("000000"), from(1))
            .await
            .expect_err("wrong code");
        room.desk
            .sign_in(shown("123456"), from(1))
            .await
            .expect("let in");
        assert!(lock(&room.sessions.begun)[0].second_factor);
    })
    .await;
}

#[tokio::test]
async fn a_hash_of_an_import_is_replaced_at_the_first_right_password() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = room.somebody("ada@example.com", Role::Member).await;
        let imported = bcrypt::hash_with_salt(PASSWORD, 5, [3; 16])
            .expect("hashed")
            .format_for_version(bcrypt::Version::TwoY);
        db.execute(
            "UPDATE users SET password_hash = $1 WHERE id = $2",
            args![imported, ada.id],
        )
        .await
        .expect("written");
        room.sign_in("ada@example.com", "wrong", 1)
            .await
            .expect_err("wrong");
        let kept = async || {
            let (kept,): (String,) = db
                .fetch_one("SELECT password_hash FROM users", args![])
                .await
                .expect("readable");
            kept
        };
        assert!(kept().await.starts_with("$2y$"));
        room.sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect("let in");
        assert!(kept().await.starts_with("$argon2id$"));
        room.sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect("let in again");
    })
    .await;
}

#[tokio::test]
async fn who_may_register_is_configured() {
    ::store::testing::on_both(async |db| {
        let room = |registration| {
            Room::with(
                &db,
                Config {
                    registration,
                    ..Config::default()
                },
            )
        };
        let closed = room(RegistrationPolicy::Closed)
            .desk
            .register(registration("a@example.com", None), from(1))
            .await;
        assert!(matches!(closed, Err(SignInError::Closed)));
        let needs = room(RegistrationPolicy::Invite)
            .desk
            .register(registration("a@example.com", None), from(1))
            .await;
        assert!(matches!(needs, Err(SignInError::InviteRequired)));
        let open = room(RegistrationPolicy::Open);
        open.desk
            .register(registration("a@example.com", None), from(1))
            .await
            .expect("open");
        let made = open
            .desk
            .find_by_email("a@example.com")
            .await
            .expect("readable")
            .expect("made");
        assert_eq!(made.role, Role::Member);
        // The same answer and the same work when the address is taken, and nothing changes.
        let before = open.hashed();
        let mut again = registration("A@Example.com", None);
        again.password = Secret::from("another password altogether");
        open.desk
            .register(again, from(1))
            .await
            .expect("the same answer");
        assert_eq!(open.hashed() - before, 1);
        assert_eq!(open.desk.find(made.id).await.expect("readable"), Some(made));
        open.sign_in("a@example.com", PASSWORD, 1)
            .await
            .expect("the first password counts");
    })
    .await;
}

#[tokio::test]
async fn an_invitation_is_good_for_one_use_and_no_more_than_its_giver() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let admin = room.somebody("admin@example.com", Role::Admin).await;
        let above = room
            .desk
            .invite(by(&admin), NewInvite::Role(Role::Owner))
            .await;
        assert!(matches!(
            above,
            Err(PeopleError::Refused(Denied::AboveOneself))
        ));
        let invite = room
            .desk
            .invite(by(&admin), NewInvite::Role(Role::Admin))
            .await
            .expect("an invitation");
        assert!(invite.token.expose().starts_with(INVITE_PREFIX));
        for wrong in ["", "msi_", admin.email.as_str()] {
            let refused = room
                .desk
                .register(
                    registration("x@example.com", Some(&Secret::from(wrong))),
                    from(1),
                )
                .await;
            assert!(matches!(refused, Err(SignInError::BadInvite)), "{wrong}");
        }
        // Who gave it has become less in the meantime: so has what it gives.
        let less = Change {
            role: Some(Role::Member),
            ..Change::default()
        };
        room.desk
            .change(local(), admin.id, None, less)
            .await
            .expect("changed");
        room.desk
            .register(
                registration("new@example.com", Some(&invite.token)),
                from(1),
            )
            .await
            .expect("registered");
        let new = room
            .desk
            .find_by_email("new@example.com")
            .await
            .expect("readable")
            .expect("made");
        assert_eq!(new.role, Role::Member);
        let used = room
            .desk
            .register(
                registration("two@example.com", Some(&invite.token)),
                from(1),
            )
            .await;
        assert!(matches!(used, Err(SignInError::BadInvite)));
        let late = room
            .desk
            .invite(local(), NewInvite::Role(Role::Viewer))
            .await
            .expect("an invitation");
        db.execute("UPDATE invites SET expires_at = $1", args![Micros(1)])
            .await
            .expect("written");
        let late = room
            .desk
            .register(registration("two@example.com", Some(&late.token)), from(1))
            .await;
        assert!(matches!(late, Err(SignInError::BadInvite)));
    })
    .await;
}

#[tokio::test]
async fn an_invitation_for_a_user_sets_the_password() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let new = NewUser {
            email: "ada@example.com".to_owned(),
            password: None,
            name: None,
            role: Role::Viewer,
            tier: Tier::Premium,
        };
        let (ada, invite) = room.desk.create(local(), new).await.expect("made");
        assert!(!ada.has_password);
        let invite = invite.expect("an invitation").token;
        let other = room
            .desk
            .register(registration("eve@example.com", Some(&invite)), from(1))
            .await;
        assert!(
            matches!(other, Err(SignInError::BadInvite)),
            "it is for one address"
        );
        room.desk
            .register(registration("ada@example.com", Some(&invite)), from(1))
            .await
            .expect("set");
        room.sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect("let in");
        let now = room
            .desk
            .find(ada.id)
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(
            (now.role, now.tier, now.has_password),
            (Role::Viewer, Tier::Premium, true)
        );
        assert_eq!(*lock(&room.sessions.ended), [(ada.id, None)]);
        assert!(
            room.desk
                .register(registration("ada@example.com", Some(&invite)), from(1))
                .await
                .is_err()
        );
    })
    .await;
}

#[tokio::test]
async fn the_own_password_is_changed_by_showing_it() {
    ::store::testing::on_both(async |db| {
        let room = Room::new(&db);
        let ada = room.somebody("ada@example.com", Role::Member).await;
        let change = |current: &str, new: &str| PasswordChange {
            current: Secret::from(current),
            new: Secret::from(new),
            ends_others: true,
        };
        let weak = room
            .desk
            .change_password(by(&ada), change(PASSWORD, "password1"))
            .await
            .expect_err("weak");
        assert_eq!(weak.findings()[0].pointer, "/new_password");
        let wrong = room
            .desk
            .change_password(by(&ada), change("guess", "seven green umbrellas"))
            .await
            .expect_err("wrong");
        assert_eq!(
            (wrong.kind(), wrong.findings()[0].pointer.as_str()),
            (FaultKind::Invalid, "/current_password")
        );
        let session = Id::generate();
        let inside = Requester {
            session: Some(session),
            ..by(&ada)
        };
        room.desk
            .change_password(inside, change(PASSWORD, "seven green umbrellas"))
            .await
            .expect("changed");
        assert_eq!(*lock(&room.sessions.ended), [(ada.id, Some(session))]);
        room.sign_in("ada@example.com", PASSWORD, 1)
            .await
            .expect_err("the old one");
        room.sign_in("ada@example.com", "seven green umbrellas", 1)
            .await
            .expect("the new one");
        let nobody = room
            .desk
            .change_password(local(), change(PASSWORD, "seven green umbrellas"))
            .await
            .expect_err("no user");
        assert_eq!(nobody.code(), "accounts.not_a_user");
        for _ in 0..4 {
            room.desk
                .change_password(by(&ada), change("guess", "eight blue umbrellas"))
                .await
                .expect_err("wrong");
        }
        let delayed = room
            .desk
            .change_password(by(&ada), change("guess", "eight blue umbrellas"))
            .await
            .expect_err("delayed");
        assert_eq!(delayed.kind(), FaultKind::Limited);
    })
    .await;
}
