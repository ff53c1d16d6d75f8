//! Entries from outside and from other runs.

use super::state::State;
use crate::{Put, StoreError, StoreErrorKind};
use towpath_model::{Entry, EntryId, NewEntry, RunId, RunNo, Status, Timestamp, limits};

impl State {
    pub(super) fn put_entry(
        &mut self,
        run: RunId,
        entry: NewEntry,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let missing = || StoreError::new(StoreErrorKind::NotFound, "put an entry").with("run", run);
        let no = *self.by_id.get(&run).ok_or_else(missing)?;
        let to = self.own(no);
        Ok(if to.seen.contains(&entry.dedupe_id) {
            Put::Duplicate
        } else if to.is_settled() {
            Put::Settled
        } else if to.entries.len() >= limits::INBOX_ENTRIES {
            Put::Full
        } else {
            self.take(no, entry, now, true);
            Put::Accepted
        })
    }

    /// An entry from another run or from the store itself: taken whatever the inbox holds, dropped when nobody is
    /// there to read it.
    pub(super) fn send(&mut self, run: RunId, entry: NewEntry, now: Timestamp) {
        let Some(no) = self.by_id.get(&run).copied() else { return };
        let to = self.own(no);
        let wakes = to.listing.status != Status::Quarantined;
        if !to.is_settled() && !to.seen.contains(&entry.dedupe_id) {
            let id = self.take(no, entry, now, wakes);
            self.own(no).sent.insert(id);
        }
    }

    /// An entry for a run that may be over, or about to be: then it can be claimed once more.
    pub(super) fn recall(&mut self, run: RunId, entry: NewEntry, now: Timestamp) {
        let Some(no) = self.by_id.get(&run).copied() else { return };
        if !self.own(no).seen.contains(&entry.dedupe_id) {
            let id = self.take(no, entry, now, true);
            self.own(no).recalls.insert(id);
        }
    }

    fn take(&mut self, no: RunNo, entry: NewEntry, now: Timestamp, wakes: bool) -> EntryId {
        self.last_entry += 1;
        let id = EntryId(self.last_entry);
        let NewEntry { dedupe_id, actor, message } = entry;
        let run = self.own(no);
        run.seen.insert(dedupe_id.clone());
        if wakes {
            run.ready_at.get_or_insert(now);
        }
        run.entries.insert(id, Entry { id, dedupe_id, actor, message, received_at: now });
        id
    }
}
