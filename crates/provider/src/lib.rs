//! What adapters to outside systems are: a trait for each kind of system, their error, and how they say what they can do.
//!
//! | Trait | What it stands for |
//! |---|---|
//! | [`Platform`] | what runs releases |
//! | [`TrafficRouter`] | what sends traffic to them, by weight |
//! | [`MetricsSource`] | what tells how they answered |
//! | [`Database`] | what holds a schema that migrations change |
//! | [`Scanner`] | what looks for known vulnerabilities in what was built |
//! | [`ImageBuilder`] | what makes images of sources |
//! | [`Registry`] | what keeps images for others |
//!
//! All of them fail with a [`ProviderError`], and steps pass it on with `?`: it knows its
//! [class](towpath_model::FailureKind). Every method of a trait has a list, *Contract*; with the feature `contract` there is
//! a suite for each trait that holds a provider, real or fake, to that list.
//!
//! What a provider can do is plain data, one struct per trait with public fields that are off by default, so that it can
//! be shown, compared and used to choose tests. [`Capability`] is what such a struct promises.
//!
//! ```
//! use towpath_provider::{Capability, RoutingCapability};
//!
//! let blue_green = RoutingCapability::default().conditional();
//! let canary = RoutingCapability::default().weights().conditional();
//! assert_eq!(blue_green.missing(&canary), ["weights"]);
//! ```
#![deny(missing_docs)]

mod capability;
#[cfg(feature = "contract")]
pub mod contract;
mod database;
mod error;
mod image;
mod metrics;
mod platform;
mod registry;
mod routing;
mod scanner;

pub use capability::Capability;
pub use database::{
    AppliedMigration, AppliedState, Database, DatabaseCapability, Drift, HISTORY_TABLE, Migration,
    MigrationPhase, Migrations, Requirement,
};
pub use error::{ProviderError, ProviderErrorKind};
pub use image::{
    BuildCapability, BuildPlatform, BuildProgress, BuildRequest, BuiltImage, ImageBuilder, ImageFile,
};
pub use metrics::{Counts, Latency, MetricsCapability, MetricsSource, Window};
pub use platform::{
    Health, HealthProbe, InstanceState, Platform, PlatformCapability, ReleaseSpec, ReleaseState,
};
pub use registry::{ImageDescriptor, Registry, RegistryCapability};
pub use routing::{Mover, RouteChange, Routes, RoutingCapability, TrafficRouter};
pub use scanner::{
    AdvisoryBase, Finding, ReportFile, ScanReport, ScanRequest, Scanner, ScannerCapability, Score, Severity,
    UnknownSeverity, UnusedWaiver, Waiver,
};
