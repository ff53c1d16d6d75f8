//! `towpath again`: does what a run did once more.

use crate::{
    cx::Cx,
    fault::Fault,
    find,
    launch::{About, Stay, launch},
    setup::{self, Setup},
};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Again {
    /// The run whose plan and values are taken, whatever became of it
    run: String,
    #[command(flatten)]
    about: About,
    /// Drive it until it settles, parks or needs somebody, and say how it stands
    #[arg(long, conflicts_with = "watch")]
    wait: bool,
    /// Drive it until it settles or needs an operator, and show it meanwhile
    #[arg(long)]
    watch: bool,
}

/// Starts a run of the plan of another one. Gives the exit code.
pub(crate) async fn again(cx: &mut Cx<'_>, setup: Option<Setup>, args: Again) -> Result<u8, Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let mut builder = setup::builder(cx.store.clone(), setup)?.background(false);
    if let Some(actor) = &args.about.actor {
        builder = builder.actor(actor.clone());
    }
    let engine = builder.start().await?;
    let plan = match engine.plan_of(row.run).await {
        Ok(plan) => plan,
        Err(error) => {
            engine.shutdown().await?;
            return Err(error.into());
        }
    };
    let mut about = args.about;
    about.label.push(("again".to_owned(), row.run.to_string()));
    let stay = match (args.wait, args.watch) {
        (_, true) => Stay::Watching,
        (true, _) => Stay::Parked,
        _ => Stay::No,
    };
    launch(cx, &engine, plan, about, stay).await
}
