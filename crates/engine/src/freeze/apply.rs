//! Declaring and lifting freezes, and telling runs.

use super::{
    Act, Freeze, Freezes, Frozen,
    record::{NAME, name},
};
use crate::{EngineError, EngineErrorKind, note};
use towpath_model::{Actor, Json, Message, Name, NewEntry, RunId, Status, Verb};
use towpath_store::{Cursor, Filter, Level, Page, Put, Store, StoreError, StoreErrorKind};

const FREEZE: &str = "declare a freeze";
const THAW: &str = "lift a freeze";

/// Runs that a freeze remembers to have paused. Beyond that they have to be resumed by hand.
const PAUSED_MOST: usize = 20_000;

pub(super) async fn freeze(store: &dyn Store, freeze: Freeze, by: &Actor) -> Result<Vec<RunId>, EngineError> {
    let failed = |e| EngineError::store(FREEZE, e);
    let at = store.now().await.map_err(failed)?;
    if freeze.until.is_some_and(|until| until <= at) {
        let over = format!("the freeze {} would be over already: say a time to come", freeze.name);
        return Err(EngineError::unfit(FREEZE, vec![over]));
    }
    let declare = |freezes: &mut Freezes| {
        if let Some(there) = freezes.freezes.iter().find(|there| there.freeze.name == freeze.name) {
            let hint = "lift it first, or choose another name";
            let taken = EngineError::new(EngineErrorKind::Taken, FREEZE).with("freeze", &freeze.name);
            return Err(taken.with("by", &there.by).with("hint", hint));
        }
        freezes.freezes.push(Frozen { freeze: freeze.clone(), by: by.clone(), at, paused: Vec::new() });
        freezes.act(act(at, by, "declared", &freeze.name, &freeze.reason));
        Ok(())
    };
    // From here on nothing starts; what had started before is found now.
    note::change(store, &name(NAME), declare).await?;
    let covered = covered(store, &freeze).await.map_err(failed)?;
    // Written before they are told: a run that was told is found when the freeze is lifted, whoever dies meanwhile.
    let remember = |freezes: &mut Freezes| {
        if let Some(frozen) = freezes.freezes.iter_mut().find(|frozen| frozen.freeze.name == freeze.name) {
            frozen.paused = covered.iter().copied().take(PAUSED_MOST).collect();
        }
        Ok(())
    };
    note::change(store, &name(NAME), remember).await?;
    let why = format!("freeze {}: {}", freeze.name, freeze.reason);
    tell(store, &covered, Verb::Pause, by, &why, &dedupe(&freeze.name, at.as_micros(), "pause"))
        .await
        .map_err(failed)?;
    Ok(covered)
}

pub(super) async fn thaw(
    store: &dyn Store,
    freeze: &str,
    by: &Actor,
    reason: &str,
) -> Result<Vec<RunId>, EngineError> {
    let failed = |e| EngineError::store(THAW, e);
    let at = store.now().await.map_err(failed)?;
    let kept = note::read::<Freezes>(store, &name(NAME)).await?;
    let missing = || EngineError::new(EngineErrorKind::Unknown, THAW).with("freeze", freeze);
    let found = kept.record.freezes.iter().find(|there| there.freeze.name.as_str() == freeze);
    let frozen = found.ok_or_else(missing)?.clone();
    // Told first: a run that was told twice is told once, and one that is not told stays paused for ever.
    let since = frozen.at.as_micros();
    let why = format!("freeze {freeze} is lifted: {reason}");
    tell(store, &frozen.paused, Verb::Resume, by, &why, &dedupe(&frozen.freeze.name, since, "resume"))
        .await
        .map_err(failed)?;
    let lift = |freezes: &mut Freezes| {
        let before = freezes.freezes.len();
        freezes.freezes.retain(|there| there.freeze.name != frozen.freeze.name || there.at != frozen.at);
        if freezes.freezes.len() == before {
            return Err(missing());
        }
        freezes.act(act(at, by, "lifted", &frozen.freeze.name, reason));
        Ok(())
    };
    note::change(store, &name(NAME), lift).await?;
    Ok(frozen.paused)
}

fn act(at: towpath_model::Timestamp, by: &Actor, what: &str, name: &Name, reason: &str) -> Act {
    Act { at, by: by.clone(), what: what.to_owned(), name: name.clone(), reason: reason.to_owned() }
}

/// What makes a message about a freeze one message, however often it is sent.
fn dedupe(freeze: &Name, since: i64, what: &str) -> String {
    format!("freeze/{}/{since}/{what}", towpath_model::Digest::of(freeze.as_str().as_bytes()))
}

/// The runs that a freeze pauses: those that go on, with their items, and are not paused already. What is being undone is
/// undone: half of it would be worse than either end.
async fn covered(store: &dyn Store, freeze: &Freeze) -> Result<Vec<RunId>, StoreError> {
    let top = Filter {
        status: vec![Status::Running, Status::Waiting, Status::Blocked],
        pipeline: freeze.pipeline.clone(),
        labels: freeze.labels.clone().into_iter().collect(),
        level: Level::Top,
        ..Filter::default()
    };
    let mut found = list(store, &top).await?;
    let mut next = 0;
    while let Some(run) = found.get(next).copied() {
        next += 1;
        let items = Filter { status: top.status.clone(), level: Level::ItemsOf(run), ..Filter::default() };
        found.extend(list(store, &items).await?);
    }
    Ok(found)
}

async fn list(store: &dyn Store, filter: &Filter) -> Result<Vec<RunId>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(filter, Page { after, limit: Page::MOST }).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(Cursor(last.no));
        found.extend(page.iter().map(|row| row.run));
    }
}

/// Sends a verb to runs; one that is over meanwhile needs none.
async fn tell(
    store: &dyn Store,
    runs: &[RunId],
    verb: Verb,
    by: &Actor,
    why: &str,
    dedupe_id: &str,
) -> Result<(), StoreError> {
    let message = Message::Verb { verb, reason: why.to_owned() };
    let message = Json::of(&message).expect("a verb is text");
    let dedupe_id = Name::new(dedupe_id).expect("a digest and a number are a short line");
    for run in runs {
        let entry = NewEntry { dedupe_id: dedupe_id.clone(), actor: by.clone(), message: message.clone() };
        match store.put_entry(*run, entry).await {
            Ok(Put::Accepted | Put::Duplicate | Put::Settled) => {}
            Ok(Put::Full) => tracing::warn!(%run, "its inbox is full: a freeze cannot reach it"),
            // It was removed meanwhile.
            Err(error) if error.kind() == StoreErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
