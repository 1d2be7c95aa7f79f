//! The slow work of the actor: all that waits for an issuer, a neighbour or the database. It runs in owned tasks beside the mailbox.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ground::audit::{Actor, Entry, Outcome, Source};
use ground::{Db, Id, Secret, clock};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::config::Newcomers;
use super::decide::{Decision, Facts, decide};
use super::error::FederationError;
use super::flows::{Flow, Flows, Keys, LIFETIME, Purpose, Taken};
use super::issuer::{Issuer, Issuers};
use super::seams::{Address, Neighbours, Newcomer};
use super::store::{self, NewIdentity};
use super::types::{Begin, Begun, Finish, Finished, IdentityInfo, IssuerInfo, Proof};
use super::{rules, secrets};
use crate::error::AccountsError;
use crate::factors::By;
use crate::sessions::{Method, SignIn, TokenPair};
use ground::lock;

/// Requests under way at most.
const PLACES: u32 = 64;
/// Somebody else may make the same identity, or take the same address, between the look and the change.
const MAX_LOOKS: usize = 3;

/// What the tasks of one incarnation share.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) db: Db,
    pub(crate) issuers: Issuers,
    pub(crate) neighbours: Neighbours,
    pub(crate) flows: Mutex<Flows>,
    pub(crate) places: Arc<Semaphore>,
}

/// Who somebody turned out to be, with what is written down of it.
struct Person<'a> {
    issuer: &'a Issuer,
    proof: &'a Proof,
    address: Option<Address>,
    source: &'a Source,
}

impl Desk {
    pub(crate) fn new(db: Db, issuers: Issuers, neighbours: Neighbours) -> Self {
        Self {
            db,
            issuers,
            neighbours,
            flows: Mutex::default(),
            places: Arc::new(Semaphore::new(PLACES as usize)),
        }
    }

    /// The issuers, by name.
    pub(crate) fn issuers(&self) -> Vec<IssuerInfo> {
        self.issuers.all().map(|issuer| issuer.info()).collect()
    }

    /// Begins an attempt.
    pub(crate) async fn begin(&self, begin: Begin) -> Result<Begun, FederationError> {
        rules::check_begin(&begin).map_err(FederationError::Invalid)?;
        let issuer = self.issuer(&begin.issuer)?;
        let (state, secret) = (fresh()?, fresh()?);
        let purpose = match &begin.link_to {
            Some(by) => {
                rules::check_fresh(by, clock::now())?;
                Purpose::Link(by.user)
            }
            None => Purpose::SignIn,
        };
        let flow = Flow::new(begin.issuer, purpose, (fresh()?, fresh()?), begin.return_to);
        let url = issuer.authorization_url(&state, &flow).await;
        let url = url.inspect_err(|error| suspect(issuer, error))?;
        let keys = keys_of(&state, &secret);
        let address: Option<IpAddr> = begin.source.address;
        lock(&self.flows).begin(keys, flow, address, Instant::now());
        Ok(Begun {
            authorization_url: url.into(),
            flow: secret,
            expires_in: LIFETIME,
        })
    }

    /// Ends an attempt. What failed is told in the audit, with the reason.
    pub(crate) async fn finish(&self, finish: Finish) -> Result<Finished, FederationError> {
        rules::check_finish(&finish).map_err(FederationError::Invalid)?;
        let issuer = Arc::clone(self.issuer(&finish.issuer)?);
        let finished = self.attempt(&issuer, &finish).await;
        if let Err(error) = &finished {
            suspect(&issuer, error);
            self.note_refusal(&issuer, error, finish.source).await;
        }
        finished
    }

    /// The identities of a user.
    pub(crate) async fn identities(&self, user: Id) -> Result<Vec<IdentityInfo>, FederationError> {
        Ok(store::identities_of(&self.db, user).await?)
    }

    /// Takes an identity from its user.
    pub(crate) async fn unlink(&self, by: By, issuer: String) -> Result<(), FederationError> {
        rules::check_fresh(&by, clock::now())?;
        store::unlink(&self.db, &by, &issuer).await?;
        tracing::info!(user = %by.user, issuer, "identity unlinked");
        Ok(())
    }

    /// Waits until nothing is under way.
    pub(crate) async fn wait_until_idle(&self) {
        // Nobody closes the semaphore; whoever waits for it too early is stopped by the supervisor.
        drop(self.places.acquire_many(PLACES).await);
    }

    fn issuer(&self, name: &str) -> Result<&Arc<Issuer>, FederationError> {
        self.issuers.get(name).ok_or(FederationError::NoIssuer)
    }

    async fn attempt(&self, issuer: &Issuer, finish: &Finish) -> Result<Finished, FederationError> {
        let keys = keys_of(&finish.state, &finish.flow);
        let taken = lock(&self.flows).take(keys, &finish.issuer, Instant::now());
        let mut taken = taken.ok_or(FederationError::NoFlow)?;
        let proof = match taken.flow.proof.take() {
            Some(proof) => proof,
            None => prove(issuer, &taken.flow, finish).await?,
        };
        let address = (proof.email.as_deref()).and_then(|text| self.neighbours.users.address(text));
        let person = Person {
            issuer,
            proof: &proof,
            address: address.filter(|_| proof.is_email_verified),
            source: &finish.source,
        };
        let return_to = taken.flow.return_to.clone();
        let (user, is_new) = match self.settle(&person, taken.flow.purpose).await? {
            Decision::SignIn(user) => (user, false),
            Decision::Link(user) => {
                tracing::info!(%user, issuer = issuer.name, "identity linked");
                return Ok(Finished::Linked { return_to });
            }
            Decision::Linked(_) => return Ok(Finished::Linked { return_to }),
            Decision::Newcomer(user) => (user, true),
            Decision::Refuse(refusal) => return Err(refusal.into()),
        };
        let second_factor = match self.second_factor(issuer, user, finish).await {
            Ok(second_factor) => second_factor,
            Err(error) => {
                self.keep(taken, proof);
                return Err(error);
            }
        };
        let tokens = self.sign_in(&person, user, second_factor).await?;
        Ok(Finished::SignedIn {
            tokens,
            is_new,
            return_to,
        })
    }

    /// Decides, and does what was decided as far as it is about identities.
    async fn settle(
        &self,
        person: &Person<'_>,
        purpose: Purpose,
    ) -> Result<Decision, FederationError> {
        let mut looks = 0;
        loop {
            looks += 1;
            let decision = decide(&self.facts(person, purpose).await?);
            let done = match decision {
                Decision::Newcomer(user) => self.register(person, user).await,
                Decision::Link(user) => {
                    let actor = Actor::User {
                        id: user,
                        credential: None,
                    };
                    store::link(&self.db, &person.identity(user), actor).await
                }
                _ => Ok(()),
            };
            match done {
                Ok(()) => return Ok(decision),
                // Somebody was faster: look again.
                Err(ground::DbError::Conflict { .. }) if looks < MAX_LOOKS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn facts(&self, person: &Person<'_>, purpose: Purpose) -> Result<Facts, FederationError> {
        let address = person.issuer.config.address();
        let linking = match purpose {
            Purpose::Link(user) => store::linking(&self.db, user, address).await?,
            Purpose::SignIn => None,
        };
        let is_email_taken = match &person.address {
            Some(email) => store::is_email_taken(&self.db, &email.key).await?,
            None => false,
        };
        Ok(Facts {
            purpose,
            known: store::known(&self.db, address, &person.proof.subject).await?,
            linking,
            has_verified_email: person.address.is_some(),
            is_email_taken,
            is_open: person.issuer.config.registration == Newcomers::Open,
            newcomer: Id::generate(),
        })
    }

    async fn register(&self, person: &Person<'_>, user: Id) -> Result<(), ground::DbError> {
        let Some(address) = person.address.clone() else {
            // A newcomer has an address, or there is none.
            return Ok(());
        };
        let identity = person.identity(user);
        let newcomer = Newcomer {
            id: user,
            address,
            name: person.proof.name.clone(),
            role: person.issuer.config.role.into(),
            at: identity.at,
        };
        store::register(&self.db, &self.neighbours, &newcomer, &identity).await?;
        tracing::info!(%user, issuer = person.issuer.name, "user made by an outside issuer");
        Ok(())
    }

    /// Whether a second factor was shown; an issuer whose word stands for it shows it.
    async fn second_factor(
        &self,
        issuer: &Issuer,
        user: Id,
        finish: &Finish,
    ) -> Result<bool, FederationError> {
        if issuer.config.trusts_second_factor {
            return Ok(true);
        }
        let factors = &self.neighbours.factors;
        let shown = finish.totp_code.as_ref();
        let checked = factors.check(user, shown, &finish.source).await;
        checked.map_err(FederationError::Neighbour)
    }

    async fn sign_in(
        &self,
        person: &Person<'_>,
        user: Id,
        second_factor: bool,
    ) -> Result<TokenPair, FederationError> {
        let issuer = &person.issuer;
        let (address, subject) = (issuer.config.address(), &person.proof.subject);
        store::note_use(&self.db, address, subject, &issuer.name, clock::now()).await?;
        let begun = self.neighbours.sessions.begin(SignIn {
            user,
            method: Method::Federated,
            second_factor,
            source: person.source.clone(),
        });
        begun.await.map_err(FederationError::Neighbour)
    }

    /// Keeps an attempt that only lacks the second factor: the code is used up, and the person is known.
    fn keep(&self, mut taken: Taken, proof: Proof) {
        taken.flow.proof = Some(proof);
        lock(&self.flows).put_back(taken, Instant::now());
    }

    async fn note_refusal(&self, issuer: &Issuer, error: &FederationError, source: Source) {
        let Some(word) = error.word() else { return };
        let outcome = if error.is_fault() {
            Outcome::Failed
        } else {
            Outcome::Refused
        };
        let entry = Entry::new(Actor::Anonymous, "identity.refused", source)
            .with_outcome(outcome)
            .with("issuer", issuer.name.as_str())
            .with("reason", word);
        if let Err(unwritten) = store::note(&self.db, entry).await {
            tracing::warn!(error = %unwritten, refused = %error, "a refusal could not be written down");
        }
    }
}

impl Person<'_> {
    fn identity(&self, user: Id) -> NewIdentity {
        NewIdentity {
            issuer: self.issuer.config.address().to_owned(),
            subject: self.proof.subject.clone(),
            provider: self.issuer.name.clone(),
            email: self.proof.email.clone(),
            user,
            at: clock::now(),
            source: self.source.clone(),
        }
    }
}

/// What came back, turned into who it is.
async fn prove(issuer: &Issuer, flow: &Flow, finish: &Finish) -> Result<Proof, FederationError> {
    issuer.check_sender(finish.iss.as_deref()).await?;
    match (&finish.code, &finish.error) {
        (Some(code), None) => issuer.prove(code, flow).await,
        (_, error) => Err(FederationError::Denied(error.clone().unwrap_or_default())),
    }
}

/// An issuer that just failed is looked at now rather than later: the status tells of it before the next person tries.
fn suspect(issuer: &Issuer, error: &FederationError) {
    if matches!(error, FederationError::Issuer(_)) {
        tracing::warn!(issuer = issuer.name, %error, "an issuer failed");
        issuer.dependency.suspect();
    }
}

fn keys_of(state: &Secret, secret: &Secret) -> Keys {
    Keys {
        state: secrets::digest(state.expose()),
        secret: secrets::digest(secret.expose()),
    }
}

fn fresh() -> Result<Secret, FederationError> {
    secrets::fresh().map_err(|error| AccountsError::Internal(Arc::new(error)).into())
}
