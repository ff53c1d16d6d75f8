use towpath_step::{Provider, Providers, StepContext, StepError, step};

trait Scanner: Send + Sync {}

struct Trivy;

#[derive(Provider)]
#[towpath(crate = towpath_step)]
struct Silent;

#[derive(Provider)]
#[offers(Scanner)]
#[towpath(crate = towpath_step)]
struct Liar;

#[step("shop.scan/v1", no_effect, needs(scanner: Trivy), crate = towpath_step)]
async fn scan(_cx: &StepContext) -> Result<(), StepError> {
    Ok(())
}

fn main() {
    let _ = Providers::new().provide("scanner", Trivy);
}
