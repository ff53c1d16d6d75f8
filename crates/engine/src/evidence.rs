//! Signing what settles, and anchoring what moved.

use crate::{
    Signer,
    config::{ANCHOR_HEADS, ANCHOR_PERIOD},
    shared::{Phase, Shared},
    time::Backoff,
};
use std::{error::Error, sync::Arc};
use tokio::time::Instant;
use towpath_model::{Anchor, Digest, Leaf, RunId, Seq, SignedHead, StoredAnchor};
use towpath_store::{NewAnchor, Unanchored};

/// Signs the head with which a run settles. A run is not held up by a signer that cannot: its head is in an anchor soon.
pub(crate) fn signed_head(shared: &Shared, run: RunId, seq: Seq, hash: Digest) -> Option<SignedHead> {
    let signer = shared.signer.as_ref()?;
    match signer.sign(&SignedHead::message(run, seq, hash)) {
        Ok(signature) => Some(SignedHead { run, seq, hash, key: signer.key(), signature }),
        Err(error) => {
            tracing::warn!(%run, error = %error, "the run settles without a signature of its head");
            None
        }
    }
}

/// Anchors the heads that moved, every minute.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let Some(signer) = shared.signer.clone() else { return };
    let mut phases = shared.phases();
    let mut next = Instant::now() + ANCHOR_PERIOD;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _ = phases.wait_for(|phase| *phase == Phase::Stopped) => return,
        }
        if let Err(error) = anchor(&shared, &*signer).await {
            tracing::warn!(error = %error, "heads could not be anchored; they will be with the next anchor");
        }
        next = Instant::now() + ANCHOR_PERIOD;
    }
}

/// Anchors all heads that moved since the last anchor; how many anchors that took.
///
/// # Errors
/// When the store or the signer cannot, or the last anchor cannot be read.
pub(crate) async fn anchor(
    shared: &Shared,
    signer: &dyn Signer,
) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let (mut written, mut backoff, mut lost) = (0, Backoff::new(), 0);
    loop {
        let told = shared.store.unanchored(ANCHOR_HEADS).await?;
        if told.leaves.is_empty() && !told.is_more {
            return Ok(written);
        }
        let is_more = told.is_more;
        if shared.store.anchor(new_anchor(shared, signer, told)?).await? {
            written += 1;
        } else {
            // Another engine on the same store has anchored, or events were freed: the rest is looked for anew.
            lost += 1;
            if lost > 10 {
                return Ok(written);
            }
            backoff.wait().await;
            continue;
        }
        if !is_more {
            return Ok(written);
        }
    }
}

fn new_anchor(
    shared: &Shared,
    signer: &dyn Signer,
    told: Unanchored,
) -> Result<NewAnchor, Box<dyn Error + Send + Sync>> {
    let before = match &told.last {
        Some(last) => Some(
            Anchor::decode(&last.anchor)
                .ok_or("the last anchor cannot be read: look with `verify --anchors`")?,
        ),
        None => None,
    };
    let anchor = Anchor::of(before.as_ref(), shared.now(), &told.leaves);
    let encoded = anchor.encode();
    let signature = signer.sign(&encoded)?;
    let leaves = told.leaves.iter().flat_map(Leaf::encode).collect();
    let stored = StoredAnchor { anchor: encoded, leaves, key: signer.key(), signature };
    Ok(NewAnchor { no: anchor.no, anchor: stored, leaves: told.leaves, mark: told.mark })
}
