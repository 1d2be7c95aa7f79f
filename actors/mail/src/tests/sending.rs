//! Through a server: delivered, deferred, refused, cut off, and away.

use std::time::Duration;

use ground::PageRequest;
use kit::smtp::{Fault, Protection, Sink, Terms};
use supervisor::{BreakerState, Level};

use super::house::{House, leading_to, post_until, signing_in};
use crate::*;

const TEXT: &str = "Grüße,\n\n.a line with a dot\nhttps://example.org/reset#token=very-secret\n";

/// A server on these terms, a house that leads to it, and one database.
async fn story(terms: Terms, tls: TlsMode, tell: impl AsyncFn(&mut Sink, &House)) {
    let mut sink = Sink::with(terms).await;
    let config = leading_to(&sink, tls);
    let stage = ::store::testing::Stage::sqlite();
    let open = stage.open().await;
    let house = House::with(&open.db, config).await;
    tell(&mut sink, &house).await;
    house.stop().await;
    open.close().await;
}

async fn usual(tell: impl AsyncFn(&mut Sink, &House)) {
    story(Terms::default(), TlsMode::StartTls, tell).await;
}

#[tokio::test]
async fn a_mail_is_delivered_over_starttls_and_its_text_forgotten() {
    ::store::testing::on_both(async |db| {
        let sink = Sink::start().await;
        let house = House::with(&db, leading_to(&sink, TlsMode::StartTls)).await;
        house.post("ann@example.org", TEXT).await;
        let sent = house.only_is(MailState::Sent).await;
        let received = sink.received_at_least(1).await;
        let [mail] = received.as_slice() else {
            panic!("one mail: {received:?}")
        };
        assert!(mail.is_protected);
        assert_eq!(
            (mail.from.as_str(), mail.to.as_slice()),
            ("mainstay@example.org", &["ann@example.org".to_owned()][..])
        );
        assert_eq!(mail.text(), TEXT);
        assert_eq!(
            mail.header("Message-ID"),
            Some(format!("<{}@example.org>", sent.id))
        );
        assert_eq!((sent.attempts, sent.last_code), (1, None));
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_delivered_over_tls_and_in_clear_text_on_this_machine() {
    for (protection, tls) in [
        (Protection::Tls, TlsMode::Tls),
        (Protection::None, TlsMode::None),
    ] {
        let terms = Terms {
            protection,
            ..Terms::default()
        };
        story(terms, tls, async |sink, house| {
            house.post("ann@example.org", TEXT).await;
            let received = sink.received_at_least(1).await;
            assert_eq!(received[0].is_protected, protection == Protection::Tls);
            house.only_is(MailState::Sent).await;
        })
        .await;
    }
}

#[tokio::test]
async fn we_sign_in_and_a_wrong_password_gives_no_mail_up() {
    let terms = Terms {
        account: Some(("me".to_owned(), "hunter2".to_owned())),
        ..Terms::default()
    };
    let sink = Sink::with(terms).await;
    let stage = ::store::testing::Stage::sqlite();
    let open = stage.open().await;
    let wrong = signing_in(leading_to(&sink, TlsMode::StartTls), "me", "hunter3");
    let house = House::with(&open.db, wrong).await;
    house.post("ann@example.org", TEXT).await;
    house.has_level("/mail", Level::Degraded).await;
    let waiting = house.only_says("mail.unauthorized").await;
    assert_eq!(waiting.state, MailState::Waiting);
    let told = waiting.last_error.expect("an error");
    assert!(!told.contains("hunter"), "{told}");
    house.stop().await;
    let right = signing_in(leading_to(&sink, TlsMode::StartTls), "me", "hunter2");
    let house = House::with(&open.db, right).await;
    let received = sink.received_at_least(1).await;
    assert_eq!(received[0].signed_in.as_deref(), Some("me"));
    house.only_is(MailState::Sent).await;
    house.stop().await;
    open.close().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_name() {
    for (fault, code) in [
        (Fault::Recipient(450), "mail.deferred"),
        (Fault::Data(451), "mail.deferred"),
        (Fault::Greeting(421), "mail.away"),
        (Fault::Greeting(554), "mail.away"),
        (Fault::CutInData, "mail.unreachable"),
        (Fault::BrokenTls, "mail.tls"),
        (Fault::NoStartTls, "mail.tls"),
        (Fault::InjectedAnswer, "mail.tls"),
        (Fault::Garbage, "mail.garbage"),
    ] {
        usual(async |sink, house| {
            sink.order(fault.clone());
            house.post("ann@example.org", TEXT).await;
            let sent = house.only_is(MailState::Sent).await;
            assert_eq!(sent.last_code.as_deref(), Some(code), "{fault:?}");
            assert!(sent.attempts >= 2, "{fault:?}");
            let received = sink.received();
            assert_eq!(received.len(), 1, "{fault:?}");
            assert!(received[0].is_protected, "{fault:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_mail_whose_answer_got_lost_comes_twice_under_one_name() {
    usual(async |sink, house| {
        sink.order(Fault::CutAfterData);
        house.post("ann@example.org", TEXT).await;
        house.only_is(MailState::Sent).await;
        let received = sink.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[0], received[1], "byte by byte");
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_with_its_reason() {
    for fault in [Fault::Recipient(550), Fault::Mail(553), Fault::Data(554)] {
        usual(async |sink, house| {
            sink.order(fault.clone());
            house.post("ann@example.org", TEXT).await;
            let given_up = house.only_is(MailState::GivenUp).await;
            assert_eq!(
                given_up.last_code.as_deref(),
                Some("mail.refused"),
                "{fault:?}"
            );
            assert_eq!(given_up.attempts, 1);
            assert!(sink.received().is_empty());
            assert_eq!(
                house.smtp.state(),
                BreakerState::Closed,
                "that says nothing against the server"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_not_trusted() {
    let sink = Sink::start().await;
    let stranger = Sink::start().await;
    let config = MailConfig {
        ca_file: Some(stranger.certificate_file()),
        ..leading_to(&sink, TlsMode::StartTls)
    };
    let stage = ::store::testing::Stage::sqlite();
    let open = stage.open().await;
    let house = House::with(&open.db, config).await;
    house.post("ann@example.org", TEXT).await;
    house.has_level("/mail/smtp", Level::Degraded).await;
    let waiting = house.only_says("mail.tls").await;
    assert_eq!(waiting.state, MailState::Waiting);
    assert!(sink.received().is_empty());
    house.stop().await;
    open.close().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_what_waits_is_sent_when_it_is_back() {
    usual(async |sink, house| {
        sink.leave().await;
        house.post("ann@example.org", TEXT).await;
        house.has_level("/mail/smtp", Level::Degraded).await;
        house.has_level("/mail", Level::Degraded).await;
        let attempts = house.only().await.attempts;
        house
            .mail
            .retry(house.only().await.id, ground::audit::By::system())
            .await
            .expect("due");
        assert!(
            house.only().await.attempts <= attempts + 1,
            "nobody calls a server that is away"
        );
        sink.come_back().await;
        house.only_is(MailState::Sent).await;
        house.has_level("/mail", Level::Normal).await;
    })
    .await;
}

#[tokio::test]
async fn a_slow_greeting_is_waited_for() {
    usual(async |sink, house| {
        sink.order(Fault::LateGreeting(Duration::from_millis(300)));
        sink.order(Fault::Slow(Duration::from_millis(30)));
        house.post("ann@example.org", TEXT).await;
        house.post("bob@example.org", TEXT).await;
        let received = sink.received_at_least(2).await;
        assert_eq!(received.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn two_houses_on_one_database_send_each_mail_once() {
    ::store::testing::on_both(async |db| {
        let sink = Sink::start().await;
        let config = leading_to(&sink, TlsMode::StartTls);
        let (one, other) = (
            House::with(&db, config.clone()).await,
            House::with(&db, config).await,
        );
        for number in 0..20 {
            one.post(&format!("a{number}@example.org"), TEXT).await;
        }
        kit::eventually(kit::PATIENCE, async || {
            let listed = one
                .mail
                .list(PageRequest::new(Some(100), None).expect("a page"))
                .await
                .expect("a list");
            let sent = listed
                .items
                .iter()
                .filter(|mail| mail.state == MailState::Sent)
                .count();
            if sent == 20 {
                Ok(())
            } else {
                Err(format!("{sent} of 20 sent"))
            }
        })
        .await;
        assert_eq!(sink.received().len(), 20);
        one.stop().await;
        other.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_text_of_a_mail_is_in_no_list() {
    usual(async |sink, house| {
        sink.order(Fault::Recipient(450));
        house.post("ann@example.org", TEXT).await;
        house.only_is(MailState::Sent).await;
        let told = format!("{:?}", house.only().await);
        assert!(!told.contains("very-secret"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_mail_that_nobody_wants_any_more_is_never_sent() {
    let stage = ::store::testing::Stage::sqlite();
    let open = stage.open().await;
    let sink = Sink::start().await;
    let past = ground::Micros::now() - Duration::from_secs(1);
    post_until(&open.db, "ann@example.org", TEXT, past)
        .await
        .expect("queued");
    let house = House::with(&open.db, leading_to(&sink, TlsMode::StartTls)).await;
    let given_up = house.only_is(MailState::GivenUp).await;
    assert_eq!(
        (given_up.attempts, given_up.last_code.as_deref()),
        (0, Some("mail.expired"))
    );
    assert_eq!(sink.connections(), 0);
    house.stop().await;
    open.close().await;
}
