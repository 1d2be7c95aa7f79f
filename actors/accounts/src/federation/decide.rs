//! Who somebody is that an issuer vouched for, and what follows. No I/O.
//!
//! The identity decides: issuer and the issuer's word for the person. An e-mail address never does: addresses are given out anew, and
//! issuers differ in what they check. All that an address can do is to explain a refusal, and only when the issuer says that it was
//! verified: otherwise anybody could ask here whose addresses are known.

use ground::Id;

use super::flows::Purpose;

/// Somebody whose identity is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// The user.
    pub(crate) user: Id,
    /// Whether that user may not come in.
    pub(crate) is_disabled: bool,
}

/// The user who wants an identity linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Linking {
    /// Whether that user may not come in, or is not there any more.
    pub(crate) is_disabled: bool,
    /// Whether that user has another identity of this issuer already.
    pub(crate) has_other: bool,
}

/// All that the decision is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// What the attempt is for.
    pub(crate) purpose: Purpose,
    /// Whose identity it is.
    pub(crate) known: Option<Known>,
    /// Facts about the user who wants it linked; for [`Purpose::Link`] alone.
    pub(crate) linking: Option<Linking>,
    /// Whether the issuer gave an address that can be a user's, and says that it verified it.
    pub(crate) has_verified_email: bool,
    /// Whether that address is a user's already.
    pub(crate) is_email_taken: bool,
    /// Whether newcomers of this issuer are taken.
    pub(crate) is_open: bool,
    /// The id that a newcomer would get.
    pub(crate) newcomer: Id,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// This user signs in, once the second factor was shown.
    SignIn(Id),
    /// A new user with this id is made, and signs in.
    Newcomer(Id),
    /// The identity becomes this user's.
    Link(Id),
    /// It is this user's already: nothing to do.
    Linked(Id),
    /// None of it.
    Refuse(Refusal),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody here has this identity, and no user is made of it. Also said for a disabled user.
    Unknown,
    /// The verified address is a user's: sign in otherwise and link.
    LinkFirst,
    /// The identity is another user's.
    Taken,
    /// The user has another identity of this issuer.
    HasOther,
}

/// Decides.
pub(crate) fn decide(facts: &Facts) -> Decision {
    match (facts.purpose, facts.known) {
        (Purpose::SignIn, Some(known)) if known.is_disabled => Decision::Refuse(Refusal::Unknown),
        (Purpose::SignIn, Some(known)) => Decision::SignIn(known.user),
        (Purpose::SignIn, None) => newcomer(facts),
        (Purpose::Link(user), known) => link(user, known, facts.linking),
    }
}

fn newcomer(facts: &Facts) -> Decision {
    match (
        facts.has_verified_email,
        facts.is_email_taken,
        facts.is_open,
    ) {
        (true, true, _) => Decision::Refuse(Refusal::LinkFirst),
        (true, false, true) => Decision::Newcomer(facts.newcomer),
        _ => Decision::Refuse(Refusal::Unknown),
    }
}

fn link(user: Id, known: Option<Known>, linking: Option<Linking>) -> Decision {
    let Some(linking) = linking.filter(|linking| !linking.is_disabled) else {
        return Decision::Refuse(Refusal::Unknown);
    };
    match known {
        Some(known) if known.user == user => Decision::Linked(user),
        Some(_) => Decision::Refuse(Refusal::Taken),
        None if linking.has_other => Decision::Refuse(Refusal::HasOther),
        None => Decision::Link(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
        Id::from_bytes([number; 16])
    }

    /// Every combination of facts.
    fn all() -> Vec<Facts> {
        let flags = [false, true];
        let mut all = Vec::new();
        let known = [None, Some((1, false)), Some((1, true)), Some((2, false))];
        for known in known {
            let known = known.map(|(user, is_disabled)| Known {
                user: id(user),
                is_disabled,
            });
            for bits in 0_u8..32 {
                let bit = |place: u8| flags[usize::from(bits >> place & 1)];
                for purpose in [Purpose::SignIn, Purpose::Link(id(1))] {
                    let linking = Linking {
                        is_disabled: bit(0),
                        has_other: bit(1),
                    };
                    all.push(Facts {
                        purpose,
                        known,
                        linking: (purpose != Purpose::SignIn).then_some(linking),
                        has_verified_email: bit(2),
                        is_email_taken: bit(3),
                        is_open: bit(4),
                        newcomer: id(9),
                    });
                }
            }
        }
        all
    }

    #[test]
    fn nobody_becomes_somebody_by_an_address() {
        for facts in all() {
            match decide(&facts) {
                Decision::SignIn(user) => {
                    let known = facts.known.expect("by the identity alone");
                    assert!(known.user == user && !known.is_disabled, "{facts:?}");
                }
                Decision::Newcomer(user) => {
                    assert_eq!(user, facts.newcomer);
                    assert!(facts.known.is_none() && facts.is_open, "{facts:?}");
                    assert!(
                        facts.has_verified_email && !facts.is_email_taken,
                        "{facts:?}"
                    );
                    assert_eq!(facts.purpose, Purpose::SignIn, "{facts:?}");
                }
                Decision::Link(user) => {
                    assert_eq!(facts.purpose, Purpose::Link(user), "{facts:?}");
                    assert!(facts.known.is_none(), "{facts:?}");
                    let linking = facts.linking.expect("for a link");
                    assert!(!linking.is_disabled && !linking.has_other, "{facts:?}");
                }
                Decision::Linked(user) => {
                    assert_eq!(facts.purpose, Purpose::Link(user), "{facts:?}");
                    assert_eq!(facts.known.map(|known| known.user), Some(user), "{facts:?}");
                }
                Decision::Refuse(_) => {}
            }
        }
    }

    #[test]
    fn an_address_that_was_not_verified_tells_nothing() {
        for facts in all() {
            let other = Facts {
                is_email_taken: !facts.is_email_taken,
                ..facts
            };
            if !facts.has_verified_email {
                assert_eq!(decide(&facts), decide(&other), "{facts:?}");
            }
        }
    }

    #[test]
    fn a_disabled_user_is_refused_like_a_stranger() {
        let disabled = |facts: &&Facts| {
            facts.purpose == Purpose::SignIn && facts.known.is_some_and(|known| known.is_disabled)
        };
        for facts in all().iter().filter(disabled) {
            assert_eq!(decide(facts), Decision::Refuse(Refusal::Unknown));
        }
    }
}
