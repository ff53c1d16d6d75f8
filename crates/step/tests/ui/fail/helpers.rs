use towpath_step::{Observed, StepContext, StepError, Undo, step};

async fn look(_cx: &StepContext, _url: u32) -> Result<Observed<String>, StepError> {
    Ok(Observed::NotDone)
}

async fn put_back(_cx: &StepContext, _undo: Undo<u32>) -> Result<(), StepError> {
    Ok(())
}

#[step("shop.route/v1", observe = look, undo = put_back, crate = towpath_step)]
async fn route(_cx: &StepContext, url: String) -> Result<String, StepError> {
    Ok(url)
}

#[step("shop.other/v1", observe = nowhere, crate = towpath_step)]
async fn other(_cx: &StepContext) -> Result<String, StepError> {
    Ok(String::new())
}

fn main() {}
