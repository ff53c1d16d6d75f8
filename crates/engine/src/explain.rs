//! Why a run does not move.

use crate::{
    EngineError, EngineErrorKind,
    fold::{Unfolded, fold},
    shared::Shared,
};
use towpath_machine::{Explanation, Mover, Wait};
use towpath_model::Status;
use towpath_store::RunRow;

pub(crate) const OPERATION: &str = "explain a run";

/// Why a run does not move, from its journal; from its row, when that cannot be folded.
pub(crate) async fn explain(shared: &Shared, row: &RunRow) -> Result<Explanation, EngineError> {
    match row.listing.status {
        Status::Quarantined => return Ok(from_row(row, "the run is quarantined", vec!["retry", "abandon"])),
        Status::Blocked => return Ok(from_row(row, "the run waits for a worker that can drive it", vec![])),
        _ => {}
    }
    match fold(shared, row.run, row.no).await {
        Ok(folded) => Ok(folded.state.explain()),
        Err(Unfolded::Store(error)) => Err(EngineError::store(OPERATION, error).with("run", row.run)),
        Err(error) => {
            Err(EngineError::new(EngineErrorKind::Corrupt, OPERATION).with("run", row.run).because(error))
        }
    }
}

fn from_row(row: &RunRow, summary: &str, verbs: Vec<&'static str>) -> Explanation {
    let mover = if verbs.is_empty() { Mover::Worker } else { Mover::Operator(verbs.clone()) };
    let wait = Wait { step: None, what: row.listing.note.clone(), since: row.changed_at, mover };
    Explanation { summary: summary.into(), waits: vec![wait], verbs }
}
