//! What can be wrong with a pipeline, and with the values it is given.

use crate::input::Origin;
use std::fmt;
use towpath_model::{IdError, Name, StepId};

/// Everything that is wrong with a pipeline or its values. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanErrors {
    /// The pipeline's name, as it was written.
    pub pipeline: String,
    /// What is wrong.
    pub problems: Vec<PlanProblem>,
}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.problems.len();
        write!(f, "the pipeline {:?} has {n} problem{}", self.pipeline, if n == 1 { "" } else { "s" })?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for PlanErrors {}

/// One thing that is wrong with a pipeline or its values: says where, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PlanProblem {
    /// The pipeline's name is none.
    Name(IdError),
    /// A step's id is none.
    StepId {
        /// What was written.
        id: String,
        /// Why it is none; `None` for a path, which only pipelines within pipelines make.
        error: Option<IdError>,
    },
    /// The kind of a step is none.
    Kind {
        /// The step.
        step: StepId,
        /// Why it is none.
        error: IdError,
    },
    /// A step cannot be stored, or is stored differently each time.
    Encoding {
        /// The step.
        step: StepId,
        /// What is wrong.
        what: String,
    },
    /// A handle of another pipeline is used.
    Foreign {
        /// The step that uses it.
        step: Option<StepId>,
        /// As what it is used.
        what: String,
        /// The name of the pipeline that it is a handle of.
        pipeline: String,
    },
    /// A condition cannot be stored.
    Condition {
        /// The step that hangs on it.
        step: StepId,
        /// What is wrong.
        what: String,
    },
    /// An option is given to a handle that has none.
    Option {
        /// What the handle refers to.
        of: String,
        /// The option.
        option: &'static str,
    },
    /// A parameter's name is none.
    ParamName {
        /// What was written.
        param: String,
    },
    /// A parameter is declared with two types.
    ParamTypes {
        /// The parameter.
        param: String,
        /// The types.
        types: [&'static str; 2],
    },
    /// A `first_of` has nothing to choose from.
    NoBranch,
    /// The output is something that only a step can read.
    Output {
        /// What made it.
        what: &'static str,
    },
    /// The plan is too large.
    TooLarge {
        /// Its bytes, as canonical JSON.
        bytes: usize,
    },
    /// One environment is described twice, and differently.
    Environments {
        /// The step with the second description.
        step: StepId,
        /// The environment.
        environment: String,
        /// The step with the first.
        first: StepId,
    },
    /// A step goes into an environment that accepts only what has passed a gate.
    Gate {
        /// The step.
        step: StepId,
        /// The environment.
        environment: String,
        /// The gates that nothing it reads has passed.
        missing: Vec<String>,
    },
    /// A step goes into an environment at a time that nobody has looked at.
    Windows {
        /// The step.
        step: StepId,
        /// The environment.
        environment: String,
        /// When it takes something in, in words.
        times: String,
        /// A step that waits for people after the calendar was looked at.
        asks: Option<StepId>,
    },
    /// The windows of an environment cannot be read.
    Times {
        /// The step that goes there.
        step: StepId,
        /// The environment.
        environment: String,
        /// What is wrong with them.
        what: String,
    },
    /// Two have power over one thing.
    Owners {
        /// The thing.
        thing: String,
        /// Who, and the first step that says so.
        owners: Vec<(String, StepId)>,
    },
    /// A lock's name is none.
    LockName {
        /// What was written.
        lock: String,
        /// Why it is none.
        error: IdError,
    },
    /// A step waits for people while a lock is held.
    Holding {
        /// The step.
        step: StepId,
        /// The lock.
        lock: Name,
    },
    /// Something is wrong within a pipeline that is placed in this one.
    Within {
        /// Under which id it is placed.
        of: StepId,
        /// What is wrong there.
        problem: Box<PlanProblem>,
    },
    /// The pipeline of one item declares a parameter.
    InnerParam {
        /// The parameter.
        param: String,
    },
    /// What the machine finds wrong with the graph and its policies, or why there is no hash of it.
    Record {
        /// The step that it is about.
        step: Option<StepId>,
        /// What is wrong.
        what: String,
    },
    /// A parameter has no value.
    MissingValue {
        /// The parameter.
        param: String,
    },
    /// A value is given for a parameter that is not declared.
    UnknownValue {
        /// What was given.
        param: String,
        /// The parameters that there are.
        declared: Vec<String>,
    },
    /// Something is wrong with the fields that a step was given as JSON.
    Field {
        /// The kind of the step.
        kind: String,
        /// What is wrong.
        what: String,
    },
    /// A value does not fit its parameter.
    Value {
        /// The parameter.
        param: String,
        /// What is wrong.
        what: String,
    },
}

impl PlanProblem {
    pub(crate) fn foreign(step: Option<&StepId>, what: String, origin: &Origin) -> Self {
        PlanProblem::Foreign { step: step.cloned(), what, pipeline: origin.0.to_string() }
    }

    /// The step that it is about.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            PlanProblem::Kind { step, .. }
            | PlanProblem::Encoding { step, .. }
            | PlanProblem::Environments { step, .. }
            | PlanProblem::Gate { step, .. }
            | PlanProblem::Windows { step, .. }
            | PlanProblem::Times { step, .. }
            | PlanProblem::Holding { step, .. }
            | PlanProblem::Condition { step, .. } => Some(step),
            PlanProblem::Foreign { step, .. } | PlanProblem::Record { step, .. } => step.as_ref(),
            _ => None,
        }
    }
}

impl PlanProblem {
    /// What environments insist on, in words.
    fn guard(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanProblem::Environments { environment, first, .. } => write!(
                f,
                "the environment {environment:?} is another one than in step {first}: describe it once, and use that value"
            ),
            PlanProblem::Gate { environment, missing, .. } => write!(
                f,
                "the environment {environment:?} accepts only what is {}, and nothing that this step reads is: give it \
                 the output of the step that asks, such as an Approval (`after` is for order, not for safety)",
                missing.join(" and ")
            ),
            PlanProblem::Windows { environment, times, asks, .. } => {
                write!(
                    f,
                    "the environment {environment:?} takes something in only at its times ({times}), and "
                )?;
                match asks {
                    None => f.write_str(
                        "no step waits for them first: place a `Window::before(&…)` of it, and this step `after` that",
                    )?,
                    Some(asks) => write!(
                        f,
                        "step {asks} waits for people after they were looked at: place the `Window::before(&…)` after it"
                    )?,
                }
                f.write_str("; what must not wait says `at_any_time`")
            }
            PlanProblem::Times { environment, what, .. } => {
                write!(f, "the windows of the environment {environment:?} cannot be read: {what}")
            }
            PlanProblem::Owners { thing, owners } => {
                let all: Vec<_> =
                    owners.iter().map(|(owner, step)| format!("{owner} (step {step})")).collect();
                write!(f, "{thing} has more than one master: {}; leave it to one of them", all.join(" and "))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step() {
            write!(f, "step {step}: ")?;
        }
        match self {
            PlanProblem::Name(error) => error.fmt(f),
            PlanProblem::StepId { error: Some(error), .. } => error.fmt(f),
            PlanProblem::StepId { id, error: None } => {
                write!(f, "{id:?} is a path, not the id of one step: use - in place of / and [")
            }
            PlanProblem::Kind { error, .. } => write!(f, "its KIND is wrong: {error}"),
            PlanProblem::Encoding { what, .. }
            | PlanProblem::Condition { what, .. }
            | PlanProblem::Record { what, .. } => f.write_str(what),
            PlanProblem::Foreign { what, pipeline, .. } => {
                write!(f, "{what} a handle of another pipeline, {pipeline:?}: give it a handle of this one")
            }
            PlanProblem::Option { of, option } => {
                write!(f, "`{option}` means nothing for {of}: it is for the handle that placing a step gives")
            }
            PlanProblem::ParamName { param } => {
                write!(f, "{param:?} is not the name of a parameter: want 1 to 64 of a-z, 0-9, _ and -")
            }
            PlanProblem::ParamTypes { param, types: [first, second] } => {
                write!(
                    f,
                    "the parameter {param:?} is declared as {first} and as {second}: give one another name"
                )
            }
            PlanProblem::NoBranch => f.write_str("a first_of has no branch: give it at least two handles"),
            PlanProblem::Output { what } => {
                write!(
                    f,
                    "the output cannot be what `{what}` gives: place a step that reads it, and give its output"
                )
            }
            PlanProblem::Environments { .. }
            | PlanProblem::Gate { .. }
            | PlanProblem::Windows { .. }
            | PlanProblem::Times { .. }
            | PlanProblem::Owners { .. } => self.guard(f),
            PlanProblem::LockName { lock, error } => write!(f, "{lock:?} is not the name of a lock: {error}"),
            PlanProblem::Holding { lock, .. } => write!(
                f,
                "it waits for people while the lock {lock} is held, and everybody else waits for their answer: ask before the \
                 lock is taken, or say `while_holding` if that is meant"
            ),
            PlanProblem::Within { of, problem } => write!(f, "in {of}: {problem}"),
            PlanProblem::InnerParam { param } => write!(
                f,
                "the parameter {param:?} is declared for one item: declare it on the pipeline around, and use its handle"
            ),
            PlanProblem::TooLarge { bytes } => write!(
                f,
                "the plan has {bytes} bytes, more than {}: pass large values as files or artifacts by digest",
                towpath_model::limits::PLAN_BYTES
            ),
            PlanProblem::MissingValue { param } => {
                write!(f, "the parameter {param:?} has no value: give it one")
            }
            PlanProblem::UnknownValue { param, declared } => match &declared[..] {
                [] => write!(f, "{param:?} is not a parameter: the pipeline has none"),
                [one] => write!(f, "{param:?} is not a parameter: there is {one}"),
                all => write!(f, "{param:?} is not a parameter: there are {}", all.join(", ")),
            },
            PlanProblem::Field { kind, what } => write!(f, "the kind {kind}: {what}"),
            PlanProblem::Value { param, what } => write!(f, "the value of the parameter {param:?} {what}"),
        }
    }
}
