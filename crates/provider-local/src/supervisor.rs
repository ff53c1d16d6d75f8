//! The process that supervises: it starts and watches instances, sends them their traffic, and answers the engine.

mod admin;
mod body;
mod choice;
mod headers;
mod instance;
mod keeper;
mod limits;
mod meters;
mod probe;
mod prometheus;
mod proxy;
mod routes;
mod run;
mod saved;
mod service;
mod services;
mod start;
mod switch;
mod upstream;

pub(crate) use meters::{KEEPS, RESOLUTION};
pub(crate) use run::{Ended, run};
pub(crate) use service::INSTANCES_MAX;
