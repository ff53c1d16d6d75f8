//! Rows of runs, and what is made anew from the journals.

use super::state::{Run, State};
use crate::{Filter, Page, Projector, RunRow, StoreHealth};
use towpath_model::{RunNo, Status, Timestamp};

impl State {
    pub(super) fn row(&self, no: RunNo) -> RunRow {
        let run = self.run("read a row", no).expect("a run is removed with everything that has its number");
        RunRow {
            no,
            run: run.id,
            pipeline: run.pipeline.clone(),
            key: run.key.clone(),
            plan_hash: run.plan_hash,
            listing: run.listing.clone(),
            labels: run.labels.clone(),
            parent: run.parent,
            started_at: run.started_at,
            changed_at: run.changed_at,
            owner: run.owner.map(|w| self.workers[&w].id.clone()),
            wake_at: run.wake_at,
        }
    }

    pub(super) fn list(&self, filter: &Filter, page: Page) -> Vec<RunRow> {
        let is_shown = |run: &Run| {
            (filter.status.is_empty() || filter.status.contains(&run.listing.status))
                && filter.pipeline.as_ref().is_none_or(|p| *p == run.pipeline)
                && filter.labels.iter().all(|l| run.labels.contains(l))
                && filter.level.shows(run.parent)
                && filter
                    .owner
                    .as_ref()
                    .is_none_or(|me| run.owner.is_some_and(|w| self.workers[&w].id == *me))
        };
        let numbers = self.numbered().rev().filter(|(no, _)| page.after.is_none_or(|after| *no < after.0));
        let shown = numbers.filter(|(_, run)| is_shown(run)).map(|(no, _)| self.row(no));
        shown.take(page.limit.min(Page::MOST)).collect()
    }

    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.runs.values().filter(|r| r.owner.is_none()).filter_map(|r| r.wake_at).min()
    }

    pub(super) fn health(&self, now: Timestamp) -> StoreHealth {
        let count = |status| self.runs.values().filter(|r| r.listing.status == status).count() as u64;
        StoreHealth {
            oldest_due: self.next_wake().filter(|at| *at <= now),
            last_commit: None,
            stuck: count(Status::Stuck),
            quarantined: count(Status::Quarantined),
        }
    }

    pub(super) fn rebuild(&mut self, fold: &dyn Projector, now: Timestamp) {
        for run in self.runs.values_mut() {
            let Some((listing, wake_at)) = fold.project(&run.events) else { continue };
            if run.listing != listing {
                run.listing = listing;
                run.changed_at = now;
            }
            run.wake_at = wake_at.filter(|_| !run.is_settled());
        }
    }
}
