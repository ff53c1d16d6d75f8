//! `towpath watch`: follows a run, as a picture on a terminal and line by line elsewhere. It drives nothing.

mod draw;
mod lines;

use crate::{
    cx::Cx,
    fault::{Fault, exit},
    find, items, runs,
    screen::{Screen, Size},
    setup::stopped,
    show::Shown,
    story::{Story, Told},
};
pub(crate) use draw::frame;
use std::{collections::BTreeMap, future::Future, pin::pin, time::Duration};
use tokio::time::{Instant, sleep_until, timeout};
use towpath::{
    machine::StepState,
    model::{Status, StepId},
    store::{RunRow, Store},
};

/// How often the run is looked at, at least: what is shown of it grows older by itself.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is drawn, at most.
const FRAME: Duration = Duration::from_millis(100);
/// Log lines read at once.
const LOGS_PAGE: usize = 1_000;

const EXITS: &str = "\
Exit codes: 0 it succeeded; 20 it is stuck: `explain` it; 1 it ended without success; 130 it is no longer watched, and
goes on.

On a terminal the picture is drawn in place; elsewhere each event is one line: its time, number, kind, step, and what
it says. Watching drives nothing: a worker does, or `tick`.";

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXITS)]
pub(crate) struct Watch {
    /// The run
    pub(crate) run: String,
}

/// Follows a run until it is over or needs an operator. Gives the exit code.
pub(crate) async fn watch(cx: &mut Cx<'_>, args: Watch) -> Result<u8, Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let run = row.run;
    match follow(cx, row, stopped()).await? {
        Some(code) => Ok(code),
        None => {
            let again = cx.spelling.about("watch", run, "");
            cx.out.hint(&format!("no longer watched; the run goes on: `{again}` follows it again"));
            Ok(exit::INTERRUPTED)
        }
    }
}

/// Follows a run until it is over or needs an operator, and gives the exit code; `None` when `stop` came first.
pub(crate) async fn follow(
    cx: &mut Cx<'_>,
    row: RunRow,
    stop: impl Future<Output = ()>,
) -> Result<Option<u8>, Fault> {
    let store = cx.store.clone();
    let mut watched = Watched::new(&*store, row).await?;
    let mut way = match (cx.out.json, cx.out.is_screen) {
        (false, true) => Way::Screen(Screen::default()),
        _ => Way::Lines(lines::Lines::default()),
    };
    let mut stop = pin!(stop);
    loop {
        // Asked for before looking, so that nothing falls between the look and the wait.
        let changed = store.changed();
        let looked = Instant::now();
        match &mut way {
            Way::Screen(screen) => {
                watched.look(&*store, &mut |_, _, _| {}).await?;
                let size = Size::of_terminal();
                let frame = draw::frame(&watched.shown, &cx.spelling, cx.out.paint, size);
                cx.out.text(&screen.redraw(&frame, size))?;
            }
            Way::Lines(lines) => {
                watched
                    .look(&*store, &mut |stored, header, event| lines.event(stored, header, event))
                    .await?;
                let over = watched.is_over().then(|| watched.exit());
                lines.write(cx, &watched.shown, over)?;
            }
        }
        cx.out.flush()?;
        if watched.is_over() {
            return Ok(Some(watched.exit()));
        }
        let next = async {
            // Either end of it is a reason to look again.
            let _ = timeout(LOOK, changed).await;
            sleep_until(looked + FRAME).await;
        };
        tokio::select! {
            () = next => {}
            () = &mut stop => return Ok(None),
        }
    }
}

/// How a run is shown while it is followed.
enum Way {
    Screen(Screen),
    Lines(lines::Lines),
}

/// A run that is followed.
pub(crate) struct Watched {
    shown: Shown,
    /// The last log line that was read, by step.
    read: BTreeMap<StepId, u64>,
    /// Whether it waits only for an operator who sees to its items.
    rests: bool,
}

impl Watched {
    pub(crate) async fn new(store: &dyn Store, row: RunRow) -> Result<Self, Fault> {
        let shown = Shown { now: store.now().await?, ..Shown::new(row) };
        Ok(Watched { shown, read: BTreeMap::new(), rests: false })
    }

    /// Reads what is new.
    pub(crate) async fn look(&mut self, store: &dyn Store, told: Told<'_>) -> Result<(), Fault> {
        // The row is read before the journal, which then holds whatever the row tells of.
        let row = store.find(self.shown.row.run).await?;
        let gone = || Fault::failed("the run is no longer in the store: retention has removed it");
        self.shown.row = row.ok_or_else(gone)?;
        let no = self.shown.row.no;
        self.shown.story.read_on(store, &self.shown.row, told).await?;
        self.shown.progress = store.progress(no).await?;
        self.shown.unread = store.entries(no, towpath::model::limits::INBOX_ENTRIES).await?.len();
        self.shown.now = store.now().await?;
        let before = std::mem::take(&mut self.shown.items);
        self.shown.items = items::moving(store, &self.shown.story, before).await?;
        self.rests = items::rest(store, &self.shown).await?;
        for step in running(&self.shown.story) {
            let after = self.read.entry(step.clone()).or_default();
            loop {
                let page = store.logs(no, &step, *after, LOGS_PAGE).await?;
                let Some(last) = page.last() else { break };
                *after = last.line;
                if let Some(text) = last.text.lines().rfind(|line| !line.trim().is_empty()) {
                    self.shown.tails.insert(step.clone(), text.to_owned());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    pub(crate) fn is_over(&self) -> bool {
        self.rests
            || matches!(self.shown.row.listing.status, Status::Settled | Status::Stuck | Status::Quarantined)
    }

    /// The exit code, once it is over.
    fn exit(&self) -> u8 {
        if self.rests { exit::STUCK } else { runs::exit(&self.shown.row) }
    }
}

fn running(story: &Story) -> Vec<StepId> {
    let Ok(state) = &story.state else { return Vec::new() };
    let steps = state.plan().record().steps.iter().zip(0..);
    let runs =
        |(_, ix): &(&towpath::model::StepRecord, _)| matches!(state.node(*ix).state(), StepState::Running);
    steps.filter(runs).map(|(record, _)| record.id.clone()).collect()
}

#[cfg(test)]
mod tests;
