//! Every shape that `#[derive(Output)]` takes.
#![deny(warnings)]

extern crate towpath_step as towpath;

use serde::{Deserialize, Serialize};
use towpath::{Handle, Output, Pipeline};

#[derive(Serialize, Deserialize, Output)]
struct Commit(String);

#[derive(Serialize, Deserialize, Output)]
struct Nothing;

#[derive(Serialize, Deserialize, Output)]
enum Verdict {
    Pass,
    Fail { why: String },
}

#[derive(Serialize, Deserialize, Output)]
#[serde(rename_all = "kebab-case")]
struct Approved<T> {
    approved_by: Vec<String>,
    #[serde(rename = "what/exactly")]
    of: T,
    #[serde(skip)]
    hidden: u8,
    verdict: Verdict,
}

#[derive(Serialize, Deserialize, Output)]
#[serde(transparent)]
struct Wrapped {
    inner: Commit,
}

#[derive(Serialize, Deserialize, Output)]
#[towpath(crate = towpath_step)]
struct Tree {
    children: Vec<Tree>,
    left: Option<Box<Tree>>,
}

fn main() {
    let p = Pipeline::new("x");
    let approved: Handle<Approved<Wrapped>> = p.param("approved");
    let _: &Handle<Wrapped> = &approved.of;
    let _: &Handle<Verdict> = &approved.verdict;
    assert_eq!(format!("{:?}", approved.of), r#"Handle(the parameter "approved" at /what~1exactly)"#);
    assert_eq!(format!("{:?}", approved.approved_by), r#"Handle(the parameter "approved" at /approved-by)"#);
    let tree: Handle<Tree> = p.param("tree");
    let _: &Handle<Option<Box<Tree>>> = &tree.left;
    let _ = (Nothing, Verdict::Pass, Verdict::Fail { why: String::new() });
    let _ = |a: Approved<Commit>| (a.hidden, a.approved_by, a.of.0, a.verdict);
    let _ = |t: Tree, w: Wrapped| (t.children, t.left, w.inner);
}
