//! Placing pipelines within a pipeline: whole, or once for each item of a list.

use super::{
    Draft, Params, Pipeline, PlanProblem, State, build, encode, locks,
    nest::Guest,
    state::{Detail, Edges, Inner, Param, StepDraft, around, blank},
};
use crate::{
    Declared, Handle, Input, Output, Reads,
    handle::{At, Owner, Shared},
    home::{Capture, Home, ITEM, Whose},
    input::{AddReads, ParamPlace, Place, Reference},
};
use serde::Serialize;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use towpath_model::{
    InDoubt, Json, Kind, Methods, Operand, PipelineName, PlanRecord, Role, StepId, StepRecord, UndoPolicy,
};

/// The kind of a node that runs a plan for each item of a list.
const FOR_EACH: &str = "towpath.for-each/v1";
/// Items that run at once, unless the author says otherwise.
const ITEMS: u32 = 16;

impl<Out: Output> Draft<Out> {
    /// Places a whole pipeline. Its steps stand in this one, under the prefix `id`: `eu/build`, `eu/deploy`; a run of this
    /// pipeline runs, undoes and shows them as its own.
    ///
    /// `params` gives every parameter of it a value or a handle. Its `parallel` and `deadline` do not count: those of this
    /// pipeline hold. Of the options that hang on the handle, `after` and `when` are for the pipeline as a whole.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use towpath_step::{Pipeline, PlanErrors, StepContext, StepError, params, step};
    ///
    /// #[step("demo.deploy/v1", idempotent)]
    /// async fn deploy(_cx: &StepContext, image: String, region: String) -> Result<String, StepError> {
    ///     Ok(format!("{image} in {region}"))
    /// }
    ///
    /// fn region() -> Result<Pipeline<String>, PlanErrors> {
    ///     let p = Pipeline::new("region");
    ///     let (image, region) = (p.param::<String>("image"), p.param::<String>("region"));
    ///     let live = p.step("deploy", deploy::of(&image, &region));
    ///     p.output(&live).build()
    /// }
    ///
    /// let region = region()?;
    /// let p = Pipeline::new("checkout");
    /// let image = p.param::<String>("image");
    /// let eu = p.sub("eu", &region, params! { image: &image, region: "eu-west-1" });
    /// p.sub("us", &region, params! { image: &image, region: "us-east-1" }).after(&eu);
    /// let pipeline = p.build()?;
    /// let ids: Vec<_> = pipeline.record().steps.iter().map(|step| step.id.as_str()).collect();
    /// assert_eq!(ids, ["eu/deploy", "us/deploy"]);
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn sub<T: Output>(&self, id: &str, pipeline: &Pipeline<T>, params: Params) -> Handle<T> {
        let home = self.shared.home();
        let mut state = self.shared.state();
        let prefix = state.id(id);
        let mut wrong = pipeline.misgiven(&params);
        if pipeline.details().len() != pipeline.record().steps.len() {
            wrong.push(PlanProblem::Record {
                step: None,
                what: "it was read from a record, which does not tell where its steps refer to each other: place a pipeline \
                       that was built here"
                    .into(),
            });
        }
        state.problems.extend(
            wrong
                .into_iter()
                .map(|problem| PlanProblem::Within { of: prefix.clone(), problem: Box::new(problem) }),
        );
        let given = state.given(&prefix, params, home);
        let guest = Guest { prefix, record: pipeline.record(), details: pipeline.details(), given };
        let (placed, output) = state.place_all(&guest);
        drop(state);
        // A pipeline without an output gives `()`, which is read of what is not there: RFC 6901 calls it `-`.
        let nothing = || {
            let step = placed.ids.last().cloned().unwrap_or_else(|| guest.prefix.clone());
            Reference::From(Place { step, path: "/-".into() })
        };
        let reference = output.unwrap_or_else(nothing);
        Handle::at(self.shared.at(Owner::Pipeline(Arc::new(placed)), reference))
    }

    /// Runs the same steps for each item of a list that is known only at run time. Each item is a run of its own, with its
    /// own journal; they run side by side, 16 at once unless [`parallel`](Handle::parallel) says otherwise.
    ///
    /// `key` picks the field that names an item, a text or a whole number; names must differ. `each` places the steps of one
    /// item; it may use handles from around it. What it returns is what an item gives, and the handle gives a list of them,
    /// in the order of the items.
    ///
    /// ```
    /// # extern crate towpath_step as towpath;
    /// use serde::{Deserialize, Serialize};
    /// use towpath_step::{Output, Pipeline, PlanErrors, StepContext, StepError, step};
    ///
    /// #[derive(Serialize, Deserialize, Output)]
    /// struct Region { name: String, replicas: u32 }
    ///
    /// #[step("demo.deploy/v1", idempotent)]
    /// async fn deploy(_cx: &StepContext, image: String, region: String, replicas: u32) -> Result<String, StepError> {
    ///     Ok(format!("{replicas} of {image} in {region}"))
    /// }
    ///
    /// let p = Pipeline::new("checkout");
    /// let image = p.param::<String>("image");
    /// let regions = p.param::<Vec<Region>>("regions");
    /// let live = p.for_each("regions", &regions, |region| &region.name, |p, region| {
    ///     p.step("deploy", deploy::of(&image, &region.name, &region.replicas))
    /// });
    /// let pipeline = p.output(&live).build()?;
    /// # let _: Pipeline<Vec<String>> = pipeline;
    /// # Ok::<(), PlanErrors>(())
    /// ```
    pub fn for_each<T: Output, K: ItemName, R: EachOutput>(
        &self,
        id: &str,
        list: &Handle<Vec<T>>,
        key: impl for<'h> FnOnce(&'h Handle<T>) -> &'h Handle<K>,
        each: impl FnOnce(&Draft, &Handle<T>) -> R,
    ) -> Handle<Vec<R::Output>> {
        let inner = Draft::of(self.shared.within(id));
        inner.shared.state().params.push(Param::of::<T>(ITEM));
        let whole = Reference::Param(ParamPlace { name: ITEM.into(), path: String::new() });
        let item: Handle<T> = Handle::at(inner.shared.at(Owner::Nobody, whole));
        let key = key_of(key(&item).place(), &inner.shared);
        each(&inner, &item).give(&EachDraft(inner.shared.clone()));
        let (node, step) = self.place_each(id, list.place(), key, &inner.shared);
        let place = Place { step, path: String::new() };
        Handle::at(self.shared.at(Owner::Step(node), Reference::From(place)))
    }

    fn place_each(
        &self,
        id: &str,
        list: &At,
        key: Result<String, String>,
        inner: &Shared,
    ) -> (usize, StepId) {
        let home = self.shared.home();
        let taken = inner.home().taken();
        // What is taken from further out than this pipeline is captured by it in turn, while it is encoded.
        let given = Taken::of(&taken);
        let encoded = encode::given(&given, home);
        let reads = given.reads();
        let mut state = self.shared.state();
        let id = state.id(id);
        let mut problems: Vec<String> = encoded.problems;
        let each = each_of(&mut state, &id, inner, &taken);
        let (mut edges, mut params) = state.reads(&id, reads, home);
        let list = list_of(list, home, &mut edges, &mut params).unwrap_or_else(|problem| {
            problems.push(problem);
            Operand::Value(Json::null())
        });
        let key = key.unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        });
        let told = problems.into_iter().map(|what| PlanProblem::Record { step: Some(id.clone()), what });
        state.problems.extend(told);
        let undoes = |step: &StepRecord| step.methods.compensate && step.undo != UndoPolicy::Keep;
        let compensate = each.steps.iter().any(undoes);
        let methods = Methods { compensate, ..Methods::default() };
        let declared = Declared {
            in_doubt: InDoubt::NoEffect,
            methods,
            undo: UndoPolicy::Undo,
            best_effort: false,
            point_of_no_return: false,
        };
        // The run that the items belong to holds what they act under.
        let held = locks::all(&each).into_iter().collect();
        let record = StepRecord {
            locks: held,
            role: Role::ForEach { list, key, each: Box::new(each), parallel: ITEMS },
            reads: edges.0,
            ..blank(id.clone(), kind(), encoded.with, declared)
        };
        let steps = inner.state().steps.clone();
        let detail = Detail {
            places: encoded.places,
            params,
            inner: Some(Inner { steps, taken }),
            ..Detail::default()
        };
        state.steps.push(StepDraft { record, detail });
        (state.steps.len() - 1, id)
    }
}

fn kind() -> Kind {
    Kind::new(FOR_EACH).expect("a constant kind keeps the rule")
}

/// The plan of one item.
fn each_of(state: &mut State, id: &StepId, inner: &Shared, taken: &[Capture]) -> PlanRecord {
    let within = inner.state();
    let problems = within.problems.iter().cloned();
    state
        .problems
        .extend(problems.map(|problem| PlanProblem::Within { of: id.clone(), problem: Box::new(problem) }));
    // A name that is none is told of the pipeline around.
    let name = PipelineName::new(&state.name).or_else(|_| PipelineName::new("unnamed"));
    let mut each = build::record(&within, name.expect("a constant name keeps the rule"));
    each.params.extend(taken.iter().map(|capture| (capture.param.clone(), build::anything())));
    each
}

/// The pointer to the name of an item, in an item.
fn key_of(key: &At, inner: &Shared) -> Result<String, String> {
    match key.reference() {
        Reference::Param(place) if place.name == ITEM && key.origin() == inner.home().origin => {
            Ok(place.path.clone())
        }
        _ => Err("what names an item is not a field of it: pick one, as in `|region| &region.name`".into()),
    }
}

fn list_of(list: &At, home: &Home, edges: &mut Edges, params: &mut Vec<String>) -> Result<Operand, String> {
    let operand = list
        .operand()
        .map_err(|what| format!("its list is what `{what}` gives: give it the output of a step"))?;
    match home.whose(&list.origin()) {
        Whose::Own => {
            edges.add(list.reference());
            Ok(operand)
        }
        Whose::Around => {
            let taken = around(&operand, &list.origin(), home);
            if let Operand::Param { name, .. } = &taken {
                params.push(name.clone());
            }
            Ok(taken)
        }
        Whose::Foreign => {
            Err("its list is a handle of another pipeline: give it a handle of this one".into())
        }
    }
}

/// What the plan of an item takes from around it, as the node stores it.
#[derive(Serialize)]
struct Taken {
    given: BTreeMap<String, Input<Value>>,
}

impl Taken {
    fn of(taken: &[Capture]) -> Self {
        let input = |capture: &Capture| Input::refers(capture.to.clone(), capture.origin.clone());
        Taken { given: taken.iter().map(|capture| (capture.param.clone(), input(capture))).collect() }
    }

    fn reads(&self) -> Reads {
        let mut reads = Reads::none();
        self.given.add_reads("given", &mut reads);
        reads
    }
}

/// What can name an item of a list: a text or a whole number.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot name an item",
    label = "neither a text nor a whole number",
    note = "pick a field that is one: `|region| &region.name`"
)]
pub trait ItemName: Output {}

macro_rules! names { ($($ty:ty),*) => { $(impl ItemName for $ty {})* } }
names!(String, u8, u16, u32, u64, i8, i16, i32, i64);

/// What the steps of one item can come to: a handle, or nothing.
#[diagnostic::on_unimplemented(
    message = "an item cannot give a `{Self}`",
    note = "end the closure with the handle of what an item gives, or with `;`"
)]
pub trait EachOutput {
    /// What an item gives.
    type Output: Output;

    /// Makes it the output of the item's plan.
    #[doc(hidden)]
    fn give(&self, to: &EachDraft);
}

impl EachOutput for () {
    type Output = ();
    fn give(&self, _: &EachDraft) {}
}

impl<T: Output> EachOutput for Handle<T> {
    type Output = T;
    fn give(&self, to: &EachDraft) {
        to.0.state().output(self.place(), to.0.home());
    }
}

/// The draft of one item's plan.
#[doc(hidden)]
pub struct EachDraft(Shared);
