use serde::{Deserialize, Serialize};
use towpath_step::{Output, Pipeline, StepContext, StepError, step};

#[derive(Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
struct Image {
    digest: String,
}

#[derive(Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
struct Report {
    critical: u32,
}

#[step("shop.scan/v1", no_effect, crate = towpath_step)]
async fn scan(_cx: &StepContext, image: Image, at_most: u32) -> Result<Report, StepError> {
    let _ = (image.digest, at_most);
    Ok(Report { critical: 0 })
}

fn main() {
    let p = Pipeline::new("checkout");
    let image = p.param::<Image>("image");
    let report = p.step("scan", scan::of(&image, 3));
    p.step("again", scan::of(&report, 3));
    p.step("once-more", scan::of(&image, "3"));
    p.step("moved", scan::of(image, 3)).when(report.critical.is("none"));
}
