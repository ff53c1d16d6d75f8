//! Pipelines that an engine can start by name.

use crate::plans;
use std::collections::BTreeMap;
use towpath_model::Json;
use towpath_step::{Pipeline, Providers, Steps};

/// The pipelines that an engine was given, by name, and what is wrong with what was given.
#[derive(Default)]
pub(crate) struct Pipelines {
    by_name: BTreeMap<String, Pipeline<Json>>,
    problems: Vec<String>,
}

impl Pipelines {
    pub(crate) fn put(&mut self, pipeline: Pipeline<Json>) {
        let name = pipeline.name();
        match self.by_name.get(name) {
            Some(there) if there.hash() == pipeline.hash() => {
                self.problems.push(format!("the pipeline {name:?} is given twice: leave one out"));
            }
            Some(_) => self
                .problems
                .push(format!("two pipelines are called {name:?}: give one of them another name")),
            None => drop(self.by_name.insert(name.to_owned(), pipeline)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Pipeline<Json>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pipeline<Json>> {
        self.by_name.values()
    }

    /// Everything that is wrong with them, and everything that is missing to drive runs of them.
    pub(crate) fn problems(&self, steps: &Steps, providers: &Providers) -> Vec<String> {
        let lacking = self.iter().flat_map(|pipeline| {
            let lacks = plans::lacking(steps, providers, pipeline.record());
            lacks.into_iter().map(|what| format!("pipeline {}, {what}", pipeline.name()))
        });
        self.problems.iter().cloned().chain(lacking).collect()
    }
}
