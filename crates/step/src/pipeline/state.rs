//! What a draft holds.

use super::{PlanProblem, encode::Encoded};
use crate::{
    Condition, Declared, Output, Reads,
    handle::At,
    input::{Origin, ReadOf, Reference},
};
use std::any::{TypeId, type_name};
use towpath_model::{
    Condition as Model, Json, Kind, Operand, Read, ReadMode, RetryPolicy, Role, Section, StepId, StepRecord,
};

/// Steps that run at once, unless the author says otherwise.
const PARALLEL: u32 = 16;

/// What a draft holds, behind the lock that its handles share.
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) steps: Vec<StepDraft>,
    pub(crate) params: Vec<Param>,
    pub(crate) output: Option<Operand>,
    pub(crate) parallel: u32,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) unwind_one_at_a_time: bool,
    /// What was found wrong so far.
    pub(crate) problems: Vec<PlanProblem>,
}

/// A placed step.
pub(crate) struct StepDraft {
    pub(crate) record: StepRecord,
}

/// What is known of a step when it is placed.
pub(crate) struct Placed {
    pub(crate) kind: &'static str,
    pub(crate) declared: Declared,
    pub(crate) encoded: Encoded,
    pub(crate) reads: Reads,
    pub(crate) section: Section,
}

/// A declared parameter.
#[derive(Clone)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) type_name: &'static str,
    type_id: TypeId,
    /// Whether a value has the parameter's shape.
    pub(crate) check: fn(&Json) -> Result<(), serde_json::Error>,
}

impl Param {
    pub(crate) fn of<T: Output>(name: &str) -> Self {
        Param {
            name: name.to_owned(),
            type_name: type_name::<T>(),
            type_id: TypeId::of::<T>(),
            check: |value| value.read::<T>().map(drop),
        }
    }

    /// Its type as people write it, without the paths of modules.
    pub(crate) fn short_type(&self) -> String {
        short(self.type_name)
    }
}

/// The name of a type without the paths of modules.
fn short(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for part in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        text.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    text
}

impl State {
    pub(crate) fn new(name: &str) -> Self {
        State {
            name: name.to_owned(),
            steps: Vec::new(),
            params: Vec::new(),
            output: None,
            parallel: PARALLEL,
            deadline_ms: None,
            unwind_one_at_a_time: false,
            problems: Vec::new(),
        }
    }

    /// Adds a step; gives its index and id.
    pub(crate) fn place(&mut self, id: &str, placed: Placed, home: &Origin) -> (usize, StepId) {
        let Placed { kind, declared, encoded, reads, section } = placed;
        let id = self.id(id);
        self.problems.extend(
            encoded.problems.into_iter().map(|what| PlanProblem::Encoding { step: id.clone(), what }),
        );
        let kind = Kind::new(kind).unwrap_or_else(|error| {
            self.problems.push(PlanProblem::Kind { step: id.clone(), error });
            Kind::new("invalid/v1").expect("a constant kind keeps the rule")
        });
        let reads = self.reads(&id, reads, home);
        let record = StepRecord {
            id: id.clone(),
            kind,
            with: encoded.with,
            role: Role::Step,
            section,
            reads,
            after: Vec::new(),
            when: None,
            locks: Vec::new(),
            in_doubt: declared.in_doubt,
            methods: declared.methods,
            undo: declared.undo,
            best_effort: declared.best_effort,
            point_of_no_return: false,
            retry: RetryPolicy::default(),
            undo_retry: RetryPolicy::default(),
            observe_retry: RetryPolicy::observing(),
            timeout_ms: None,
            within_ms: None,
        };
        self.steps.push(StepDraft { record });
        (self.steps.len() - 1, id)
    }

    /// The id; for a text that is none, a stand-in under which the step's other problems are reported.
    fn id(&mut self, text: &str) -> StepId {
        // `/` and `[` are for the paths that pipelines and items make; an author writes one slug.
        let error = match StepId::new(text) {
            Ok(id) if !text.contains(['/', '[']) => return id,
            Ok(_) => None,
            Err(error) => Some(error),
        };
        self.problems.push(PlanProblem::StepId { id: text.to_owned(), error });
        StepId::new(&format!("unnamed-{}", self.steps.len() + 1))
            .expect("a slug made of a word and a number is one")
    }

    /// The edges that a step's fields make.
    fn reads(&mut self, step: &StepId, reads: Reads, home: &Origin) -> Vec<Read> {
        let mut all: Vec<Read> = Vec::new();
        let mut groups = 0;
        for ReadOf { field, to, origin } in reads.0 {
            if let Some(origin) = origin.filter(|origin| origin != home) {
                self.problems.push(PlanProblem::foreign(
                    Some(step),
                    format!("its input `{field}` is"),
                    &origin,
                ));
                continue;
            }
            let mut add = |step: &StepId, mode| {
                let read = Read { step: step.clone(), mode };
                if !all.contains(&read) {
                    all.push(read);
                }
            };
            for to in to.parts() {
                match to {
                    Reference::From(place) => add(&place.step, ReadMode::Required),
                    Reference::OrNone(place) => add(&place.step, ReadMode::OrNone),
                    Reference::FirstOf(places) => {
                        places.iter().for_each(|place| add(&place.step, ReadMode::FirstOf(groups)));
                        groups += 1;
                    }
                    Reference::Param(_) | Reference::Text(_) => {}
                }
            }
        }
        all
    }

    pub(crate) fn param(&mut self, param: Param) {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        match self.params.iter().find(|p| p.name == param.name) {
            Some(there) if there.type_id != param.type_id => {
                self.problems.push(PlanProblem::ParamTypes {
                    param: param.name,
                    types: [there.type_name, param.type_name],
                });
            }
            Some(_) => {}
            None => {
                if !(1..=64).contains(&param.name.len()) || !param.name.chars().all(word) {
                    self.problems.push(PlanProblem::ParamName { param: param.name.clone() });
                }
                self.params.push(param);
            }
        }
    }

    pub(crate) fn after(&mut self, node: usize, other: &At, home: &Origin) {
        let record = &mut self.steps[node].record;
        if other.origin() != *home {
            let problem =
                PlanProblem::foreign(Some(&record.id), format!("it is after {other},"), &other.origin());
            self.problems.push(problem);
        } else if let Reference::Param(_) = other.reference() {
            self.problems.push(PlanProblem::Option { of: other.to_string(), option: "after" });
        } else {
            for step in other.steps() {
                if !record.after.contains(&step) {
                    record.after.push(step);
                }
            }
        }
    }

    pub(crate) fn when(&mut self, node: usize, condition: Condition, home: &Origin) {
        let record = &mut self.steps[node].record;
        let Condition { model, origins, problems } = condition;
        let problems =
            problems.into_iter().map(|what| PlanProblem::Condition { step: record.id.clone(), what });
        self.problems.extend(problems);
        if let Some(origin) = origins.iter().find(|origin| *origin != home) {
            self.problems.push(PlanProblem::foreign(
                Some(&record.id),
                "its condition compares".into(),
                origin,
            ));
            return;
        }
        record.when = Some(match record.when.take() {
            None => model,
            Some(Model::All(mut all)) => {
                all.push(model);
                Model::All(all)
            }
            Some(first) => Model::All(vec![first, model]),
        });
    }

    pub(crate) fn output(&mut self, of: &At, home: &Origin) {
        if of.origin() != *home {
            let problem = PlanProblem::foreign(None, format!("the output is {of},"), &of.origin());
            self.problems.push(problem);
            return;
        }
        match of.operand() {
            Ok(operand) => self.output = Some(operand),
            Err(what) => self.problems.push(PlanProblem::Output { what }),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn types_are_named_as_people_write_them() {
        for (long, short) in [
            ("alloc::string::String", "String"),
            ("u32", "u32"),
            (
                "alloc::collections::btree::map::BTreeMap<alloc::string::String, shop::Image>",
                "BTreeMap<String, Image>",
            ),
            ("(core::option::Option<u8>, f64)", "(Option<u8>, f64)"),
        ] {
            assert_eq!(super::short(long), short);
        }
    }
}
