//! The steps of a run as a tree: by the pipelines that they stand in, each with its state and what went wrong.

use crate::{
    items,
    out::{Paint, Tone},
    show::Shown,
    story::{StepStory, Tried},
    summary::{self, one_line},
    when,
};
use towpath::{
    machine::{Ix, Node, Phase, RunState, StepState, UndoState},
    model::{Section, StepId, Timestamp},
};

/// The tree, line by line.
pub(crate) fn tree(shown: &Shown, state: &RunState, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for (section, title) in
        [(Section::Main, None), (Section::OnFailure, Some("on failure")), (Section::Finally, Some("finally"))]
    {
        let mut root = Branch::default();
        for ix in state.plan().section(section) {
            root.place(&segments(state.plan().step(ix).id.as_str()), ix);
        }
        if root.children.is_empty() {
            continue;
        }
        lines.extend(title.map(|t| paint.text(Tone::Dim, t)));
        let drawing = Drawing { shown, state, paint, columns: Columns::of(shown, state, section) };
        drawing.branch(&root, "", &mut lines);
    }
    lines
}

/// What happens in a run at the moment: each step that is under way, in words.
pub(crate) fn busy(shown: &Shown) -> Vec<String> {
    let Ok(state) = &shown.story.state else { return Vec::new() };
    let steps = state.plan().record().steps.iter().zip(0..);
    let is_under_way = |ix: Ix| {
        let undone =
            !matches!(state.node(ix).undo_state(), UndoState::No | UndoState::Done | UndoState::Kept);
        undone
            || !(state.node(ix).state().is_at_rest() || matches!(state.node(ix).state(), StepState::Pending))
    };
    let line = |ix: Ix, id: &StepId| {
        let Line { word, about, more, .. } = Line::of(shown, state, ix);
        let undoing =
            (!matches!(state.node(ix).undo_state(), UndoState::No)).then(|| more.into_iter().next_back());
        let mut about = undoing.flatten().map_or_else(|| about.join(", "), |(_, text)| text);
        let failures = shown.story.steps.get(id).map_or(&[][..], |step| &step.failures);
        if let (StepState::Resting(_), Some(last)) = (state.node(ix).state(), failures.last()) {
            about.push_str(&format!(": {}", last.failure));
        }
        format!("{id} {word} {}", one_line(&about)).trim_end().to_owned()
    };
    steps.filter(|(_, ix)| is_under_way(*ix)).map(|(record, ix)| line(ix, &record.id)).collect()
}

/// A pipeline, or a step, with what stands in it, in the order of the plan.
#[derive(Default)]
struct Branch<'a> {
    step: Option<Ix>,
    children: Vec<(&'a str, Branch<'a>)>,
}

impl<'a> Branch<'a> {
    fn place(&mut self, path: &[&'a str], ix: Ix) {
        let Some((first, rest)) = path.split_first() else {
            self.step = Some(ix);
            return;
        };
        let found = self.children.iter().position(|(name, _)| name == first);
        let at = found.unwrap_or_else(|| {
            self.children.push((first, Branch::default()));
            self.children.len() - 1
        });
        self.children[at].1.place(rest, ix);
    }
}

/// The parts of a step's path. A slash within the key of an item parts nothing.
fn segments(path: &str) -> Vec<&str> {
    let (mut parts, mut start, mut in_key) = (Vec::new(), 0, false);
    for (i, c) in path.char_indices() {
        match c {
            '[' => in_key = true,
            ']' => in_key = false,
            '/' if !in_key => {
                parts.push(&path[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&path[start..]);
    parts
}

/// How wide the columns of a section are.
struct Columns {
    name: usize,
    state: usize,
}

impl Columns {
    fn of(shown: &Shown, state: &RunState, section: Section) -> Self {
        let steps = || state.plan().section(section);
        let name = |ix: Ix| {
            let parts = segments(state.plan().step(ix).id.as_str());
            let last = parts.last().map_or(0, |p| p.chars().count());
            3 * (parts.len() - 1) + last
        };
        let word = |ix: Ix| Line::of(shown, state, ix).word.chars().count();
        Columns { name: steps().map(name).max().unwrap_or(0), state: steps().map(word).max().unwrap_or(0) }
    }
}

struct Drawing<'a> {
    shown: &'a Shown,
    state: &'a RunState,
    paint: Paint,
    columns: Columns,
}

impl Drawing<'_> {
    fn branch(&self, branch: &Branch<'_>, indent: &str, lines: &mut Vec<String>) {
        let last = branch.children.len().saturating_sub(1);
        for (i, (name, child)) in branch.children.iter().enumerate() {
            let (fork, below) = if i == last { ("└─", "   ") } else { ("├─", "│  ") };
            let under = format!("{indent}{below}");
            match child.step {
                Some(ix) => self.step(ix, name, indent, fork, &under, lines),
                None => lines.push(format!("{}{}/", self.dim(&format!("{indent}{fork} ")), name)),
            }
            self.branch(child, &under, lines);
        }
    }

    fn dim(&self, text: &str) -> String {
        self.paint.text(Tone::Dim, text)
    }

    fn step(&self, ix: Ix, name: &str, indent: &str, fork: &str, under: &str, lines: &mut Vec<String>) {
        let line = Line::of(self.shown, self.state, ix);
        let width = self.columns.name.saturating_sub(indent.chars().count());
        let text = format!(
            "{}{} {name:<width$}  {}  {}",
            self.dim(&format!("{indent}{fork} ")),
            self.paint.text(line.tone, line.mark),
            self.paint.text(line.tone, &format!("{:<1$}", line.word, self.columns.state)),
            line.about.join(", "),
        );
        lines.push(text.trim_end().to_owned());
        for (tone, more) in line.more {
            lines.push(format!("{}     {}", self.dim(under), self.paint.text(tone, &one_line(&more))));
        }
    }
}

/// What is shown of a step.
pub(crate) struct Line {
    mark: &'static str,
    pub(crate) word: &'static str,
    tone: Tone,
    about: Vec<String>,
    more: Vec<(Tone, String)>,
}

impl Line {
    fn of(shown: &Shown, state: &RunState, ix: Ix) -> Line {
        let (node, step) = (state.node(ix), state.plan().step(ix));
        let nothing = StepStory::default();
        let story = shown.story.steps.get(&step.id).unwrap_or(&nothing);
        let (mark, word, tone) = match (node.state(), node.undo_state()) {
            (_, UndoState::Done) => ("↶", "undone", Tone::Dim),
            (StepState::Pending | StepState::Ready, _) if is_past(state, step.section) => {
                ("·", "not run", Tone::Dim)
            }
            (stands, _) => {
                let (mark, tone) = mark(stands);
                (mark, word(stands), tone)
            }
        };
        let mut line = Line { mark, word, tone, about: Vec::new(), more: Vec::new() };
        line.about(shown, state, ix, story);
        line.tries(node, story);
        line.waits(node);
        line.items(node, shown, &step.id);
        line.undoing(node, story, shown.now);
        line
    }

    fn about(&mut self, shown: &Shown, state: &RunState, ix: Ix, story: &StepStory) {
        let (node, step) = (state.node(ix), state.plan().step(ix));
        match node.state() {
            StepState::Pending if state.phase() == Phase::Forward => {
                let before =
                    state.plan().predecessors(ix).iter().filter(|p| !state.node(**p).state().is_at_rest());
                let ids: Vec<&str> = before.map(|p| state.plan().step(*p).id.as_str()).collect();
                if !ids.is_empty() {
                    self.about.push(format!("after {}", ids.join(", ")));
                }
            }
            StepState::Skipped { why } => self.about.push(summary::skip(why)),
            StepState::Backoff { at } => {
                self.about.push(format!("again {}", when::at_and_ago(*at, shown.now)))
            }
            StepState::Parked { wait } => {
                let until = node.waits().get(wait).and_then(|w| w.until);
                let signal = node.waits().get(wait).and_then(|w| w.signal.as_ref());
                let what =
                    signal.map_or_else(|| format!("at {wait}"), |s| format!("at {wait} for the signal {s}"));
                let until =
                    until.map(|t| format!(" until {}", when::at_and_ago(t, shown.now))).unwrap_or_default();
                self.about.push(format!("{what}{until}"));
            }
            StepState::InDoubt { ended, .. } => self.about.push(ended.to_string()),
            StepState::Running => {
                if let Some(p) = shown.progress_of(&step.id) {
                    let message = match one_line(&p.message) {
                        empty if empty.is_empty() => empty,
                        message => format!(": {message}"),
                    };
                    self.about.push(format!("{} {} %{message}", bar(p.percent), p.percent));
                }
                if let Some(text) = shown.tails.get(&step.id) {
                    self.more.push((Tone::Dim, text.clone()));
                }
            }
            _ => {}
        }
        if node.attempt().0 > 1 {
            self.about.insert(0, format!("attempt {}", node.attempt()));
        }
        if let Some(started) = story.started_at {
            let ended = story.ended_at.filter(|_| node.state().is_at_rest());
            self.about.insert(0, when::length(ended.unwrap_or(shown.now).since(started)));
        }
    }

    fn tries(&mut self, node: &Node, story: &StepStory) {
        // A journal of a thousand attempts shows its last ones.
        let skipped = story.failures.len().saturating_sub(3);
        if skipped > 0 {
            self.more.push((Tone::Dim, format!("{skipped} earlier attempts failed")));
        }
        for Tried { attempt, failure, at } in story.failures.iter().skip(skipped) {
            let text = format!("attempt {attempt} {}: {} ({})", when::at(*at), failure, failure.kind);
            let is_last = matches!(node.state(), StepState::Failed { .. } | StepState::Resting(_));
            self.more.push((if is_last { Tone::Bad } else { Tone::Dim }, text));
        }
        match node.state() {
            StepState::Resting(towpath::machine::Rest::Failed(_)) => {
                self.more.push((Tone::Needs, "an operator decides".into()));
            }
            StepState::Resting(rest) => self.more.push((Tone::Needs, rest.to_string())),
            StepState::Done { unreadable: Some(failure), .. } => {
                self.more.push((Tone::Bad, format!("nobody can read its output: {failure}")));
            }
            StepState::Failed { failure } if story.failures.is_empty() => {
                self.more.push((Tone::Bad, failure.to_string()));
            }
            _ => {}
        }
    }

    /// How many items there are, those that are shown, and what is to be said of the others.
    fn items(&mut self, node: &Node, of: &Shown, step: &StepId) {
        let Some(items) = node.items() else { return };
        let (count, done, open) = (items.count(), items.done(), items.open().count());
        let failed = match items.failed().count() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let bar = match node.state() {
            StepState::Items if of.is_followed => {
                format!("{} ", bar(u8::try_from(done * 100 / count.max(1)).unwrap_or(100)))
            }
            _ => String::new(),
        };
        self.about.push(format!("{bar}{done} of {count} items done, {open} under way{failed}"));
        let shown = of.items.get(step).map_or(&[][..], Vec::as_slice);
        self.more.extend(shown.iter().map(items::Item::line));
        let rest = count - shown.len() as u64;
        if of.is_followed && !shown.is_empty() && rest > 0 {
            self.more.push((Tone::Dim, format!("and {}", items::others(items, shown))));
        } else if !of.is_followed && rest > 0 {
            let text = format!("and {rest} more: `runs --of RUN` lists those that have begun");
            self.more.push((Tone::Dim, text));
        }
    }

    fn waits(&mut self, node: &Node) {
        let over = node.waits().iter().filter_map(|(name, wait)| Some((name, wait.over.as_ref()?)));
        let names: Vec<String> = over
            .map(|(name, over)| match over {
                Some(value) => format!("{name}: {}", summary::cut(value.as_str())),
                None => name.to_string(),
            })
            .collect();
        match names.len() {
            0 => {}
            1..=3 => self.more.push((Tone::Dim, format!("waited for {}", names.join(", ")))),
            n => self.more.push((Tone::Dim, format!("waited {n} times, last for {}", names[n - 1]))),
        }
    }

    fn undoing(&mut self, node: &Node, story: &StepStory, now: Timestamp) {
        for Tried { attempt, failure, at } in story.undo_failures.iter().rev().take(3).rev() {
            let text = format!("undoing, attempt {attempt} {}: {failure} ({})", when::at(*at), failure.kind);
            self.more.push((Tone::Bad, text));
        }
        let took = |end: Option<Timestamp>| {
            let took = story.undo_started_at.map(|start| when::length(end.unwrap_or(now).since(start)));
            took.map(|t| format!(" in {t}")).unwrap_or_default()
        };
        let said = match node.undo_state() {
            UndoState::No => return,
            UndoState::Waiting => (Tone::Dim, "to be undone, after what depends on it".into()),
            UndoState::Ready => (Tone::Busy, "is about to be undone".into()),
            UndoState::Observing => (Tone::Busy, "is looked at before it is undone".into()),
            UndoState::Running => (Tone::Busy, format!("is being undone, attempt {}", node.undo_attempt())),
            UndoState::Backoff { at } => (Tone::Busy, format!("undone again {}", when::at_and_ago(*at, now))),
            UndoState::Stuck { failure } if story.undo_failures.is_empty() => {
                (Tone::Needs, format!("could not be undone: {failure}: an operator decides"))
            }
            UndoState::Stuck { .. } => (Tone::Needs, "could not be undone: an operator decides".into()),
            UndoState::Asked => (Tone::Needs, "an operator decides whether to undo it".into()),
            UndoState::Done => (Tone::Good, format!("undone{}", took(story.undone_at))),
            UndoState::Kept => (Tone::Dim, "kept, by its undo policy".into()),
            UndoState::Left => (Tone::Needs, "left in place".into()),
        };
        self.more.push(said);
    }
}

/// How far a step is, as a bar.
fn bar(percent: u8) -> String {
    const CELLS: usize = 16;
    let full = usize::from(percent.min(100)) * CELLS / 100;
    format!("{}{}", "━".repeat(full), "╌".repeat(CELLS - full))
}

/// Whether a section has had its turn, so that what has not begun in it never will.
fn is_past(state: &RunState, section: Section) -> bool {
    match section {
        Section::Main => state.phase() != Phase::Forward,
        Section::OnFailure => matches!(state.phase(), Phase::Finally | Phase::Settled),
        Section::Finally => state.phase() == Phase::Settled,
    }
}

fn mark(state: &StepState) -> (&'static str, Tone) {
    match state {
        StepState::Pending => ("·", Tone::Dim),
        StepState::Ready | StepState::Running | StepState::Items => ("▸", Tone::Busy),
        StepState::Parked { .. } | StepState::Backoff { .. } => ("◦", Tone::Busy),
        StepState::InDoubt { .. } => ("?", Tone::Needs),
        StepState::Resting(_) => ("!", Tone::Needs),
        StepState::Done { .. } => ("✓", Tone::Good),
        StepState::Failed { .. } => ("✗", Tone::Bad),
        StepState::Skipped { .. } => ("-", Tone::Dim),
    }
}

/// A step's state in the words of the vocabulary.
pub(crate) fn word(state: &StepState) -> &'static str {
    match state {
        StepState::Pending => "pending",
        StepState::Ready => "ready",
        StepState::Running => "running",
        StepState::Items => "items",
        StepState::Parked { .. } => "parked",
        StepState::Backoff { .. } => "backoff",
        StepState::InDoubt { .. } => "in-doubt",
        StepState::Resting(_) => "resting",
        StepState::Done { .. } => "done",
        StepState::Failed { .. } => "failed",
        StepState::Skipped { .. } => "skipped",
    }
}

/// The state of a step's undoing in one word; nothing when there is none.
pub(crate) fn undo_word(state: &UndoState) -> Option<&'static str> {
    Some(match state {
        UndoState::No => return None,
        UndoState::Waiting => "waiting",
        UndoState::Ready => "ready",
        UndoState::Observing => "observing",
        UndoState::Running => "running",
        UndoState::Backoff { .. } => "backoff",
        UndoState::Stuck { .. } => "stuck",
        UndoState::Asked => "asked",
        UndoState::Done => "undone",
        UndoState::Kept => "kept",
        UndoState::Left => "left",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parted_outside_of_keys() {
        assert_eq!(segments("deploy[eu/west]/apply"), ["deploy[eu/west]", "apply"]);
        assert_eq!(segments("build"), ["build"]);
    }
}
