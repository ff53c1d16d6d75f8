//! What a draft holds.

use super::{PlanProblem, encode::Encoded};
use crate::{
    Claim, Condition, Declared, Environment, Output, Reads, Step, fits,
    handle::At,
    home::{Capture, Home, Whose},
    input::{Origin, ParamPlace, Part, Place, ReadOf, Reference},
    output::Gates,
    schema::{self, Schemas},
};
use serde_json::Value;
use std::any::{TypeId, type_name};
use towpath_model::{
    Condition as Model, Json, Kind, Name, Operand, PipelineName, Read, ReadMode, RetryPolicy, Role, Section,
    StepId, StepRecord,
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
    /// Locks under which all steps act.
    pub(crate) locks: Vec<Name>,
    /// What was found wrong so far.
    pub(crate) problems: Vec<PlanProblem>,
}

/// A placed step.
#[derive(Clone, Debug)]
pub(crate) struct StepDraft {
    pub(crate) record: StepRecord,
    pub(crate) detail: Detail,
}

/// What is known of a step while its plan is made, and not stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detail {
    /// Where references stand in what is stored of it.
    pub(crate) places: Vec<String>,
    /// The gates that its output has passed.
    pub(crate) gates: Gates,
    /// The parameters that it reads, its pipeline's own and those through which it takes what lies around that.
    pub(crate) params: Vec<String>,
    pub(crate) environment: Option<Environment>,
    pub(crate) claims: Vec<Claim>,
    /// Whether it waits for people.
    pub(crate) people: bool,
    /// Whether its author has it wait for people under a lock.
    pub(crate) while_holding: bool,
    /// The calendar that is open once it is done.
    pub(crate) opens: Option<Json>,
    /// Whether its author has it go into its environment whatever the windows of that say.
    pub(crate) at_any_time: bool,
    /// The steps of one item.
    pub(crate) inner: Option<Inner>,
}

/// What runs for each item of a list.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) steps: Vec<StepDraft>,
    pub(crate) taken: Vec<Capture>,
}

impl Detail {
    pub(crate) fn of<S: Step>(step: &S) -> Self {
        let mut detail = Detail {
            environment: step.environment().cloned(),
            claims: step.claims(),
            people: step.waits_for_people(),
            opens: step.opens(),
            ..Detail::default()
        };
        S::Output::gates(&mut detail.gates);
        detail
    }
}

/// What is known of a step when it is placed.
pub(crate) struct Placed {
    pub(crate) kind: &'static str,
    pub(crate) declared: Declared,
    pub(crate) encoded: Encoded,
    pub(crate) reads: Reads,
    pub(crate) detail: Detail,
    pub(crate) section: Section,
}

/// A declared parameter.
#[derive(Clone, Debug)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) type_name: &'static str,
    pub(crate) type_id: TypeId,
    /// Whether a value has the parameter's shape.
    kept: Kept,
    /// The gates that its values have passed: then it takes handles only.
    pub(crate) gates: Gates,
}

/// What the values of a parameter are held to.
#[derive(Clone, Debug)]
enum Kept {
    /// A Rust type.
    Type { check: fn(&Json) -> Result<(), serde_json::Error>, describe: fn(&mut Schemas) -> Value },
    /// A schema.
    Schema(Json),
}

impl Param {
    /// A parameter of which a schema is known, and no type.
    pub(crate) fn given(name: &str, schema: Json) -> Self {
        Param {
            gates: Gates::new(),
            name: name.to_owned(),
            type_name: type_name::<Json>(),
            type_id: TypeId::of::<Json>(),
            kept: Kept::Schema(schema),
        }
    }

    /// What is wrong with a value, when it is none of this parameter.
    pub(crate) fn misfit(&self, value: &Json) -> Option<String> {
        match &self.kept {
            Kept::Type { check, .. } => check(value).err().map(|e| {
                // Where in a value that fits into one line says nothing.
                let text = e.to_string();
                let what = text.split(" at line 1 column").next().unwrap_or(&text);
                format!("is no {}: {what}", self.short_type())
            }),
            Kept::Schema(schema) => match (schema.read(), value.read()) {
                (Ok(schema), Ok(value)) => fits::misfit(&schema, &value),
                (Err(e), _) | (_, Err(e)) => Some(format!("cannot be read: {e}")),
            },
        }
    }

    pub(crate) fn describe(&self, schemas: &mut Schemas) -> Value {
        match &self.kept {
            Kept::Type { describe, .. } => describe(schemas),
            Kept::Schema(schema) => schema.read().unwrap_or_else(|_| schema::anything()),
        }
    }

    pub(crate) fn of<T: Output>(name: &str) -> Self {
        let mut gates = Gates::new();
        T::gates(&mut gates);
        Param {
            gates,
            name: name.to_owned(),
            type_name: type_name::<T>(),
            type_id: TypeId::of::<T>(),
            kept: Kept::Type { check: |value| value.read::<T>().map(drop), describe: T::schema },
        }
    }

    /// Its schema, as a plan holds it.
    pub(crate) fn schema(&self) -> Json {
        schema::bare(&Schemas::of(|schemas| self.describe(schemas)))
    }

    /// Its type as people write it, without the paths of modules.
    pub(crate) fn short_type(&self) -> String {
        short(self.type_name)
    }
}

/// The name of a type without the paths of modules.
pub(crate) fn short(name: &str) -> String {
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
            locks: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a step; gives its index and id.
    pub(crate) fn place(&mut self, id: &str, placed: Placed, home: &Home) -> (usize, StepId) {
        let Placed { kind, declared, encoded, reads, detail, section } = placed;
        let id = self.id(id);
        self.problems.extend(
            encoded.problems.into_iter().map(|what| PlanProblem::Encoding { step: id.clone(), what }),
        );
        let kind = Kind::new(kind).unwrap_or_else(|error| {
            self.problems.push(PlanProblem::Kind { step: id.clone(), error });
            Kind::new("invalid/v1").expect("a constant kind keeps the rule")
        });
        let (edges, params) = self.reads(&id, reads, home);
        let detail = Detail { params, places: encoded.places, ..detail };
        let environment = self.environment(&id, detail.environment.as_ref());
        let record = StepRecord {
            section,
            reads: edges.0,
            environment,
            ..blank(id.clone(), kind, encoded.with, declared)
        };
        self.steps.push(StepDraft { record, detail });
        (self.steps.len() - 1, id)
    }

    /// The id; for a text that is none, a stand-in under which the step's other problems are reported.
    pub(crate) fn id(&mut self, text: &str) -> StepId {
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

    fn environment(&mut self, step: &StepId, environment: Option<&Environment>) -> Option<Name> {
        let name = environment?.name();
        // The rule of slugs is that of pipelines.
        if let Err(error) = PipelineName::new(name) {
            let what = format!("its environment has no usable name: {error}");
            self.problems.push(PlanProblem::Record { step: Some(step.clone()), what });
            return None;
        }
        Name::new(name).ok()
    }

    /// The edges that a step's fields make, and the parameters through which it takes what lies around the pipeline.
    pub(crate) fn reads(&mut self, step: &StepId, reads: Reads, home: &Home) -> (Edges, Vec<String>) {
        let (mut edges, mut params) = (Edges::default(), Vec::new());
        for ReadOf { field, to, origin } in reads.0 {
            match origin.as_ref().map_or(Whose::Own, |origin| home.whose(origin)) {
                Whose::Own => {
                    params.extend(param_of(&to));
                    edges.add(&to);
                }
                Whose::Around => {
                    params
                        .extend(origin.and_then(|origin| home.capture(&to, &origin)).map(|place| place.name));
                }
                Whose::Foreign => self.problems.extend(origin.map(|origin| {
                    PlanProblem::foreign(Some(step), format!("its input `{field}` is"), &origin)
                })),
            }
        }
        (edges, params)
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

    pub(crate) fn after(&mut self, node: usize, other: &At, home: &Home) {
        let record = &mut self.steps[node].record;
        if other.origin() != home.origin {
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

    pub(crate) fn when(&mut self, node: usize, condition: &Condition, home: &Home) {
        let record = &mut self.steps[node].record;
        let Condition { mut model, origins, problems } = condition.clone();
        let problems =
            problems.into_iter().map(|what| PlanProblem::Condition { step: record.id.clone(), what });
        self.problems.extend(problems);
        for (operand, origin) in model.operands_mut().into_iter().zip(&origins) {
            let Some(origin) = origin else { continue };
            match home.whose(origin) {
                Whose::Own => {}
                Whose::Around => *operand = around(operand, origin, home),
                Whose::Foreign => {
                    let (what, step) = ("its condition compares".into(), Some(&record.id));
                    return self.problems.push(PlanProblem::foreign(step, what, origin));
                }
            }
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

    pub(crate) fn output(&mut self, of: &At, home: &Home) {
        let operand = match of.operand() {
            Ok(operand) => operand,
            Err(what) => return self.problems.push(PlanProblem::Output { what }),
        };
        match home.whose(&of.origin()) {
            Whose::Own => self.output = Some(operand),
            Whose::Around => self.output = Some(around(&operand, &of.origin(), home)),
            Whose::Foreign => {
                let problem = PlanProblem::foreign(None, format!("the output is {of},"), &of.origin());
                self.problems.push(problem);
            }
        }
    }
}

/// A step of the way forward, with nothing said beyond what every step says.
pub(crate) fn blank(id: StepId, kind: Kind, with: Json, declared: Declared) -> StepRecord {
    let Declared { in_doubt, methods, undo, best_effort, point_of_no_return } = declared;
    StepRecord {
        id,
        kind,
        with,
        role: Role::Step,
        section: Section::Main,
        reads: Vec::new(),
        after: Vec::new(),
        when: None,
        environment: None,
        locks: Vec::new(),
        in_doubt,
        methods,
        undo,
        best_effort,
        point_of_no_return,
        retry: RetryPolicy::default(),
        undo_retry: RetryPolicy::default(),
        observe_retry: RetryPolicy::observing(),
        timeout_ms: None,
        within_ms: None,
    }
}

/// The parameter through which the pipeline of one item takes an operand from around it.
pub(crate) fn around(operand: &Operand, origin: &Origin, home: &Home) -> Operand {
    let to = match operand {
        Operand::Value(_) => return operand.clone(),
        Operand::From { step, path } => Reference::From(Place { step: step.clone(), path: path.clone() }),
        Operand::Param { name, path } => {
            Reference::Param(ParamPlace { name: name.clone(), path: path.clone() })
        }
    };
    match home.capture(&to, origin) {
        Some(ParamPlace { name, path }) => Operand::Param { name, path },
        None => operand.clone(),
    }
}

/// The parameter that a reference is to.
pub(crate) fn param_of(to: &Reference) -> Option<String> {
    match to {
        Reference::Param(place) => Some(place.name.clone()),
        _ => None,
    }
}

/// The edges of one step, each once.
#[derive(Default)]
pub(crate) struct Edges(pub(crate) Vec<Read>);

impl Edges {
    pub(crate) fn add(&mut self, to: &Reference) {
        match to {
            Reference::From(place) => self.push(&place.step, ReadMode::Required),
            Reference::OrNone(place) => self.push(&place.step, ReadMode::OrNone),
            Reference::FirstOf(places) => {
                let group = |read: &Read| match read.mode {
                    ReadMode::FirstOf(group) => Some(group + 1),
                    _ => None,
                };
                let next = self.0.iter().filter_map(group).max().unwrap_or(0);
                places.iter().for_each(|place| self.push(&place.step, ReadMode::FirstOf(next)));
            }
            Reference::Text(parts) => parts.iter().for_each(|part| {
                if let Part::Refers(to, _) = part {
                    self.add(to);
                }
            }),
            Reference::Param(_) => {}
        }
    }

    fn push(&mut self, step: &StepId, mode: ReadMode) {
        let read = Read { step: step.clone(), mode };
        if !self.0.contains(&read) {
            self.0.push(read);
        }
    }
}
