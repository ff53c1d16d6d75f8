use towpath_step::{StepContext, StepError, step};

struct Shop;

impl Shop {
    #[step("shop.deploy/v1", no_effect, crate = towpath_step)]
    async fn deploy(&self, _cx: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

#[step("shop.shop/v1", no_effect, crate = towpath_step)]
struct Other;

fn main() {}
