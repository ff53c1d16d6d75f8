//! For every event of the sample plans, and of their items: a real child process is killed with SIGKILL just before and just after the
//! append of that event, also during unwinding; a new process takes over; and the ledger, a process of its own, shows
//! that nothing was lost, doubled or leaked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};
use towpath::model::{
    Actor, Chain, Event, EventKind, Json, Message, Name, NewEntry, RunId, Seq, StepId, Verb,
};
use towpath::store::{Filter, Level, Page};
use towpath_testkit::{Aim, Side};
use towpath_tests::crash::{
    child::open,
    ledger::{Ask, all_lines, ask, doubled, lines_of},
    plans::{FOR_EACH, NAMES, REGIONS, effects, steps},
};

const CHILD: &str = env!("CARGO_BIN_EXE_crash-child");

struct Ledger {
    child: Child,
    port: u16,
    file: PathBuf,
}

impl Ledger {
    fn start(folder: &Path) -> Self {
        let file = folder.join("ledger.jsonl");
        let mut child = Command::new(CHILD)
            .arg("ledger")
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the ledger");
        let mut port = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut port).expect("the ledger's port");
        Ledger { child, port: port.trim().parse().expect("a port"), file }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child, and what it tells.
struct Driver {
    child: Child,
    told: BufReader<ChildStdout>,
}

impl Driver {
    fn start(db: &Path, plan: &str, ledger: &Ledger, aim: Option<Aim>, item: Option<u64>) -> Self {
        let mut command = Command::new(CHILD);
        command.arg("drive").arg(db).arg(plan).arg(ledger.port.to_string());
        if let Some(aim) = aim {
            command.arg(aim.seq.to_string()).arg(aim.side.to_string());
            command.args(item.map(|item| item.to_string()));
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("start a child");
        let told = BufReader::new(child.stdout.take().expect("piped"));
        Driver { child, told }
    }

    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.told.read_line(&mut line).expect("read what the child tells") {
            0 => None,
            _ => Some(line.trim_end().to_owned()),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a child's life ended.
#[derive(PartialEq, Eq, Debug)]
enum End {
    Killed,
    Settled(String),
}

/// Lets a child drive the run, doing what people have to do, until it settles or stands where it was aimed; then it is
/// killed.
fn live(case: &str, db: &Path, plan: &str, ledger: &Ledger, aim: Option<Aim>, item: Option<u64>) -> End {
    let mut driver = Driver::start(db, plan, ledger, aim, item);
    let mut run: Option<RunId> = None;
    while let Some(told) = driver.hear() {
        match told.split_once(' ').unwrap_or((&told, "")) {
            ("run", id) => run = Some(id.parse().expect("a run id")),
            ("aimed", at) => {
                assert_eq!(Some(at.to_owned()), aim.map(|a| a.to_string()), "{case}: it stopped elsewhere");
                driver.child.kill().expect("SIGKILL");
                driver.child.wait().expect("it is dead");
                return End::Killed;
            }
            ("settled", outcome) => return End::Settled(outcome.to_owned()),
            ("status", "waiting") if plan == "approval" => {
                let step = StepId::new("gate").unwrap();
                send(db, run.unwrap(), Message::Approval { step, approve: true, comment: String::new() });
            }
            ("status", "stuck") => {
                let run = run.unwrap();
                ask(ledger.port, &Ask::Raise { flag: format!("mended {run}") }).expect("raise the flag");
                let verb = Verb::Retry { step: None, new_key: false, from_scratch: false };
                send(db, run, Message::Verb { verb, reason: "mended".into() });
            }
            ("status", _) => {}
            _ => panic!("{case}: the child says {told:?}"),
        }
    }
    panic!("{case}: the child ended without a word");
}

/// Puts an entry into the run's inbox, as any other process may.
fn send(db: &Path, run: RunId, message: Message) {
    let entry = NewEntry {
        // One decision, whoever asks for it: a child that was killed may ask again.
        dedupe_id: Name::new(&format!("{run} decision {}", entry_number(db, run))).unwrap(),
        actor: Actor::new("user:alice").unwrap(),
        message: Json::of(&message).unwrap(),
    };
    block_on(async { open(db).unwrap().put_entry(run, entry).await.unwrap() });
}

/// Number of the run's last event: a verb is asked for once in each situation.
fn entry_number(db: &Path, run: RunId) -> u64 {
    journal(db, run).len() as u64
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The run's events, verified.
fn journal(db: &Path, run: RunId) -> Vec<Event> {
    block_on(async {
        let store = open(db).unwrap();
        let row = store.find(run).await.unwrap().expect("the run is there");
        let mut chain = Chain::new(run);
        let stored = store.events(row.no, Seq(0), 10_000).await.unwrap();
        stored
            .iter()
            .map(|event| {
                let header = chain.verify(event).expect("the chain is whole");
                Event::decode(header.kind, event.payload.as_ref().unwrap()).expect("a known event")
            })
            .collect()
    })
}

fn find_run(db: &Path) -> Option<RunId> {
    block_on(async {
        let store = open(db).unwrap();
        let page = Page { after: None, limit: 2 };
        let filter = Filter { level: Level::Top, ..Filter::default() };
        let rows = store.list(&filter, page).await.unwrap();
        assert!(rows.len() < 2, "one key makes one run");
        rows.first().map(|row| row.run)
    })
}

/// The runs that are items of this one, in the order of the list.
fn items(db: &Path, run: RunId) -> Vec<RunId> {
    let step = StepId::new(FOR_EACH).unwrap();
    let of = |index| RunId::of_item(run, &step, index, 1);
    let filter = Filter { level: Level::ItemsOf(run), ..Filter::default() };
    let page = Page { after: None, limit: 100 };
    let rows = block_on(async { open(db).unwrap().list(&filter, page).await.unwrap() });
    let known: Vec<RunId> = (0..rows.len() as u64).map(of).collect();
    assert!(rows.iter().all(|row| known.contains(&row.run)), "an item ran twice");
    known
}

fn only_run(db: &Path) -> RunId {
    find_run(db).expect("the run is there")
}

/// Everything that must hold of a settled run.
fn check(case: &str, plan: &str, db: &Path, ledger: &Ledger, outcome: &str) {
    let want = if unwinds(plan) { "compensated" } else { "succeeded" };
    assert_eq!(outcome, want, "{case}");
    let run = only_run(db);
    let items = items(db, run);
    let of = |run: &RunId| lines_of(&ledger.file, &run.to_string()).expect("read the ledger");
    let lines: Vec<_> = std::iter::once(&run).chain(&items).flat_map(of).collect();
    assert_eq!(doubled(&lines), Vec::<String>::new(), "{case}: doubled");
    let mut wrote: Vec<_> =
        lines.iter().map(|l| (l.step.clone(), l.phase.as_str(), l.effect.as_str())).collect();
    wrote.sort_unstable();
    assert_eq!(wrote, all_effects(plan), "{case}: lost, or leaked");
    check_journal(case, plan, &journal(db, run));
    for (item, region) in items.iter().zip(REGIONS) {
        check_item(case, plan, region, &journal(db, *item));
    }
}

/// Whether a plan fails, and is undone.
fn unwinds(plan: &str) -> bool {
    matches!(plan, "unwind" | "ends" | "items-unwind")
}

/// What the journal of an item has to say.
fn check_item(case: &str, plan: &str, region: &str, events: &[Event]) {
    let of = |kind| events.iter().filter(|e| e.kind() == kind).count();
    let (fails, undone) = (unwinds(plan) && region == "c", unwinds(plan));
    assert_eq!(of(EventKind::StepDone), if fails { 2 } else { 3 }, "{case}: what item {region} has done");
    // One that had succeeded settles once more when it is undone.
    let settled = if undone && !fails { 2 } else { 1 };
    assert_eq!(of(EventKind::RunSettled), settled, "{case}: how often item {region} settles");
    assert_eq!(of(EventKind::CompensationDone), if undone { 2 } else { 0 }, "{case}: item {region}");
}

/// The effects of a plan that came to its end: every step's, and when it is undone, their undoing. What is done at the
/// end of a failed run is not undone.
fn all_effects(plan: &str) -> Vec<(String, &'static str, &'static str)> {
    let own = steps(plan).iter().map(|step| ((*step).to_owned(), effects(plan, step)));
    let in_item = |region: &str| {
        let path = |step: &str| format!("{FOR_EACH}[{region}]/{step}");
        ["apply", "book"].map(|step| (path(step), effects(plan, step)))
    };
    let regions: &[&str] = if steps(plan).contains(&FOR_EACH) { &REGIONS } else { &[] };
    let all = own.chain(regions.iter().flat_map(|region| in_item(region)));
    let mut lines = Vec::new();
    for (step, effects) in all {
        let undone = unwinds(plan) && !matches!(step.as_str(), "note" | "tidy");
        for effect in effects {
            lines.push((step.clone(), "run", *effect));
            lines.extend(undone.then(|| (step.clone(), "undo", *effect)));
        }
    }
    lines.sort_unstable();
    lines
}

/// What the journal itself has to say: every step is done once, every wait begins once and ends once, and the run settles
/// once.
fn check_journal(case: &str, plan: &str, events: &[Event]) {
    let mut done: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::StepDone(e) => Some(e.step.as_str()),
            _ => None,
        })
        .collect();
    done.sort_unstable();
    let fails = if plan == "items-unwind" { FOR_EACH } else { "bad" };
    let mut want: Vec<_> = steps(plan).iter().copied().filter(|step| *step != fails).collect();
    want.sort_unstable();
    assert_eq!(done, want, "{case}: what is done");
    let begun: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            // A wait that began twice would have a second deadline.
            Event::WaitStarted(e) => Some(e.wait.as_str()),
            _ => None,
        })
        .collect();
    let over: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            Event::WaitOver(e) => Some(e.wait.as_str()),
            _ => None,
        })
        .collect();
    let waits: &[&str] = match plan {
        "waits" => &["bake-1", "bake-2", "bake-3"],
        "approval" => &["approval"],
        _ => &[],
    };
    assert_eq!((&begun[..], &over[..]), (waits, waits), "{case}: waits that began, and that ended");
    let settled = events.iter().filter(|e| e.kind() == EventKind::RunSettled).count();
    assert_eq!(settled, 1, "{case}: a run settles once");
}

/// Runs one case: killed at `aim`, then taken over and brought to its end. Gives the number of events of the run and of its
/// items.
fn case(plan: &str, at: Option<(Option<u64>, Aim)>, ledger: &Ledger) -> Vec<u64> {
    let name = match at {
        None => format!("{plan}, not killed"),
        Some((None, aim)) => format!("{plan}, killed {aim}"),
        Some((Some(item), aim)) => format!("{plan}, killed {aim} of item {item}"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("journal.db");
    if let Some((item, aim)) = at {
        let end = live(&name, &db, plan, ledger, Some(aim), item);
        assert_eq!(end, End::Killed, "{name}: the kill missed its aim");
    }
    let End::Settled(outcome) = live(&name, &db, plan, ledger, None, None) else {
        unreachable!("it has no aim")
    };
    check(&name, plan, &db, ledger, &outcome);
    let run = only_run(&db);
    std::iter::once(run).chain(items(&db, run)).map(|run| entry_number(&db, run)).collect()
}

/// Every event of one plan and of its items, on both sides, on two threads.
fn kill_everywhere(plan: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::start(folder.path());
    let started = Instant::now();
    let events = case(plan, None, &ledger);
    let journals = std::iter::once(None).chain((0..).map(Some)).zip(&events);
    let at = |(item, events): (Option<u64>, &u64)| {
        let sides = |seq| [Side::Before, Side::After].map(|side| (item, Aim { seq: Seq(seq), side }));
        (1..=*events).flat_map(sides).collect::<Vec<_>>()
    };
    let aims: Vec<(Option<u64>, Aim)> = journals.flat_map(at).collect();
    let todo = Mutex::new(aims.clone());
    let hit = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(aim) = todo.lock().unwrap().pop() else { break };
                    case(plan, Some(aim), &ledger);
                    hit.lock().unwrap().insert(aim);
                }
            });
        }
    });
    let hit = hit.into_inner().unwrap();
    assert_eq!(hit, aims.iter().copied().collect(), "every event was killed at, on both sides");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(300), "{plan}: {} kills took {took:?}", hit.len());
    eprintln!("{plan}: {events:?} events, {} kills, nothing lost, doubled or leaked, {took:.1?}", hit.len());
}

/// One life after the other, each killed soon after it took over, until the run settles. Taking over appends by itself (a
/// question about a step in doubt, another intent), so that every other life is given two appends more.
fn kill_life_after_life(plan: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, db) = (Ledger::start(folder.path()), folder.path().join("journal.db"));
    let mut events = 0;
    let aims = [(1, Side::Before), (1, Side::After), (3, Side::Before), (3, Side::After)];
    for (life, (ahead, side)) in aims.into_iter().cycle().take(200).enumerate() {
        let aim = Aim { seq: Seq(events + ahead), side };
        let name = format!("{plan}, life {life}, killed {aim}");
        if let End::Settled(outcome) = live(&name, &db, plan, &ledger, Some(aim), None) {
            check(&name, plan, &db, &ledger, &outcome);
            eprintln!("{plan}: {life} lives were killed, nothing lost, doubled or leaked");
            return;
        }
        // Killed before its first event, the run is not there yet.
        events = find_run(&db).map_or(0, |run| entry_number(&db, run));
    }
    panic!("{plan}: 200 lives did not settle it");
}

#[test]
fn crash_life_after_life() {
    NAMES.iter().for_each(|plan| kill_life_after_life(plan));
}

/// The proof itself is worth nothing if it could not fail: a step that lies about what repeating does is found out.
#[test]
fn crash_proof_finds_a_step_that_lies() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, db) = (Ledger::start(folder.path()), folder.path().join("journal.db"));
    // Event 3 says that the step is done: killed before it, the effect is there and the journal does not say so.
    let aim = Aim { seq: Seq(3), side: Side::Before };
    assert_eq!(live("liar", &db, "liar", &ledger, Some(aim), None), End::Killed);
    assert_eq!(live("liar", &db, "liar", &ledger, None, None), End::Settled("succeeded".into()));
    let lines = lines_of(&ledger.file, &only_run(&db).to_string()).expect("read the ledger");
    assert_eq!(doubled(&lines), ["lie run order (2 times)"]);
}

/// One life of two runs that want one lock.
fn contend(case: &str, db: &Path, plan: &str, ledger: &Ledger, at: Option<(usize, Aim)>) -> End {
    let mut command = Command::new(CHILD);
    command.arg("contend").arg(db).arg(plan).arg(ledger.port.to_string());
    if let Some((which, aim)) = at {
        command.arg(aim.seq.to_string()).arg(aim.side.to_string()).arg(which.to_string());
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("start a child");
    let told = BufReader::new(child.stdout.take().expect("piped"));
    let mut driver = Driver { child, told };
    while let Some(told) = driver.hear() {
        match told.split_once(' ').unwrap_or((&told, "")) {
            ("run", _) => {}
            ("aimed", aimed) => {
                assert_eq!(
                    Some(aimed.to_owned()),
                    at.map(|(_, aim)| aim.to_string()),
                    "{case}: it stopped elsewhere"
                );
                driver.child.kill().expect("SIGKILL");
                driver.child.wait().expect("it is dead");
                return End::Killed;
            }
            ("settled", what) => return End::Settled(what.to_owned()),
            _ => panic!("{case}: the child says {told:?}"),
        }
    }
    panic!("{case}: the child ended without a word");
}

/// The runs of a journal, the first first.
fn rivals(db: &Path) -> Vec<RunId> {
    let page = Page { after: None, limit: 9 };
    let rows = block_on(async { open(db).unwrap().list(&Filter::default(), page).await.unwrap() });
    rows.iter().rev().map(|row| row.run).collect()
}

/// What the ledger, which is outside of all that was killed, saw of those who went through the door: never two inside at
/// once, neither on their way nor while they undo it.
fn one_at_a_time(case: &str, ledger: &Ledger, runs: &[RunId], undone: bool) {
    let mine: Vec<String> = runs.iter().map(ToString::to_string).collect();
    let lines = all_lines(&ledger.file).expect("read the ledger");
    let lines: Vec<_> = lines.iter().filter(|line| mine.contains(&line.run)).collect();
    let mut inside: Option<&str> = None;
    for line in &lines {
        let begins = matches!((&*line.step, &*line.phase), ("enter", "run") | ("leave", "undo"));
        if begins {
            assert_eq!(inside, None, "{case}: {} goes in while another is inside: {lines:?}", line.run);
            inside = Some(&line.run);
        } else {
            assert_eq!(inside, Some(&*line.run), "{case}: {lines:?}");
            inside = None;
        }
    }
    assert_eq!(inside, None, "{case}: somebody stayed inside");
    assert_eq!(
        lines.len(),
        runs.len() * if undone { 4 } else { 2 },
        "{case}: lost, doubled or leaked: {lines:?}"
    );
}

/// One case of a hand-over: killed at `at`, then taken over and brought to its end. Gives the number of events of each run.
fn hand_over(plan: &str, at: Option<(usize, Aim)>, ledger: &Ledger) -> Vec<u64> {
    let name = match at {
        None => format!("{plan}, not killed"),
        Some((which, aim)) => format!("{plan}, killed {aim} of run {which}"),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let db = folder.path().join("journal.db");
    if at.is_some() {
        assert_eq!(contend(&name, &db, plan, ledger, at), End::Killed, "{name}: the kill missed its aim");
    }
    assert_eq!(contend(&name, &db, plan, ledger, None), End::Settled("both".into()), "{name}");
    let runs = rivals(&db);
    assert_eq!(runs.len(), 2, "{name}");
    one_at_a_time(&name, ledger, &runs, plan == "door-unwind");
    for run in &runs {
        let events = journal(&db, *run);
        let of = |kind| events.iter().filter(|event| event.kind() == kind).count();
        let (asked, taken, returned) =
            (of(EventKind::LocksAsked), of(EventKind::LocksTaken), of(EventKind::LocksReturned));
        assert!(asked == taken && taken == returned && asked > 0, "{name}: {asked} {taken} {returned}");
    }
    assert_eq!(
        block_on(async { open(&db).unwrap().locks().await.unwrap() }),
        [],
        "{name}: a lock is left behind"
    );
    runs.iter().map(|run| entry_number(&db, *run)).collect()
}

/// Every append of both runs, on both sides, on two threads.
fn kill_hand_over(plan: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::start(folder.path());
    let events = hand_over(plan, None, &ledger);
    let of = |(which, events): (usize, &u64)| {
        let sides = |seq| [Side::Before, Side::After].map(|side| (which, Aim { seq: Seq(seq), side }));
        (1..=*events).flat_map(sides).collect::<Vec<_>>()
    };
    let todo: Vec<(usize, Aim)> = events.iter().enumerate().flat_map(of).collect();
    let (kills, todo) = (todo.len(), Mutex::new(todo));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(at) = todo.lock().unwrap().pop() else { break };
                    hand_over(plan, Some(at), &ledger);
                }
            });
        }
    });
    eprintln!("{plan}: {events:?} events, {kills} kills, never two at once, nothing lost, doubled or leaked");
}

#[test]
fn crash_at_every_event_of_a_lock_that_is_handed_over() {
    kill_hand_over("door");
}

#[test]
fn crash_at_every_event_of_a_lock_that_is_taken_again_to_undo() {
    kill_hand_over("door-unwind");
}

macro_rules! plans { ($($test:ident $plan:literal;)*) => {
    $(#[test] fn $test() { kill_everywhere($plan) })*

    #[test]
    fn crash_covers_every_sample_plan() {
        assert_eq!(NAMES.to_vec(), [$($plan),*]);
    }
} }

plans! {
    crash_at_every_event_of_a_linear_plan "linear";
    crash_at_every_event_of_a_diamond "diamond";
    crash_at_every_event_of_three_durable_waits "waits";
    crash_at_every_event_of_an_approval "approval";
    crash_at_every_event_in_doubt "doubt";
    crash_at_every_event_of_unwinding "unwind";
    crash_at_every_event_of_last_steps "ends";
    crash_at_every_event_of_pipelines_within_a_pipeline "within";
    crash_at_every_event_of_items "items";
    crash_at_every_event_of_items_that_unwind "items-unwind";
}
