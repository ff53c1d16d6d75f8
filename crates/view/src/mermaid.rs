//! Plans as Mermaid flowcharts.

use crate::{PlanView, Standing, graph::Because, label::Label, words};
use std::fmt::Write;
use towpath_model::{Role, Section};

pub(crate) fn draw(view: &PlanView<'_>) -> String {
    let mut out = String::from("flowchart TD\n");
    plan(view, "s", 1, &mut out);
    if view.over.is_some() {
        for standing in Standing::ALL {
            let _ = writeln!(out, "  classDef {} {}", standing.word(), style(standing));
        }
    }
    out
}

/// The steps and edges of one plan. Names are made of numbers, so that no id has to be escaped.
fn plan(view: &PlanView<'_>, prefix: &str, depth: usize, out: &mut String) {
    let graph = view.graph();
    for section in [Section::Main, Section::OnFailure, Section::Finally] {
        let steps = || view.record.steps.iter().enumerate().filter(|(_, s)| s.section == section);
        let title = words::section(section).filter(|_| steps().next().is_some());
        let inner = depth + usize::from(title.is_some());
        if let Some(title) = title {
            let _ = writeln!(out, "{}subgraph {prefix}_{}[\"{title}\"]", pad(depth), title.replace(' ', "_"));
        }
        for (i, step) in steps() {
            let label = Label::of(view, step);
            let lines: Vec<String> = label.lines().map(escape).collect();
            let class = label.seen.map(|s| format!(":::{}", s.standing.word())).unwrap_or_default();
            let _ = writeln!(out, "{}{prefix}{i}[\"{}\"]{class}", pad(inner), lines.join("<br/>"));
            if let Role::ForEach { each: below, .. } | Role::SubRun { plan: below } = &step.role {
                let name = format!("{prefix}{i}_");
                let _ =
                    writeln!(out, "{}subgraph {name}in[\"{}\"]", pad(inner), escape(below.pipeline.as_str()));
                plan(&view.below(below), &name, inner + 1, out);
                let _ = writeln!(out, "{}end", pad(inner));
                // Without it the plan below would stand anywhere; it is drawn as no edge.
                let _ = writeln!(out, "{}{prefix}{i} ~~~ {name}in", pad(inner));
            }
        }
        if title.is_some() {
            let _ = writeln!(out, "{}end", pad(depth));
        }
    }
    for edge in &graph.edges {
        let arrow = match edge.because {
            Because::Reads => "-->",
            Because::OrNone => "-->|or none|",
            Because::FirstOf => "-->|first of|",
            Because::When => "-.->|when|",
            Because::After => "-.->",
        };
        let _ = writeln!(out, "{}{prefix}{} {arrow} {prefix}{}", pad(depth), edge.from, edge.to);
    }
}

fn pad(depth: usize) -> String {
    "  ".repeat(depth)
}

/// A text within quotes. Mermaid reads HTML there, and takes entities that begin with `#`.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '#' | '"' | '<' | '>' | '&' | '`' | ';' | '\\' | '[' | ']' | '{' | '}' | '|' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn style(standing: Standing) -> &'static str {
    match standing {
        Standing::Waiting => "fill:#f4f4f5,stroke:#a1a1aa,color:#3f3f46",
        Standing::Running => "fill:#dbeafe,stroke:#2563eb,color:#1e3a8a",
        Standing::Parked => "fill:#e0f2fe,stroke:#0284c7,color:#0c4a6e",
        Standing::Stuck => "fill:#fef3c7,stroke:#d97706,color:#78350f",
        Standing::Done => "fill:#dcfce7,stroke:#16a34a,color:#14532d",
        Standing::Failed => "fill:#fee2e2,stroke:#dc2626,color:#7f1d1d",
        Standing::Skipped => "fill:#f4f4f5,stroke:#a1a1aa,color:#71717a,stroke-dasharray:4 3",
        Standing::Undone => "fill:#f3e8ff,stroke:#9333ea,color:#581c87",
    }
}
