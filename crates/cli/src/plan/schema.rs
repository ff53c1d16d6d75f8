//! `towpath schema`: JSON Schemas of what can be given to this command, and of what it stores.

use super::Sources;
use crate::{
    fault::{Fault, exit},
    out::Out,
};
use towpath::model::Json;

/// The schema of a journal's events, as it is published under `docs/schemas`.
const EVENTS: &str = include_str!("../../../../docs/schemas/events.json");
/// The schema of a plan's record.
const PLAN: &str = include_str!("../../../../docs/schemas/plan.json");

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// A pipeline of this command, for its parameters; a kind, for its fields and its output; `events` or `plan`, for what is
    /// stored
    #[arg(value_name = "WHAT")]
    what: String,
}

/// Writes a schema. Gives the exit code.
pub(crate) async fn schema(mut from: Sources, out: &mut Out, args: Schema) -> Result<u8, Fault> {
    let schema = match args.what.as_str() {
        "events" => stored(EVENTS),
        "plan" => stored(PLAN),
        what => {
            let engine = from.engine().await?;
            let pipeline = engine.pipeline(what).map(|pipeline| pipeline.schema());
            let found = pipeline.or_else(|| engine.steps().get(what).map(|kind| kind.schema()));
            found.ok_or_else(|| unknown(what, engine))?
        }
    };
    if out.json {
        out.value(&schema)?
    } else {
        out.text(&pretty(&schema))?
    }
    Ok(exit::OK)
}

fn stored(text: &str) -> Json {
    Json::parse(text).expect("the published schemas are json")
}

fn pretty(schema: &Json) -> String {
    let value: serde_json::Value = schema.read().expect("json reads as json");
    format!("{value:#}\n")
}

fn unknown(what: &str, engine: &towpath::Engine) -> Fault {
    let pipelines = engine.pipelines().map(|pipeline| pipeline.name().to_owned());
    let kinds = engine.steps().iter().map(|kind| kind.kind().to_string());
    let all: Vec<String> =
        ["events", "plan"].map(str::to_owned).into_iter().chain(pipelines).chain(kinds).collect();
    Fault::failed(format!(
        "{what:?} is no pipeline and no kind of this command; there are {}",
        all.join(", ")
    ))
}
