//! What a driver is told.

use crate::{body::End, values::Stored};
use tokio::sync::{mpsc, oneshot};
use towpath_step::{StepError, host::WaitAsk, host::Waited};

/// How a driver is reached.
///
/// Unbounded, and bounded by what sends: a body sends one end and awaits each answer, hints are coalesced.
pub(crate) type Mailbox = mpsc::UnboundedSender<Msg>;

/// Number of an entry of a body, unique among those of one driver.
pub(crate) type EntryNo = u64;

/// Answer to a body's request.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, StepError>>;

/// What a driver is told.
pub(crate) enum Msg {
    /// A body ended.
    End(EntryNo, End),
    /// A body saves a value.
    Checkpoint(EntryNo, Stored, Reply<()>),
    /// A body waits.
    Wait(EntryNo, WaitAsk, Option<Stored>, Reply<Waited>),
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
