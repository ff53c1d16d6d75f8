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

mod people {
    use super::*;
    use std::sync::Arc;
    use towpath_engine::Until;
    use towpath_model::{Actor, Digest, Name};
    use towpath_step::{
        Approved,
        model::{Json, Message, NewEntry, StepId},
    };
    use towpath_steps::{Approval, Notify, Wait};
    use towpath_store::MemoryStore;
    use towpath_testkit::VirtualClock;

    /// Sends decisions as somebody, as the command does from another process.
    async fn decide<T: Output>(run: &Run<T>, answers: &[(&str, bool)]) {
        for (n, (by, approve)) in answers.iter().enumerate() {
            let step = StepId::new("ok").unwrap();
            let message = Message::Approval { step, approve: *approve, comment: String::new() };
            let entry = NewEntry {
                dedupe_id: Name::new(&n.to_string()).unwrap(),
                actor: Actor::new(by).unwrap(),
                message: Json::of(&message).unwrap(),
            };
            run.engine().store().put_entry(run.id(), entry).await.unwrap();
        }
    }

    /// Returns when the step has shown what it asks about: an answer from before that does not count.
    async fn asked<T: Output>(run: &Run<T>) {
        let (no, step) = (run.row().await.unwrap().no, StepId::new("ok").unwrap());
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while run.engine().store().logs(no, &step, 0, 1).await.unwrap().is_empty() {
            look.tick().await;
        }
    }

    fn gated(approval: Approval<String>) -> Pipeline<Approved<String>> {
        let p = Pipeline::new("gated");
        let ok = p.step("ok", approval);
        p.finally("tell", Notify::log("decided"));
        p.output(&ok).build().unwrap()
    }

    #[tokio::test]
    async fn two_of_a_team_approve_what_they_were_shown() {
        let engine = engine().await;
        let p = Pipeline::new("gated");
        let version = p.step("wait", Wait::signal("version"));
        let approval = Approval::of(&version.value)
            .showing(&version)
            .from_team("sre", ["user:ann", "user:bob"])
            .quorum(2)
            .expires(Duration::from_secs(3_600));
        let ok = p.step("ok", approval);
        let run = start(&engine, p.output(&ok).build().unwrap()).await;
        run.signal("version", "v2").await.unwrap();
        asked(&run).await;
        let answers = ["user:ann", "user:mallory", "user:ann", "user:bob"].map(|by| (by, true));
        decide(&run, &answers).await;
        let approved = run.settled().await.unwrap().succeeded().unwrap();
        assert_eq!(approved.value.unwrap().as_str(), "\"v2\"");
        let by: Vec<_> = approved.by.iter().map(|voice| voice.who.as_str()).collect();
        assert_eq!(by, ["user:ann", "user:bob"]);
        let shown = Json::parse(r#"{"came":true,"value":"v2"}"#).unwrap();
        assert_eq!(approved.shown, Some(Digest::of(shown.as_str().as_bytes())));
        engine.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_no_fails_the_run_and_says_whose_it_was() {
        let engine = engine().await;
        let run = start(&engine, gated(Approval::of_value("v2".to_owned()).quorum(3))).await;
        asked(&run).await;
        decide(&run, &[("user:ann", true), ("user:bob", false)]).await;
        match run.settled().await.unwrap() {
            Settled::Failed(why) => assert!(format!("{why:?}").contains("user:bob said no"), "{why:?}"),
            other => panic!("{other:?}"),
        }
        engine.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_yes_from_before_it_was_asked_is_no_yes() {
        let engine = Engine::open("memory:").steps(towpath_steps::steps()).background(false);
        let engine = engine.start().await.unwrap();
        let run = start(&engine, gated(Approval::of_value("v2".to_owned()))).await;
        run.approve("ok", true, "whatever it is").await.unwrap();
        let report = engine.drive(Until::Parked, None).await.unwrap();
        assert_eq!(report.parked, 1, "it waits on");
        run.approve("ok", true, "now that I have seen it").await.unwrap();
        engine.drive(Until::Parked, None).await.unwrap();
        let approved = run.settled().await.unwrap().succeeded().unwrap();
        assert_eq!(approved.by[0].comment, "now that I have seen it");
        engine.shutdown().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_in_time_rests_and_tried_again_it_asks_anew() {
        let clock = Arc::new(VirtualClock::new());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let engine = Engine::builder(store).clock(clock).steps(towpath_steps::steps()).start().await.unwrap();
        let hour = Duration::from_secs(3_600);
        let p = Pipeline::new("gated");
        let done = p.step("done", Wait::time(Duration::from_millis(1)));
        let ok = p
            .step(
                "ok",
                Approval::of_value("v2".to_owned()).expires(hour).expired(towpath_steps::Expired::Ask),
            )
            .after(&done);
        let run = start(&engine, p.output(&ok).build().unwrap()).await;
        for _ in 0..2 {
            let since = tokio::time::Instant::now();
            match run.settled().await.unwrap() {
                Settled::Stuck(why) => assert!(why.to_string().contains("0 of 1 had said yes"), "{why}"),
                other => panic!("{other:?}"),
            }
            assert!(since.elapsed() >= hour, "it had its time: {:?}", since.elapsed());
            let step = Some(StepId::new("ok").unwrap());
            run.verb(Verb::Retry { step, new_key: false, from_scratch: false }, "again").await.unwrap();
        }
        tokio::time::timeout(hour / 2, std::future::pending::<()>()).await.unwrap_err();
        run.approve("ok", true, "at last").await.unwrap();
        let approved = run.settled().await.unwrap().succeeded().unwrap();
        assert_eq!(approved.by[0].comment, "at last");
        engine.shutdown().await.unwrap();
    }
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

#[cfg(feature = "http")]
mod http {
    use super::*;
    use towpath_step::model::RetryPolicy;
    use towpath_steps::{HttpCall, HttpCheck, HttpProbe, HttpRequest};
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path_regex},
    };

    async fn asked(server: &MockServer, verb: &str) -> usize {
        let all = server.received_requests().await.unwrap();
        all.iter().filter(|request| request.method.as_str() == verb).count()
    }

    #[tokio::test]
    async fn an_order_whose_answer_is_lost_is_looked_for_and_not_sent_twice() {
        let (engine, server) = (engine().await, MockServer::start().await);
        let late = ResponseTemplate::new(201).set_delay(Duration::from_secs(60));
        Mock::given(method("POST")).respond_with(late).mount(&server).await;
        let placed = ResponseTemplate::new(200).set_body_json(serde_json::json!({"id": 7}));
        Mock::given(method("GET"))
            .and(path_regex("^/by-key/[0-9a-f]{32}$"))
            .respond_with(placed)
            .mount(&server)
            .await;
        let p = Pipeline::new("order");
        let call = HttpCall::new(HttpRequest::post(server.uri()))
            .timeout(Duration::from_millis(200))
            .observe(HttpProbe::new(HttpRequest::get(format!("{}/by-key/{{key}}", server.uri()))));
        let order = p.step("order", call);
        let run = start(&engine, p.output(&order.body).build().unwrap()).await;
        let body = run.settled().await.unwrap().succeeded().unwrap();
        assert_eq!(body.as_str(), r#"{"id":7}"#);
        assert_eq!((asked(&server, "POST").await, asked(&server, "GET").await), (1, 1));
        engine.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_check_that_fails_undoes_the_order() {
        let (engine, server) = (engine().await, MockServer::start().await);
        let made = ResponseTemplate::new(201).set_body_json(serde_json::json!({"id": "a-7"}));
        Mock::given(method("POST")).respond_with(made).mount(&server).await;
        Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(500)).mount(&server).await;
        let p = Pipeline::new("order");
        let call = HttpCall::new(HttpRequest::post(server.uri()))
            .undo(HttpRequest::delete(format!("{}/orders/{{output/body/id}}", server.uri())));
        let order = p.step("order", call);
        let check =
            HttpCheck::get(server.uri()).every(Duration::from_millis(5)).until(Duration::from_millis(20));
        p.step("check", check).after(&order).retry(RetryPolicy::fixed(1, Duration::ZERO));
        let run = start(&engine, p.build().unwrap()).await;
        match run.settled().await.unwrap() {
            Settled::Compensated(why) => assert!(format!("{why:?}").contains("the status is 500"), "{why:?}"),
            other => panic!("{other:?}"),
        }
        let all = server.received_requests().await.unwrap();
        let deleted = all.iter().find(|request| request.method.as_str() == "DELETE").unwrap();
        assert_eq!(deleted.url.path(), "/orders/a-7");
        engine.shutdown().await.unwrap();
    }
}
