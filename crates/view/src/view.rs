//! A plan, to be looked at.

use crate::{Look, Overlay, dot, graph::Graph, mermaid, svg, tree};
use std::collections::BTreeMap;
use towpath_model::{Digest, Json, PlanRecord};

/// A plan, to be looked at: its record, the values of its parameters, and the state of a run laid over it.
///
/// ```
/// use towpath_view::{Look, PlanView};
/// # let record: towpath_model::PlanRecord = serde_json::from_str(towpath_view::doc::PLAN)?;
/// let view = PlanView::of(&record);
/// assert!(view.tree(Look::default()).contains("canary"));
/// assert!(view.mermaid().starts_with("flowchart TD"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PlanView<'a> {
    pub(crate) record: &'a PlanRecord,
    pub(crate) values: Option<&'a BTreeMap<String, Json>>,
    pub(crate) over: Option<&'a Overlay>,
}

impl<'a> PlanView<'a> {
    /// A pipeline without values. Any record can be looked at, also one that has mistakes.
    pub fn of(record: &'a PlanRecord) -> Self {
        PlanView { record, values: None, over: None }
    }

    /// With the values of its parameters, it is a plan.
    #[must_use]
    pub fn with_values(self, values: &'a BTreeMap<String, Json>) -> Self {
        PlanView { values: Some(values), ..self }
    }

    /// With the state of a run laid over it.
    #[must_use]
    pub fn over(self, state: &'a Overlay) -> Self {
        PlanView { over: Some(state), ..self }
    }

    /// The record.
    pub fn record(&self) -> &'a PlanRecord {
        self.record
    }

    /// The pipeline's hash: of what was written. `None` when something in it cannot be canonical.
    pub fn pipeline_hash(&self) -> Option<Digest> {
        self.record.hash().ok()
    }

    /// The plan's hash: of the pipeline and the values. `None` without values.
    pub fn plan_hash(&self) -> Option<Digest> {
        self.record.hash_with(self.values?).ok()
    }

    /// It as text for a terminal: steps by rank, those that may run at once behind one bracket. Each line fits.
    pub fn tree(&self, look: Look) -> String {
        tree::draw(self, look)
    }

    /// It as a [Mermaid](https://mermaid.js.org/syntax/flowchart.html) flowchart.
    pub fn mermaid(&self) -> String {
        mermaid::draw(self)
    }

    /// It in the [DOT](https://graphviz.org/doc/info/lang.html) language.
    pub fn dot(&self) -> String {
        dot::draw(self)
    }

    /// It as an SVG image that follows the reader's preference for dark or light.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    pub(crate) fn graph(&self) -> Graph {
        Graph::of(self.record)
    }

    /// A plan below this one. Its items are runs of their own, so that nothing is laid over it.
    pub(crate) fn below(&self, record: &'a PlanRecord) -> PlanView<'a> {
        PlanView { record, values: None, over: None }
    }
}
