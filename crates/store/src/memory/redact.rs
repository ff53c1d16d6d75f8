//! Taking payloads out.

use super::state::State;
use crate::{Redaction, Removal};

impl State {
    pub(super) fn redact(&mut self, redaction: Redaction) -> Removal {
        let Redaction { run, at, after, after_hash, event, head_hash, frees } = redaction;
        let Some(no) = self.by_id.get(&run).copied() else { return Removal::NotThere };
        if let Some(why) = self.holds(run, after, after_hash) {
            return why;
        }
        let run = self.own(no);
        let index = at.0.checked_sub(1).and_then(|i| usize::try_from(i).ok());
        let Some(redacted) = index.and_then(|i| run.events.get_mut(i)) else { return Removal::NotThere };
        redacted.payload = None;
        run.events.push(event);
        run.hash = head_hash;
        for digest in &frees {
            run.refers.remove(digest);
        }
        self.unswept.extend(frees);
        self.unanchored.insert(no);
        Removal::Removed
    }
}
