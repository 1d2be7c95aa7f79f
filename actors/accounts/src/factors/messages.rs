//! What the actor can be asked. Private to the domain: others use the handle.

use ground::audit::Source;
use ground::{Id, Secret};
use supervisor::Reply;

use crate::factors::error::FactorError;
use crate::factors::types::{By, Enrolment, FactorOverview};

/// An answer that can be an error.
pub(crate) type Answer<T> = Reply<Result<T, FactorError>>;

/// Requests about second factors.
#[derive(Debug)]
pub(crate) enum FactorsMsg {
    /// May this user pass with what was shown?
    Check {
        user: Id,
        shown: Option<Secret>,
        source: Source,
        reply: Answer<bool>,
    },
    /// Begin to set an app up.
    Enroll { by: By, reply: Answer<Enrolment> },
    /// Its first code.
    Confirm {
        by: By,
        code: Secret,
        reply: Answer<Vec<Secret>>,
    },
    /// Take the app away.
    Disable {
        by: By,
        shown: Secret,
        reply: Answer<()>,
    },
    /// Make new recovery codes.
    Renew {
        by: By,
        shown: Secret,
        reply: Answer<Vec<Secret>>,
    },
    /// What is set up?
    Overview {
        user: Id,
        reply: Answer<FactorOverview>,
    },
    /// See whether the master key fits.
    Tick,
}
