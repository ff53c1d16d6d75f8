//! Why a run does not move.

use crate::{
    EngineError, EngineErrorKind,
    fold::{Unfolded, fold},
    shared::Shared,
};
use std::collections::VecDeque;
use towpath_machine::{Explanation, Mover, Wait};
use towpath_model::{Name, RunId, Status, StepId, Timestamp};
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
        Ok(folded) => {
            let mut explanation = folded.state.explain();
            let of_items = items(shared, &explanation).await?;
            explanation.waits.extend(of_items);
            holders(shared, &mut explanation).await?;
            Ok(explanation)
        }
        Err(Unfolded::Store(error)) => Err(EngineError::store(OPERATION, error).with("run", row.run)),
        Err(error) => {
            Err(EngineError::new(EngineErrorKind::Corrupt, OPERATION).with("run", row.run).because(error))
        }
    }
}

/// Says of locks that the run waits for who holds them, and what becomes of that run.
async fn holders(shared: &Shared, explanation: &mut Explanation) -> Result<(), EngineError> {
    let failed = |e| EngineError::store(OPERATION, e);
    for wait in &mut explanation.waits {
        let Mover::Locks(names) = &wait.mover else { continue };
        let rows = shared.store.locks().await.map_err(failed)?;
        for row in rows.into_iter().filter(|row| names.contains(&row.lock)) {
            let Some((run, since)) = row.holder else { continue };
            let Some(holder) = shared.store.find(run).await.map_err(failed)? else { continue };
            let text = held_by(&row.lock, &holder, since);
            wait.what.push_str(&format!("; {text}"));
        }
    }
    Ok(())
}

/// Who holds a lock, in words.
///
/// A run keeps its locks when it rests for an operator, since what they protect is in an unknown state; so what becomes of
/// that run is part of the answer.
pub fn held_by(lock: &Name, holder: &RunRow, since: Timestamp) -> String {
    let (run, status, note) = (holder.run, holder.listing.status, &holder.listing.note);
    let why = if note.is_empty() { String::new() } else { format!(" ({note})") };
    let keeps = match status {
        Status::Stuck => ", and keeps it until an operator decides",
        Status::Quarantined => ", and keeps it until that run is repaired or given up",
        _ => "",
    };
    format!("{lock} is held by run {run} of {} since {since}, which is {status}{why}{keeps}", holder.pipeline)
}

/// Runs that are items, and items of items, that are looked at for one explanation.
const ITEMS_MOST: usize = 20;

/// What somebody has to do about runs that are items of this one, so that it moves: of the first of those under way.
async fn items(shared: &Shared, of: &Explanation) -> Result<Vec<Wait>, EngineError> {
    let runs_of = |explanation: &Explanation| -> Vec<RunId> {
        let runs = explanation.waits.iter().filter_map(|wait| match &wait.mover {
            Mover::Items(runs) => Some(runs.clone()),
            _ => None,
        });
        runs.flatten().collect()
    };
    let (mut open, mut waits, mut looked) = (VecDeque::from(runs_of(of)), Vec::new(), 0);
    while let Some(run) = open.pop_front() {
        if looked == ITEMS_MOST {
            break;
        }
        looked += 1;
        let row = shared.store.find(run).await.map_err(|e| EngineError::store(OPERATION, e))?;
        let Some(row) = row else { continue };
        let (path, explanation) = match row.listing.status {
            Status::Quarantined => (None, from_row(&row, "", vec!["retry", "abandon"])),
            Status::Settled | Status::Blocked => continue,
            _ => match fold(shared, run, row.no).await {
                Ok(folded) => (folded.state.below().map(|b| b.path.clone()), folded.state.explain()),
                // It moves on, or is set aside, and is told of then.
                Err(_) => continue,
            },
        };
        open.extend(runs_of(&explanation));
        let moved = explanation
            .waits
            .into_iter()
            .filter(|wait| matches!(wait.mover, Mover::Operator(_) | Mover::Signal { .. }));
        waits.extend(moved.map(|wait| {
            let within = |step: StepId| path.as_ref().and_then(|path| step.within(path).ok()).unwrap_or(step);
            let step = wait.step.map(within).or_else(|| path.clone());
            Wait { step, what: format!("(run {run}) {}", wait.what), ..wait }
        }));
    }
    Ok(waits)
}

fn from_row(row: &RunRow, summary: &str, verbs: Vec<&'static str>) -> Explanation {
    let mover = if verbs.is_empty() { Mover::Worker } else { Mover::Operator(verbs.clone()) };
    let wait = Wait { step: None, what: row.listing.note.clone(), since: row.changed_at, mover };
    Explanation { summary: summary.into(), waits: vec![wait], verbs }
}
