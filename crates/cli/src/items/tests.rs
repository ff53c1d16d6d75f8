use crate::fixture::World;
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
