//! What the pictures say of a step, line by line.

use crate::{PlanView, marks, overlay::Seen, words};
use towpath_model::StepRecord;

/// The lines of a step: its id, its kind, how it stands, its condition, its marks.
pub(crate) struct Label {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) more: Vec<String>,
    pub(crate) seen: Option<Seen>,
}

impl Label {
    pub(crate) fn of(view: &PlanView<'_>, step: &StepRecord) -> Self {
        let seen = view.over.map(|over| over.step(&step.id));
        let mut more: Vec<String> =
            seen.iter().map(|s| format!("{} {}", s.standing.mark(), s.words())).collect();
        more.extend(marks::below(step));
        more.extend(step.when.iter().map(|when| format!("when {}", words::condition(when))));
        more.extend(marks::of(step).into_iter().map(|(_, text)| text));
        Label { id: words::clean(step.id.as_str()), kind: words::clean(step.kind.as_str()), more, seen }
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        [&self.id, &self.kind].into_iter().chain(&self.more).map(String::as_str)
    }
}
