//! The show: an engine in a process of its own, customers, and somebody who looks at both.

use crate::{
    keys::Keys,
    load::{Load, Tally},
    place::Place,
    screen::{Stage, counts},
};
use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use towpath::{
    local::Local,
    model::Status,
    prelude::*,
    provider::{Routes, TrafficRouter},
};
use towpath_cli::Picture;

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// How often everything is looked at.
const LOOK: Duration = Duration::from_millis(40);
/// Longest that one act may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Everything that is on the stage.
pub(crate) struct Show {
    pub(crate) place: Place,
    /// Starts runs and asks about them; it drives nothing.
    pub(crate) engine: Engine,
    pub(crate) local: Local,
    pub(crate) stage: Stage,
    /// Whether the person before the screen decides.
    pub(crate) asks: bool,
    keys: Option<Keys>,
    worker: Option<Child>,
    load: Option<Load>,
}

/// What is seen at one look.
pub(crate) struct Seen {
    pub(crate) status: Status,
    pub(crate) routes: Option<Routes>,
    /// The key that was pressed.
    pub(crate) key: Option<char>,
}

impl Show {
    pub(crate) async fn new(place: Place, stage: Stage, yes: bool) -> Result<Self, Failed> {
        let engine = place.engine()?.background(false).start().await?;
        let local = place.local();
        let asks = !yes && stage.is_screen();
        let keys = asks.then(Keys::listen).flatten();
        Ok(Show { place, engine, local, stage, asks, keys, worker: None, load: None })
    }

    /// Starts the process in which runs are driven: this program once more.
    pub(crate) fn start_worker(&mut self) -> Result<(), Failed> {
        let mut command = Command::new(std::env::current_exe()?);
        // It ends when this end of its standard input is closed, and so with this process.
        command.arg("engine").arg(self.place.folder()).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(self.place.log("engine.log")?);
        self.worker = Some(command.spawn()?);
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill_worker(&mut self) -> Result<(), Failed> {
        let mut worker = self.worker.take().ok_or("there is no engine to kill")?;
        worker.kill()?;
        worker.wait()?;
        Ok(())
    }

    /// Has customers come.
    pub(crate) async fn open_doors(&mut self) -> Result<(), Failed> {
        self.load = Some(Load::on(self.place.address()));
        Ok(())
    }

    pub(crate) fn tally(&self) -> Tally {
        self.load.as_ref().map(Load::tally).unwrap_or_default()
    }

    /// Starts a run that is to bring a version.
    pub(crate) async fn release(
        &self,
        version: &str,
        errors: u32,
        schema: &str,
    ) -> Result<Run<Live>, Failed> {
        let values = params! { version, errors: errors.to_string(), schema };
        let plan = crate::pipeline::orders()?.with(values)?;
        Ok(self.engine.run(plan, format!("orders@{version}")).label("service", "orders").await?)
    }

    /// Looks at a run until it is as far as asked for. What may be pressed meanwhile is said by `keys`.
    pub(crate) async fn watch(
        &mut self,
        run: &Run<Live>,
        keys: &str,
        mut until: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Failed> {
        let store = self.engine.store().clone();
        let command = if self.stage.is_recorded() { "towpath".to_owned() } else { self.place.command() };
        let mut picture = Picture::of(store, run.id(), &command).await?;
        let (begun, mut looks) = (Instant::now(), tokio::time::interval(LOOK));
        loop {
            picture.look().await?;
            let routes = self.local.routes("orders").await?;
            let seen =
                Seen { status: picture.status(), routes, key: self.keys.as_ref().and_then(Keys::next) };
            let tally = self.load.as_ref().map(Load::tally);
            self.stage.draw(&picture, tally.as_ref(), &weights(seen.routes.as_ref()), keys);
            if until(&seen) {
                return Ok(seen);
            }
            if let Some(worker) = &mut self.worker
                && let Some(status) = worker.try_wait()?
            {
                return Err(format!(
                    "the engine ended with {status}; {} says why",
                    self.place.path("engine.log")
                )
                .into());
            }
            if picture.is_over() {
                return Err(self.unexpected(run).await?);
            }
            if !self.asks && begun.elapsed() > PATIENCE {
                return Err(format!("nothing happened for {PATIENCE:?}: {}", run.explain().await?).into());
            }
            looks.tick().await;
        }
    }

    /// What to say of a run that came to rest where nobody expected it.
    async fn unexpected(&self, run: &Run<Live>) -> Result<Failed, Failed> {
        Ok(format!("the run came to rest where it should not: {}", how_it_ended(&run.settled().await?))
            .into())
    }

    /// Watches a run to its end, and gives it.
    pub(crate) async fn settled(&mut self, run: &Run<Live>) -> Result<Settled<Live>, Failed> {
        let rests = |seen: &Seen| matches!(seen.status, Status::Settled | Status::Stuck);
        self.watch(run, "", rests).await?;
        Ok(run.settled().await?)
    }

    /// What the customers saw, in a line that stays.
    pub(crate) async fn say_counts(&mut self) -> Result<(), Failed> {
        let routes = self.local.routes("orders").await?;
        let line = counts(&self.tally(), &weights(routes.as_ref()));
        self.stage.say(&format!("   {line}"));
        if let Some(why) = self.tally().first_failure {
            self.stage.say(&format!("   the first request that failed: {why}"));
        }
        Ok(())
    }

    /// Ends what was started; what was deployed goes as well, so that nothing is left but the journal.
    pub(crate) async fn end(mut self) -> Result<(), Failed> {
        self.load = None;
        self.stage.end()?;
        if let Some(mut worker) = self.worker.take() {
            // Its standard input is closed: it gives its runs back and ends.
            drop(worker.stdin.take());
            worker.wait()?;
        }
        self.engine.shutdown().await?;
        self.place.clear(&self.local).await
    }
}

/// How a run ended, in words.
pub(crate) fn how_it_ended(settled: &Settled<Live>) -> String {
    match settled {
        Settled::Succeeded(live) => format!("{} {} is live", live.service, live.version),
        Settled::Compensated(why) => format!("it was undone, because {why}"),
        Settled::Failed(why) => format!("nothing had to be undone, because {why}"),
        Settled::Stuck(why) => why.to_string(),
        other => format!("{other:?}"),
    }
}

/// Where the traffic goes, in words.
pub(crate) fn weights(routes: Option<&Routes>) -> String {
    let Some(routes) = routes else { return "nowhere yet".into() };
    let part = |(version, weight): (&String, &u8)| format!("{weight} % {version}");
    routes.weights.iter().map(part).collect::<Vec<_>>().join(", ")
}
