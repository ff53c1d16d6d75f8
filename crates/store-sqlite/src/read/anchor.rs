//! Signed heads and anchors.

use crate::error::{Failure, not_found};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use towpath_model::{Digest, KeyId, Leaf, RunId, RunNo, Seq, Signature, SignedHead, StoredAnchor};
use towpath_store::Unanchored;

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredAnchor> {
    let (key, signature) = (KeyId(row.get(2)?), Signature(row.get(3)?));
    Ok(StoredAnchor { anchor: row.get(0)?, leaves: row.get(1)?, key, signature })
}

/// The anchors after a number, in order.
pub(crate) fn anchors(
    connection: &Connection,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredAnchor>, Failure> {
    const ANCHORS: &str =
        "SELECT anchor, leaves, key_id, signature FROM anchors WHERE no > ?1 ORDER BY no LIMIT ?2";
    let [after, limit] = [i64::try_from(after), i64::try_from(limit)].map(|n| n.unwrap_or(i64::MAX));
    let mut anchors = connection.prepare_cached(ANCHORS)?;
    Ok(anchors.query_map(params![after, limit], stored)?.collect::<Result<_, _>>()?)
}

/// The signature of a run's head, if somebody has signed it.
pub(crate) fn signed_head(connection: &Connection, run: RunNo) -> Result<Option<SignedHead>, Failure> {
    const FIND: &str = "SELECT run_id, signed_heads.seq, signed_heads.head_hash, key_id, signature FROM runs \
         LEFT JOIN signed_heads USING (run_no) WHERE run_no = ?1";
    let head = |row: &Row<'_>| {
        if row.get_ref(1)? == rusqlite::types::ValueRef::Null {
            return Ok(None);
        }
        Ok(Some(SignedHead {
            run: RunId::from_bytes(row.get(0)?),
            seq: Seq(row.get::<_, i64>(1)? as u64),
            hash: Digest(row.get(2)?),
            key: KeyId(row.get(3)?),
            signature: Signature(row.get(4)?),
        }))
    };
    let found = connection.prepare_cached(FIND)?.query_row([run.0], head).optional()?;
    found.ok_or_else(|| not_found("read a signed head").with("run", run).into())
}

/// Heads that moved since the last anchor, found by so many events at most.
pub(crate) fn unanchored(connection: &Connection, limit: usize) -> Result<Unanchored, Failure> {
    const LAST: &str = "SELECT anchor, leaves, key_id, signature FROM anchors ORDER BY no DESC LIMIT 1";
    const MOVED: &str =
        "SELECT id, run_no FROM events WHERE id > (SELECT event FROM anchoring) ORDER BY id LIMIT ?1";
    const HEAD: &str =
        "SELECT run_id, seq, head_hash FROM heads JOIN runs USING (run_no) WHERE heads.run_no = ?1";
    const REMOVED: &str =
        "SELECT run_id, seq, head_hash FROM removed WHERE is_anchored = 0 ORDER BY run_no LIMIT ?1";
    // One transaction: what moved and where it is belong together.
    let connection = connection.unchecked_transaction()?;
    let last = connection.prepare_cached(LAST)?.query_row([], stored).optional()?;
    let found = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (mut mark, freed) =
        connection.prepare_cached("SELECT event, freed FROM anchoring")?.query_row([], found)?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let (mut runs, mut seen) = (std::collections::BTreeSet::new(), 0);
    let mut moved = connection.prepare_cached(MOVED)?;
    let mut rows = moved.query([most])?;
    while let Some(row) = rows.next()? {
        mark = row.get(0)?;
        runs.insert(row.get::<_, i64>(1)?);
        seen += 1;
    }
    let leaf = |is_removed| {
        move |row: &Row<'_>| {
            let (run, seq) = (RunId::from_bytes(row.get(0)?), Seq(row.get::<_, i64>(1)? as u64));
            Ok(Leaf { run, seq, hash: Digest(row.get(2)?), is_removed })
        }
    };
    let mut leaves = BTreeMap::new();
    let mut head = connection.prepare_cached(HEAD)?;
    for run in runs {
        if let Some(leaf) = head.query_row([run], leaf(false)).optional()? {
            leaves.insert(leaf.run, leaf);
        }
    }
    let mut removed = connection.prepare_cached(REMOVED)?;
    let removed: Vec<Leaf> = removed.query_map([most], leaf(true))?.collect::<Result<_, _>>()?;
    let is_more = seen == most || removed.len() as i64 == most;
    leaves.extend(removed.into_iter().map(|leaf| (leaf.run, leaf)));
    Ok(Unanchored { last, leaves: leaves.into_values().collect(), mark: [mark, freed], is_more })
}
