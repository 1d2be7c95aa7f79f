//! The slow work of the actor: all that waits for the database. It runs in owned tasks beside the mailbox.
//!
//! None of it is dropped when its caller leaves: an end that was committed must reach the memory and the streams.

use std::sync::Arc;
use std::time::Duration;

use ground::audit::{Actor, Source};
use ground::{Db, Id, Micros, Page, PageRequest, Secret, clock};
use rand::TryRng;
use rand::rngs::SysRng;
use supervisor::Context;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroize;

use super::Memory;
use super::access::{self, Claims};
use super::error::SessionError;
use super::keys::{LEASE, OwnKey, PublishedKey, RENEW_BELOW};
use super::messages::{Answer, SessionsMsg};
use super::refresh;
use super::store::{self, Found, Next, Rotated};
use super::types::{EndReason, EndSession, SessionIdentity, SessionInfo, SignIn, TokenPair};
use crate::config::Config;
use crate::lookups::{Lookup, Lookups};

/// Requests under way at most.
const PLACES: u32 = 64;
/// A lookup is repeated when an end came in between; so many ends in a row are an attack.
const MAX_READS: usize = 5;
/// How far apart the clocks of two processes on one database may be before their ends are noticed later.
const CLOCKS_APART: Duration = Duration::from_mins(1);
/// For how long a session that has ended is kept.
const KEEP_ENDED: Duration = Duration::from_hours(30 * 24);
/// Keys of others are looked for at most once in this time: whoever makes up names of keys must not fill the database's queue.
const FIND_KEYS_EVERY: Duration = Duration::from_millis(100);
/// Tokens with an unknown key that wait for that at most.
const SEARCHES: usize = 256;

/// The lookups of sessions that are under way.
pub(super) type SessionLookups = Lookups<Id, Answer<SessionIdentity>>;

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) db: Db,
    pub(super) memory: Memory,
    pub(super) config: Config,
    pub(super) lookups: Arc<SessionLookups>,
    pub(super) places: Arc<Semaphore>,
    pub(super) searches: Arc<Semaphore>,
    /// One at a time changes the keys; when they were last looked for.
    keys_turn: Mutex<Option<Instant>>,
}

impl Desk {
    pub(super) fn new(config: Config, db: Db, memory: Memory) -> Self {
        Self {
            db,
            memory,
            config,
            lookups: Arc::default(),
            places: Arc::new(Semaphore::new(PLACES as usize)),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            keys_turn: Mutex::default(),
        }
    }

    /// Looks a session up and answers all who wait for it.
    pub(super) async fn look_up(&self, mut lookup: Lookup<Id, Answer<SessionIdentity>>) {
        let id = lookup.hash();
        let mut waiting = Vec::new();
        let mut verdict = Err(SessionError::busy());
        for _ in 0..MAX_READS {
            let epoch = self.memory.known.epoch();
            let found = store::session(&self.db, id).await;
            // Before the epoch is compared: who asks after an end must not get an answer from before it.
            waiting.extend(lookup.land());
            let concluded = match found {
                Ok(found) => self.conclude(epoch, id, found),
                Err(error) => Some(Err(error.into())),
            };
            if let Some(concluded) = concluded {
                verdict = concluded;
                break;
            }
        }
        if let Err(error @ SessionError::Internal(_)) = &verdict {
            log_inside("a session could not be looked up", error);
        }
        for reply in waiting {
            reply.send(verdict.clone());
        }
    }

    /// What follows from what was read in `epoch`; nothing when it may be outdated.
    fn conclude(
        &self,
        epoch: u64,
        id: Id,
        found: Option<Found>,
    ) -> Option<Result<SessionIdentity, SessionError>> {
        let now = clock::now();
        let known = &self.memory.known;
        match found {
            Some(found)
                if found.is_live
                    && found.idle_expires_at > now
                    && found.identity.expires_at > now =>
            {
                let identity = found.identity;
                let remembered =
                    known.remember(epoch, id, identity.clone(), Some(found.last_used_at));
                remembered.ok().map(|()| Ok(identity))
            }
            Some(_) => {
                known.forget(&id);
                self.memory.revocations.announce(id);
                Some(Err(SessionError::Ended))
            }
            None => {
                // It was there: its user was removed, or the database is another one now.
                if known.forget(&id).is_some() {
                    self.memory.revocations.announce(id);
                }
                Some(Err(SessionError::Ended))
            }
        }
    }

    /// Begins a session.
    pub(super) async fn begin(&self, sign_in: SignIn) -> Result<TokenPair, SessionError> {
        let key = self.signer().await?;
        let now = clock::now();
        let refresh = refresh::make(&mut random()?);
        let hash = refresh::read(refresh.expose()).ok_or(SessionError::BadRefreshToken)?;
        let expires_at = now + self.config.session_limit;
        let new = store::NewSession {
            id: Id::generate(),
            refresh: hash,
            now,
            idle_expires_at: (now + self.config.session_idle_limit).min(expires_at),
            expires_at,
            sign_in,
        };
        let (session, user) = (new.id, new.sign_in.user);
        let begun = store::begin(&self.db, new).await;
        // It notes when the user was last here.
        self.memory.profiles.changed(user);
        let begun = begun?;
        self.ended(&begun.ended);
        tracing::info!(%session, %user, "session began");
        let claims = Claims {
            user,
            session,
            token: refresh::access_id(&hash),
            role: begun.role,
            issued_at: now,
            auth_time: now,
        };
        Ok(self.pair(&key, &claims, refresh))
    }

    /// Gives the next pair for a refresh token.
    pub(super) async fn refresh(
        &self,
        token: Secret,
        source: Source,
    ) -> Result<TokenPair, SessionError> {
        let hash = refresh::read(token.expose()).ok_or(SessionError::BadRefreshToken)?;
        let key = self.signer().await?;
        let rotate = store::Rotate {
            token,
            hash,
            nonce: random()?,
            now: clock::now(),
            idle_limit: self.config.session_idle_limit,
            source,
        };
        match store::rotate(&self.db, rotate).await? {
            Rotated::Next(next) => Ok(self.next_pair(&key, *next)),
            Rotated::Unknown => Err(SessionError::BadRefreshToken),
            Rotated::Over => Err(SessionError::Ended),
            Rotated::Ended(session, reason) => {
                self.ended(&[session]);
                tracing::warn!(%session, reason = reason.word(), "session ended at a refresh");
                Err(match reason {
                    EndReason::Reuse => SessionError::Reused,
                    _ => SessionError::Ended,
                })
            }
        }
    }

    fn next_pair(&self, key: &OwnKey, next: Next) -> TokenPair {
        let claims = Claims {
            user: next.identity.user,
            session: next.identity.session,
            token: refresh::access_id(&next.hash),
            role: next.identity.role,
            issued_at: next.issued_at,
            auth_time: next.identity.auth_time,
        };
        self.pair(key, &claims, next.token)
    }

    fn pair(&self, key: &OwnKey, claims: &Claims, refresh_token: Secret) -> TokenPair {
        let lifetime = self.config.access_token_lifetime;
        let left = access::end_of(claims.issued_at, lifetime).since(clock::now());
        TokenPair {
            access_token: access::mint(key, claims, lifetime),
            refresh_token,
            // The end is a whole second, so a moment after the beginning a part of one is gone.
            expires_in: Duration::from_secs((left + Duration::from_millis(999)).as_secs()),
            session: claims.session,
        }
    }

    /// Ends a session of a user.
    pub(super) async fn end(&self, end: EndSession) -> Result<(), SessionError> {
        let session = end.session;
        let mut doubt = Doubt::about(&self.memory, move |identity| identity.session == session);
        store::end(&self.db, end, clock::now()).await?;
        doubt.is_cleared = true;
        self.ended(&[session]);
        tracing::info!(%session, "session ended");
        Ok(())
    }

    /// Ends all sessions of a user but one.
    pub(super) async fn end_all(
        &self,
        user: Id,
        except: Option<Id>,
        by: (Actor, Source),
    ) -> Result<u32, SessionError> {
        let mut doubt = Doubt::about(&self.memory, move |identity| identity.user == user);
        let ended = store::end_all(&self.db, user, except, clock::now(), by).await?;
        doubt.is_cleared = true;
        self.ended(&ended);
        tracing::info!(%user, ended = ended.len(), "sessions of a user ended");
        Ok(u32::try_from(ended.len()).unwrap_or(u32::MAX))
    }

    /// The live sessions of a user.
    pub(super) async fn list(
        &self,
        user: Id,
        page: PageRequest,
    ) -> Result<Page<SessionInfo>, SessionError> {
        let sessions = store::sessions_of_user(&self.db, user, clock::now(), &page).await?;
        Ok(page.page(sessions, |session| session.id))
    }

    /// Waits until no request is under way.
    pub(super) async fn finish(&self) {
        // Nobody closes the semaphore; whoever waits for it too early is stopped by the supervisor.
        drop(self.places.acquire_many(PLACES).await);
    }

    /// The key to sign with; makes and publishes one when there is none that is good for long enough.
    async fn signer(&self) -> Result<Arc<OwnKey>, SessionError> {
        let (needed, every) = (
            self.config.access_token_lifetime,
            self.config.signing_key_rotation,
        );
        let find = || self.memory.keys.now().signer(clock::now(), needed, every);
        if let Some(key) = find() {
            return Ok(key);
        }
        let turn = self.keys_turn.lock().await;
        if let Some(key) = find() {
            return Ok(key);
        }
        let key = self.publish().await?;
        drop(turn);
        Ok(key)
    }

    /// Publishes our key for another while: the one there is, or a new one. Only with the turn.
    async fn publish(&self) -> Result<Arc<OwnKey>, SessionError> {
        let now = clock::now();
        let present = self
            .memory
            .keys
            .now()
            .own(now, self.config.signing_key_rotation);
        let key = present.map_or_else(|| new_key(now), Ok)?;
        let row = PublishedKey {
            kid: key.kid().to_owned(),
            public: *key.public(),
            retires_at: now + LEASE,
        };
        store::publish(&self.db, &row, key.created_at).await?;
        self.memory.keys.set_own(&key, row.retires_at);
        Ok(key)
    }

    /// Keeps our key published, and learns those of others. It is the plain question to the database, too.
    pub(super) async fn keep_keys(&self) -> Result<(), SessionError> {
        let mut turn = self.keys_turn.lock().await;
        let every = self.config.signing_key_rotation;
        if self
            .memory
            .keys
            .now()
            .signer(clock::now(), RENEW_BELOW, every)
            .is_none()
        {
            self.publish().await?;
        }
        self.learn_keys(&mut turn).await
    }

    /// Looks for the keys of others, together with all who ask for that at the same time.
    pub(super) async fn find_keys(&self) -> Result<(), SessionError> {
        let asked_at = Instant::now();
        let mut turn = self.keys_turn.lock().await;
        match *turn {
            Some(at) if at > asked_at => return Ok(()),
            Some(at) => sleep_until(at + FIND_KEYS_EVERY).await,
            None => {}
        }
        self.learn_keys(&mut turn).await
    }

    async fn learn_keys(&self, turn: &mut Option<Instant>) -> Result<(), SessionError> {
        *turn = Some(Instant::now());
        // A row is believed for as long as a token may be that was signed just before it retired.
        let published = store::published(&self.db, clock::now() - CLOCKS_APART).await?;
        self.memory.keys.set_published(&published);
        Ok(())
    }

    /// Notices what other processes ended on the same database.
    pub(super) async fn sweep(&self) {
        let since = clock::now() - self.config.recheck_after - CLOCKS_APART;
        match store::ended_since(&self.db, since).await {
            Ok(ended) => self.ended(&ended),
            Err(error) => tracing::debug!(%error, "ends of sessions by others were not read"),
        }
    }

    /// Ends what is over and forgets what was over long ago.
    pub(super) async fn clean(&self) {
        let now = clock::now();
        if let Err(error) = store::clean(&self.db, now, now - KEEP_ENDED).await {
            tracing::debug!(%error, "sessions were not cleaned up");
        }
    }

    /// Notes when sessions were used. What fails is not tried again: the next use in a minute is noted anew.
    pub(super) async fn note_uses(&self, uses: Vec<(Id, Micros)>) {
        if let Err(error) = store::note_uses(&self.db, uses).await {
            tracing::debug!(%error, "uses of sessions were not noted");
        }
    }

    fn ended(&self, sessions: &[Id]) {
        for session in sessions {
            self.memory.known.revoke(session);
            self.memory.revocations.announce(*session);
        }
    }

    /// Answers a request in a task of its own, to its end even when the caller leaves.
    pub(super) fn serve<T, F, W>(
        self: &Arc<Self>,
        cx: &Context<SessionsMsg>,
        reply: Answer<T>,
        work: W,
    ) where
        T: Send + 'static,
        F: Future<Output = Result<T, SessionError>> + Send + 'static,
        W: FnOnce(Arc<Self>) -> F + Send + 'static,
    {
        self.serve_in(&self.places, cx, reply, work);
    }

    /// The same in one of other places.
    pub(super) fn serve_in<T, F, W>(
        self: &Arc<Self>,
        places: &Arc<Semaphore>,
        cx: &Context<SessionsMsg>,
        reply: Answer<T>,
        work: W,
    ) where
        T: Send + 'static,
        F: Future<Output = Result<T, SessionError>> + Send + 'static,
        W: FnOnce(Arc<Self>) -> F + Send + 'static,
    {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            return reply.send(Err(SessionError::busy()));
        };
        let desk = Arc::clone(self);
        cx.offload(async move {
            let result = work(desk).await;
            if let Err(error @ SessionError::Internal(_)) = &result {
                log_inside("a request about sessions failed", error);
            }
            drop(place);
            reply.send(result);
        });
    }
}

fn new_key(now: Micros) -> Result<Arc<OwnKey>, SessionError> {
    let key = OwnKey::of_seed(&mut random()?, now).map_err(SessionError::internal)?;
    tracing::info!(kid = key.kid(), "signing key made");
    Ok(Arc::new(key))
}

/// Random bytes straight from the system: no state of ours that could repeat.
fn random() -> Result<[u8; 32], SessionError> {
    let mut bytes = [0; 32];
    if let Err(error) = SysRng.try_fill_bytes(&mut bytes) {
        bytes.zeroize();
        return Err(SessionError::internal(error));
    }
    Ok(bytes)
}

/// An end under way. One that fails, or ends with its task, may have been committed all the same: then what is remembered of
/// the sessions that are meant is no longer believed without a check.
struct Doubt<'a, F: Fn(&SessionIdentity) -> bool> {
    memory: &'a Memory,
    meant: F,
    is_cleared: bool,
}

impl<'a, F: Fn(&SessionIdentity) -> bool> Doubt<'a, F> {
    fn about(memory: &'a Memory, meant: F) -> Self {
        Self {
            memory,
            meant,
            is_cleared: false,
        }
    }
}

impl<F: Fn(&SessionIdentity) -> bool> Drop for Doubt<'_, F> {
    fn drop(&mut self) {
        if !self.is_cleared {
            self.memory.known.doubt_all(&self.meant);
        }
    }
}

/// Writes an error with all that is behind it to the log.
fn log_inside(event: &'static str, error: &SessionError) {
    let source = std::error::Error::source(error);
    let inside = source.and_then(std::error::Error::source).or(source);
    tracing::error!(%error, inside = inside.map(tracing::field::display), event);
}
