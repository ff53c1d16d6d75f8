use towpath_step::{StepContext, StepError, step};

#[step("shop.a/v1", no_effect, crate = towpath_step)]
async fn nothing() -> Result<(), StepError> {
    Ok(())
}

#[step("shop.b/v1", no_effect, crate = towpath_step)]
async fn another(image: String) -> Result<String, StepError> {
    Ok(image)
}

#[step("shop.c/v1", no_effect, crate = towpath_step)]
async fn owned(_cx: StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {}
