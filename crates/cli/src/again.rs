//! `towpath again`: does what a run did once more.

use crate::{
    cx::Cx,
    fault::Fault,
    find,
    launch::{self, About, Staying, launch},
    setup::Setup,
};

/// The arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Again {
    /// The run whose plan and values are taken, whatever became of it
    run: String,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    staying: Staying,
}

/// Starts a run of the plan of another one. Gives the exit code.
pub(crate) async fn again(cx: &mut Cx<'_>, setup: Option<Setup>, args: Again) -> Result<u8, Fault> {
    let row = find::run(&*cx.store, &args.run).await?;
    let engine = launch::engine(cx, setup, &args.about).await?;
    let plan = match engine.plan_of(row.run).await {
        Ok(plan) => plan,
        Err(error) => {
            engine.shutdown().await?;
            return Err(error.into());
        }
    };
    let mut about = args.about;
    about.label.push(("again".to_owned(), row.run.to_string()));
    let stay = args.staying.stay();
    launch(cx, &engine, plan, about, stay).await
}
