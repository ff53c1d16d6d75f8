//! Anchors.

use super::state::State;
use crate::{NewAnchor, Unanchored};
use std::collections::HashMap;
use towpath_model::{Leaf, RunId, RunNo};

impl State {
    /// Where a run is, or was when it was removed.
    fn leaf(&self, no: RunNo) -> Option<Leaf> {
        match (self.runs.get(&no), self.removed.get(&no)) {
            (Some(run), _) => Some(Leaf { run: run.id, seq: run.seq(), hash: run.hash, is_removed: false }),
            (None, Some(run)) => Some(Leaf { run: run.run, seq: run.seq, hash: run.hash, is_removed: true }),
            (None, None) => None,
        }
    }

    pub(super) fn unanchored(&self, limit: usize) -> Unanchored {
        let mut leaves: Vec<Leaf> =
            self.unanchored.iter().take(limit).filter_map(|no| self.leaf(*no)).collect();
        leaves.sort_by_key(|leaf| leaf.run);
        let is_more = self.unanchored.len() > limit;
        Unanchored { last: self.anchors.last().cloned(), leaves, mark: [0; 2], is_more }
    }

    pub(super) fn anchor(&mut self, new: NewAnchor) -> bool {
        if new.no != self.anchors.len() as u64 + 1 {
            return false;
        }
        self.anchors.push(new.anchor);
        let leaves: HashMap<RunId, Leaf> = new.leaves.into_iter().map(|leaf| (leaf.run, leaf)).collect();
        let mut unanchored = std::mem::take(&mut self.unanchored);
        // What has moved since it was told stays.
        unanchored.retain(|no| self.leaf(*no).is_some_and(|leaf| leaves.get(&leaf.run) != Some(&leaf)));
        self.unanchored = unanchored;
        true
    }
}
