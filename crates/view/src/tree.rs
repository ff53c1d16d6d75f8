//! A plan as text for a terminal.

use crate::{
    PlanView,
    graph::{Because, Graph},
    marks,
    paint::{Look, Tone, padded, pieces, set, width},
    words,
};
use towpath_model::{Role, Section, StepRecord, limits};

/// Columns by which a plan below another is indented.
const INDENT: usize = 4;
/// Widest column of ids; a longer one has lines of its own.
const IDS: usize = 24;

pub(crate) fn draw(view: &PlanView<'_>, look: Look) -> String {
    let mut lines = head(view, look);
    plan(view, look, 0, &mut lines);
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The name, the hashes, what it takes and gives, and its limits.
fn head(view: &PlanView<'_>, look: Look) -> Vec<String> {
    let record = view.record;
    let mut fields: Vec<(&str, Vec<String>)> = Vec::new();
    let hashes = [("pipeline", view.pipeline_hash()), ("plan", view.plan_hash())];
    for (name, hash) in hashes.into_iter().filter_map(|(name, hash)| Some((name, hash?))) {
        fields.push((name, vec![hash.short()]));
    }
    let values = view.values.into_iter().flatten();
    fields.push((
        "values",
        values.map(|(name, v)| format!("{}={}", words::clean(name), words::json(v))).collect(),
    ));
    let is_open = |name: &&String| view.values.is_none_or(|values| !values.contains_key(*name));
    fields.push(("takes", record.params.keys().filter(is_open).map(|name| words::clean(name)).collect()));
    fields.push(("gives", record.output.iter().map(words::operand).collect()));
    fields.push(("limits", plan_limits(view)));
    let mut lines = vec![look.paint(Tone::Strong, record.pipeline.as_str())];
    for (name, all) in fields.into_iter().filter(|(_, all)| !all.is_empty()) {
        let fragments: Vec<_> = all.into_iter().map(|text| (Tone::Plain, text)).collect();
        let label = padded(name, 8);
        for (i, line) in set(&fragments, look.width() - 12, look).into_iter().enumerate() {
            let label = if i == 0 { look.paint(Tone::Dim, &label) } else { " ".repeat(8) };
            lines.push(format!("  {label}  {line}"));
        }
    }
    lines.push(String::new());
    lines
}

fn plan_limits(view: &PlanView<'_>) -> Vec<String> {
    let record = view.record;
    let mut all = vec![format!("{} at once", record.parallel)];
    all.extend(record.deadline_ms.map(|ms| format!("deadline {}", words::millis(ms))));
    if record.unwind_one_at_a_time {
        all.push("unwinds one at a time".into());
    }
    all
}

fn plan(view: &PlanView<'_>, look: Look, depth: usize, lines: &mut Vec<String>) {
    let graph = view.graph();
    for section in [Section::Main, Section::OnFailure, Section::Finally] {
        let ranks = graph.by_rank(view.record, section);
        if ranks.is_empty() {
            continue;
        }
        // A record deeper than any valid one is drawn no further to the right.
        let indent = INDENT * depth.min(limits::NESTING);
        if let Some(title) = words::section(section) {
            lines.push(format!("{}{}", " ".repeat(indent), look.paint(Tone::Strong, title)));
        }
        let steps = ranks.iter().flatten().map(|i| width(view.record.steps[*i].id.as_str()));
        let ids = steps.filter(|w| *w <= IDS).max().unwrap_or(0);
        let drawing =
            Drawing { view, graph: &graph, look, depth, indent, ids, numbers: ranks.len().to_string().len() };
        for (rank, steps) in ranks.iter().enumerate() {
            drawing.rank(rank, steps, lines);
        }
    }
}

struct Drawing<'a, 'b> {
    view: &'b PlanView<'a>,
    graph: &'b Graph,
    look: Look,
    depth: usize,
    indent: usize,
    ids: usize,
    numbers: usize,
}

impl Drawing<'_, '_> {
    fn rank(&self, rank: usize, steps: &[usize], lines: &mut Vec<String>) {
        let last = steps.len() - 1;
        for (i, step) in steps.iter().enumerate() {
            let (bracket, below) = match (i, last) {
                (_, 0) => (" ", " "),
                (0, _) => ("┌", "│"),
                (i, last) if i == last => ("└", " "),
                _ => ("├", "│"),
            };
            let number = if i == 0 { (rank + 1).to_string() } else { String::new() };
            let numbers = self.numbers;
            let side = |number: &str, bracket: &str| {
                let text = format!("{}{number:>numbers$} {bracket} ", " ".repeat(self.indent));
                self.look.paint(Tone::Dim, &text)
            };
            self.step(*step, &side(&number, bracket), &side("", below), lines);
            if let Role::ForEach { each: inner, .. } | Role::SubRun { plan: inner } =
                &self.view.record.steps[*step].role
            {
                plan(&self.view.below(inner), self.look, self.depth + 1, lines);
            }
        }
    }

    fn step(&self, at: usize, side: &str, below: &str, lines: &mut Vec<String>) {
        let step = &self.view.record.steps[at];
        let seen = self.view.over.map(|over| over.step(&step.id));
        let mark = seen.map(|s| self.look.paint(s.standing.tone(), s.standing.mark()));
        let mark = mark.map(|mark| format!("{mark} ")).unwrap_or_default();
        let gap = if seen.is_some() { "  " } else { "" };
        let used = self.indent + self.numbers + 3 + gap.len();
        let whole = self.look.width() - used;
        let mut fragments = Vec::new();
        fragments.extend(seen.map(|s| (s.standing.tone(), s.words())));
        fragments.extend(self.fragments(at, step));
        let id = step.id.as_str();
        if width(id) > self.ids || whole < self.ids + 2 + IDS {
            for (i, piece) in pieces(id, whole).iter().enumerate() {
                let (side, mark) = if i == 0 { (side, mark.as_str()) } else { (below, gap) };
                lines.push(format!("{side}{mark}{}", self.look.paint(Tone::Strong, piece)));
            }
            let rest = set(&fragments, whole - 2, self.look);
            lines.extend(rest.into_iter().map(|line| format!("{below}{gap}  {line}")));
            return;
        }
        for (i, line) in set(&fragments, whole - self.ids - 2, self.look).into_iter().enumerate() {
            let name = padded(if i == 0 { id } else { "" }, self.ids);
            let (side, mark) = if i == 0 { (side, mark.as_str()) } else { (below, gap) };
            lines.push(format!("{side}{mark}{}  {line}", self.look.paint(Tone::Strong, &name)));
        }
    }

    /// What is said of a step behind its id.
    fn fragments(&self, at: usize, step: &StepRecord) -> Vec<(Tone, String)> {
        let mut all = vec![(Tone::Dim, words::clean(step.kind.as_str()))];
        all.extend(marks::below(step).map(|text| (Tone::Plain, text)));
        let steps = &self.view.record.steps;
        let named = |wanted: &dyn Fn(Because) -> bool| {
            let edges = self.graph.into(at).iter().filter(|e| wanted(e.because));
            words::ids(edges.map(|e| &steps[e.from].id))
        };
        let lists = [
            ("from", named(&|b| b == Because::Reads)),
            ("from, if it ran,", named(&|b| b == Because::OrNone)),
            ("from the first that ran of", named(&|b| b == Because::FirstOf)),
            ("after", named(&|b| matches!(b, Because::When | Because::After))),
        ];
        for (word, ids) in lists.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            all.push((Tone::Plain, format!("{word} {ids}")));
        }
        all.extend(step.when.iter().map(|when| (Tone::Busy, format!("when {}", words::condition(when)))));
        all.extend(marks::of(step));
        all
    }
}
