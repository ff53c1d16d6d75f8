use std::rc::Rc;
use towpath_step::{StepContext, StepError, step};

#[step("shop.deploy/v1", no_effect, crate = towpath_step)]
async fn deploy(cx: &StepContext) -> Result<u32, StepError> {
    let counted = Rc::new(3);
    cx.checkpoint(&3).await?;
    Ok(*counted)
}

fn main() {}
