//! What a body may do with its context, and what it is told when it does something else.

mod common;

use common::{MINUTE, TestHost, block_on, context, entry, poll};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use towpath_step::{
    Input, Offers, Provider, Providers, SecretRef, StepContext, StepError,
    host::{Entry, Waited},
    model::{FailureKind, Json, Key, KeyPhase, RunId, StepId},
};

fn json<T: serde::Serialize>(value: &T) -> Json {
    Json::of(value).expect("a test gives a value that can be json")
}

fn input<T: serde::de::DeserializeOwned>(stored: &str) -> Input<T> {
    serde_json::from_str(stored).expect("a test gives an input as it is stored")
}

/// A permanent error that says this.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, StepError>, says: &str) {
    let error = result.expect_err("it is refused");
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_failure().to_string().contains(says), "{}", error.to_failure());
}

/// Polls two futures in turn, once each.
fn together(first: impl Future<Output = ()>, second: impl Future<Output = ()>) {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut first, mut second) = (pin!(first), pin!(second));
    let _: (Poll<()>, Poll<()>) = (first.as_mut().poll(&mut cx), second.as_mut().poll(&mut cx));
}

#[test]
fn keys_are_those_of_the_model_and_each_name_is_taken_once() {
    let cx = context();
    let step = StepId::new("canary").unwrap();
    let key = Key::derive(RunId::from_bytes([7; 16]), &step, KeyPhase::Run, "weight-25", 0);
    assert_eq!(cx.key("weight-25").unwrap(), key);
    refused(cx.key("weight-25"), "the key \"weight-25\" was taken in this entry already");
    assert!(cx.key("weight-50").is_ok());
    let undo = StepContext::new(
        Entry { phase: KeyPhase::Undo, generation: 2, ..entry() },
        Arc::new(TestHost::default()),
    );
    let key = Key::derive(RunId::from_bytes([7; 16]), &step, KeyPhase::Undo, "weight-25", 2);
    assert_eq!(undo.key("weight-25").unwrap(), key);
}

#[test]
fn inputs_are_read_from_where_they_point() {
    let outputs = vec![
        (StepId::new("scan").unwrap(), json(&serde_json::json!({"critical": 3, "of": {"a/b": ["x"]}}))),
        (StepId::new("b").unwrap(), json(&7)),
    ];
    let params = Arc::new(BTreeMap::from([("commit".to_owned(), json(&["4f2c"]))]));
    let cx = StepContext::new(Entry { outputs, params, ..entry() }, Arc::new(TestHost::default()));

    assert_eq!(cx.get(&Input::value(vec![1, 2])).unwrap(), [1, 2]);
    assert_eq!(cx.get(&input::<u32>(r#"{"value":5}"#)).unwrap(), 5);
    assert_eq!(cx.get(&input::<u32>(r#"{"from":{"step":"b"}}"#)).unwrap(), 7);
    assert_eq!(cx.get(&input::<u32>(r#"{"from":{"step":"scan","path":"/critical"}}"#)).unwrap(), 3);
    assert_eq!(cx.get(&input::<String>(r#"{"from":{"step":"scan","path":"/of/a~1b/0"}}"#)).unwrap(), "x");
    assert_eq!(
        cx.get(&input::<Json>(r#"{"from":{"step":"scan","path":"/of"}}"#)).unwrap(),
        json(&serde_json::json!({"a/b": ["x"]}))
    );
    assert_eq!(cx.get(&input::<String>(r#"{"param":{"name":"commit","path":"/0"}}"#)).unwrap(), "4f2c");
    assert_eq!(cx.get(&input::<Option<u32>>(r#"{"or-none":{"step":"b"}}"#)).unwrap(), Some(7));
    assert_eq!(cx.get(&input::<Option<u32>>(r#"{"or-none":{"step":"skipped"}}"#)).unwrap(), None);
    assert_eq!(cx.get(&input::<u32>(r#"{"first-of":[{"step":"a"},{"step":"b"}]}"#)).unwrap(), 7);
    // An output may leave out what is none.
    assert_eq!(cx.get(&input::<Option<u32>>(r#"{"from":{"step":"scan","path":"/gone"}}"#)).unwrap(), None);

    refused(cx.get(&input::<u32>(r#"{"from":{"step":"a"}}"#)), "the step a has no output");
    refused(cx.get(&input::<u32>(r#"{"param":{"name":"region"}}"#)), "the parameter \"region\" has no value");
    refused(cx.get(&input::<u32>(r#"{"first-of":[{"step":"a"}]}"#)), "none of the branches");
    refused(
        cx.get(&input::<u32>(r#"{"from":{"step":"scan","path":"/gone"}}"#)),
        "the output of scan at /gone cannot be read as u32",
    );
    refused(cx.get(&input::<String>(r#"{"from":{"step":"b"}}"#)), "the output of b cannot be read as");
    refused(
        cx.get(&input::<String>(r#"{"param":{"name":"commit"}}"#)),
        "the parameter \"commit\" cannot be read as",
    );
    refused(cx.get(&Input::value(f64::NAN)), "does not read back");
}

#[test]
fn checkpoints_are_saved_and_seen() {
    let host = Arc::new(TestHost::default());
    let cx = StepContext::new(Entry { checkpoint: Some(json(&5)), ..entry() }, host.clone());
    assert_eq!(cx.last_checkpoint::<u32>().unwrap(), Some(5));
    block_on(cx.checkpoint(&25)).unwrap();
    block_on(cx.checkpoint("text")).unwrap();
    assert_eq!(cx.last_checkpoint::<String>().unwrap().as_deref(), Some("text"));
    refused(cx.last_checkpoint::<u32>(), "the checkpoint cannot be read as u32");
    assert_eq!(*host.saved.lock().unwrap(), [json(&25), json(&"text")]);
    refused(
        block_on(cx.checkpoint(&BTreeMap::from([((1, 2), 3)]))),
        "the checkpoint cannot be stored as json: key must be",
    );
    assert_eq!(context().last_checkpoint::<u32>().unwrap(), None);
}

#[test]
fn a_wait_asks_once_and_is_over_as_the_host_says() {
    let host = Arc::new(TestHost::default());
    let cx = StepContext::new(entry(), host.clone());
    *host.ends.lock().unwrap() =
        vec![Waited::TimeOver, Waited::Signal(json(&3)), Waited::Signal(json(&2)), Waited::TimeOver];
    block_on(async {
        cx.sleep("bake-25", 10 * MINUTE).saving(&25).await.unwrap();
        assert_eq!(cx.signal::<u32>("go").await.unwrap(), 2);
        assert_eq!(cx.signal::<u32>("go").named("go-2").within(MINUTE).await.unwrap(), Some(3));
        assert_eq!(cx.signal::<u32>("late").within(MINUTE).saving(&"s").await.unwrap(), None);
    });
    assert_eq!(cx.last_checkpoint::<String>().unwrap().as_deref(), Some("s"));
    let asked: Vec<_> = host
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|ask| format!("{} {:?} {:?} {:?}", ask.name, ask.signal, ask.limit, ask.checkpoint))
        .collect();
    assert_eq!(
        asked,
        [
            "bake-25 None Some(600s) Some(25)",
            "go Some(\"go\") None None",
            "go-2 Some(\"go\") Some(60s) None",
            "late Some(\"late\") Some(60s) Some(\"s\")"
        ]
    );
}

#[test]
fn a_wait_that_parks_never_returns() {
    let cx = context();
    assert!(poll(cx.sleep("bake", MINUTE).into_future()).is_none());
    // The body was dropped there; the same context is not used again, but must not be in disorder.
    assert!(poll(cx.sleep("other", MINUTE).into_future()).is_none());
}

#[test]
fn a_wait_is_refused_when_it_breaks_a_rule() {
    let host = Arc::new(TestHost::default());
    host.ends.lock().unwrap().push(Waited::TimeOver);
    let cx = StepContext::new(entry(), host.clone());
    block_on(cx.sleep("bake", MINUTE).into_future()).unwrap();
    refused(block_on(cx.sleep("bake", MINUTE).into_future()), "waits at \"bake\" twice in one entry");
    refused(block_on(cx.sleep("", MINUTE).into_future()), "no usable name: \"\" is not a name");
    let unencodable = BTreeMap::from([((1, 2), 3)]);
    refused(block_on(cx.sleep("b", MINUTE).saving(&unencodable).into_future()), "cannot be stored as json");
    host.ends.lock().unwrap().push(Waited::Signal(json(&"x")));
    refused(block_on(cx.signal::<u32>("go").into_future()), "the signal's value cannot be read as u32");
    let undo = StepContext::new(Entry { phase: KeyPhase::Undo, ..entry() }, host);
    refused(block_on(undo.sleep("bake", MINUTE).into_future()), "is in the undoing of the step");
}

#[test]
fn nothing_else_is_in_flight_at_a_wait() {
    let slow = || StepContext::new(entry(), Arc::new(TestHost { slow: true, ..TestHost::default() }));
    // A call before the wait.
    let cx = slow();
    together(async { cx.checkpoint(&1).await.unwrap() }, async {
        refused(cx.sleep("bake", MINUTE).await, "`cx.checkpoint` is still pending at the wait \"bake\"")
    });
    // A call after it, and another wait.
    let cx = slow();
    together(async { cx.sleep("bake", MINUTE).await.unwrap() }, async {
        refused(cx.checkpoint(&1).await, "`cx.checkpoint` was called while the body waits at \"bake\"");
        refused(cx.secret("token").await, "`cx.secret` was called while the body waits at \"bake\"");
        refused(cx.signal::<u32>("go").await, "the body waits at \"bake\" and at \"go\" at once");
    });
    // A call that was given up is not in flight.
    let cx = slow();
    assert!(poll(cx.checkpoint(&1)).is_none());
    assert!(poll(cx.sleep("bake", MINUTE).into_future()).is_none(), "it waits, and is not refused");
    // Listening for the end of it all is no call.
    let cx = slow();
    together(async { cx.cancelled().await }, async { cx.sleep("bake", MINUTE).await.unwrap() });
}

trait Scanner: Send + Sync {
    fn name(&self) -> &'static str;
}

trait Router: Send + Sync {}

struct Fake(&'static str);

impl Scanner for Fake {
    fn name(&self) -> &'static str {
        self.0
    }
}

impl Router for Fake {}

impl Provider for Fake {
    fn offer(self: Arc<Self>, to: &mut Offers<'_>) {
        to.put::<dyn Scanner>(self.clone()).put::<dyn Router>(self);
    }
}

#[test]
fn providers_are_found_by_trait_and_name() {
    let shared = Arc::new(Fake("shared"));
    let providers = Providers::new().provide("eu", Fake("eu")).provide("us", shared.clone());
    let cx =
        StepContext::new(Entry { providers: providers.clone(), ..entry() }, Arc::new(TestHost::default()));
    assert_eq!(cx.provider::<dyn Scanner>("eu").unwrap().name(), "eu");
    assert_eq!(cx.provider::<dyn Scanner>("us").unwrap().name(), "shared");
    assert!(cx.provider::<dyn Router>("us").is_ok());
    refused(
        cx.provider::<dyn Scanner>("asia").map(|scanner| scanner.name()),
        "nothing offers context::Scanner as \"asia\": the engine has ",
    );
    assert!(providers.to_string().contains("context::Scanner as \"eu\""), "{providers}");
    assert_eq!(Providers::new().to_string(), "none");
    let replaced = providers.clone().provide("eu", Fake("new"));
    assert_eq!(replaced.get::<dyn Scanner>("eu").unwrap().name(), "new");
    assert_eq!(providers.get::<dyn Scanner>("eu").unwrap().name(), "eu", "a clone is another list");
}

#[test]
fn secrets_are_given_by_name_and_shown_by_name() {
    let cx = context();
    let token = block_on(cx.secret(SecretRef::named("token"))).unwrap();
    assert_eq!((token.name(), token.expose()), ("token", "hunter2!"));
    assert_eq!(format!("{token:?}"), "[secret token]");
}

#[test]
fn logs_and_progress_reach_the_host() {
    let host = Arc::new(TestHost::default());
    let cx = StepContext::new(entry(), host.clone());
    cx.log(format_args!("line {}", 1));
    cx.progress(250, "done");
    assert_eq!(*host.lines.lock().unwrap(), ["line 1", "100 done"]);
    assert_eq!(format!("{cx:?}"), "StepContext(07070707-0707-0707-0707-070707070707 canary, attempt 1, run)");
}

/// The engine moves bodies between threads.
#[test]
fn futures_of_a_context_are_send() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let cx = context();
    let not_send = std::cell::Cell::new(3);
    drop(sent(cx.checkpoint(&not_send)));
    drop(sent(cx.secret("token")));
    drop(sent(cx.cancelled()));
    drop(sent(cx.sleep("a", Duration::ZERO).into_future()));
    drop(sent(cx.signal::<std::cell::Cell<u8>>("b").into_future()));
    drop(sent(async { cx.signal::<u8>("c").within(MINUTE).saving(&1).await }));
}
