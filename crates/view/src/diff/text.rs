//! The difference as text, in the way of a plan for infrastructure.

use super::{Change, PlanDiff, StepDiff, What};
use crate::{
    fields,
    paint::{Look, Tone, padded, set, width},
    words,
};
use serde_json::Value;
use towpath_model::{Condition, Operand};

/// Widest column of paths; a longer one has a line of its own.
const PATHS: usize = 24;

impl PlanDiff {
    /// It as text: `+` was added, `~` was changed, `-` was removed.
    pub fn text(&self, look: Look) -> String {
        let mut lines = self.head(look);
        lines.push(String::new());
        if self.is_empty() {
            lines.push(
                if self.reordered { "the same steps, in another order" } else { "no difference" }.into(),
            );
        }
        changes(&self.plan, 2, look, &mut lines);
        for step in &self.steps {
            let (sign, tone) = sign(step.what);
            let id = words::clean(step.id.as_str());
            lines.push(format!(
                "  {} {}  {}",
                look.paint(tone, sign),
                look.paint(Tone::Strong, &id),
                look.paint(Tone::Dim, &step.kind)
            ));
            let told: Vec<Change> = step.changes.iter().filter(|c| is_told(step, c)).cloned().collect();
            changes(&told, 6, look, &mut lines);
        }
        if !self.is_empty() {
            let [added, changed, removed] = self.counts();
            lines.push(String::new());
            lines.push(format!("{added} to add, {changed} to change, {removed} to remove"));
        }
        let mut text = String::new();
        for line in lines {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn head(&self, look: Look) -> Vec<String> {
        let (from, to) = (&self.from, &self.to);
        let mut lines = vec![look.paint(Tone::Strong, &to.pipeline)];
        let short = |hash: &Option<String>| {
            hash.as_ref().map_or_else(|| "none".to_owned(), |h| h[..h.len().min(12)].to_owned())
        };
        for (name, a, b) in
            [("pipeline", &from.pipeline_hash, &to.pipeline_hash), ("plan", &from.plan_hash, &to.plan_hash)]
        {
            if a.is_some() || b.is_some() {
                let told = if a == b { short(a) } else { format!("{} -> {}", short(a), short(b)) };
                lines.push(format!("  {}  {told}", look.paint(Tone::Dim, &padded(name, 8))));
            }
        }
        lines
    }
}

/// Of a step that is there on one side only, what it does is told, and not each of its policies.
fn is_told(step: &StepDiff, change: &Change) -> bool {
    let first = change.path.split('.').next().unwrap_or_default();
    match step.what {
        What::Changed => true,
        What::Removed => false,
        What::Added => matches!(first, "role" | "section" | "with" | "reads" | "after" | "when"),
    }
}

fn sign(what: What) -> (&'static str, Tone) {
    match what {
        What::Added => ("+", Tone::Good),
        What::Removed => ("-", Tone::Bad),
        What::Changed => ("~", Tone::Needs),
    }
}

fn changes(all: &[Change], indent: usize, look: Look, lines: &mut Vec<String>) {
    let wide = all.iter().map(|c| width(&path(c))).filter(|w| *w <= PATHS).max().unwrap_or(0);
    for change in all {
        let what = match (&change.from, &change.to) {
            (None, _) => What::Added,
            (_, None) => What::Removed,
            _ => What::Changed,
        };
        let (sign, tone) = sign(what);
        let path = path(change);
        let told = match (&change.from, &change.to) {
            // Of an edge or a lock that is there or not, its name says all.
            (_, Some(Value::Bool(true))) | (Some(Value::Bool(true)), None) if is_set(&change.path) => {
                String::new()
            }
            (Some(from), Some(to)) => format!("{} -> {}", value(&change.path, from), value(&change.path, to)),
            (Some(one), None) | (None, Some(one)) => value(&change.path, one),
            (None, None) => String::new(),
        };
        let start = format!("{}{} ", " ".repeat(indent), look.paint(tone, sign));
        let hang = indent + 2;
        let columns = look.width() - hang - wide - 2;
        let mut set = set(&[(Tone::Plain, told)], columns, look).into_iter();
        if width(&path) > wide {
            lines.extend(
                self::set(&[(Tone::Plain, path)], look.width() - hang, look).into_iter().enumerate().map(
                    |(i, line)| {
                        if i == 0 { format!("{start}{line}") } else { format!("{}{line}", " ".repeat(hang)) }
                    },
                ),
            );
        } else {
            lines.push(format!("{start}{}  {}", padded(&path, wide), set.next().unwrap_or_default()));
        }
        lines.extend(set.map(|line| format!("{}{line}", " ".repeat(hang + wide + 2))));
    }
}

/// Whether a path ends at something that is only there or not there.
fn is_set(path: &str) -> bool {
    path.split('.').any(|part| matches!(part, "after" | "locks"))
}

/// `after.scan` is read as `after scan`.
fn path(change: &Change) -> String {
    let path = words::clean(&change.path);
    match path.split_once('.') {
        Some((first @ ("after" | "reads" | "locks" | "params" | "values"), rest)) => {
            format!("{first} {rest}")
        }
        _ => path,
    }
}

/// A value, as it is best read at its path.
fn value(path: &str, of: &Value) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    if last == "when"
        && let Ok(condition) = serde_json::from_value::<Condition>(of.clone())
    {
        return words::condition(&condition);
    }
    if matches!(last, "output" | "list")
        && let Ok(operand) = serde_json::from_value::<Operand>(of.clone())
    {
        return words::operand(&operand);
    }
    if last.ends_with("_ms")
        && let Some(ms) = of.as_u64()
    {
        return words::millis(ms);
    }
    if path.split('.').any(|part| part == "with")
        && let Some(source) = fields::source(of)
    {
        return words::clean(&words::cut(&source.words(), 200));
    }
    match of {
        Value::String(word) if !path.contains("with") && !path.starts_with("values") => words::clean(word),
        of => words::clean(&words::cut(&of.to_string(), 200)),
    }
}
