//! Releases on one machine: supervised processes that outlive the engine, behind a weighted proxy.
//!
//! [`Local`] is a [`Platform`](towpath_provider::Platform), a [`TrafficRouter`](towpath_provider::TrafficRouter) and a
//! [`MetricsSource`](towpath_provider::MetricsSource) over one folder. For each service there is a port of the loopback
//! interface; what arrives there is sent to the instances of its releases by weight. An instance is a process that listens
//! where `HOST` and `PORT` in its environment say.
//!
//! One process per folder, the *supervisor*, keeps the instances running and is the proxy. It outlives whoever started it; when
//! it is killed, instances go on, and the next call starts another one that takes them over. A program that uses [`Local`]
//! calls [`supervise_here`] first in its `main`, since the supervisor is that program run once more.
//!
//! It is for Unix. On Linux a process is told from every other one by its start time; elsewhere only by its number.
#![deny(missing_docs)]

mod files;
mod image;
mod local;
mod note;
mod process;
mod reach;
mod supervise;
mod supervisor;
mod time;
mod wire;

use note::note;

pub use image::folder_digest;
pub use local::Local;
pub use supervise::{supervise, supervise_here};
pub use wire::ServiceState;
