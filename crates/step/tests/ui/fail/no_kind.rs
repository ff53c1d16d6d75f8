use towpath_step::{StepContext, StepError, step};

#[step(no_effect, crate = towpath_step)]
async fn deploy(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

#[step]
async fn verify(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {}
