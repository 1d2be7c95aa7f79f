//! The slow work of the manager: all that waits for the database. It runs in owned tasks beside the mailbox, each of which
//! tells [`StoreWatch`] what it met.
//!
//! None of it is dropped when its caller leaves: a revocation that was committed must reach the memory and the streams.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ground::audit::By;
use ground::{Db, DbError, Id, Micros, Page, PageRequest, Secret, clock};
use rand::TryRng;
use rand::rngs::SysRng;
use supervisor::{Context, Finding};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::Config;
use crate::draft;
use crate::error::AccountsError;
use crate::known::Known;
use crate::lookups::{Lookup, Lookups};
use crate::messages::ManagerMsg;
use crate::people;
use crate::ports::{Ports, Shared};
use crate::refusals::{Refusal, Refusals};
use crate::store;
use crate::store_watch::StoreWatch;
use crate::token::{self, TokenHash};
use crate::types::{Identity, NewToken, Role, Tier, TokenInfo};
use ground::lock;

/// Requests of management under way at most.
const PLACES: u32 = 64;
/// A lookup is repeated when a revocation came in between; so many revocations in a row are an attack.
const MAX_READS: usize = 5;
/// How far apart the clocks of two processes on one database may be before their revocations are noticed later.
const CLOCKS_APART: Duration = Duration::from_mins(1);

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) db: Db,
    pub(crate) shared: Shared,
    pub(crate) config: Config,
    pub(crate) store: StoreWatch,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) refusals: Mutex<Refusals>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) turns: Turns,
}

/// Chores of which one of a kind runs at a time.
#[derive(Debug)]
pub(crate) struct Turns {
    pub(crate) asking: Arc<Semaphore>,
    pub(crate) noting: Arc<Semaphore>,
    pub(crate) sweeping: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self {
            asking: one(),
            noting: one(),
            sweeping: one(),
        }
    }
}

impl Desk {
    pub(crate) fn new(config: Config, ports: Ports) -> Self {
        Self {
            db: ports.db,
            shared: ports.shared,
            config,
            store: StoreWatch::default(),
            lookups: Arc::default(),
            refusals: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES as usize)),
            turns: Turns::default(),
        }
    }

    /// Looks a token up and answers all who wait for it.
    pub(crate) async fn look_up(&self, mut lookup: Lookup, cx: &Context<ManagerMsg>) {
        let hash = lookup.hash();
        let mut waiting = Vec::new();
        let mut verdict = Err(AccountsError::Busy {
            retry_after: ground::db::BUSY_RETRY,
        });
        for _ in 0..MAX_READS {
            let epoch = self.shared.known.epoch();
            let found = self.token(&hash).await.map_err(AccountsError::from);
            self.store.hear(&found, &self.db, cx);
            // Before the epoch is compared: who asks after a revocation must not get an answer from before it.
            waiting.extend(lookup.land());
            let concluded = match found {
                Ok(token) => self.conclude(epoch, &lookup, token),
                Err(error) => Some(Err(error)),
            };
            if let Some(concluded) = concluded {
                verdict = concluded;
                break;
            }
        }
        if let Err(error @ AccountsError::Internal(_)) = &verdict {
            log_inside("a token could not be looked up", error);
        }
        for reply in waiting {
            reply.send(verdict.clone());
        }
    }

    /// The token with this hash, with the rights that its owner has at present. A token whose owner may not come in, or is gone, is
    /// as good as revoked.
    async fn token(&self, hash: &TokenHash) -> Result<Option<(TokenInfo, Tier)>, DbError> {
        let Some(mut token) = store::token_with_hash(&self.db, hash).await? else {
            return Ok(None);
        };
        let mut tier = Tier::Standard;
        if let Some(owner) = &token.owner {
            let standing = match owner.parse() {
                Ok(owner) => people::standing(&self.db, owner).await?,
                Err(_) => None,
            };
            match standing.filter(|standing| !standing.is_disabled) {
                Some(standing) => {
                    token.role = token.role.max(standing.role);
                    tier = standing.tier;
                }
                None => token.revoked_at = token.revoked_at.or(Some(clock::now())),
            }
        }
        Ok(Some((token, tier)))
    }

    /// The role of a new token: that of its owner.
    async fn role_of(&self, owner: Option<Id>) -> Result<Role, AccountsError> {
        let Some(owner) = owner else {
            return Ok(Role::Owner);
        };
        let standing = people::standing(&self.db, owner).await?;
        let standing = standing.filter(|standing| !standing.is_disabled);
        standing.map(|standing| standing.role).ok_or_else(|| {
            let message = "expected a user who may come in";
            AccountsError::Invalid(vec![Finding::new("/owner", "no_such_user", message)])
        })
    }

    /// What follows from what was read in `epoch`; nothing when it may be outdated.
    fn conclude(
        &self,
        epoch: u64,
        lookup: &Lookup,
        token: Option<(TokenInfo, Tier)>,
    ) -> Option<Result<Identity, AccountsError>> {
        let hash = lookup.hash();
        let refusal = match token {
            None => Refusal::Unknown,
            Some((token, _)) if token.revoked_at.is_some() => {
                self.shared.revocations.announce(token.id);
                Refusal::Revoked
            }
            Some((token, tier)) => {
                let identity = Identity::of(&token, tier);
                if !identity.is_expired(clock::now()) {
                    let known = &self.shared.known;
                    let remembered =
                        known.remember(epoch, hash, identity.clone(), token.last_used_at);
                    return remembered.ok().map(|()| Ok(identity));
                }
                Refusal::Expired
            }
        };
        if let Some(remembered) = self.shared.known.forget(&hash)
            && refusal == Refusal::Unknown
        {
            // It was there: another process removed it, which it does with ended ones only.
            self.shared.revocations.announce(remembered.token_id);
        }
        lock(&self.refusals).keep(hash, refusal, Instant::now());
        Some(Err(refusal.into()))
    }

    /// Creates a token.
    pub(crate) async fn create(
        &self,
        new: NewToken,
        by: &By,
    ) -> Result<(TokenInfo, Secret), AccountsError> {
        let now = clock::now();
        let longest = Some(self.config.max_lifetime).filter(|limit| !limit.is_zero());
        let draft = draft::check(&new, now, longest).map_err(AccountsError::Invalid)?;
        let role = self.role_of(new.owner).await?;
        let mut random = [0; 32];
        // Straight from the system: no state of ours that could repeat.
        let filled = SysRng.try_fill_bytes(&mut random);
        filled.map_err(|error| AccountsError::Internal(Arc::new(error)))?;
        let secret = token::make(&mut random);
        let hash = token::read(secret.expose())?;
        let token = TokenInfo {
            id: Id::generate(),
            name: draft.name,
            scopes: draft.scopes,
            owner: new.owner.map(|owner| owner.to_string()),
            role,
            created_at: now,
            last_used_at: None,
            expires_at: draft.expires_at,
            revoked_at: None,
        };
        store::add(&self.db, &token, &hash, self.config.max_tokens, by).await?;
        tracing::info!(token = %token.id, scopes = ?token.scopes, expires_at = ?token.expires_at, "token created");
        Ok((token, secret))
    }

    /// The tokens of one page.
    pub(crate) async fn list(
        &self,
        page: PageRequest,
        owner: Option<Id>,
    ) -> Result<Page<TokenInfo>, AccountsError> {
        let tokens = store::tokens_of_page(&self.db, &page, owner).await?;
        Ok(page.page(tokens, |token| token.id))
    }

    /// Revokes a token, then forgets it and tells its watchers.
    pub(crate) async fn revoke(
        &self,
        id: Id,
        owner: Option<Id>,
        by: &By,
    ) -> Result<(), AccountsError> {
        let mut doubt = Doubt {
            known: &self.shared.known,
            id: Some(id),
        };
        let revoked = store::revoke(&self.db, id, owner, clock::now(), by).await?;
        doubt.id = None;
        let revoked = revoked.ok_or(AccountsError::NotFound(id))?;
        self.ended(&revoked);
        tracing::info!(token = %id, "token revoked");
        Ok(())
    }

    /// Whether there is a token that works.
    pub(crate) async fn has_tokens(&self) -> Result<bool, AccountsError> {
        Ok(store::has_valid_token(&self.db, clock::now()).await?)
    }

    /// Waits until no request of management is under way.
    pub(crate) async fn finish(&self) {
        // Nobody closes the semaphore; whoever waits for it too early is stopped by the supervisor.
        drop(self.places.acquire_many(PLACES).await);
    }

    /// Asks the database a plain question and believes the answer.
    pub(crate) async fn ask(&self, cx: &Context<ManagerMsg>) {
        let answer = self.has_tokens().await;
        self.store.believe(&answer, &self.db, cx);
    }

    /// Notices what other processes revoked on the same database.
    pub(crate) async fn sweep(&self, cx: &Context<ManagerMsg>) {
        let since = clock::now() - self.config.recheck_after - CLOCKS_APART;
        let revoked = store::revoked_since(&self.db, since).await;
        let revoked = revoked.map_err(AccountsError::from);
        self.store.hear(&revoked, &self.db, cx);
        match revoked {
            Ok(revoked) => revoked.iter().for_each(|revoked| self.ended(revoked)),
            Err(error) => tracing::debug!(%error, "revocations by others were not read"),
        }
    }

    /// Notes when tokens were used. What fails is not tried again: the next use in a minute is noted anew.
    pub(crate) async fn note_uses(&self, uses: Vec<(Id, Micros)>, cx: &Context<ManagerMsg>) {
        let noted = store::note_uses(&self.db, uses).await;
        let noted = noted.map_err(AccountsError::from);
        self.store.hear(&noted, &self.db, cx);
        if let Err(error) = noted {
            tracing::debug!(%error, "uses of tokens were not noted");
        }
    }

    fn ended(&self, revoked: &store::RevokedToken) {
        lock(&self.refusals).keep(revoked.hash, Refusal::Revoked, Instant::now());
        self.shared.known.revoke(&revoked.hash);
        self.shared.revocations.announce(revoked.id);
    }
}

/// A revocation under way. One that fails, or ends with its task, may have been committed all the same: then what is
/// remembered of the token is no longer believed without a check.
struct Doubt<'a> {
    known: &'a Known,
    id: Option<Id>,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.known.doubt(id);
        }
    }
}

/// Writes an error with all that is behind it to the log.
pub(crate) fn log_inside(event: &'static str, error: &AccountsError) {
    let source = std::error::Error::source(error);
    let inside = source.and_then(std::error::Error::source).or(source);
    tracing::error!(%error, inside = inside.map(tracing::field::display), event);
}
