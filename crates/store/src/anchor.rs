//! What a store tells and keeps of anchors.

use towpath_model::{Leaf, StoredAnchor};

/// Heads that moved since the last anchor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unanchored {
    /// The last anchor.
    pub last: Option<StoredAnchor>,
    /// Heads that moved since then, by run.
    pub leaves: Vec<Leaf>,
    /// Up to where the store has looked; its own.
    pub mark: [i64; 2],
    /// Whether there are more than were asked for.
    pub is_more: bool,
}

/// An anchor to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewAnchor {
    /// Its number: one more than that of the last.
    pub no: u64,
    /// The anchor.
    pub anchor: StoredAnchor,
    /// Its leaves, as they were [told](Unanchored::leaves).
    pub leaves: Vec<Leaf>,
    /// The mark that was told with them.
    pub mark: [i64; 2],
}
