//! The registry: which kinds a process knows.

use crate::{ErasedStep, LateKind, Need, Pipeline, PlanErrors, Step, alone, late::word, schema::Schemas};
use serde_json::Value;
use std::{any::TypeId, any::type_name, collections::BTreeMap, fmt, sync::Arc};
use towpath_model::{IdError, InDoubt, Json, Kind, Methods, UndoPolicy};

/// The kinds of steps that a process knows, by name. Made with [`steps!`](crate::steps).
///
/// Nothing is found by what happens to be linked: a kind that is not put here is not known. What is wrong with what was
/// put is collected, for the engine to report it when it starts, all at once.
///
/// ```
/// # extern crate towpath_step as towpath;
/// use towpath_step::{StepContext, StepError, step, steps};
///
/// #[step("demo.greet/v1", no_effect)]
/// async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
///     Ok(format!("hello {name}"))
/// }
///
/// let known = steps![greet];
/// assert!(known.knows("demo.greet/v1"));
/// assert!(known.problems().is_empty());
/// ```
#[derive(Clone, Default, Debug)]
pub struct Steps {
    kinds: BTreeMap<String, StepKind>,
    problems: Vec<StepsProblem>,
}

/// What is known of one kind.
#[derive(Clone)]
pub struct StepKind {
    kind: Kind,
    type_name: &'static str,
    in_doubt: InDoubt,
    methods: Methods,
    undo: UndoPolicy,
    needs: Vec<Need>,
    pub(crate) fields: Vec<&'static str>,
    code: Code,
}

/// Where the code of a kind comes from.
#[derive(Clone)]
enum Code {
    /// A Rust type.
    Type {
        id: TypeId,
        schema: fn() -> Value,
        decode: fn(&Json) -> Result<Box<dyn ErasedStep>, serde_json::Error>,
        /// Makes a pipeline of one such step.
        pipeline: fn(&str, &Json) -> Result<Pipeline<Json>, PlanErrors>,
    },
    /// Something that was made when the program ran.
    Late { kind: Arc<LateKind>, schema: Arc<Value> },
}

impl StepKind {
    fn of<S: Step>() -> Result<Self, IdError> {
        Ok(StepKind {
            kind: Kind::new(S::KIND)?,
            type_name: type_name::<S>(),
            in_doubt: S::IN_DOUBT,
            methods: S::METHODS,
            undo: S::UNDO,
            needs: S::needs(),
            fields: alone::fields::<S>(),
            code: Code::Type {
                id: TypeId::of::<S>(),
                schema: Schemas::of_kind::<S>,
                decode: |with| Ok(Box::new(with.read::<S>()?)),
                pipeline: alone::pipeline::<S>,
            },
        })
    }

    pub(crate) fn of_late(kind: Arc<LateKind>, schema: Value) -> Self {
        StepKind {
            kind: kind.kind.clone(),
            type_name: word(&kind.origin),
            in_doubt: kind.in_doubt,
            methods: kind.methods,
            undo: kind.undo,
            needs: Vec::new(),
            fields: kind.fields.keys().map(|name| word(name)).collect(),
            code: Code::Late { kind, schema: Arc::new(schema) },
        }
    }

    pub(crate) fn decode(&self, with: &Json) -> Result<Box<dyn ErasedStep>, serde_json::Error> {
        match &self.code {
            Code::Type { decode, .. } => decode(with),
            Code::Late { kind, .. } => Ok(Box::new(kind.decode(with)?)),
        }
    }

    /// A pipeline of one such step.
    pub(crate) fn pipeline(&self, name: &str, with: &Json) -> Result<Pipeline<Json>, PlanErrors> {
        match &self.code {
            Code::Type { pipeline, .. } => pipeline(name, with),
            Code::Late { kind, .. } => alone::late(kind, name, with),
        }
    }

    /// Whether both have the same code.
    fn is_same(&self, other: &StepKind) -> bool {
        match (&self.code, &other.code) {
            (Code::Type { id, .. }, Code::Type { id: other, .. }) => id == other,
            (Code::Late { kind, .. }, Code::Late { kind: other, .. }) => Arc::ptr_eq(&kind.body, &other.body),
            _ => false,
        }
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The Rust type behind it, or where else its code stands, for messages.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// What to do when it is not known whether an attempt took effect.
    pub fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }

    /// What it can do beside running.
    pub fn methods(&self) -> Methods {
        self.methods
    }

    /// What becomes of its effect, unless a pipeline says otherwise.
    pub fn undo(&self) -> UndoPolicy {
        self.undo
    }

    /// Its JSON Schema (draft 2020-12): under `with` the values that its fields stand for, under `output` what it gives. What
    /// tells nothing of itself is `{}`.
    pub fn schema(&self) -> Json {
        let schema = match &self.code {
            Code::Type { schema, .. } => Json::of(&schema()),
            Code::Late { schema, .. } => Json::of(&**schema),
        };
        schema.expect("a schema is json")
    }

    /// The providers that it asks for.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }
}

impl fmt::Debug for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.type_name)
    }
}

impl Steps {
    /// No kinds.
    pub fn new() -> Self {
        Steps::default()
    }

    /// These kinds and the kind of `S`.
    #[must_use]
    pub fn with<S: Step>(mut self) -> Self {
        if S::IN_DOUBT == InDoubt::Observe && !S::METHODS.observe {
            self.problems
                .push(StepsProblem::CannotObserve { kind: S::KIND.to_owned(), ty: type_name::<S>() });
        }
        match StepKind::of::<S>() {
            Ok(kind) => self.put(kind),
            Err(error) => self.problems.push(StepsProblem::Kind { ty: type_name::<S>(), error }),
        }
        self
    }

    /// These kinds and one whose code is known when the program runs.
    #[must_use]
    pub fn late(mut self, kind: LateKind) -> Self {
        match kind.known() {
            Ok(kind) => self.put(kind),
            Err(problem) => self.problems.push(problem),
        }
        self
    }

    /// These kinds and those of `others`, as in `stock::steps().and(steps![smoke])`.
    #[must_use]
    pub fn and(mut self, others: Steps) -> Self {
        self.problems.extend(others.problems);
        others.kinds.into_values().for_each(|kind| self.put(kind));
        self
    }

    /// The same type under its own kind once more is no problem: registries overlap.
    fn put(&mut self, kind: StepKind) {
        match self.kinds.get(kind.kind.as_str()) {
            Some(there) if !there.is_same(&kind) => {
                let problem =
                    StepsProblem::Twice { kind: kind.kind, first: there.type_name, second: kind.type_name };
                if !self.problems.contains(&problem) {
                    self.problems.push(problem);
                }
            }
            Some(_) => {}
            None => {
                self.kinds.insert(kind.kind.to_string(), kind);
            }
        }
    }

    /// Whether it knows a kind.
    pub fn knows(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    /// What is known of a kind.
    pub fn get(&self, kind: &str) -> Option<&StepKind> {
        self.kinds.get(kind)
    }

    /// All kinds, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &StepKind> {
        self.kinds.values()
    }

    /// Everything that is wrong with what was put.
    pub fn problems(&self) -> &[StepsProblem] {
        &self.problems
    }

    /// Decodes a step from what a plan stores of it.
    ///
    /// # Errors
    /// When the kind is not known, or does not have the shape of what is stored.
    pub fn decode(&self, kind: &str, with: &Json) -> Result<Box<dyn ErasedStep>, DecodeError> {
        let known = self.get(kind).ok_or_else(|| DecodeError::UnknownKind { kind: kind.to_owned() })?;
        known.decode(with).map_err(|error| DecodeError::With { kind: kind.to_owned(), error })
    }
}

/// Makes a registry of kinds: `steps![build, ScanImage]`.
#[macro_export]
macro_rules! steps {
    ($($step:ty),* $(,)?) => { $crate::Steps::new()$(.with::<$step>())* };
}

/// One thing that is wrong with a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StepsProblem {
    /// Two types have one kind.
    Twice {
        /// The kind.
        kind: Kind,
        /// The type that keeps it.
        first: &'static str,
        /// The type that was left out.
        second: &'static str,
    },
    /// A type's kind is none.
    Kind {
        /// The type.
        ty: &'static str,
        /// What is wrong with it.
        error: IdError,
    },
    /// A type says that it is observed when in doubt, but cannot observe.
    CannotObserve {
        /// Its kind.
        kind: String,
        /// The type.
        ty: &'static str,
    },
}

impl fmt::Display for StepsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepsProblem::Twice { kind, first, second } => {
                write!(f, "{first} and {second} are both of kind {kind}: give one another name or version")
            }
            StepsProblem::Kind { ty, error } => write!(f, "the kind of {ty} cannot be stored: {error}"),
            StepsProblem::CannotObserve { kind, ty } => write!(
                f,
                "{ty}, of kind {kind}, is to be observed when in doubt, but its METHODS do not declare `observe`: \
                 declare and write it, or choose what else to do in doubt"
            ),
        }
    }
}

impl std::error::Error for StepsProblem {}

/// A stored step that cannot be decoded. It blocks this step, not its run.
#[derive(Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// Nobody has put the kind in the registry.
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// The kind does not read what is stored.
    With {
        /// The kind.
        kind: String,
        /// What the decoder says.
        error: serde_json::Error,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::UnknownKind { kind } => {
                write!(f, "the kind {kind} is not known here: add it to the engine's `steps![…]`")
            }
            DecodeError::With { kind, .. } => {
                write!(
                    f,
                    "the kind {kind} does not read what the plan stores of it: keep reading old fields, or give \
                           the new shape a new version"
                )
            }
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DecodeError::UnknownKind { .. } => None,
            DecodeError::With { error, .. } => Some(error),
        }
    }
}
