//! Errors, as they cross into Python: JSON, of which the package makes its exceptions.

use pyo3::{PyErr, create_exception, exceptions::PyException};
use serde_json::{Value, json};
use std::error::Error;
use towpath::{
    EngineError, EngineErrorKind, PlanErrors, PlanFileError, PlanFileErrorKind, StepError,
    model::{FailureKind, Json},
};

create_exception!(
    towpath._native,
    Fault,
    PyException,
    "What went wrong in Rust, as JSON. The package turns it into one of its own exceptions."
);

/// Something went wrong, told as JSON: `kind`, `message`, and what is known beside.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) Value);

impl Wrong {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Wrong(json!({"kind": kind, "message": message.into()}))
    }

    /// What was given from Python is not what the native part understands: a mistake of the package.
    pub(crate) fn given(what: &str, error: &dyn Error) -> Self {
        Wrong::new("given", format!("{what}: {error}"))
    }

    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }
}

impl From<Wrong> for PyErr {
    fn from(wrong: Wrong) -> Self {
        Fault::new_err(wrong.text())
    }
}

impl From<EngineError> for Wrong {
    fn from(error: EngineError) -> Self {
        let mut wrong = json!({
            "kind": word(error.kind()),
            "message": error.to_string(),
            "operation": error.operation(),
            "problems": error.problems(),
            "causes": causes(&error),
            "transient": error.is_transient(),
        });
        if let EngineErrorKind::KeyTaken { run, plan } = error.kind() {
            wrong["run"] = run.to_string().into();
            wrong["plan"] = plan.to_string().into();
        }
        Wrong(wrong)
    }
}

impl From<PlanErrors> for Wrong {
    fn from(errors: PlanErrors) -> Self {
        let problems = errors.problems.iter().map(|problem| {
            let message = problem.to_string();
            let step = problem.step().map(ToString::to_string);
            json!({"step": step, "message": message})
        });
        Wrong(json!({
            "kind": "plan",
            "message": format!("pipeline {:?} cannot be used", errors.pipeline),
            "problems": problems.collect::<Vec<_>>(),
        }))
    }
}

impl From<PlanFileError> for Wrong {
    fn from(error: PlanFileError) -> Self {
        let kind = if error.kind() == PlanFileErrorKind::Io { "plan-file-io" } else { "plan-file" };
        Wrong(json!({"kind": kind, "message": error.to_string(), "causes": causes(&error)}))
    }
}

impl From<StepError> for Wrong {
    fn from(error: StepError) -> Self {
        Wrong(json!({
            "kind": "step",
            "class": class(error.kind()),
            "message": error.to_string(),
            "causes": causes(&error),
            "retry_after_ms": error.delay().map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        }))
    }
}

pub(crate) fn class(kind: FailureKind) -> Json {
    Json::of(&kind).unwrap_or_else(|_| Json::null())
}

fn word(kind: &EngineErrorKind) -> &'static str {
    match kind {
        EngineErrorKind::Store => "store",
        EngineErrorKind::Unfit => "unfit",
        EngineErrorKind::KeyTaken { .. } => "key-taken",
        EngineErrorKind::NotFound => "not-found",
        EngineErrorKind::Refused => "refused",
        EngineErrorKind::Full => "full",
        EngineErrorKind::Settled => "settled",
        EngineErrorKind::Unreadable => "unreadable",
        EngineErrorKind::Corrupt => "corrupt",
        EngineErrorKind::Stopped => "stopped",
        EngineErrorKind::Frozen => "frozen",
        _ => "other",
    }
}

fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut beneath = error.source();
    while let Some(error) = beneath {
        causes.push(error.to_string());
        beneath = error.source();
    }
    causes
}

/// An error of a body in Python, as the package tells it.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    kind: FailureKind,
    message: String,
    #[serde(default)]
    causes: Vec<String>,
    details: Option<Json>,
    retry_after_ms: Option<u64>,
    /// What is there, of a step that somebody took over: one value, since that may be null.
    seen: Option<[Json; 1]>,
}

/// One line of what lies beneath an error.
#[derive(Debug)]
struct Beneath(String, Option<Box<Beneath>>);

impl std::fmt::Display for Beneath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Beneath {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|error| error as _)
    }
}

impl From<Told> for StepError {
    fn from(told: Told) -> Self {
        if let Some([seen]) = told.seen {
            return StepError::taken_over(&seen);
        }
        let mut error = match told.kind {
            FailureKind::Transient => StepError::transient(told.message),
            FailureKind::Rejected => StepError::rejected(told.message),
            FailureKind::Permanent => StepError::permanent(told.message),
            FailureKind::NeedsOperator => StepError::needs_operator(told.message),
            FailureKind::Unknown => StepError::unknown(told.message),
            FailureKind::Cancelled => StepError::cancelled(told.message),
        };
        let beneath = told
            .causes
            .into_iter()
            .rev()
            .fold(None, |beneath, cause| Some(Box::new(Beneath(cause, beneath))));
        if let Some(beneath) = beneath {
            error = error.because(beneath as Box<dyn Error + Send + Sync>);
        }
        if let Some(details) = &told.details {
            error = error.with_details(details);
        }
        match told.retry_after_ms {
            Some(ms) => error.retry_after(std::time::Duration::from_millis(ms)),
            None => error,
        }
    }
}
