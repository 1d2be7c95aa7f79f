//! Dependencies by their path, for operators and drills.

use std::time::Duration;

use crate::dependency::{Dependency, Disturbance, Forced};
use crate::system::{ActError, System};

impl System {
    /// The dependencies in the tree, by path.
    pub fn dependencies(&self) -> Vec<Dependency> {
        self.board().with(|model| {
            let nodes = model.nodes().values();
            nodes.filter_map(|node| node.dependency.clone()).collect()
        })
    }

    /// Disturbs a dependency for `span` (at most 1 h), for drills. Returns the id of the event that notes it.
    ///
    /// # Errors
    /// [`ActError::Unknown`] when there is no node, [`ActError::NoDependency`] when it is none.
    pub fn disturb(
        &self,
        path: &str,
        disturbance: Disturbance,
        span: Duration,
    ) -> Result<u64, ActError> {
        let dependency = self.dependency(path)?;
        let event = self.note_operator(path, &format!("drill: {disturbance}"));
        dependency.inject(disturbance, span);
        Ok(event)
    }

    /// Ends what [`System::disturb`] began, before its time or after it.
    ///
    /// # Errors
    /// As [`System::disturb`].
    pub fn calm(&self, path: &str) -> Result<(), ActError> {
        self.dependency(path).map(|dependency| dependency.calm())
    }

    /// Holds the breaker of a dependency open or closed for `span` (at most 1 h). Returns the id of the event that notes
    /// it.
    ///
    /// # Errors
    /// [`ActError::Unknown`] when there is no node, [`ActError::NoDependency`] when it is none.
    pub fn force(&self, path: &str, forced: Forced, span: Duration) -> Result<u64, ActError> {
        let dependency = self.dependency(path)?;
        let event = self.note_operator(path, &format!("hold {}", forced.word()));
        dependency.force(forced, span);
        Ok(event)
    }

    fn dependency(&self, path: &str) -> Result<Dependency, ActError> {
        self.board().with(|model| {
            let node = model.node(path);
            let node = node.ok_or_else(|| ActError::Unknown(path.to_owned()))?;
            let dependency = node.dependency.clone();
            dependency.ok_or_else(|| ActError::NoDependency(path.to_owned()))
        })
    }
}
