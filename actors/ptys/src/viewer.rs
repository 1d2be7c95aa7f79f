//! Who asks for terminals: a terminal is code execution as the daemon's own user, so it matters to the last detail.
//!
//! Everybody sees their own terminals and nothing of anybody else's, whatever their role: those do not exist for them. The local operator
//! runs as the daemon's user anyway and sees all.

use ground::Id;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// The local operator, over the socket or by a token of theirs.
    Operator,
    /// A user.
    User {
        /// The user.
        id: Id,
        /// The word for their role.
        role: &'static str,
    },
}

impl Viewer {
    /// Whose the terminals are that are opened now; none for the local operator's.
    pub(crate) const fn owner(&self) -> Option<Id> {
        match self {
            Self::Operator => None,
            Self::User { id, .. } => Some(*id),
        }
    }

    /// Whether a terminal of this owner exists for the one who asks.
    pub(crate) fn sees(&self, owner: Option<Id>) -> bool {
        match self {
            Self::Operator => true,
            Self::User { id, .. } => owner == Some(*id),
        }
    }

    /// Whether the one who asks may run programs here.
    pub(crate) fn may_run(&self, roles: &[String]) -> bool {
        match self {
            Self::Operator => true,
            Self::User { role, .. } => roles.iter().any(|allowed| allowed == role),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(number: u8) -> Id {
        Id::from_bytes([number; 16])
    }

    proptest! {
        #[test]
        fn nobody_sees_what_is_not_theirs(asks in 0_u8..4, owns in proptest::option::of(0_u8..4), role in 0_usize..4) {
            let role = ["owner", "admin", "member", "viewer"][role];
            let viewer = Viewer::User { id: user(asks), role };
            prop_assert_eq!(viewer.sees(owns.map(user)), owns == Some(asks));
            prop_assert!(Viewer::Operator.sees(owns.map(user)));
            prop_assert_eq!(viewer.owner(), Some(user(asks)));
        }
    }

    #[test]
    fn only_the_configured_roles_run_programs() {
        let roles = ["owner".to_owned(), "admin".to_owned()];
        let may = |role| Viewer::User { id: user(1), role }.may_run(&roles);
        assert!(may("owner") && may("admin"));
        assert!(!may("member") && !may("viewer"));
        assert!(Viewer::Operator.may_run(&[]));
    }
}
