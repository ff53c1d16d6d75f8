use serde::{Deserialize, Serialize};
use towpath_step::{Body, Input, Step, StepContext, StepError};

#[derive(Serialize, Deserialize, Step)]
#[towpath(crate = towpath_step)]
struct NoKind {
    url: Input<String>,
}

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.a/v1")]
#[towpath(crate = towpath_step)]
struct NoDoubt {
    url: Input<String>,
}

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.b/v1", idempotent, again)]
#[towpath(crate = towpath_step)]
struct AnotherWord {
    url: Input<String>,
}

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.c/v1", no_effect)]
#[towpath(crate = towpath_step)]
struct NoDefault {
    #[set]
    url: Input<String>,
}

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.d/v1", no_effect)]
#[towpath(crate = towpath_step)]
struct Tuple(Input<String>);

#[derive(Serialize, Deserialize, Step)]
#[kind("shop.e/v1", no_effect)]
#[towpath(crate = towpath_step)]
enum Many {
    One,
}

fn main() {}
