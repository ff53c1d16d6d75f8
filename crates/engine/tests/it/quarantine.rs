//! Runs that cannot be folded, and runs that this engine cannot drive.

use crate::common::*;
use towpath_engine::{EngineErrorKind, Settled};
use towpath_model::{
    Actor, Chain, Event, EventKind, Header, Json, Message, Name, NewEntry, RunId, Status, StoredEvent, Verb,
};
use towpath_step::{Pipeline, Plan, steps};
use towpath_store::{Claim, Store, Transition, Wake};

fn waits() -> Plan<String> {
    let p = Pipeline::new("waits");
    let a = p.step("a", Seen::new("a"));
    plan_of(p.output(&a).build())
}

fn retry() -> Verb {
    Verb::Retry { step: None, new_key: false, from_scratch: false }
}

/// A parked run with an event at its end that this release does not know.
async fn poisoned(scene: &Scene, kind: u16) -> RunId {
    scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    let engine = scene.engine().await;
    let run = engine.run(waits(), "k").await.unwrap();
    until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
    engine.shutdown().await.unwrap();
    append(scene, run.id(), kind).await;
    run.id()
}

/// Appends an event as some other release would.
pub(crate) async fn append(scene: &Scene, run: RunId, kind: u16) {
    let worker = towpath_model::WorkerId::new("newer").unwrap();
    scene.memory.register(&worker, secs(10)).await.unwrap();
    let no = scene.memory.find(run).await.unwrap().unwrap().no;
    let entry =
        NewEntry { dedupe_id: Name::new("poke").unwrap(), actor: Actor::engine(), message: json("{}") };
    scene.memory.put_entry(run, entry).await.unwrap();
    let claimed =
        scene.memory.claim(Claim { worker: worker.clone(), limit: 1, only: Some(run) }).await.unwrap();
    let entries = scene.memory.entries(no, 10).await.unwrap();
    let mut chain = Chain::new(run);
    for event in stored(&*scene.memory, no).await {
        chain.verify(&event).unwrap();
    }
    let (after, now) = (chain.seq(), scene.memory.now().await.unwrap());
    let sealed = chain.seal(kind, now, claimed[0].epoch, &Actor::engine(), b"{}".to_vec());
    let transition = Transition {
        events: vec![sealed.stored],
        wake: Wake::At(now),
        consumed: entries.iter().map(|e| e.id).collect(),
        release: true,
        ..Transition::new(no, claimed[0].epoch, after, chain.hash())
    };
    scene.memory.commit(vec![transition]).await.unwrap().remove(0).unwrap();
    scene.memory.retire(&worker).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn quarantine_of_an_unknown_event_is_listed_and_does_not_touch_others() {
    let scene = Scene::new();
    let run = poisoned(&scene, 999).await;
    let engine = scene.engine().await;
    until("it is set aside", async || scene.status(run).await == Status::Quarantined).await;
    let run = engine.attach::<String>(run).await.unwrap();
    let note = scene.row(&run).await.listing.note;
    assert!(note.contains("event kind 999 is unknown to this release"), "{note}");
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("an operator has to decide") };
    assert_eq!(why.verbs, ["retry", "abandon"]);
    scene.world.run("a", |_, _| Box::pin(async { Ok("x".into()) }));
    let other = engine.run(waits(), "other").await.unwrap();
    assert_eq!(other.settled().await.unwrap(), Settled::Succeeded("x".into()));
    assert_eq!(engine.health().await.quarantined, 1);
}

#[tokio::test(start_paused = true)]
async fn quarantine_is_retried_and_abandoned_by_verbs() {
    let scene = Scene::new();
    let run = poisoned(&scene, 999).await;
    let engine = scene.engine().await;
    until("it is set aside", async || scene.status(run).await == Status::Quarantined).await;
    let error = engine.verb(run, retry(), "perhaps").await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Refused);
    assert!(error.to_string().contains("event kind 999"), "{error}");
    assert_eq!(scene.status(run).await, Status::Quarantined);
    engine.verb(run, Verb::Abandon, "not worth it").await.unwrap();
    let run = engine.attach::<String>(run).await.unwrap();
    assert!(
        matches!(run.settled().await.unwrap(), Settled::Abandoned { reason, .. } if reason == "not worth it")
    );
    // The chain holds, over the event that nobody can read.
    let mut chain = Chain::new(run.id());
    for event in stored(&*scene.memory, scene.row(&run).await.no).await {
        chain.verify(&event).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn quarantine_of_an_event_that_is_not_what_its_kind_says() {
    let scene = Scene::new();
    let run = poisoned(&scene, EventKind::Overridden.code()).await;
    let no = scene.memory.find(run).await.unwrap().unwrap().no;
    let engine = scene.engine().await;
    until("it is set aside", async || scene.status(run).await == Status::Quarantined).await;
    assert!(
        scene.row(&engine.attach::<String>(run).await.unwrap()).await.listing.note.contains("overridden")
    );
    assert_eq!(events_known(&*scene.memory, no).await, 3);
}

async fn events_known(store: &dyn Store, no: towpath_model::RunNo) -> usize {
    let all: Vec<StoredEvent> = stored(store, no).await;
    let decode =
        |e: &StoredEvent| Event::decode(Header::decode(&e.header).unwrap().kind, e.payload.as_ref().unwrap());
    all.iter().filter(|e| decode(e).is_ok()).count()
}

#[test]
fn quarantine_of_a_run_that_kills_its_workers() {
    let scene = Scene::between_runtimes();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n <= 3 {
                std::future::pending::<()>().await;
            }
            Ok("x".into())
        })
    });
    let plan = || {
        let p = Pipeline::new("kills");
        let a = p.step("a", Idem::new("a"));
        plan_of(p.output(&a).build())
    };
    let run = scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(plan(), "k").await.unwrap();
        settle().await;
        run.id()
    });
    for _ in 0..2 {
        scene.process(async |b| {
            let _engine = b.start().await.unwrap();
            settle().await;
        });
    }
    assert_eq!(scene.world.times("run a"), 3);
    scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("it is set aside") };
        assert!(why.to_string().contains("3 workers in a row died"), "{why}");
        assert_eq!(scene.world.times("run a"), 3);
        // Somebody found out why.
        run.verb(retry(), "it was the memory").await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("x".into()));
    });
}

/// A run is woken, and its worker dies before it has written that; then a second one. Two are not three.
#[test]
fn quarantine_counts_the_workers_that_died_and_not_the_one_that_is_to_go_on() {
    for deaths in [2, 3] {
        let scene = Scene::between_runtimes();
        scene.world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
        let run = scene.process(async |b| {
            let engine = b.start().await.unwrap();
            let run = engine.run(waits(), "k").await.unwrap();
            until("it is parked", async || scene.row(&run).await.listing.status == Status::Waiting).await;
            engine.shutdown().await.unwrap();
            let name = Name::new("go").unwrap();
            let message = Message::Signal { name: name.clone(), step: None, value: json("\"x\"") };
            let message = Json::of(&message).unwrap();
            let entry = NewEntry { dedupe_id: name, actor: Actor::engine(), message };
            scene.memory.put_entry(run.id(), entry).await.unwrap();
            run.id()
        });
        for _ in 0..deaths {
            let store = FaultStore::new(scene.other_process());
            store.strike(Side::Before, 1, |call| matches!(call, Call::Commit(_)), Fault::Late(secs(3_600)));
            scene.process_on(store.clone(), async |b| {
                let _engine = b.start().await.unwrap();
                settle().await;
            });
            assert_eq!(store.fired(), 1, "it died before it had written anything");
        }
        scene.process(async |b| {
            let engine = b.start().await.unwrap();
            let settled = engine.attach::<String>(run).await.unwrap().settled().await.unwrap();
            match settled {
                Settled::Succeeded(x) => assert_eq!((x.as_str(), deaths), ("x", 2)),
                Settled::Stuck(why) => {
                    assert!(why.to_string().contains("3 workers in a row died"), "{why}");
                    assert_eq!(deaths, 3);
                }
                other => panic!("{other:?}"),
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn blocked_on_an_unknown_kind_waits_for_a_worker_that_knows_it() {
    let scene = Scene::new();
    let plan = || {
        let p = Pipeline::new("rare");
        let a = p.step("a", Idem::new("a"));
        let b = p.step("b", Rare::new("b").reading(&a));
        plan_of(p.output(&b).build())
    };
    let knows =
        scene.builder_on(scene.other_process()).steps(steps![Rare]).background(false).start().await.unwrap();
    let run = knows.run(plan(), "k").await.unwrap();
    let engine = scene.engine().await;
    until("it is blocked", async || scene.row(&run).await.listing.status == Status::Blocked).await;
    let row = scene.row(&run).await;
    assert!(
        row.listing.note.contains("step b: the kind test.rare/v1 is not known here"),
        "{}",
        row.listing.note
    );
    assert_eq!(row.owner, None);
    let before = scene.journal(&run).await;
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(600)).await;
    assert_eq!(scene.journal(&run).await, before, "waiting burns nothing");
    assert_eq!(scene.row(&run).await.listing.status, Status::Blocked);
    // Verbs work on it all the same.
    run.verb(Verb::Pause, "").await.unwrap();
    run.verb(Verb::Resume, "").await.unwrap();
    assert!(scene.world.said().is_empty());
    let worker = scene.builder_on(scene.other_process()).steps(steps![Rare]).start().await.unwrap();
    let seen = worker.attach::<String>(run.id()).await.unwrap();
    assert_eq!(seen.settled().await.unwrap(), Settled::Succeeded("b done".into()));
    drop(engine);
}

#[tokio::test(start_paused = true)]
async fn blocked_run_is_abandoned() {
    let scene = Scene::new();
    let p = Pipeline::new("rare");
    p.step("b", Rare::new("b"));
    let knows =
        scene.builder_on(scene.other_process()).steps(steps![Rare]).background(false).start().await.unwrap();
    let run = knows.run(plan_of(p.build()), "k").await.unwrap();
    let _engine = scene.engine().await;
    until("it is blocked", async || scene.row(&run).await.listing.status == Status::Blocked).await;
    run.verb(Verb::Abandon, "nobody knows it any more").await.unwrap();
    assert!(matches!(run.settled().await.unwrap(), Settled::Abandoned { .. }));
}

/// A run whose step is in doubt, whose next step has a kind that is not known here, and whose inbox is read in more than
/// one turn: it stays in memory for as long.
fn in_doubt_and_blocked(scene: &Scene) -> RunId {
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("x".into())
        })
    });
    scene.process(async |b| {
        let p = Pipeline::new("rare");
        let a = p.step("a", Seen::new("a"));
        let b_step = p.step("b", Rare::new("b").reading(&a));
        let engine = b.steps(steps![Rare]).start().await.unwrap();
        let run = engine.run(plan_of(p.output(&b_step).build()), "k").await.unwrap().id();
        until("its body runs", async || scene.world.times("run a") == 1).await;
        let signal = Message::Signal { name: Name::new("go").unwrap(), step: None, value: json("1") };
        for n in 0..ENTRIES_AT_ONCE {
            put(scene, run, &format!("signal {n}"), &signal).await;
        }
        run
    })
}

async fn put(scene: &Scene, run: RunId, dedupe_id: &str, message: &Message) {
    let (dedupe_id, message) = (Name::new(dedupe_id).unwrap(), Json::of(message).unwrap());
    let entry = NewEntry { dedupe_id, actor: Actor::engine(), message };
    scene.memory.put_entry(run, entry).await.unwrap();
}

/// Inbox entries that are folded in one turn.
const ENTRIES_AT_ONCE: usize = 256;

/// The first turn consumed what it may, and kept the run.
fn assert_it_read_on(commits: &[Transition]) {
    assert_eq!(commits[0].consumed.len(), ENTRIES_AT_ONCE);
    assert!(!commits[0].release);
}

#[test]
fn blocked_run_whose_inbox_is_read_begins_nothing() {
    let scene = Scene::between_runtimes();
    let run = in_doubt_and_blocked(&scene);
    scene.process(async |_| {
        let store = FaultStore::new(scene.other_process());
        let commits = commits(&store);
        let _engine = scene.builder_on(store).start().await.unwrap();
        until("it is blocked", async || scene.status(run).await == Status::Blocked).await;
        assert_it_read_on(&commits.lock().unwrap());
        assert_eq!(scene.world.said(), ["run a"], "the world is asked by whoever can go on");
    });
    scene.process(async |b| {
        let engine = b.steps(steps![Rare]).start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("b done".into()));
        assert_eq!(scene.world.said(), ["run a", "observe a", "run a", "run b"]);
    });
}

#[test]
fn blocked_run_that_is_cancelled_while_its_inbox_is_read_does_then_what_was_withheld() {
    let scene = Scene::between_runtimes();
    let run = in_doubt_and_blocked(&scene);
    scene.process(async |_| {
        let cancel = Verb::Cancel { unwind: true };
        put(&scene, run, "cancel", &Message::Verb { verb: cancel, reason: String::new() }).await;
        let store = FaultStore::new(scene.other_process());
        let commits = commits(&store);
        let engine = scene.builder_on(store).start().await.unwrap();
        let run = engine.attach::<String>(run).await.unwrap();
        let settled =
            tokio::time::timeout(secs(1) / 2, run.settled()).await.expect("at once: nothing lacks now");
        assert!(matches!(settled.unwrap(), Settled::Cancelled(_)));
        assert_it_read_on(&commits.lock().unwrap());
        assert_eq!(scene.world.said(), ["run a", "observe a", "undo a"]);
    });
}
