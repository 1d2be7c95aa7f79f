//! What every story needs: a user, an app, and a look into the database.

use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use ground::audit::Source;
use ground::sealed::MasterKey;
use ground::{Db, Id, Micros, Sealer, Secret, args, clock};
use zeroize::Zeroizing;

use crate::factors::{By, Factors, totp};
use crate::tests::house::House;

/// One that seals with the key of this number.
pub(super) fn sealer(number: u8) -> Sealer {
    Sealer::new(key(number), Vec::new())
}

pub(super) fn key(number: u8) -> MasterKey {
    MasterKey::new(Zeroizing::new([number; 32]))
}

/// A new user.
pub(super) async fn user(db: &Db) -> Id {
    let (id, now) = (Id::generate(), clock::now());
    let email = format!("{id}@example.org");
    db.execute(
        "INSERT INTO users (id, email, email_key, role, tier, created_at, updated_at, version) \
         VALUES ($1, $2, $2, 'member', 'standard', $3, $3, 1)",
        args![id, email, now],
    )
    .await
    .expect("a user");
    id
}

/// The user, signed in a moment ago.
pub(super) fn by(user: Id) -> By {
    By {
        user,
        credential: Some(Id::from_bytes([5; 16])),
        signed_in_at: Some(clock::now()),
        source: source(),
    }
}

pub(super) fn source() -> Source {
    Source {
        request_id: Some("r-1".to_owned()),
        ..Source::default()
    }
}

/// What the user holds in their hands.
pub(super) struct App {
    pub(super) user: Id,
    pub(super) secret: Vec<u8>,
    pub(super) recovery: Vec<Secret>,
}

impl App {
    /// Sets one up.
    pub(super) async fn of(factors: &Factors, user: Id) -> Self {
        let enrolment = factors.enroll(by(user)).await.expect("begun");
        let secret = secret_of(&enrolment.secret);
        let code = Secret::from(totp::code_at(&secret, clock::now()));
        let recovery = factors.confirm(by(user), code).await.expect("confirmed");
        Self {
            user,
            secret,
            recovery,
        }
    }

    /// A code that was not used yet: of the next step, which a fast clock would show.
    pub(super) fn next_code(&self) -> Secret {
        let soon = clock::now() + Duration::from_secs(30);
        Secret::from(totp::code_at(&self.secret, soon))
    }

    /// A code that is wrong now and in the next hours.
    pub(super) fn wrong_code(&self) -> Secret {
        let start = totp::step_of(clock::now()) - 10;
        let near: Vec<String> = (start..start + 500)
            .map(|step| totp::code_at(&self.secret, Micros(step * 30_000_000)))
            .collect();
        let mut all = (0..1_000_000).map(|number| format!("{number:06}"));
        let wrong = all.find(|code| !near.contains(code));
        Secret::from(wrong.expect("most are wrong"))
    }
}

/// As if no code had been used yet, so that a story need not wait for the next step.
pub(super) async fn forget_step(db: &Db, user: Id) {
    let forgotten = "UPDATE totp_factors SET last_step = 0 WHERE user_id = $1";
    db.execute(forgotten, args![user]).await.expect("forgotten");
}

pub(super) fn secret_of(base32: &Secret) -> Vec<u8> {
    BASE32_NOPAD
        .decode(base32.expose().as_bytes())
        .expect("base32")
}

/// What the audit tells: action, kind of the actor, outcome, details.
pub(super) async fn audited(db: &Db) -> Vec<[String; 4]> {
    let entries: Vec<(String, String, String, String)> = db
        .fetch_all(
            "SELECT action, actor_kind, outcome, detail FROM audit_entries ORDER BY seq LIMIT 1000",
            args![],
        )
        .await
        .expect("readable");
    let rows = entries.into_iter();
    rows.map(|(action, kind, outcome, detail)| [action, kind, outcome, detail])
        .collect()
}

/// The actions alone.
pub(super) async fn actions(db: &Db) -> Vec<String> {
    let entries = audited(db).await.into_iter();
    entries.map(|[action, ..]| action).collect()
}

/// Tells a story on each engine.
pub(super) async fn story(tell: impl AsyncFn(&House, &Factors)) {
    ::store::testing::on_both(async |db| {
        let house = House::sealing(&db, sealer(1)).await;
        tell(&house, house.accounts.factors()).await;
        house.stop().await;
    })
    .await;
}
