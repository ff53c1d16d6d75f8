//! What happens, act by act.

use crate::show::{Failed, Show, how_it_ended};
use std::{
    collections::BTreeMap,
    process::Command,
    time::{Duration, Instant},
};
use towpath::{
    engine::Update,
    model::{Event, Status, Verb},
    prelude::*,
    provider::TrafficRouter,
};

/// What the acts have shown.
#[derive(Default)]
struct Told {
    rollback_ms: u128,
    resumed_after_kill: bool,
    yielded_to_human: bool,
}

/// Plays all acts. Gives what they have shown, as one line of JSON.
pub(crate) async fn play(show: &mut Show) -> Result<String, Failed> {
    let mut told = Told::default();
    show.stage
        .say(&format!("Everything is in {}; nothing outside is touched.", show.place.folder().display()));
    show.start_worker()?;
    first(show).await?;
    show.open_doors().await?;
    good(show, &mut told).await?;
    bad(show, &mut told).await?;
    human(show, &mut told).await?;
    back(show).await?;
    let tally = show.tally();
    show.stage.say("");
    show.say_counts().await?;
    show.stage.say(&format!("The journal stays: {} runs", show.place.command()));
    let ok = tally.failed == 0 && told.resumed_after_kill && told.yielded_to_human;
    let journal = show.place.journal();
    Ok(serde_json::json!({
        "ok": ok,
        "requests": tally.requests,
        "failed": tally.failed,
        "canary_errors": tally.errors(),
        "rollback_ms": told.rollback_ms,
        "resumed_after_kill": told.resumed_after_kill,
        "yielded_to_human": told.yielded_to_human,
        "journal": journal,
    })
    .to_string())
}

/// Waits until the run asks, shows what it would do, and has it approved: by whoever sits there, or by itself.
async fn approve(show: &mut Show, run: &Run<Live>, ask: bool) -> Result<(), Failed> {
    show.watch(run, "it is built and scanned, and then asks", |seen| seen.status == Status::Waiting).await?;
    let shown = show.engine.store().logs(run.row().await?.no, &"approve".parse()?, 0, 100).await?;
    for line in shown.iter().flat_map(|line| line.text.lines()) {
        show.stage.say(&format!("   {line}"));
    }
    if !(ask && show.asks) {
        return Ok(run.approve("approve", true, "the quickstart said yes").await?);
    }
    let command = show.place.command();
    show.stage.say(&format!("   or in another terminal: {command} approve {} approve", run.id()));
    let seen = show
        .watch(run, "press y to approve, n to reject", |seen| {
            matches!(seen.key, Some('y' | 'n')) || seen.status != Status::Waiting
        })
        .await?;
    match seen.key {
        Some('n') => Err("you said no, and so nothing was released".into()),
        Some(_) if seen.status == Status::Waiting => Ok(run.approve("approve", true, "looks good").await?),
        _ => Ok(()),
    }
}

/// The first release: there is nothing to compare it with.
async fn first(show: &mut Show) -> Result<(), Failed> {
    show.stage.act(1, "Orders 1.0.0 is built, scanned, shown, approved, and released. Nothing runs yet, so it gets all traffic.");
    let run = show.release("1.0.0", 0, "0001").await?;
    approve(show, &run, true).await?;
    succeeded(show, &run).await
}

async fn succeeded(show: &mut Show, run: &Run<Live>) -> Result<(), Failed> {
    match show.settled(run).await? {
        Settled::Succeeded(live) => {
            show.stage.say(&format!("   {} {} is live in {}", live.service, live.version, live.environment));
            Ok(())
        }
        other => Err(format!("the release did not succeed: {}", how_it_ended(&other)).into()),
    }
}

/// A good release, with customers, and a knife.
async fn good(show: &mut Show, told: &mut Told) -> Result<(), Failed> {
    show.stage.act(2, "1.1.0 wants a wider table: the migration only adds. 10, 50, 100 % of the traffic; each is compared with 1.0.0.");
    let run = show.release("1.1.0", 0, "0002").await?;
    approve(show, &run, true).await?;
    let asks = show.asks;
    let keys = if asks { "press k to kill -9 the engine now" } else { "" };
    let mut lowest = None;
    let struck = show
        .watch(&run, keys, |seen| {
            let weight = seen.routes.as_ref().map_or(0, |routes| routes.weight("1.1.0"));
            lowest = Some(weight);
            if asks { seen.key == Some('k') || seen.status == Status::Settled } else { weight == 50 }
        })
        .await?;
    if struck.status != Status::Settled {
        told.resumed_after_kill = crash(show, &run, lowest.unwrap_or(0)).await?;
    }
    succeeded(show, &run).await?;
    show.say_counts().await
}

/// The engine is killed in the middle of it, and another one goes on. Says whether the weight stayed.
async fn crash(show: &mut Show, run: &Run<Live>, weight: u8) -> Result<bool, Failed> {
    show.kill_worker()?;
    show.stage.act(3, &format!("kill -9, at {weight} %: the move was sent, and its answer never came. The traffic goes on without an engine."));
    let (until, mut lowest) = (Instant::now() + Duration::from_secs(1), 100);
    let mut see = |routes: Option<&towpath::provider::Routes>| {
        lowest = lowest.min(routes.map_or(0, |routes| routes.weight("1.1.0")));
    };
    show.watch(run, "nobody drives it", |seen| {
        see(seen.routes.as_ref());
        Instant::now() > until
    })
    .await?;
    let before = run.row().await?;
    let heard = show.engine.store().head(before.no).await?.seq;
    show.start_worker()?;
    show.stage.say("   another engine is started: it gives what may still be on its way five seconds, and asks the world before anything else:");
    show.watch(run, "", |seen| {
        see(seen.routes.as_ref());
        seen.status == Status::Settled || seen.status == Status::Stuck
    })
    .await?;
    let (mut events, mut settled) = (run.events(), false);
    while let Some(update) = events.next().await {
        let Update::Event { seq, event, .. } = update? else { continue };
        if seq <= heard {
            continue;
        }
        match *event {
            Event::StepInDoubt(e) => {
                show.stage.say(&format!("   {seq}: {} is in doubt: {}", e.step, e.ended))
            }
            Event::StepObserved(e) => {
                settled = true;
                show.stage
                    .say(&format!("   {seq}: {} was asked whether it took effect: {:?}", e.step, e.answer));
            }
            _ => {}
        }
    }
    show.stage.say(&format!("   the weight of 1.1.0 was never below {lowest} % meanwhile"));
    Ok(settled && lowest >= weight)
}

/// A bad release: it is found out, and undone.
async fn bad(show: &mut Show, told: &mut Told) -> Result<(), Failed> {
    show.stage.act(4, "1.2.0 gets one request in five wrong. The canary is compared with 1.1.0, fails, and the run undoes what it did.");
    let run = show.release("1.2.0", 200, "0002").await?;
    approve(show, &run, false).await?;
    let why = match show.settled(&run).await? {
        Settled::Compensated(why) => why,
        other => return Err(format!("a bad release was not undone: {}", how_it_ended(&other)).into()),
    };
    let tally = show.tally();
    let of = tally.versions.get("1.2.0").cloned().unwrap_or_default();
    let (Some(first), Some(last)) = (of.first_error, of.last) else {
        return Err("nobody met the bad release".into());
    };
    told.rollback_ms = last.duration_since(first).as_millis();
    show.stage.say(&format!("   {why}"));
    show.stage.say(&format!(
        "   {} of its {} answers were errors; {} ms after the first of them the traffic was back, and its processes are gone",
        of.errors, of.answers, told.rollback_ms
    ));
    show.say_counts().await
}

/// Somebody moves the weight by hand: the run yields.
async fn human(show: &mut Show, told: &mut Told) -> Result<(), Failed> {
    show.stage.act(5, "1.3.0 is good. At 10 % somebody moves the weight to 30 % by hand: the run does not fight, it yields and says so.");
    let run = show.release("1.3.0", 0, "0002").await?;
    approve(show, &run, false).await?;
    show.watch(&run, "", |seen| seen.routes.as_ref().is_some_and(|routes| routes.weight("1.3.0") == 10))
        .await?;
    let by_hand = BTreeMap::from([("1.3.0".to_owned(), 30)]);
    show.local.move_by_hand("orders", &by_hand, "you").await?;
    show.watch(&run, "", |seen| matches!(seen.status, Status::Stuck | Status::Settled)).await?;
    show.stage.say(&format!("   {}", run.explain().await?.to_string().trim_end().replace('\n', "\n   ")));
    let routes = show.local.routes("orders").await?;
    told.yielded_to_human = run.row().await?.listing.status == Status::Stuck
        && routes.is_some_and(|routes| routes.weight("1.3.0") == 30);
    show.stage.say("   it is handed back, and goes on from 30 %:");
    run.verb(Verb::Handback { step: None }, "it was only a look").await?;
    show.watch(&run, "", |seen| !matches!(seen.status, Status::Stuck)).await?;
    succeeded(show, &run).await
}

/// What is live, and back to what was there before.
async fn back(show: &mut Show) -> Result<(), Failed> {
    show.stage
        .act(6, "What is live where, and back to the version before: `towpath live`, `towpath rollback`.");
    towpath(show, &["live", "--history"])?;
    towpath(show, &["rollback", "orders", "--environment", "production", "--yes"])?;
    towpath(show, &["live"])
}

/// Runs the command on this journal, and shows what it says.
fn towpath(show: &mut Show, arguments: &[&str]) -> Result<(), Failed> {
    show.stage.say(&format!("   $ towpath {}", arguments.join(" ")));
    let store = format!("sqlite:{}", show.place.journal());
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["towpath", "--store", &store]).args(arguments).output()?;
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        show.stage.say(&format!("   {line}"));
    }
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()).into())
}
