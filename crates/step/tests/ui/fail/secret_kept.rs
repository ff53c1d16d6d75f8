use towpath_step::{SecretValue, StepContext, StepError, step};

#[step("shop.login/v1", no_effect, crate = towpath_step)]
async fn login(cx: &StepContext) -> Result<SecretValue, StepError> {
    let token = cx.secret("token").await?;
    cx.log(&token);
    cx.checkpoint(&token).await?;
    Ok(token)
}

fn main() {}
