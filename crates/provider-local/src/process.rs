//! Which process is meant: found again by whichever process comes next, and never by name or port.

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use serde::{Deserialize, Serialize};

/// One process of one boot of this machine.
///
/// A process id alone says little: it is given out again, and means nothing after a restart of the machine. The boot and
/// the start time make it one process. Where the system has no `/proc`, only the id is compared, which a number that was
/// given out again deceives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    /// `/proc/sys/kernel/random/boot_id`; empty where there is none.
    boot: String,
    pub(crate) pid: i32,
    /// Clock ticks from boot to its start: field 22 of `/proc/PID/stat`, see proc_pid_stat(5); 0 where there is none.
    start: u64,
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// The start of a process that has not ended. One that has, and of which only the parent does not know yet, has none.
fn start(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ended = matches!(*fields.first()?, "Z" | "X");
    fields.get(19)?.parse().ok().filter(|_| !ended)
}

impl Process {
    /// The process of this id; `None` when there is none, or when it has ended.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let (boot, pid) = (boot(), i32::try_from(pid).ok()?);
        if boot.is_empty() {
            test_kill_process(Pid::from_raw(pid)?).ok()?;
            return Some(Process { boot, pid, start: 0 });
        }
        let start = start(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        Some(Process { boot, pid, start })
    }

    /// This very process.
    pub(crate) fn this() -> Option<Self> {
        Process::of(std::process::id())
    }

    /// Whether it still runs.
    pub(crate) fn lives(&self) -> bool {
        u32::try_from(self.pid).ok().and_then(Process::of).as_ref() == Some(self)
    }

    /// Sends a signal to it and to all of the group that it leads, if it still runs.
    pub(crate) fn signal(&self, signal: Signal) {
        // 0 and 1 would be the caller's own group and everybody.
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.pid > 1 && self.lives())
            && kill_process_group(pid, signal).is_err()
        {
            let _ = kill_process(pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn a_start_is_read_whatever_the_program_is_called() {
        let rest = "7 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(start(&format!("42 (sh) S 1 {}", &rest[2..])), Some(12_345));
        assert_eq!(start(&format!("42 (a) R (b c) S 1 {}", &rest[2..])), Some(12_345));
        assert_eq!(start(&format!("42 (sh) Z 1 {}", &rest[2..])), None, "it has ended");
        assert_eq!(start("42 (sh"), None);
    }

    #[test]
    fn a_process_is_one_of_one_boot() {
        let mut child = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(process.lives());
        assert!(!Process { start: process.start + 1, ..process.clone() }.lives(), "another process");
        assert!(!Process { boot: "another boot".into(), ..process.clone() }.lives());
        process.signal(Signal::KILL);
        let ended = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(9));
        assert!(!process.lives());
    }
}
