//! The statistics of canaries: pure functions that compare two groups and say pass, fail or inconclusive.
#![deny(missing_docs)]
