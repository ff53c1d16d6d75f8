//! Tests of the store through its public face, some with a second process.

mod backup;
mod child;
mod common;
mod conformance;
mod crash;
mod death;
mod foreign;
mod leader;
mod removal;
mod upkeep;
