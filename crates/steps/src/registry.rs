//! The kinds of all stock steps.

use crate::{Approval, Notify, Wait, Window};
use towpath_model::Json;
use towpath_step::Steps;

/// The kinds of all stock steps.
///
/// ```
/// let known = towpath_steps::steps();
/// assert!(known.problems().is_empty());
/// # #[cfg(unix)]
/// assert!(known.knows("towpath.command/v1"));
/// ```
pub fn steps() -> Steps {
    // Whatever its type is, an approval passes its value on as it is stored.
    let steps = Steps::new().with::<Approval<Json>>().with::<Notify>().with::<Wait>().with::<Window>();
    #[cfg(unix)]
    let steps = steps.with::<crate::Command>();
    #[cfg(feature = "http")]
    let steps = steps.with::<crate::HttpCheck>().with::<crate::HttpCall>();
    #[cfg(feature = "deploy")]
    let steps = steps.and(crate::deploy::steps());
    steps
}
