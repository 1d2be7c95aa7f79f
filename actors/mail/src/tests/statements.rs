//! The statements, on both engines.

use std::time::Duration;

use ground::audit::{Actor, Entry, Source};
use ground::{Db, Id, Micros, PageRequest};

use super::house::{post, post_until};
use crate::store::{Claim, Claimed, LastError, *};
use crate::*;

const MINUTE: Duration = Duration::from_mins(1);

fn claim_at(now: Micros) -> Claim {
    Claim {
        lease: Id::generate(),
        now,
        until: now + MINUTE,
    }
}

async fn claimed_at(db: &Db, now: Micros) -> (Id, Vec<Claimed>) {
    let claim = claim_at(now);
    let mails = claim_with(db, claim, 10).await;
    (claim.lease, mails)
}

async fn claim_with(db: &Db, claim: Claim, limit: i64) -> Vec<Claimed> {
    crate::store::claim(db, claim, limit).await.expect("claims")
}

async fn only(db: &Db) -> QueuedMail {
    let page = PageRequest::default();
    let mut all = mails_of_page(db, &page).await.expect("readable");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_claimed_mail_is_nobody_elses_until_the_lease_runs_out() {
    ::store::testing::on_both(async |db| {
        post(&db, "ann@example.org", "the text")
            .await
            .expect("queued");
        let now = Micros::now();
        let (own, first) = claimed_at(&db, now).await;
        let [mail] = first.as_slice() else {
            panic!("one mail")
        };
        assert_eq!((mail.to.as_str(), mail.attempts), ("ann@example.org", 1));
        assert_eq!(mail.text.expose(), "the text");
        let (_, second) = claimed_at(&db, now).await;
        assert!(second.is_empty(), "leased");
        let due = next_due(&db).await.expect("readable");
        assert_eq!(due, Some(now + MINUTE), "when the lease runs out");
        let (leased, later) = (mail.id, now + MINUTE + MINUTE);
        let stranger = renew(&db, leased, Id::generate(), later).await;
        assert_eq!(stranger.expect("writes"), 0);
        assert_eq!(renew(&db, leased, own, later).await.expect("writes"), 1);
        let (_, none) = claimed_at(&db, now + MINUTE).await;
        assert!(none.is_empty(), "renewed");
        assert_eq!(
            renew(&db, leased, own, now + MINUTE).await.expect("writes"),
            1
        );
        // Whoever had it has died between sending and storing that.
        let (lease, third) = claimed_at(&db, now + MINUTE).await;
        assert_eq!(third.len(), 1);
        assert_eq!((third[0].id, third[0].attempts), (mail.id, 2));
        let late = end(&db, mail.id, Id::generate(), MailState::Sent, now, None).await;
        assert!(!late.expect("writes"), "the lease is another's");
        let ended = end(&db, mail.id, lease, MailState::Sent, now, None).await;
        assert!(ended.expect("writes"));
        assert_eq!(only(&db).await.state, MailState::Sent);
        let (_, none) = claimed_at(&db, now + MINUTE * 9).await;
        assert!(none.is_empty() && next_due(&db).await.expect("readable").is_none());
    })
    .await;
}

#[tokio::test]
async fn many_who_claim_at_once_get_each_mail_once() {
    ::store::testing::on_both(async |db| {
        for number in 0..30 {
            post(&db, &format!("a{number}@example.org"), "x")
                .await
                .expect("queued");
        }
        let now = Micros::now();
        let claims = (0..20).map(|_| claim_with(&db, claim_at(now), 3));
        let mut got: Vec<Id> = futures::future::join_all(claims)
            .await
            .iter()
            .flatten()
            .map(|mail| mail.id)
            .collect();
        got.sort_unstable();
        assert_eq!(got.len(), 30);
        got.dedup();
        assert_eq!(got.len(), 30, "no mail twice");
    })
    .await;
}

#[tokio::test]
async fn an_ended_mail_has_no_text_any_more() {
    ::store::testing::on_both(async |db| {
        post(&db, "ann@example.org", "the secret")
            .await
            .expect("queued");
        let now = Micros::now();
        let (lease, mails) = claimed_at(&db, now).await;
        let error = LastError {
            code: "mail.refused",
            text: "550 no".to_owned(),
        };
        let ended = end(
            &db,
            mails[0].id,
            lease,
            MailState::GivenUp,
            now,
            Some(error),
        )
        .await;
        assert!(ended.expect("writes"));
        let (texts,): (i64,) = db
            .fetch_one(
                "SELECT count(*) FROM mail_queue WHERE body IS NOT NULL",
                ground::args![],
            )
            .await
            .expect("readable");
        assert_eq!(texts, 0);
        let told = only(&db).await;
        assert_eq!(told.state, MailState::GivenUp);
        assert_eq!(told.last_code.as_deref(), Some("mail.refused"));
        assert_eq!(told.next_attempt_at, None);
        let counts = counts(&db).await.expect("readable");
        assert_eq!((counts.waiting, counts.given_up), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_is_put_back_waits_and_is_hurried_unless_the_server_wanted_it_later() {
    ::store::testing::on_both(async |db| {
        post(&db, "ann@example.org", "x").await.expect("queued");
        let now = Micros::now();
        for (code, attempts, hurried) in [("mail.unreachable", 1, 1), ("mail.deferred", 2, 0)] {
            let (lease, mails) = claimed_at(&db, now).await;
            assert_eq!(mails[0].attempts, attempts);
            let error = LastError {
                code,
                text: "no".to_owned(),
            };
            let later = now + MINUTE;
            put_back(&db, mails[0].id, lease, later, true, Some(error))
                .await
                .expect("writes");
            assert_eq!(only(&db).await.next_attempt_at, Some(later));
            let changed = hurry(&db, now, "mail.deferred").await.expect("writes");
            assert_eq!(changed, hurried, "{code}");
        }
        let (lease, mails) = claimed_at(&db, now + MINUTE).await;
        put_back(&db, mails[0].id, lease, now, false, None)
            .await
            .expect("writes");
        let told = only(&db).await;
        assert_eq!(
            (told.attempts, told.last_code.as_deref()),
            (2, Some("mail.deferred"))
        );
    })
    .await;
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_given_up() {
    ::store::testing::on_both(async |db| {
        let now = Micros::now();
        post_until(&db, "ann@example.org", "x", now + MINUTE)
            .await
            .expect("queued");
        assert_eq!(expire(&db, now, "mail.expired").await.expect("writes"), 0);
        let later = now + MINUTE;
        let (_, none) = claimed_at(&db, later).await;
        assert!(none.is_empty(), "not sent too late");
        assert_eq!(expire(&db, later, "mail.expired").await.expect("writes"), 1);
        let told = only(&db).await;
        assert_eq!(told.last_code.as_deref(), Some("mail.expired"));
        assert_eq!(forget(&db, now).await.expect("writes"), 0);
        assert_eq!(forget(&db, later + MINUTE).await.expect("writes"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_retry_is_on_record_and_an_ended_mail_has_none() {
    ::store::testing::on_both(async |db| {
        post(&db, "ann@example.org", "x").await.expect("queued");
        let now = Micros::now();
        let (lease, mails) = claimed_at(&db, now).await;
        let id = mails[0].id;
        put_back(&db, id, lease, now + MINUTE, true, None)
            .await
            .expect("writes");
        let entry = || Entry::new(Actor::System, "mail.retry", Source::default()).on(id);
        make_due(&db, id, now, entry()).await.expect("due");
        assert_eq!(only(&db).await.next_attempt_at, Some(now));
        let (lease, _) = claimed_at(&db, now).await;
        end(&db, id, lease, MailState::Sent, now, None)
            .await
            .expect("writes");
        let ended = make_due(&db, id, now, entry()).await;
        assert!(
            matches!(ended, Err(MailError::Ended(MailState::Sent))),
            "{ended:?}"
        );
        let unknown = make_due(&db, Id::generate(), now, entry()).await;
        assert!(
            matches!(unknown, Err(MailError::NotFound(_))),
            "{unknown:?}"
        );
        let sql = "SELECT count(*) FROM audit_entries WHERE action = 'mail.retry'";
        let (entries,): (i64,) = db.fetch_one(sql, ground::args![]).await.expect("readable");
        assert_eq!(entries, 1, "what changed nothing left nothing");
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_there_exactly_when_the_rest_of_its_transaction_is() {
    ::store::testing::on_both(async |db| {
        let mut bell = db.bell();
        let mail = ground::mail::Mail::new("a@b", "x", "x", "test.mail", Micros::now() + MINUTE)
            .expect("sound");
        let undone: Result<(), ground::DbError> = db
            .write(async move |tx| {
                ground::mail::enqueue(tx, &mail).await?;
                Err(ground::DbError::Deadline)
            })
            .await;
        assert!(undone.is_err());
        assert_eq!(counts(&db).await.expect("readable").waiting, 0);
        assert!(
            !bell.has_changed().expect("the handle lives"),
            "nothing to hear"
        );
        post(&db, "ann@example.org", "x").await.expect("queued");
        kit::within(kit::PATIENCE, "the bell", bell.changed())
            .await
            .expect("the handle lives");
        assert_eq!(counts(&db).await.expect("readable").waiting, 1);
    })
    .await;
}

#[tokio::test]
async fn the_queue_is_bounded() {
    ::store::testing::on_both(async |db| {
        let fill = db.backend().expect("a database").engine.pick(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             INSERT INTO mail_queue (id, to_address, subject, body, kind, state, attempts, next_at, not_after, created_at) \
             SELECT randomblob(16), 'a@b', 'x', 'x', 'test.mail', 'waiting', 0, 0, 1, 0 FROM n",
            "INSERT INTO mail_queue (id, to_address, subject, body, kind, state, attempts, next_at, not_after, created_at) \
             SELECT gen_random_uuid(), 'a@b', 'x', 'x', 'test.mail', 'waiting', 0, 0, 1, 0 FROM generate_series(1, $1)",
        );
        let most = ground::mail::MAX_WAITING;
        let filled = db.execute(fill, ground::args![most]).await.expect("filled");
        assert_eq!(i64::try_from(filled), Ok(most));
        let refused = post(&db, "ann@example.org", "x").await;
        assert!(matches!(refused, Err(ground::DbError::Busy { .. })), "{refused:?}");
    })
    .await;
}
