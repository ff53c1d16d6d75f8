//! Rules about lists, and about making them anew.

use super::fixture::{Fixture, Outcome, Sample, commit, entry, later, listing, pipeline, register};
use crate::{Claim, Cursor, Filter, Level, Page, Projector, RunRow, Store, StoreError, Transition, Wake};
use std::collections::HashMap;
use towpath_model::{Listing, Status, StoredEvent, Timestamp};

async fn pages(store: &dyn Store, filter: &Filter, limit: usize) -> Result<Vec<RunRow>, StoreError> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(filter, Page { after, limit }).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        after = Some(Cursor(last.no));
        rows.extend(page);
    }
}

pub(super) async fn pages_show_every_run_once_also_while_runs_are_added(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let mut started = Vec::new();
    for n in 0..25 {
        started.push(Sample::new(n).start(&*store).await?.run);
    }
    started.reverse();
    for limit in [1, 4, 25, 10_000] {
        let rows = pages(&*store, &Filter::default(), limit).await?;
        assert_eq!(rows.iter().map(|r| r.run).collect::<Vec<_>>(), started, "pages of {limit}");
    }
    let (mut seen, mut after, mut added) = (Vec::new(), None, 100);
    loop {
        let page = store.list(&Filter::default(), Page { after, limit: 3 }).await?;
        let Some(last) = page.last() else { break };
        after = Some(Cursor(last.no));
        seen.extend(page.iter().map(|r| r.run));
        Sample::new(added).start(&*store).await?;
        added += 1;
    }
    assert_eq!(seen, started);
    Ok(())
}

pub(super) async fn a_filter_by_parent_holds(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let parent = Sample::new(0).new.run;
    for n in 0..9 {
        let mut sample = Sample::new(n);
        sample.new.parent = (n % 3 > 0).then(|| if n < 6 { parent } else { Sample::new(6).new.run });
        sample.new.listing = listing(if n % 2 == 0 { Status::Stuck } else { Status::Settled }, "");
        sample.new.labels = vec![("owner".to_owned(), "shop".to_owned())];
        sample.start(&*store).await?;
    }
    let all = pages(&*store, &Filter::default(), 1_000).await?;
    for level in [Level::All, Level::Top, Level::ItemsOf(parent), Level::ItemsOf(Sample::new(1).new.run)] {
        let filters = [
            Filter { level, ..Filter::default() },
            Filter { level, status: vec![Status::Stuck], ..Filter::default() },
            Filter { level, status: vec![Status::Settled], ..Filter::default() },
            Filter { level, pipeline: Some(pipeline("checkout")), ..Filter::default() },
            Filter { level, labels: vec![("owner".to_owned(), "shop".to_owned())], ..Filter::default() },
        ];
        for filter in filters {
            let is_shown = |row: &&RunRow| {
                level.shows(row.parent)
                    && (filter.status.is_empty() || filter.status.contains(&row.listing.status))
            };
            let expected: Vec<RunRow> = all.iter().filter(is_shown).cloned().collect();
            for limit in [2, 1_000] {
                assert_eq!(pages(&*store, &filter, limit).await?, expected, "{filter:?}");
            }
        }
    }
    assert_eq!(all.iter().filter(|row| row.parent == Some(parent)).count(), 4);
    Ok(())
}

pub(super) async fn a_filter_by_owner_holds(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let (me, other) = (register(&*store, "me").await?, register(&*store, "other").await?);
    let mut settled = Sample::new(0).owned(&me).start(&*store).await?;
    for n in 1..9 {
        let sample = Sample::new(n);
        let sample = if n % 3 == 0 { sample } else { sample.owned(if n % 3 == 1 { &me } else { &other }) };
        sample.start(&*store).await?;
    }
    commit(&*store, settled.settle()).await?;
    // Over, and claimed once more.
    let recall = vec![(settled.run, entry("undo"))];
    let mut by = Sample::new(20).owned(&other).start(&*store).await?;
    commit(&*store, Transition { recall, ..by.append("third") }).await?;
    let claim = Claim { worker: me.clone(), limit: 1, only: Some(settled.run) };
    assert_eq!(store.claim(claim).await?.len(), 1);
    let all = pages(&*store, &Filter::default(), 1_000).await?;
    for owner in [&me, &other] {
        let expected: Vec<RunRow> = all.iter().filter(|r| r.owner.as_ref() == Some(owner)).cloned().collect();
        assert_eq!(expected.len(), 4);
        let mine = Filter { owner: Some(owner.clone()), ..Filter::default() };
        for limit in [2, 1_000] {
            assert_eq!(pages(&*store, &mine, limit).await?, expected);
        }
        let over = Filter { status: vec![Status::Settled], ..mine.clone() };
        assert_eq!(pages(&*store, &over, 9).await?.len(), usize::from(*owner == me));
        let labels = vec![("owner".to_owned(), "nobody".to_owned())];
        assert_eq!(pages(&*store, &Filter { labels, ..mine }, 9).await?, []);
    }
    Ok(())
}

pub(super) async fn a_filter_by_status_pipeline_and_labels_holds(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let statuses = [Status::Waiting, Status::Stuck, Status::Settled];
    for n in 0..24 {
        let mut sample = Sample::new(n);
        sample.new.pipeline = pipeline(if n % 2 == 0 { "checkout" } else { "search" });
        sample.new.listing = listing(statuses[n as usize % 3], "");
        sample.new.labels = vec![label("owner", if n % 4 < 2 { "shop" } else { "it's \"%_" })];
        if n >= 12 {
            sample.new.labels.push(label("late", ""));
        }
        sample.start(&*store).await?;
    }
    let filters = [
        Filter { status: vec![Status::Stuck], ..Filter::default() },
        Filter { status: vec![Status::Settled, Status::Waiting], ..Filter::default() },
        Filter { pipeline: Some(pipeline("search")), ..Filter::default() },
        Filter { labels: vec![label("owner", "it's \"%_")], ..Filter::default() },
        Filter { labels: vec![label("owner", "shop"), label("late", "")], ..Filter::default() },
        Filter { labels: vec![label("owner", "")], ..Filter::default() },
        Filter {
            status: vec![Status::Waiting],
            pipeline: Some(pipeline("checkout")),
            labels: vec![label("late", "")],
            ..Filter::default()
        },
    ];
    let all = pages(&*store, &Filter::default(), 1_000).await?;
    let mut found = Vec::new();
    for filter in &filters {
        let is_shown = |row: &&RunRow| {
            (filter.status.is_empty() || filter.status.contains(&row.listing.status))
                && filter.pipeline.as_ref().is_none_or(|p| *p == row.pipeline)
                && filter.labels.iter().all(|l| row.labels.contains(l))
        };
        let expected: Vec<RunRow> = all.iter().filter(is_shown).cloned().collect();
        for limit in [2, 1_000] {
            assert_eq!(pages(&*store, filter, limit).await?, expected, "{filter:?}");
        }
        found.push(expected.len());
    }
    assert_eq!(found, [8, 16, 12, 12, 6, 0, 2]);
    assert_eq!(store.health().await?.stuck, 8);
    Ok(())
}

/// Knows the rows of the journals that end with these headers.
struct Known(HashMap<Vec<u8>, (Listing, Option<Timestamp>)>);

impl Projector for Known {
    fn project(&self, events: &[StoredEvent]) -> Option<(Listing, Option<Timestamp>)> {
        self.0.get(&events.last()?.header).cloned()
    }
}

pub(super) async fn rebuilding_changes_nothing_that_was_right(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut known = HashMap::new();
    for n in 0..100 {
        let wake = (n % 4 == 1).then(|| later(fixture, n));
        let status = if n % 5 == 0 { Status::Settled } else { Status::Waiting };
        let mut sample = Sample::new(n).owned(&me);
        sample.new.labels = vec![("n".to_owned(), n.to_string())];
        let mut lease = sample.start(&*store).await?;
        let mut t = Transition { release: n % 3 > 0, ..lease.append("third") };
        t.listing = Some(listing(status, &format!("note {n}")));
        t.wake = wake.map_or(Wake::Never, Wake::At);
        let row = (listing(status, &format!("note {n}")), wake.filter(|_| status != Status::Settled));
        known.insert(t.events[0].header.clone(), row);
        commit(&*store, t).await?;
        if n % 7 == 0 {
            store.put_entry(lease.run, entry("unread")).await?;
        }
    }
    // One that nobody can fold keeps the row that it has.
    let odd = Sample::new(1_000).owned(&me).start(&*store).await?;
    store.quarantine(odd.no, odd.epoch, odd.chain.seq(), "unknown", None).await?;

    let before = pages(&*store, &Filter::default(), 1_000).await?;
    let (wake, health) = (store.next_wake().await?, store.health().await?);
    fixture.clock().advance(std::time::Duration::from_secs(1));
    store.rebuild(&Known(known)).await?;
    assert_eq!(pages(&*store, &Filter::default(), 1_000).await?, before);
    assert_eq!(store.next_wake().await?, wake);
    assert_eq!(store.health().await?.quarantined, health.quarantined);
    Ok(())
}
