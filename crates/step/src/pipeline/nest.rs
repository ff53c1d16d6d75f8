//! Pipelines within pipelines: placed whole, under a prefix.

use super::{
    Params, PlanProblem,
    params::Given,
    state::{Detail, Edges, Inner, State, StepDraft, param_of},
};
use crate::{
    Input,
    handle::Whole,
    home::{Home, Whose},
    input::{ParamPlace, Part, Place, Reference, Source},
};
use serde_json::Value;
use std::collections::BTreeMap;
use towpath_model::{Condition, Json, Operand, PlanRecord, Role, Section, StepId, StepRecord};

/// A pipeline that is placed within another.
pub(crate) struct Guest<'a> {
    pub(crate) prefix: StepId,
    pub(crate) record: &'a PlanRecord,
    pub(crate) details: &'a [Detail],
    /// What its parameters are, by name.
    pub(crate) given: BTreeMap<String, Given>,
}

impl State {
    /// Places every step of a pipeline, under a prefix, with its parameters replaced by what is given for them; gives
    /// what its output is then.
    pub(crate) fn place_all(&mut self, guest: &Guest<'_>) -> (Whole, Option<Reference>) {
        let start = self.steps.len();
        for (record, detail) in guest.record.steps.iter().zip(guest.details) {
            let mut problems = Vec::new();
            let step = guest.moved(record, detail, &mut problems);
            let id = &step.record.id;
            self.problems.extend(
                problems.into_iter().map(|what| PlanProblem::Record { step: Some(id.clone()), what }),
            );
            self.steps.push(step);
        }
        let all: Vec<usize> = (start..self.steps.len()).collect();
        let (main, first): (Vec<usize>, Vec<usize>) = {
            let is_main = |i: &usize| self.steps[*i].record.section == Section::Main;
            let main: Vec<usize> = all.iter().copied().filter(is_main).collect();
            let own: Vec<&StepId> = main.iter().map(|i| &self.steps[*i].record.id).collect();
            let is_first = |i: &usize| !waits_for(&self.steps[*i], &own);
            (main.clone(), main.iter().copied().filter(is_first).collect())
        };
        let ids = main.iter().map(|i| self.steps[*i].record.id.clone()).collect();
        let output = guest.record.output.as_ref().and_then(|output| match guest.operand(output) {
            Ok(to) => Some(to),
            Err(what) => {
                let what = format!("the output of {} cannot be read: {what}", guest.prefix);
                self.problems.push(PlanProblem::Record { step: None, what });
                None
            }
        });
        (Whole { ids, first, all }, output)
    }

    /// What the parameters of a pipeline become where it is placed. Handles from around the draft are captured.
    pub(crate) fn given(&mut self, prefix: &StepId, params: Params, home: &Home) -> BTreeMap<String, Given> {
        let mut given: BTreeMap<String, Given> =
            params.values.into_iter().map(|(name, value)| (name, Given::Value(value))).collect();
        for (name, handle) in params.handles {
            let to = match home.whose(&handle.origin) {
                Whose::Own => handle.to,
                Whose::Around => match home.capture(&handle.to, &handle.origin) {
                    Some(place) => Reference::Param(place),
                    None => handle.to,
                },
                Whose::Foreign => {
                    let what = format!("its parameter {name:?} is");
                    self.problems.push(PlanProblem::foreign(Some(prefix), what, &handle.origin));
                    continue;
                }
            };
            given.insert(name, Given::Refers(to));
        }
        given
    }
}

/// Whether a step waits for one of these.
fn waits_for(step: &StepDraft, ids: &[&StepId]) -> bool {
    let record = &step.record;
    let conditions = record.when.iter().flat_map(Condition::operands).filter_map(|operand| match operand {
        Operand::From { step, .. } => Some(step),
        _ => None,
    });
    let mut all = record.reads.iter().map(|read| &read.step).chain(&record.after).chain(conditions);
    all.any(|id| ids.contains(&id))
}

impl Guest<'_> {
    fn id(&self, id: &StepId) -> Result<StepId, String> {
        StepId::new(&format!("{}/{id}", self.prefix)).map_err(|e| format!("its path is none: {e}"))
    }

    /// A step, moved under the prefix. An error is told and the part that it is about left as it was.
    fn moved(&self, record: &StepRecord, detail: &Detail, problems: &mut Vec<String>) -> StepDraft {
        let mut step = StepDraft { record: record.clone(), detail: detail.clone() };
        let mut told = |result: Result<(), String>| problems.extend(result.err());
        let record = &mut step.record;
        let own = self.id(&record.id).map(|id| record.id = id);
        told(own);
        for after in &mut record.after {
            let moved = self.id(after).map(|id| *after = id);
            told(moved);
        }
        let mut edges = Edges::default();
        // The list of a for_each is read as well, and is not among its fields.
        if let Role::ForEach { list, .. } = &mut record.role {
            let moved = self.compared(list).map(|to| {
                reference(&to).iter().for_each(|to| edges.add(to));
                *list = to;
            });
            told(moved);
        }
        step.detail.params.clear();
        let Detail { params, places, .. } = &mut step.detail;
        let with = self.with(&record.with, places, &mut edges, params).map(|with| record.with = with);
        told(with);
        record.reads = edges.0;
        if let Some(inner) = &mut step.detail.inner {
            let moved = self.inner(inner);
            told(moved);
        }
        for operand in record.when.iter_mut().flat_map(Condition::operands_mut) {
            let moved = self.compared(operand).map(|to| *operand = to);
            told(moved);
        }
        step
    }

    /// What the steps of an item take from around them: a value is not taken any more.
    fn inner(&self, inner: &mut Inner) -> Result<(), String> {
        let mut taken = Vec::new();
        for mut capture in std::mem::take(&mut inner.taken) {
            if let Given::Refers(to) = self.follow(&capture.to)? {
                capture.to = to;
                taken.push(capture);
            }
        }
        inner.taken = taken;
        Ok(())
    }

    /// What is stored of a step, with what it refers to moved and replaced.
    fn with(
        &self,
        with: &Json,
        places: &[String],
        edges: &mut Edges,
        params: &mut Vec<String>,
    ) -> Result<Json, String> {
        if places.is_empty() {
            return Ok(with.clone());
        }
        let unread = |e: serde_json::Error| format!("what is stored of it cannot be read: {e}");
        let mut value: Value = with.read().map_err(unread)?;
        for place in places {
            let at = value.pointer_mut(place).ok_or_else(|| format!("nothing is stored at {place}"))?;
            let input: Input<Value> = serde_json::from_value(at.take()).map_err(unread)?;
            let input = self.input(&input)?;
            if let Source::Refers(to, _) = input.source() {
                edges.add(to);
                params.extend(param_of(to));
            }
            *at = serde_json::to_value(&input).map_err(unread)?;
        }
        Json::of(&value).map_err(unread)
    }

    fn input(&self, input: &Input<Value>) -> Result<Input<Value>, String> {
        Ok(match input.source() {
            Source::Value(value) => Input::value(value.clone()),
            Source::Refers(to, _) => match self.follow(to)? {
                Given::Value(value) => Input::value(value.read().map_err(|e| e.to_string())?),
                Given::Refers(to) => Input::stored(to),
            },
        })
    }

    /// What a reference of the guest is in the host.
    fn follow(&self, to: &Reference) -> Result<Given, String> {
        let place =
            |place: &Place| Ok::<_, String>(Place { step: self.id(&place.step)?, path: place.path.clone() });
        Ok(Given::Refers(match to {
            Reference::From(at) => Reference::From(place(at)?),
            Reference::OrNone(at) => Reference::OrNone(place(at)?),
            Reference::FirstOf(all) => Reference::FirstOf(all.iter().map(place).collect::<Result<_, _>>()?),
            Reference::Text(parts) => {
                let parts = parts.iter().map(|part| self.part(part)).collect::<Result<Vec<_>, _>>()?;
                Reference::Text(parts.into_iter().flatten().collect())
            }
            Reference::Param(at) => return self.param(at),
        }))
    }

    fn part(&self, part: &Part) -> Result<Vec<Part>, String> {
        let Part::Refers(to, _) = part else { return Ok(vec![part.clone()]) };
        Ok(match self.follow(to)? {
            Given::Value(value) => vec![Part::Value(value.read().map_err(|e| e.to_string())?)],
            Given::Refers(Reference::Text(parts)) => parts,
            Given::Refers(to) => vec![Part::Refers(to, None)],
        })
    }

    fn param(&self, at: &ParamPlace) -> Result<Given, String> {
        let below = |path: &str| format!("{path}{}", at.path);
        let place = |p: &Place| Place { step: p.step.clone(), path: below(&p.path) };
        Ok(match self.given.get(&at.name) {
            // Told already: a pipeline is placed with values for all its parameters.
            None => Given::Value(Json::null()),
            Some(Given::Value(value)) if at.path.is_empty() => Given::Value(value.clone()),
            Some(Given::Value(value)) => {
                let whole: Value = value.read().map_err(|e| e.to_string())?;
                let part = whole.pointer(&at.path).unwrap_or(&Value::Null);
                Given::Value(Json::of(part).map_err(|e| e.to_string())?)
            }
            Some(Given::Refers(to)) => Given::Refers(match to {
                Reference::From(p) => Reference::From(place(p)),
                Reference::OrNone(p) => Reference::OrNone(place(p)),
                Reference::FirstOf(all) => Reference::FirstOf(all.iter().map(place).collect()),
                Reference::Param(p) => {
                    Reference::Param(ParamPlace { name: p.name.clone(), path: below(&p.path) })
                }
                Reference::Text(_) if at.path.is_empty() => to.clone(),
                Reference::Text(_) => {
                    return Err(format!("the parameter {:?} is a text, which has no fields", at.name));
                }
            }),
        })
    }

    /// What an operand of the guest is in the host.
    fn compared(&self, operand: &Operand) -> Result<Operand, String> {
        match operand {
            Operand::Value(value) => Ok(Operand::Value(value.clone())),
            Operand::From { step, path } => Ok(Operand::From { step: self.id(step)?, path: path.clone() }),
            Operand::Param { name, path } => {
                match self.param(&ParamPlace { name: name.clone(), path: path.clone() })? {
                    Given::Value(value) => Ok(Operand::Value(value)),
                    Given::Refers(Reference::From(p)) => Ok(Operand::From { step: p.step, path: p.path }),
                    Given::Refers(Reference::Param(p)) => Ok(Operand::Param { name: p.name, path: p.path }),
                    Given::Refers(_) => Err(format!(
                        "a condition or a list hangs on the parameter {name:?}, which is given the output of an \
                         `or_none` or a `first_of`: give it the output of a step"
                    )),
                }
            }
        }
    }

    fn operand(&self, operand: &Operand) -> Result<Reference, String> {
        reference(&self.compared(operand)?).ok_or_else(|| "it is a value and not the output of a step".into())
    }
}

/// An operand as a reference; a value is none.
fn reference(operand: &Operand) -> Option<Reference> {
    match operand {
        Operand::Value(_) => None,
        Operand::From { step, path } => {
            Some(Reference::From(Place { step: step.clone(), path: path.clone() }))
        }
        Operand::Param { name, path } => {
            Some(Reference::Param(ParamPlace { name: name.clone(), path: path.clone() }))
        }
    }
}
