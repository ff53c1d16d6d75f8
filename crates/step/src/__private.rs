//! What the macros write names of. Not for anybody else: it changes without notice.

pub use crate::{
    context::before_image,
    handle::At,
    output::field,
    step::{StepResult, get},
};
pub use serde;
pub use towpath_model::{InDoubt, Json, Methods, UndoPolicy};
