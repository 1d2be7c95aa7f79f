//! The statements, on both engines.

use ground::audit::By;
use std::time::Duration;

use ground::{Db, Id, Micros, PageRequest};

use crate::store::*;
use crate::token::TokenHash;
use crate::*;

const NOW: Micros = Micros(1_700_000_000_000_000);

fn hash(number: u8) -> TokenHash {
    TokenHash::from_bytes([number; 32])
}

fn token(expires_at: Option<Micros>) -> TokenInfo {
    TokenInfo {
        id: Id::generate(),
        name: "ci \u{1f680} \"'".to_owned(),
        scopes: [Scope::Operator, Scope::Read].into_iter().collect(),
        owner: None,
        role: Role::Owner,
        created_at: NOW,
        last_used_at: None,
        expires_at,
        revoked_at: None,
    }
}

async fn added(db: &Db, number: u8, expires_at: Option<Micros>) -> TokenInfo {
    let token = token(expires_at);
    add(db, &token, &hash(number), 100, &By::system())
        .await
        .expect("added");
    token
}

#[tokio::test]
async fn a_token_is_read_as_it_was_added() {
    ::store::testing::on_both(async |db| {
        let limited = added(&db, 1, Some(NOW + Duration::from_hours(1))).await;
        let owned = TokenInfo {
            owner: Some("somebody".to_owned()),
            role: Role::Viewer,
            scopes: Scopes::UNLIMITED,
            ..token(None)
        };
        add(&db, &owned, &hash(2), 100, &By::system())
            .await
            .expect("added");
        let found = token_with_hash(&db, &hash(1)).await.expect("readable");
        assert_eq!(found.as_ref(), Some(&limited));
        let found = token_with_hash(&db, &hash(2)).await.expect("readable");
        assert_eq!(found.as_ref(), Some(&owned));
        assert_eq!(
            token_with_hash(&db, &hash(3)).await.expect("readable"),
            None
        );
        let page = PageRequest::default();
        assert_eq!(
            tokens_of_page(&db, &page, None).await.expect("readable"),
            [limited, owned]
        );
    })
    .await;
}

#[tokio::test]
async fn two_tokens_never_share_a_hash() {
    ::store::testing::on_both(async |db| {
        added(&db, 1, None).await;
        let twin = add(&db, &token(None), &hash(1), 100, &By::system()).await;
        assert!(matches!(twin, Err(AccountsError::Internal(_))));
        let all = tokens_of_page(&db, &PageRequest::default(), None).await;
        assert_eq!(all.expect("readable").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_revocation_keeps_its_first_time_and_is_found_by_it() {
    ::store::testing::on_both(async |db| {
        let (one, two) = (added(&db, 1, None).await, added(&db, 2, None).await);
        let later = NOW + Duration::from_secs(10);
        let revoked = revoke(&db, one.id, None, NOW, &By::system())
            .await
            .expect("written");
        assert_eq!(revoked.map(|token| token.hash), Some(hash(1)));
        let again = revoke(&db, one.id, None, later, &By::system())
            .await
            .expect("written");
        assert_eq!(again.map(|token| token.id), Some(one.id));
        let found = token_with_hash(&db, &hash(1)).await.expect("readable");
        assert_eq!(found.and_then(|token| token.revoked_at), Some(NOW));
        assert_eq!(
            revoke(&db, Id::generate(), None, NOW, &By::system())
                .await
                .expect("written"),
            None
        );
        let since = |moment| revoked_since(&db, moment);
        assert_eq!(since(later).await.expect("readable"), []);
        revoke(&db, two.id, None, later, &By::system())
            .await
            .expect("written");
        let ids =
            |tokens: Vec<RevokedToken>| tokens.iter().map(|token| token.id).collect::<Vec<_>>();
        assert_eq!(ids(since(later).await.expect("readable")), [two.id]);
        assert_eq!(ids(since(NOW).await.expect("readable")), [two.id, one.id]);
    })
    .await;
}

#[tokio::test]
async fn only_tokens_that_work_count() {
    ::store::testing::on_both(async |db| {
        let is_there = async |now| has_valid_token(&db, now).await.expect("readable");
        assert!(!is_there(NOW).await);
        let end = NOW + Duration::from_secs(1);
        added(&db, 1, Some(end)).await;
        assert!(is_there(NOW).await);
        assert!(!is_there(end).await);
        let lasting = added(&db, 2, None).await;
        assert!(is_there(end).await);
        revoke(&db, lasting.id, None, NOW, &By::system())
            .await
            .expect("written");
        assert!(!is_there(end).await);
    })
    .await;
}

#[tokio::test]
async fn uses_never_go_back_in_time() {
    ::store::testing::on_both(async |db| {
        let (one, two) = (added(&db, 1, None).await, added(&db, 2, None).await);
        let later = NOW + Duration::from_secs(1);
        let uses = vec![(one.id, later), (two.id, NOW), (Id::generate(), NOW)];
        note_uses(&db, uses).await.expect("written");
        note_uses(&db, vec![(one.id, NOW)]).await.expect("written");
        let last_used = async |number| {
            let found = token_with_hash(&db, &hash(number)).await.expect("readable");
            found.and_then(|token| token.last_used_at)
        };
        assert_eq!(last_used(1).await, Some(later));
        assert_eq!(last_used(2).await, Some(NOW));
    })
    .await;
}

#[tokio::test]
async fn the_oldest_ended_tokens_make_room() {
    ::store::testing::on_both(async |db| {
        let oldest = added(&db, 1, None).await;
        let expired = added(&db, 2, Some(NOW)).await;
        let revoked = added(&db, 3, None).await;
        revoke(&db, revoked.id, None, NOW, &By::system())
            .await
            .expect("written");
        let left = async || {
            let all = tokens_of_page(&db, &PageRequest::default(), None).await;
            all.expect("readable")
                .into_iter()
                .map(|token| token.id)
                .collect::<Vec<_>>()
        };
        let fourth = token(None);
        add(&db, &fourth, &hash(4), 3, &By::system())
            .await
            .expect("room");
        assert_eq!(left().await, [oldest.id, revoked.id, fourth.id]);
        assert!(!left().await.contains(&expired.id));
        // The limit was lowered: more than one has to go, and when that is not enough none does.
        let full = add(&db, &token(None), &hash(5), 2, &By::system()).await;
        assert!(matches!(full, Err(AccountsError::TooMany { limit: 2 })));
        assert_eq!(left().await, [oldest.id, revoked.id, fourth.id]);
    })
    .await;
}
