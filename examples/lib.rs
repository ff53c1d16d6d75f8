//! Programs to start from: `cargo run --example hello`. Each is run by the tests.
