use super::*;
use crate::{FailureKind, ResolveAs};

fn step(s: &str) -> StepId {
    StepId::new(s).unwrap()
}

fn name(s: &str) -> Name {
    Name::new(s).unwrap()
}

fn json(s: &str) -> Json {
    Json::parse(s).unwrap()
}

fn at(s: i64) -> Timestamp {
    Timestamp::from_micros(s * 1_000_000)
}

/// One event of every kind, with every field that can be left out once there and once not.
fn samples() -> Vec<Event> {
    let failure = Failure::new(FailureKind::Transient, "push the image").caused_by("connection refused");
    let user = Actor::new("user:alice").unwrap();
    let run = RunId::from_bytes([7; 16]);
    let blob = BlobRef { digest: Digest::of(b"x"), bytes: 1 };
    let step_a = step("build");
    let item = ItemKey::new("eu-west-1").unwrap();
    vec![
        RunStarted {
            plan_hash: Digest::of(b"plan"),
            plan: blob.clone(),
            pipeline: PipelineName::new("checkout").unwrap(),
            key: RunKey::new("checkout@4f2c").unwrap(),
            values: BTreeMap::from([("commit".into(), json("\"4f2c\""))]),
            labels: BTreeMap::from([("owner".into(), "shop".into())]),
            reason: "weekly".into(),
            parent: Some(Below {
                run,
                step: step("deploy"),
                item: item.clone(),
                index: 3,
                path: step("deploy[eu-west-1]"),
            }),
            forked_from: Some(run),
            deadline: Some(at(9)),
            fencing: BTreeMap::from([(name("production"), 8)]),
        }
        .into(),
        RunStarted {
            plan_hash: Digest::of(b"plan"),
            plan: blob.clone(),
            pipeline: PipelineName::new("checkout").unwrap(),
            key: RunKey::new("k").unwrap(),
            values: BTreeMap::new(),
            labels: BTreeMap::new(),
            reason: String::new(),
            parent: None,
            forked_from: None,
            deadline: None,
            fencing: BTreeMap::new(),
        }
        .into(),
        StepStarted { step: step_a.clone(), attempt: Attempt(1), before: None }.into(),
        StepStarted { step: step_a.clone(), attempt: Attempt(2), before: Some(json("5").into()) }.into(),
        StepDone {
            step: step_a.clone(),
            output: json("{\"digest\":\"d\"}").into(),
            by: DoneBy::Body,
            facts: BTreeMap::new(),
            output_error: None,
        }
        .into(),
        StepDone {
            step: step_a.clone(),
            output: Payload::Blob(blob.clone()),
            by: DoneBy::Observed,
            facts: BTreeMap::from([("/critical".into(), json("0"))]),
            output_error: Some(failure.clone()),
        }
        .into(),
        StepFailed {
            step: step_a.clone(),
            attempt: Attempt(1),
            failure: failure.clone(),
            then: Then::Retry { at: at(3) },
        }
        .into(),
        StepFailed { step: step_a.clone(), attempt: Attempt(2), failure: failure.clone(), then: Then::Fail }
            .into(),
        StepInDoubt {
            step: step_a.clone(),
            attempt: Attempt(1),
            ended: Ended::TimedOut,
            failure: None,
            then: Doubt::Observe,
        }
        .into(),
        StepInDoubt {
            step: step_a.clone(),
            attempt: Attempt(1),
            ended: Ended::Unknown,
            failure: Some(failure.clone()),
            then: Doubt::Retry { at: at(4) },
        }
        .into(),
        StepObserved { step: step_a.clone(), answer: Answer::NotDone }.into(),
        StepObserved { step: step_a.clone(), answer: Answer::TakenOver { seen: json("{\"weight\":7}") } }
            .into(),
        StepObserved {
            step: step_a.clone(),
            answer: Answer::Unknown { failure: failure.clone(), again: Some(at(5)) },
        }
        .into(),
        Checkpointed { step: step_a.clone(), undoing: false, value: json("25").into() }.into(),
        Checkpointed { step: step_a.clone(), undoing: true, value: json("25").into() }.into(),
        WaitStarted {
            step: step_a.clone(),
            wait: name("bake-25"),
            until: Some(at(600)),
            signal: None,
            checkpoint: Some(json("25").into()),
        }
        .into(),
        WaitStarted {
            step: step_a.clone(),
            wait: name("go"),
            until: None,
            signal: Some(name("go")),
            checkpoint: None,
        }
        .into(),
        WaitOver { step: step_a.clone(), wait: name("bake-25"), value: None, from: None, kept: None }.into(),
        WaitOver {
            step: step_a.clone(),
            wait: name("go"),
            value: Some(json("true")),
            from: Some(user.clone()),
            kept: Some(Seq(4)),
        }
        .into(),
        StepSkipped { step: step_a.clone(), why: SkipWhy::Condition }.into(),
        StepSkipped { step: step_a.clone(), why: SkipWhy::Reads { step: step("scan") } }.into(),
        StepSkipped { step: step_a.clone(), why: SkipWhy::Operator { by: user.clone() } }.into(),
        StepReset { step: step_a.clone(), new_key: true, from_scratch: true, new_before: true }.into(),
        SignalKept {
            signal: name("go"),
            step: Some(step_a.clone()),
            value: json("1"),
            from: user.clone(),
            received_at: at(2),
        }
        .into(),
        EntryRefused { id: name("x"), from: user.clone(), why: "no such step".into() }.into(),
        VerbAnswered {
            id: name("v1"),
            verb: Verb::Retry { step: None, new_key: true, from_scratch: false },
            by: user.clone(),
            reason: "fixed".into(),
            refused: None,
        }
        .into(),
        VerbAnswered {
            id: name("v2"),
            verb: Verb::Resolve { step: Some(step_a.clone()), to: ResolveAs::Done(json("1")) },
            by: user.clone(),
            reason: String::new(),
            refused: Some("nothing rests".into()),
        }
        .into(),
        DeadlinePassed {}.into(),
        UnwindStarted { why: Why::StepFailed { step: step_a.clone(), failure: failure.clone() } }.into(),
        UnwindStarted { why: Why::Cancelled { by: user.clone(), reason: "wrong".into() } }.into(),
        CompensationStarted { step: step_a.clone(), attempt: Attempt(1) }.into(),
        CompensationDone { step: step_a.clone(), by: DoneBy::Body }.into(),
        CompensationFailed {
            step: step_a.clone(),
            attempt: Attempt(1),
            failure: failure.clone(),
            then: Then::Rest,
        }
        .into(),
        CompensationAsked { step: step_a.clone() }.into(),
        CompensationReset { step: step_a.clone(), new_key: false }.into(),
        CompensationSkipped { step: step_a.clone() }.into(),
        Unwound {}.into(),
        RunSettled {
            outcome: Outcome::Succeeded { output: Some(json("1").into()) },
            aftermath: Aftermath::default(),
        }
        .into(),
        RunSettled {
            outcome: Outcome::Compensated { why: Why::Deadline },
            aftermath: Aftermath {
                kept: vec![step_a.clone()],
                left: vec![step("scan")],
                in_doubt: vec![step("push")],
                failures: vec![(step("notify"), failure.clone())],
            },
        }
        .into(),
        PlanReplaced {
            from: Digest::of(b"a"),
            to: Digest::of(b"b"),
            plan: blob.clone(),
            changed: vec![step_a.clone()],
            by: user.clone(),
            reason: "new bake time".into(),
        }
        .into(),
        Imported { step: step_a.clone(), output: json("1").into(), at: Seq(3), adopt_undo: true }.into(),
        Redacted { at: Seq(4), by: user.clone(), reason: "a password".into() }.into(),
        LocksAsked { locks: vec![name("production")] }.into(),
        LocksTaken { locks: vec![(name("production"), 8)] }.into(),
        LocksReturned { locks: vec![name("production")] }.into(),
        ItemsListed {
            step: step("deploy"),
            items: json("[[\"eu\",1]]").into(),
            given: json("{\"digest\":\"d\"}").into(),
            count: 1,
        }
        .into(),
        SubRunsStarted { step: step("deploy"), first: 0, count: 2 }.into(),
        SubRunSettled {
            step: step("deploy"),
            index: 0,
            item: item.clone(),
            run,
            outcome: Outcome::Succeeded { output: Some(json("1").into()) },
            undoable: true,
            left: false,
        }
        .into(),
        SubRunSettled {
            step: step("deploy"),
            index: 0,
            item,
            run,
            outcome: Outcome::Compensated { why: Why::WithParent },
            undoable: false,
            left: true,
        }
        .into(),
        SubRunsUnwinding { step: step("deploy"), items: vec![1, 0] }.into(),
        ParentOrdered { order: Order::Unwind, fencing: Default::default() }.into(),
        ParentOrdered { order: Order::Cancel, fencing: Default::default() }.into(),
        ParentOrdered {
            order: Order::Abandon { by: user.clone(), reason: "wrong".into() },
            fencing: BTreeMap::from([(name("production"), 9)]),
        }
        .into(),
        Overridden { what: name("freeze"), by: user, reason: "incident 12".into() }.into(),
    ]
}

#[test]
fn events_are_a_stored_format() {
    let mut shown = String::new();
    for event in samples() {
        let payload = event.encode().unwrap();
        shown +=
            &format!("{:>2} {} {}\n", event.kind().code(), event.kind(), String::from_utf8_lossy(&payload));
        assert_eq!(Event::decode(event.kind().code(), &payload).as_ref(), Ok(&event));
    }
    crate::snapshot::check("events.txt", &shown);
}

#[test]
fn every_kind_has_a_sample() {
    let shown: std::collections::BTreeSet<_> = samples().iter().map(Event::kind).collect();
    let all: std::collections::BTreeSet<_> = EventKind::ALL.iter().copied().collect();
    assert_eq!(shown, all);
    for kind in EventKind::ALL {
        assert_eq!(EventKind::from_code(kind.code()), Some(*kind));
    }
}

#[test]
fn unknown_kind_is_an_error_that_says_what_to_do() {
    let error = Event::decode(9_999, b"{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "event kind 9999 is unknown to this release: a newer one wrote it; upgrade, then retry"
    );
    assert!(Event::decode(2, b"{}").unwrap_err().to_string().contains("missing field `step`"));
}
