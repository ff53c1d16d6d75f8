//! Images: built into an OCI image layout without a daemon, pushed to and pulled from registries.
//!
//! | Part | What it is | By |
//! |---|---|---|
//! | [`Layout`] | a folder of images, each blob under its digest | OCI image specification 1.1, [`image-layout.md`] |
//! | [`Image`] | one image of a layout: what it runs, unpacked for a platform that starts processes | [`manifest.md`], [`config.md`], [`layer.md`] |
//! | [`OciBuilder`] | builds images on this machine: commands, then files | the same; SOURCE_DATE_EPOCH of reproducible-builds.org |
//! | `RegistryClient` | pushes to registries and pulls from them; feature `registry` | OCI distribution specification 1.1 |
//!
//! Everything that is read is held against its digest, also what lies on the own disk.
//!
//! [`image-layout.md`]: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
//! [`manifest.md`]: https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
//! [`config.md`]: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
//! [`layer.md`]: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
#![deny(missing_docs)]

#[cfg(any(unix, feature = "registry"))]
mod blocking;
#[cfg(unix)]
mod build;
mod digest;
mod fault;
mod layout;
#[cfg(unix)]
mod pack;
#[cfg(feature = "registry")]
mod registry;
pub mod spec;
#[cfg(unix)]
mod unpack;

#[cfg(unix)]
pub use build::OciBuilder;
pub use digest::Digest;
pub use layout::{Image, Layout};
#[cfg(feature = "registry")]
pub use registry::{Credential, CredentialSource, Reference, RegistryClient};
#[cfg(unix)]
pub use unpack::{UnpackLimits, Unpacked};
