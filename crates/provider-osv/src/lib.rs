//! Scanning: a bill of materials of what was built, matched against a folder of OSV advisories.
#![deny(missing_docs)]
