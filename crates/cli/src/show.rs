//! `towpath show`: one run, as people read it.

use crate::{
    args::OneRun,
    cx::Cx,
    document,
    fault::Fault,
    find, items,
    out::{Paint, Tone},
    runs, steps,
    story::Story,
    summary::{self, one_line},
    when,
};
use std::collections::BTreeMap;
use towpath::{
    model::{Aftermath, Outcome, Status, StepId, Timestamp},
    store::{Progress, RunRow},
};

/// A run with everything that is shown of it.
pub(crate) struct Shown {
    pub(crate) row: RunRow,
    pub(crate) story: Story,
    pub(crate) progress: Vec<Progress>,
    /// The items that are shown of each step that is a `for_each`: the first, or those that move while it is followed.
    pub(crate) items: items::ByStep,
    /// Whether it is followed.
    pub(crate) is_followed: bool,
    /// The last line that each running step logged, as far as it was looked for.
    pub(crate) tails: BTreeMap<StepId, String>,
    pub(crate) unread: usize,
    pub(crate) now: Timestamp,
}

/// Shows a run.
pub(crate) async fn show(cx: &mut Cx<'_>, args: OneRun) -> Result<(), Fault> {
    let store = cx.store.clone();
    let row = find::run(&*store, &args.run).await?;
    let story = Story::read(&*store, &row).await?;
    let shown = Shown {
        items: items::of(&*store, &story).await?,
        story,
        progress: store.progress(row.no).await?,
        is_followed: false,
        tails: BTreeMap::new(),
        unread: store.entries(row.no, towpath::model::limits::INBOX_ENTRIES).await?.len(),
        now: store.now().await?,
        row,
    };
    if cx.out.json {
        return Ok(cx.out.value(&document::of(&shown))?);
    }
    let text = shown.text(cx.out.paint);
    Ok(cx.out.text(&text)?)
}

impl Shown {
    /// A run that is followed, and of which nothing was read yet.
    pub(crate) fn new(row: RunRow) -> Self {
        Shown {
            story: Story::new(row.run),
            progress: Vec::new(),
            items: BTreeMap::new(),
            is_followed: true,
            tails: BTreeMap::new(),
            unread: 0,
            now: row.changed_at,
            row,
        }
    }

    fn text(&self, paint: Paint) -> String {
        let mut lines = vec![self.title(paint)];
        lines.extend(self.head(paint));
        lines.push(String::new());
        match &self.story.state {
            Ok(state) => lines.extend(steps::tree(self, state, paint)),
            Err(why) => {
                lines.push(format!("  its {} events cannot be folded: {why}", self.story.events));
                lines.push(
                    "  `journal` shows them one by one, and `verify` says whether they are whole".into(),
                );
            }
        }
        if let Some(outcome) = &self.row.listing.outcome {
            lines.push(String::new());
            lines.extend(ending(outcome, self.story.aftermath.as_ref(), paint));
        }
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }

    pub(crate) fn title(&self, paint: Paint) -> String {
        let row = &self.row;
        let name = paint.text(Tone::Strong, &format!("{} {}", row.pipeline, row.key));
        let status = paint.text(runs::tone(row), &runs::standing(row));
        let note = match (&row.listing.outcome, runs::note(row)) {
            // The outcome has its own place, at the end.
            (None, note) if !note.is_empty() => format!(": {}", one_line(&note)),
            _ => String::new(),
        };
        format!("{name} {status}{note}")
    }

    fn head(&self, paint: Paint) -> Vec<String> {
        let row = &self.row;
        let mut fields = vec![("run", row.run.to_string())];
        match &self.story.start {
            Some((start, by)) => {
                let (plan, pipeline) = (start.plan_hash.short(), start.plan.digest.short());
                fields.push(("plan", format!("{plan} of pipeline {pipeline}")));
                let why = if start.reason.is_empty() { String::new() } else { format!(": {}", start.reason) };
                let at = when::at_and_ago(row.started_at, self.now);
                fields.push(("started", format!("{at} by {by}{}", one_line(&why))));
                if let Some(below) = &start.parent {
                    fields.push(("parent", format!("run {}, {}", below.run, below.step.item(&below.item))));
                }
                if let Some(from) = start.forked_from {
                    fields.push(("fork", format!("of run {from}")));
                }
                let values: Vec<String> =
                    start.values.iter().map(|(k, v)| format!("{k}={}", summary::cut(v.as_str()))).collect();
                if !values.is_empty() {
                    fields.push(("values", values.join("  ")));
                }
                if let Some(deadline) = start.deadline.filter(|_| row.listing.status != Status::Settled) {
                    fields.push(("deadline", when::at_and_ago(deadline, self.now)));
                }
            }
            None => {
                fields.push(("plan", row.plan_hash.short()));
                fields.push(("started", when::at_and_ago(row.started_at, self.now)));
            }
        }
        if !row.labels.is_empty() {
            let labels: Vec<String> = row.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            fields.push(("labels", labels.join("  ")));
        }
        if row.listing.status != Status::Settled {
            fields.push(("driven by", self.driver()));
        }
        let field = |(name, value): (&str, String)| {
            format!("  {}  {value}", paint.text(Tone::Dim, &format!("{name:<9}")))
        };
        fields.into_iter().map(field).collect()
    }

    fn driver(&self) -> String {
        let unread = match self.unread {
            0 => String::new(),
            n => format!("; {n} unread in its inbox"),
        };
        match (&self.row.owner, self.row.wake_at) {
            (Some(owner), _) => format!("{owner}{unread}"),
            (None, Some(at)) => format!("nobody; due {}{unread}", when::at_and_ago(at, self.now)),
            (None, None) => format!("nobody; nothing is due{unread}"),
        }
    }

    /// The last progress that a step reported.
    pub(crate) fn progress_of(&self, step: &StepId) -> Option<&Progress> {
        self.progress.iter().find(|p| p.step == *step)
    }
}

pub(crate) fn ending(outcome: &Outcome, aftermath: Option<&Aftermath>, paint: Paint) -> Vec<String> {
    let tone = match outcome {
        Outcome::Succeeded { .. } => Tone::Good,
        Outcome::Cancelled { .. } | Outcome::Superseded { .. } => Tone::Plain,
        _ => Tone::Bad,
    };
    let text = match outcome {
        Outcome::Succeeded { output: Some(output) } => format!("{outcome}: {}", summary::payload(output)),
        _ => outcome.to_string(),
    };
    let mut lines = vec![paint.text(tone, &one_line(&text))];
    let Some(aftermath) = aftermath else { return lines };
    let mut list = |what: &str, steps: &[StepId]| {
        if !steps.is_empty() {
            let ids: Vec<&str> = steps.iter().map(|s| s.as_str()).collect();
            lines.push(format!("  {what}: {}", ids.join(", ")));
        }
    };
    list("kept, by their undo policy", &aftermath.kept);
    list("left in place", &aftermath.left);
    list("not known whether they took effect", &aftermath.in_doubt);
    for (step, failure) in &aftermath.failures {
        lines.push(format!("  {step} failed: {}", one_line(&failure.to_string())));
    }
    lines
}

#[cfg(test)]
mod tests;
