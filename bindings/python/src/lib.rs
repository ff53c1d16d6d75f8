//! The native part of the Python package `towpath`: the engine, and what Rust knows of plans.
//!
//! It is no interface for people. Python asks by numbers and JSON, and reads the answers from one queue in one thread, so
//! that no thread of Rust ever waits for the interpreter: code that holds the interpreter's lock for long delays steps that
//! are written in Python, and neither leases nor steps that are written in Rust.
#![deny(missing_docs)]

mod answer;
mod body;
mod bridge;
mod call;
mod command;
mod config;
mod entry;
mod fault;
mod plan;
mod queue;
mod show;
mod stock;

#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::answer::Run;
    #[pymodule_export]
    use crate::bridge::Bridge;
    #[pymodule_export]
    use crate::command::command;
    #[pymodule_export]
    use crate::fault::Fault;
    #[pymodule_export]
    use crate::plan::{Plan, canonical, diff, load};
    #[pymodule_export]
    use crate::stock::{alone, encoded, kinds};
}
