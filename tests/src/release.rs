//! Releases of a real service by real providers, driven by a process that is killed.
//!
//! * [`pipeline`]: what is released, and from where.
//! * [`boundary`]: the places in a journal at which a process can be killed, by name.
//! * [`child`]: the process that drives one run, and stops dead where it is told to.
//! * [`service`]: the service that is released.
//! * [`load`]: its customers.

pub mod boundary;
pub mod child;
pub mod load;
pub mod pipeline;
pub mod service;
