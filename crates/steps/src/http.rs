//! Steps that speak HTTP, and what they speak it through.

mod answer;
mod call;
mod check;
mod client;
mod date;
mod probe;
mod request;
mod tell;
mod transport;

pub use call::{HttpCall, HttpReply};
pub use check::{Checked, HttpCheck};
pub use client::HttpClient;
pub use probe::HttpProbe;
pub use request::HttpRequest;
pub use transport::{Request, Response, SendError, Transport};

pub(crate) use tell::tell;

/// The name under which an engine may bind a [`Transport`] of its own.
pub const TRANSPORT: &str = "http";
