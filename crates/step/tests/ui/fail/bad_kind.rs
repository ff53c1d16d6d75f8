use towpath_step::{StepContext, StepError, step};

#[step("deploy", no_effect, crate = towpath_step)]
async fn deploy(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

#[step("shop deploy/v0", crate = towpath_step)]
async fn two_mistakes(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {}
