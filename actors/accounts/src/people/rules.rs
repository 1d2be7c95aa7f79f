//! Who may do what to whom. No I/O.
//!
//! Three rules, from which all else follows: nobody gives what they do not have (no role above their own, to nobody), nobody but an
//! owner touches an owner, and the last owner that can sign in stays one. The local operator (a process of the daemon's own user) may
//! do what an owner may.

use ground::Id;

use super::types::{Change, User};
use crate::types::Role;

/// Why it may not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Only administrators look after others.
    NoAdmin,
    /// The role is above that of who asks.
    AboveOneself,
    /// Only owners touch owners.
    Owner,
    /// Nobody would be left who can do everything.
    LastOwner,
    /// One's own password is changed by showing it.
    Oneself,
    /// The local operator is no user, so there is nothing of their own.
    NoUser,
}

/// Who asks: the role, and the user unless it is the local operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) role: Role,
    pub(crate) user: Option<Id>,
}

/// What is to be done to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed<'a> {
    /// To change what is asked for.
    Change(&'a Change),
    /// To set a password or to give out a way to set one.
    Password,
    /// To erase.
    Erase,
}

/// Whether somebody with this role may be made or invited.
pub(crate) fn may_make(asker: Asker, role: Role) -> Result<(), Denied> {
    if asker.role > Role::Admin {
        return Err(Denied::NoAdmin);
    }
    if role < asker.role {
        return Err(Denied::AboveOneself);
    }
    Ok(())
}

/// Whether `asker` may see `id` and what belongs to it.
pub(crate) fn may_see(asker: Asker, id: Id) -> bool {
    asker.role <= Role::Admin || asker.user == Some(id)
}

/// Whether `deed` may be done to `target`. `other_owners` counts the owners besides it that can sign in.
pub(crate) fn may_do(
    asker: Asker,
    target: &User,
    deed: Deed<'_>,
    other_owners: u64,
) -> Result<(), Denied> {
    let is_oneself = asker.user == Some(target.id);
    if is_oneself && matches!(deed, Deed::Password) {
        return Err(Denied::Oneself);
    }
    if asker.role > Role::Admin && !(is_oneself && is_harmless(deed)) {
        return Err(Denied::NoAdmin);
    }
    if target.role < asker.role && !is_oneself {
        return Err(Denied::Owner);
    }
    if let Deed::Change(Change {
        role: Some(role), ..
    }) = deed
        && *role < asker.role
    {
        return Err(Denied::AboveOneself);
    }
    let is_owner_at_work = target.role == Role::Owner && target.disabled_at.is_none();
    if is_owner_at_work && ends_an_owner(deed) && other_owners == 0 {
        return Err(Denied::LastOwner);
    }
    Ok(())
}

/// What everybody may do to themselves.
fn is_harmless(deed: Deed<'_>) -> bool {
    match deed {
        Deed::Change(change) => {
            change.role.is_none() && change.tier.is_none() && change.is_disabled.is_none()
        }
        Deed::Password | Deed::Erase => false,
    }
}

fn ends_an_owner(deed: Deed<'_>) -> bool {
    match deed {
        Deed::Change(change) => {
            change.role.is_some_and(|role| role != Role::Owner) || change.is_disabled == Some(true)
        }
        Deed::Password => false,
        Deed::Erase => true,
    }
}

#[cfg(test)]
mod tests {
    use ground::Micros;

    use super::*;
    use crate::types::Tier;

    const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Viewer];

    fn user(role: Role, is_disabled: bool) -> User {
        User {
            id: Id::generate(),
            email: "ada@example.com".to_owned(),
            email_verified_at: None,
            name: None,
            role,
            tier: Tier::Standard,
            has_password: true,
            disabled_at: is_disabled.then_some(Micros(1)),
            created_at: Micros(0),
            updated_at: Micros(0),
            last_sign_in_at: None,
            version: 1,
        }
    }

    /// All that can be asked of one field at a time, and two at once.
    fn changes() -> Vec<Change> {
        let mut changes = vec![
            Change {
                name: Some(None),
                ..Change::default()
            },
            Change {
                tier: Some(Tier::Premium),
                ..Change::default()
            },
        ];
        for role in ROLES {
            for is_disabled in [None, Some(true), Some(false)] {
                changes.push(Change {
                    role: Some(role),
                    is_disabled,
                    ..Change::default()
                });
            }
        }
        for is_disabled in [true, false] {
            changes.push(Change {
                is_disabled: Some(is_disabled),
                ..Change::default()
            });
        }
        changes
    }

    /// Every asker, every target, every deed, against the three rules in their own words.
    #[test]
    fn the_rules_hold_for_everybody() {
        let changes = changes();
        let deeds: Vec<Deed<'_>> = changes
            .iter()
            .map(Deed::Change)
            .chain([Deed::Password, Deed::Erase])
            .collect();
        let mut seen = 0;
        for asker_role in ROLES {
            for target_role in ROLES {
                for is_disabled in [false, true] {
                    for is_oneself in [false, true] {
                        for other_owners in [0, 1] {
                            if is_oneself && asker_role != target_role {
                                continue;
                            }
                            let target = user(target_role, is_disabled);
                            let asker = Asker {
                                role: asker_role,
                                user: Some(if is_oneself {
                                    target.id
                                } else {
                                    Id::generate()
                                }),
                            };
                            for deed in &deeds {
                                judge(asker, &target, *deed, other_owners, is_oneself);
                                seen += 1;
                            }
                        }
                    }
                }
            }
        }
        assert!(seen > 1000);
    }

    fn judge(asker: Asker, target: &User, deed: Deed<'_>, other_owners: u64, is_oneself: bool) {
        let verdict = may_do(asker, target, deed, other_owners);
        let told = format!("{asker:?} {deed:?} {target:?} {other_owners}");
        let new_role = match deed {
            Deed::Change(change) => change.role.unwrap_or(target.role),
            _ => target.role,
        };
        let is_allowed = verdict.is_ok();
        if is_allowed && !is_oneself {
            assert!(asker.role <= Role::Admin, "{told}");
            assert!(
                target.role != Role::Owner || asker.role == Role::Owner,
                "{told}"
            );
        }
        if is_allowed {
            assert!(
                new_role >= asker.role.min(target.role),
                "nobody rises above who asks: {told}"
            );
            let is_gone = matches!(deed, Deed::Erase)
                || matches!(deed, Deed::Change(change) if change.is_disabled == Some(true));
            let was_owner = target.role == Role::Owner && target.disabled_at.is_none();
            let is_owner = new_role == Role::Owner && !is_gone;
            assert!(
                !was_owner || is_owner || other_owners > 0,
                "the last owner stays: {told}"
            );
        }
        let is_own_password = is_oneself && matches!(deed, Deed::Password);
        assert_eq!(verdict == Err(Denied::Oneself), is_own_password, "{told}");
        if is_own_password {
            return;
        }
        // And what must be possible is.
        if asker.role == Role::Owner && other_owners > 0 {
            assert_eq!(verdict, Ok(()), "{told}");
        }
        if asker.role == Role::Admin && target.role >= Role::Admin && new_role >= Role::Admin {
            assert_eq!(verdict, Ok(()), "{told}");
        }
        let is_name = matches!(deed, Deed::Change(change) if change.name.is_some());
        if is_oneself && is_name {
            assert_eq!(verdict, Ok(()), "{told}");
        }
    }

    #[test]
    fn nobody_makes_somebody_above_themselves() {
        for asker in ROLES {
            for role in ROLES {
                let verdict = may_make(
                    Asker {
                        role: asker,
                        user: None,
                    },
                    role,
                );
                assert_eq!(
                    verdict.is_ok(),
                    asker <= Role::Admin && role >= asker,
                    "{asker:?} {role:?}"
                );
            }
        }
    }

    #[test]
    fn who_is_no_administrator_sees_only_themselves() {
        let (own, other) = (Id::generate(), Id::generate());
        for role in ROLES {
            let asker = Asker {
                role,
                user: Some(own),
            };
            assert!(may_see(asker, own));
            assert_eq!(may_see(asker, other), role <= Role::Admin);
        }
    }
}
