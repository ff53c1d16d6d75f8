//! Plans in files.

use super::Plan;
use crate::Output;
use std::{
    error::Error,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use towpath_model::{Json, SavedPlan};

impl<Out: Output> Plan<Out> {
    /// Writes the plan to a file, to be reviewed, approved and started elsewhere. A file that is there is replaced, whole
    /// or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PlanFileError> {
        let path = path.as_ref();
        let fail =
            |why: Box<dyn Error + Send + Sync>| PlanFileError::new(PlanFileErrorKind::Io, "write", path, why);
        let record = (**self.record()).clone();
        let saved = SavedPlan::of(record, (**self.values()).clone()).map_err(|e| fail(e.into()))?;
        let text = saved.encode().map_err(|e| fail(e.into()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(|e| fail(e.into()))
    }
}

impl Plan<Json> {
    /// Reads a plan from a file that [`save`](Plan::save) wrote. What a run of it gives back is JSON, since a file knows
    /// no types.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// # use towpath_step::{Pipeline, Plan, StepContext, StepError, step};
    /// # #[step("demo.greet/v1", no_effect)]
    /// # async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> { Ok(name) }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("greetings.plan.json");
    /// # let p = Pipeline::new("greetings");
    /// # p.step("greet", greet::of("world"));
    /// # let plan = p.build()?.plan()?;
    /// plan.save(&path)?;
    /// assert_eq!(Plan::load(&path)?.hash(), plan.hash());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the file cannot be read, is no saved plan, was changed after it was saved, or holds a plan that this release
    /// cannot drive.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PlanFileError> {
        let path = path.as_ref();
        let fail = |kind, why| PlanFileError::new(kind, "read", path, why);
        let text = fs::read_to_string(path).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => fail(PlanFileErrorKind::Refused, "it is no text".into()),
            _ => fail(PlanFileErrorKind::Io, e.into()),
        })?;
        let saved = SavedPlan::decode(&text).map_err(|e| fail(PlanFileErrorKind::Refused, e.into()))?;
        Plan::of_saved(saved).map_err(|problems| fail(PlanFileErrorKind::Refused, problems.into()))
    }

    /// The plan of what was saved of one: in a file, or in the journal of a run.
    ///
    /// # Errors
    /// When this release cannot drive it.
    pub fn of_saved(saved: SavedPlan) -> Result<Self, towpath_machine::Problems> {
        let problems = towpath_machine::check(&saved.plan);
        if !problems.is_empty() {
            return Err(towpath_machine::Problems(problems));
        }
        Ok(Plan::thawed(Arc::new(saved.plan), saved.values, saved.plan_hash, saved.pipeline_hash))
    }
}

/// A plan could not be written to a file, or read from one.
#[derive(Debug)]
pub struct PlanFileError {
    kind: PlanFileErrorKind,
    operation: &'static str,
    path: PathBuf,
    why: Box<dyn Error + Send + Sync>,
}

/// The kinds of [`PlanFileError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PlanFileErrorKind {
    /// The file could not be reached.
    Io,
    /// What is in it cannot be believed, or cannot be driven.
    Refused,
}

impl PlanFileError {
    fn new(
        kind: PlanFileErrorKind,
        operation: &'static str,
        path: &Path,
        why: Box<dyn Error + Send + Sync>,
    ) -> Self {
        PlanFileError { kind, operation, path: path.to_owned(), why }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> PlanFileErrorKind {
        self.kind
    }
}

impl fmt::Display for PlanFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} the plan file {}", self.operation, self.path.display())
    }
}

impl Error for PlanFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.why)
    }
}
