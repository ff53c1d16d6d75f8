use towpath_step::{Pipeline, StepContext, StepError, step};

#[step("shop.scan/v1", no_effect, crate = towpath_step)]
async fn scan(_cx: &StepContext, image: String) -> Result<u32, StepError> {
    Ok(image.len() as u32)
}

async fn plain(_cx: &StepContext) -> Result<u32, StepError> {
    Ok(3)
}

fn main() {
    let p = Pipeline::new("checkout");
    let image = p.param::<String>("image");
    p.step("called", scan(&image));
    p.step("named", scan);
    p.step("plain", plain);
}
