//! What Rust knows of the stock steps, for the package to be held to.

use crate::fault::Wrong;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use towpath::{model::Json, stock};

/// The stock kinds with what is known of each, as JSON.
#[pyfunction]
pub(crate) fn kinds() -> String {
    let steps = stock::steps();
    let kinds = steps.iter().map(|kind| {
        serde_json::json!({
            "kind": kind.kind(),
            "in_doubt": kind.in_doubt(),
            "methods": kind.methods(),
            "undo": kind.undo(),
            "fields": kind.fields(),
            "schema": kind.schema(),
        })
    });
    serde_json::Value::from_iter(kinds).to_string()
}

/// The fields of a step of a stock kind, as JSON, read by Rust and written again.
#[pyfunction]
pub(crate) fn encoded(kind: &str, with_: &str) -> PyResult<String> {
    let with = Json::parse(with_).map_err(|e| Wrong::given("the fields of a step", &e))?;
    let step = stock::steps().decode(kind, &with).map_err(|e| {
        let because = std::error::Error::source(&e).map(|e| format!(": {e}")).unwrap_or_default();
        Wrong::new("given", format!("{e}{because}"))
    })?;
    let stored: serde_json::Value =
        Json::of(&*step).and_then(|json| json.read()).map_err(|e| Wrong::given("a step", &e))?;
    Ok(stored["with"].to_string())
}

/// The record of a step of a stock kind whose fields have these values, as Rust writes it.
#[pyfunction]
pub(crate) fn alone(kind: &str, values: &str) -> PyResult<String> {
    let values: BTreeMap<String, Json> =
        serde_json::from_str(values).map_err(|e| Wrong::given("the fields of a step", &e))?;
    let steps = stock::steps();
    let known =
        steps.get(kind).ok_or_else(|| Wrong::new("given", format!("there is no stock kind {kind:?}")))?;
    let pipeline = known.alone("step", &values).map_err(Wrong::from)?;
    Ok(serde_json::to_string(&pipeline.record().steps[0])
        .expect("a record is made of texts, numbers and JSON"))
}
