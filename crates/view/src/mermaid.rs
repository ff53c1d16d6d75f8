//! Plans as Mermaid flowcharts.

use crate::{
    PlanView, Standing,
    flowchart::{self, Language},
    graph::Because,
    label::Label,
};
use std::fmt::Write;

pub(crate) fn draw(view: &PlanView<'_>) -> String {
    let mut out = String::from("flowchart TD\n");
    flowchart::write(&Mermaid, view, &mut out);
    if view.over.is_some() {
        for standing in Standing::ALL {
            let _ = writeln!(out, "  classDef {} {}", standing.word(), style(standing));
        }
    }
    out
}

struct Mermaid;

impl Language for Mermaid {
    fn open_section(&self, prefix: &str, title: &str) -> Vec<String> {
        vec![format!("subgraph {prefix}_{}[\"{title}\"]", title.replace(' ', "_"))]
    }

    fn step(&self, name: &str, label: &Label) -> String {
        let lines: Vec<String> = label.lines().map(escape).collect();
        let class = label.seen.map(|s| format!(":::{}", s.standing.word())).unwrap_or_default();
        format!("{name}[\"{}\"]{class}", lines.join("<br/>"))
    }

    fn open_below(&self, prefix: &str, pipeline: &str) -> Vec<String> {
        vec![format!("subgraph {prefix}in[\"{}\"]", escape(pipeline))]
    }

    fn close(&self) -> &'static str {
        "end"
    }

    fn tie(&self, step: &str, prefix: &str, _is_empty: bool) -> Option<String> {
        Some(format!("{step} ~~~ {prefix}in"))
    }

    fn edge(&self, from: &str, to: &str, because: Because) -> String {
        let arrow = match because {
            Because::Reads => "-->",
            Because::OrNone => "-->|or none|",
            Because::FirstOf => "-->|first of|",
            Because::When => "-.->|when|",
            Because::After => "-.->",
        };
        format!("{from} {arrow} {to}")
    }
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
