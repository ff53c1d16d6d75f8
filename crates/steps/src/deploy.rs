//! Steps that take a release through an environment.
//!
//! They are written against three traits of `towpath-provider`: a `Platform` that runs releases, a `TrafficRouter` that sends
//! traffic to them, a `MetricsSource` that tells how they answer. An environment says who plays these roles.

mod image;
mod release;

pub use image::Image;
pub use release::{Health, MakeRelease, Release};

use towpath_step::Steps;

/// The kinds of this module.
pub(crate) fn steps() -> Steps {
    Steps::new().with::<MakeRelease>()
}
