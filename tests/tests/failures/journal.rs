//! Journals that are damaged.

use crate::{snapshot, world::World};
use std::fs;

/// A world with a release in it, and the bytes of its journal.
fn released() -> (World, Vec<u8>) {
    let world = World::new();
    world.released("1.0.0");
    let bytes = fs::read(world.path("journal/deploys.db")).unwrap();
    assert!(bytes.len() > 40_000, "all of it is in the file: {}", bytes.len());
    (world, bytes)
}

impl World {
    /// Has the journal be these bytes, and a version released after that.
    fn with_journal(&self, bytes: &[u8], version: &str) -> String {
        for beside in ["journal/deploys.db-wal", "journal/deploys.db-shm"] {
            let _ = fs::remove_file(self.path(beside));
        }
        fs::write(self.path("journal/deploys.db"), bytes).unwrap();
        self.ended(&mut self.command(version)).text
    }
}

#[test]
fn a_journal_with_a_damaged_file_is_refused_or_says_where() {
    let (world, good) = released();
    let page = usize::from(u16::from_be_bytes([good[16], good[17]]));
    let mut all = String::new();
    let mut add = |what: &str, bytes: &[u8]| {
        all.push_str(&format!("── {what}\n{}\n", world.with_journal(bytes, "2.0.0")));
    };
    let mut bytes = good.clone();
    bytes[..16].iter_mut().for_each(|byte| *byte ^= 0x55);
    add("its first bytes are others", &bytes);
    add("it is cut off in the middle of a page", &good[..page * 3 + page / 2]);
    let mut bytes = good.clone();
    bytes[page..].iter_mut().for_each(|byte| *byte ^= 0x55);
    add("all pages but the first are others", &bytes);
    add("it is a text", b"a journal is a database, and this is none\n".repeat(40).as_slice());
    assert!(world.with_journal(&good, "2.0.0").starts_with("2.0.0 succeeded"), "the good one goes on");
    snapshot::check("failures/damaged-file.txt", &all);
}

#[test]
fn a_journal_with_a_changed_payload_names_the_event_and_other_runs_go_on() {
    let (world, good) = released();
    // Text that stands in the file as it was written: what the build of 1.0.0 gave.
    let (old, new) = (b"oci:", b"OCI:");
    let mut bytes = good.clone();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(old.len()).position(|window| window == old) {
        bytes[at + found..][..new.len()].copy_from_slice(new);
        at += found + old.len();
    }
    assert_ne!(bytes, good, "something was changed");
    let text = crate::world::without(&world.with_journal(&bytes, "1.0.0"), ", run: ");
    let other = world.with_journal(&bytes, "2.0.0");
    assert!(other.starts_with("2.0.0 succeeded"), "{other}");
    snapshot::check("failures/changed-payload.txt", &text);
}
