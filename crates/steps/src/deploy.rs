//! Steps that take a release through an environment.
//!
//! They are written against three traits of `towpath-provider`: a `Platform` that runs releases, a `TrafficRouter` that sends
//! traffic to them, a `MetricsSource` that tells how they answer. An environment says who plays these roles.
//! [`ScanImage`] asks a `Scanner`, which is bound to the engine. `Migrate` asks a `Database`.

mod build;
mod canary;
mod image;
mod judge;
mod live;
mod migrate;
mod preview;
mod progress;
mod promote;
mod push;
mod release;
mod retire;
mod rollback;
mod rollout;
mod scan;
mod shift;
mod traffic;
mod world;

pub use build::BuildImage;
pub use canary::{BlueGreen, Canary, Rolling, Unplaced};
pub use image::Image;
pub use judge::{ErrorRate, Latency, Rule};
pub use live::{Live, Previous};
pub use migrate::{Migrate, Migrated};
pub use promote::{Promote, UnplacedPromote};
pub use push::PushImage;
pub use release::{Health, MakeRelease, Release};
pub use retire::{Retire, Retired, UnplacedRetire};
pub use rollback::{Rollback, UnplacedRollback};
pub use scan::{SCANNER, ScanFile, ScanImage, Scanned, Unproven};
pub use shift::Inconclusive;
pub use towpath_provider::Severity;

use towpath_step::Steps;

/// The kinds of this module.
pub(crate) fn steps() -> Steps {
    Steps::new()
        .with::<BuildImage>()
        .with::<PushImage>()
        .with::<MakeRelease>()
        .with::<Canary>()
        .with::<BlueGreen>()
        .with::<Promote>()
        .with::<Rolling>()
        .with::<Retire>()
        .with::<Rollback>()
        .with::<ScanImage>()
        .with::<Migrate>()
}
