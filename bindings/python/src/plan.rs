//! Plans, as Python holds them: checked, hashed, drawn and compared by Rust.

use crate::fault::Wrong;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use towpath::{
    Params, Pipeline,
    model::{self, Json, PlanRecord},
    view::{Look, PlanView},
};

/// A plan: a pipeline that was checked, with its values.
#[pyclass(frozen, module = "towpath._native")]
pub(crate) struct Plan {
    pub(crate) plan: towpath::Plan<Json>,
}

#[pymethods]
impl Plan {
    /// The plan of a record with these values, both as JSON.
    #[new]
    fn new(record: &str, values: &str) -> PyResult<Self> {
        let record: PlanRecord =
            serde_json::from_str(record).map_err(|e| Wrong::given("the record of a pipeline", &e))?;
        let values: BTreeMap<String, Json> =
            serde_json::from_str(values).map_err(|e| Wrong::given("the values of a plan", &e))?;
        let pipeline = Pipeline::of_record(record).map_err(Wrong::from)?;
        let params = values.iter().fold(Params::new(), |params, (name, value)| params.set(name, value));
        Ok(Plan { plan: pipeline.with(params).map_err(Wrong::from)? })
    }

    /// Its hash: of the pipeline and the values.
    #[getter]
    fn hash(&self) -> String {
        self.plan.hash().to_string()
    }

    /// The hash of its pipeline, without the values.
    #[getter]
    fn pipeline_hash(&self) -> String {
        self.plan.pipeline_hash().to_string()
    }

    /// The pipeline as data, as JSON.
    fn record(&self) -> String {
        serde_json::to_string(&**self.plan.record()).expect("a record is made of texts, numbers and JSON")
    }

    /// The values, as JSON.
    fn values(&self) -> String {
        serde_json::to_string(&**self.plan.values()).expect("values are JSON")
    }

    /// It as a picture: `tree`, `mermaid`, `dot` or `svg`.
    fn picture(&self, form: &str) -> PyResult<String> {
        let view = self.view();
        match form {
            "tree" => Ok(view.tree(Look::default())),
            "mermaid" => Ok(view.mermaid()),
            "dot" => Ok(view.dot()),
            "svg" => Ok(view.svg()),
            other => Err(Wrong::new("given", format!("there is no picture {other:?}")).into()),
        }
    }

    /// Writes it to a file.
    fn save(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        py.detach(|| self.plan.save(path)).map_err(Wrong::from)?;
        Ok(())
    }
}

impl Plan {
    fn view(&self) -> PlanView<'_> {
        PlanView::of(self.plan.record()).with_values(self.plan.values())
    }
}

/// Reads a plan from a file.
#[pyfunction]
pub(crate) fn load(py: Python<'_>, path: &str) -> PyResult<Plan> {
    let plan = py.detach(|| towpath::Plan::<Json>::load(path)).map_err(Wrong::from)?;
    Ok(Plan { plan })
}

/// What differs between two plans, as a text; empty when nothing does.
#[pyfunction]
pub(crate) fn diff(from_: &Plan, to: &Plan) -> String {
    let diff = towpath::view::diff(&from_.view(), &to.view());
    if diff.is_empty() { String::new() } else { diff.text(Look::default()) }
}

/// JSON in its one form, over which hashes are taken.
#[pyfunction]
pub(crate) fn canonical(text: &str) -> PyResult<String> {
    Ok(model::canonical::of_text(text).map_err(|e| Wrong::given("a value", &e))?)
}
