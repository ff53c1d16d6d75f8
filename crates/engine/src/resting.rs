//! Whether a run waits only for items that somebody has to see to.

use crate::shared::Shared;
use std::{future::Future, pin::Pin};
use towpath_model::{RunId, Status};
use towpath_store::{Cursor, Filter, Level, Page, RunRow, StoreError};

/// Items that are under way and do not move, counted by who has to see to them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Resting {
    operator: usize,
    worker: usize,
}

impl Resting {
    /// Whether an operator has to decide about one of them.
    pub(crate) fn is_stuck(self) -> bool {
        self.operator > 0
    }
}

/// The items under way, and theirs, when none of them moves; `None` when one does, or there is none.
///
/// Their parent is looked at before and after, so that a report that is under way is not overlooked.
pub(crate) async fn resting_items(shared: &Shared, row: &RunRow) -> Result<Option<Resting>, StoreError> {
    let may_rest = matches!(row.listing.status, Status::Running | Status::Unwinding);
    if !may_rest {
        return Ok(None);
    }
    let before = shared.store.head(row.no).await?;
    if before.owner.is_some() {
        return Ok(None);
    }
    let resting = below(shared, row.run).await?;
    let reports = shared.store.entries(row.no, 1).await?;
    let after = shared.store.head(row.no).await?;
    let is_same = after.seq == before.seq && after.owner.is_none() && reports.is_empty();
    Ok(resting.filter(|_| is_same))
}

type Counted<'a> = Pin<Box<dyn Future<Output = Result<Option<Resting>, StoreError>> + Send + 'a>>;

fn below(shared: &Shared, run: RunId) -> Counted<'_> {
    Box::pin(async move {
        let status = Status::ALL.into_iter().filter(|status| *status != Status::Settled).collect();
        let filter = Filter { level: Level::ItemsOf(run), status, ..Filter::default() };
        let (mut resting, mut after) = (Resting::default(), None);
        loop {
            let page = shared.store.list(&filter, Page { after, limit: 1_000 }).await?;
            let Some(last) = page.last() else { break };
            after = Some(Cursor(last.no));
            for row in page {
                match row.listing.status {
                    Status::Stuck | Status::Quarantined => resting.operator += 1,
                    Status::Blocked => resting.worker += 1,
                    _ => match Box::pin(resting_items(shared, &row)).await? {
                        Some(of) => {
                            resting.operator += of.operator;
                            resting.worker += of.worker;
                        }
                        None => return Ok(None),
                    },
                }
            }
        }
        Ok((resting.operator + resting.worker > 0).then_some(resting))
    })
}
