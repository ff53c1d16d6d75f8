//! Ids that nobody has used.

use crate::fault::Fault;
use std::hash::{BuildHasher, Hasher, RandomState};
use towpath::{
    model::{Name, RunKey},
    store::Store,
};

/// The standard library seeds its hash maps with what the system gives as random.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// An id for something that is sent: the time, this process, and a random number.
pub(crate) async fn entry(store: &dyn Store) -> Result<Name, Fault> {
    let now = store.now().await?.as_micros();
    let id = format!("cli/{now}-{}-{:016x}", std::process::id(), random());
    Ok(Name::new(&id).expect("numbers and dashes are a name"))
}

/// A key for a run, to be read by people: the time, and a random number.
pub(crate) async fn run_key(store: &dyn Store) -> Result<RunKey, Fault> {
    let now = store.now().await?.to_string();
    let time: String = now.chars().take(19).filter(|c| !"-:".contains(*c)).collect();
    let key = format!("{time}-{:08x}", random() >> 32);
    Ok(RunKey::new(&key).expect("digits and dashes are a key"))
}
