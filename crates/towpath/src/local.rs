//! Releases on this machine, to be bound to an environment.

use std::{ffi::OsString, ops::Deref, path::Path, sync::Arc};
use towpath_provider::{MetricsSource, Platform, TrafficRouter};
use towpath_step::{Offers, Provider};

pub use towpath_provider_local::{ServiceState, folder_digest, supervise, supervise_here};

/// Releases on this machine, as what an environment needs of them: a [`Platform`], a [`TrafficRouter`] and a
/// [`MetricsSource`]. It is [`towpath_provider_local::Local`], which it dereferences to, made ready to be bound.
///
/// A program that uses it calls [`supervise_here`] first in its `main`.
///
/// ```
/// use towpath::{Engine, local::{Local, supervise_here}};
///
/// supervise_here();
/// let local = Local::at("releases").listen("orders", 8080);
/// let engine = Engine::open("sqlite:deploys.db").bind("production", local);
/// ```
#[derive(Clone, Debug)]
pub struct Local(towpath_provider_local::Local);

impl Local {
    /// The releases in this folder: see [`towpath_provider_local::Local::at`].
    pub fn at(folder: impl AsRef<Path>) -> Self {
        Local(towpath_provider_local::Local::at(folder))
    }

    /// Has a service listen at this port of the loopback interface: see [`towpath_provider_local::Local::listen`].
    #[must_use]
    pub fn listen(self, service: impl Into<String>, port: u16) -> Self {
        Local(self.0.listen(service, port))
    }

    /// Has another program become the supervisor: see [`towpath_provider_local::Local::supervisor`].
    #[must_use]
    pub fn supervisor(
        self,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Local(self.0.supervisor(program, arguments))
    }
}

impl Deref for Local {
    type Target = towpath_provider_local::Local;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Provider for Local {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        let local = Arc::new(self.0.clone());
        to.put::<dyn Platform>(local.clone()).put::<dyn TrafficRouter>(local.clone());
        to.put::<dyn MetricsSource>(local);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_step::Providers;

    #[test]
    fn releases_on_this_machine_are_all_that_an_environment_needs_of_them() {
        let providers = Providers::new().provide("production", Local::at("releases"));
        assert!(providers.get::<dyn Platform>("production").is_some());
        assert!(providers.get::<dyn TrafficRouter>("production").is_some());
        assert!(providers.get::<dyn MetricsSource>("production").is_some());
    }
}
