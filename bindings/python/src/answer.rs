//! Answers, and the runs that Python holds.

use pyo3::{IntoPyObject, prelude::*};
use towpath::model::Json;

/// What was asked for.
pub(crate) enum Answer {
    /// A value, as JSON.
    Json(String),
    /// A run.
    Run(towpath::Run<Json>),
    /// The value of a secret: it is no JSON, so that nothing prints it on the way.
    Secret(String),
}

impl Answer {
    pub(crate) fn of(value: &impl serde::Serialize) -> Self {
        Answer::Json(serde_json::to_string(value).expect("answers are made of texts, numbers and JSON"))
    }

    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self {
            Answer::Json(text) | Answer::Secret(text) => text.into_pyobject(py)?.into_any().unbind(),
            Answer::Run(run) => Py::new(py, Run { run })?.into_any(),
        })
    }
}

/// A run of an engine.
#[pyclass(frozen, module = "towpath._native")]
pub(crate) struct Run {
    pub(crate) run: towpath::Run<Json>,
}

#[pymethods]
impl Run {
    /// Its id.
    #[getter]
    fn id(&self) -> String {
        self.run.id().to_string()
    }
}
