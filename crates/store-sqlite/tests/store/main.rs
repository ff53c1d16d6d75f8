//! Tests of the store through its public face, some with a second process.

mod common;
mod conformance;
