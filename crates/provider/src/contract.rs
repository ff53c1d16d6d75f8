//! Suites that hold a provider to the contract of its trait. A fake and the real one pass the same suite.
//!
//! A suite is a list of async functions, one per promise, and `all`, which runs them. Each takes a *world*: the provider and
//! what is around it, so that the suite can break an answer, move something behind the provider's back and let time pass.
//! A suite panics at the first promise that is not kept, and says which; the names of services that it uses are its own,
//! so that one world serves all of it.
//!
//! - [`platform`] for a [`Platform`](crate::Platform),
//! - [`routing`] for a [`TrafficRouter`](crate::TrafficRouter),
//! - [`metrics`] for a [`MetricsSource`](crate::MetricsSource),
//! - [`database`] for a [`Database`](crate::Database), which takes many of them, for each promise needs one of its own,
//! - [`image`] for an [`ImageBuilder`](crate::ImageBuilder),
//! - [`registry`] for a [`Registry`](crate::Registry),
//! - [`scanner`] for a [`Scanner`](crate::Scanner), which takes files and no world, for it has no effect to lose.

pub mod database;
pub mod image;
pub mod metrics;
pub mod platform;
pub mod registry;
pub mod routing;
pub mod scanner;

use crate::{ProviderError, ProviderErrorKind};
use async_trait::async_trait;
use std::time::Duration;

/// What happens to one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The request takes effect, and its answer is lost.
    LostAnswer,
    /// The request does not get there.
    Unavailable,
}

/// What is around a provider.
#[async_trait]
pub trait World: Send + Sync {
    /// Has the next call that reaches the other side meet this fault; one call, and the next one only. `false` where this
    /// world cannot do it; what the fault would have shown is then not looked at.
    async fn arm(&self, fault: Fault) -> bool;

    /// How many armed faults have hit a call.
    async fn hits(&self) -> u64;

    /// Lets this much time pass, virtual or real.
    async fn pass(&self, time: Duration);
}

/// Arms a fault; `None` when the world cannot, else how many had hit before.
async fn armed(world: &(impl World + ?Sized), fault: Fault) -> Option<u64> {
    let before = world.hits().await;
    world.arm(fault).await.then_some(before)
}

/// The error of a call that was to meet a fault, which must have hit it.
async fn faulted<T: std::fmt::Debug>(
    world: &(impl World + ?Sized),
    fault: Fault,
    before: u64,
    result: Result<T, ProviderError>,
) {
    let what = match fault {
        Fault::LostAnswer => ProviderErrorKind::OutcomeUnknown,
        Fault::Unavailable => ProviderErrorKind::Unavailable,
    };
    assert_eq!(world.hits().await, before + 1, "the fault did not hit the call that it was aimed at");
    refused(result, what, "a call that met the fault");
}

/// The call must have failed in this way.
fn refused<T: std::fmt::Debug>(result: Result<T, ProviderError>, kind: ProviderErrorKind, what: &str) {
    match result {
        Err(error) => assert_eq!(error.kind(), kind, "{what} must be {kind}, and it is: {error:?}"),
        Ok(answer) => panic!("{what} must be {kind}, and it was answered with {answer:?}"),
    }
}

/// The call must have been answered.
fn answered<T>(result: Result<T, ProviderError>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what} must be answered, and it failed: {error:?}"))
}

/// A key of its own for each number.
fn key(n: u8) -> towpath_model::Key {
    use towpath_model::{Key, KeyPhase, RunId, StepId};
    let step = StepId::new("contract").expect("a word is an id");
    Key::derive(RunId::from_bytes([n; 16]), &step, KeyPhase::Run, "effect", 0)
}
