//! Plans in the DOT language of Graphviz.

use crate::{PlanView, Standing, graph::Because, label::Label, words};
use std::fmt::Write;
use towpath_model::{Role, Section};

pub(crate) fn draw(view: &PlanView<'_>) -> String {
    let mut out = format!("digraph {} {{\n", quoted(view.record.pipeline.as_str()));
    out.push_str("  rankdir=TB;\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"monospace\", fontsize=11];\n");
    out.push_str("  edge [fontname=\"monospace\", fontsize=9];\n");
    plan(view, "s", 1, &mut out);
    out.push_str("}\n");
    out
}

fn plan(view: &PlanView<'_>, prefix: &str, depth: usize, out: &mut String) {
    let graph = view.graph();
    for section in [Section::Main, Section::OnFailure, Section::Finally] {
        let steps = || view.record.steps.iter().enumerate().filter(|(_, s)| s.section == section);
        let title = words::section(section).filter(|_| steps().next().is_some());
        let inner = depth + usize::from(title.is_some());
        if let Some(title) = title {
            let name = title.replace(' ', "_");
            let _ = writeln!(out, "{}subgraph cluster_{prefix}_{name} {{", pad(depth));
            let _ = writeln!(out, "{}label={};", pad(inner), quoted(title));
        }
        for (i, step) in steps() {
            let label = Label::of(view, step);
            let text: Vec<&str> = label.lines().collect();
            let fill =
                label.seen.map(|s| format!(", fillcolor=\"{}\"", fill(s.standing))).unwrap_or_default();
            let _ = writeln!(out, "{}{prefix}{i} [label={}{fill}];", pad(inner), quoted(&text.join("\n")));
            if let Role::ForEach { each: below, .. } | Role::SubRun { plan: below } = &step.role {
                let name = format!("{prefix}{i}_");
                let _ = writeln!(out, "{}subgraph cluster_{name}in {{", pad(inner));
                let _ = writeln!(out, "{}label={};", pad(inner + 1), quoted(below.pipeline.as_str()));
                plan(&view.below(below), &name, inner + 1, out);
                let _ = writeln!(out, "{}}}", pad(inner));
                if !below.steps.is_empty() {
                    // Without it the plan below would stand anywhere; it is drawn as no edge.
                    let _ = writeln!(out, "{}{prefix}{i} -> {name}0 [style=invis];", pad(inner));
                }
            }
        }
        if title.is_some() {
            let _ = writeln!(out, "{}}}", pad(depth));
        }
    }
    for edge in &graph.edges {
        let look = match edge.because {
            Because::Reads => "",
            Because::OrNone => " [label=\"or none\"]",
            Because::FirstOf => " [label=\"first of\"]",
            Because::When => " [style=dashed, label=\"when\"]",
            Because::After => " [style=dashed]",
        };
        let _ = writeln!(out, "{}{prefix}{} -> {prefix}{}{look};", pad(depth), edge.from, edge.to);
    }
}

fn pad(depth: usize) -> String {
    "  ".repeat(depth)
}

/// A text in quotes. Only a quote and a backslash need escaping there; `\n` breaks the line of a label.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn fill(standing: Standing) -> &'static str {
    match standing {
        Standing::Waiting | Standing::Skipped => "#f4f4f5",
        Standing::Running => "#dbeafe",
        Standing::Parked => "#e0f2fe",
        Standing::Stuck => "#fef3c7",
        Standing::Done => "#dcfce7",
        Standing::Failed => "#fee2e2",
        Standing::Undone => "#f3e8ff",
    }
}
