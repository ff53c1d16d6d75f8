//! A plan, and a step, as a flat list of what can differ.

use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use towpath_model::{Json, PlanRecord, StepRecord};

/// Paths, and what is there.
pub(super) type Facets = BTreeMap<String, Value>;

/// What can differ about a step. Its id cannot: a step with another id is another step.
pub(super) fn step(step: &StepRecord) -> Facets {
    let mut facets = Facets::new();
    let mut fields = object(step);
    fields.remove("id");
    fields.remove("format");
    for (name, value) in fields {
        flatten(&name, value, &mut facets);
    }
    facets
}

/// What can differ about a plan beside its steps.
pub(super) fn plan(record: &PlanRecord, values: Option<&BTreeMap<String, Json>>) -> Facets {
    let mut facets = Facets::new();
    let whole = PlanRecord { steps: Vec::new(), ..record.clone() };
    let mut fields = object(&whole);
    fields.remove("steps");
    // A schema is one thing.
    let params = fields.remove("params");
    for (name, schema) in params.as_ref().and_then(Value::as_object).into_iter().flatten() {
        facets.insert(format!("params.{name}"), schema.clone());
    }
    for (name, value) in fields {
        facets.insert(name, value);
    }
    for (name, value) in values.into_iter().flatten() {
        facets.insert(format!("values.{name}"), value.read().unwrap_or(Value::Null));
    }
    facets
}

fn object(of: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        // A record that cannot be JSON was never stored, and has nothing to compare.
        _ => Map::new(),
    }
}

fn flatten(path: &str, value: Value, facets: &mut Facets) {
    let below = |name: &str| format!("{path}.{name}");
    match (last(path), value) {
        // Edges and locks are sets: which of them there are counts, and not their order.
        ("reads", Value::Array(reads)) => {
            for read in reads {
                let of = read.get("step").and_then(Value::as_str).unwrap_or_default().to_owned();
                facets.insert(below(&of), read.get("mode").cloned().unwrap_or_else(|| "required".into()));
            }
        }
        ("after" | "locks", Value::Array(names)) => {
            names
                .iter()
                .filter_map(Value::as_str)
                .for_each(|name| drop(facets.insert(below(name), true.into())));
        }
        // Steps of a plan below this one.
        ("steps", Value::Array(steps)) => {
            for step in steps {
                let id = step.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                flatten(&below(&id), step, facets);
            }
        }
        // A field is one thing, and so is a condition or a list.
        (_, Value::Object(fields)) if is_open(path) => {
            for (name, value) in fields.into_iter().filter(|(name, _)| name != "id") {
                flatten(&below(&name), value, facets);
            }
        }
        (_, value) => drop(facets.insert(path.to_owned(), value)),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Whether the parts of what is there are named one by one.
fn is_open(path: &str) -> bool {
    let above: Vec<&str> = path.split('.').collect();
    let in_field = above.iter().rev().skip(1).any(|part| matches!(*part, "with" | "params"));
    !in_field && !matches!(last(path), "when" | "list" | "output")
}
