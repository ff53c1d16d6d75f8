//! The cluster as a source of metrics.

use super::{FakeCluster, state::Service};
use async_trait::async_trait;
use std::time::Duration;
use towpath_model::Timestamp;
use towpath_provider::{Counts, Latency, MetricsCapability, MetricsSource, ProviderError, Window};

/// How far back it tells.
const KEEPS: Duration = Duration::from_secs(24 * 3_600);

#[async_trait]
impl MetricsSource for FakeCluster {
    fn capability(&self) -> MetricsCapability {
        MetricsCapability::default().latency().resolution(Duration::from_millis(1)).keeps(KEEPS)
    }

    async fn counts(&self, service: &str, version: &str, window: Window) -> Result<Counts, ProviderError> {
        self.call("counts", || {
            let now = self.now();
            if now.since(window.from) > KEEPS {
                return Err(ProviderError::unsupported("the window begins before what is kept"));
            }
            let mut state = self.state();
            let service = state.service(service);
            let _ = service.routes_at(now);
            Ok(counts(service, version, window, now))
        })
    }
}

impl FakeCluster {
    /// Has a release answer so many requests now, some of them with a failure.
    pub fn serve(&self, service: &str, version: &str, requests: u64, errors: u64) {
        let at = self.now();
        let served = super::state::Served { at, version: version.to_owned(), requests, errors };
        self.state().service(service).served.push(served);
    }
}

fn counts(service: &Service, version: &str, window: Window, now: Timestamp) -> Counts {
    let script = service.script_of(version);
    let (mut requests, mut errors) = (0, 0);
    for served in service.served.iter().filter(|served| served.version == version) {
        if served.at >= window.from && served.at < window.to {
            requests += served.requests;
            errors += served.errors;
        }
    }
    // Whole requests of the flow so far: windows that follow each other count each of them once.
    let (from, to) = (flowed(service, version, window.from), flowed(service, version, window.to.min(now)));
    let whole = |part: f64| ((to * part).floor() - (from * part).floor()).max(0.0) as u64;
    let flow = whole(1.0);
    requests += flow;
    errors += whole(script.errors).min(flow);
    let slow = whole(script.slow).min(flow);
    let (quick, ten_times) = (requests - slow.min(requests), script.latency_us * 10);
    let at_most = vec![(script.latency_us, quick), (script.latency_us * 2, quick), (ten_times, requests)];
    Counts { requests, errors, latency: Latency { at_most } }
}

/// The requests that have come to a release by weight, until this point in time.
fn flowed(service: &Service, version: &str, until: Timestamp) -> f64 {
    let mut flowed = 0.0;
    for (n, (begin, per_second)) in service.arrivals.iter().enumerate() {
        let end = service.arrivals.get(n + 1).map_or(until, |(next, _)| (*next).min(until));
        for (m, routes) in service.moves.iter().enumerate() {
            let from = routes.at.max(*begin);
            let to = service.moves.get(m + 1).map_or(end, |next| next.at.min(end));
            let weight = f64::from(routes.weight(version)) / 100.0;
            flowed += to.since(from).as_secs_f64() * per_second * weight;
        }
    }
    flowed
}
