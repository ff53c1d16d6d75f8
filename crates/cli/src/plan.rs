//! `towpath plan` and `towpath eject`: what can be seen of a plan, before it runs and after. Neither needs the kinds.

mod past;
mod schema;
mod source;

use crate::{
    args::label,
    fault::{Fault, exit},
    out::{Out, Tone},
};
pub(crate) use schema::{Schema, schema};
use serde::Serialize;
pub(crate) use source::Sources;
use source::Viewed;
use std::{collections::BTreeMap, path::PathBuf};
use towpath::{
    model::{Json, PlanRecord, SAVED_PLAN_FORMAT},
    view::{Allow, Finding, Look, Severity, diff, eject, estimate, lint},
};

const PLANS: &str = "\
PLAN is a file that `Plan::save` or `plan --json` wrote, the name of a pipeline that this command holds, or a run: its id,
a prefix of one, or its key. The state of a run is laid over its plan.

With --json the plan is written as such a file, and differences, findings and estimates as values. Exit codes: 0 all is
well; 1 lint found an error, or it failed; 2 the command line is wrong.";

/// Where a plan comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The plan: a file, a pipeline, or a run
    plan: String,
    /// A value of a pipeline's parameter; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    param: Vec<(String, String)>,
    /// Values as one JSON object in a file, or with - on standard input; --param comes before it
    #[arg(long, value_name = "FILE")]
    params: Option<PathBuf>,
}

/// The arguments of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = PLANS)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    show: Show,
    /// Do not apply this lint rule, or not at one step; may be given several times
    #[arg(long, value_name = "RULE[:STEP]", requires = "lint")]
    allow: Vec<Allow>,
    /// How many past runs an estimate looks at
    #[arg(long, value_name = "N", default_value_t = 20, requires = "estimate")]
    last: usize,
}

/// The arguments of `eject`.
#[derive(Debug, clap::Args)]
pub(crate) struct Eject {
    #[command(flatten)]
    which: Which,
}

/// What is shown of it.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Show {
    /// As text for a terminal: the default
    #[arg(long)]
    tree: bool,
    /// As a Mermaid flowchart
    #[arg(long)]
    mermaid: bool,
    /// In the DOT language of Graphviz
    #[arg(long)]
    dot: bool,
    /// As an SVG image
    #[arg(long)]
    svg: bool,
    /// What is different in another plan
    #[arg(long, value_name = "PLAN")]
    diff: Option<String>,
    /// What is doubtful in it
    #[arg(long)]
    lint: bool,
    /// How long it may take by past runs, and what it may touch
    #[arg(long)]
    estimate: bool,
    /// What it would change; every step is asked, and nothing is changed
    #[arg(long)]
    preview: bool,
}

/// A plan as JSON: what [`SavedPlan`](towpath::model::SavedPlan) reads, when the values are known.
#[derive(Serialize)]
struct Document<'a> {
    format: u16,
    pipeline_hash: Option<String>,
    plan_hash: Option<String>,
    plan: &'a PlanRecord,
    values: Option<&'a BTreeMap<String, Json>>,
}

/// Shows a plan. Gives the exit code.
pub(crate) async fn plan(mut from: Sources, out: &mut Out, args: PlanArgs) -> Result<u8, Fault> {
    let viewed = from.read(&args.which.plan, &args.which).await?;
    let (view, show, look) = (viewed.view(), &args.show, Look { colour: out.paint.is_on(), columns: 80 });
    let picture = match (show.mermaid, show.dot, show.svg) {
        (true, _, _) => Some(view.mermaid()),
        (_, true, _) => Some(view.dot()),
        (_, _, true) => Some(view.svg()),
        _ => None,
    };
    if let Some(picture) = picture {
        if out.json {
            return Err(Fault::usage("a picture is no JSON: leave --json out"));
        }
        out.text(&picture)?;
    } else if let Some(other) = &show.diff {
        let other = from.read(other, &args.which).await?;
        let found = diff(&view, &other.view());
        if out.json { out.value(&found)? } else { out.text(&found.text(look))? }
    } else if show.lint {
        return linted(&lint(&view, &args.allow), out);
    } else if show.preview {
        let preview = from.preview(&viewed).await?;
        if out.json { out.value(&preview)? } else { out.text(&preview.to_string())? }
    } else if show.estimate {
        let past = match from.store().await {
            Ok(store) => past::runs(&*store, &viewed.record.pipeline, args.last).await?,
            // A pipeline that never ran has no store yet, and no past.
            Err(_) => Vec::new(),
        };
        let found = estimate(&view, &past);
        if out.json { out.value(&found)? } else { out.text(&found.text(look))? }
    } else if out.json {
        out.value(&document(&viewed))?;
    } else {
        out.text(&view.tree(look))?;
    }
    Ok(exit::OK)
}

/// Writes a plan as a shell script.
pub(crate) async fn ejected(mut from: Sources, out: &mut Out, args: Eject) -> Result<u8, Fault> {
    let viewed = from.read(&args.which.plan, &args.which).await?;
    let script = eject(&viewed.view());
    if out.json {
        out.value(&serde_json::json!({ "script": script }))?
    } else {
        out.text(&script)?
    }
    Ok(exit::OK)
}

fn document(viewed: &Viewed) -> Document<'_> {
    let view = viewed.view();
    Document {
        format: SAVED_PLAN_FORMAT,
        pipeline_hash: view.pipeline_hash().map(|hash| hash.to_string()),
        plan_hash: view.plan_hash().map(|hash| hash.to_string()),
        plan: &viewed.record,
        values: viewed.values.as_ref(),
    }
}

/// Shows what was found, and gives the exit code.
fn linted(found: &[Finding], out: &mut Out) -> Result<u8, Fault> {
    let count = |severity| found.iter().filter(|f| f.severity == severity).count();
    let counts = [Severity::Error, Severity::Warning, Severity::Hint].map(|s| (count(s), s));
    if out.json {
        out.value(&found)?;
    } else {
        for finding in found {
            let tone = match finding.severity {
                Severity::Error => Tone::Bad,
                Severity::Warning => Tone::Needs,
                Severity::Hint => Tone::Dim,
            };
            let severity = out.paint.text(tone, &finding.severity.to_string());
            let rule = out.paint.text(Tone::Dim, &format!("[{}]", finding.rule));
            out.line(format!("{severity}: {finding} {rule}"))?;
            out.line(format!("    {}", out.paint.text(Tone::Dim, finding.fix)))?;
        }
        let said: Vec<String> = counts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, severity)| format!("{n} {severity}{}", if *n == 1 { "" } else { "s" }))
            .collect();
        out.line(if said.is_empty() { "nothing is doubtful".to_owned() } else { said.join(", ") })?;
    }
    Ok(if counts[0].0 > 0 { exit::FAILED } else { exit::OK })
}

#[cfg(test)]
mod tests;
