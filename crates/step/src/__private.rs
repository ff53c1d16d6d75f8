//! What the macros write names of. Not for anybody else: it changes without notice.

pub use crate::{
    context::before_image,
    handle::At,
    input::AddReads,
    output::{Gates, Passed, field},
    schema::{
        ObjectSchema, OfAnything, OfOutput, Probe, Schemas, anything, constant, described, list, one_of,
        tuple,
    },
    step::{StepResult, get, preview},
};
pub use serde;
pub use serde_json::Value;
pub use towpath_model::{Change, InDoubt, Json, Methods, UndoPolicy};

/// The derive without the trait of its name: a prelude with the trait would make `run` of a struct step ambiguous.
pub mod derive {
    pub use towpath_step_macros::Step;
}
