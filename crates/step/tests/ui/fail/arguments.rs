use towpath_step::{StepContext, StepError, step};

#[step("shop.a/v1", no_effect, crate = towpath_step)]
async fn pattern(_cx: &StepContext, (from, to): (u8, u8), _: u8) -> Result<u8, StepError> {
    Ok(from + to)
}

#[step("shop.b/v1", no_effect, crate = towpath_step)]
async fn borrowed(_cx: &StepContext, url: &str) -> Result<usize, StepError> {
    Ok(url.len())
}

#[step("shop.c/v1", no_effect, crate = towpath_step)]
async fn any(_cx: &StepContext, text: impl ToString) -> Result<String, StepError> {
    Ok(text.to_string())
}

#[step("shop.d/v1", no_effect, crate = towpath_step)]
async fn generic<T: ToString>(_cx: &StepContext, text: T) -> Result<String, StepError> {
    Ok(text.to_string())
}

fn main() {}
