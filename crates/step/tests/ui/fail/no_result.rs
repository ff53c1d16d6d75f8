use towpath_step::{StepContext, step};

#[step("shop.a/v1", no_effect, crate = towpath_step)]
async fn nothing(_cx: &StepContext) {}

#[step("shop.b/v1", no_effect, crate = towpath_step)]
async fn number(_cx: &StepContext) -> u32 {
    3
}

#[step("shop.c/v1", no_effect, crate = towpath_step)]
async fn other_error(_cx: &StepContext) -> Result<u32, std::io::Error> {
    Ok(3)
}

fn main() {}
