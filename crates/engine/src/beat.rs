//! What goes by the clock and not by a run: freezes that end, schedules that tick.

use crate::{
    EngineError,
    config::POLL,
    freeze,
    shared::{Phase, Shared},
};
use std::sync::Arc;
use tokio::time::Instant;
use towpath_model::Timestamp;

/// Looks at the clock until the engine stops.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut phases = shared.phases();
    while shared.phase() == Phase::Open {
        let next = match look(&shared).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(error = %error, "freezes and schedules cannot be looked at; trying again");
                None
            }
        };
        // What others declare and set is seen within a second, whatever is due next.
        let wait = next.map_or(POLL, |at| at.since(shared.now()).clamp(crate::config::POLL_LEAST, POLL));
        tokio::select! {
            () = tokio::time::sleep_until(Instant::now() + wait) => {}
            _ = phases.changed() => {}
        }
    }
}

/// Does what is due by now; when something will be due next.
pub(crate) async fn look(shared: &Arc<Shared>) -> Result<Option<Timestamp>, EngineError> {
    let ends = freeze::expire(shared).await?;
    #[cfg(feature = "schedule")]
    let ticks = crate::schedule::look(shared).await?;
    #[cfg(not(feature = "schedule"))]
    let ticks = None;
    Ok([ends, ticks].into_iter().flatten().min())
}
