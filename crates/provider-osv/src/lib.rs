//! Scanning: what was built, as its lock file says, matched against a folder of OSV advisories. No network, no other program.
//!
//! [`OsvScanner`] reads `Cargo.lock` (all four versions), writes a bill of materials in CycloneDX 1.6, matches it against
//! advisories in the [OSV format](https://ossf.github.io/osv-schema/) by the algorithm that its specification gives, and
//! writes what it found as SARIF 2.1.0 and as a text. Some bases of advisories that can be had as such a folder are the branch
//! `osv` of the RustSec database, GitHub's advisory database, and the archives of osv.dev.
//!
//! # How an advisory is matched
//!
//! - By ecosystem and name, with every component that has a source: the public registry, another one, or git. What is part of
//!   the repository itself is in the bill of materials and is not matched.
//! - By `versions`, and by ranges of the types `SEMVER` and `ECOSYSTEM`, in the precedence of SemVer 2.0.0. Ranges of the type
//!   `GIT` are not looked at; when there is nothing else, the report has a note.
//! - Withdrawn advisories count for nothing. Of two files with one id the one that was changed last counts.
//! - Advisories that share an id or an alias are one finding, with the worst of their ratings.
//!
//! # How bad it is
//!
//! The worst of the CVSS vectors (v3.0, v3.1, v4.0) of the advisory; without one, the words `low`, `medium` or `moderate`,
//! `high` and `critical` under `severity` in `database_specific` or `ecosystem_specific`; else it is unknown, and the step
//! that asks says what that counts as. Vectors of CVSS v2 are not scored.
//!
//! # Waivers
//!
//! ```toml
#![doc = include_str!("../sample/waivers.toml")]
//! ```
//!
//! `advisory` is the id or any alias; `package` narrows it down; `reason` and `expires`, the last day in UTC on which it counts,
//! have to be there. A field that is not known is an error. What is waived stays in every report, with its waiver.
//!
//! # Reports
//!
//! Files are named by the artifact and by the first digits of the digest of what is in them, such as
//! `shop-3f2a9c01b7de.cdx.json`, and are never changed: a digest that a journal holds can be checked as long as the file is kept.
#![deny(missing_docs)]

mod advisory;
mod affected;
mod base;
mod component;
mod fault;
mod lock;
mod sarif;
mod sbom;
mod scanner;
mod severity;
mod version;
mod waiver;
mod written;

pub use scanner::OsvScanner;
