//! For whom passkeys are made: the domain, and the origins whose pages may ask. No I/O.
//!
//! What is not configured follows from the address in the links of mails: whoever set that has said where people reach the daemon. With
//! nothing at all there is `localhost`, which browsers take for safe without TLS; of every other place they must be told.

use url::{Host, Url};
use webauthn_rp::request::{AsciiDomain, RpId};

use super::config::PasskeysConfig;

/// For whom passkeys are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelyingParty {
    /// The domain.
    pub(crate) id: RpId,
    /// The origins, as browsers write them. At least one.
    pub(crate) origins: Vec<String>,
}

impl RelyingParty {
    /// Whether pages of this origin may ask.
    pub(crate) fn has(&self, origin: &str) -> bool {
        self.origins.iter().any(|own| own == origin)
    }
}

/// An origin whose pages can have passkeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// As browsers write it.
    origin: String,
    host: String,
}

impl Site {
    /// Whether a passkey of this domain is shown to its pages.
    pub(crate) fn is_under(&self, id: &str) -> bool {
        let above = self.host.strip_suffix(id);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }
}

/// Why a site cannot have passkeys of a domain.
pub(crate) fn not_under(site: &Site, id: &str) -> String {
    format!(
        "expected the host of every origin, or what all of them end in: {} is not under {id}",
        site.origin
    )
}

/// Decides for whom passkeys are made. `own` is the origin of the daemon's own listener on this machine, if it has one.
///
/// # Errors
/// Why they cannot be: a sentence that names the keys to set.
pub(crate) fn relying_party(
    config: &PasskeysConfig,
    public_url: Option<&str>,
    own: Option<&str>,
) -> Result<RelyingParty, String> {
    let public = public_url.map(read_site).transpose();
    let sites = match (&config.rp_id, config.origins.as_slice()) {
        (None, []) => {
            let public = public.clone()?;
            let site =
                public.map_or_else(|| own.map(read_site).transpose(), |site| Ok(Some(site)))?;
            vec![site.ok_or_else(nothing_set)?]
        }
        (Some(id), []) => match public.clone().ok().flatten() {
            Some(site) => vec![site],
            None => vec![read_site(&format!("https://{id}"))?],
        },
        (_, origins) => {
            let sites = origins.iter().map(|origin| read_origin(origin));
            sites.collect::<Result<_, _>>()?
        }
    };
    let public_host = public.ok().flatten().map(|site| site.host);
    let first_host = sites.first().map(|site| site.host.clone());
    let id = config.rp_id.clone().or(public_host).or(first_host);
    let id = id.ok_or_else(nothing_set)?;
    check_domain(&id)?;
    if let Some(stranger) = sites.iter().find(|site| !site.is_under(&id)) {
        return Err(not_under(stranger, &id));
    }
    let domain = AsciiDomain::try_from(id).map_err(|error| error.to_string())?;
    Ok(RelyingParty {
        id: RpId::Domain(domain),
        origins: sites.into_iter().map(|site| site.origin).collect(),
    })
}

fn nothing_set() -> String {
    "expected `accounts.public_url`, or `accounts.passkeys.rp_id` and `.origins`: this daemon can be reached from elsewhere, and nothing says by which name".to_owned()
}

/// Reads an origin that pages can have: nothing but scheme, host and port.
///
/// # Errors
/// What is wrong, in a sentence.
pub(crate) fn read_origin(text: &str) -> Result<Site, String> {
    let site = read_site(text)?;
    if site.origin == text {
        return Ok(site);
    }
    Err(format!(
        "expected an origin such as {:?}, found {text:?}",
        site.origin
    ))
}

/// Reads the origin out of an address.
fn read_site(text: &str) -> Result<Site, String> {
    let refuse = |why: &str| {
        Err(format!(
            "expected an origin such as \"https://mainstay.example.org\", {why}; found {text:?}"
        ))
    };
    let Ok(url) = Url::parse(text) else {
        return refuse("with scheme and host");
    };
    let Some(Host::Domain(host)) = url.host() else {
        return refuse("with a name, as an IP address cannot have passkeys");
    };
    if !host.bytes().all(is_of_a_name) {
        return refuse("with a plain name");
    }
    let is_local = host == "localhost" || host.ends_with(".localhost");
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        _ => return refuse("with https, as browsers want it everywhere but at localhost"),
    }
    Ok(Site {
        origin: url.origin().ascii_serialization(),
        host: host.to_owned(),
    })
}

/// Whether passkeys can be made for a domain.
///
/// # Errors
/// What is wrong, in a sentence.
pub(crate) fn check_domain(text: &str) -> Result<(), String> {
    let is_plain = match Host::parse(text) {
        Ok(Host::Domain(domain)) => {
            domain == text && !text.ends_with('.') && text.bytes().all(is_of_a_name)
        }
        Ok(_) | Err(_) => false,
    };
    if is_plain {
        return Ok(());
    }
    Err(format!(
        "expected a domain in lowercase such as \"example.org\", without scheme and port and no IP address, found {text:?}"
    ))
}

/// Hosts may hold more by the rules of addresses, and nobody's name does.
const fn is_of_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(id: Option<&str>, origins: &[&str]) -> PasskeysConfig {
        PasskeysConfig {
            rp_id: id.map(str::to_owned),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        }
    }

    fn decided(
        config: &PasskeysConfig,
        public: Option<&str>,
        own: Option<&str>,
    ) -> Option<(String, Vec<String>)> {
        let relying = relying_party(config, public, own).ok()?;
        Some((relying.id.as_ref().to_owned(), relying.origins))
    }

    fn is(id: &str, origins: &[&str]) -> (String, Vec<String>) {
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        (id.to_owned(), origins)
    }

    #[test]
    fn the_public_address_stands_for_what_is_not_set() {
        let nothing = config(None, &[]);
        let public = Some("https://mainstay.example.org/there/");
        let own = Some("http://localhost:4110");
        assert_eq!(
            decided(&nothing, public, own),
            Some(is(
                "mainstay.example.org",
                &["https://mainstay.example.org"]
            ))
        );
        assert_eq!(
            decided(&nothing, None, own),
            Some(is("localhost", &["http://localhost:4110"]))
        );
        let wide = config(Some("example.org"), &[]);
        assert_eq!(
            decided(&wide, public, own),
            Some(is("example.org", &["https://mainstay.example.org"]))
        );
        assert_eq!(
            decided(&wide, None, own),
            Some(is("example.org", &["https://example.org"]))
        );
        let two = config(None, &["https://a.example", "https://b.a.example:8443"]);
        assert_eq!(
            decided(&two, None, own),
            Some(is(
                "a.example",
                &["https://a.example", "https://b.a.example:8443"]
            ))
        );
    }

    #[test]
    fn what_cannot_work_says_which_keys_to_set() {
        let nothing = config(None, &[]);
        let why = relying_party(&nothing, None, None).expect_err("nothing is known");
        assert!(why.contains("accounts.public_url") && why.contains("accounts.passkeys.rp_id"));
        assert_eq!(decided(&nothing, Some("https://10.0.0.1"), None), None);
        assert_eq!(
            decided(&nothing, Some("http://mainstay.example"), None),
            None
        );
        let elsewhere = config(Some("example.com"), &[]);
        assert_eq!(
            decided(&elsewhere, Some("https://a.example.org"), None),
            None
        );
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for right in [
            "https://a.example",
            "https://a.example:8443",
            "http://localhost:4110",
            "http://localhost",
        ] {
            assert!(read_origin(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "a.example",
            "https://a.example/",
            "https://a.example:443",
            "https://A.example",
            "http://a.example",
            "https://10.0.0.1",
            "https://[::1]",
            "https://u@a.example",
            "ftp://a.example",
            "https://*.a.example",
        ] {
            assert!(read_origin(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_decided_fits_together(id in proptest::option::of("[a-c.]{0,6}"), origins in proptest::collection::vec("https?://[a-c.]{0,6}(:80)?", 0..3), public in proptest::option::of("https://[a-c.]{1,6}")) {
            let config = PasskeysConfig { rp_id: id, origins };
            if let Ok(relying) = relying_party(&config, public.as_deref(), None) {
                prop_assert!(!relying.origins.is_empty());
                for origin in &relying.origins {
                    let host = Url::parse(origin).expect("an origin").host_str().expect("a host").to_owned();
                    let id = relying.id.as_ref();
                    let below = format!(".{id}");
                    prop_assert!(host == id || host.ends_with(&below));
                }
            }
        }
    }
}
