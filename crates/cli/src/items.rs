//! The items of a run's steps, as far as they are shown.

use crate::{fault::Fault, story::Story};
use std::collections::BTreeMap;
use towpath::{
    model::{Event, Header, ItemKey, RunId, Seq, StepId, StoredEvent},
    store::{RunRow, Store},
};

/// Items of a step that are shown.
const MOST: u64 = 20;

/// An item that has begun.
pub(crate) struct Item {
    pub(crate) key: Option<ItemKey>,
    pub(crate) run: RunId,
    /// The row of its run, when it is there.
    pub(crate) row: Option<RunRow>,
}

/// The first items of each step that is a `for_each`, in the order of its list.
pub(crate) async fn of(store: &dyn Store, story: &Story) -> Result<BTreeMap<StepId, Vec<Item>>, Fault> {
    let mut shown = BTreeMap::new();
    let Ok(state) = &story.state else { return Ok(shown) };
    for (record, ix) in state.plan().record().steps.iter().zip(0..) {
        let Some(items) = state.node(ix).items() else { continue };
        let mut of_step = Vec::new();
        for index in 0..items.count().min(MOST) {
            let Some(run) = items.run(state.run(), &record.id, index) else { continue };
            let row = store.find(run).await?;
            let first = match &row {
                Some(row) => store.events(row.no, Seq(0), 1).await?,
                None => Vec::new(),
            };
            of_step.push(Item { key: first.first().and_then(key), run, row });
        }
        shown.insert(record.id.clone(), of_step);
    }
    Ok(shown)
}

/// The key that an item's first event names.
fn key(first: &StoredEvent) -> Option<ItemKey> {
    let header = Header::decode(&first.header).ok()?;
    match Event::decode(header.kind, first.payload.as_ref()?) {
        Ok(Event::RunStarted(started)) => started.parent.map(|below| below.item),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
