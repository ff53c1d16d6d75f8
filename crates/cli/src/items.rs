//! The items of a run's steps, as far as they are shown.

use crate::{
    cx::Spelling,
    explain::{WaitLine, Why},
    fault::Fault,
    out::Tone,
    runs,
    show::Shown,
    steps,
    story::Story,
    summary::one_line,
    when,
};
use std::collections::BTreeMap;
use towpath::{
    machine::{ItemState, Items},
    model::{Event, Header, ItemKey, RunId, Seq, Status, StepId, StoredEvent},
    store::{RunRow, Store},
};

/// Items of a step that are shown.
const MOST: usize = 20;
/// Items of them that failed: there has to be room for those that run.
const FAILED: usize = 8;

/// An item that has begun.
pub(crate) struct Item {
    pub(crate) index: u64,
    pub(crate) key: Option<ItemKey>,
    pub(crate) run: RunId,
    /// The row of its run, when it is there.
    pub(crate) row: Option<RunRow>,
    /// What happens in it, while it is followed.
    pub(crate) inside: Option<Box<Shown>>,
}

/// The items of a run, by step.
pub(crate) type ByStep = BTreeMap<StepId, Vec<Item>>;

/// The first items of each step that is a `for_each`, in the order of its list.
pub(crate) async fn of(store: &dyn Store, story: &Story) -> Result<ByStep, Fault> {
    let mut shown = BTreeMap::new();
    let Ok(state) = &story.state else { return Ok(shown) };
    for (record, ix) in state.plan().record().steps.iter().zip(0..) {
        let Some(items) = state.node(ix).items() else { continue };
        let mut of_step = Vec::new();
        for index in 0..items.count().min(MOST as u64) {
            let Some(run) = items.run(state.run(), &record.id, index) else { continue };
            let row = store.find(run).await?;
            let first = match &row {
                Some(row) => store.events(row.no, Seq(0), 1).await?,
                None => Vec::new(),
            };
            of_step.push(Item { index, key: first.first().and_then(key), run, row, inside: None });
        }
        shown.insert(record.id.clone(), of_step);
    }
    Ok(shown)
}

/// The items that failed and those that run, of each step that is a `for_each`. What was read of them before is read on.
pub(crate) async fn moving(store: &dyn Store, story: &Story, before: ByStep) -> Result<ByStep, Fault> {
    let mut known: BTreeMap<RunId, Item> =
        before.into_values().flatten().map(|item| (item.run, item)).collect();
    let mut shown = BTreeMap::new();
    let Ok(state) = &story.state else { return Ok(shown) };
    for (record, ix) in state.plan().record().steps.iter().zip(0..) {
        let Some(items) = state.node(ix).items() else { continue };
        let mut chosen: Vec<u64> = items.failed().take(FAILED).collect();
        chosen.extend(items.open().take(MOST - chosen.len()));
        chosen.sort_unstable();
        let mut of_step = Vec::new();
        for index in chosen {
            let Some(run) = items.run(state.run(), &record.id, index) else { continue };
            let Some(row) = store.find(run).await? else {
                of_step.push(Item { index, key: None, run, row: None, inside: None });
                continue;
            };
            let inside = known.remove(&run).and_then(|item| item.inside);
            let mut inside = inside.unwrap_or_else(|| Box::new(Shown::new(row.clone())));
            inside.story.read_on(store, &row, &mut |_, _, _| {}).await?;
            inside.progress = store.progress(row.no).await?;
            (inside.row, inside.now) = (row.clone(), store.now().await?);
            let start = inside.story.start.as_ref();
            let key = start.and_then(|(start, _)| Some(start.parent.as_ref()?.item.clone()));
            of_step.push(Item { index, key, run, row: Some(row), inside: Some(inside) });
        }
        shown.insert(record.id.clone(), of_step);
    }
    Ok(shown)
}

/// Whether a run that has items under way waits for nothing but an operator who sees to all of them.
pub(crate) async fn rest(store: &dyn Store, shown: &Shown) -> Result<bool, Fault> {
    let is_driven = shown.row.owner.is_some() || shown.unread > 0;
    let Some(state) = shown.story.state.as_ref().ok().filter(|_| !is_driven) else { return Ok(false) };
    let waits = state.explain().waits;
    let mut open = Vec::new();
    for wait in waits {
        match wait.mover {
            towpath::machine::Mover::Items(runs) => open.extend(runs),
            _ => return Ok(false),
        }
    }
    for run in &open {
        let row = store.find(*run).await?;
        if !row.is_some_and(|row| matches!(row.listing.status, Status::Stuck | Status::Quarantined)) {
            return Ok(false);
        }
    }
    Ok(!open.is_empty())
}

/// What somebody has to send or decide, so that items move that are followed.
pub(crate) fn waits(shown: &Shown, spelling: &Spelling) -> Vec<WaitLine> {
    let inside = shown.items.values().flatten().filter_map(|item| item.inside.as_deref());
    let open = inside.filter(|inside| inside.row.listing.status != Status::Settled);
    let of = |inside: &Shown| {
        let path = inside.story.state.as_ref().ok().and_then(|state| Some(state.below()?.path.clone()));
        let why = Why::of(&inside.row, &inside.story, 0, inside.now, spelling);
        let needs = why.waits.into_iter().filter(|wait| !wait.commands.is_empty());
        needs.map(|wait| wait.below(path.as_ref(), inside.row.run)).collect::<Vec<_>>()
    };
    open.flat_map(of).collect()
}

impl Item {
    /// It in one line: which it is, and what happens in it.
    pub(crate) fn line(&self) -> (Tone, String) {
        let key = self.key.as_ref().map_or("?", |key| key.as_str());
        let Some(row) = &self.row else { return (Tone::Dim, format!("[{key}] not there, run {}", self.run)) };
        let (tone, stands) = (runs::tone(row), runs::standing(row));
        let Some(inside) = &self.inside else {
            return (tone, format!("[{key}] {stands}, run {}", self.run));
        };
        let mark = match row.listing.status {
            Status::Settled => '✗',
            Status::Stuck | Status::Quarantined | Status::Blocked | Status::Paused => '!',
            Status::Waiting => '◦',
            _ => '▸',
        };
        let end = if row.listing.status == Status::Settled { row.changed_at } else { inside.now };
        let took = when::length(end.since(row.started_at));
        let busy = match row.listing.status {
            Status::Settled => Vec::new(),
            _ => steps::busy(inside),
        };
        let what = if busy.is_empty() { one_line(&runs::note(row)) } else { busy.join("; ") };
        let what = if what.is_empty() { what } else { format!(": {what}") };
        (tone, format!("{mark} [{key}] {stands} {took}{what}"))
    }
}

/// How many items stand in which way that are not among those that are shown.
pub(crate) fn others(items: &Items, shown: &[Item]) -> String {
    let mut counts: Vec<(&str, u64)> =
        ["done", "to come", "under way", "failed", "being undone", "undone", "left in place"]
            .map(|word| (word, 0))
            .into();
    let is_shown = |index: u64| shown.iter().any(|item| item.index == index);
    for index in (0..items.count()).filter(|index| !is_shown(*index)) {
        let at = match items.state(index) {
            Some(ItemState::Done) => 0,
            Some(ItemState::Waiting) | None => 1,
            Some(ItemState::Running) => 2,
            Some(ItemState::Failed) => 3,
            Some(ItemState::Unwinding) => 4,
            Some(ItemState::Undone) => 5,
            Some(ItemState::Left) => 6,
        };
        counts[at].1 += 1;
    }
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    some.map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
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
