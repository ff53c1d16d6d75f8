//! What goes wrong around a release, on its whole way: a build, a platform, a proxy, a disk, a journal that fail for real. Each
//! ends in time, says what is wrong, where and what to do, and leaves what was there before.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod disk;
mod journal;
mod release;
mod world;

#[path = "../../../crates/model/src/snapshot.rs"]
mod snapshot;
