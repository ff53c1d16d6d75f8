extern crate towpath_step as towpath;
use towpath_step::{Pipeline, text};

fn main() {
    let p = Pipeline::new("p");
    let host = p.param::<Vec<String>>("host");
    text!("http://{}");
    text!("http://{}", "a", "b");
    text!("http://{");
    text!("http://{1 + 1}");
    text!("http://{host}");
}
