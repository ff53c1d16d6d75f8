//! How many files a supervisor may have open: each request takes two.

use rustix::process::{Resource, getrlimit, setrlimit};
use std::sync::OnceLock;

/// What the limit was before it was raised.
static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// Raises the limit to what this process may have. Instances get what there was before: some programs do not bear more.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let _ = BEFORE.set(limit.current);
    // Without it, fewer clients are served at once.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
}

/// The limit from before, as a shell says it.
pub(super) fn files_before() -> String {
    BEFORE.get().copied().flatten().map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}
