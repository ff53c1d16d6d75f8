use crate::{App, Ready, app::run_on};
use std::{sync::Arc, time::Duration};
use towpath::{
    engine::Builder,
    prelude::*,
    store::{Clock, ManualClock, MemoryStore, Store},
};

#[step("schedule.nothing/v1", no_effect)]
async fn nothing(_cx: &StepContext, region: String) -> Result<String, StepError> {
    Ok(region)
}

/// A store whose clock the command goes by as well.
fn scene() -> (Arc<ManualClock>, Arc<dyn Store>) {
    let clock = Arc::new(ManualClock::default());
    (clock.clone(), Arc::new(MemoryStore::new(clock)))
}

async fn run(clock: &Arc<ManualClock>, store: &Arc<dyn Store>, args: &str) -> (u8, String, String) {
    let clock = clock.clone();
    let setup = move |engine: Builder| -> Ready {
        let nightly = Pipeline::new("nightly");
        nightly.step("nothing", nothing::of(&nightly.param("region")));
        Ok(engine.clock(clock).steps(steps![nothing]).pipelines([nightly.build()?]))
    };
    run_on(App::new(setup).on(store.clone()), args).await
}

#[tokio::test]
async fn a_schedule_is_set_listed_driven_paused_and_removed() {
    let (clock, store) = scene();
    let ok = async |args: &str| {
        let (code, out, err) = run(&clock, &store, args).await;
        assert_eq!(code, 0, "{args}: {out}{err}");
        out
    };
    assert_eq!(ok("schedules").await, "there is no schedule\n");
    let begin = clock.now();
    let set = "schedule set nights nightly @hourly --param region=eu --zone Europe/Berlin --reason agreed --as user:anna";
    assert!(ok(set).await.starts_with("nights: set; its next tick is "));
    assert!(ok("schedules").await.contains("@hourly Europe/Berlin"));

    clock.advance(Duration::from_secs(3_600));
    let (code, out, err) = run(&clock, &store, "tick").await;
    assert_eq!(code, 0, "{out}{err}");
    let listed = ok("runs --label schedule=nights").await;
    assert!(listed.contains("nights@") && listed.contains("succeeded"), "{listed}");
    let json = ok("schedules --json").await;
    assert!(json.contains("\"last_run\":\"0") && json.contains("\"params\":{\"region\":\"eu\"}"), "{json}");

    ok("schedule pause nights --reason stocktaking --as user:bob").await;
    assert!(ok("schedules").await.contains("paused by user:bob: stocktaking"));
    clock.advance(Duration::from_secs(3_600));
    run(&clock, &store, "tick").await;
    assert!(ok("schedules").await.contains("was left out: the schedule is paused"));
    ok("schedule resume nights --reason counted").await;
    let from = begin.to_string();
    let missed = ok(&format!("schedule backfill nights --from {from} --reason needed")).await;
    assert!(missed.contains("to be made up for, where there is no run yet"), "{missed}");
    ok("schedule remove nights --reason over").await;
    assert_eq!(ok("schedules").await, "there is no schedule\n");
}

#[tokio::test]
async fn what_is_wrong_with_a_schedule_is_said() {
    let (clock, store) = scene();
    let (code, _, err) =
        run(&clock, &store, "schedule set nights nightly often --zone Mars --reason x").await;
    assert_eq!(code, 1);
    for part in
        ["\"often\" is no cron expression", "five fields", "\"Mars\" is no time zone", "Europe/Berlin"]
    {
        assert!(err.contains(part), "{err}");
    }
    let (code, _, err) = run(&clock, &store, "schedule pause nights --reason x").await;
    assert_eq!((code, err.contains("nothing has that name, schedule: nights")), (1, true), "{err}");
    let (code, _, err) = run(&clock, &store, "schedule backfill nights --from yesterday --reason x").await;
    assert_eq!((code, err.contains("want one with its zone")), (2, true), "{err}");
}
