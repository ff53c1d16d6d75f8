//! Schedules: runs that start by the clock.
//!
//! A schedule lies in a note of the store. An engine that holds its pipeline looks at it, decides about the ticks that have
//! come and writes that down before it starts anything; and the run of a tick has a key of its own. So each tick starts
//! one run, however many engines look and whichever of them dies in between.

mod cron;
mod decide;
mod fire;
mod record;
mod verbs;

pub(crate) use fire::look;
pub use record::{Act, Missed, Overlap, Skipped, Ticked};
pub use verbs::{ScheduleRow, Schedules};

use crate::{Engine, EngineError};
use record::Spec;
use serde::Serialize;
use std::collections::BTreeMap;
use towpath_model::{Json, Name, PipelineName};

const SET: &str = "set a schedule";

/// What is started when.
///
/// The pipeline is one that an engine [was given](crate::Builder::pipelines); its parameter `tick`, if it has one that is
/// not given here, gets the tick as text, as in `2026-11-29T03:00:00Z`. Runs are labelled with `schedule` and `tick`.
///
/// ```
/// use towpath_engine::{Overlap, Schedule};
/// let nightly = Schedule::cron("nightly", "checkout", "30 3 * * 1-5")
///     .zone("Europe/Berlin")
///     .param("commit", "main")
///     .overlap(Overlap::Queue);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a schedule starts nothing until it is set"]
pub struct Schedule {
    name: String,
    pipeline: String,
    cron: String,
    zone: String,
    params: BTreeMap<String, Json>,
    /// Values that cannot be stored, with the reason.
    unstored: Vec<String>,
    labels: BTreeMap<String, String>,
    overlap: Overlap,
    missed: Missed,
}

impl Schedule {
    /// A schedule of a pipeline by a cron expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly` or
    /// `@yearly`, in UTC unless a [zone](Self::zone) is given.
    ///
    /// Of a time that the clock skips the tick comes when it goes on. Of a time that comes twice, the first counts when
    /// the expression names an hour, and both when it goes through all hours.
    pub fn cron(name: &str, pipeline: &str, expression: &str) -> Self {
        Schedule {
            name: name.to_owned(),
            pipeline: pipeline.to_owned(),
            cron: expression.to_owned(),
            zone: "UTC".to_owned(),
            params: BTreeMap::new(),
            unstored: Vec::new(),
            labels: BTreeMap::new(),
            overlap: Overlap::default(),
            missed: Missed::default(),
        }
    }

    /// The time zone of the expression, as in `Europe/Berlin`.
    pub fn zone(mut self, name: &str) -> Self {
        self.zone = name.to_owned();
        self
    }

    /// A value for a parameter of the pipeline.
    pub fn param<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        match Json::of(value) {
            Ok(json) => drop(self.params.insert(name.to_owned(), json)),
            Err(e) => self.unstored.push(format!("the value of {name} cannot be stored: {e}")),
        }
        self
    }

    /// A label for the runs.
    pub fn label(mut self, label: &str, value: &str) -> Self {
        self.labels.insert(label.to_owned(), value.to_owned());
        self
    }

    /// What happens at a tick while the run of an earlier one goes on; by default the tick is left out.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// What happens with ticks at which no engine was there; by default the last of them is made up for.
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// What is stored of it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn checked(&self) -> Result<(Name, Spec), EngineError> {
        let mut problems = Vec::new();
        let name = slug(&self.name).map_err(|problem| problems.push(problem)).ok();
        let pipeline = PipelineName::new(&self.pipeline).map_err(|e| problems.push(e.to_string())).ok();
        if let Err(wrong) = cron::Cron::parse(&self.cron, &self.zone) {
            problems.extend(wrong);
        }
        problems.extend(self.unstored.iter().cloned());
        match (name, pipeline) {
            (Some(name), Some(pipeline)) if problems.is_empty() => {
                let (params, labels) = (self.params.clone(), self.labels.clone());
                let (cron, zone) = (self.cron.clone(), self.zone.clone());
                let (overlap, missed) = (self.overlap, self.missed);
                Ok((name, Spec { pipeline, params, cron, zone, overlap, missed, labels }))
            }
            _ => Err(EngineError::unfit(SET, problems).with("schedule", &self.name)),
        }
    }
}

/// A name of a schedule: it stands in keys of runs.
fn slug(name: &str) -> Result<Name, String> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match Name::new(name) {
        Ok(name) if fits => Ok(name),
        _ => Err(format!("{name:?} is no name of a schedule: want up to 64 of a-z, 0-9 and -")),
    }
}

impl Engine {
    /// The schedules of the store, to be set, paused and looked at, as the engine's actor.
    ///
    /// ```
    /// use towpath_engine::{Engine, Schedule};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), towpath_engine::EngineError> {
    /// let engine = Engine::open("memory:").start().await?;
    /// engine.schedules().set(&Schedule::cron("nightly", "checkout", "@daily"), "releases go out at night").await?;
    /// engine.schedules().pause("nightly", "stocktaking").await?;
    /// let [nightly] = &engine.schedules().list().await?[..] else { panic!("there is one") };
    /// assert_eq!(nightly.paused.as_ref().unwrap().reason, "stocktaking");
    /// engine.shutdown().await
    /// # }
    /// ```
    pub fn schedules(&self) -> Schedules<'_> {
        let shared = self.shared();
        Schedules::of(&*shared.store, shared.config.actor.clone())
    }
}
