//! Images: built into an OCI image layout without a daemon, pushed to and pulled from registries.
#![deny(missing_docs)]
