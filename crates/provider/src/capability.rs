//! What providers can do, as data.

use std::fmt::Debug;

/// What a provider of one trait can do: a plain struct of flags and limits, one for each provider trait.
///
/// The default is a provider that can do nothing special. See the [crate's page](crate) for an example.
pub trait Capability: Clone + PartialEq + Debug + Default + Send + Sync + 'static {
    /// The fields of `wanted` that this does not offer, for messages; empty when it offers everything.
    fn missing(&self, wanted: &Self) -> Vec<&'static str>;
}
