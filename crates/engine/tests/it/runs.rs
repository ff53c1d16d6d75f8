//! Starting runs and getting through them.

use crate::common::*;
use towpath_engine::{Engine, EngineErrorKind, Settled};
use towpath_model::{EventKind, Status, limits};
use towpath_step::{Pipeline, Plan, steps};
use towpath_store::{Filter, Page};

fn chain(steps: usize) -> Plan<String> {
    let p = Pipeline::new("chain");
    let mut last = p.step("s0", Idem::new("s0"));
    for i in 1..steps {
        last = p.step(&format!("s{i}"), Idem::new(&format!("s{i}")).reading(&last));
    }
    plan_of(p.output(&last).build())
}

#[tokio::test(start_paused = true)]
async fn a_chain_runs_to_its_output() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(chain(3), "one").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("s2 done".into()));
    assert_eq!(scene.world.said(), ["run s0", "run s1", "run s2"]);
    assert_eq!(
        scene.journal(&run).await,
        [
            "run-started",
            "step-started s0",
            "step-done s0",
            "step-started s1",
            "step-done s1",
            "step-started s2",
            "step-done s2",
            "run-settled"
        ]
    );
    assert_eq!(scene.row(&run).await.listing.status, Status::Settled);
    assert_eq!(scene.row(&run).await.owner, None);
}

#[tokio::test(start_paused = true)]
async fn done_and_the_next_intent_are_one_commit() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    let commits = commits(&store);
    let engine = scene.builder_on(store).start().await.unwrap();
    let run = engine.run(chain(10), "one").await.unwrap();
    run.settled().await.unwrap();
    // The start holds the first intent; the last done, the end and giving the run back are one commit as well.
    let commits = commits.lock().unwrap();
    assert_eq!(commits.len(), 10);
    assert!(commits.iter().all(|t| t.events.len() == 2));
    assert_eq!(commits.iter().filter(|t| t.release).count(), 1);
    assert_eq!(commits.iter().filter(|t| t.listing.is_some()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn starting_again_with_a_key_is_the_same_run_whatever_its_state() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(chain(2), "key").await.unwrap();
    assert_eq!(engine.run(chain(2), "key").await.unwrap().id(), run.id());
    run.settled().await.unwrap();
    let again = engine.run(chain(2), "key").await.unwrap();
    assert_eq!(again.id(), run.id());
    assert_eq!(again.settled().await.unwrap(), Settled::Succeeded("s1 done".into()));
    assert_eq!(scene.world.times("run s0"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_plan_is_taken() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(chain(2), "key").await.unwrap();
    let error = engine.run(chain(3), "key").await.unwrap_err();
    let plan = chain(2).hash();
    assert_eq!(*error.kind(), EngineErrorKind::KeyTaken { run: run.id(), plan });
    assert!(error.to_string().contains("give this plan another key"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_reported_together_before_the_first_effect() {
    let scene = Scene::new();
    let engine = Engine::builder(scene.memory.clone()).steps(steps![Look]).start().await.unwrap();
    let p = Pipeline::new("lacking");
    p.step("a", Look::new("a"));
    p.step("b", Rare::new("b"));
    let error = engine.run(p.build().unwrap().plan().unwrap(), "bad\nkey").await.unwrap_err();
    assert_eq!(*error.kind(), EngineErrorKind::Unfit);
    let text = error.to_string();
    for part in ["step a: it needs", "step b: the kind test.rare/v1 is not known here", "run key"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(error.problems().len(), 3);
    assert!(scene.world.said().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_engine_reports_everything_that_is_wrong_at_once() {
    mod other {
        use towpath_step::{StepContext, StepError, step};
        #[step("test.look/v1", no_effect)]
        pub(crate) async fn look(_cx: &StepContext) -> Result<(), StepError> {
            Ok(())
        }
    }
    let scene = Scene::new();
    let error = Engine::open("mysql:x")
        .steps(steps![Look])
        .steps(steps![other::look])
        .bind("world", scene.world.clone())
        .bind("world", scene.world.clone())
        .concurrency(0)
        .start()
        .await
        .unwrap_err();
    assert_eq!(error.problems().len(), 4, "{error}");
}

#[tokio::test(start_paused = true)]
async fn two_engines_in_one_process_share_a_store() {
    let scene = Scene::new();
    let (a, b) = (scene.engine().await, scene.builder_on(scene.other_process()).start().await.unwrap());
    assert_ne!(a.worker(), b.worker());
    let run = a.run(chain(2), "of-a").await.unwrap();
    let same = b.run(chain(2), "of-a").await.unwrap();
    assert_eq!(run.id(), same.id());
    assert_eq!(same.settled().await.unwrap(), Settled::Succeeded("s1 done".into()));
    let other = b.run(chain(2), "of-b").await.unwrap();
    assert_ne!(other.id(), run.id());
    let seen = a.attach::<String>(other.id()).await.unwrap();
    assert_eq!(seen.settled().await.unwrap(), Settled::Succeeded("s1 done".into()));
    assert_eq!(scene.world.times("run s0"), 2);
}

#[tokio::test(start_paused = true)]
async fn labels_are_found() {
    let scene = Scene::new();
    let engine = scene.engine().await;
    let run = engine.run(chain(1), "a").label("owner", "shop").reason("because").await.unwrap();
    engine.run(chain(1), "b").await.unwrap().settled().await.unwrap();
    run.settled().await.unwrap();
    let filter = Filter { labels: vec![("owner".into(), "shop".into())], ..Filter::default() };
    let rows = engine.runs(&filter, Page { after: None, limit: 10 }).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.run).collect::<Vec<_>>(), [run.id()]);
}

#[tokio::test(start_paused = true)]
async fn large_outputs_are_stored_beside_the_journal_and_read_by_those_who_need_them() {
    let scene = Scene::new();
    let big = "x".repeat(limits::INLINE_BYTES);
    let given = big.clone();
    scene.world.run("s0", move |_, _| {
        let given = given.clone();
        Box::pin(async move { Ok(given) })
    });
    let given = big.clone();
    scene.world.run("s1", move |_, _| {
        let given = given.clone();
        Box::pin(async move { Ok(given) })
    });
    let engine = scene.engine().await;
    let run = engine.run(chain(2), "big").await.unwrap();
    assert_eq!(run.settled().await.unwrap(), Settled::Succeeded(big));
    let no = scene.row(&run).await.no;
    assert!(stored(&*scene.memory, no).await.iter().all(|e| e.payload.as_ref().unwrap().len() < 4_000));
}

#[tokio::test(start_paused = true)]
async fn an_output_above_the_limit_leaves_the_step_done_and_its_reader_resting() {
    let scene = Scene::new();
    scene.world.run("s0", |_, _| Box::pin(async { Ok("x".repeat(limits::BLOB_BYTES)) }));
    let engine = scene.engine().await;
    let run = engine.run(chain(2), "huge").await.unwrap();
    let Settled::Stuck(why) = run.settled().await.unwrap() else { panic!("the reader rests") };
    assert!(why.to_string().contains("16777218 bytes"), "{why}");
    assert_eq!(count(&scene.events(&run).await, EventKind::StepDone), 1);
    assert_eq!(scene.world.times("undo s0"), 0);
}

#[tokio::test(start_paused = true)]
async fn parallel_branches_run_at_once() {
    let scene = Scene::new();
    for name in ["a", "b"] {
        scene.world.run(name, |_, _| {
            Box::pin(async {
                tokio::time::sleep_until(tokio::time::Instant::now() + secs(10)).await;
                Ok("x".into())
            })
        });
    }
    let p = Pipeline::new("both");
    let (a, b) = (p.step("a", Idem::new("a")), p.step("b", Idem::new("b")));
    p.step("c", Idem::new("c").reading(&a).reading(&b));
    let engine = scene.engine().await;
    let began = tokio::time::Instant::now();
    engine.run(plan_of(p.build()), "k").await.unwrap().settled().await.unwrap();
    assert!(began.elapsed() < secs(11), "{:?}", began.elapsed());
}
