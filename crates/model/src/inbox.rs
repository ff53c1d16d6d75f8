//! What comes to a run from outside: signals, approvals and verbs, all through its inbox.

use crate::{Actor, ItemKey, Json, Name, Outcome, RunId, Seq, StepId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A message for a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// A value for whoever waits for a signal of that name; kept when nobody waits yet.
    Signal {
        /// Name of the signal.
        name: Name,
        /// Only for a wait of this step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// What it says.
        value: Json,
    },
    /// A decision about a step that waits for one. It reaches the step as the signal `approval`.
    Approval {
        /// The step.
        step: StepId,
        /// Yes or no.
        approve: bool,
        /// In the decider's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        comment: String,
    },
    /// An operator's verb.
    Verb {
        /// What to do.
        verb: Verb,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A run that is an item of a step of this one is over. Sent by the engine, with the item's last transition.
    SubRunSettled {
        /// The step.
        step: StepId,
        /// Place of the item in its list.
        index: u64,
        /// Key of the item.
        item: ItemKey,
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
        /// Whether it did something that it can undo.
        undoable: bool,
        /// Whether something that it did stays in place and is not undone any more.
        left: bool,
    },
    /// What the run that this one is an item of has it do. Sent by the engine.
    Parent {
        /// What.
        order: Order,
        /// The locks that the root run holds for it from now on, each with its fencing number; empty when they are
        /// those of before.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fencing: BTreeMap<Name, u64>,
    },
    /// The run holds a lock that it queued for. Sent by the store, in the transition that made the lock free.
    LockGranted {
        /// The lock.
        lock: Name,
        /// The fencing number: larger than that of everybody who held it before.
        fence: u64,
        /// Number of the event with which the run asked: an answer to an older question is none.
        asked: Seq,
    },
}

/// What a run has its items do when it leaves its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Stop and undo what was done, also when all of it had been done.
    Unwind,
    /// Stop and leave what was done.
    Cancel,
    /// Come to the end at once; the run above was given up.
    Abandon {
        /// Who gave it up.
        by: Actor,
        /// Why, in their words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
}

impl Order {
    /// The order in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Order::Unwind => "unwind",
            Order::Cancel => "cancel",
            Order::Abandon { .. } => "abandon",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What an operator may do to a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Start nothing new; running bodies finish.
    Pause,
    /// Go on.
    Resume,
    /// Stop, and undo what was done unless told otherwise.
    Cancel {
        /// Whether to undo.
        unwind: bool,
    },
    /// Try a resting step or compensation again.
    Retry {
        /// Which; not needed when only one rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// Give its effects new keys, so that a provider does not take them for the old ones.
        new_key: bool,
        /// Forget its checkpoint.
        from_scratch: bool,
    },
    /// Go on without a resting step or compensation.
    Skip {
        /// Which; not needed when only one rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// What readers of the step get; without it they are skipped too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Json>,
    },
    /// Say what happened to a step in doubt.
    Resolve {
        /// Which; not needed when only one rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        /// What happened.
        to: ResolveAs,
    },
    /// Go on from what is there after somebody took over: the step takes a new before-image and is tried again.
    Handback {
        /// Which; not needed when only one rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
    },
    /// Give the run up; what it did stays.
    Abandon,
    /// Give a lock back that the run holds, though its scope is not over. A run that goes on takes it again first.
    ReleaseLock {
        /// Which.
        lock: Name,
    },
}

/// What an operator says happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResolveAs {
    /// It took effect, with this output.
    Done(Json),
    /// It did not take effect.
    NotDone,
}

impl Verb {
    /// The verb in one word, as the command line spells it.
    pub fn word(&self) -> &'static str {
        match self {
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Cancel { .. } => "cancel",
            Verb::Retry { .. } => "retry",
            Verb::Skip { .. } => "skip",
            Verb::Resolve { .. } => "resolve",
            Verb::Handback { .. } => "handback",
            Verb::Abandon => "abandon",
            Verb::ReleaseLock { .. } => "lock release",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Number of an entry in its store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryId(pub i64);

/// A message on its way into an inbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEntry {
    /// The sender's own id: a second entry with it is ignored. One line of 1 to 256 bytes.
    pub dedupe_id: Name,
    /// Who sends it.
    pub actor: Actor,
    /// A [`Message`], encoded. A store does not look inside.
    pub message: Json,
}

/// A message in an inbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number; entries are folded in this order.
    pub id: EntryId,
    /// The sender's own id.
    pub dedupe_id: Name,
    /// Who sent it.
    pub actor: Actor,
    /// A [`Message`], encoded.
    pub message: Json,
    /// When the store took it, by the store's clock.
    pub received_at: Timestamp,
}
