use towpath_step::{StepContext, StepError, step};

#[step("shop.deploy/v1", crate = towpath_step)]
async fn deploy(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {}
