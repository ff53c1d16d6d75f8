//! Frozen pipelines, and plans.

use super::{
    Params, PlanErrors, PlanProblem,
    state::{Detail, Param, short},
};
use crate::{Output, schema::Schemas};
use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::Arc};
use towpath_model::{Digest, Json, PlanRecord, canonical, limits};

/// A frozen pipeline, whose runs give back an `Out`. With values for its parameters it is a [`Plan`].
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, params, step};
///
/// #[step("demo.greet/v1", no_effect)]
/// async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
///     Ok(format!("hello {name}"))
/// }
///
/// fn greetings() -> Result<Pipeline<String>, PlanErrors> {
///     let p = Pipeline::new("greetings");
///     let name = p.param::<String>("name");
///     let greeting = p.step("greet", greet::of(&name));
///     p.output(&greeting).build()
/// }
///
/// let plan = greetings()?.with(params! { name: "world" })?;
/// assert_eq!(plan.record().steps[0].with.as_str(), r#"{"name":{"param":{"name":"name"}}}"#);
/// # Ok::<(), PlanErrors>(())
/// ```
pub struct Pipeline<Out: Output = ()> {
    frozen: Arc<Frozen>,
    output: PhantomData<fn() -> Out>,
}

/// What a frozen pipeline is made of.
pub(super) struct Frozen {
    pub(super) record: Arc<PlanRecord>,
    pub(super) params: Vec<Param>,
    /// What is known of each step beside what is stored.
    pub(super) details: Vec<Detail>,
    pub(super) hash: Digest,
    /// As canonical JSON.
    pub(super) bytes: usize,
}

impl<Out: Output> Pipeline<Out> {
    pub(super) fn frozen(frozen: Frozen) -> Self {
        Pipeline { frozen: Arc::new(frozen), output: PhantomData }
    }

    pub(super) fn details(&self) -> &[Detail] {
        &self.frozen.details
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.frozen.record.pipeline.as_str()
    }

    /// Its hash: of what was written, without values.
    pub fn hash(&self) -> Digest {
        self.frozen.hash
    }

    /// It as data.
    pub fn record(&self) -> &Arc<PlanRecord> {
        &self.frozen.record
    }

    /// Its parameters with their types, in the order in which they were declared.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// # use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, step};
    /// # #[step("demo.build/v1", idempotent)]
    /// # async fn build(_cx: &StepContext, commit: String) -> Result<(), StepError> { Ok(()) }
    /// let p = Pipeline::new("checkout");
    /// p.step("build", build::of(&p.param("commit")));
    /// let pipeline = p.build()?;
    /// assert!(pipeline.params().eq([("commit", "String".to_owned())]));
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, String)> {
        self.frozen.params.iter().map(|param| (param.name.as_str(), param.short_type()))
    }

    /// The JSON Schema of its values (draft 2020-12), with what the types say of themselves: for forms and other tools.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// # use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, step};
    /// # #[step("demo.scale/v1", idempotent)]
    /// # async fn scale(_cx: &StepContext, replicas: u8) -> Result<(), StepError> { Ok(()) }
    /// let p = Pipeline::new("checkout");
    /// p.step("scale", scale::of(&p.param("replicas")));
    /// let schema = p.build()?.schema();
    /// assert!(schema.as_str().contains(r#""replicas":{"maximum":255,"minimum":0,"type":"integer"}"#));
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn schema(&self) -> Json {
        let params = self.frozen.params.iter();
        let params =
            params.map(|param| (param.name.as_str(), |schemas: &mut Schemas| param.describe(schemas)));
        Json::of(&Schemas::of_all(params)).expect("a schema is json")
    }

    /// Whether there is a parameter of this name that takes this value.
    pub fn takes(&self, param: &str, value: &Json) -> bool {
        self.frozen.params.iter().any(|p| p.name == param && p.misfit(value).is_none())
    }

    /// The same pipeline, whose runs give back JSON: for those that handle pipelines of any result side by side.
    pub fn untyped(&self) -> Pipeline<Json> {
        Pipeline { frozen: Arc::clone(&self.frozen), output: PhantomData }
    }

    /// The plan for these values.
    ///
    /// # Errors
    /// Everything that is wrong with the values, at once.
    pub fn with(&self, params: Params) -> Result<Plan<Out>, PlanErrors> {
        let Frozen { record, hash: pipeline_hash, bytes, .. } = &*self.frozen;
        let mut problems = self.check(&params);
        let handles = params.handles.keys();
        problems.extend(handles.map(|name| PlanProblem::Value {
            param: name.clone(),
            what: "is a handle: a run is started with values; a handle is for `sub`".into(),
        }));
        let fail = |problems| PlanErrors { pipeline: self.name().to_owned(), problems };
        if !problems.is_empty() {
            return Err(fail(problems));
        }
        let values = params.values;
        let unhashed = |e: canonical::CanonicalError| {
            fail(vec![PlanProblem::Record { step: None, what: e.to_string() }])
        };
        let bytes = bytes + canonical::of(&values).map_err(unhashed)?.len();
        if bytes > limits::PLAN_BYTES {
            return Err(fail(vec![PlanProblem::TooLarge { bytes }]));
        }
        let hash = record.hash_with(&values).map_err(unhashed)?;
        let (record, values, pipeline_hash) = (Arc::clone(record), Arc::new(values), *pipeline_hash);
        Ok(Plan { record, values, hash, pipeline_hash, output: PhantomData })
    }

    /// The plan of a pipeline without parameters.
    ///
    /// # Errors
    /// When it has parameters.
    pub fn plan(&self) -> Result<Plan<Out>, PlanErrors> {
        self.with(Params::new())
    }

    /// Everything that is wrong with what is given where it is placed in another pipeline.
    pub(super) fn misgiven(&self, params: &Params) -> Vec<PlanProblem> {
        let mut problems = self.check(params);
        for param in &self.frozen.params {
            let Some(handle) = params.handles.get(&param.name) else { continue };
            if handle.type_id != param.type_id {
                let (is, wants) = (short(handle.type_name), param.short_type());
                let what = format!("is a handle of {is}, and {wants} is wanted");
                problems.push(PlanProblem::Value { param: param.name.clone(), what });
            }
        }
        problems
    }

    fn check(&self, params: &Params) -> Vec<PlanProblem> {
        let mut problems = Vec::new();
        for (name, why) in &params.unstored {
            problems.push(PlanProblem::Value { param: name.clone(), what: why.clone() });
        }
        let declared = &self.frozen.params;
        for param in declared {
            match params.values.get(&param.name) {
                None if params.has(&param.name) => {}
                None => problems.push(PlanProblem::MissingValue { param: param.name.clone() }),
                Some(_) if !param.gates.is_empty() => problems.push(PlanProblem::Value {
                    param: param.name.clone(),
                    what: format!(
                        "is of the type {}, which only a gate gives: place this pipeline in another one with `sub`, and give it the \
                         handle",
                        param.short_type()
                    ),
                }),
                Some(value) => problems.extend(misfit(param, value)),
            }
        }
        for name in params.names().filter(|name| declared.iter().all(|p| p.name != *name)) {
            let declared = declared.iter().map(|p| p.name.clone()).collect();
            problems.push(PlanProblem::UnknownValue { param: name.to_owned(), declared });
        }
        problems
    }
}

/// What is wrong with the value of a parameter.
fn misfit(param: &Param, value: &Json) -> Option<PlanProblem> {
    let canon = canonical::of_text(value.as_str()).map_err(|e| format!("cannot be stored: {e}"));
    let what = param.misfit(value).or(canon.err())?;
    Some(PlanProblem::Value { param: param.name.clone(), what })
}

impl<Out: Output> Clone for Pipeline<Out> {
    fn clone(&self) -> Self {
        Pipeline { frozen: Arc::clone(&self.frozen), output: PhantomData }
    }
}

impl<Out: Output> fmt::Debug for Pipeline<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipeline({} {})", self.name(), self.hash())
    }
}

/// A frozen pipeline with its values: what a run runs. Its runs give back an `Out`.
pub struct Plan<Out: Output = ()> {
    record: Arc<PlanRecord>,
    values: Arc<BTreeMap<String, Json>>,
    hash: Digest,
    pipeline_hash: Digest,
    output: PhantomData<fn() -> Out>,
}

impl<Out: Output> Plan<Out> {
    /// A plan that was frozen before, with the hashes that it has.
    pub(super) fn thawed(
        record: Arc<PlanRecord>,
        values: BTreeMap<String, Json>,
        hash: Digest,
        pipeline_hash: Digest,
    ) -> Self {
        Plan { record, values: Arc::new(values), hash, pipeline_hash, output: PhantomData }
    }

    /// The pipeline's name.
    pub fn pipeline(&self) -> &str {
        self.record.pipeline.as_str()
    }

    /// The pipeline as data.
    pub fn record(&self) -> &Arc<PlanRecord> {
        &self.record
    }

    /// The values of its parameters.
    pub fn values(&self) -> &Arc<BTreeMap<String, Json>> {
        &self.values
    }

    /// Its hash: of the pipeline and the values.
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// The pipeline's hash: of what was written, without values.
    pub fn pipeline_hash(&self) -> Digest {
        self.pipeline_hash
    }
}

impl<Out: Output> Clone for Plan<Out> {
    fn clone(&self) -> Self {
        let (record, values) = (Arc::clone(&self.record), Arc::clone(&self.values));
        Plan { record, values, hash: self.hash, pipeline_hash: self.pipeline_hash, output: PhantomData }
    }
}

impl<Out: Output> fmt::Debug for Plan<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({} {})", self.pipeline(), self.hash)
    }
}
