//! Rules of [`Store::unanchored`](crate::Store::unanchored), [`Store::anchor`](crate::Store::anchor) and signed heads.

use super::fixture::{Fixture, Lease, Outcome, Sample, commit, register};
use crate::{NewAnchor, Remove, Store, StoreError, Transition, Unanchored};
use std::error::Error;
use towpath_model::{
    Actor, Anchor, Digest, KeyId, Leaf, RunId, Signature, SignedHead, StoredAnchor, Timestamp,
};

const KEY: KeyId = KeyId([7; 8]);

/// An anchor over what was told.
fn anchor_of(told: &Unanchored) -> Result<NewAnchor, Box<dyn Error>> {
    let before = match &told.last {
        Some(last) => Some(Anchor::decode(&last.anchor).ok_or("the last anchor cannot be read")?),
        None => None,
    };
    let anchor = Anchor::of(before.as_ref(), Timestamp::MIN, &told.leaves);
    let (no, leaves) = (anchor.no, told.leaves.iter().flat_map(Leaf::encode).collect());
    let anchor = StoredAnchor { anchor: anchor.encode(), leaves, key: KEY, signature: Signature([9; 64]) };
    Ok(NewAnchor { no, anchor, leaves: told.leaves.clone(), mark: told.mark })
}

/// Anchors everything, so many at once; the leaves of each anchor.
async fn anchor_all(store: &dyn Store, limit: usize) -> Result<Vec<Vec<Leaf>>, Box<dyn Error>> {
    let mut anchored = Vec::new();
    for _ in 0..1_000 {
        let told = store.unanchored(limit).await?;
        if told.leaves.is_empty() && !told.is_more {
            return Ok(anchored);
        }
        assert!(store.anchor(anchor_of(&told)?).await?, "nobody else has written one");
        anchored.push(told.leaves);
    }
    Err("anchoring does not come to an end".into())
}

fn leaf(lease: &Lease, is_removed: bool) -> Leaf {
    Leaf { run: lease.run, seq: lease.chain.seq(), hash: lease.chain.hash(), is_removed }
}

async fn told(store: &dyn Store) -> Result<Vec<Leaf>, StoreError> {
    Ok(store.unanchored(1_000).await?.leaves)
}

fn sorted(mut leaves: Vec<Leaf>) -> Vec<Leaf> {
    leaves.sort_by_key(|leaf| leaf.run);
    leaves
}

pub(super) async fn a_head_that_moved_is_told_until_it_is_in_an_anchor(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    assert_eq!(told(&*store).await?, []);
    let mut leases = Vec::new();
    for n in 0..5 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
    }
    let all = sorted(leases.iter().map(|lease| leaf(lease, false)).collect());
    assert_eq!(told(&*store).await?, all);
    // One moves between looking and writing: it is told again.
    let before = store.unanchored(1_000).await?;
    commit(&*store, leases[2].append("on")).await?;
    assert!(store.anchor(anchor_of(&before)?).await?);
    assert_eq!(told(&*store).await?, [leaf(&leases[2], false)]);
    // What moves nothing is not told; what moves twice is told once, where it is.
    commit(&*store, leases[1].nothing()).await?;
    for text in ["on", "and on"] {
        commit(&*store, leases[0].append(text)).await?;
    }
    let moved = sorted(vec![leaf(&leases[0], false), leaf(&leases[2], false)]);
    assert_eq!(told(&*fixture.open()).await?, moved, "by another process as well");
    assert_eq!(anchor_all(&*store, 1_000).await?, [moved]);
    assert_eq!(told(&*store).await?, []);
    Ok(())
}

pub(super) async fn heads_are_told_in_parts_and_none_is_left_out(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut leases = Vec::new();
    for n in 0..7 {
        leases.push(Sample::new(n).owned(&me).start(&*store).await?);
    }
    let parts = anchor_all(&*store, 3).await?;
    assert!(parts.len() > 2, "{parts:?}");
    for lease in &leases {
        assert!(parts.iter().flatten().any(|l| *l == leaf(lease, false)), "run {} was left out", lease.no);
    }
    Ok(())
}

pub(super) async fn a_removed_run_is_told_once_also_when_its_events_are_freed(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let stays = Sample::new(1).owned(&me).start(&*store).await?;
    let mut goes = Sample::new(2).owned(&me).start(&*store).await?;
    commit(&*store, goes.settle()).await?;
    anchor_all(&*store, 1_000).await?;
    let (seq, hash, by) = (goes.chain.seq(), goes.chain.hash(), Actor::engine());
    store.remove(vec![Remove { run: goes.run, seq, hash, by, note: String::new() }]).await?;
    while store.sweep(2).await? {}
    assert_eq!(anchor_all(&*store, 1_000).await?, [[leaf(&goes, true)]]);
    // Its events were the last of all, and new ones stand where they stood.
    let mut next = Sample::new(3).owned(&me).start(&*store).await?;
    assert_eq!(anchor_all(&*store, 1_000).await?, [[leaf(&next, false)]]);
    commit(&*store, next.append("on")).await?;
    assert_eq!(anchor_all(&*store, 1_000).await?, [[leaf(&next, false)]]);
    assert!(store.find(stays.run).await?.is_some());
    Ok(())
}

pub(super) async fn of_two_anchors_with_one_number_one_is_written(fixture: &dyn Fixture) -> Outcome {
    let (here, there) = (fixture.open(), fixture.open());
    let me = register(&*here, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*here).await?;
    let seen = [here.unanchored(9).await?, there.unanchored(9).await?];
    assert!(here.anchor(anchor_of(&seen[0])?).await?);
    assert!(!there.anchor(anchor_of(&seen[1])?).await?, "its number is taken");
    commit(&*here, lease.append("on")).await?;
    let mut ahead = anchor_of(&here.unanchored(9).await?)?;
    ahead.no += 1;
    assert!(!here.anchor(ahead).await?, "a number would be left out");
    assert_eq!(here.anchors(0, 9).await?.len(), 1);
    Ok(())
}

pub(super) async fn anchors_come_back_byte_for_byte_in_order(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    let mut written = Vec::new();
    for _ in 0..4 {
        let new = anchor_of(&store.unanchored(9).await?)?;
        written.push(new.anchor.clone());
        assert!(store.anchor(new).await?);
        commit(&*store, lease.append("on")).await?;
    }
    assert_eq!(fixture.open().anchors(0, 9).await?, written);
    assert_eq!(store.anchors(1, 2).await?, written[1..3]);
    assert_eq!(store.anchors(4, 9).await?, []);
    assert_eq!(store.unanchored(9).await?.last.as_ref(), written.last());
    Ok(())
}

fn signed(run: RunId, lease: &Lease) -> SignedHead {
    let (seq, hash) = (lease.chain.seq(), lease.chain.hash());
    SignedHead { run, seq, hash, key: KEY, signature: Signature([lease.chain.seq().0 as u8; 64]) }
}

pub(super) async fn a_signed_head_is_written_with_its_transition_and_replaced_by_the_next(
    fixture: &dyn Fixture,
) -> Outcome {
    let store = fixture.open();
    let me = register(&*store, "me").await?;
    let mut lease = Sample::new(1).owned(&me).start(&*store).await?;
    assert_eq!(store.signed_head(lease.no).await?, None);
    let refused = Transition { signed: Some(signed(lease.run, &lease)), ..lease.clone().append("refused") };
    let refused = Transition { after: refused.after.next(), ..refused };
    assert!(store.commit(vec![refused]).await?[0].is_err());
    assert_eq!(store.signed_head(lease.no).await?, None);
    for text in ["on", "and on"] {
        let t = lease.append(text);
        let head = signed(lease.run, &lease);
        commit(&*store, Transition { signed: Some(head.clone()), ..t }).await?;
        assert_eq!(fixture.open().signed_head(lease.no).await?, Some(head));
    }
    assert_ne!(lease.chain.hash(), Digest::ZERO);
    Ok(())
}
