//! What is asked of an authenticator, and whether its answer is right: the standard's two ceremonies, as they are meant here. No I/O; the
//! library looks at the clock, so that no answer is taken late.
//!
//! A passkey is by itself two factors: something that one has, and the finger, face or PIN that unlocks it. So it is only ever made and
//! used with user verification, and always found by the authenticator (discoverable): nobody need say who they are, and so nobody can ask
//! who is there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ground::Id;
use serde_json::Value;
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::PublicKeyCredentialDescriptor;
use webauthn_rp::request::auth::{
    AuthenticationVerificationOptions, DiscoverableCredentialRequestOptions,
};
use webauthn_rp::request::register::{
    CredProtect, Nickname, PublicKeyCredentialCreationOptions, PublicKeyCredentialUserEntity,
    RegistrationVerificationOptions, UserHandle16, Username,
};
use webauthn_rp::request::{ExtensionInfo, register};
use webauthn_rp::response::auth::error::AuthCeremonyErr;
use webauthn_rp::response::register::error::RegCeremonyErr;
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication16, DiscoverableAuthenticationServerState,
    Registration, RegistrationServerState,
};

use super::relying::RelyingParty;

/// What is kept of a registration until its answer comes.
pub(crate) type Adding = RegistrationServerState<16>;
/// The same of a sign-in.
pub(crate) type SigningIn = DiscoverableAuthenticationServerState;
/// A key as it is stored.
type Key = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;

/// The word for what is wrong with an answer, in audit entries.
pub(crate) type Word = &'static str;

/// The word for an answer that the library could not cope with.
pub(super) const PANICKED: Word = "fault";

/// Bytes of an answer at most: keys and certificates are far below.
const MAX_ANSWER: usize = 64 * 1024;

/// What could not be asked; a fault of the program or of the rows.
#[derive(Debug, thiserror::Error)]
#[error("a ceremony could not be begun: {0}")]
pub(crate) struct CannotAsk(String);

/// For whom a passkey is made.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: Id,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
}

/// A passkey as an authenticator has to know it, to make no second one beside it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) transports: u8,
}

/// A passkey that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) passkey: Vec<u8>,
    pub(crate) state: [u8; 7],
    pub(crate) sign_count: u32,
    pub(crate) transports: u8,
}

/// A passkey as it is stored, as far as its answers are checked with it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) user: Id,
    pub(crate) passkey: Vec<u8>,
    pub(crate) state: Vec<u8>,
}

/// What a use of a passkey changes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) state: [u8; 7],
    pub(crate) sign_count: u32,
}

/// What to ask for a new passkey.
///
/// # Errors
/// `CannotAsk` when a row is not what it should be.
pub(crate) fn ask_for_new(
    relying: &RelyingParty,
    person: &Person,
    known: Vec<Known>,
) -> Result<(Adding, Value), CannotAsk> {
    let handle = handle_of(person.id);
    let id_text = person.id.to_string();
    // The standard's rules for names are narrower than ours: who has another one is called by their id.
    let name = Username::try_from(person.email.as_str())
        .or_else(|_| Username::try_from(id_text.as_str()))
        .map_err(cannot_ask)?;
    let shown = person.name.as_deref();
    let user = PublicKeyCredentialUserEntity {
        name,
        id: &handle,
        display_name: shown.and_then(|name| Nickname::try_from(name).ok()),
    };
    let exclude = known.into_iter().map(descriptor);
    let exclude = exclude.collect::<Result<_, _>>()?;
    let mut options = PublicKeyCredentialCreationOptions::passkey(&relying.id, user, exclude);
    // Browsers refuse authenticators that do not know this extension where it is enforced; every use is verified in any case.
    options.extensions.cred_protect =
        CredProtect::UserVerificationRequired(ExtensionInfo::AllowDontEnforceValue);
    let (state, asked) = options.start_ceremony().map_err(cannot_ask)?;
    Ok((state, serde_json::to_value(&asked).map_err(cannot_ask)?))
}

/// Checks the answer to [`ask_for_new`].
///
/// # Errors
/// The word for what is wrong.
pub(crate) fn check_new(
    asked: Adding,
    relying: &RelyingParty,
    answer: &Value,
) -> Result<Made, Word> {
    guarded(|| check_new_unguarded(asked, relying, answer))
}

fn check_new_unguarded(
    asked: Adding,
    relying: &RelyingParty,
    answer: &Value,
) -> Result<Made, Word> {
    let answer = Registration::from_json_relaxed(&text_of(answer)?).map_err(bad_form)?;
    let options = RegistrationVerificationOptions::<'_, '_, String, String> {
        allowed_origins: &relying.origins,
        // The standard has us ignore what was not asked for.
        error_on_unsolicited_extensions: false,
        ..RegistrationVerificationOptions::default()
    };
    let checked = asked.verify(&relying.id, &answer, &options);
    let checked = checked.map_err(|error| word_of_new(&error))?;
    let state = checked.dynamic_state();
    let Ok(passkey) = checked.static_state().encode();
    let (Ok(transports), Ok(encoded)) = (checked.transports().encode(), state.encode());
    Ok(Made {
        credential_id: checked.id().as_ref().to_vec(),
        passkey,
        state: encoded,
        sign_count: state.sign_count,
        transports,
    })
}

/// What to ask of whoever wants to sign in.
///
/// # Errors
/// `CannotAsk`, which nothing leads to.
pub(crate) fn ask_for_proof(relying: &RelyingParty) -> Result<(SigningIn, Value), CannotAsk> {
    let options = DiscoverableCredentialRequestOptions::passkey(&relying.id);
    let (state, asked) = options.start_ceremony().map_err(cannot_ask)?;
    Ok((state, serde_json::to_value(&asked).map_err(cannot_ask)?))
}

/// An answer to [`ask_for_proof`] that has the right form, and nothing more yet.
#[derive(Debug)]
pub(crate) struct Proof(DiscoverableAuthentication16);

impl Proof {
    /// Reads it.
    ///
    /// # Errors
    /// The word for what is wrong.
    pub(crate) fn read(answer: &Value) -> Result<Self, Word> {
        // The library takes a missing user for one, and panics later where it asks for their name.
        if !answer["response"]["userHandle"].is_string() {
            return Err("form");
        }
        guarded(|| {
            let read = DiscoverableAuthentication16::from_json_relaxed(&text_of(answer)?);
            read.map(Self).map_err(bad_form)
        })
    }

    /// By which passkey it claims to be made.
    pub(crate) fn credential_id(&self) -> &[u8] {
        let id: CredentialId<&[u8]> = self.0.raw_id();
        id.into_inner()
    }

    /// Whether it is by that passkey, of its user, and for what was asked.
    ///
    /// # Errors
    /// The word for what is wrong.
    pub(crate) fn check(
        &self,
        asked: SigningIn,
        relying: &RelyingParty,
        stored: &Stored,
    ) -> Result<Used, Word> {
        guarded(|| self.check_unguarded(asked, relying, stored))
    }

    fn check_unguarded(
        &self,
        asked: SigningIn,
        relying: &RelyingParty,
        stored: &Stored,
    ) -> Result<Used, Word> {
        let key = StaticState::<Key>::decode(&stored.passkey).map_err(|_| "stored")?;
        let state = <[u8; 7]>::try_from(stored.state.as_slice()).map_err(|_| "stored")?;
        let state = DynamicState::decode(state).map_err(|_| "stored")?;
        let handle = handle_of(stored.user);
        let mut credential = AuthenticatedCredential::new(self.0.raw_id(), &handle, key, state)
            .map_err(|_| "stored")?;
        let options = AuthenticationVerificationOptions::<'_, '_, String, String> {
            allowed_origins: &relying.origins,
            error_on_unsolicited_extensions: false,
            ..AuthenticationVerificationOptions::default()
        };
        let checked = asked.verify(&relying.id, &self.0, &mut credential, &options);
        checked.map_err(|error| word_of_proof(&error))?;
        let state = credential.dynamic_state();
        let Ok(encoded) = state.encode();
        Ok(Used {
            state: encoded,
            sign_count: state.sign_count,
        })
    }
}

/// What the library makes of an answer, even where it panics: it means to crash on what its authors did not foresee, and anybody may send
/// it anything.
fn guarded<T>(look: impl FnOnce() -> Result<T, Word>) -> Result<T, Word> {
    // Nothing that a panic could leave half done outlives the call.
    catch_unwind(AssertUnwindSafe(look)).unwrap_or(Err(PANICKED))
}

/// What exactly is of use to whoever writes a client.
fn bad_form(error: impl std::fmt::Display) -> Word {
    tracing::debug!(%error, "an authenticator's answer has not the right form");
    "form"
}

fn cannot_ask(error: impl std::fmt::Display) -> CannotAsk {
    CannotAsk(error.to_string())
}

fn descriptor(known: Known) -> Result<PublicKeyCredentialDescriptor<Vec<u8>>, CannotAsk> {
    Ok(PublicKeyCredentialDescriptor {
        id: CredentialId::<Vec<u8>>::decode(known.credential_id).map_err(cannot_ask)?,
        transports: AuthTransports::decode(known.transports).map_err(cannot_ask)?,
    })
}

/// The user's id as authenticators keep it: it tells nobody who that is.
fn handle_of(user: Id) -> register::UserHandle<16> {
    let Ok(handle) = UserHandle16::decode(*user.as_bytes());
    handle
}

fn text_of(answer: &Value) -> Result<Vec<u8>, Word> {
    let text = serde_json::to_vec(answer).map_err(|_| "form")?;
    (text.len() <= MAX_ANSWER).then_some(text).ok_or("too_long")
}

fn word_of_new(error: &RegCeremonyErr) -> Word {
    match error {
        RegCeremonyErr::Timeout => "timeout",
        RegCeremonyErr::CollectedClientData(_) | RegCeremonyErr::CollectedClientDataRelaxed(_) => {
            "client_data"
        }
        RegCeremonyErr::AttestationObject(_) => "attestation",
        RegCeremonyErr::PubKey(_) => "key",
        RegCeremonyErr::AttestationSignature => "signature",
        RegCeremonyErr::OriginMismatch => "origin",
        RegCeremonyErr::CrossOrigin | RegCeremonyErr::TopOriginMismatch => "cross_origin",
        RegCeremonyErr::ChallengeMismatch => "challenge",
        RegCeremonyErr::RpIdHashMismatch => "rp_id",
        RegCeremonyErr::UserNotPresent => "user_not_present",
        RegCeremonyErr::UserNotVerified => "user_not_verified",
        RegCeremonyErr::PublicKeyAlgorithmMismatch => "algorithm",
        RegCeremonyErr::Extension(_) => "extension",
        RegCeremonyErr::BackupEligible
        | RegCeremonyErr::BackupNotEligible
        | RegCeremonyErr::BackupDoesNotExist
        | RegCeremonyErr::MissingAuthenticatorAttachment
        | RegCeremonyErr::AuthenticatorAttachmentMismatch
        | RegCeremonyErr::Credential(_) => "credential",
    }
}

fn word_of_proof(error: &AuthCeremonyErr) -> Word {
    match error {
        AuthCeremonyErr::Timeout => "timeout",
        AuthCeremonyErr::CollectedClientData(_)
        | AuthCeremonyErr::CollectedClientDataRelaxed(_) => "client_data",
        AuthCeremonyErr::AuthenticatorData(_) => "authenticator_data",
        AuthCeremonyErr::PubKey(_) => "stored",
        AuthCeremonyErr::AssertionSignature => "signature",
        AuthCeremonyErr::OriginMismatch => "origin",
        AuthCeremonyErr::CrossOrigin | AuthCeremonyErr::TopOriginMismatch => "cross_origin",
        AuthCeremonyErr::ChallengeMismatch => "challenge",
        AuthCeremonyErr::RpIdHashMismatch => "rp_id",
        AuthCeremonyErr::UserNotVerified => "user_not_verified",
        AuthCeremonyErr::BackupEligible
        | AuthCeremonyErr::BackupNotEligible
        | AuthCeremonyErr::BackupDoesNotExist => "backup",
        AuthCeremonyErr::Extension(_) => "extension",
        AuthCeremonyErr::SignatureCounter => "counter",
        AuthCeremonyErr::UserHandleMismatch | AuthCeremonyErr::MissingUserHandle => "user_handle",
        AuthCeremonyErr::MissingAuthenticatorAttachment
        | AuthCeremonyErr::AuthenticatorAttachmentMismatch
        | AuthCeremonyErr::CredentialIdMismatch
        | AuthCeremonyErr::NoMatchingAllowedCredential
        | AuthCeremonyErr::Credential(_) => "credential",
    }
}
