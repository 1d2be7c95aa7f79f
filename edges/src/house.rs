//! Collects domains for the supervisor, and leaves out what the command line leaves out.

use supervisor::{Address, BuildError, Domain, Manifest, Strength, System, SystemBuilder};

use crate::cli::{Failure, UpOptions};

/// Domains on their way into the tree.
pub(crate) struct House {
    builder: SystemBuilder,
    only: Vec<String>,
    without: Vec<String>,
    manifests: Vec<&'static Manifest>,
    pending: Vec<Pending>,
}

/// Brings a domain in, switched on or off.
type Enter = Box<dyn FnOnce(&mut SystemBuilder, bool) + Send>;

/// A domain that is wired and not in the tree yet: whether it comes in depends on those wired later.
struct Pending {
    manifest: &'static Manifest,
    enter: Enter,
}

impl House {
    pub(crate) fn new(options: &UpOptions) -> Self {
        Self {
            builder: SystemBuilder::new(),
            only: options.only.clone(),
            without: options.without.clone(),
            manifests: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// The address of a domain's main actor and the handle on it.
    pub(crate) fn domain<D: Domain>(&self) -> (Address<D::Msg>, D::Handle) {
        let address = self.builder.address::<D>();
        (address.clone(), D::handle(address))
    }

    /// Brings a domain in.
    pub(crate) fn add<D: Domain>(
        &mut self,
        address: Address<D::Msg>,
        config: D::Config,
        ports: D::Ports,
    ) {
        let manifest = SystemBuilder::manifest::<D>();
        self.manifests.push(manifest);
        self.pending.push(Pending {
            manifest,
            enter: Box::new(move |builder, enabled| {
                if enabled {
                    builder.add::<D>(address, config, ports);
                } else {
                    builder.disable::<D>("left out on the command line of `mainstay up`");
                }
            }),
        });
    }

    /// Whether a domain that was brought in is switched on.
    pub(crate) fn runs<D: Domain>(&self) -> bool {
        self.is_enabled(SystemBuilder::manifest::<D>())
    }

    /// Names of the domains that are switched on.
    pub(crate) fn names(&self) -> Vec<String> {
        let enabled = self
            .manifests
            .iter()
            .filter(|manifest| self.is_enabled(manifest));
        enabled.map(|manifest| manifest.name.to_owned()).collect()
    }

    /// Whether all names on the command line are domains.
    ///
    /// # Errors
    /// Names the first that is not, with those that are.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let known: Vec<&str> = self
            .manifests
            .iter()
            .map(|manifest| manifest.name)
            .collect();
        for name in self.only.iter().chain(&self.without) {
            if !known.contains(&name.as_str()) {
                let message = format!(
                    "there is no domain {name:?}; there are {}",
                    known.join(", ")
                );
                return Err(Failure::usage(message).into());
            }
        }
        Ok(())
    }

    /// Starts the tree.
    pub(crate) async fn start(&mut self) -> anyhow::Result<System> {
        let mut builder = std::mem::take(&mut self.builder);
        for pending in std::mem::take(&mut self.pending) {
            (pending.enter)(&mut builder, self.is_enabled(pending.manifest));
        }
        builder.start().await.map_err(|error| match error {
            BuildError::NeedDisabled { domain, need } => {
                anyhow::anyhow!("{domain} cannot do without {need}: leave out both or none")
            }
            other => other.into(),
        })
    }

    fn is_enabled(&self, manifest: &Manifest) -> bool {
        let left_out = self.without.iter().any(|name| name == manifest.name);
        let wanted = self.only.is_empty()
            || self
                .only
                .iter()
                .any(|name| self.reaches(name, manifest.name));
        wanted && !left_out
    }

    /// Whether `from` is `to`, or cannot do without it.
    fn reaches(&self, from: &str, to: &str) -> bool {
        from == to
            || self
                .manifests
                .iter()
                .find(|manifest| manifest.name == from)
                .is_some_and(|manifest| {
                    let hard = manifest
                        .needs
                        .iter()
                        .filter(|need| need.strength == Strength::Hard);
                    hard.into_iter().any(|need| self.reaches(need.domain, to))
                })
    }
}
