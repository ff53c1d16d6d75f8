//! The engine on one file, in real time.

use crate::common::{Idem, Image, Seen, World, count, events, kinds, plan_of};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::runtime::Runtime;
use towpath_engine::{Engine, EngineErrorKind, Settled};
use towpath_model::{EventKind, Verb};
use towpath_step::{Observed, Pipeline, Plan};

fn plan() -> Plan<String> {
    let p = Pipeline::new("three");
    let a = p.step("a", Seen::new("a"));
    let b = p.step("b", Idem::new("b").reading(&a));
    let c = p.step("c", Image::new("c").reading(&b));
    plan_of(p.output(&c).build())
}

/// A process with a runtime of its own. When it returns it is killed: nothing more is written.
fn process<T>(file: &Path, world: &Arc<World>, process: impl AsyncFnOnce(Engine) -> T) -> T {
    let runtime: Runtime =
        tokio::runtime::Builder::new_multi_thread().enable_time().worker_threads(2).build().unwrap();
    let done = runtime.block_on(async {
        let address = format!("sqlite:{}", file.display());
        let builder = Engine::open(&address).steps(kinds()).bind("world", world.clone());
        let engine = builder.settle_after(Duration::ZERO).park_after(Duration::ZERO).start().await.unwrap();
        process(engine).await
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

#[test]
fn a_run_goes_on_in_the_next_process_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (file, world) = (folder.path().join("deploys.db"), World::new());
    world.run("b", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("b done".into())
        })
    });
    let run = process(&file, &world, async |engine| {
        let run = engine.run(plan(), "k").await.unwrap();
        while world.times("run b") == 0 {
            tokio::task::yield_now().await;
        }
        run.id()
    });
    let began = std::time::Instant::now();
    process(&file, &world, async |engine| {
        let run = engine.attach::<String>(run).await.unwrap();
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
        engine.shutdown().await.unwrap();
    });
    // The death is proven by the lock that the process held; nobody waits for its lease.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(world.said(), ["run a", "run b", "run b", "before c", "run c"]);
}

#[test]
fn many_runs_wait_are_signalled_and_settle() {
    let folder = tempfile::tempdir().unwrap();
    let (file, world) = (folder.path().join("deploys.db"), World::new());
    world.run("a", |cx, _| Box::pin(async move { cx.signal::<String>("go").await }));
    world.observe("a", |_, _| Box::pin(async { Ok(Observed::NotDone) }));
    process(&file, &world, async |engine| {
        let mut runs = Vec::new();
        for n in 0..100 {
            runs.push(engine.run(plan(), format!("k{n}")).await.unwrap());
        }
        for run in &runs {
            run.signal("go", "x").await.unwrap();
        }
        for run in &runs {
            assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("c done".into()));
            let no = run.row().await.unwrap().no;
            assert_eq!(count(&events(&**engine.store(), no).await, EventKind::RunSettled), 1);
        }
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn verbs_from_another_process_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (file, world) = (folder.path().join("deploys.db"), World::new());
    world.run("a", |cx, _| {
        Box::pin(async move {
            cx.cancelled().await;
            Ok("stopped".into())
        })
    });
    process(&file, &world, async |engine| {
        let run = engine.run(plan(), "k").await.unwrap();
        let address = format!("sqlite:{}", file.display());
        let other = Engine::open(&address).background(false).start().await.unwrap();
        let seen = other.attach::<String>(run.id()).await.unwrap();
        let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
        assert_eq!(*seen.verb(retry, "").await.unwrap_err().kind(), EngineErrorKind::Refused);
        seen.verb(Verb::Cancel { unwind: true }, "").await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
        assert!(matches!(seen.settled().await.unwrap(), Settled::Cancelled(_)));
        other.shutdown().await.unwrap();
        engine.shutdown().await.unwrap();
    });
}
