//! What the machine counts: processor time of this process, flushes of a disk.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// Processor time that this process has used, in user and in system mode, by `/proc/self/stat` (proc_pid_stat(5)).
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may hold blanks; it ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    // A tick is 10 ms on every Linux that Rust runs on (USER_HZ is 100).
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Counts the flushes of the disk under a folder: below the store, below SQLite, below the file system.
///
/// `/proc/diskstats` counts flush requests in its 18th statistic (Documentation/admin-guide/iostats.rst). Flushes of
/// other processes count too, so the machine has to be quiet.
pub(crate) struct Flushes {
    device: Option<(u64, u64)>,
    start: u64,
}

impl Flushes {
    /// Begins to count.
    pub(crate) fn begin(folder: &Path) -> Self {
        let device = fs::metadata(folder).ok().map(|m| m.dev()).map(|dev| (major(dev), minor(dev)));
        let mut this = Flushes { device, start: 0 };
        this.start = this.now().unwrap_or(0);
        this
    }

    /// Flushes since the beginning; `None` when the disk does not count them.
    pub(crate) fn count(&self) -> Option<u64> {
        self.now().map(|now| now - self.start)
    }

    fn now(&self) -> Option<u64> {
        let (major, minor) = self.device?;
        let stats = fs::read_to_string("/proc/diskstats").ok()?;
        stats.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let here = fields.first()?.parse() == Ok(major) && fields.get(1)?.parse() == Ok(minor);
            if here { fields.get(18)?.parse().ok() } else { None }
        })
    }
}

/// The major number in a `dev_t` of Linux (makedev(3)).
fn major(dev: u64) -> u64 {
    (dev >> 32 & 0xffff_f000) | (dev >> 8 & 0xfff)
}

/// The minor number in a `dev_t` of Linux (makedev(3)).
fn minor(dev: u64) -> u64 {
    (dev >> 12 & 0xffff_ff00) | (dev & 0xff)
}
