//! The contract.

use crate::{
    Claim, Claimed, LogLine, NewAnchor, NewRun, Note, NoteVersion, Progress, Redaction, Refused, Removal,
    Remove, RemovedRun, StoreError, Transition, Unanchored,
};
use async_trait::async_trait;
use std::{fmt, pin::Pin, time::Duration};
use towpath_model::{
    Digest, Entry, EntryId, Epoch, Listing, Name, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq,
    SignedHead, Status, StepId, StoredAnchor, StoredEvent, Timestamp, WorkerId,
};

/// Where journals live.
///
/// Every method may be called from any task at any time. All times are of the store's own [clock](Store::now). An
/// error is a [`StoreError`]; what a method refuses by design is part of its answer. Each bullet under *Contract* is a
/// test of the same words in the conformance suite.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Starts a run, once for each pipeline and key.
    ///
    /// # Contract
    /// - a second start with the same pipeline and key answers the first run and writes nothing
    /// - two starts with one key at the same moment make one run
    /// - a started run has its events, listing, labels, wake and blobs, or is not there at all
    /// - a run started with an owner is leased to it at epoch one
    /// - a run started without an owner can be claimed, at once or at its wake
    /// - a run cannot be started for an owner that is not registered
    /// - a second run with one id is invalid and writes nothing
    /// - a run is not started over another version of a note
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer: the run may have started.
    async fn start_run(&self, run: NewRun) -> Result<Started, StoreError>;

    /// Writes transitions, each all or nothing, and answers each with the number of the run's last event.
    ///
    /// # Contract
    /// - a transition is written whole
    /// - a transition with an old epoch is refused as fenced
    /// - a transition after another event is refused with the number found
    /// - a transition of a run that is not there is refused as fenced
    /// - a run that was given back takes no transition of its old epoch
    /// - a refused transition leaves the others of its batch untouched
    /// - two transitions of one run in one batch are written in order
    /// - a batch above the limits is invalid and writes nothing
    /// - a released run can be claimed when it is due or has an entry
    /// - an entry sent to another run arrives with the transition or not at all
    /// - an entry sent to a run whose inbox is full arrives all the same
    /// - a run that a transition starts is there with it or not at all
    /// - a run that a transition starts and that is there already stays as it is
    /// - a run that a transition starts can be claimed at once or at its wake
    /// - a run started under the key of another makes its batch invalid and writes nothing
    /// - a recalled run can be claimed though it is over
    /// - a recall that comes before its run settles survives the settling
    /// - a free lock is granted with the transition that asks for it
    /// - a run that starts can ask for locks with its first events
    /// - a returned lock goes to the run that asked first
    /// - a run that settles holds no lock and waits for none
    /// - a run that settles is given back
    /// - any append resets the count of takeovers without progress
    ///
    /// # Errors
    /// An error means *unknown*: read the [head](Store::head) and compare its hash.
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer: the transitions may be written.
    async fn commit(&self, batch: Vec<Transition>) -> Result<Vec<Result<Seq, Refused>>, StoreError>;

    /// Leases runs to a worker: those that have something to do and whose owner is gone.
    ///
    /// A run has something to do when its wake is due, when its inbox holds an entry, or when its owner died while it
    /// was leased. It is free when nobody owns it, when its owner's deadline has passed, or when its owner is proven
    /// dead: dropping the handle through which a worker registered proves it. Settled and quarantined runs have nothing
    /// to do; a quarantined run with a new entry has.
    ///
    /// # Contract
    /// - a claim raises the epoch
    /// - two workers that claim at once never get the same run
    /// - a run whose owner lives is not claimed
    /// - a run whose owner's deadline has passed is claimed and says that it was taken over
    /// - a run whose owner is proven dead is claimed at once
    /// - a parked run is claimed when its wake is due and not before
    /// - a parked run is claimed when its inbox holds an entry
    /// - a settled run is never claimed unless it is recalled
    /// - a claim takes at most its limit, the longest due first
    /// - takeovers without progress are counted
    /// - a run that was given back counts its takeovers anew
    /// - a worker that is not registered claims nothing
    /// - a claim of one run takes no other
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Makes a worker known, with a lease of this length; its deadline is computed by the store's clock.
    ///
    /// # Contract
    /// - a worker id that lives cannot be registered again
    /// - a worker id that died can be registered again and owns nothing
    async fn register(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError>;

    /// Renews a worker's lease, whatever the number of its runs, and answers the new deadline.
    ///
    /// # Contract
    /// - a heartbeat moves the deadline
    /// - a heartbeat of a worker that is not registered, or whose runs were taken over, is not found
    async fn heartbeat(&self, worker: &WorkerId, lease: Duration) -> Result<Timestamp, StoreError>;

    /// Gives back everything that a worker still owns and forgets it.
    ///
    /// # Contract
    /// - the runs of a retired worker can be claimed at once
    async fn retire(&self, worker: &WorkerId) -> Result<(), StoreError>;

    /// The earliest wake of a run that nobody owns, if any has one.
    ///
    /// # Contract
    /// - the next wake is that of the earliest run without an owner
    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The head of a run's journal.
    ///
    /// # Contract
    /// - a run that is not there is not found
    async fn head(&self, run: RunNo) -> Result<Head, StoreError>;

    /// Events of a run after a number, in order, at most `limit`.
    ///
    /// # Contract
    /// - events come back byte for byte, in order
    /// - events can be read in pages
    async fn events(&self, run: RunNo, after: Seq, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// A blob's text, by its digest.
    ///
    /// # Contract
    /// - a blob that is not there is not found
    async fn blob(&self, digest: Digest) -> Result<String, StoreError>;

    /// Puts an entry into a run's inbox: the one write that needs no lease.
    ///
    /// # Contract
    /// - an entry with a dedupe id that the run has seen is a duplicate, also after it was consumed
    /// - an inbox that is full refuses
    /// - an entry for a run that is not there is not found
    /// - an entry for a run that is over is answered as settled
    /// - an entry keeps the time at which the store took it
    async fn put_entry(&self, run: RunId, entry: NewEntry) -> Result<Put, StoreError>;

    /// Entries of a run that were not consumed yet, in the order in which they came.
    ///
    /// # Contract
    /// - entries come in order, and not after they were consumed
    async fn entries(&self, run: RunNo, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// One run's row.
    async fn find(&self, run: RunId) -> Result<Option<RunRow>, StoreError>;

    /// The run of a pipeline and key.
    async fn find_key(&self, pipeline: &PipelineName, key: &RunKey) -> Result<Option<RunRow>, StoreError>;

    /// Runs, newest first, in pages.
    ///
    /// # Contract
    /// - pages show every run once, also while runs are added
    /// - a filter by status, pipeline and labels holds
    /// - a filter by parent holds
    /// - a filter by owner holds
    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<RunRow>, StoreError>;

    /// Sets a run's row to quarantined with a reason, by the holder of its lease, and gives the lease back. No event.
    ///
    /// Its wake is taken away. What was put into its inbox up to `seen`, the last entry that its driver has read, waits for
    /// the next entry; what was put there since has it claimed again. What other runs send to it, or the store, waits: a run
    /// that kills its workers is not to be lifted by a report of an item.
    ///
    /// # Contract
    /// - a quarantined run shows its reason and is not claimed until it gets an entry
    /// - an entry that was put before a run was quarantined and not seen has it claimed again
    /// - what other runs send to a quarantined run waits for an entry that is put
    /// - only the holder of the lease can quarantine a run
    async fn quarantine(
        &self,
        run: RunNo,
        epoch: Epoch,
        seq: Seq,
        reason: &str,
        seen: Option<EntryId>,
    ) -> Result<(), StoreError>;

    /// Returns when somebody may have written something that this handle has not seen: an entry, a run, a release.
    ///
    /// It counts from the call, not from the first poll, so that nothing falls between looking and waiting: call it,
    /// look, then await it. It may return early and for nothing. Writes through this handle and by other processes
    /// both count.
    ///
    /// # Contract
    /// - a write through another handle is noticed
    /// - a write between the call and the first poll is noticed
    ///
    /// # Cancel safety
    /// Safe to drop.
    fn changed(&self) -> Changed<'_>;

    /// Makes every projection anew from the journals: listings, wakes, labels.
    ///
    /// # Contract
    /// - rebuilding changes nothing that was right
    async fn rebuild(&self, fold: &dyn Projector) -> Result<(), StoreError>;

    /// What a step wrote to its log, oldest first, after a line number; outside the chain.
    ///
    /// # Contract
    /// - logs are numbered in order and read after a number
    /// - logs keep head and tail of each attempt within their limit
    async fn logs(
        &self,
        run: RunNo,
        step: &StepId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, StoreError>;

    /// The last progress of each step of a run.
    ///
    /// # Contract
    /// - only the last progress of a step is kept
    async fn progress(&self, run: RunNo) -> Result<Vec<Progress>, StoreError>;

    /// Every lock that somebody holds or waits for, in the order of their names.
    ///
    /// # Contract
    /// - locks show who holds them and who waits, in the order in which they asked
    async fn locks(&self) -> Result<Vec<LockRow>, StoreError>;

    /// Takes runs that are over out of the store, each all or nothing, and answers each. They are looked at in order, so
    /// that one batch may hold the items of a run and the run behind them.
    ///
    /// What a run leaves behind is a [record](RemovedRun). Its events, its logs and the entries of its inbox are not
    /// found any more from then on, and are freed by [`sweep`](Store::sweep).
    ///
    /// # Contract
    /// - a run is removed only when it is over and its journal ends where it is said to
    /// - a run that is driven or recalled is not removed
    /// - a run is removed after its items and an item only when all above it are over
    /// - a removed run is not found any more but on record
    /// - the key of a removed run can be used again and its number is not
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer: the runs may be removed.
    async fn remove(&self, runs: Vec<Remove>) -> Result<Vec<Removal>, StoreError>;

    /// Frees about so many rows of what removed runs have left; whether more is left. It may be called at any time, by
    /// any process, and goes on where the last call ended.
    ///
    /// # Contract
    /// - sweeping ends and frees blobs that nobody refers to and no others
    /// - sweeping takes nothing of the runs that are there
    async fn sweep(&self, most: usize) -> Result<bool, StoreError>;

    /// The records of removed runs after a number, in the order of their numbers, at most `limit`.
    async fn removed(&self, after: RunNo, limit: usize) -> Result<Vec<RemovedRun>, StoreError>;

    /// Heads that moved since the last anchor, of removed runs as well; about so many at most, and the last anchor.
    ///
    /// # Contract
    /// - a head that moved is told until it is in an anchor
    /// - heads are told in parts and none is left out
    /// - a removed run is told once also when its events are freed
    async fn unanchored(&self, limit: usize) -> Result<Unanchored, StoreError>;

    /// Appends an anchor; whether it was written. It is not when another one has its number: look again then.
    ///
    /// # Contract
    /// - of two anchors with one number one is written
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer: the anchor may be written.
    async fn anchor(&self, anchor: NewAnchor) -> Result<bool, StoreError>;

    /// The anchors after a number, in order, at most `limit`.
    ///
    /// # Contract
    /// - anchors come back byte for byte in order
    async fn anchors(&self, after: u64, limit: usize) -> Result<Vec<StoredAnchor>, StoreError>;

    /// The signed head of a run, when there is one.
    ///
    /// # Contract
    /// - a signed head is written with its transition and replaced by the next
    async fn signed_head(&self, run: RunNo) -> Result<Option<SignedHead>, StoreError>;

    /// Removes the payload of an event of a run that is over, and appends the event that says so: both, or neither. It is
    /// answered as a [removal](Store::remove) is.
    ///
    /// # Contract
    /// - a payload of a run that is over is redacted with the event that says so
    /// - nothing is redacted of a run that goes on or whose journal ends elsewhere
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer: the payload may be removed.
    async fn redact(&self, redaction: Redaction) -> Result<Removal, StoreError>;

    /// The notes of a kind, in the order of their names.
    ///
    /// # Contract
    /// - notes come back as they were written, with their version
    /// - notes of one kind come in the order of their names
    async fn notes(&self, kind: &Name) -> Result<Vec<Note>, StoreError>;

    /// Replaces the text of a note over the version that was read; whether it was written. It is not when the note has
    /// another version: look again then.
    ///
    /// # Contract
    /// - a note is written only over its version
    /// - a note that is too long is invalid and writes nothing
    /// - a note that was written is noticed
    ///
    /// # Cancel safety
    /// Dropping the future drops only the answer: the note may be written.
    async fn write_note(&self, over: &NoteVersion, text: &str) -> Result<bool, StoreError>;

    /// Whether it can be reached, and what is old in it.
    async fn health(&self) -> Result<StoreHealth, StoreError>;

    /// The time, by the clock that its deadlines are computed with.
    async fn now(&self) -> Result<Timestamp, StoreError>;
}

/// The future of [`Store::changed`].
pub type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Folds a journal into its row: what a store needs to rebuild projections without looking inside events.
pub trait Projector: Sync {
    /// The row and the wake of the run with these events; `None` when it cannot be folded, and the row stays.
    fn project(&self, events: &[StoredEvent]) -> Option<(Listing, Option<Timestamp>)>;
}

/// Answer to a start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Started {
    /// The run was started.
    New(RunNo),
    /// There was one with this pipeline and key.
    Existing(Box<RunRow>),
    /// The note that the start [goes by](NewRun::over) has another version: nothing was written.
    Moved,
}

/// The head of a journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Number of the last event.
    pub seq: Seq,
    /// Hash of the last event.
    pub hash: Digest,
    /// The run's epoch.
    pub epoch: Epoch,
    /// Who drives it.
    pub owner: Option<WorkerId>,
}

/// What a list shows of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunRow {
    /// Its number in this store.
    pub no: RunNo,
    /// Its id.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: PipelineName,
    /// The caller's name for it.
    pub key: RunKey,
    /// Hash of its plan.
    pub plan_hash: Digest,
    /// Where it stands.
    pub listing: Listing,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// The run that it is an item of.
    pub parent: Option<RunId>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its row last changed.
    pub changed_at: Timestamp,
    /// Who drives it.
    pub owner: Option<WorkerId>,
    /// When it has to be driven.
    pub wake_at: Option<Timestamp>,
}

/// Which runs a list shows: those for which everything holds that is given.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Any of these; empty for all.
    pub status: Vec<Status>,
    /// This pipeline.
    pub pipeline: Option<PipelineName>,
    /// All of these labels.
    pub labels: Vec<(String, String)>,
    /// Runs of their own, or items of others.
    pub level: Level,
    /// Those that this worker owns.
    pub owner: Option<WorkerId>,
}

/// Which runs a list shows, by the run that they are an item of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// All of them.
    #[default]
    All,
    /// Those that are no items.
    Top,
    /// The items of this run.
    ItemsOf(RunId),
}

impl Level {
    /// Whether a run with this parent is shown.
    pub fn shows(self, parent: Option<RunId>) -> bool {
        match self {
            Level::All => true,
            Level::Top => parent.is_none(),
            Level::ItemsOf(run) => parent == Some(run),
        }
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only runs after this place; from the start without.
    pub after: Option<Cursor>,
    /// Most rows, up to [`Page::MOST`].
    pub limit: usize,
}

impl Page {
    /// Most rows of one page; a larger limit is taken for this.
    pub const MOST: usize = 1_000;
}

/// A place in a list: the last row seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor(pub RunNo);

/// Answer to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is in the inbox.
    Accepted,
    /// An entry with its dedupe id came before; this one was ignored.
    Duplicate,
    /// The inbox is full.
    Full,
    /// The run is over: nothing will read it.
    Settled,
}

/// A lock that somebody holds or waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockRow {
    /// The lock.
    pub lock: Name,
    /// The fencing number of the last grant.
    pub fence: u64,
    /// The run that holds it, and since when.
    pub holder: Option<(RunId, Timestamp)>,
    /// The runs that wait for it, each since when; the first is the next.
    pub queue: Vec<(RunId, Timestamp)>,
}

/// How a store is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreHealth {
    /// The earliest wake that has passed without a claim.
    pub oldest_due: Option<Timestamp>,
    /// When something was last committed through this handle.
    pub last_commit: Option<Timestamp>,
    /// Runs that are stuck.
    pub stuck: u64,
    /// Runs that are quarantined.
    pub quarantined: u64,
}
