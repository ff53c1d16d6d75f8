//! How long the steps of past runs took, from their journals.

use crate::{fault::Fault, story::Story};
use std::{collections::BTreeMap, time::Duration};
use towpath::{
    model::{Event, PipelineName, Status, StepId, Timestamp},
    store::{Cursor, Filter, Page, RunRow, Store},
    view::{PastRun, Took},
};

/// The last runs of a pipeline that are over, newest first.
pub(super) async fn runs(
    store: &dyn Store,
    pipeline: &PipelineName,
    last: usize,
) -> Result<Vec<PastRun>, Fault> {
    let filter =
        Filter { status: vec![Status::Settled], pipeline: Some(pipeline.clone()), ..Filter::default() };
    let (mut found, mut after) = (Vec::new(), None);
    while found.len() < last {
        let limit = (last - found.len()).min(Page::MOST);
        let rows = store.list(&filter, Page { after, limit }).await?;
        let Some(end) = rows.last() else { break };
        after = Some(Cursor(end.no));
        for row in &rows {
            found.push(run(store, row).await?);
        }
    }
    Ok(found)
}

async fn run(store: &dyn Store, row: &RunRow) -> Result<PastRun, Fault> {
    let mut times = Times::default();
    // A journal that cannot be folded to its end tells of what was before.
    Story::new(row.run).read_on(store, row, &mut |_, header, event| times.see(header.time, event)).await?;
    Ok(PastRun { steps: times.done })
}

/// What is read of one journal.
#[derive(Default)]
struct Times {
    open: BTreeMap<StepId, Open>,
    done: BTreeMap<StepId, Took>,
}

/// A step that is under way.
struct Open {
    since: Timestamp,
    /// Since when it waits for a signal.
    asked: Option<Timestamp>,
    people: Duration,
}

impl Times {
    fn see(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::StepStarted(e) => {
                let begin = Open { since: at, asked: None, people: Duration::ZERO };
                self.open.entry(e.step.clone()).or_insert(begin);
            }
            // A wait without a signal is a sleep: nobody can make it shorter.
            Event::WaitStarted(e) if e.signal.is_some() => {
                if let Some(open) = self.open.get_mut(&e.step) {
                    open.asked = Some(at);
                }
            }
            Event::WaitOver(e) => {
                if let Some(open) = self.open.get_mut(&e.step)
                    && let Some(asked) = open.asked.take()
                {
                    open.people += at.since(asked);
                }
            }
            Event::StepDone(e) => {
                if let Some(open) = self.open.remove(&e.step) {
                    let people = open.people;
                    let work = at.since(open.since).saturating_sub(people);
                    self.done.insert(e.step.clone(), Took { work, people });
                }
            }
            _ => {}
        }
    }
}
