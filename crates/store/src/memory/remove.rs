//! Taking runs out.

use super::state::{Run, State};
use crate::{Removal, Remove, RemovedRun};
use towpath_model::{Digest, RunId, Seq, Timestamp};

impl State {
    pub(super) fn remove(&mut self, remove: Remove, now: Timestamp) -> Removal {
        let Some(no) = self.by_id.get(&remove.run).copied() else { return Removal::NotThere };
        if let Some(why) = self.keeps(&remove) {
            return why;
        }
        let run = self.runs.remove(&no).expect("a run is removed with everything that has its number");
        self.by_id.remove(&run.id);
        self.by_key.remove(&(run.pipeline.clone(), run.key.clone()));
        let Remove { seq, hash, by, note, .. } = remove;
        let Run { id, pipeline, key, refers, .. } = run;
        self.unswept.extend(refers);
        self.unanchored.insert(no);
        self.removed.insert(no, RemovedRun { no, run: id, pipeline, key, seq, hash, at: now, by, note });
        Removal::Removed
    }

    /// Why a run has to stay, if it has to.
    fn keeps(&self, remove: &Remove) -> Option<Removal> {
        let has_items = || self.runs.values().any(|other| other.parent == Some(remove.run));
        let why = self.holds(remove.run, remove.seq, remove.hash);
        why.or_else(|| has_items().then_some(Removal::HasItems))
    }

    /// Why a run is not at rest for good, with its journal ending here, if it is not.
    pub(super) fn holds(&self, run: RunId, seq: Seq, hash: Digest) -> Option<Removal> {
        let run = self.by_id.get(&run).and_then(|no| self.runs.get(no))?;
        if !run.is_settled() {
            return Some(Removal::Open);
        }
        if (run.seq(), run.hash) != (seq, hash) {
            return Some(Removal::Moved);
        }
        if run.is_awaited() {
            return Some(Removal::Driven);
        }
        let mut above = run.parent;
        while let Some(parent) = above.and_then(|id| self.by_id.get(&id)).and_then(|no| self.runs.get(no)) {
            if !parent.is_settled() || parent.is_awaited() {
                return Some(Removal::Needed);
            }
            above = parent.parent;
        }
        None
    }

    pub(super) fn sweep(&mut self, most: usize) -> bool {
        let pending: Vec<Digest> = self.unswept.iter().take(most).copied().collect();
        for digest in pending {
            self.unswept.remove(&digest);
            if !self.runs.values().any(|run| run.refers.contains(&digest)) {
                self.blobs.remove(&digest);
            }
        }
        !self.unswept.is_empty()
    }
}

impl Run {
    /// Whether somebody drives it, or is to.
    fn is_awaited(&self) -> bool {
        self.owner.is_some() || self.ready_at.is_some()
    }
}
