//! Which file systems cannot hold a store.
//!
//! A journal needs two things of a file system that those of a network do not give: shared memory between processes,
//! for SQLite's write-ahead log, and file locks that end with their process, for the proof that a worker is dead.

use std::path::Path;

/// Types as the kernel names them. `9p` is how a virtual machine sees the disk of its host.
const NETWORK: [&str; 16] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "gfs2",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

/// The type of the network file system that holds a path, if one does. Knows nothing outside Linux.
pub(crate) fn network(path: &Path) -> Option<String> {
    // Without /proc there is nothing to go by, and nothing to refuse.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    network_among(&mounts, path)
}

/// The last mount on the longest prefix of the path is the one that holds it.
fn network_among(mounts: &str, path: &Path) -> Option<String> {
    let holders = mounts.lines().filter_map(mount).filter(|(point, _)| path.starts_with(point));
    let (_, kind) = holders.max_by_key(|(point, _)| Path::new(point).components().count())?;
    NETWORK.contains(&kind).then(|| kind.to_owned())
}

/// Mount point and type of a line: `36 35 98:0 /root /point opts shared:1 - type source opts`.
fn mount(line: &str) -> Option<(String, &str)> {
    let (before, after) = line.split_once(" - ")?;
    Some((unescape(before.split(' ').nth(4)?), after.split(' ').next()?))
}

/// Spaces, tabs, line ends and backslashes are written as octal numbers.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_the_mount_that_holds_the_path() {
        let mounts = "\
            22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 22 0:40 / /srv/share rw shared:2 - nfs4 host:/share rw\n\
            31 30 0:41 / /srv/share/local rw - tmpfs tmpfs rw\n\
            32 22 0:42 / /mnt/with\\040space rw - cifs //host/share rw\n\
            33 22 0:43 / /over rw - ext4 /dev/vdb rw\n\
            34 33 0:44 / /over rw - fuse.sshfs host: rw\n";
        let cases = [
            ("/var/lib/journal.db", None),
            ("/srv/share/journal.db", Some("nfs4")),
            ("/srv/shared.db", None),
            ("/srv/share/local/journal.db", None),
            ("/mnt/with space/journal.db", Some("cifs")),
            ("/over/journal.db", Some("fuse.sshfs")),
        ];
        for (path, expected) in cases {
            assert_eq!(network_among(mounts, Path::new(path)).as_deref(), expected, "{path}");
        }
        assert_eq!(network_among("garbage\n\n - \n", Path::new("/a")), None);
    }
}
