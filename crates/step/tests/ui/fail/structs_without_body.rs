use serde::{Deserialize, Serialize};
use towpath_step::{Body, Input, Step, StepContext, StepError};

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.a/v1", no_effect)]
#[towpath(crate = towpath_step)]
struct NoBody {
    url: Input<String>,
}

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.b/v1", observe, undo)]
#[towpath(crate = towpath_step)]
struct HalfDone {
    url: Input<String>,
}

impl Body for HalfDone {
    type Output = ();
    async fn run(&self, _cx: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

fn main() {}
