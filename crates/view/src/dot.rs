//! Plans in the DOT language of Graphviz.

use crate::{
    PlanView, Standing,
    flowchart::{self, Language},
    graph::Because,
    label::Label,
};

pub(crate) fn draw(view: &PlanView<'_>) -> String {
    let mut out = format!("digraph {} {{\n", quoted(view.record.pipeline.as_str()));
    out.push_str("  rankdir=TB;\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", fontname=\"monospace\", fontsize=11];\n");
    out.push_str("  edge [fontname=\"monospace\", fontsize=9];\n");
    flowchart::write(&Dot, view, &mut out);
    out.push_str("}\n");
    out
}

struct Dot;

impl Language for Dot {
    fn open_section(&self, prefix: &str, title: &str) -> Vec<String> {
        let name = title.replace(' ', "_");
        vec![format!("subgraph cluster_{prefix}_{name} {{"), format!("label={};", quoted(title))]
    }

    fn step(&self, name: &str, label: &Label) -> String {
        let text: Vec<&str> = label.lines().collect();
        let fill = label.seen.map(|s| format!(", fillcolor=\"{}\"", fill(s.standing))).unwrap_or_default();
        format!("{name} [label={}{fill}];", quoted(&text.join("\n")))
    }

    fn open_below(&self, prefix: &str, pipeline: &str) -> Vec<String> {
        vec![format!("subgraph cluster_{prefix}in {{"), format!("label={};", quoted(pipeline))]
    }

    fn close(&self) -> &'static str {
        "}"
    }

    fn tie(&self, step: &str, prefix: &str, is_empty: bool) -> Option<String> {
        (!is_empty).then(|| format!("{step} -> {prefix}0 [style=invis];"))
    }

    fn edge(&self, from: &str, to: &str, because: Because) -> String {
        let look = match because {
            Because::Reads => "",
            Because::OrNone => " [label=\"or none\"]",
            Because::FirstOf => " [label=\"first of\"]",
            Because::When => " [style=dashed, label=\"when\"]",
            Because::After => " [style=dashed]",
        };
        format!("{from} -> {to}{look};")
    }
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
