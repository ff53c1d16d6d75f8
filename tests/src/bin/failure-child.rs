//! Builds and releases one version of a service with what the quickstart uses: the builder of images, the platform of one
//! machine and a journal in SQLite, each in a folder of its own. It says what came of it and what is there afterwards.
//!
//! `failure-child FOLDER VERSION`; what is to go wrong, it is told by its environment.
#![expect(clippy::print_stdout, reason = "what it says is what a test reads")]

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use towpath::{
    Offering, local::Local, oci::OciBuilder, prelude::*, provider::ImageBuilder, stock::deploy::Live,
};

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    // Within a runtime, as many programs will do it.
    towpath::local::supervise_here();
    let mut arguments = env::args().skip(1);
    let (Some(folder), Some(version)) = (arguments.next(), arguments.next()) else {
        println!("usage: failure-child FOLDER VERSION");
        return ExitCode::from(2);
    };
    let way = Way { folder: folder.into(), version };
    match way.go().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{} cannot begin: {error}", way.version);
            let mut below = error.source();
            while let Some(cause) = below {
                println!("  because: {cause}");
                below = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

struct Way {
    folder: PathBuf,
    version: String,
}

impl Way {
    async fn go(&self) -> Result<(), Failed> {
        let local = self.local();
        let builder = OciBuilder::new(self.folder.join("images"))?;
        let journal = format!("sqlite:{}", self.folder.join("journal/deploys.db").display());
        let engine = Engine::open(&journal)
            .steps(stock::steps())
            .bind("builder", Offering::<dyn ImageBuilder>(Arc::new(builder)))
            .bind("production", local.clone());
        let engine = engine.start().await?;
        let run = engine.run(self.pipeline()?.plan()?, format!("orders@{}", self.version)).await?;
        match tokio::time::timeout(patience(), run.settled()).await {
            Ok(settled) => {
                self.say(&settled?);
                if let Err(error) = run.explain().await {
                    println!("  but its journal: {error:?}");
                }
            }
            Err(_) => {
                println!("{} is not over: {}", self.version, run.explain().await?.summary);
                if let Some(error) = engine.health().await.store {
                    println!("  the health of its engine: {error}");
                }
            }
        }
        self.look(&local).await;
        Ok(engine.shutdown().await?)
    }

    fn local(&self) -> Local {
        let local = Local::at(self.folder.join("releases"));
        let local = match env::var("FAILURE_PORT").ok().and_then(|port| port.parse().ok()) {
            Some(port) => local.listen("orders", port),
            None => local,
        };
        match env::var_os("FAILURE_SUPERVISOR") {
            Some(program) => local.supervisor(program, None::<&str>),
            None => local,
        }
    }

    fn pipeline(&self) -> Result<Pipeline<Live>, Failed> {
        let p = Pipeline::new("orders");
        let production = Environment::named("production");
        let twice = RetryPolicy::fixed(2, millis(200));
        let build = BuildImage::new("orders", &*self.version)
            .context(text_of(&self.folder.join("sources")))
            .command(serde_json::from_str::<Vec<String>>(&env::var("FAILURE_BUILD")?)?)
            .file("orders", "/orders")
            .entrypoint(["/orders"]);
        let image = p.step("build", build).retry(twice);
        let release = p.step("release", MakeRelease::new("orders", &*self.version, &image).health("/health"));
        let canary = Canary::of(&release)
            .to(&production)
            .weights([50, 100])
            .bake(seconds(1))
            .every(millis(200))
            .by_health_alone()
            .healthy_within(seconds(4))
            .drain(seconds(1));
        let again = RetryPolicy::fixed(4, millis(200));
        let canary = p.step("canary", canary).retry(again.clone()).undo_retry(again);
        let live = p.step("promote", Promote::of(&canary).to(&production));
        Ok(p.output(&live).build()?)
    }

    fn say(&self, settled: &Settled<Live>) {
        let version = &self.version;
        match settled {
            Settled::Succeeded(live) => println!("{version} succeeded: {} is live", live.version),
            Settled::Compensated(why) => println!("{version} was undone: {why}"),
            Settled::Failed(why) => println!("{version} failed, and nothing had to be undone: {why}"),
            Settled::Stuck(why) => println!("{version} is stuck: {why}"),
            other => println!("{version} ended: {other:?}"),
        }
    }

    /// What is there afterwards.
    async fn look(&self, local: &Local) {
        match local.service("orders").await {
            Ok(Some(state)) => {
                for release in &state.releases {
                    println!(
                        "  there is {}: {} of {} healthy",
                        release.version,
                        release.healthy(),
                        release.wanted
                    );
                }
                let weights = state.routes.map(|routes| routes.weights).unwrap_or_default();
                let words: Vec<String> =
                    weights.iter().map(|(v, weight)| format!("{weight} % {v}")).collect();
                println!("  traffic: {}", if words.is_empty() { "none".into() } else { words.join(", ") });
                if let Some(problem) = state.problem {
                    println!("  problem: {problem}");
                }
            }
            Ok(None) => println!("  nothing is there"),
            Err(error) => println!("  what is there cannot be told: {error}"),
        }
        if env::var_os("FAILURE_STOP").is_some()
            && let Err(error) = local.stop(Duration::from_secs(1)).await
        {
            println!("  and it cannot be ended: {error}");
        }
    }
}

/// How long the run may take.
fn patience() -> Duration {
    let said = env::var("FAILURE_PATIENCE_S").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(said.unwrap_or(90))
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}
