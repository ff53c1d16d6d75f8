//! Pipelines from their records: those that were written in another language.

use super::{
    Pipeline, PlanErrors, PlanProblem,
    build::structure,
    plan::Frozen,
    state::{Detail, Param},
};
use std::sync::Arc;
use towpath_model::{Json, PlanRecord, canonical, limits};

impl Pipeline<Json> {
    /// The pipeline that a record tells of, such as one that was written in another language. What its runs give back is
    /// JSON, since a record knows no types; the values of its parameters are held to their schemas.
    ///
    /// It cannot be placed in another pipeline.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// # use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, step};
    /// # #[step("demo.scale/v1", idempotent)]
    /// # async fn scale(_cx: &StepContext, replicas: u8) -> Result<(), StepError> { Ok(()) }
    /// let p = Pipeline::new("checkout");
    /// p.step("scale", scale::of(&p.param("replicas")));
    /// let written = p.build()?;
    /// let read = Pipeline::of_record((**written.record()).clone())?;
    /// assert_eq!(read.hash(), written.hash());
    /// # Ok::<(), PlanErrors>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with the record, at once.
    pub fn of_record(record: PlanRecord) -> Result<Self, PlanErrors> {
        Pipeline::thaw(record, Vec::new())
    }

    /// The same, with what is known of its steps beside what is stored.
    pub(crate) fn thaw(record: PlanRecord, details: Vec<Detail>) -> Result<Self, PlanErrors> {
        let mut problems: Vec<PlanProblem> = structure(&record).collect();
        let text = canonical::of(&record).unwrap_or_else(|e| {
            problems.push(PlanProblem::Record { step: None, what: e.to_string() });
            String::new()
        });
        if text.len() > limits::PLAN_BYTES {
            problems.push(PlanProblem::TooLarge { bytes: text.len() });
        }
        match record.hash() {
            Ok(hash) if problems.is_empty() => {
                let params =
                    record.params.iter().map(|(name, schema)| Param::given(name, schema.clone())).collect();
                let (record, bytes) = (Arc::new(record), text.len());
                Ok(Pipeline::frozen(Frozen { record, params, details, hash, bytes }))
            }
            _ => Err(PlanErrors { pipeline: record.pipeline.to_string(), problems }),
        }
    }
}
