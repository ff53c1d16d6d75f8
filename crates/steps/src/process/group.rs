//! Ending a process and everything that it has started.

use super::Record;
use rustix::process::{Pid, Signal, kill_process_group};
use std::time::{Duration, Instant};
use towpath_step::StepError;

/// How often a look is taken at a process that is to be gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the system may take to end what was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// Sends a signal to all of a group. That nobody is there is no error.
pub(super) fn signal(group: i32, signal: Signal) {
    // 0 and 1 would be the worker's own group and everybody.
    if let Some(group) = Pid::from_raw(group).filter(|_| group > 1) {
        let _ = kill_process_group(group, signal);
    }
}

/// Ends the process of an earlier entry, when it still runs: asks it, and after `grace` does not ask any more. Tells
/// whether there was something to end.
///
/// # Errors
/// Transient, when it cannot be ended.
pub(crate) async fn bury(record: &Record, grace: Duration) -> Result<bool, StepError> {
    if !record.lives() {
        return Ok(false);
    }
    signal(record.pid, Signal::TERM);
    if !is_gone(record, grace).await {
        signal(record.pid, Signal::KILL);
        if !is_gone(record, KILLED_WITHIN).await {
            return Err(StepError::transient(format!(
                "the process {} of an earlier entry still runs, though it was killed: nothing is begun beside it",
                record.pid
            )));
        }
    }
    Ok(true)
}

async fn is_gone(record: &Record, within: Duration) -> bool {
    // By the process's own clock: real processes take real time, also in a test whose clock is virtual.
    let (since, mut look) = (Instant::now(), tokio::time::interval(LOOK_EVERY));
    while record.lives() {
        if since.elapsed() >= within {
            return false;
        }
        look.tick().await;
    }
    true
}
