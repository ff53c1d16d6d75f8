//! What goes wrong with which call.

use super::FakeCluster;
use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};
use towpath_provider::{ProviderError, ProviderErrorKind};

/// What goes wrong with one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallFault {
    /// It does not get there: nothing takes effect.
    Unavailable,
    /// The other side has had too many calls: nothing takes effect.
    RateLimited,
    /// It takes effect, and its answer is lost.
    LostAnswer,
    /// It takes effect, and its answer is none: a call that only reads is `Unexpected`, another one `OutcomeUnknown`.
    Malformed,
}

type Happening = Box<dyn FnOnce(&FakeCluster) + Send>;

#[derive(Default)]
pub(super) struct Calls {
    /// The calls so far, by name.
    made: Vec<&'static str>,
    /// By number, counted from 1.
    faults: BTreeMap<usize, CallFault>,
    next: Option<CallFault>,
    happenings: BTreeMap<usize, Happening>,
    hits: u64,
    outage: Option<&'static str>,
}

impl FakeCluster {
    /// The calls of providers so far, in their order, by the names of the traits' methods.
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls_lock().made.clone()
    }

    /// Has the n-th call, counted from 1, go wrong.
    pub fn fail_call(&self, n: usize, fault: CallFault) {
        self.calls_lock().faults.insert(n, fault);
    }

    /// Has the next call go wrong.
    pub fn fail_next(&self, fault: CallFault) {
        self.calls_lock().next = Some(fault);
    }

    /// Has all calls of a method be unavailable until it is called with `None`.
    pub fn fail_all(&self, method: Option<&'static str>) {
        self.calls_lock().outage = method;
    }

    /// Has something happen just before the n-th call, counted from 1.
    pub fn before_call(&self, n: usize, happens: impl FnOnce(&FakeCluster) + Send + 'static) {
        self.calls_lock().happenings.insert(n, Box::new(happens));
    }

    /// How many faults, outages apart, and happenings there were: a test asserts that its own was among them.
    pub fn hits(&self) -> u64 {
        self.calls_lock().hits
    }

    fn calls_lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; says what goes wrong with it.
    fn called(&self, method: &'static str) -> Option<CallFault> {
        let happening = {
            let mut calls = self.calls_lock();
            calls.made.push(method);
            let n = calls.made.len();
            let happening = calls.happenings.remove(&n);
            calls.hits += u64::from(happening.is_some());
            happening
        };
        if let Some(happens) = happening {
            happens(self);
        }
        let mut calls = self.calls_lock();
        let n = calls.made.len();
        let fault = calls.faults.remove(&n).or(calls.next.take());
        calls.hits += u64::from(fault.is_some());
        fault.or((calls.outage == Some(method)).then_some(CallFault::Unavailable))
    }

    /// Makes a call, unless something goes wrong with it.
    pub(super) fn call<T>(
        &self,
        method: &'static str,
        effect: impl FnOnce() -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let made = match self.called(method) {
            None => effect(),
            Some(CallFault::Unavailable) => Err(ProviderError::unavailable("the cluster cannot be reached")),
            Some(CallFault::RateLimited) => {
                let error = ProviderError::new(ProviderErrorKind::RateLimited, "too many calls");
                Err(error.after(Duration::from_secs(1)))
            }
            // What is refused was refused, whether its answer was lost or not.
            Some(CallFault::LostAnswer) => effect()
                .and_then(|_| Err(ProviderError::outcome_unknown("the answer of the cluster was lost"))),
            Some(CallFault::Malformed) => effect().and_then(|_| {
                Err(ProviderError::outcome_unknown("the answer of the cluster cannot be read"))
            }),
        };
        made.map_err(|error| error.during(method))
    }
}
