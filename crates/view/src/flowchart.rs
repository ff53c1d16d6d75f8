//! The walk over a plan that all languages of flowcharts share; each spells what it meets.

use crate::{PlanView, graph::Because, label::Label, words};
use towpath_model::{Role, Section};

/// How a language of flowcharts spells what a plan has. Every text is one line, without what stands before and behind it.
pub(crate) trait Language {
    /// Opens a box around the steps of a section.
    fn open_section(&self, prefix: &str, title: &str) -> Vec<String>;
    /// A step. Names are made of numbers, so that no id has to be escaped.
    fn step(&self, name: &str, label: &Label) -> String;
    /// Opens a box around the plan below a step.
    fn open_below(&self, prefix: &str, pipeline: &str) -> Vec<String>;
    /// Closes a box.
    fn close(&self) -> &'static str;
    /// Keeps the plan below a step near it, by an edge that is not drawn; `None` when there is nothing to keep.
    fn tie(&self, step: &str, prefix: &str, is_empty: bool) -> Option<String>;
    /// An edge.
    fn edge(&self, from: &str, to: &str, because: Because) -> String;
}

/// Writes the steps and edges of a plan.
pub(crate) fn write(language: &impl Language, view: &PlanView<'_>, out: &mut String) {
    plan(language, view, "s", 1, out);
}

fn plan(language: &impl Language, view: &PlanView<'_>, prefix: &str, depth: usize, out: &mut String) {
    for section in [Section::Main, Section::OnFailure, Section::Finally] {
        let steps = || view.record.steps.iter().enumerate().filter(|(_, s)| s.section == section);
        let title = words::section(section).filter(|_| steps().next().is_some());
        let inner = depth + usize::from(title.is_some());
        if let Some(title) = title {
            open(language.open_section(prefix, title), depth, out);
        }
        for (i, step) in steps() {
            let name = format!("{prefix}{i}");
            line(inner, &language.step(&name, &Label::of(view, step)), out);
            if let Role::ForEach { each: below, .. } | Role::SubRun { plan: below } = &step.role {
                let prefix = format!("{name}_");
                open(language.open_below(&prefix, below.pipeline.as_str()), inner, out);
                plan(language, &view.below(below), &prefix, inner + 1, out);
                line(inner, language.close(), out);
                if let Some(tie) = language.tie(&name, &prefix, below.steps.is_empty()) {
                    line(inner, &tie, out);
                }
            }
        }
        if title.is_some() {
            line(depth, language.close(), out);
        }
    }
    for edge in &view.graph().edges {
        let (from, to) = (format!("{prefix}{}", edge.from), format!("{prefix}{}", edge.to));
        line(depth, &language.edge(&from, &to, edge.because), out);
    }
}

/// The first line opens the box; the others stand in it.
fn open(lines: Vec<String>, depth: usize, out: &mut String) {
    for (text, inside) in lines.iter().zip([0].into_iter().chain(std::iter::repeat(1))) {
        line(depth + inside, text, out);
    }
}

fn line(depth: usize, text: &str, out: &mut String) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}
