//! Exporting and erasing people, beside the mailbox like all that [`Desk`] does.

use std::sync::Arc;

use ground::audit;
use ground::db::Conn;
use ground::{Id, clock};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::store;
use crate::people::{
    self, Account, Deed, Desk, PeopleError, Requester, User, check_email, entry, may_do, may_see,
};
use crate::ports::Person;
use crate::store::RevokedToken;

impl From<&User> for Person {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
        }
    }
}

impl Desk {
    /// All that is kept of somebody.
    pub(crate) async fn export(&self, by: Requester, id: Id) -> Result<Value, PeopleError> {
        if !may_see(by.asker(), id) {
            return Err(PeopleError::NotFound);
        }
        let user = self.find(id).await?.ok_or(PeopleError::NotFound)?;
        let person = Person::from(&user);
        let mut told = Map::new();
        let own =
            serde_json::to_value(&user).map_err(|error| PeopleError::Internal(Arc::new(error)))?;
        told.insert("user".to_owned(), own);
        for (name, rows) in store::rows_of(&self.db, id).await? {
            told.insert(name.to_owned(), Value::Array(rows));
        }
        told.insert("failed_sign_ins".to_owned(), self.failed_sign_ins(&user));
        for data in &*self.personal {
            told.insert(data.name().to_owned(), data.export(&person).await?);
        }
        self.db
            .write(async move |tx| audit::append(tx, &entry(&by, "user.export", id)).await)
            .await?;
        Ok(Value::Object(told))
    }

    /// What counts against the account at present.
    fn failed_sign_ins(&self, user: &User) -> Value {
        let account = account_of(user);
        let counted = account.map(|account| {
            let guesses = &self.shared.people.guesses;
            guesses.counted(&account, Instant::now())
        });
        let (failures, wait) = counted.unwrap_or_default();
        json!({ "count": failures, "next_attempt_in_s": wait.as_secs() })
    }

    /// Erases somebody. First they are kept out, so that sessions and streams end by the same way as always, and what runs for them
    /// is ended; then all rows go at once. Who is interrupted in between asks again.
    pub(crate) async fn erase(&self, by: Requester, id: Id) -> Result<(), PeopleError> {
        let (who, sessions) = (by.clone(), Arc::clone(&self.sessions));
        let kept_out = self
            .db
            .write(async move |tx| {
                let (user, tokens) = keep_out(tx, &by, id).await?;
                let ended = sessions.end_all(tx, id, None, by.on_record()).await?;
                Ok::<_, PeopleError>((user, tokens, ended))
            })
            .await;
        // Whatever came of it: after a lost answer it may have happened.
        self.sessions.user_changed(id);
        let (user, tokens, ended) = kept_out?;
        self.forget(&tokens, true);
        self.sessions_ended(&ended);
        let person = Person::from(&user);
        self.close_all(&person).await?;
        let (personal, gone) = (Arc::clone(&self.personal), person.clone());
        let erased = self
            .db
            .write(async move |tx| {
                for data in &*personal {
                    data.erase(tx, &gone).await?;
                }
                people::strip_tokens(tx, id).await?;
                people::remove(tx, id).await?;
                audit::append(tx, &entry(&who, "user.erase", id)).await
            })
            .await;
        self.sessions.user_changed(id);
        erased?;
        if let Some(account) = account_of(&user) {
            self.shared.people.guesses.forget(&account);
        }
        // A request that was under way when they were kept out may have begun something since.
        if let Err(error) = self.close_all(&person).await {
            tracing::warn!(user = %id, %error, "what somebody began who was erased may still run");
        }
        tracing::info!(user = %id, "user erased");
        Ok(())
    }

    /// Ends what runs of somebody. All are asked, whatever one of them says.
    async fn close_all(&self, person: &Person) -> Result<(), PeopleError> {
        let mut closed = Ok(());
        for data in &*self.personal {
            closed = closed.and(data.close(person).await);
        }
        Ok(closed?)
    }
}

fn account_of(user: &User) -> Option<Account> {
    let email = check_email("/email", &user.email).ok()?;
    Some(Account::of(&email.key))
}

/// The first half of an erasure.
async fn keep_out(
    tx: &mut Conn,
    by: &Requester,
    id: Id,
) -> Result<(User, Vec<RevokedToken>), PeopleError> {
    let owners = people::owners_at_work(tx).await?;
    let mut user = people::user_to_change(tx, id)
        .await?
        .ok_or(PeopleError::NotFound)?;
    let others = owners.iter().filter(|owner| **owner != id).count();
    let others = u64::try_from(others).unwrap_or(u64::MAX);
    may_do(by.asker(), &user, Deed::Erase, others)?;
    let now = clock::now();
    let tokens = people::tokens_of(tx, id).await?;
    people::revoke_tokens(tx, id, now).await?;
    people::remove_invites(tx, id).await?;
    if user.disabled_at.is_none() {
        user.disabled_at = Some(now);
        user.updated_at = now;
        user.version = user.version.saturating_add(1);
        people::update(tx, &user).await?;
        audit::append(tx, &entry(by, "user.disable", id)).await?;
    }
    Ok((user, tokens))
}
