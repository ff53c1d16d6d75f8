use crate::{
    cx::Spelling,
    fault::exit,
    find,
    fixture::World,
    out::Paint,
    screen::Size,
    watch::{Watched, frame},
};
use towpath::{
    Draft,
    engine::Engine,
    model::Status,
    prelude::*,
    store::{Filter, Level, Page, RunRow},
};

#[step("demo.apply/v1", no_effect)]
async fn apply(_cx: &StepContext, region: String) -> Result<String, StepError> {
    if region == "us" { Err(StepError::needs_operator("who owns us?")) } else { Ok(region) }
}

/// The runs that are items, until each of them is over or stuck.
async fn rested(world: &World, of: towpath::model::RunId) -> Vec<RunRow> {
    let filter = Filter { level: Level::ItemsOf(of), ..Filter::default() };
    loop {
        let changed = world.store.changed();
        let rows = world.store.list(&filter, Page { after: None, limit: 10 }).await.unwrap();
        let rests = |row: &RunRow| matches!(row.listing.status, Status::Settled | Status::Stuck);
        if rows.len() == 2 && rows.iter().all(rests) {
            return rows;
        }
        changed.await;
    }
}

#[tokio::test]
async fn items_are_listed_shown_and_explained_with_their_parent() {
    let world = World::new().await;
    let engine = Engine::builder(world.store.clone()).clock(world.clock.clone()).steps(steps![apply]);
    let engine = engine.start().await.unwrap();
    let p = Pipeline::new("deploy");
    let list = p.param::<Vec<String>>("regions");
    let each = |p: &Draft, region: &Handle<String>| p.step("apply", apply::of(region));
    p.for_each("regions", &list, |region| region, each);
    let plan = p.build().unwrap().with(params! { regions: vec!["eu".to_owned(), "us".to_owned()] }).unwrap();
    let run = engine.run(plan, "k").await.unwrap().id();
    let rows = rested(&world, run).await;
    engine.shutdown().await.unwrap();
    let of = |status| rows.iter().find(|row| row.listing.status == status).unwrap().run;
    let (eu, us) = (of(Status::Settled), of(Status::Stuck));

    let shown = world.ok("show k").await;
    for line in [
        "1 of 2 items done, 1 under way".to_owned(),
        format!("[eu] succeeded, run {eu}"),
        format!("[us] stuck, run {us}"),
    ] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    let shown = world.ok(&format!("show {us}")).await;
    assert!(shown.contains(&format!("parent     run {run}, regions[us]")), "{shown}");
    let json = world.ok("show k --json").await;
    assert!(json.contains(&format!("{us}")) && json.contains("\"items\""), "{json}");

    let lines = async |args: &str| world.ok(args).await.lines().count() - 1;
    assert_eq!((lines("runs").await, lines("runs --all").await, lines("runs --of k").await), (1, 3, 2));

    let why = world.ok("explain k").await;
    assert!(why.contains("regions[us]/apply rests: who owns us?"), "{why}");
    assert!(why.contains(&format!("towpath retry {us}")), "{why}");
    assert!(world.ok("journal k").await.contains("sub-runs-started"));
    world.ok("verify k").await;
}

/// Deploys to one region: some need an operator, some wait for somebody, and some say no.
#[step("demo.region/v1", no_effect)]
async fn region(cx: &StepContext, name: String) -> Result<String, StepError> {
    match name.as_str() {
        "r03" => Err(StepError::needs_operator("who owns r03?")),
        "r05" | "r06" => cx.signal("go").await,
        _ => Ok(name),
    }
}

/// A run with thirty items, three of which do not move.
async fn thirty(world: &World) -> (Engine, towpath::model::RunId) {
    let engine = Engine::builder(world.store.clone()).clock(world.clock.clone()).steps(steps![region]);
    let engine = engine.park_after(std::time::Duration::ZERO).start().await.unwrap();
    let p = Pipeline::new("one");
    let name = p.param::<String>("name");
    let done = p.step("apply", region::of(&name));
    let one = p.output(&done).build().unwrap();
    let p = Pipeline::new("deploy");
    let list = p.param::<Vec<String>>("names");
    let each = |p: &Draft, name: &Handle<String>| p.sub("rollout", &one, params! { name: name });
    p.for_each("regions", &list, |name| name, each).parallel(4);
    let names: Vec<String> = (0..30).map(|n| format!("r{n:02}")).collect();
    let plan = p.build().unwrap().with(params! { names }).unwrap();
    let run = engine.run(plan, "k").await.unwrap().id();
    let filter = |status| Filter { level: Level::ItemsOf(run), status, ..Filter::default() };
    loop {
        let changed = world.store.changed();
        let rows =
            async |status| world.store.list(&filter(status), Page { after: None, limit: 100 }).await.unwrap();
        let settled = rows(vec![Status::Settled]).await.len();
        let still = rows(vec![Status::Stuck, Status::Waiting]).await;
        if settled == 27 && still.len() == 3 && still.iter().all(|row| row.owner.is_none()) {
            return (engine, run);
        }
        changed.await;
    }
}

/// The item with this key, as a run.
async fn item(world: &World, of: towpath::model::RunId, key: &str) -> String {
    let filter = Filter { level: Level::ItemsOf(of), ..Filter::default() };
    for row in world.store.list(&filter, Page { after: None, limit: 100 }).await.unwrap() {
        if world.ok(&format!("show {}", row.run)).await.contains(&format!("regions[{key}]")) {
            return row.run.to_string();
        }
    }
    panic!("there is no item {key}")
}

#[tokio::test]
async fn items_are_watched_by_their_keys_and_the_others_counted() {
    let world = World::new().await;
    let (engine, run) = thirty(&world).await;
    let row = find::run(&*world.store, "k").await.unwrap();
    let mut watched = Watched::new(&*world.store, row).await.unwrap();
    let mut look = async || {
        watched.look(&*world.store, &mut |_, _, _| {}).await.unwrap();
        let size = Size { width: 120, height: 24 };
        frame(watched.shown(), &Spelling::plain("towpath"), Paint::none(), size).join("\n")
    };
    let (r03, r05) = (item(&world, run, "r03").await, item(&world, run, "r05").await);
    let picture = format!(
        "\
deploy k running  0 ms
└─ ▸ regions  items  ━━━━━━━━━━━━━━╌╌ 27 of 30 items done, 3 under way
        ! [r03] stuck 0 ms: rollout/apply resting 0 ms: who owns r03?
        ◦ [r05] waiting 0 ms: rollout/apply parked 0 ms, at go for the signal go
        ◦ [r06] waiting 0 ms: rollout/apply parked 0 ms, at go for the signal go
        and 27 done

regions[r03]/rollout/apply rests: who owns r03? (0 ms)
  towpath retry {r03} --step rollout/apply  to try again
  towpath skip {r03} --step rollout/apply   to go on without it
regions[r05]/rollout/apply waits for the signal go (0 ms)
  towpath signal {r05} go JSON --step rollout/apply
and 1 more: towpath explain {run}
nobody drives it now: nothing is due until something comes to its inbox"
    );
    assert_eq!(look().await, picture);
    assert_eq!(look().await, picture, "it is read on, and not twice");

    // Two are answered: what is left needs an operator, and so nobody goes on watching.
    for key in ["r05", "r06"] {
        world.run(&format!("signal {} go \"{key}\" --wait 0", item(&world, run, key).await)).await;
    }
    let (code, lines, _) = world.run("watch k").await;
    engine.shutdown().await.unwrap();
    assert_eq!(code, exit::STUCK, "{lines}");
    let needs = format!(
        "needs regions[r03]/rollout/apply rests: who owns r03?: `towpath retry {r03} --step rollout/apply`"
    );
    assert!(lines.contains(&needs), "{lines}");
    assert!(lines.contains("sub-run-settled regions [r05] run "), "{lines}");
}
