//! The rules that the engine keeps, each by name.

extern crate towpath_step as towpath;

mod common;

mod runs;
