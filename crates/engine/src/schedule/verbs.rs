//! What people do with schedules.

use super::{
    Act, Missed, Overlap, Schedule, Skipped, Ticked,
    cron::Cron,
    decide::{DUE_MOST, ticks},
    record::{Due, KIND, Spec, Stored, text},
};
use crate::{EngineError, EngineErrorKind, note};
use std::collections::BTreeMap;
use towpath_model::{Actor, Json, Name, PipelineName, Timestamp};
use towpath_store::Store;

const CHANGE: &str = "change a schedule";

/// The schedules of a store, and somebody who changes them. Every change is remembered with who made it and why.
#[derive(Clone, Debug)]
pub struct Schedules<'s> {
    store: &'s dyn Store,
    by: Actor,
}

/// A schedule, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ScheduleRow {
    /// Its name.
    pub name: Name,
    /// The pipeline that it starts.
    pub pipeline: PipelineName,
    /// Values of its parameters.
    pub params: BTreeMap<String, Json>,
    /// When, as a cron expression.
    pub cron: String,
    /// The time zone of the expression.
    pub zone: String,
    /// What happens while the run of an earlier tick goes on.
    pub overlap: Overlap,
    /// What happens with ticks that were missed.
    pub missed: Missed,
    /// Labels of its runs.
    pub labels: BTreeMap<String, String>,
    /// Who paused it, if it is paused.
    pub paused: Option<Act>,
    /// The next tick; none of one that is paused or never ticks.
    pub next: Option<Timestamp>,
    /// Ticks that wait for their run to be started.
    pub due: Vec<Timestamp>,
    /// The last tick that started a run.
    pub last: Option<Ticked>,
    /// The last tick that was left out.
    pub skipped: Option<Skipped>,
    /// Why the first of what is due cannot be started.
    pub trouble: Option<String>,
    /// What was done with it last, oldest first.
    pub acts: Vec<Act>,
}

impl<'s> Schedules<'s> {
    /// The schedules of a store, changed by somebody.
    pub fn of(store: &'s dyn Store, by: Actor) -> Self {
        Schedules { store, by }
    }

    /// Sets a schedule: makes it, or changes what it does from its next tick on. Setting one that is there already changes
    /// nothing, so that a program may set its schedules whenever it starts.
    ///
    /// # Errors
    /// Everything that is wrong with it, or that the store cannot.
    pub async fn set(&self, schedule: &Schedule, reason: &str) -> Result<(), EngineError> {
        let (name, spec) = schedule.checked()?;
        let there = note::read::<Stored>(self.store, &name).await?;
        if there.record.spec.as_ref() == Some(&spec) {
            return Ok(());
        }
        let act = self.act("set", reason).await?;
        let set = |stored: &mut Stored| {
            if stored.spec.is_none() {
                // A name that was used before begins anew; what it did stays remembered.
                stored.forget();
            }
            if stored.spec.as_ref().is_none_or(|was| (&was.cron, &was.zone) != (&spec.cron, &spec.zone)) {
                // What would have ticked by this expression before now is nothing that was missed.
                stored.seen = Some(act.at);
            }
            stored.spec = Some(spec.clone());
            stored.trouble = None;
            stored.act(act.clone());
            Ok(())
        };
        note::change(self.store, &name, set).await
    }

    /// Lets the ticks of a schedule pass until it is resumed. What was due already is started all the same.
    ///
    /// # Errors
    /// When there is no such schedule, or the store cannot.
    pub async fn pause(&self, name: &str, reason: &str) -> Result<(), EngineError> {
        self.change(name, "paused", reason, |stored, _, act| {
            stored.paused.get_or_insert_with(|| act.clone());
            Ok(())
        })
        .await
    }

    /// Has a schedule tick again, from its next tick on.
    ///
    /// # Errors
    /// When there is no such schedule, or the store cannot.
    pub async fn resume(&self, name: &str, reason: &str) -> Result<(), EngineError> {
        self.change(name, "resumed", reason, |stored, _, act| {
            if stored.paused.take().is_some() {
                stored.seen = Some(act.at);
            }
            Ok(())
        })
        .await
    }

    /// Removes a schedule. What it has started goes on.
    ///
    /// # Errors
    /// When there is no such schedule, or the store cannot.
    pub async fn remove(&self, name: &str, reason: &str) -> Result<(), EngineError> {
        self.change(name, "removed", reason, |stored, _, _| {
            stored.forget();
            Ok(())
        })
        .await
    }

    /// Starts runs for the ticks of a time that is over, up to 1,000; for how many. A tick that has its run already gets
    /// no second one.
    ///
    /// # Errors
    /// When there is no such schedule, no tick in that time or too many, or the store cannot.
    pub async fn backfill(
        &self,
        name: &str,
        from: Timestamp,
        until: Timestamp,
        reason: &str,
    ) -> Result<usize, EngineError> {
        let by = self.by.clone();
        self.change(name, "backfilled", reason, |stored, spec, act| {
            let unfit =
                |problem: String| Err(EngineError::unfit(CHANGE, vec![problem]).with("schedule", name));
            if until > act.at {
                return unfit("what is to come cannot be made up for: choose a time that is over".to_owned());
            }
            let cron = cron(spec)?;
            let all = ticks(&cron, Timestamp::from_micros(from.as_micros().saturating_sub(1)), until);
            if all.is_empty() {
                let (from, until) = (text(from), text(until));
                return unfit(format!("there is no tick from {from} to {until}"));
            }
            let new = |tick: &&Timestamp| stored.due.iter().all(|due| due.tick != **tick);
            let new: Vec<Due> =
                all.iter().filter(new).map(|tick| Due { tick: *tick, backfill: Some(by.clone()) }).collect();
            if stored.due.len() + new.len() > DUE_MOST {
                return unfit(format!("more than {DUE_MOST} ticks would wait: choose a shorter time"));
            }
            let n = new.len();
            stored.due.extend(new);
            Ok(n)
        })
        .await
    }

    /// The schedules, by name.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn list(&self) -> Result<Vec<ScheduleRow>, EngineError> {
        let now = self.store.now().await.map_err(|e| EngineError::store("list schedules", e))?;
        let kept = note::all::<Stored>(self.store).await?;
        kept.into_iter()
            .filter_map(|kept| match kept {
                Ok(kept) => Some(row(kept.at.name, kept.record.spec.clone()?, kept.record, now)),
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    async fn act(&self, what: &str, reason: &str) -> Result<Act, EngineError> {
        let at = self.store.now().await.map_err(|e| EngineError::store(CHANGE, e))?;
        Ok(Act { at, by: self.by.clone(), what: what.to_owned(), reason: reason.to_owned() })
    }

    async fn change<T>(
        &self,
        name: &str,
        what: &str,
        reason: &str,
        mut change: impl FnMut(&mut Stored, &Spec, &Act) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let unknown = || EngineError::new(EngineErrorKind::Unknown, CHANGE).with(KIND, name);
        let act = self.act(what, reason).await?;
        let name = Name::new(name).map_err(|_| unknown())?;
        let change = |stored: &mut Stored| {
            let spec = stored.spec.clone().ok_or_else(unknown)?;
            let done = change(stored, &spec, &act)?;
            stored.act(act.clone());
            Ok(done)
        };
        note::change(self.store, &name, change).await
    }
}

/// When a stored schedule ticks.
pub(super) fn cron(spec: &Spec) -> Result<Cron, EngineError> {
    // It was checked when it was set; here its zone may be missing, or its words be those of a newer release.
    Cron::parse(&spec.cron, &spec.zone).map_err(|problems| EngineError::unfit("look at a schedule", problems))
}

fn row(name: Name, spec: Spec, stored: Stored, now: Timestamp) -> Result<ScheduleRow, EngineError> {
    let next = match stored.paused {
        Some(_) => None,
        None => cron(&spec)?.next(stored.seen.unwrap_or(now).max(now)),
    };
    let Spec { pipeline, params, cron, zone, overlap, missed, labels } = spec;
    let due = stored.due.iter().map(|due| due.tick).collect();
    let Stored { paused, last, skipped, trouble, acts, .. } = stored;
    Ok(ScheduleRow {
        name,
        pipeline,
        params,
        cron,
        zone,
        overlap,
        missed,
        labels,
        paused,
        next,
        due,
        last,
        skipped,
        trouble,
        acts,
    })
}
