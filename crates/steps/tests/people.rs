//! Approvals, waits and notices, called as functions.

use serde_json::json;
use std::time::Duration;
use towpath_model::{FailureKind, InDoubt, Json, Timestamp};
use towpath_step::{Approved, Step, StepContext, StepError};
use towpath_steps::{Approval, Expired, Notify, Wait, WaitEnd};
use towpath_testkit::{ForTest, TestContext};

const HOUR: Duration = Duration::from_secs(3_600);

fn said(cx: TestContext, by: &str, approve: bool, comment: &str) -> TestContext {
    let at = Timestamp::from_micros(1_893_456_000_000_007);
    cx.with_signal("approval", &json!({"approve": approve, "by": by, "comment": comment, "at": at}))
}

/// The same, from before anything was shown.
fn said_before(cx: TestContext, by: &str, approve: bool) -> TestContext {
    let at = Timestamp::from_micros(1_893_455_999_999_999);
    cx.with_signal("approval", &json!({"approve": approve, "by": by, "comment": "", "at": at}))
}

fn yes(cx: TestContext, by: &str) -> TestContext {
    said(cx, by, true, "")
}

fn cx() -> TestContext {
    StepContext::for_test()
}

fn asked() -> Approval<String> {
    Approval::of_value("v2".to_owned())
}

async fn decide(approval: Approval<String>, cx: &TestContext) -> Result<Approved<String>, StepError> {
    approval.run(cx).await
}

#[tokio::test]
async fn one_yes_is_enough_by_default_and_is_kept_in_its_own_words() {
    let cx = said(cx(), "user:ann", true, "looks fine");
    let approved = decide(asked(), &cx).await.unwrap();
    assert_eq!((approved.value.as_str(), approved.by.len()), ("v2", 1));
    assert_eq!((approved.by[0].who.as_str(), approved.by[0].comment.as_str()), ("user:ann", "looks fine"));
    assert_eq!(approved.at, approved.by[0].at);
    assert_eq!(
        approved.shown,
        Some(towpath_model::Digest::of(b"\"v2\"")),
        "what was shown is what was approved"
    );
    assert_eq!(cx.recorded().logs, ["to be approved by anybody: \"v2\""]);
}

#[tokio::test]
async fn a_quorum_counts_people_and_not_answers() {
    let cx = yes(yes(yes(yes(cx(), "user:ann"), "user:ann"), "user:mallory"), "user:bob");
    let approval = asked().from_team("sre", ["user:ann", "user:bob"]).quorum(2);
    let approved = decide(approval, &cx).await.unwrap();
    let by: Vec<_> = approved.by.iter().map(|voice| voice.who.as_str()).collect();
    assert_eq!(by, ["user:ann", "user:bob"]);
    let logs = cx.recorded().logs;
    assert!(logs[1].contains("user:ann has said yes already"), "{logs:?}");
    assert!(logs[2].contains("user:mallory is not among those who may decide"), "{logs:?}");
}

#[tokio::test]
async fn one_no_is_a_no_and_that_of_a_stranger_is_not() {
    let cx =
        said(said(yes(cx(), "user:ann"), "user:mallory", false, ""), "user:bob", false, "not on a Friday");
    let approval = asked().from(["user:ann", "user:bob"]).quorum(2);
    let error = decide(approval, &cx).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Rejected);
    assert_eq!(error.to_string(), "user:bob said no: not on a Friday");
}

#[tokio::test]
async fn a_yes_can_be_taken_back_by_a_no() {
    let cx = said(yes(cx(), "user:ann"), "user:ann", false, "");
    let error = decide(asked().quorum(2), &cx).await.unwrap_err();
    assert_eq!(error.to_string(), "user:ann said no");
}

#[tokio::test]
async fn who_is_excluded_is_not_heard() {
    let cx = yes(yes(cx(), "user:ann"), "user:bob");
    let approved = decide(asked().not_from("user:ann"), &cx).await.unwrap();
    assert_eq!(approved.by[0].who.as_str(), "user:bob");
    let impossible = asked().from(["user:ann", "user:bob"]).not_from("user:ann").quorum(2);
    let error = decide(impossible, &cx).await.unwrap_err();
    assert_eq!(error.to_string(), "2 have to say yes, and there are not as many who may: user:ann, user:bob");
}

#[tokio::test]
async fn what_lets_nobody_or_anybody_decide_by_mistake_fails_for_good() {
    for (approval, words) in [
        (asked().from(Vec::<String>::new()), "the list of those who may decide is empty"),
        (asked().from_team("sre", Vec::<String>::new()), "the list of those who may decide is empty"),
        (asked().quorum(0), "a quorum of 0 approves by itself"),
        (
            asked().not_from("ann"),
            "\"ann\" is not the name of anybody who can decide: names have the form kind:name",
        ),
        (asked().from(["user:ann", "bob"]), "\"bob\" is not the name"),
        (asked().from_team("sre", ["user:"]), "\"user:\" is not the name"),
        (asked().not_from(":ann"), "\":ann\" is not the name"),
    ] {
        let stored = serde_json::to_string(&approval).unwrap();
        let error = decide(approval, &yes(cx(), "user:mallory")).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Permanent, "{stored}");
        assert!(error.to_string().contains(words), "{error}");
        // As a plan brings it.
        let read: Approval<String> = serde_json::from_str(&stored).unwrap();
        assert!(decide(read, &yes(cx(), "user:mallory")).await.unwrap_err().to_string().contains(words));
    }
}

#[tokio::test]
async fn an_answer_from_before_it_was_shown_does_not_count() {
    let early = said_before(said_before(cx(), "user:ann", true), "user:bob", false);
    let cx = yes(early, "user:ann");
    let approved = decide(asked(), &cx).await.unwrap();
    assert_eq!(approved.at, Timestamp::from_micros(1_893_456_000_000_007));
    let logs = cx.recorded().logs;
    assert_eq!(
        logs[1..],
        ["user:ann", "user:bob"]
            .map(|by| format!("the answer of {by} does not count: {by} answered before this was shown"))
    );
}

#[tokio::test]
async fn what_rested_and_is_tried_again_asks_anew() {
    let first = yes(cx(), "user:ann");
    let approval = || asked().quorum(2).expires(HOUR).expired(Expired::Ask);
    assert_eq!(decide(approval(), &first).await.unwrap_err().kind(), FailureKind::NeedsOperator);
    let recorded = first.recorded();
    let rested = recorded.checkpoints.last().unwrap();
    let again = StepContext::for_test().with_attempt(2).with_checkpoint(rested);
    let again = yes(yes(said_before(again, "user:eve", true), "user:bob"), "user:ann");
    let approved = decide(approval(), &again).await.unwrap();
    let by: Vec<_> = approved.by.iter().map(|voice| voice.who.as_str()).collect();
    assert_eq!(by, ["user:bob", "user:ann"], "nobody's yes outlives its time");
    let waits = again.recorded().waits;
    assert!(waits.iter().all(|wait| !recorded.waits.contains(wait)), "{waits:?} are waits of their own");
    assert!(again.recorded().logs[0].starts_with("to be approved by anybody"), "it is shown again");
    // Its time is counted anew, too.
    let late = StepContext::for_test().with_attempt(2).with_checkpoint(rested);
    let since = late.now();
    decide(approval(), &late).await.unwrap_err();
    assert_eq!(late.now().since(since), HOUR);
}

#[tokio::test]
async fn time_that_is_over_becomes_what_was_said() {
    let over = |expired: Option<Expired>| {
        let approval = asked().quorum(2).expires(HOUR);
        expired.map_or(approval.clone(), |expired| approval.expired(expired))
    };
    for (expired, kind) in [
        (None, Some(FailureKind::Cancelled)),
        (Some(Expired::Ask), Some(FailureKind::NeedsOperator)),
        (Some(Expired::Reject), Some(FailureKind::Rejected)),
        (Some(Expired::Approve), None),
    ] {
        let cx = yes(cx(), "user:ann");
        let end = decide(over(expired), &cx).await;
        match kind {
            Some(kind) => {
                let error = end.unwrap_err();
                assert_eq!(error.kind(), kind);
                assert_eq!(error.to_string(), "1 of 2 had said yes when the time to decide was over");
            }
            None => assert_eq!(end.unwrap().by.len(), 1),
        }
    }
}

#[tokio::test]
async fn entered_again_it_keeps_its_voices_and_its_end() {
    let first = yes(cx(), "user:ann");
    let approval = || asked().quorum(2).expires(HOUR).expired(Expired::Ask);
    decide(approval(), &first).await.unwrap_err();
    let recorded = first.recorded();
    assert_eq!(recorded.waits, ["answer-1", "answer-2"], "each answer has a wait of its own");
    // As an engine enters it again: with the checkpoint of the last wait, which brought the second voice.
    let again = yes(StepContext::for_test().with_checkpoint(&recorded.checkpoints[1]), "user:bob");
    let approved = decide(approval(), &again).await.unwrap();
    assert_eq!(approved.by.len(), 2);
    assert_eq!(again.recorded().waits, ["answer-2"]);
    assert!(again.recorded().logs.is_empty(), "what is to be decided is shown once");
    let (one, two) = (&recorded.checkpoints[0], &recorded.checkpoints[1]);
    let until = |saved: &Json| saved.read::<serde_json::Value>().unwrap()["until"].clone();
    assert_eq!(until(one), until(two), "the end does not move");
}

#[test]
fn an_approval_is_stored_alike_whatever_its_type_is() {
    let typed = serde_json::to_string(&Approval::of_value(7u32).from(["user:ann"])).unwrap();
    assert_eq!(typed, r#"{"value":{"value":7},"who":{"actors":["user:ann"]},"quorum":1,"expired":"cancel"}"#);
    let known = towpath_steps::steps();
    known.decode("towpath.approval/v1", &Json::parse(&typed).unwrap()).unwrap();
}

#[tokio::test]
async fn a_wait_is_over_by_its_time() {
    let none = WaitEnd { came: false, value: None };
    let soaking = cx();
    let since = soaking.now();
    assert_eq!(Wait::time(HOUR).run(&soaking).await.unwrap(), none);
    assert_eq!(soaking.now().since(since), HOUR);
    let point = cx();
    let at = point.now().plus(HOUR);
    assert_eq!(Wait::until(at).run(&point).await.unwrap(), none);
    assert_eq!(point.now(), at);
    assert_eq!(Wait::until(at).run(&point).await.unwrap(), none, "what has passed is over at once");
    assert_eq!(point.recorded().waits, ["point"]);
}

#[tokio::test]
async fn a_wait_for_a_signal_gives_what_it_said_or_that_it_did_not_come() {
    let go = cx().with_signal("go", &json!({"by": "ann"}));
    let end = Wait::signal("go").run(&go).await.unwrap();
    assert_eq!(end, WaitEnd { came: true, value: Some(Json::parse(r#"{"by":"ann"}"#).unwrap()) });
    let error = Wait::signal_within("go", HOUR).run(&cx()).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Rejected, "silence is not taken for a yes");
    assert_eq!(error.to_string(), "the signal \"go\" did not come within 3600s");
    let gone_on = Wait::signal_within("go", HOUR).or_go_on().run(&cx()).await.unwrap();
    assert_eq!(gone_on, WaitEnd { came: false, value: None });
}

#[tokio::test]
async fn a_notice_is_logged_and_is_best_effort_unless_it_is_required() {
    let cx = cx();
    Notify::log("it has ended").run(&cx).await.unwrap();
    Notify::log("it has ended").run(&cx).await.unwrap();
    assert_eq!(cx.recorded().logs, ["it has ended", "it has ended"], "it can be repeated");
    assert!(Notify::log("x").declared().best_effort);
    assert!(!Notify::log("x").required().declared().best_effort);
    assert_eq!(Notify::log("x").declared().in_doubt, InDoubt::Idempotent);
}
