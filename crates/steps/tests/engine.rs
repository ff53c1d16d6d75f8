//! Stock steps in runs, driven by an engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use towpath_engine::{Engine, Run, Settled};
use towpath_step::{Output, Pipeline, model::Verb};

async fn engine() -> Engine {
    Engine::open("memory:").steps(towpath_steps::steps()).start().await.unwrap()
}

async fn start<T: Output>(engine: &Engine, pipeline: Pipeline<T>) -> Run<T> {
    engine.run(pipeline.plan().unwrap(), "once").await.unwrap()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let (since, mut look) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(20), "never: {what}");
        look.tick().await;
    }
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[cfg(unix)]
mod commands {
    use super::*;
    use towpath_steps::{Argv, Command};

    #[tokio::test]
    async fn outputs_reach_other_commands() {
        let engine = engine().await;
        let p = Pipeline::new("outputs");
        let made = p.step("make", Command::shell("echo 'a b'").no_effect());
        let said = p.step("say", Command::shell("echo \"<$1>\"").arg(&made.stdout).no_effect());
        let run = start(&engine, p.output(&said.stdout).build().unwrap()).await;
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("<a b>".to_owned()));
        engine.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_undoes_what_was_done_with_what_was_before() {
        let engine = engine().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weight");
        fs::write(&file, "5\n").unwrap();
        let path = file.to_str().unwrap();
        let p = Pipeline::new("undone");
        let set = Command::shell("echo 50 > \"$1\"")
            .arg(path)
            .idempotent()
            .before(Argv::new("cat").arg(path))
            .undo(
                Argv::shell("echo \"$TOWPATH_BEFORE\" > \"$1\"; echo \"undone $TOWPATH_RUN_KEY\" >> \"$1\"")
                    .arg(path),
            );
        let set = p.step("set", set);
        p.step("judge", Command::shell("echo 'too slow' >&2; exit 1").no_effect()).after(&set);
        let run = start(&engine, p.build().unwrap()).await;
        match run.settled().await.unwrap() {
            Settled::Compensated(why) => assert!(format!("{why:?}").contains("too slow"), "{why:?}"),
            other => panic!("{other:?}"),
        }
        let left = text(&file);
        let key = left.strip_prefix("5\nundone ").unwrap().trim();
        assert_eq!(key.len(), 32, "undo was told for which key the work was done: {left}");
        engine.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn cancelling_ends_the_program_and_asks_what_it_did() {
        let engine = engine().await;
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let p = Pipeline::new("cancelled");
        let command = Command::shell("echo $$ > \"$1\"; sleep 1000")
            .arg(pid.to_str().unwrap())
            .observe(Argv::shell("exit 1"));
        p.step("long", command);
        let run = start(&engine, p.build().unwrap()).await;
        until("the program has begun", || text(&pid).ends_with('\n')).await;
        run.verb(Verb::Cancel { unwind: true }, "enough").await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Cancelled(_)));
        assert!(!Path::new(&format!("/proc/{}/cmdline", text(&pid).trim())).exists());
        engine.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again() {
        let engine = engine().await;
        let folder = tempfile::tempdir().unwrap();
        let tries = folder.path().join("tries");
        let p = Pipeline::new("again");
        let script = "echo x >> \"$1\"; [ $(wc -l < \"$1\") -ge 2 ] || exit 75; echo $TOWPATH_ATTEMPT";
        let done = p
            .step("try", Command::shell(script).arg(tries.to_str().unwrap()))
            .retry(towpath_step::model::RetryPolicy::fixed(3, Duration::from_millis(1)));
        let run = start(&engine, p.output(&done.stdout).build().unwrap()).await;
        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("2".to_owned()));
        engine.shutdown().await.unwrap();
    }
}
