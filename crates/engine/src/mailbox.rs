//! What a driver is told.

use crate::{body::End, plans::Prepared, values::Stored};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use towpath_model::{Json, Payload, RunId, StepId};
use towpath_step::{StepError, host::WaitAsk, host::Waited};

/// How a driver is reached.
///
/// Unbounded, and bounded by what sends: a body sends one end and awaits each answer, hints are coalesced.
pub(crate) type Mailbox = mpsc::UnboundedSender<Msg>;

/// Number of an entry of a body, unique among those of one driver.
pub(crate) type EntryNo = u64;

/// Answer to a body's request.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StepError>>;

/// Where a run stands, for a body that looks ahead.
pub(crate) struct RunNow {
    pub(crate) plan: Arc<Prepared>,
    pub(crate) run: RunId,
    pub(crate) values: Arc<BTreeMap<String, Json>>,
    /// The outputs of the steps that are done.
    pub(crate) outputs: Vec<(StepId, Payload)>,
}

/// What a driver is told.
pub(crate) enum Msg {
    /// A body ended.
    End(EntryNo, End),
    /// A body saves a value.
    Checkpoint(EntryNo, Stored, Reply<()>),
    /// A body waits.
    Wait(EntryNo, WaitAsk, Option<Stored>, Reply<Waited>),
    /// A body asks where the run stands.
    Outputs(Reply<RunNow>),
    /// There is something in the inbox.
    Inbox,
    /// Something was written somewhere, perhaps into the inbox.
    Look,
    /// A body wrote to its log, or reported progress.
    Side,
    /// Bring what runs to an end and give the run back.
    Drain {
        /// Whether bodies are given their grace.
        grace: bool,
    },
}
