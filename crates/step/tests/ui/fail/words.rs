use towpath_step::{StepContext, StepError, Undo, step};

async fn put_back(_cx: &StepContext, _undo: Undo<()>) -> Result<(), StepError> {
    Ok(())
}

#[step("shop.a/v1", no_effect, undo = put_back, crate = towpath_step)]
async fn nothing_to_undo(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

#[step("shop.b/v1", no_effect, idempotent, ask_undo, crate = towpath_step)]
async fn two_answers(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

#[step("shop.c/v1", idempotent, retry = 3, crate = towpath_step)]
async fn another_word(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

#[step("shop.d/v1", observe, crate = towpath_step)]
async fn observe_what(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {}
