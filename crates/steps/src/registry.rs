//! The kinds of all stock steps.

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
    let steps = Steps::new();
    #[cfg(unix)]
    let steps = steps.with::<crate::Command>();
    steps
}
