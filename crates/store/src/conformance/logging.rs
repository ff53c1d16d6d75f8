//! Rules about logs and progress.

use super::fixture::{Fixture, Lease, Outcome, Sample, commit, register};
use crate::{LOG_BYTES, LOG_GAP, LogLine, Progress, Store, StoreError, Transition};
use towpath_model::{Attempt, IdError, StepId, Timestamp};

fn text(step: &str, attempt: u32, text: &str) -> Result<LogLine, IdError> {
    let (step, attempt) = (StepId::new(step)?, Attempt(attempt));
    Ok(LogLine { step, attempt, line: 77, at: Timestamp::MIN, text: text.to_owned() })
}

async fn texts(store: &dyn Store, lease: &Lease, step: &str) -> Result<Vec<String>, StoreError> {
    let step = StepId::new(step).expect("a slug is a step's id");
    let (mut texts, mut after) = (Vec::new(), 0);
    loop {
        let lines = store.logs(lease.no, &step, after, 3).await?;
        let Some(last) = lines.last() else { return Ok(texts) };
        assert!(lines[0].line > after && lines.is_sorted_by_key(|l| l.line));
        after = last.line;
        texts.extend(lines.into_iter().map(|l| l.text));
    }
}

pub(super) async fn logs_are_numbered_in_order_and_read_after_a_number(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    for i in 0..8 {
        let logs = vec![
            text("build", 1 + i / 4, &format!("build {i}"))?,
            text("scan", 1, &format!("scan {i}"))?,
            text("build", 1 + i / 4, &format!("build {i} more"))?,
        ];
        commit(&*store, Transition { logs, ..lease.nothing() }).await?;
    }
    let build: Vec<String> = (0..8).flat_map(|i| [format!("build {i}"), format!("build {i} more")]).collect();
    assert_eq!(texts(&*store, &lease, "build").await?, build);
    assert_eq!(texts(&*store, &lease, "scan").await?.len(), 8);
    assert_eq!(texts(&*store, &lease, "deploy").await?.len(), 0);
    let first = store.logs(lease.no, &StepId::new("build")?, 0, 1).await?;
    assert_eq!((first[0].attempt, first[0].at), (Attempt(1), Timestamp::MIN));
    Ok(())
}

pub(super) async fn logs_keep_head_and_tail_of_each_attempt_within_their_limit(
    fixture: &dyn Fixture,
) -> Outcome {
    const PIECE: usize = 60 << 10;
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    let piece = |i: usize| format!("{i:06}{}", ".".repeat(PIECE - 6));
    let all = LOG_BYTES as usize / PIECE * 2;
    for first in (0..all).step_by(40) {
        let mut logs = Vec::new();
        for i in first..all.min(first + 40) {
            logs.push(text("build", 1, &piece(i))?);
        }
        logs.push(text("build", 2, "the second attempt has a limit of its own")?);
        commit(&*store, Transition { logs, ..lease.nothing() }).await?;
    }
    let kept = texts(&*store, &lease, "build").await?;
    let kept: Vec<&str> = kept.iter().map(|t| &t[..t.len().min(6)]).collect();
    let (numbers, others): (Vec<&str>, Vec<&str>) = kept.iter().partition(|t| t.parse::<usize>().is_ok());
    let bytes = numbers.len() * PIECE;
    assert!(bytes <= LOG_BYTES as usize, "{bytes} bytes are kept");
    assert!(bytes > LOG_BYTES as usize - 4 * PIECE, "only {bytes} bytes are kept");
    assert_eq!((numbers[0], numbers[100]), ("000000", "000100"), "the beginning is whole");
    assert_eq!(numbers.last().map(|n| n.parse()), Some(Ok(all - 1)), "the end is whole");
    assert_eq!(others.iter().filter(|t| LOG_GAP.starts_with(*t)).count(), 1, "the gap says so once");
    Ok(())
}

pub(super) async fn only_the_last_progress_of_a_step_is_kept(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let lease = Sample::new(1).owned(&me).start(&*store).await?;
    let progress = |step: &str, percent| {
        let step = StepId::new(step).expect("a slug is a step's id");
        Progress { step, percent, message: format!("{percent} of 100"), at: Timestamp::MIN }
    };
    for some in [vec![progress("b", 10), progress("a", 1)], vec![progress("b", 20), progress("b", 30)]] {
        commit(&*store, Transition { progress: some, ..lease.nothing() }).await?;
    }
    assert_eq!(store.progress(lease.no).await?, [progress("a", 1), progress("b", 30)]);
    Ok(())
}
