//! `towpath explain`: why a run does not move, and who can move it with which command.

use crate::{
    args::OneRun,
    cx::{Cx, Spelling, quoted},
    fault::Fault,
    find,
    out::{Paint, Tone},
    runs::{self, standing},
    story::Story,
    summary::one_line,
    when,
};
use serde::Serialize;
use std::collections::VecDeque;
use towpath::{
    machine::{Explanation, Mover, RunState, UndoState, Wait},
    model::{Name, RunId, Status, StepId, Timestamp},
    store::RunRow,
};

/// Why a run does not move, as JSON.
#[derive(Serialize)]
pub(crate) struct Why {
    run: String,
    pipeline: String,
    key: String,
    status: Status,
    summary: String,
    pub(crate) waits: Vec<WaitLine>,
    /// The verbs that apply to the run.
    verbs: Vec<&'static str>,
    /// Who drives it.
    owner: Option<String>,
    /// When it has to be driven next.
    wake_at: Option<String>,
    /// What is said about who drives it.
    pub(crate) driving: String,
    /// Entries of its inbox that nobody has read yet.
    unread: usize,
    /// Why its journal cannot be folded.
    unfolded: Option<String>,
    /// Whether nothing new begins, whatever is due.
    #[serde(skip)]
    held: bool,
}

/// One thing that a run waits for, as JSON.
#[derive(Serialize)]
pub(crate) struct WaitLine {
    pub(crate) step: Option<String>,
    pub(crate) what: String,
    since: String,
    /// What moves it: `worker`, `time`, `signal`, `items` or `operator`.
    mover: &'static str,
    /// When time moves it.
    at: Option<String>,
    /// The commands that move it.
    pub(crate) commands: Vec<Command>,
    #[serde(skip)]
    pub(crate) since_at: Timestamp,
    #[serde(skip)]
    time: Option<Timestamp>,
    /// The locks that it waits for.
    #[serde(skip)]
    locks: Vec<Name>,
}

/// A command, with what it does.
#[derive(Serialize)]
pub(crate) struct Command {
    pub(crate) command: String,
    pub(crate) does: &'static str,
}

/// Explains a run.
pub(crate) async fn explain(cx: &mut Cx<'_>, args: OneRun) -> Result<(), Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let story = Story::read(&*cx.store, &row).await?;
    let now = cx.store.now().await?;
    let unread = cx.store.entries(row.no, towpath::model::limits::INBOX_ENTRIES).await?.len();
    let mut why = Why::of(&row, &story, unread, now, &cx.spelling);
    why.waits.extend(items(cx, &story).await?);
    holders(cx, &mut why).await?;
    if cx.out.json {
        return Ok(cx.out.value(&why)?);
    }
    let text = why.text(&row, now, cx.out.paint);
    Ok(cx.out.text(&text)?)
}

/// Says who holds the locks that a run waits for, and what can be done when that run does not go on by itself.
async fn holders(cx: &Cx<'_>, why: &mut Why) -> Result<(), Fault> {
    for wait in why.waits.iter_mut().filter(|wait| !wait.locks.is_empty()) {
        for row in cx.store.locks().await?.into_iter().filter(|row| wait.locks.contains(&row.lock)) {
            let Some((run, since)) = row.holder else { continue };
            let Some(holder) = cx.store.find(run).await? else { continue };
            wait.what.push_str(&format!("; {}", one_line(&towpath::held_by(&row.lock, &holder, since))));
            if !matches!(holder.listing.status, Status::Stuck | Status::Quarantined) {
                continue;
            }
            let explain = Command { command: cx.spelling.about("explain", run, ""), does: "to see why" };
            wait.commands.push(explain);
            if holder.listing.status == Status::Stuck {
                let release = format!("lock release {} --force --reason TEXT", quoted(row.lock.as_str()));
                let does = "to take it from that run, which may have left something half done";
                wait.commands.push(Command { command: cx.spelling.of(&release), does });
            }
        }
    }
    Ok(())
}

/// Items that are looked at for one explanation.
const ITEMS_MOST: usize = 20;

/// What somebody has to do about items of a run, and items of theirs, so that it moves.
async fn items(cx: &Cx<'_>, story: &Story) -> Result<Vec<WaitLine>, Fault> {
    let runs_of = |story: &Story| -> Vec<RunId> {
        let waits = story.state.as_ref().map(|state| state.explain().waits).unwrap_or_default();
        let runs = waits.into_iter().filter_map(|wait| match wait.mover {
            Mover::Items(runs) => Some(runs),
            _ => None,
        });
        runs.flatten().collect()
    };
    let (mut open, mut lines, mut looked) = (VecDeque::from(runs_of(story)), Vec::new(), 0);
    while let Some(run) = open.pop_front().filter(|_| looked < ITEMS_MOST) {
        looked += 1;
        let Some(row) = cx.store.find(run).await? else { continue };
        if row.listing.status == Status::Settled {
            continue;
        }
        let story = Story::read(&*cx.store, &row).await?;
        open.extend(runs_of(&story));
        let now = cx.store.now().await?;
        let path = story.state.as_ref().ok().and_then(|state| state.below()).map(|below| below.path.clone());
        let why = Why::of(&row, &story, 0, now, &cx.spelling);
        let needs = why.waits.into_iter().filter(|wait| !wait.commands.is_empty());
        lines.extend(needs.map(|wait| wait.below(path.as_ref(), run)));
    }
    Ok(lines)
}

impl Why {
    pub(crate) fn of(row: &RunRow, story: &Story, unread: usize, now: Timestamp, spelling: &Spelling) -> Why {
        let state = story.state.as_ref().ok();
        let explained = state.map_or_else(|| unfolded(row), RunState::explain);
        // These two are not in the journal: the machine cannot know them.
        let Explanation { mut summary, mut waits, mut verbs } = explained;
        match row.listing.status {
            Status::Blocked => {
                summary = format!("the run waits for a worker that knows its kinds: {}", row.listing.note);
            }
            Status::Quarantined => {
                summary = format!("the run is quarantined: {}", row.listing.note);
                waits = vec![quarantine(row)];
                verbs = vec!["retry", "abandon"];
            }
            _ => {}
        }
        Why {
            run: row.run.to_string(),
            pipeline: row.pipeline.to_string(),
            key: row.key.to_string(),
            status: row.listing.status,
            summary: one_line(&summary),
            waits: waits.into_iter().map(|w| line(row.run, w, state, spelling)).collect(),
            verbs,
            owner: row.owner.as_ref().map(|w| w.to_string()),
            wake_at: row.wake_at.map(|t| t.to_string()),
            driving: driving(row, unread, now, spelling),
            unread,
            unfolded: story.state.as_ref().err().cloned(),
            held: state.is_some_and(|s| s.is_paused() || s.is_full()),
        }
    }

    fn text(&self, row: &RunRow, now: Timestamp, paint: Paint) -> String {
        let mut text = format!(
            "{} {}: {}\n",
            paint.text(Tone::Strong, &format!("{} {}", self.pipeline, self.key)),
            paint.text(runs::tone(row), &standing(row)),
            self.summary
        );
        if let Some(why) = &self.unfolded {
            text.push_str(&format!("  its journal cannot be folded: {why}\n"));
        }
        for wait in &self.waits {
            wait.text(&mut text, self.held, now, paint);
        }
        if row.listing.status != Status::Settled {
            text.push_str(&format!("  {}\n", self.driving));
            if !self.verbs.is_empty() {
                text.push_str(&format!("  verbs that apply: {}\n", self.verbs.join(", ")));
            }
        }
        text
    }
}

impl WaitLine {
    /// The same, of an item, as the run sees it that has the item.
    pub(crate) fn below(mut self, path: Option<&StepId>, run: RunId) -> WaitLine {
        let step = self.step.take().map(|step| format!("/{step}")).unwrap_or_default();
        self.step = Some(path.map_or_else(|| run.to_string(), |path| format!("{path}{step}")));
        self
    }

    fn text(&self, text: &mut String, is_held: bool, now: Timestamp, paint: Paint) {
        let step =
            self.step.as_ref().map(|s| format!("{} ", paint.text(Tone::Strong, s))).unwrap_or_default();
        text.push_str(&format!("  {step}{}\n    since {}", self.what, when::at_and_ago(self.since_at, now)));
        let mover = match (self.mover, self.time) {
            ("worker", _) => "a worker moves it on".to_owned(),
            // Timers run on, and what they lead to waits.
            ("time", Some(at)) if is_held => format!("its time comes at {}", when::at_and_ago(at, now)),
            ("time", Some(at)) => format!("it goes on at {}", when::at_and_ago(at, now)),
            ("signal", Some(at)) => format!("it goes on at {}, or with", when::at_and_ago(at, now)),
            ("signal", None) => "it goes on with".into(),
            ("items", _) => "they move it on".into(),
            _ => "an operator moves it on, with".into(),
        };
        text.push_str(&format!("; {mover}\n"));
        let width = self.commands.iter().map(|c| c.command.chars().count()).max().unwrap_or(0);
        for Command { command, does } in &self.commands {
            let padded = format!("{command:<width$}");
            text.push_str(format!("      {}  {does}", paint.text(Tone::Busy, &padded)).trim_end());
            text.push('\n');
        }
    }
}

/// What can be said of a run whose journal cannot be folded.
fn unfolded(row: &RunRow) -> Explanation {
    let summary = match &row.listing.outcome {
        Some(outcome) => format!("the run has settled: {outcome}"),
        None => format!("the run is {}", row.listing.status),
    };
    Explanation { summary, waits: Vec::new(), verbs: Vec::new() }
}

fn quarantine(row: &RunRow) -> Wait {
    Wait {
        step: None,
        what: "no worker touches it".into(),
        since: row.changed_at,
        mover: Mover::Operator(vec!["retry", "abandon"]),
    }
}

fn line(run: RunId, wait: Wait, state: Option<&RunState>, spelling: &Spelling) -> WaitLine {
    let mut locks = Vec::new();
    let (mover, time, commands) = match wait.mover {
        Mover::Worker => ("worker", None, Vec::new()),
        Mover::Time(at) => ("time", Some(at), Vec::new()),
        Mover::Items(_) => ("items", None, Vec::new()),
        Mover::Locks(names) => {
            locks = names;
            ("lock", None, Vec::new())
        }
        Mover::Signal { command, or_at } => {
            ("signal", or_at, signals(run, wait.step.as_ref(), &command, spelling))
        }
        Mover::Operator(verbs) => {
            let matter = Matter::of(wait.step.as_ref(), state);
            let of = |verb| commands(run, wait.step.as_ref(), verb, matter, spelling);
            let commands = verbs.into_iter().flat_map(of).collect();
            ("operator", None, commands)
        }
    };
    WaitLine {
        step: wait.step.map(|s| s.to_string()),
        what: one_line(&wait.what),
        since: wait.since.to_string(),
        mover,
        at: time.map(|t| t.to_string()),
        commands,
        since_at: wait.since,
        time,
        locks,
    }
}

/// The commands that end a wait for a signal.
fn signals(run: RunId, step: Option<&StepId>, command: &str, spelling: &Spelling) -> Vec<Command> {
    let step = step.map(|s| quoted(s.as_str())).unwrap_or_default();
    if command.starts_with("approve ") {
        return vec![
            Command { command: spelling.about("approve", run, &step), does: "to say yes" },
            Command { command: spelling.about("reject", run, &step), does: "to say no" },
        ];
    }
    // The machine gives `signal RUN NAME --step STEP`; a name may hold spaces, a run and a step cannot.
    let name = command.split_once(&format!("{run} ")).map_or(command, |(_, rest)| rest);
    let name = name.rsplit_once(" --step ").map_or(name, |(name, _)| name);
    let rest = format!("{} JSON --step {step}", quoted(name));
    vec![Command { command: spelling.about("signal", run, &rest), does: "" }]
}

/// What an operator decides about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Matter {
    /// The run, or a step of it.
    Doing,
    /// The undoing of a step, which did not succeed.
    Undoing,
    /// Whether to undo a step.
    WhetherToUndo,
}

impl Matter {
    fn of(step: Option<&StepId>, state: Option<&RunState>) -> Self {
        let node = step.zip(state).and_then(|(step, state)| state.find(step));
        match node.map(|n| n.undo_state()) {
            Some(UndoState::Stuck { .. }) => Matter::Undoing,
            Some(UndoState::Asked) => Matter::WhetherToUndo,
            _ => Matter::Doing,
        }
    }
}

/// The commands of a verb, each with what it does about a matter.
fn commands(
    run: RunId,
    step: Option<&StepId>,
    verb: &'static str,
    matter: Matter,
    spelling: &Spelling,
) -> Vec<Command> {
    let step = step.map(|s| format!("--step {}", quoted(s.as_str()))).unwrap_or_default();
    let one = |rest: &str, does| {
        let rest = [step.as_str(), rest].into_iter().filter(|r| !r.is_empty()).collect::<Vec<_>>().join(" ");
        Command { command: spelling.about(verb, run, &rest), does }
    };
    match (verb, matter) {
        ("resolve", Matter::Doing) => {
            vec![
                one("--done JSON", "it took effect, with this output"),
                one("--not-done", "it did not take effect"),
            ]
        }
        ("resolve", _) => vec![one("--done null", "it is undone"), one("--not-done", "it is not undone")],
        ("retry", Matter::Doing) => vec![one("", "to try again")],
        ("retry", Matter::Undoing) => vec![one("", "to try again to undo it")],
        ("retry", Matter::WhetherToUndo) => vec![one("", "to undo it")],
        ("skip", Matter::Doing) => vec![one("", "to go on without it")],
        ("skip", _) => vec![one("", "to leave in place what it did")],
        ("handback", _) => vec![one("", "to go on from what is there")],
        ("cancel", _) => vec![one("", "to stop, and undo what it did")],
        ("cancel --no-unwind", _) => vec![one("", "to stop, and leave in place what it did")],
        ("abandon", _) => vec![one("--reason TEXT", "to give it up; what it did stays")],
        _ => vec![one("", "")],
    }
}

/// Who drives the run, and what wakes it.
fn driving(row: &RunRow, unread: usize, now: Timestamp, spelling: &Spelling) -> String {
    let inbox = match unread {
        0 => String::new(),
        1 => "; one entry of its inbox is not read yet".into(),
        n => format!("; {n} entries of its inbox are not read yet"),
    };
    if let Some(owner) = &row.owner {
        return format!("worker {owner} drives it{inbox}");
    }
    let tick = spelling.of("tick");
    let wake = match row.wake_at {
        _ if row.listing.status == Status::Blocked => {
            "start a worker that knows its kinds, or `tick` with the command that holds them".into()
        }
        _ if unread > 0 => format!("the next worker does, or `{tick}`"),
        Some(at) if at <= now => {
            format!("it is due since {}: a worker takes it up, or `{tick}`", when::at(at))
        }
        Some(at) => format!("a worker takes it up at {}, or a `{tick}` after it", when::at_and_ago(at, now)),
        None => "nothing is due until something comes to its inbox".into(),
    };
    format!("nobody drives it now: {wake}{inbox}")
}

#[cfg(test)]
mod tests;
