//! What is said of a run that does not move, and in lists of runs.

use crate::sim::{
    driver::{Sim, at},
    plans::{StepExt, compile, json, plan, record, step},
    rng::Rng,
    script::{cancel, run, run_of, unknown},
};
use towpath_model::{
    Ended,
    FailureKind::{NeedsOperator, Permanent, Transient},
    InDoubt, Section, UndoPolicy, Verb,
};

/// The explanation, with the run's id and the date taken out.
fn said(sim: &Sim) -> String {
    let text = sim.state.explain().to_string();
    text.replace("07070707-0707-0707-0707-070707070707", "RUN")
        .replace("2001-09-09T01:", "")
        .replace(".000000Z", "")
}

fn listed(sim: &Sim) -> String {
    let listing = sim.state.listing();
    format!("{}: {}", listing.status, listing.note)
}

#[test]
fn a_run_that_runs() {
    let mut sim = run_of([step("a"), step("b")]);
    sim.fails("b", Transient);
    assert_eq!(
        said(&sim),
        "the run is running\n  a runs, attempt 1 since 46:40; a worker moves it on\n  \
         b is to be tried again after: a transient failure since 46:40; it goes on at 46:41"
    );
    assert_eq!(listed(&sim), "running: ");
}

#[test]
fn a_run_that_waits() {
    let mut sim = run_of([step("sleep"), step("go"), step("limited"), step("ask")]);
    sim.waits("sleep", "bake-25", Some(at(600)), None)
        .waits("go", "w", None, Some("go"))
        .waits("limited", "w", Some(at(60)), Some("ready to go"))
        .waits("ask", "decision", None, Some("approval"));
    assert_eq!(
        said(&sim),
        "the run is waiting\n  \
         sleep sleeps (bake-25) since 46:40; it goes on at 56:40\n  \
         go waits for the signal go since 46:40; `towpath signal RUN go --step go` moves it on\n  \
         limited waits for the signal ready to go since 46:40; `towpath signal RUN ready to go --step limited` moves \
         it on, or it goes on at 47:40\n  \
         ask waits for the signal approval since 46:40; `towpath approve RUN ask` moves it on"
    );
    assert_eq!(listed(&sim), "waiting: sleep: bake-25, go: w, limited: w, ask: decision");
}

#[test]
fn a_run_that_is_paused() {
    let mut sim = run_of([step("a")]);
    sim.fails("a", Transient).time(3).fails("a", Transient).does(Verb::Pause).time(100);
    assert_eq!(
        said(&sim),
        "the run is paused\n  \
         a is to be tried again after: a transient failure since 46:43; it goes on at 46:44\n  \
         user:ann has paused the run (because) since 46:43; an operator moves it on: resume"
    );
}

#[test]
fn steps_in_doubt_and_steps_that_rest() {
    let mut sim = run_of([
        step("looked-at").in_doubt(InDoubt::Observe),
        step("again").in_doubt(InDoubt::Observe),
        step("ask").in_doubt(InDoubt::AskOperator),
        step("taken").in_doubt(InDoubt::Observe),
    ]);
    sim.lost("looked-at", Ended::TimedOut).lost("again", Ended::Panicked).observed("again", unknown());
    sim.lost("ask", Ended::Unknown).ends("taken", crate::BodyEnd::TakenOver(json("{\"by\":\"bob\"}")));
    assert_eq!(
        said(&sim),
        "the run is running\n  \
         looked-at is in doubt, because its time limit passed, and is looked at since 46:40; a worker moves it on\n  \
         again is in doubt, because its body panicked, and is looked at again since 46:40; it goes on at 46:41\n  \
         ask rests: it is not known whether it took effect: the body does not know whether it took effect since 46:40; \
         an operator moves it on: retry, skip, resolve\n  \
         taken rests: somebody else changed what it owns; seen: {\"by\":\"bob\"} since 46:40; \
         an operator moves it on: retry, skip, resolve, handback"
    );
    sim.observed("looked-at", unknown())
        .time(1)
        .observed("again", unknown())
        .observed("looked-at", unknown());
    sim.time(3).observed("again", unknown()).observed("looked-at", unknown());
    assert!(said(&sim).contains(
        "again rests: it cannot be told whether it took effect: a transient failure since 46:43; \
         an operator moves it on: retry, skip, resolve"
    ));
    assert_eq!(listed(&sim), "stuck: an operator has to decide about looked-at, again, ask, taken");
    assert_eq!(sim.state.explain().verbs, ["retry", "skip", "resolve", "handback", "cancel", "abandon"]);
}

#[test]
fn a_run_that_comes_to_a_stop_and_is_undone() {
    let mut sim = run_of(
        [
            step("a").undoable(),
            step("again").undoable(),
            step("asked").undo(UndoPolicy::Ask),
            step("doubt").undoable().in_doubt(InDoubt::Observe),
            step("boom"),
        ]
        .map(|s| s.edit(|s| s.undo_retry.attempts_max = 2)),
    );
    sim.done("again").done("asked").lost("doubt", Ended::Panicked).fails("boom", Permanent);
    assert_eq!(
        said(&sim),
        "the run comes to a stop: what still runs is asked to end\n  \
         a is asked to stop, attempt 1 since 46:40; a worker moves it on"
    );
    assert_eq!(listed(&sim), "unwinding: ");
    sim.done("a").undo_fails("again", Transient);
    assert_eq!(
        said(&sim),
        "the run undoes what it did\n  \
         a is being undone since 46:40; a worker moves it on\n  \
         again could not be undone yet since 46:40; it goes on at 46:41\n  \
         asked asks whether to be undone since 46:40; an operator moves it on: retry, skip, resolve\n  \
         doubt is looked at before it is undone since 46:40; a worker moves it on"
    );
    sim.observed("doubt", unknown()).undone("doubt").undone("a").wakes().undo_fails("again", Transient);
    assert_eq!(
        said(&sim),
        "the run undoes what it did\n  \
         again could not be undone: a transient failure since 46:41; an operator moves it on: retry, skip, resolve\n  \
         asked asks whether to be undone since 46:40; an operator moves it on: retry, skip, resolve"
    );
    assert_eq!(listed(&sim), "stuck: an operator has to decide about again, asked");
}

#[test]
fn a_run_at_its_end() {
    let steps =
        [step("a"), step("tell").section(Section::OnFailure), step("clean").section(Section::Finally)];
    let mut sim = Sim::new(plan(steps), Rng::new(1), None);
    sim.fails("a", Permanent);
    assert_eq!(
        said(&sim),
        "the run has failed: its on_failure steps have their turn\n  \
         tell runs, attempt 1 since 46:40; a worker moves it on"
    );
    sim.done("tell");
    assert_eq!(
        said(&sim),
        "the run is at its end: its finally steps have their turn\n  \
         clean runs, attempt 1 since 46:40; a worker moves it on"
    );
    sim.done("clean");
    assert_eq!(said(&sim), "the run has settled: failed: step a failed: a permanent failure");
    assert_eq!(listed(&sim), "settled: ");
}

#[test]
fn what_may_start_and_has_no_place() {
    let mut record = record([step("a"), step("b")]);
    record.parallel = 1;
    let mut sim = run(compile(record));
    assert_eq!(
        said(&sim),
        "the run is running\n  a runs, attempt 1 since 46:40; a worker moves it on\n  \
         b may start since 46:40; a worker moves it on"
    );
    sim.does(cancel()).lost("a", Ended::Dropped);
    assert_eq!(said(&sim), "the run has settled: cancelled: cancelled by user:ann: because");
}

#[test]
fn a_row_is_short_however_many_steps_rest() {
    let mut record = record((0..9).map(|n| step(&format!("s{n}"))));
    record.parallel = 9;
    let mut sim = run(compile(record));
    for n in 0..9 {
        sim.fails(&format!("s{n}"), NeedsOperator);
    }
    assert_eq!(listed(&sim), "stuck: an operator has to decide about s0, s1, s2, s3, and more");
}
