//! Looking at the clock, and starting runs.

use super::{
    record::{Due, Overlap, Spec, Stored, Ticked, key, text},
    verbs::cron,
};
use crate::{EngineError, EngineErrorKind, note, shared::Shared, start};
use std::sync::Arc;
use towpath_model::{Actor, Json, Name, RunKey, Status, Timestamp};
use towpath_step::{Params, Pipeline};
use towpath_store::{Filter, Page};

const FIRE: &str = "start the run of a tick";

/// Starts what is due by the schedules of this engine's pipelines; when the next tick is.
pub(crate) async fn look(shared: &Arc<Shared>) -> Result<Option<Timestamp>, EngineError> {
    let mut next: Option<Timestamp> = None;
    for kept in note::all::<Stored>(&*shared.store).await? {
        let looked = match kept {
            Ok(kept) => one(shared, kept).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(Some(tick)) => next = Some(next.map_or(tick, |next| next.min(tick))),
            Ok(None) => {}
            // One that cannot be looked at holds up no other.
            Err(error) => tracing::warn!(error = %error, "a schedule cannot be looked at"),
        }
    }
    Ok(next)
}

async fn one(shared: &Arc<Shared>, mut kept: note::Kept<Stored>) -> Result<Option<Timestamp>, EngineError> {
    let Some(spec) = kept.record.spec.clone() else { return Ok(None) };
    // Another worker holds its pipeline, or none does: then its ticks are missed.
    let Some(pipeline) = shared.pipelines.get(spec.pipeline.as_str()) else { return Ok(None) };
    let cron = cron(&spec)?;
    let name = kept.at.name.clone();
    let now = shared.now();
    let has_ticked = cron.next(kept.record.seen.unwrap_or(now)).is_some_and(|tick| tick <= now);
    let is_going = (has_ticked || !kept.record.due.is_empty()) && is_going(shared, &name).await?;
    // Written before anything is started: whoever goes on from here starts the same.
    if kept.record.decide(&cron, now, is_going) && !note::write(&*shared.store, &mut kept).await? {
        // Another engine is about it.
        return Ok(Some(now));
    }
    let mut may_start = spec.overlap == Overlap::Allow || !is_going;
    while may_start && let Some(due) = kept.record.due.first().cloned() {
        may_start = spec.overlap == Overlap::Allow;
        let told = start_one(shared, &name, &spec, pipeline, &due).await;
        if !settle(shared, &mut kept, due, &spec, told).await? {
            break;
        }
    }
    Ok(cron.next(kept.record.seen.unwrap_or(now)))
}

/// Writes down what became of a tick that was due; whether it is no longer.
async fn settle(
    shared: &Shared,
    kept: &mut note::Kept<Stored>,
    due: Due,
    spec: &Spec,
    told: Result<Ticked, EngineError>,
) -> Result<bool, EngineError> {
    let stored = &mut kept.record;
    let before = stored.clone();
    let is_over = match told {
        Ok(ticked) => {
            stored.last = Some(ticked);
            stored.trouble = None;
            true
        }
        // What was to go out at night is not to go out whenever somebody lifts a freeze.
        Err(error) if *error.kind() == EngineErrorKind::Frozen && spec.overlap != Overlap::Queue => {
            stored.skip(due.tick, error.to_string());
            true
        }
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            stored.trouble = Some(error.to_string());
            false
        }
    };
    if is_over {
        stored.due.retain(|there| *there != due);
    }
    if *stored == before {
        return Ok(is_over);
    }
    // Somebody else who was faster has started the same run, or will.
    Ok(note::write(&*shared.store, kept).await? && is_over)
}

async fn start_one(
    shared: &Arc<Shared>,
    name: &Name,
    spec: &Spec,
    pipeline: &Pipeline<Json>,
    due: &Due,
) -> Result<Ticked, EngineError> {
    let unfit = |problem: String| EngineError::unfit(FIRE, vec![problem]);
    let mut params = Params::from(spec.params.clone());
    if pipeline.params().any(|(param, _)| param == "tick") && !spec.params.contains_key("tick") {
        params = params.set("tick", &text(due.tick));
    }
    let plan = pipeline.with(params).map_err(|problems| unfit(problems.to_string()))?;
    let key = RunKey::new(&key(name, due.tick)).map_err(|e| unfit(e.to_string()))?;
    let mut labels = spec.labels.clone();
    labels.insert("schedule".to_owned(), name.to_string());
    labels.insert("tick".to_owned(), text(due.tick));
    let (by, reason) = match &due.backfill {
        Some(by) => (by.clone(), format!("made up for by {by}")),
        None => (Actor::new(&format!("schedule:{name}")).map_err(|e| unfit(e.to_string()))?, String::new()),
    };
    let started = start::by_schedule(shared, &plan, key, labels, reason, by).await;
    match started {
        Ok(run) => Ok(Ticked { tick: due.tick, run }),
        Err(error) => match error.kind() {
            // The values were changed since, or somebody took the key: the tick has its run.
            EngineErrorKind::KeyTaken { run, .. } => Ok(Ticked { tick: due.tick, run: *run }),
            _ => Err(error),
        },
    }
}

/// Whether a run of the schedule goes on.
async fn is_going(shared: &Shared, name: &Name) -> Result<bool, EngineError> {
    let status = Status::ALL.into_iter().filter(|status| *status != Status::Settled).collect();
    let labels = vec![("schedule".to_owned(), name.to_string())];
    let filter = Filter { status, labels, ..Filter::default() };
    let going = shared.store.list(&filter, Page { after: None, limit: 1 }).await;
    going.map(|rows| !rows.is_empty()).map_err(|e| EngineError::store(FIRE, e))
}
