//! Where plans come from: files, pipelines of this command, and runs.

use super::Which;
use crate::{
    fault::{Fault, chain},
    find,
    open::Address,
    setup::{self, Setup},
    story::Story,
    values,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use towpath::{
    Engine, Pipeline, Plan,
    model::{Json, PlanPreview, PlanRecord},
    store::{MemoryStore, Store},
    view::{Overlay, PlanView},
};

/// A plan that was read.
pub(crate) struct Viewed {
    pub(crate) record: Arc<PlanRecord>,
    /// The values; nothing when it is a pipeline whose parameters have none yet.
    pub(crate) values: Option<BTreeMap<String, Json>>,
    /// The state of the run that it was read from.
    over: Option<Overlay>,
    /// It as a plan that could be started.
    plan: Option<Plan<Json>>,
}

impl Viewed {
    pub(crate) fn view(&self) -> PlanView<'_> {
        let mut view = PlanView::of(&self.record);
        if let Some(values) = &self.values {
            view = view.with_values(values);
        }
        match &self.over {
            Some(over) => view.over(over),
            None => view,
        }
    }
}

/// Everything that plans are read from. Nothing is opened before it is asked for: a plan in a file needs no store.
pub(crate) struct Sources {
    address: Address,
    store: Option<Arc<dyn Store>>,
    setup: Option<Setup>,
    /// The engine of this command, on a store of its own, in memory: it tells what there is, and drives nothing.
    engine: Option<Engine>,
}

impl Sources {
    pub(crate) fn new(address: Address, store: Option<Arc<dyn Store>>, setup: Option<Setup>) -> Self {
        Sources { address, store, setup, engine: None }
    }

    /// The store that the command line names.
    pub(super) async fn store(&mut self) -> Result<Arc<dyn Store>, Fault> {
        let store = match &self.store {
            Some(store) => store.clone(),
            None => self.address.open().await?,
        };
        Ok(self.store.insert(store).clone())
    }

    /// Reads a plan.
    pub(super) async fn read(&mut self, text: &str, which: &Which) -> Result<Viewed, Fault> {
        if Path::new(text).is_file() {
            return file(text);
        }
        if let Some(pipeline) = self.pipeline(text).await? {
            return with_values(&pipeline, which);
        }
        let is_path = text.contains(std::path::MAIN_SEPARATOR) || text.ends_with(".json");
        match self.store().await {
            Ok(store) => run(&*store, text).await,
            Err(_) if is_path => Err(Fault::failed(format!("there is no file {text}"))),
            Err(fault) => Err(Fault::failed(format!(
                "{text:?} is no file and no pipeline of this command, and {fault}"
            ))),
        }
    }

    /// What a run of the plan would change. Nothing is changed, and nothing is journaled.
    pub(super) async fn preview(&mut self, viewed: &Viewed) -> Result<PlanPreview, Fault> {
        let plan = viewed.plan.as_ref().ok_or_else(|| {
            Fault::usage(
                "a preview needs a plan that could be started: a file, or a pipeline with its values",
            )
        })?;
        Ok(self.engine().await?.preview(plan).await?)
    }

    pub(super) async fn engine(&mut self) -> Result<&Engine, Fault> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
                setup::builder(store, self.setup.take())?.background(false).start().await?
            }
        };
        Ok(self.engine.insert(engine))
    }

    /// The pipeline of this name.
    async fn pipeline(&mut self, name: &str) -> Result<Option<Pipeline<Json>>, Fault> {
        if self.setup.is_none() && self.engine.is_none() {
            return Ok(None);
        }
        Ok(self.engine().await?.pipeline(name).cloned())
    }
}

fn file(path: &str) -> Result<Viewed, Fault> {
    let plan = towpath::Plan::load(path).map_err(|e| Fault::failed(chain(&e)))?;
    let (record, values) = (plan.record().clone(), Some((**plan.values()).clone()));
    Ok(Viewed { record, values, over: None, plan: Some(plan) })
}

/// A pipeline is looked at without values too, unless some are given.
fn with_values(pipeline: &Pipeline<Json>, which: &Which) -> Result<Viewed, Fault> {
    let values = values::read(pipeline, which.params.as_deref(), &which.param)?;
    let is_given = which.params.is_some() || !which.param.is_empty();
    let takes_none = pipeline.record().params.is_empty();
    let plan = match is_given || takes_none {
        true => Some(pipeline.with(values).map_err(|e| Fault::usage(e.to_string()))?),
        false => None,
    };
    let values = plan.as_ref().map(|plan| (**plan.values()).clone());
    Ok(Viewed { record: pipeline.record().clone(), values, over: None, plan })
}

async fn run(store: &dyn Store, text: &str) -> Result<Viewed, Fault> {
    let row = find::run(store, text).await?;
    let story = Story::read(store, &row).await?;
    let now = store.now().await?;
    let state =
        story.state.as_ref().map_err(|why| Fault::failed(format!("the run cannot be folded: {why}")))?;
    let mut over = Overlay::of(state);
    for (id, step) in &story.steps {
        if let Some(started) = step.started_at {
            over.took(id, step.ended_at.unwrap_or(now).since(started));
        }
    }
    Ok(Viewed {
        record: state.plan().record().clone(),
        values: story.start.map(|(start, _)| start.values),
        over: Some(over),
        plan: None,
    })
}
