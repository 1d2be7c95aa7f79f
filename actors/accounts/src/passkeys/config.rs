//! The group `[accounts.passkeys]`: where passkeys belong.

use ground::config::{Conflict, Field, Group, Key, Limits, Reading, Reload};

use super::relying::{self, Site};

ground::section! {
    /// Where passkeys belong. A browser shows a passkey only to pages of the domain that it was made for, so that a page elsewhere
    /// cannot ask for it.
    pub struct PasskeysConfig {
        /// The domain that passkeys are made for: the host of every origin, or what all of them end in. With another one the passkeys that
        /// there are work no more. When it is not given, it is the host of public_url, else that of the first origin.
        rp_id: Option<String> = None, check check_rp_id, example "\"mainstay.example.org\"", reload subtree;
        /// The web origins whose pages may make and use passkeys. When none is given, it is that of public_url, else that of the domain. With
        /// nothing of all this, passkeys work in a browser on this machine, at localhost.
        origins: Vec<String> = Vec::new(), range ..=20, each |origin: &String| relying::read_origin(origin).map(drop),
            example r#"["https://mainstay.example.org"]"#, reload subtree;
    }
    conflicts contradictions;
}

impl Field for PasskeysConfig {
    fn describe(_default: &Self, key: Key) -> Key {
        Key {
            words: "section".to_owned(),
            members: Self::keys(),
            ..key
        }
    }

    fn read(
        reading: &mut Reading<'_>,
        name: &str,
        _reload: Reload,
        default: Self,
        _limits: &dyn Fn(&Self, &mut Limits),
    ) -> Self {
        reading.beside(name).unwrap_or(default)
    }
}

#[expect(
    clippy::ref_option,
    reason = "a check of a declared key takes a reference to its value"
)]
fn check_rp_id(id: &Option<String>) -> Result<(), String> {
    id.as_deref().map_or(Ok(()), relying::check_domain)
}

/// What does not fit together in the group.
fn contradictions(keys: &PasskeysConfig) -> Vec<Conflict> {
    let Some(id) = keys.rp_id.as_deref() else {
        return Vec::new();
    };
    let sites = keys.origins.iter();
    let sites = sites.filter_map(|origin| relying::read_origin(origin).ok());
    let strangers = sites.filter(|site| !site.is_under(id));
    let strange = |site: Site| Conflict {
        key: "rp_id",
        message: relying::not_under(&site, id),
    };
    strangers.map(strange).collect()
}

/// What does not fit to the address that people reach the daemon by.
pub(crate) fn conflicts(keys: &PasskeysConfig, public_url: Option<&str>) -> Vec<Conflict> {
    let is_given = keys.rp_id.is_some() || !keys.origins.is_empty();
    if !is_given || public_url.is_none() {
        return Vec::new();
    }
    let refused = relying::relying_party(keys, public_url, None).err();
    let conflict = refused.map(|message| Conflict {
        key: "public_url",
        message,
    });
    conflict.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(id: Option<&str>, origins: &[&str]) -> PasskeysConfig {
        PasskeysConfig {
            rp_id: id.map(str::to_owned),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        }
    }

    #[test]
    fn an_id_that_no_origin_ends_in_is_told() {
        let found = |id, origins: &[&str]| contradictions(&group(id, origins)).len();
        assert_eq!(found(Some("example.org"), &["https://example.org"]), 0);
        assert_eq!(found(Some("example.org"), &["https://a.example.org"]), 0);
        assert_eq!(found(None, &["https://a.org", "https://b.org"]), 0);
        let two = &[
            "https://example.com",
            "https://a.example.org",
            "https://fakeexample.org",
        ];
        assert_eq!(found(Some("example.org"), two), 2);
    }

    #[test]
    fn the_public_address_has_to_fit() {
        let public = Some("https://mainstay.example.org/under/here");
        let found = |id, origins: &[&str]| conflicts(&group(id, origins), public).len();
        assert_eq!(found(None, &[]), 0);
        assert_eq!(found(Some("example.org"), &[]), 0);
        assert_eq!(found(Some("example.com"), &[]), 1);
        assert_eq!(found(None, &["https://mainstay.example.org"]), 0);
        assert_eq!(found(None, &["https://other.example.org"]), 1);
        assert_eq!(
            found(Some("example.org"), &["https://other.example.org"]),
            0
        );
        assert!(conflicts(&group(Some("example.com"), &[]), None).is_empty());
    }

    #[test]
    fn an_id_is_a_domain() {
        for right in ["localhost", "example.org", "a.b.example"] {
            assert_eq!(check_rp_id(&Some(right.to_owned())), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "Example.org",
            "https://example.org",
            "10.0.0.1",
            "[::1]",
            "a/b",
            "a b",
            "example.org.",
            "a:1",
        ] {
            assert!(check_rp_id(&Some(wrong.to_owned())).is_err(), "{wrong}");
        }
        assert_eq!(check_rp_id(&None), Ok(()));
    }
}
