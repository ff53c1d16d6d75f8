//! What is written at once.

use crate::NoteVersion;
use towpath_model::{
    Attempt, Digest, EntryId, Epoch, Listing, Name, NewEntry, PipelineName, RunId, RunKey, RunNo, Seq,
    SignedHead, Status, StepId, StoredEvent, Timestamp, WorkerId,
};

/// Everything that one step of a run writes: all of it, or none of it.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The run.
    pub run: RunNo,
    /// The epoch of the lease under which it is written.
    pub epoch: Epoch,
    /// Number of the run's last event before it.
    pub after: Seq,
    /// The events, sealed and hashed by the driver. May be empty: consuming or releasing is a transition too.
    pub events: Vec<StoredEvent>,
    /// Hash of the run's last event after it.
    pub head_hash: Digest,
    /// The row of the run in lists, when it changed.
    pub listing: Option<Listing>,
    /// The one timer row of the run.
    pub wake: Wake,
    /// Inbox entries that were folded into the events.
    pub consumed: Vec<EntryId>,
    /// Entries for the inboxes of other runs. They are taken also above the limit of an inbox, since a run's own
    /// items may be more; one for a run that is over, or not there, is dropped.
    pub send: Vec<(RunId, NewEntry)>,
    /// Entries for other runs' inboxes that reach runs that are over, too, or that settle before they read it: such a
    /// run can be claimed once more.
    pub recall: Vec<(RunId, NewEntry)>,
    /// Runs that begin, without an owner. One whose id is there already stays as it is, so that a transition can be
    /// written again.
    pub start: Vec<NewRun>,
    /// Changes of locks.
    pub locks: Vec<LockChange>,
    /// Values too large for their events.
    pub blobs: Vec<Blob>,
    /// Further blobs that its events refer to, of which others may have been the first to store them. A blob is kept as
    /// long as a run is there that has stored it or refers to it.
    pub refers: Vec<Digest>,
    /// The head that the run has after it, signed.
    pub signed: Option<SignedHead>,
    /// What bodies wrote to their logs since the last one; outside the chain.
    pub logs: Vec<LogLine>,
    /// The last progress of steps that reported some since the last one; outside the chain.
    pub progress: Vec<Progress>,
    /// Whether the lease is given back with it; a run that settles is given back anyway.
    pub release: bool,
}

/// Text that a step wrote to its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: Attempt,
    /// Its number among the run's lines, given by the store; what a writer puts here is ignored.
    pub line: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The text, one or more lines. A store keeps it in pieces of [`LOG_LINE_BYTES`](crate::LOG_LINE_BYTES).
    pub text: String,
}

/// How far a step is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The step.
    pub step: StepId,
    /// Percent done, 0 to 100.
    pub percent: u8,
    /// One line about it.
    pub message: String,
    /// When it was reported.
    pub at: Timestamp,
}

impl Transition {
    /// A transition of a run that changes nothing yet.
    pub fn new(run: RunNo, epoch: Epoch, after: Seq, head_hash: Digest) -> Self {
        Transition {
            run,
            epoch,
            after,
            events: Vec::new(),
            head_hash,
            listing: None,
            wake: Wake::Keep,
            consumed: Vec::new(),
            send: Vec::new(),
            recall: Vec::new(),
            start: Vec::new(),
            locks: Vec::new(),
            blobs: Vec::new(),
            refers: Vec::new(),
            signed: None,
            logs: Vec::new(),
            progress: Vec::new(),
            release: false,
        }
    }

    /// Whether its run settles with it.
    pub fn settles(&self) -> bool {
        self.listing.as_ref().is_some_and(|l| l.status == Status::Settled)
    }

    /// Whether the lease is given back with it.
    pub fn gives_back(&self) -> bool {
        self.release || self.settles()
    }

    /// Whether anybody but its own driver has to look: it gives a run back, starts some, or puts entries into inboxes.
    pub fn is_noticed(&self) -> bool {
        let tells = !self.send.is_empty() || !self.recall.is_empty() || !self.locks.is_empty();
        self.gives_back() || tells || !self.start.is_empty()
    }

    /// Bytes of its events, which a [batch](crate::check_batch) limits.
    pub fn event_bytes(&self) -> usize {
        self.events.iter().map(|e| e.header.len() + e.payload.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Bytes of its events and blobs, and of the runs that it starts: about what writing it costs.
    pub fn bytes(&self) -> usize {
        let started = self.start.iter().flat_map(|new| &new.events);
        let started: usize = started.map(|e| e.header.len() + e.payload.as_ref().map_or(0, Vec::len)).sum();
        self.event_bytes() + started + self.blobs.iter().map(|b| b.text.len()).sum::<usize>()
    }
}

/// What becomes of a run's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wake {
    /// It stays as it is.
    #[default]
    Keep,
    /// The run has to be driven at this time, or as soon after as somebody can.
    At(Timestamp),
    /// No time wakes the run.
    Never,
}

/// A change of a named lock, part of the owner's transition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockChange {
    /// The run queues for it. When it is free, the run's own inbox gets the [grant](crate::lock_grant) at once. Asking for
    /// what it holds, or queues for, changes nothing.
    Ask {
        /// Which.
        lock: Name,
        /// Number of the event with which the run asks. The grant names it.
        asked: Seq,
    },
    /// The run gives it back, or its place in the queue; the run that asked first gets the grant in its inbox.
    Return(Name),
}

/// A value that is stored by its digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blob {
    /// SHA-256 of the text.
    pub digest: Digest,
    /// The value: JSON.
    pub text: String,
}

/// A run to be started.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id.
    pub run: RunId,
    /// Its pipeline; with the key it is unique.
    pub pipeline: PipelineName,
    /// The caller's name for it.
    pub key: RunKey,
    /// Hash of its plan: starting again with the same key and another plan is refused by the engine.
    pub plan_hash: Digest,
    /// Its first events.
    pub events: Vec<StoredEvent>,
    /// Hash of the last of them.
    pub head_hash: Digest,
    /// Its row in lists.
    pub listing: Listing,
    /// Labels to search by.
    pub labels: Vec<(String, String)>,
    /// The run that it is an item of.
    pub parent: Option<RunId>,
    /// When it has to be driven, if it is not owned from the start: at a time, or else at once.
    pub wake: Wake,
    /// The worker that drives it from the start, at epoch 1; without, whoever claims it. It must have registered.
    pub owner: Option<WorkerId>,
    /// Its pipeline's record, and values too large for their events.
    pub blobs: Vec<Blob>,
    /// Locks for which its first events ask.
    pub locks: Vec<LockChange>,
    /// A note on which the start goes by: it does not happen when the note has another version by then. A start with a
    /// transition looks at no notes.
    pub over: Option<NoteVersion>,
}

/// What a worker asks for when it claims runs.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The worker. It must have registered.
    pub worker: WorkerId,
    /// Most runs that it takes.
    pub limit: usize,
    /// Only this run, whatever waits; it must be claimable all the same.
    pub only: Option<RunId>,
}

/// A run that a worker has claimed: its epoch was raised, and only this worker can write to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// The run's number in this store.
    pub no: RunNo,
    /// The run.
    pub run: RunId,
    /// The new epoch.
    pub epoch: Epoch,
    /// Whether another worker owned it until now: what that worker ran is in doubt.
    pub taken_over: bool,
    /// When the worker before was last known alive; `None` when nobody owned the run.
    pub predecessor_alive_at: Option<Timestamp>,
    /// Whether the death of the worker before is proven: nothing of its process can still act, though a request that it
    /// had sent may still be under way.
    pub death_proven: bool,
    /// How often it was taken over without an append since, this time included. A run that was given back counts anew, and a
    /// claim of one that nobody owned does not count: only one that kills three workers reaches 3.
    pub takeovers_without_progress: u32,
}
