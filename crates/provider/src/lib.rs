//! What adapters to outside systems have in common: their error, and how they say what they can do.
//!
//! A provider trait belongs to one kind of outside system (traffic routing, artifacts, metrics …). All of them fail with
//! a [`ProviderError`], and steps pass it on with `?`: it knows its [class](towpath_model::FailureKind).
//!
//! What a provider can do is plain data, one struct per trait with public fields that are off by default, so that it can
//! be shown, compared and used to choose tests. [`Capability`] is what such a struct promises.
//!
//! ```
//! use towpath_provider::Capability;
//!
//! /// What a router of traffic can do.
//! #[derive(Clone, PartialEq, Eq, Debug, Default)]
//! #[non_exhaustive]
//! pub struct RoutingCapability {
//!     /// It sends a part of the traffic, in percent, to a version.
//!     pub weights: bool,
//!     /// Most versions that get traffic at once; `None` when any number do.
//!     pub versions_max: Option<u32>,
//! }
//!
//! impl Capability for RoutingCapability {
//!     fn missing(&self, wanted: &Self) -> Vec<&'static str> {
//!         let mut missing = Vec::new();
//!         if wanted.weights && !self.weights {
//!             missing.push("weights");
//!         }
//!         if self.versions_max.is_some_and(|most| wanted.versions_max.is_some_and(|n| n > most)) {
//!             missing.push("versions_max");
//!         }
//!         missing
//!     }
//! }
//!
//! let mut blue_green = RoutingCapability::default();
//! blue_green.versions_max = Some(2);
//! let mut canary = RoutingCapability::default();
//! (canary.weights, canary.versions_max) = (true, Some(2));
//! assert_eq!(blue_green.missing(&canary), ["weights"]);
//! ```
#![deny(missing_docs)]

mod capability;
mod error;

pub use capability::Capability;
pub use error::{ProviderError, ProviderErrorKind};
