//! Whether the journals of a store are those that were anchored and signed.

use super::chain;
use crate::{Keys, config::EVENTS_PAGE};
use std::collections::{BTreeMap, HashMap};
use towpath_model::{Anchor, Digest, Leaf, RunId, RunNo, Seq, SignedHead, Status, StoredAnchor, merkle_root};
use towpath_store::{Cursor, Filter, Head, Page, RemovedRun, RunRow, Store, StoreError, StoreErrorKind};

/// Anchors and removals read at once.
const PAGE: usize = 256;

/// What was found out about a store by what was anchored and signed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// Anchors that are right, up to the first that is not.
    pub anchors: u64,
    /// The last of them.
    pub last: Option<Anchor>,
    /// Runs of which an anchor tells.
    pub anchored: u64,
    /// Signatures of heads that are right.
    pub signed: u64,
    /// Settled runs whose head nobody has signed.
    pub unsigned: u64,
    /// Runs that were removed, as their records say, since the last anchor.
    pub removed_since: u64,
    /// Everything that is wrong, in words.
    pub faults: Vec<String>,
}

impl Evidence {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Holds a store to its anchors and signed heads: every anchor follows the one before it, has its root, and is signed by
/// one of the keys; every run that an anchor tells of is there, or was removed, and its journal goes through the head that
/// was anchored; every signed head is signed by one of the keys and is where the journal ends.
///
/// `kept` are anchors that were kept elsewhere: those of the store must begin with them. Only they show that the last
/// anchors of a store were cut off together with what they told of.
///
/// # Errors
/// When the store cannot be read; what is wrong with it is part of the answer.
pub async fn evidence(store: &dyn Store, keys: &Keys, kept: &[StoredAnchor]) -> Result<Evidence, StoreError> {
    let mut check =
        Check { store, keys, found: Evidence::default(), leaves: HashMap::new(), removed: BTreeMap::new() };
    check.anchors(kept).await?;
    check.read_removed().await?;
    check.journals().await?;
    check.heads().await?;
    Ok(check.found)
}

/// Checks one anchor behind another; it and its leaves, or what is wrong with it.
fn follows(
    before: Option<&Anchor>,
    stored: &StoredAnchor,
    keys: &Keys,
) -> Result<(Anchor, Vec<Leaf>), String> {
    let no = before.map_or(1, |before| before.no + 1);
    let wrong = |what: &str| format!("anchor {no}: {what}");
    let anchor = Anchor::decode(&stored.anchor).ok_or_else(|| wrong("it cannot be read"))?;
    if anchor.no != no {
        let found = anchor.no;
        return Err(wrong(&format!("number {found} stands in its place: anchors were deleted or reordered")));
    }
    if anchor.prev != before.map_or(Digest::ZERO, Anchor::hash) {
        return Err(wrong("it does not follow the one before it"));
    }
    let leaves = Leaf::decode_all(&stored.leaves).ok_or_else(|| wrong("its heads cannot be read"))?;
    if leaves.len() as u64 != anchor.count || merkle_root(&leaves) != anchor.root {
        return Err(wrong("its heads are not those of its root: they were changed"));
    }
    if !keys.knows(stored.key) {
        return Err(wrong(&format!("it is signed by key {}, which is not among the keys", stored.key)));
    }
    if !keys.verifies(stored.key, &stored.anchor, &stored.signature) {
        return Err(wrong("its signature is not right"));
    }
    Ok((anchor, leaves))
}

struct Check<'a> {
    store: &'a dyn Store,
    keys: &'a Keys,
    found: Evidence,
    /// The last anchored head of each run, with the number of its anchor.
    leaves: HashMap<RunId, (u64, Leaf)>,
    removed: BTreeMap<RunId, RemovedRun>,
}

impl Check<'_> {
    fn fault(&mut self, what: String) {
        self.found.faults.push(what);
    }

    async fn anchors(&mut self, kept: &[StoredAnchor]) -> Result<(), StoreError> {
        let mut before: Option<Anchor> = None;
        loop {
            let after = before.as_ref().map_or(0, |anchor| anchor.no);
            let page = self.store.anchors(after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for stored in &page {
                let (anchor, leaves) = match follows(before.as_ref(), stored, self.keys) {
                    Ok(right) => right,
                    Err(what) => {
                        self.fault(what);
                        return Ok(());
                    }
                };
                let at = usize::try_from(anchor.no - 1).unwrap_or(usize::MAX);
                if kept.get(at).is_some_and(|kept| kept.anchor != stored.anchor) {
                    self.fault(format!("anchor {}: it is not the one that was kept", anchor.no));
                    return Ok(());
                }
                let of_run = leaves.into_iter().map(|leaf| (leaf.run, (anchor.no, leaf)));
                self.leaves.extend(of_run);
                self.found.anchors = anchor.no;
                before = Some(anchor);
            }
        }
        if self.found.anchors < kept.len() as u64 {
            let (last, kept) = (self.found.anchors, kept.len());
            self.fault(format!("anchor {}: it is missing, and {kept} were kept", last + 1));
        }
        self.found.last = before;
        Ok(())
    }

    async fn read_removed(&mut self) -> Result<(), StoreError> {
        let mut after = RunNo(0);
        loop {
            let page = self.store.removed(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.no;
            self.removed.extend(page.into_iter().map(|run| (run.run, run)));
        }
    }

    /// Holds each run to the last head that an anchor tells of it.
    async fn journals(&mut self) -> Result<(), StoreError> {
        let mut leaves: Vec<(u64, Leaf)> = self.leaves.drain().map(|(_, leaf)| leaf).collect();
        leaves.sort_by_key(|(no, leaf)| (*no, leaf.run));
        self.found.anchored = leaves.len() as u64;
        for (no, leaf) in leaves {
            let row = self.store.find(leaf.run).await?;
            let what = match row {
                Some(_) if leaf.is_removed => Some("it was removed, and is there again".to_owned()),
                Some(row) => self.journal(&row, &leaf).await?,
                None => self.gone(&leaf),
            };
            if let Some(what) = what {
                let head = if leaf.is_removed { "its removal" } else { "its head" };
                self.fault(format!(
                    "run {}: {what}; {head} at event {} is in anchor {no}",
                    leaf.run, leaf.seq
                ));
            }
        }
        Ok(())
    }

    /// What is wrong with a run that is not there.
    fn gone(&mut self, leaf: &Leaf) -> Option<String> {
        if leaf.is_removed {
            return None;
        }
        let Some(removed) = self.removed.get(&leaf.run) else {
            return Some("it is missing, and no record says that it was removed".to_owned());
        };
        if removed.seq < leaf.seq || (removed.seq == leaf.seq && removed.hash != leaf.hash) {
            return Some("the record of its removal says another end".to_owned());
        }
        self.found.removed_since += 1;
        None
    }

    /// What is wrong with a run's journal.
    async fn journal(&self, row: &RunRow, leaf: &Leaf) -> Result<Option<String>, StoreError> {
        let head = match self.store.head(row.no).await {
            Ok(head) => head,
            // It was removed just now.
            Err(e) if e.kind() == StoreErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if head.seq < leaf.seq {
            return Ok(Some(format!("its end was cut off: its journal ends at event {}", head.seq)));
        }
        match self.hash_at(row, leaf.seq, &head).await? {
            Ok(hash) if hash == leaf.hash => Ok(None),
            Ok(_) => Ok(Some("its journal was written anew: that event is another one".to_owned())),
            Err(what) => Ok(Some(what)),
        }
    }

    /// The hash of an event, from its stored header.
    async fn hash_at(
        &self,
        row: &RunRow,
        seq: Seq,
        head: &Head,
    ) -> Result<Result<Digest, String>, StoreError> {
        if seq == Seq(0) {
            return Ok(Ok(Digest::ZERO));
        }
        match self.store.events(row.no, Seq(seq.0 - 1), 1).await {
            Ok(events) => match events.first() {
                Some(stored) => Ok(Ok(Digest::of(&stored.header))),
                None => Ok(Err(format!("event {seq} is missing, and its head says {}", head.seq))),
            },
            Err(e) if e.kind() == StoreErrorKind::Corrupt => Ok(Err(chain(&e))),
            Err(e) if e.kind() == StoreErrorKind::NotFound => Ok(Ok(head.hash)),
            Err(e) => Err(e),
        }
    }

    /// Checks the signatures of heads.
    async fn heads(&mut self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.store.list(&Filter::default(), Page { after, limit: EVENTS_PAGE }).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(Cursor(last.no));
            for row in &page {
                match self.store.signed_head(row.no).await {
                    Ok(Some(signed)) => self.head(row, &signed).await?,
                    Ok(None) => {
                        self.found.unsigned += u64::from(row.listing.status == Status::Settled);
                    }
                    Err(e) if e.kind() == StoreErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
        }
    }

    async fn head(&mut self, row: &RunRow, signed: &SignedHead) -> Result<(), StoreError> {
        let what = match signed_by(signed, row.run, self.keys) {
            Err(what) => Some(what),
            Ok(()) => {
                let leaf = Leaf { run: row.run, seq: signed.seq, hash: signed.hash, is_removed: false };
                self.journal(row, &leaf).await?
            }
        };
        match what {
            Some(what) => {
                self.fault(format!("run {}: {what}; its head at event {} was signed", row.run, signed.seq))
            }
            None => self.found.signed += 1,
        }
        Ok(())
    }
}

/// Whether a head is signed by one of the keys, or what is wrong with its signature.
///
/// # Errors
/// Says what is wrong.
pub fn signed_by(signed: &SignedHead, run: RunId, keys: &Keys) -> Result<(), String> {
    if !keys.knows(signed.key) {
        return Err(format!("its head is signed by key {}, which is not among the keys", signed.key));
    }
    let message = SignedHead::message(run, signed.seq, signed.hash);
    match keys.verifies(signed.key, &message, &signed.signature) {
        true => Ok(()),
        false => Err("the signature of its head is not right".to_owned()),
    }
}
