use serde::{Deserialize, Serialize};
use towpath_step::{Handle, Output, Pipeline};

#[derive(Serialize, Deserialize, PartialEq, PartialOrd, Output)]
#[towpath(crate = towpath_step)]
enum Severity {
    Low,
    High,
}

fn main() {
    let p = Pipeline::new("checkout");
    let severity: Handle<Severity> = p.param("severity");
    let _ = severity.is(Severity::Low);
    let _ = severity.at_most(Severity::High);
}
