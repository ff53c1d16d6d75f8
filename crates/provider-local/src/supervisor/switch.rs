//! The dead man's switch: a held move goes back when nobody says that he lives.

use super::{saved::SavedRoutes, service::Service};
use crate::{note, time::now};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;
use towpath_provider::{Mover, Routes};

/// When the switch of a move that was saved acts, by the monotonic clock. While no supervisor ran, the wall clock went on.
pub(super) fn deadline(saved: &SavedRoutes) -> Option<Instant> {
    let hold = Duration::from_millis(saved.hold_ms?);
    let left = saved.routes.held_until?.since(now());
    // A wall clock that was set back does not make a hold longer than it was.
    Some(Instant::now() + left.min(hold))
}

/// Where the switch leads.
pub(super) fn gone_back(routes: &Routes, revision: String) -> Routes {
    let moved_by = match &routes.moved_by {
        Mover::Key(key) => Mover::Switch(key.clone()),
        other => other.clone(),
    };
    Routes {
        stable: routes.stable.clone(),
        weights: BTreeMap::from([(routes.stable.clone(), 100)]),
        revision,
        moved_by,
        at: now(),
        held_until: None,
    }
}

/// Waits for holds to end, for as long as the service is there.
pub(super) async fn watch(service: Arc<Service>) {
    loop {
        let told = service.moved.notified();
        let mut told = std::pin::pin!(told);
        told.as_mut().enable();
        match service.hold_ends() {
            Some(at) => tokio::select! {
                () = told => {}
                () = tokio::time::sleep_until(at) => {
                    if let Some(routes) = service.switch().await {
                        note(format_args!(
                            "{}: nobody said that he lives, all traffic goes to {}",
                            service.name, routes.stable
                        ));
                    }
                }
            },
            None => told.await,
        }
    }
}
