//! "Verbs against states": every cell of the table in the semantics, and who is told what when a verb cannot apply.

use crate::sim::{
    driver::{Sim, What, at},
    plans::{StepExt, json, plan, step},
    rng::Rng,
    script::{cancel, cancel_no_unwind, handback, resolve_done, resolve_not_done, retry, run_of, skip},
};
use towpath_model::{
    Ended,
    FailureKind::{NeedsOperator, Permanent, Transient},
    InDoubt, Section, Verb,
};

type Begin = fn() -> Sim;

/// The columns of the table, and the states between them.
const COLUMNS: [(&str, Begin); 9] = [
    ("running", running),
    ("waiting", waiting),
    ("unwinding", unwinding),
    ("stuck", stuck),
    ("stuck at undoing", stuck_at_undoing),
    ("coming to a stop", stopping),
    ("paused", paused),
    ("last steps run", last_running),
    ("last steps wait", last_waiting),
];

/// `a` is done and can be undone, `b` is next to it, and there are steps for a failure and for the end.
fn begin(deadline: Option<u64>) -> Sim {
    let steps = [
        step("a").undoable(),
        step("b").undoable().in_doubt(InDoubt::AskOperator),
        step("tell").section(Section::OnFailure),
        step("clean").section(Section::Finally),
    ];
    let mut sim = Sim::new(plan(steps), Rng::new(1), deadline.map(at));
    sim.done("a");
    sim
}

fn running() -> Sim {
    begin(Some(30))
}

fn waiting() -> Sim {
    running().waits("b", "w", None, Some("go")).clone()
}

fn unwinding() -> Sim {
    running().fails("b", Permanent).clone()
}

fn stuck() -> Sim {
    running().lost("b", Ended::Panicked).clone()
}

fn stuck_at_undoing() -> Sim {
    unwinding().undo_fails("b", Permanent).undone("a").clone()
}

fn stopping() -> Sim {
    running().does(cancel()).clone()
}

fn paused() -> Sim {
    running().does(Verb::Pause).clone()
}

fn last_running() -> Sim {
    running().done("b").clone()
}

fn last_waiting() -> Sim {
    last_running().waits("clean", "w", None, Some("go")).clone()
}

/// Where a run stands, in one line.
fn stands(sim: &Sim) -> String {
    let mut text = sim.state.status().to_string();
    for (what, word) in [(What::Run, "runs"), (What::Undo, "undoes")] {
        let steps = sim.under_way(what);
        if !steps.is_empty() {
            let asked = sim.bodies.iter().any(|b| b.what == what && b.is_stopping());
            let word = if asked { "stops" } else { word };
            text.push_str(&format!(", {word} {}", steps.join(" ")));
        }
    }
    text
}

/// What a verb comes to in each column: where the run stands then, or `refused` and the beginning of why.
fn row(verb: &Verb) -> Vec<String> {
    let cell = |(name, begin): &(&str, Begin)| {
        let mut sim = begin();
        let was = sim.state.clone();
        let answer = sim.verb(verb.clone());
        sim.decide();
        let after = match answer {
            Ok(()) => stands(&sim),
            Err(why) => {
                assert_eq!(sim.state.nodes, was.nodes, "a refused verb changes nothing");
                let why = why.split("; what applies").next().unwrap();
                format!("refused: {why}")
            }
        };
        format!("{name}: {after}")
    };
    COLUMNS.iter().map(cell).collect()
}

#[test]
fn pause() {
    assert_eq!(
        row(&Verb::Pause),
        [
            "running: paused, runs b",
            "waiting: paused",
            "unwinding: paused, undoes b a",
            "stuck: refused: the run is stuck: there is nothing to pause",
            "stuck at undoing: refused: the run is stuck: there is nothing to pause",
            "coming to a stop: paused, stops b",
            "paused: paused, runs b",
            "last steps run: paused, runs clean",
            "last steps wait: paused",
        ]
    );
}

#[test]
fn resume() {
    assert_eq!(
        row(&Verb::Resume),
        [
            "running: running, runs b",
            "waiting: waiting",
            "unwinding: unwinding, undoes b a",
            "stuck: stuck",
            "stuck at undoing: stuck",
            "coming to a stop: unwinding, stops b",
            "paused: running, runs b",
            "last steps run: running, runs clean",
            "last steps wait: waiting",
        ]
    );
}

#[test]
fn cancel_with_unwinding() {
    assert_eq!(
        row(&cancel()),
        [
            "running: unwinding, stops b",
            "waiting: unwinding, undoes b a",
            "unwinding: unwinding, undoes b a",
            "stuck: unwinding, undoes b a",
            "stuck at undoing: stuck",
            "coming to a stop: unwinding, stops b",
            "paused: unwinding, stops b",
            "last steps run: refused: the run is at its end: only its last steps run",
            "last steps wait: refused: the run is at its end: only its last steps run",
        ]
    );
}

#[test]
fn cancel_without_unwinding() {
    assert_eq!(
        row(&cancel_no_unwind()),
        [
            "running: unwinding, stops b",
            "waiting: running, runs clean",
            "unwinding: unwinding, undoes b a",
            "stuck: running, runs clean",
            "stuck at undoing: running, runs clean",
            "coming to a stop: unwinding, stops b",
            "paused: unwinding, stops b",
            "last steps run: refused: the run is at its end: only its last steps run",
            "last steps wait: refused: the run is at its end: only its last steps run",
        ]
    );
    let end = |mut sim: Sim, undone: &[&str]| {
        sim.does(cancel_no_unwind());
        if sim.under_way(What::Run) == ["b"] {
            sim.lost("b", Ended::Dropped);
        }
        for step in undone {
            sim.undone(step);
        }
        sim.done("clean");
        (sim.outcome().word(), sim.aftermath())
    };
    let left = |text: &str| ("cancelled", text.to_owned());
    assert_eq!(end(running(), &[]), left(r#"kept [] left ["a", "b"] in doubt ["b"] failed []"#));
    assert_eq!(end(waiting(), &[]), left(r#"kept [] left ["a", "b"] in doubt [] failed []"#));
    assert_eq!(end(stuck(), &[]), left(r#"kept [] left ["a", "b"] in doubt ["b"] failed []"#));
    assert_eq!(end(stopping(), &[]), left(r#"kept [] left ["a", "b"] in doubt ["b"] failed []"#));
    assert_eq!(end(unwinding(), &["a", "b"]), left("kept [] left [] in doubt [] failed []"));
    assert_eq!(end(stuck_at_undoing(), &[]), left(r#"kept [] left ["b"] in doubt [] failed []"#));
}

#[test]
fn abandon() {
    assert_eq!(
        row(&Verb::Abandon),
        [
            "running: refused: something of the run is under way: cancel it first",
            "waiting: running, runs clean",
            "unwinding: unwinding, undoes b a",
            "stuck: running, runs clean",
            "stuck at undoing: running, runs clean",
            "coming to a stop: unwinding, stops b",
            "paused: refused: something of the run is under way: cancel it first",
            "last steps run: refused: its last steps are under way: wait until they end",
            "last steps wait: settled",
        ]
    );
    let mut sim = stuck();
    sim.does(Verb::Abandon).done("clean");
    assert_eq!(sim.outcome().to_string(), "abandoned by user:ann: because");
    assert_eq!(sim.aftermath(), r#"kept [] left ["a", "b"] in doubt ["b"] failed []"#);
}

#[test]
fn verbs_about_a_step() {
    for (verb, word) in [
        (retry("b"), "retry"),
        (skip("b"), "skip"),
        (resolve_done("b"), "resolve"),
        (resolve_not_done("b"), "resolve"),
        (handback("b"), "handback"),
    ] {
        let (stuck, undoing) = match (word, &verb) {
            ("retry", _) => ("running, runs b", "unwinding, undoes b"),
            ("skip", _) => ("running, runs clean", "running, runs tell"),
            ("handback", _) => {
                let why = "refused: nobody took b over: it rests for another reason";
                (why, why)
            }
            (_, Verb::Resolve { to: towpath_model::ResolveAs::Done(_), .. }) => {
                ("running, runs clean", "running, runs tell")
            }
            _ => ("running, runs b", "unwinding, undoes b"),
        };
        let none = "refused: b does not wait for an operator";
        let expected = [none, none, none, stuck, undoing, none, none, none, none];
        let expected: Vec<_> =
            COLUMNS.iter().zip(expected).map(|((name, _), e)| format!("{name}: {e}")).collect();
        assert_eq!(row(&verb), expected, "{word}");
    }
}

#[test]
fn the_runs_deadline() {
    let passes = |begin: Begin| {
        let mut sim = begin();
        sim.now = at(40);
        sim.decide();
        let ignored = !sim.kinds().contains(&"deadline-passed") || sim.state.leaving().is_none();
        format!("{}{}", stands(&sim), if ignored { " (ignored)" } else { "" })
    };
    assert_eq!(passes(running), "unwinding, stops b");
    assert_eq!(passes(waiting), "unwinding, undoes b a");
    assert_eq!(passes(unwinding), "unwinding, undoes b a (ignored)");
    assert_eq!(passes(stuck), "stuck (ignored)");
    assert_eq!(passes(paused), "paused, runs b (ignored)");
    assert_eq!(passes(last_waiting), "waiting (ignored)");
}

#[test]
fn a_verb_that_is_true_already_answers_ok() {
    paused().does(Verb::Pause);
    running().does(Verb::Resume);
    stopping().does(cancel());
    let mut sim = stopping();
    sim.lost("b", Ended::Dropped).undone("b").undone("a").does(cancel()).does(cancel_no_unwind());
    assert_eq!(sim.under_way(What::Run), ["clean"]);
    let mut sim = stuck();
    sim.does(Verb::Abandon).does(Verb::Abandon).done("clean");
}

#[test]
fn each_refusal_says_which_verbs_apply() {
    let refusals = [
        (
            running().refused(Verb::Abandon),
            "something of the run is under way: cancel it first; what applies: pause, cancel",
        ),
        (running().refused(retry("b")), "b does not wait for an operator; what applies: pause, cancel"),
        (running().refused(retry("no")), "the plan has no step no"),
        (
            waiting().refused(skip("b")),
            "b does not wait for an operator; what applies: pause, cancel, abandon",
        ),
        (
            waiting().refused(Verb::Retry { step: None, new_key: false, from_scratch: false }),
            "no step waits for an operator: there is nothing to retry; what applies: pause, cancel, abandon",
        ),
        (
            stuck().refused(Verb::Pause),
            "the run is stuck: there is nothing to pause; what applies: retry, skip, resolve, cancel, abandon",
        ),
        (
            stuck_at_undoing().refused(Verb::Pause),
            "the run is stuck: there is nothing to pause; what applies: retry, skip, resolve, cancel --no-unwind, abandon",
        ),
        (
            last_waiting().refused(cancel()),
            "the run is at its end: only its last steps run; what applies: pause, abandon",
        ),
    ];
    for (refusal, expected) in refusals {
        assert_eq!(refusal, expected);
    }
    let mut two = run_of([step("a"), step("b"), step("c")]);
    two.fails("a", NeedsOperator).fails("c", NeedsOperator);
    assert_eq!(
        two.refused(Verb::Skip { step: None, output: Some(json("1")) }),
        "2 steps wait for an operator: name one of a, c"
    );
    assert_eq!(
        two.refused(resolve_done("a")),
        "a is not in doubt: it failed; what applies: retry, skip, pause, cancel"
    );
}

#[test]
fn pause_lets_what_runs_finish_and_starts_nothing() {
    let mut sim = run_of([step("a"), step("b").after("a"), step("c"), step("p")]);
    sim.waits("p", "w", Some(at(5)), Some("go")).fails("c", Transient).does(Verb::Pause).done("a");
    sim.gets("go", None, "1").time(60);
    assert_eq!(
        (sim.under_way(What::Run), sim.state.wake()),
        (vec![], None),
        "timers keep running, their effects wait"
    );
    sim.does(Verb::Resume);
    assert_eq!(sim.under_way(What::Run), ["p", "c", "b"]);
    let value = sim.node("p").waits()[&crate::sim::plans::name("w")].over.clone().unwrap();
    assert_eq!(
        value.unwrap().as_str(),
        "1",
        "it was received before the wait was over? no: at the same time"
    );
}

#[test]
fn pause_while_unwinding_finishes_the_compensation_in_flight_and_then_rests() {
    let mut sim = run_of([step("a").undoable(), step("b").undoable().after("a"), step("boom").after("b")]);
    sim.done("a").done("b").fails("boom", Permanent).does(Verb::Pause).undone("b");
    assert_eq!((sim.under_way(What::Undo), sim.state.wake()), (vec![], None));
    sim.does(cancel());
    assert!(sim.state.is_paused(), "a cancel that changes nothing does not resume either");
    assert_eq!(sim.does(Verb::Resume).under_way(What::Undo), ["a"]);
}

#[test]
fn cancel_of_a_paused_run_goes_on() {
    let mut sim = run_of([step("a").undoable(), step("b").after("a")]);
    sim.does(Verb::Pause).done("a").does(cancel());
    assert_eq!((sim.state.is_paused(), sim.under_way(What::Undo)), (false, vec!["a"]));
}

#[test]
fn a_settled_run_takes_nothing_more() {
    let mut sim = run_of([step("a")]);
    sim.done("a");
    let before = sim.journal.len();
    sim.gets("go", None, "1");
    assert!(sim.verb(Verb::Pause).is_err());
    sim.decide();
    assert_eq!((sim.journal.len(), sim.state.verbs(), sim.state.explain().waits), (before, vec![], vec![]));
}
