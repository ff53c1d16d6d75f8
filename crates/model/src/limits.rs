//! The bounds that every part of Towpath keeps.
//!
//! Each is a promise in both directions: what is below it works, what is above it is refused with a message that
//! names the limit.

/// Steps in one plan.
pub const STEPS_PER_PLAN: usize = 2_000;
/// Bytes of a plan's canonical JSON: 4 MiB.
pub const PLAN_BYTES: usize = 4 << 20;
/// Bytes of a value that is stored inside its event: 64 KiB. A larger one becomes a blob.
pub const INLINE_BYTES: usize = 64 << 10;
/// Bytes of a value that is stored as a blob: 16 MiB.
pub const BLOB_BYTES: usize = 16 << 20;
/// Events in one journal; a run that reaches it rests as stuck. Every item of a `for_each` adds
/// [`EVENTS_PER_ITEM`] to it.
pub const EVENTS_PER_JOURNAL: u64 = 50_000;
/// Events in one journal above which a warning is logged.
pub const EVENTS_WARNING: u64 = 5_000;
/// Events by which each listed item raises the limits of its journal: that it began, and that it is over.
pub const EVENTS_PER_ITEM: u64 = 2;
/// Items of one `for_each`.
pub const ITEMS_PER_FOR_EACH: usize = 100_000;
/// Items of one `for_each` that run at once.
pub const ITEMS_AT_ONCE: u32 = 1_000;
/// Items that begin with one transition; the next ones begin with the next, at once.
pub const ITEMS_PER_TRANSITION: usize = 64;
/// Bytes of an item's output above which its report refers to a blob instead of holding it: 1 KiB.
pub const REPORTED_BYTES: usize = 1 << 10;
/// Named waits of one step.
pub const WAITS_PER_STEP: usize = 10_000;
/// Attempts of one step; then it rests as stuck, whatever its retry policy says.
pub const ATTEMPTS: u32 = 1_000;
/// Locks that one plan names.
pub const LOCKS_PER_PLAN: usize = 64;
/// Entries in a run's inbox that were not folded yet; then the sender is told "full".
pub const INBOX_ENTRIES: usize = 10_000;
/// Depth of nested pipelines.
pub const NESTING: usize = 8;
/// Bytes of one segment of an id: `[a-z0-9-]{1,64}`.
pub const ID_BYTES: usize = 64;
/// Bytes of the key of a `for_each` item.
pub const ITEM_KEY_BYTES: usize = 256;
/// Bytes of a run key.
pub const RUN_KEY_BYTES: usize = 256;
/// Bytes of a kind, of a wait's name and of an actor.
pub const NAME_BYTES: usize = 256;
/// Transitions in one commit.
pub const BATCH_TRANSITIONS: usize = 1_024;
/// Bytes of events in one commit: 8 MiB.
pub const BATCH_BYTES: usize = 8 << 20;
/// Causes kept of a failure.
pub const FAILURE_CAUSES: usize = 32;
/// Bytes kept of a failure's message and causes together: 16 KiB.
pub const FAILURE_BYTES: usize = 16 << 10;
