//! Without a server: the folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ground::mail::{Mail, enqueue};
use ground::{Id, Micros};
use supervisor::Level;

use super::house::{House, outbox_of, quick};
use crate::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

async fn story(config: MailConfig, tell: impl AsyncFn(&House)) {
    ::store::testing::on_both(async |db| {
        let house = House::with(&db, config.clone()).await;
        tell(&house).await;
        house.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_mail_lies_in_the_outbox_for_nobody_else_to_read_and_is_told_until_it_is_taken_out() {
    story(quick(), async |house| {
        house.has_level("/mail", Level::Normal).await;
        house.post("ann@example.org", "the link\n").await;
        let mail = house.only_is(MailState::Outbox).await;
        let files = outbox_of(&house.folder);
        let [file] = files.as_slice() else {
            panic!("one file: {files:?}")
        };
        assert_eq!(
            file.file_stem().and_then(|stem| stem.to_str()),
            Some(mail.id.to_string().as_str())
        );
        assert_eq!(
            (mode(file), mode(file.parent().expect("a folder"))),
            (0o600, 0o700)
        );
        let text = std::fs::read_to_string(file).expect("readable");
        assert!(
            text.contains("To: ann@example.org\r\n") && text.ends_with("\r\n\r\nthe link\r\n"),
            "{text}"
        );
        house.has_level("/mail", Level::Degraded).await;
        let cause = house
            .system
            .status(Some("/mail"), Some(0))
            .and_then(|node| node.cause);
        let cause = cause.expect("a cause");
        assert_eq!(cause.code, "mail.outbox");
        std::fs::remove_file(file).expect("taken out");
        // Asked to look, it sees at once what it would see within a quarter of a minute.
        house.post("bob@example.org", "the link\n").await;
        kit::eventually(kit::PATIENCE, async || {
            let files = outbox_of(&house.folder);
            if files.len() == 1 {
                Ok(())
            } else {
                Err(format!("{files:?}"))
            }
        })
        .await;
        for file in outbox_of(&house.folder) {
            std::fs::remove_file(file).expect("taken out");
        }
        house.has_level("/mail", Level::Normal).await;
    })
    .await;
}

#[tokio::test]
async fn a_full_outbox_keeps_the_newest() {
    let config = MailConfig {
        outbox_keep: 3,
        ..quick()
    };
    story(config, async |house| {
        for number in 0..6 {
            house.post(&format!("a{number}@example.org"), "x").await;
        }
        let all = async || {
            let listed = house
                .mail
                .list(ground::PageRequest::default())
                .await
                .expect("a list");
            listed.items
        };
        kit::eventually(kit::PATIENCE, async || {
            let out = all()
                .await
                .iter()
                .filter(|mail| mail.state == MailState::Outbox)
                .count();
            if out == 6 {
                Ok(())
            } else {
                Err(format!("{out} of 6 are out"))
            }
        })
        .await;
        let newest: Vec<String> = all()
            .await
            .iter()
            .skip(3)
            .map(|mail| format!("{}.eml", mail.id))
            .collect();
        let files = outbox_of(&house.folder);
        let names: Vec<String> = files
            .iter()
            .filter_map(|file| file.file_name()?.to_str().map(str::to_owned))
            .collect();
        assert_eq!(names.len(), 3);
        assert!(
            names.iter().all(|name| newest.contains(name)),
            "{names:?} {newest:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_outbox_that_takes_nothing_loses_nothing() {
    story(quick(), async |house| {
        let blocked = house.folder.path().join("outbox");
        std::fs::write(&blocked, "a file where the folder should be").expect("writable");
        house.post("ann@example.org", "x").await;
        house.has_level("/mail", Level::Critical).await;
        house.only_says("mail.outbox_failed").await;
        std::fs::remove_file(&blocked).expect("removable");
        house.only_is(MailState::Outbox).await;
        house.has_level("/mail", Level::Degraded).await;
    })
    .await;
}

#[tokio::test]
async fn the_mails_of_one_person_are_told_and_taken_away() {
    ::store::testing::on_both(async |db| {
        let house = House::with(&db, quick()).await;
        let (ann, bob) = (Id::generate(), Id::generate());
        let wanted_until = Micros::now() + Duration::from_hours(1);
        // One to an address that she had before, one to hers of which nobody noted whose it is, and one of his to her address.
        for (to, user) in [
            ("ann@before.example", Some(ann)),
            ("ann@example.org", None),
            ("ann@example.org", Some(bob)),
        ] {
            let mail = Mail::new(to, "x", "x", "test.mail", wanted_until).expect("sound");
            let mail = user.map_or(mail.clone(), |user| mail.about(user));
            db.write(async move |tx| enqueue(tx, &mail).await)
                .await
                .expect("queued");
        }
        kit::eventually(kit::PATIENCE, async || {
            let files = outbox_of(&house.folder).len();
            (files == 3).then_some(()).ok_or(format!("{files} mails"))
        })
        .await;
        let told = personal::mails_of(&db, ann, "ann@example.org").await;
        assert_eq!(told.expect("reads").len(), 2);
        let (address, folder) = ("ann@example.org", house.folder.path());
        for _again in 0..2 {
            personal::empty_outbox(&db, folder, ann, address)
                .await
                .expect("emptied");
        }
        assert_eq!(outbox_of(&house.folder).len(), 1);
        db.write(async move |tx| personal::remove_of(tx, ann, "ann@example.org").await)
            .await
            .expect("removed");
        let told = personal::mails_of(&db, ann, address).await;
        assert_eq!(told.expect("reads"), []);
        let his = personal::mails_of(&db, bob, "bob@example.org").await;
        assert_eq!(his.expect("reads").len(), 1);
        house.stop().await;
    })
    .await;
}
