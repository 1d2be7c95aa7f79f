//! Tokens of users: bounded by what their owner is at present.

use ground::audit::By;
use ground::{Db, Id, PageRequest, args};
use supervisor::Fault;

use super::house::{House, eventually};
use crate::*;

/// Somebody, written past the domain as another daemon would.
async fn somebody(db: &Db, role: Role) -> Id {
    let id = Id::generate();
    db.execute(
        "INSERT INTO users (id, email, email_key, role, tier, created_at, updated_at, version) VALUES ($1, $2, $2, $3, 'standard', 0, 0, 1)",
        args![id, id.to_string(), role.word()],
    )
    .await
    .expect("written");
    id
}

fn of(owner: Id) -> NewToken {
    NewToken {
        owner: Some(owner),
        ..NewToken::default()
    }
}

#[tokio::test]
async fn a_token_has_no_more_rights_than_its_owner_has_at_present() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let owner = somebody(&db, Role::Admin).await;
        let (told, secret) = house
            .accounts
            .create(of(owner), By::system())
            .await
            .expect("a token");
        assert_eq!(
            (told.role, told.owner),
            (Role::Admin, Some(owner.to_string()))
        );
        let identity = house.verify(&secret).await.expect("valid");
        assert_eq!((identity.role, identity.user()), (Role::Admin, Some(owner)));
        for (word, role) in [("viewer", Role::Viewer), ("owner", Role::Admin)] {
            db.execute(
                "UPDATE users SET role = $1 WHERE id = $2",
                args![word, owner],
            )
            .await
            .expect("written");
            eventually("another daemon's change is noticed", async || {
                house
                    .verify(&secret)
                    .await
                    .is_ok_and(|identity| identity.role == role)
            })
            .await;
        }
        db.execute(
            "UPDATE users SET disabled_at = 1 WHERE id = $1",
            args![owner],
        )
        .await
        .expect("written");
        eventually("who is kept out is refused", async || {
            house.verify(&secret).await.is_err()
        })
        .await;
        let refused = house
            .accounts
            .create(of(owner), By::system())
            .await
            .expect_err("kept out");
        assert_eq!(refused.findings()[0].pointer, "/owner");
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_token_without_its_owner_is_worth_nothing() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let nobody = house
            .accounts
            .create(of(Id::generate()), By::system())
            .await
            .expect_err("nobody");
        assert_eq!(nobody.code(), "accounts.invalid");
        let owner = somebody(&db, Role::Member).await;
        let (_, secret) = house
            .accounts
            .create(of(owner), By::system())
            .await
            .expect("a token");
        db.execute("DELETE FROM users WHERE id = $1", args![owner])
            .await
            .expect("written");
        let refused = house.verify(&secret).await.expect_err("nobody's");
        assert_eq!(refused.code(), "accounts.revoked_token");
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_user_sees_and_revokes_only_their_own() {
    ::store::testing::on_both(async |db| {
        let house = House::new(&db).await;
        let (ada, bob) = (
            somebody(&db, Role::Member).await,
            somebody(&db, Role::Member).await,
        );
        let (of_ada, secret) = house
            .accounts
            .create(of(ada), By::system())
            .await
            .expect("a token");
        house
            .accounts
            .create(of(bob), By::system())
            .await
            .expect("a token");
        house.token().await;
        let count = async |owner| {
            let page = house.accounts.list(PageRequest::default(), owner).await;
            page.expect("a list").items.len()
        };
        assert_eq!((count(Some(ada)).await, count(None).await), (1, 3));
        let foreign = house
            .accounts
            .revoke(of_ada.id, Some(bob), By::system())
            .await
            .expect_err("not theirs");
        assert_eq!(foreign.code(), "accounts.token_not_found");
        house.verify(&secret).await.expect("still valid");
        house
            .accounts
            .revoke(of_ada.id, Some(ada), By::system())
            .await
            .expect("revoked");
        house.verify(&secret).await.expect_err("revoked");
        house.stop().await;
    })
    .await;
}
