//! What is live where: what the steps that send traffic give back.

use super::Release;
use serde::{Deserialize, Serialize};
use towpath_model::Timestamp;
use towpath_step::Output;

/// A release that has traffic in an environment, and what had it before.
///
/// It is stored as the output of `Promote` and of the steps before it, and is the record of what is live where: everything
/// that is needed to deploy it again, or what was there before it, is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Live {
    /// Of which service.
    pub service: String,
    /// In which environment.
    pub environment: String,
    /// Which version.
    pub version: String,
    /// The digest of its image.
    pub digest: String,
    /// All of it.
    pub release: Release,
    /// Which version had the traffic before; none for the first release of a service.
    pub previous: Option<String>,
    /// All that is known of that one, to deploy it again.
    pub replaced: Option<Previous>,
    /// Percent of the traffic that it has.
    pub weight: u8,
    /// Whether it is the stable release, the one that keeps the traffic whatever happens.
    pub is_stable: bool,
    /// The router's revision of that.
    pub revision: String,
    /// What was found about it on the way, in words; one for each bake.
    pub verdicts: Vec<String>,
    /// Since when, by the engine's clock.
    pub since: Timestamp,
}

/// What had the traffic before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
pub struct Previous {
    /// Which version.
    pub version: String,
    /// The digest of its image, where the platform told it.
    pub digest: Option<String>,
    /// All of it, to deploy it again, where the platform told it.
    pub release: Option<Release>,
}
