use towpath_step::{StepContext, StepError, step};

struct Image {
    digest: String,
}

#[step("shop.scan/v1", no_effect, crate = towpath_step)]
async fn scan(_cx: &StepContext, image: Image) -> Result<String, StepError> {
    Ok(image.digest)
}

fn main() {}
