//! Names that could collide with ours, and a prelude in which nothing is what it was.
#![deny(warnings, missing_docs)]

extern crate towpath_step as towpath;

/// A module with its own ideas.
pub mod odd {
    use serde::{Deserialize, Serialize};
    use towpath::{Handle, Output, StepContext, StepError, step};

    /// Not the usual one.
    pub enum Result {}
    /// Not the usual one.
    #[allow(non_camel_case_types, reason = "it has the name of the prelude's")]
    pub enum Vec {}
    /// Not the usual one.
    #[allow(non_snake_case, reason = "it has the name of the prelude's")]
    pub fn Ok() {}

    type Answer<T> = std::result::Result<T, StepError>;

    /// The names of our own methods.
    #[derive(Serialize, Deserialize, Output)]
    pub struct Inner {
        /// A field.
        pub t: u32,
        /// A field.
        pub after: String,
        /// A field.
        pub r#type: Option<Box<Inner>>,
    }

    /// More of them.
    #[derive(Serialize, Deserialize, Output)]
    pub struct Odd {
        /// A field.
        pub at: Inner,
        /// A field.
        pub fields: u32,
        /// A field.
        pub when: bool,
    }

    /// Gives an `Odd`.
    #[step("odd.odd/v1", no_effect)]
    pub async fn odd(_cx: &StepContext) -> Answer<Odd> {
        Err(StepError::permanent("no"))
    }

    /// Takes its parts; `cx`, `self` and the like are not ours alone.
    #[step("odd.eat/v1", idempotent, keep)]
    pub(crate) async fn eat(
        context: &towpath::StepContext,
        undo: u32,
        input: String,
        mut reads: bool,
        r#type: Option<Inner>,
    ) -> Answer<()> {
        reads = !reads;
        let _ = (context, undo, input, reads, r#type);
        std::result::Result::Ok(())
    }

    #[step("odd.private/v1", ask_operator)]
    async fn private(_: &StepContext, _unused: u8) -> Answer<()> {
        std::result::Result::Ok(())
    }

    /// Kept for runs that have it in their plans.
    #[step("odd.old/v1", no_effect)]
    async fn old(_: &StepContext) -> Answer<()> {
        std::result::Result::Ok(())
    }

    #[step("odd.never/v1", no_effect)]
    #[cfg(any())]
    async fn never(_: &StepContext, what: Nothing) -> Answer<()> {
        std::result::Result::Ok(())
    }

    /// Knows them.
    pub fn steps() -> towpath::Steps {
        towpath::steps![odd, eat, private, old]
    }

    /// Places them.
    pub fn place(p: &towpath::Draft) -> Handle<()> {
        let odd = p.step("odd", odd::of());
        p.step("private", private::of(7));
        p.step("eat", eat::of(&odd.at.t, &odd.at.after, &odd.when, None)).after(&odd).when(odd.fields.is(3))
    }
}

fn main() {
    let p = towpath::Pipeline::new("x");
    odd::place(&p);
    assert_eq!(odd::steps().iter().count(), 4);
    let pipeline = p.build().unwrap();
    let with = pipeline.record().steps[2].with.as_str();
    assert!(with.contains(r#""undo":{"from":{"step":"odd","path":"/at/t"}}"#), "{with}");
    assert!(with.contains(r#""type":{"value":null}"#), "{with}");
    assert_eq!(pipeline.record().steps[1].with.as_str(), r#"{"unused":{"value":7}}"#);
}
