use towpath_step::{Output, StepContext, StepError, step};

struct Image {
    digest: String,
}

#[step("shop.build/v1", idempotent, crate = towpath_step)]
async fn build(_cx: &StepContext) -> Result<Image, StepError> {
    Ok(Image { digest: String::new() })
}

#[derive(Output)]
#[towpath(crate = towpath_step)]
struct Report {
    critical: u32,
}

#[derive(serde::Serialize, Output)]
#[towpath(crate = towpath_step)]
struct Borrowed<'a> {
    text: &'a str,
}

fn main() {}
