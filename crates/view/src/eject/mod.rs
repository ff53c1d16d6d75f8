//! A plan as a shell script: a way out that needs no engine.

mod script;
mod shell;
mod step;

pub use script::eject;
pub use shell::quote;
