//! What bodies write beside the journal: logs and progress, kept until the next commit.

use crate::config::{LOGS_LATEST, PROGRESS_LATEST};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::time::Instant;
use towpath_model::StepId;
use towpath_store::{LOG_BYTES, LogLine, Progress};

/// Logs and progress of one run that were not written yet.
#[derive(Default)]
pub(crate) struct Side {
    /// Whether the driver was told that there is something.
    told: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    logs: Vec<LogLine>,
    bytes: u64,
    left_out: u64,
    progress: BTreeMap<StepId, Progress>,
}

impl Side {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Lists cannot be left half done by a panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a text of a log; whether the driver has to be told.
    pub(crate) fn log(&self, line: LogLine) -> bool {
        let mut kept = self.kept();
        let bytes = line.text.len() as u64;
        if kept.bytes + bytes > LOG_BYTES {
            kept.left_out += bytes;
            return false;
        }
        kept.bytes += bytes;
        kept.logs.push(line);
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// Keeps the last progress of a step; whether the driver has to be told.
    pub(crate) fn progress(&self, progress: Progress) -> bool {
        self.kept().progress.insert(progress.step.clone(), progress);
        !self.told.swap(true, Ordering::AcqRel)
    }

    /// Whether there is anything.
    pub(crate) fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }
}

/// When what bodies write beside the journal is written.
#[derive(Default)]
pub(crate) struct Flushes {
    /// Since when something waits.
    since: Option<Instant>,
    /// When progress of each step was written last.
    progress_at: BTreeMap<StepId, Instant>,
}

impl Flushes {
    /// The driver was told that there is something.
    pub(crate) fn told(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// When what waits has to be written, though nothing else is.
    pub(crate) fn due(&self, side: &Side) -> Option<Instant> {
        let since = self.since?;
        let kept = side.kept();
        let logs = (!kept.logs.is_empty()).then(|| since + LOGS_LATEST);
        let progress = kept.progress.keys().map(|step| self.progress_due(step, since)).min();
        match (logs, progress) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn progress_due(&self, step: &StepId, since: Instant) -> Instant {
        let again = self.progress_at.get(step).map(|at| *at + PROGRESS_LATEST);
        again.unwrap_or(since + LOGS_LATEST).max(since)
    }

    /// Takes what a commit is to carry: all logs, and progress of steps of which none was written for a second.
    pub(crate) fn take(&mut self, side: &Side, is_last: bool) -> (Vec<LogLine>, Vec<Progress>) {
        if !side.is_told() {
            return (Vec::new(), Vec::new());
        }
        let now = Instant::now();
        let mut kept = side.kept();
        side.told.store(false, Ordering::Release);
        kept.bytes = 0;
        let mut logs = std::mem::take(&mut kept.logs);
        if let (left_out @ 1.., Some(last)) = (std::mem::take(&mut kept.left_out), logs.last()) {
            let text = format!("[left out: {left_out} bytes that came faster than they could be written]\n");
            logs.push(LogLine { text, ..last.clone() });
        }
        let is_due = |at: &Instant| is_last || now >= *at + PROGRESS_LATEST;
        let steps: Vec<StepId> = kept.progress.keys().cloned().collect();
        let due = steps.into_iter().filter(|step| self.progress_at.get(step).is_none_or(is_due));
        let progress: Vec<Progress> = due.filter_map(|step| kept.progress.remove(&step)).collect();
        self.progress_at.extend(progress.iter().map(|p| (p.step.clone(), now)));
        self.since = None;
        if !kept.progress.is_empty() {
            side.told.store(true, Ordering::Release);
            self.since = Some(now);
        }
        (logs, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_model::{Attempt, Timestamp};

    fn line(text: String) -> LogLine {
        LogLine { step: StepId::new("a").unwrap(), attempt: Attempt(1), line: 0, at: Timestamp::MIN, text }
    }

    fn progress(percent: u8) -> Progress {
        Progress { step: StepId::new("a").unwrap(), percent, message: String::new(), at: Timestamp::MIN }
    }

    #[tokio::test(start_paused = true)]
    async fn the_driver_is_told_once_until_it_takes() {
        let (side, mut flushes) = (Side::default(), Flushes::default());
        assert!(side.log(line("one".into())));
        assert!(!side.log(line("two".into())));
        flushes.told();
        assert_eq!(flushes.due(&side), Some(Instant::now() + LOGS_LATEST));
        assert_eq!(flushes.take(&side, false).0.len(), 2);
        assert_eq!(flushes.due(&side), None);
        assert!(side.log(line("three".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn progress_is_written_once_a_second() {
        let (side, mut flushes) = (Side::default(), Flushes::default());
        side.progress(progress(1));
        assert_eq!(flushes.take(&side, false).1, [progress(1)]);
        side.progress(progress(2));
        side.progress(progress(3));
        assert!(flushes.take(&side, false).1.is_empty());
        assert_eq!(flushes.due(&side), Some(Instant::now() + PROGRESS_LATEST));
        tokio::time::advance(PROGRESS_LATEST).await;
        assert_eq!(flushes.take(&side, false).1, [progress(3)]);
    }

    #[tokio::test(start_paused = true)]
    async fn logs_that_come_too_fast_say_so() {
        let (side, mut flushes) = (Side::default(), Flushes::default());
        side.log(line("x".repeat(LOG_BYTES as usize)));
        side.log(line("yy".into()));
        let (logs, _) = flushes.take(&side, false);
        assert!(logs[1].text.contains("left out: 2 bytes"));
    }
}
