//! Runs that are written to a store without an engine.

use crate::BoxError;
use towpath::{
    model::{
        Actor, Chain, Digest, Epoch, Listing, PipelineName, RunId, RunKey, RunNo, Status, StoredEvent,
        Timestamp, WorkerId,
    },
    store::{NewRun, Started, Store, Transition, Wake},
    store_sqlite::SqliteStore,
};

/// A run, as far as it was written here.
pub(crate) struct Run {
    pub(crate) id: RunId,
    no: RunNo,
    pub(crate) chain: Chain,
}

impl Run {
    pub(crate) async fn start(store: &SqliteStore, worker: &WorkerId, n: u64) -> Result<Self, BoxError> {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        let id = RunId::from_bytes(id);
        let new = NewRun {
            run: id,
            pipeline: PipelineName::new("bench")?,
            key: RunKey::new(&format!("run-{n}"))?,
            plan_hash: Digest::ZERO,
            events: Vec::new(),
            head_hash: Digest::ZERO,
            listing: Listing { status: Status::Running, note: String::new(), outcome: None },
            labels: Vec::new(),
            parent: None,
            wake: Wake::Never,
            owner: Some(worker.clone()),
            blobs: Vec::new(),
            locks: Vec::new(),
            over: None,
        };
        match store.start_run(new).await? {
            Started::New(no) => Ok(Run { id, no, chain: Chain::new(id) }),
            Started::Existing(_) | Started::Moved => Err("the key is taken".into()),
        }
    }

    /// The transition that appends so many events.
    pub(crate) fn append(&mut self, events: usize) -> Transition {
        let after = self.chain.seq();
        let events = (0..events).map(|_| self.event()).collect();
        Transition { events, ..Transition::new(self.no, Epoch(1), after, self.chain.hash()) }
    }

    /// An event as the engine writes them: the end of a step.
    fn event(&mut self) -> StoredEvent {
        self.chain.seal(3, Timestamp::MIN, Epoch(1), &Actor::engine(), payload()).stored
    }
}

/// Writes a transition that nobody refuses.
pub(crate) async fn commit(store: &SqliteStore, transition: Transition) -> Result<(), BoxError> {
    match store.commit(vec![transition]).await?.iter().all(Result::is_ok) {
        true => Ok(()),
        false => Err("a transition was refused".into()),
    }
}

/// Bytes of a payload: what the engine writes for a step of the load.
const PAYLOAD: usize = 170;

/// The payload of the end of a step.
pub(crate) fn payload() -> Vec<u8> {
    let before = br#"{"step":"step-1","attempt":1,"output":{"inline":""#;
    let mut payload = before.to_vec();
    payload.resize(PAYLOAD - 3, b'x');
    payload.extend_from_slice(b"\"}}");
    payload
}
