//! Finding a child process again, in whichever process comes next.

use serde::{Deserialize, Serialize};

/// Which process a child is: saved as a checkpoint before the child may act.
///
/// A process id alone says little: it is given out again, and means nothing after a restart of the machine. The boot and
/// the start time make it one process; the key names what it was started for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
    /// The process, and the group that it leads.
    pub(super) pid: i32,
    /// Clock ticks from boot to its start: field 22 of `/proc/PID/stat`, see proc_pid_stat(5).
    start: u64,
    /// The key of the effect that it was started for, in its environment as `TOWPATH_KEY`.
    key: String,
}

/// What `/proc/PID/stat` tells.
#[derive(PartialEq, Eq, Debug)]
struct Stat {
    pid: i32,
    group: i32,
    start: u64,
    /// It has ended, and only its parent has not asked yet.
    ended: bool,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold anything.
        let (pid, rest) = (text.split_once(' ')?.0, text.rsplit_once(')')?.1);
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Stat {
            pid: pid.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
            ended: matches!(*fields.first()?, "Z" | "X"),
        })
    }

    fn of(pid: impl std::fmt::Display) -> Option<Self> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

impl Record {
    /// The process of this id, as it can be found again; `None` where the system does not tell.
    pub(super) fn of(pid: i32, key: &str) -> Option<Self> {
        let start = Stat::of(pid)?.start;
        Some(Record { boot: boot()?, pid, start, key: key.to_owned() })
    }

    /// Whether something of its group still runs here.
    pub(super) fn lives(&self) -> bool {
        if boot().as_ref() != Some(&self.boot) {
            return false;
        }
        let leader = Stat::of(self.pid);
        if leader.as_ref().is_some_and(|leader| leader.start != self.start) {
            // The number was given out again, which happens only when nobody is left in the group.
            return false;
        }
        let Ok(all) = std::fs::read_dir("/proc") else { return false };
        all.filter_map(|entry| Stat::of(entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?))
            .filter(|stat| stat.group == self.pid && !stat.ended)
            // Without its leader, a group of that number may be another's.
            .any(|stat| leader.is_some() || self.is_for_its_key(stat.pid))
    }

    fn is_for_its_key(&self, pid: i32) -> bool {
        let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
        let wanted = format!("TOWPATH_KEY={}", self.key);
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_program_is_called() {
        let rest = "7 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        for (name, state, ended) in [("sh", "S", false), ("a) R (b c", "Z", true)] {
            let stat = Stat::parse(&format!("42 ({name}) {state} 1 {}", &rest[2..])).unwrap();
            assert_eq!(stat, Stat { pid: 42, group: 7, start: 12_345, ended }, "{name}");
        }
        assert_eq!(Stat::parse("42 (sh"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_record_is_of_one_process_of_one_boot() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let record = Record::of(child.id() as i32, "k").unwrap();
        assert!(record.lives());
        assert!(!Record { start: record.start + 1, ..record.clone() }.lives(), "another process");
        assert!(!Record { boot: "another boot".into(), ..record.clone() }.lives());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!record.lives());
    }
}
