use crate::fixture::World;
use towpath::{
    engine::Engine,
    model::{Message, RunId, Status, Verb},
    prelude::*,
};

/// Rests for an operator the first time, and gives its fencing number back after that.
#[step("demo.release/v1", idempotent)]
async fn release(cx: &StepContext, fails: bool) -> Result<u64, StepError> {
    if fails && cx.attempt().0 == 1 {
        return Err(StepError::needs_operator("half of it is there"));
    }
    cx.fencing("production")
}

fn plan(fails: bool) -> towpath::Plan<u64> {
    let p = Pipeline::new("shop");
    let released = p.holding("production", |p| p.step("release", release::of(fails)));
    p.output(&released).build().unwrap().plan().unwrap()
}

async fn engine(world: &World) -> Engine {
    let engine = Engine::builder(world.store.clone()).clock(world.clock.clone()).steps(steps![release]);
    engine.start().await.unwrap()
}

/// Returns when a run stands so.
async fn stands(world: &World, run: RunId, status: Status) {
    loop {
        let changed = world.store.changed();
        if world.store.find(run).await.unwrap().unwrap().listing.status == status {
            return;
        }
        changed.await;
    }
}

#[tokio::test]
async fn locks_are_listed_explained_and_released() {
    let world = World::new().await;
    assert_eq!(world.ok("locks").await, "no run holds a lock\n");
    let engine = engine(&world).await;
    let first = engine.run(plan(true), "first").await.unwrap().id();
    stands(&world, first, Status::Stuck).await;
    let second = engine.run(plan(false), "second").await.unwrap();
    stands(&world, second.id(), Status::Waiting).await;

    let listed = world.ok("locks").await;
    assert!(
        listed.starts_with("LOCK") && listed.contains("production") && listed.contains("stuck"),
        "{listed}"
    );
    let json = world.ok("locks --json").await;
    assert!(json.contains(&format!("\"holder\":\"{first}\"")), "{json}");
    assert!(json.contains(&format!("\"waiting\":[{{\"run\":\"{}\"", second.id())), "{json}");
    let why = world.ok("explain second").await;
    for part in [
        "waits for the lock production".to_owned(),
        format!("production is held by run {first} of shop"),
        "which is stuck (an operator has to decide about release), and keeps it until an operator decides"
            .into(),
        format!("explain {first}"),
        "lock release production --force --reason TEXT".into(),
    ] {
        assert!(why.contains(&part), "{part}: {why}");
    }
    let told = engine.explain(second.id()).await.unwrap().to_string();
    assert!(told.contains(&format!("production is held by run {first} of shop")), "{told}");

    let (code, _, refused) = world.run("lock release production --reason x").await;
    assert!(code != 0 && refused.contains("--force"), "{refused}");
    let (code, _, refused) = world.run("lock release staging --force --reason x").await;
    assert!(code != 0 && refused.contains("nobody holds the lock staging; held are production"), "{refused}");
    let released = world.ok("lock release production --force --reason checked").await;
    assert_eq!(released, "lock release production accepted\n");
    match second.settled().await.unwrap() {
        towpath::engine::Settled::Succeeded(fence) => assert_eq!(fence, 2),
        other => panic!("{other:?}"),
    }

    // Who goes on takes it again first.
    let retry = Message::Verb {
        verb: Verb::Retry { step: None, new_key: false, from_scratch: false },
        reason: String::new(),
    };
    engine.send(first, &retry, None).await.unwrap();
    stands(&world, first, Status::Settled).await;
    assert_eq!(world.store.locks().await.unwrap(), []);
    let journal = world.ok("journal first").await;
    for part in
        ["production (fencing number 1)", "lock release production by", "production (fencing number 3)"]
    {
        assert!(journal.contains(part), "{part}: {journal}");
    }
    engine.shutdown().await.unwrap();
}
