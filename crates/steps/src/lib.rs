//! The stock steps: what a pipeline is made of before anybody writes a step of their own.
//!
//! | Step | What it does | In doubt |
//! |---|---|---|
//! | [`Command`] | runs a program, or a script when a shell is asked for | as its author says; by default an operator is asked |
//! | [`Approval`] | asks people, and gives an `Approved` of what they were asked about | changes nothing |
//! | [`Window`] | waits until a calendar is open, or somebody gives a reason | changes nothing |
//! | [`Wait`] | waits for a time or a signal | changes nothing |
//! | `BuildImage` | builds an image; feature `deploy` | builds it again, or finds it by its key |
//! | `PushImage` | pushes an image to a registry; feature `deploy` | asks the registry |
//! | `HttpCheck` | asks an address until it answers as it should; feature `http` | changes nothing |
//! | `HttpCall` | sends a request that may change something; feature `http` | as its method or its author says |
//! | `MakeRelease` | says what is to run; feature `deploy` | changes nothing |
//! | `Canary` | sends a growing part of the traffic to a release, and judges each part; feature `deploy` | looks at the traffic |
//! | `BlueGreen` | sends all traffic to a release at once, and goes back when it is worse; feature `deploy` | looks at the traffic |
//! | `Rolling` | replaces instances a few at a time, with their traffic; feature `deploy` | looks at the traffic |
//! | `Promote` | makes a release the stable one; feature `deploy` | looks at the traffic |
//! | `Retire` | removes releases that came before; feature `deploy` | does what is left to do |
//! | `Rollback` | goes back to a release that was there before; feature `deploy` | looks at the traffic |
//! | `ScanImage` | looks for known vulnerabilities; feature `deploy` | changes nothing |
//! | `Migrate` | changes the schema of a database; feature `deploy` | asks the database |
//! | [`Notify`] | tells people something | tells it again |
//!
//! [`steps`] registers them all. What each does in every case is in the book, under *stock steps*.
#![deny(missing_docs)]

mod approval;
#[cfg(unix)]
mod command;
#[cfg(feature = "deploy")]
pub mod deploy;
#[cfg(feature = "http")]
pub mod http;
mod notify;
#[cfg(unix)]
mod process;
mod registry;
mod schema;
#[cfg(any(unix, feature = "http", feature = "deploy"))]
mod time;
mod wait;
mod window;

pub use approval::{Approval, Expired};
#[cfg(unix)]
pub use command::{Argv, Command, CommandOutput, ExitCodes, IntoArgv};
#[cfg(feature = "http")]
pub use http::{Checked, HttpCall, HttpCheck, HttpProbe, HttpReply, HttpRequest};
pub use notify::Notify;
pub use registry::steps;
pub use wait::{Wait, WaitEnd};
pub use window::{Calendar, Window, WindowOpen};
