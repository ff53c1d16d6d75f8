extern crate towpath_step as towpath;
use serde::{Deserialize, Serialize};
use towpath_step::{Environment, Input, Pipeline, Step, StepContext, StepError, step};

#[step("shop.a/v1", idempotent)]
async fn two(_cx: &StepContext, from: Environment, to: Environment) -> Result<(), StepError> {
    Ok(())
}

#[step("shop.b/v1", idempotent)]
async fn perhaps(_cx: &StepContext, to: Option<Environment>) -> Result<(), StepError> {
    Ok(())
}

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.c/v1", idempotent)]
struct Given {
    to: Input<Environment>,
}

fn main() {
    Pipeline::new("p").param::<Environment>("to");
    Environment::named("production").windows(&"mon-fri 09:00-16:00");
}
