//! Schedules: one run for each tick, whoever looks and whoever dies.

use crate::common::*;
use towpath_engine::{Builder, Engine, EngineErrorKind, Freeze, Missed, Overlap, Schedule, Schedules, Until};
use towpath_model::{Actor, Name, Status};
use towpath_step::{Pipeline, PlanErrors};
use towpath_store::{Clock, Filter, NoteVersion, Page, RunRow, Store, StoreErrorKind};
use towpath_testkit::{Call, Fault, FaultStore, Side};

/// The time at which scenes begin is a midnight.
fn nightly() -> Result<Pipeline<String>, PlanErrors> {
    let p = Pipeline::new("nightly");
    let backup = p.step("backup", Idem::new("backup"));
    p.output(&backup).build()
}

fn ticking(builder: Builder) -> Builder {
    builder.pipelines([nightly().unwrap()])
}

async fn engine(scene: &Scene) -> Engine {
    ticking(scene.builder()).start().await.unwrap()
}

fn often() -> Schedule {
    Schedule::cron("often", "nightly", "*/10 * * * *")
}

/// Keys of the runs of schedules, oldest first.
async fn keys(scene: &Scene) -> Vec<String> {
    rows(scene).await.iter().map(|row| row.key.to_string()).collect()
}

async fn rows(scene: &Scene) -> Vec<RunRow> {
    let page = Page { after: None, limit: 1_000 };
    let mut rows = scene.memory.list(&Filter::default(), page).await.unwrap();
    rows.reverse();
    rows
}

async fn wait(seconds: u64) {
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_tick_starts_one_run_however_many_engines_look() {
    let scene = Scene::new();
    let here = engine(&scene).await;
    let there = ticking(scene.builder_on(scene.other_process())).start().await.unwrap();
    here.schedules().set(&often().label("service", "shop"), "as agreed").await.unwrap();
    wait(3 * 600 + 30).await;
    assert_eq!(
        keys(&scene).await,
        ["often@2030-01-01T00:10:00Z", "often@2030-01-01T00:20:00Z", "often@2030-01-01T00:30:00Z"]
    );
    for row in rows(&scene).await {
        assert_eq!(row.listing.status, Status::Settled);
        let label =
            |name: &str| row.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
        assert_eq!((label("service"), label("schedule")), (Some("shop"), Some("often")));
        assert_eq!(format!("often@{}", label("tick").unwrap()), row.key.as_str());
    }
    let [row] = &there.schedules().list().await.unwrap()[..] else { panic!("there is one") };
    assert_eq!(row.last.as_ref().unwrap().run, rows(&scene).await[2].run);
    assert_eq!(row.next.unwrap().to_string(), "2030-01-01T00:40:00.000000Z");
    assert_eq!((row.acts.len(), row.acts[0].reason.as_str()), (1, "as agreed"));
}

#[tokio::test(start_paused = true)]
async fn setting_what_is_set_changes_nothing_and_a_change_counts_from_its_next_tick() {
    let scene = Scene::new();
    let engine = engine(&scene).await;
    for _ in 0..3 {
        engine.schedules().set(&often(), "").await.unwrap();
    }
    wait(600 + 30).await;
    // By the new expression there would have been a tick at 00:05.
    engine.schedules().set(&Schedule::cron("often", "nightly", "5-55/10 * * * *"), "later").await.unwrap();
    wait(5 * 60).await;
    assert_eq!(keys(&scene).await, ["often@2030-01-01T00:10:00Z", "often@2030-01-01T00:15:00Z"]);
    let acts: Vec<String> =
        engine.schedules().list().await.unwrap()[0].acts.iter().map(|act| act.reason.clone()).collect();
    assert_eq!(acts, ["", "later"]);
}

#[tokio::test(start_paused = true)]
async fn no_crash_between_a_tick_and_its_run_loses_it_or_makes_it_two() {
    // Every write that a tick makes goes wrong once, before and after: the decision, the start, and the record of it.
    let mut struck = 0;
    for side in [Side::Before, Side::After] {
        for nth in 1..=3 {
            let scene = Scene::new();
            let store = FaultStore::new(scene.other_process());
            let first = ticking(scene.builder_on(store.clone())).start().await.unwrap();
            first.schedules().set(&often().overlap(Overlap::Allow), "").await.unwrap();
            let writes = |call: Call<'_>| matches!(call, Call::Note(_) | Call::Start(_));
            store.strike(side, nth, writes, Fault::Late(secs(10 * 600)));
            wait(600 + 5).await;
            assert_eq!(store.fired(), 1, "write {nth} of a tick, {side}");
            struck += 1;
            // It hangs there for ever, as good as dead; another one looks.
            let second = ticking(scene.builder_on(scene.other_process())).start().await.unwrap();
            wait(90).await;
            assert_eq!(keys(&scene).await, ["often@2030-01-01T00:10:00Z"], "write {nth}, {side}");
            wait(600).await;
            assert_eq!(keys(&scene).await.len(), 2, "write {nth}, {side}");
            assert_eq!(second.schedules().list().await.unwrap()[0].due, []);
            // And the first one comes back to life.
            wait(11 * 600).await;
            let all = keys(&scene).await;
            let once: std::collections::BTreeSet<&String> = all.iter().collect();
            assert_eq!((all.len(), once.len()), (13, 13), "write {nth}, {side}: {all:?}");
        }
    }
    assert_eq!(struck, 6);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_costs_no_tick() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.other_process());
    let engine = ticking(scene.builder_on(store.clone())).start().await.unwrap();
    engine.schedules().set(&often(), "").await.unwrap();
    wait(590).await;
    let is_written = |call: Call<'_>| matches!(call, Call::Note(_) | Call::Start(_));
    store.hook(move |side, call| {
        (is_written(call) && side == Side::After).then_some(Fault::Error(StoreErrorKind::Unavailable))
    });
    wait(40).await;
    assert!(store.fired() > 3, "{} writes failed", store.fired());
    store.hook(|_, _| None);
    wait(60).await;
    assert_eq!(keys(&scene).await, ["often@2030-01-01T00:10:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_while_the_run_of_an_earlier_one_goes_on_is_left_out_waits_or_starts_beside_it() {
    for (overlap, while_it_goes_on, after) in
        [(Overlap::Skip, 1, 2), (Overlap::Queue, 1, 4), (Overlap::Allow, 3, 4)]
    {
        let scene = Scene::new();
        scene.world.run("backup", |cx, n| {
            Box::pin(async move {
                if n == 1 {
                    cx.signal::<()>("go").await?;
                }
                Ok("done".into())
            })
        });
        let engine = engine(&scene).await;
        engine.schedules().set(&often().overlap(overlap), "").await.unwrap();
        wait(3 * 600 + 30).await;
        assert_eq!(keys(&scene).await.len(), while_it_goes_on, "{overlap:?}");
        let row = engine.schedules().list().await.unwrap().remove(0);
        match overlap {
            Overlap::Skip => assert_eq!(row.skipped.unwrap().why, "the run of an earlier tick goes on"),
            Overlap::Queue => assert_eq!(row.due.len(), 2),
            Overlap::Allow => assert_eq!((row.due.len(), row.skipped), (0, None)),
        }
        let first = engine.attach::<String>(rows(&scene).await[0].run).await.unwrap();
        first.signal("go", &()).await.unwrap();
        wait(600).await;
        let all = keys(&scene).await;
        assert_eq!(all.len(), after, "{overlap:?}: {all:?}");
        assert_eq!(all.last().unwrap(), "often@2030-01-01T00:40:00Z");
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_that_nobody_was_there_for_are_made_up_for_as_was_said() {
    for (missed, expected) in [(Missed::Latest, 1), (Missed::All, 5), (Missed::Skip, 0)] {
        let scene = Scene::new();
        let schedule = often().missed(missed).overlap(Overlap::Queue);
        Schedules::of(&*scene.memory, Actor::engine()).set(&schedule, "").await.unwrap();
        wait(5 * 600 + 300).await;
        let engine = engine(&scene).await;
        wait(60).await;
        assert_eq!(keys(&scene).await.len(), expected, "{missed:?}");
        drop(engine);
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_schedule_does_not_tick_and_a_removed_one_is_gone() {
    let scene = Scene::new();
    let engine = engine(&scene).await;
    let schedules = engine.schedules();
    schedules.set(&often(), "").await.unwrap();
    schedules.pause("often", "stocktaking").await.unwrap();
    wait(2 * 600 + 60).await;
    assert_eq!((keys(&scene).await.len(), schedules.list().await.unwrap()[0].next), (0, None));
    schedules.resume("often", "counted").await.unwrap();
    wait(60).await;
    assert_eq!(keys(&scene).await.len(), 0, "what passed is over");
    wait(600).await;
    assert_eq!(keys(&scene).await, ["often@2030-01-01T00:30:00Z"]);
    schedules.remove("often", "no more").await.unwrap();
    wait(2 * 600).await;
    assert_eq!((keys(&scene).await.len(), schedules.list().await.unwrap()), (1, vec![]));
    let unknown = schedules.pause("often", "").await.unwrap_err();
    assert_eq!(*unknown.kind(), EngineErrorKind::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_backfill_starts_what_has_no_run_yet() {
    let scene = Scene::new();
    let engine = engine(&scene).await;
    let schedules = engine.schedules();
    let begin = scene.clock.now();
    schedules.set(&often(), "").await.unwrap();
    wait(600 + 30).await;
    schedules.pause("often", "").await.unwrap();
    wait(2 * 600).await;
    let n = schedules.backfill("often", begin, scene.clock.now(), "they are needed").await.unwrap();
    assert_eq!(n, 4, "00:00 to 00:30");
    wait(60).await;
    let mut all = keys(&scene).await;
    all.sort();
    let ten = |n: u32| format!("often@2030-01-01T00:{n}0:00Z");
    assert_eq!(all, [ten(0), ten(1), ten(2), ten(3)], "the one that ran is not run again");
    let later =
        schedules.backfill("often", begin, scene.clock.now().plus(secs(9_999)), "").await.unwrap_err();
    assert!(later.to_string().contains("what is to come"), "{later}");
    let none = schedules.backfill("often", begin.plus(secs(1)), begin.plus(secs(2)), "").await.unwrap_err();
    assert!(none.to_string().contains("there is no tick from"), "{none}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_tick_is_left_out_unless_it_may_wait() {
    for (overlap, after) in [(Overlap::Skip, 0), (Overlap::Queue, 1)] {
        let scene = Scene::new();
        let engine = engine(&scene).await;
        engine.schedules().set(&often().overlap(overlap), "").await.unwrap();
        engine.freeze(Freeze::all("stop", "burning").unwrap()).await.unwrap();
        wait(600 + 60).await;
        assert_eq!(keys(&scene).await.len(), 0);
        let row = engine.schedules().list().await.unwrap().remove(0);
        let why = row.skipped.map(|skipped| skipped.why).or(row.trouble).unwrap();
        assert!(why.contains("burning"), "{why}");
        engine.thaw("stop", "").await.unwrap();
        wait(60).await;
        assert_eq!(keys(&scene).await.len(), after, "{overlap:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_cannot_be_started_says_why_and_starts_when_it_can() {
    let scene = Scene::new();
    let engine = engine(&scene).await;
    engine.schedules().set(&often().param("depth", &3), "").await.unwrap();
    wait(600 + 60).await;
    let row = engine.schedules().list().await.unwrap().remove(0);
    assert!(row.trouble.as_deref().unwrap().contains("\"depth\" is not a parameter"), "{row:?}");
    engine.schedules().set(&often(), "without").await.unwrap();
    wait(60).await;
    assert_eq!(keys(&scene).await, ["often@2030-01-01T00:10:00Z"]);
    assert_eq!(engine.schedules().list().await.unwrap()[0].trouble, None);
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_a_background_ticks_when_it_is_driven() {
    let scene = Scene::new();
    let engine = ticking(scene.builder()).background(false).start().await.unwrap();
    engine.schedules().set(&often(), "").await.unwrap();
    let report = engine.drive(Until::Parked, None).await.unwrap();
    assert_eq!(report.next_wake.unwrap().to_string(), "2030-01-01T00:10:00.000000Z");
    wait(600 + 60).await;
    assert_eq!(keys(&scene).await.len(), 0, "nobody drives it");
    let report = engine.drive(Until::Parked, None).await.unwrap();
    assert_eq!((report.settled, report.succeeded), (1, 1));
    assert_eq!(keys(&scene).await, ["often@2030-01-01T00:10:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_may_be_told_the_tick() {
    let scene = Scene::new();
    let p = Pipeline::new("nightly");
    let tick = p.param::<String>("tick");
    p.step("backup", Idem::new("backup"));
    let told = p.output(&tick).build().unwrap();
    let engine = scene.builder().pipelines([told]).start().await.unwrap();
    engine.schedules().set(&often(), "").await.unwrap();
    wait(600 + 60).await;
    let run = engine.attach::<String>(rows(&scene).await[0].run).await.unwrap();
    assert_eq!(run.settled().await.unwrap().succeeded().unwrap(), "2030-01-01T00:10:00Z");
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_wrong_with_a_schedule_is_said_at_once() {
    let scene = Scene::new();
    let engine = engine(&scene).await;
    let wrong = Schedule::cron("Every Night", "", "25 3 * *").zone("Mars/Olympus");
    let error = engine.schedules().set(&wrong, "").await.unwrap_err();
    assert_eq!(error.problems().len(), 4, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_be_read_holds_up_no_other() {
    let scene = Scene::new();
    let engine = engine(&scene).await;
    engine.schedules().set(&often(), "").await.unwrap();
    let name = |word| Name::new(word).unwrap();
    let newer = NoteVersion { kind: name("schedule"), name: name("a-newer-one"), version: 0 };
    assert!(scene.memory.write_note(&newer, "{\"format\":2,\"moon\":\"full\"}").await.unwrap());
    wait(600 + 60).await;
    assert_eq!(keys(&scene).await, ["often@2030-01-01T00:10:00Z"]);
    let error = engine.schedules().list().await.unwrap_err();
    assert!(
        error.to_string().contains("a-newer-one") && error.to_string().contains("newer release"),
        "{error}"
    );
}
