use towpath_step::{Pipeline, StepContext, StepError, step, steps};

#[step("demo.greet/v1", no_effect, crate = towpath_step)]
async fn greet(_cx: &StepContext, name: String) -> Result<String, StepError> {
    Ok(format!("hello {name}"))
}

fn main() {
    let p = Pipeline::new("greetings");
    let greeting = p.step("greet", greet::of("world"));
    let pipeline = p.output(&greeting).build().unwrap();
    assert!(pipeline.plan().is_ok());
    assert!(steps![greet].knows("demo.greet/v1"));
}
