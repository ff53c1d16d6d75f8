//! Killed processes lose nothing that was answered, and leave nothing torn.

use crate::{
    child::{Process, say},
    common::{Outcome, Run, Sqlite, listing, register, run_id, stored_chain},
};
use std::{collections::HashMap, path::Path, thread};
use towpath_model::{Attempt, Seq, Status, StepId};
use towpath_store::{Clock, LogLine, Progress, Store, SystemClock, Transition, conformance::block_on};
use towpath_store_sqlite::{Options, SqliteStore};

const RUNS: u64 = 8;
const EVENTS: usize = 2;

/// A transition that writes its number in four tables.
fn numbered(run: &mut Run, step: &StepId) -> Transition {
    let mut t = run.append(EVENTS);
    let (number, at) = (run.chain.seq().0, SystemClock.now());
    t.listing = Some(listing(Status::Running, &number.to_string()));
    t.progress = vec![Progress { step: step.clone(), percent: 1, message: number.to_string(), at }];
    t.logs = vec![LogLine { step: step.clone(), attempt: Attempt(1), line: 0, at, text: number.to_string() }];
    t
}

/// A child: drives its runs on as many threads, and says which events were answered.
pub(crate) fn commit_for_ever(database: &Path) {
    let store = SqliteStore::open(database, Options::default()).expect("the store opens");
    let step = StepId::new("build").expect("a slug is a step's id");
    let me = u64::from(std::process::id());
    let worker = block_on(register(&store, &format!("child-{me}"))).expect("the worker registers");
    thread::scope(|scope| {
        for n in 0..RUNS {
            let (store, step, worker) = (&store, &step, &worker);
            scope.spawn(move || {
                let mut run = block_on(Run::start(store, worker, me * RUNS + n)).expect("the run starts");
                loop {
                    let t = numbered(&mut run, step);
                    let answers = block_on(store.commit(vec![t])).expect("the commit is answered");
                    assert_eq!(answers, [Ok(run.chain.seq())]);
                    say(&format!("{} {}", me * RUNS + n, run.chain.seq()));
                }
            });
        }
    });
}

async fn verify(store: &dyn Store, n: u64, answered: u64) -> Outcome<u64> {
    let step = StepId::new("build")?;
    let row = store.find(run_id(n)).await?.ok_or("a run that was answered is gone")?;
    let (head, chain) = (store.head(row.no).await?, stored_chain(store, row.run, row.no).await?);
    assert_eq!((head.seq, head.hash), (chain.seq(), chain.hash()));
    assert!(
        chain.seq() >= Seq(answered),
        "event {answered} was answered, the journal ends at {}",
        chain.seq()
    );
    assert_eq!(chain.seq().0 % EVENTS as u64, 0, "half a transition is there");
    let number = chain.seq().0.to_string();
    let logs = store.logs(row.no, &step, 0, usize::MAX).await?;
    assert_eq!(row.listing.note, number);
    assert_eq!(store.progress(row.no).await?[0].message, number);
    assert_eq!(logs.last().map(|l| l.text.as_str()), Some(number.as_str()));
    assert_eq!(logs.len() as u64 * EVENTS as u64, chain.seq().0);
    Ok(chain.seq().0)
}

#[test]
fn one_transition_survives_a_kill_whole_or_not_at_all() -> Outcome {
    let fixture = Sqlite::new();
    let mut written = 0;
    for kill in 0..20_u64 {
        let mut child = Process::start("commit", &fixture.folder.database());
        let mut answered = HashMap::<u64, u64>::new();
        let mut note = |line: &str| {
            let (n, seq) = line.split_once(' ')?;
            answered.insert(n.parse().ok()?, seq.parse().ok()?)
        };
        // Somewhere in its work, another place each time.
        for _ in 0..20 + kill * 37 % 400 {
            note(&child.hear().ok_or("the child ended by itself")?);
        }
        child.kill();
        while let Some(line) = child.hear() {
            note(&line);
        }
        let store = fixture.store();
        for (n, seq) in answered {
            written += block_on(verify(&store, n, seq))?;
        }
    }
    assert!(written > 4_000, "the children wrote only {written} events");
    Ok(())
}
