//! How far a rollout is: its checkpoint.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use towpath_model::{Key, Timestamp};
use towpath_provider::Routes;

/// What is saved between two entries.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Progress {
    /// The release was not there before: undoing removes it.
    pub(super) created: bool,
    /// When something was sent that may still be on its way.
    pub(super) sent: Option<Timestamp>,
    /// The platform has taken the order over.
    pub(super) ordered: bool,
    /// How many instances were ordered last, of one that grows.
    pub(super) instances: u32,
    /// Until when its instances have to be healthy.
    pub(super) healthy_by: Option<Timestamp>,
    pub(super) is_healthy: bool,
    /// Which weight is next, or bakes.
    pub(super) at: usize,
    /// How often a weight had to be set again: a part of the name of its key.
    pub(super) again: u32,
    /// Durable waits so far: a part of their names.
    pub(super) waits: u32,
    /// Where the traffic stands by the step's own hand.
    pub(super) moved: Option<Moved>,
    /// The revision that the next move names, once it is not that of the before-image.
    pub(super) revision: Option<String>,
    pub(super) bake: Option<Bake>,
    /// Since when the baseline can be looked at, and until when it had traffic.
    pub(super) baseline: Option<(Timestamp, Option<Timestamp>)>,
    /// Looks in a row that saw nothing.
    pub(super) blind: u32,
    /// Looks in a row at which no instance was healthy.
    pub(super) sick: u32,
    pub(super) verdicts: Vec<String>,
    /// An operator was asked what becomes of a bake without a verdict.
    pub(super) rested: bool,
}

/// Where the traffic stands by the step's own hand.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    pub(super) key: Key,
    pub(super) revision: String,
    pub(super) stable: String,
    pub(super) weights: BTreeMap<String, u8>,
    pub(super) is_held: bool,
}

/// One bake.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bake {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) prolonged: u32,
}

impl Progress {
    /// The move with this key is there.
    pub(super) fn adopt(&mut self, routes: &Routes, key: &Key) {
        self.sent = None;
        self.revision = Some(routes.revision.clone());
        self.moved = Some(Moved {
            key: key.clone(),
            revision: routes.revision.clone(),
            stable: routes.stable.clone(),
            weights: routes.weights.clone(),
            is_held: routes.held_until.is_some(),
        });
    }

    /// The traffic is as the step did not leave it, and yet the step's to move: the weight is set again, with another key.
    pub(super) fn set_again(&mut self, routes: &Routes) {
        self.again += 1;
        self.sent = None;
        self.revision = Some(routes.revision.clone());
        self.bake = None;
        self.rested = false;
    }

    /// The name of the key of a move.
    pub(super) fn name_of(&self, what: &str) -> String {
        if self.again == 0 { what.to_owned() } else { format!("{what}-again-{}", self.again) }
    }
}
