use towpath_step::{StepContext, StepError, step};

#[step("shop.deploy/v1", no_effect, crate = towpath_step)]
fn deploy(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {}
