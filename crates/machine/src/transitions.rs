//! Which transitions are legal.

/// Notes what happens, for the test that compares it with what is legal. Nothing outside tests.
pub(crate) mod visit {
    use crate::{Phase, StepState, UndoState};
    use towpath_model::EventKind;

    pub(crate) fn event(_: EventKind) {}
    pub(crate) fn step(_: &StepState, _: &StepState) {}
    pub(crate) fn undo(_: &UndoState, _: &UndoState) {}
    pub(crate) fn phase(_: Phase, _: Phase) {}
}
