//! The engine of a command that drives, and when it is to stop.

use crate::fault::{Fault, chain};
use std::{error::Error, sync::Arc};
use towpath::{
    engine::{Builder, Engine, LocalKey},
    store::Store,
};

/// Names the file of the key that signs what settles.
const SIGNING_KEY: &str = "TOWPATH_SIGNING_KEY";

/// Makes the engine ready that drives runs.
pub(crate) type Setup = Box<dyn FnOnce(Builder) -> Ready + Send>;

/// An engine with everything that it needs, or why it cannot have it.
pub type Ready = Result<Builder, Box<dyn Error + Send + Sync>>;

/// An engine on a store, made ready as the user of this command has it; with the stock steps when it is the stock command.
pub(crate) fn builder(store: Arc<dyn Store>, setup: Option<Setup>) -> Result<Builder, Fault> {
    let builder = Engine::builder(store);
    let builder = match setup {
        Some(setup) => {
            setup(builder).map_err(|e| Fault::failed(format!("set the engine up: {}", chain(&*e))))
        }
        None => Ok(builder.steps(towpath::stock::steps())),
    }?;
    match std::env::var_os(SIGNING_KEY).filter(|path| !path.is_empty()) {
        Some(path) => match LocalKey::open(&path) {
            Ok(key) => Ok(builder.signer(key)),
            Err(e) => Err(Fault::failed(format!("${SIGNING_KEY}: {e}"))),
        },
        None => Ok(builder),
    }
}

/// Returns when the process is asked to stop.
pub(crate) async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut terminate, mut interrupt) =
            match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
                (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
                // Without a handler the signal ends the process, and the next one asks the world.
                _ => return std::future::pending().await,
            };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
