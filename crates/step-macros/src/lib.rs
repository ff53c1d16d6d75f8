//! The macros of `towpath-step`. Their documentation is there, where they are re-exported.
#![deny(missing_docs)]

mod krate;
mod output;
mod provider;
mod step;
mod structs;
mod text;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes an async fn a step.
///
/// ```text
/// #[step("kind/v1", no_effect | idempotent | observe = path | ask_operator, …)]
/// async fn name(cx: &StepContext, argument: Type, …) -> Result<Output, StepError>
/// ```
///
/// The function stays what it was, and is unit-tested so: `name(&cx, argument).await`. Beside it comes a step of the
/// same name, which a pipeline places as `name::of(argument, …)`; each argument is a value, a literal that stands for
/// one, or a handle. **The names of the arguments are stored**, without the underscore that marks an unused one.
///
/// The first word is the kind, stable and versioned: plans store it. The second is what to do when a crash, a timeout or
/// a lost answer leaves open whether an attempt took effect; it has no default:
///
/// * `no_effect`: it changes nothing outside. Enter it again.
/// * `idempotent`: its effects carry keys that make repeating harmless. Enter it again.
/// * `observe = path`: look at the world, with `async fn(cx: &StepContext, arguments…) -> Result<Observed<Output>, StepError>`.
/// * `ask_operator`: rest, and ask somebody.
///
/// Then may follow, in any order:
///
/// * `undo = path`: undoes it, with `async fn(cx: &StepContext, undo: Undo<Output>, arguments…) -> Result<(), StepError>`.
/// * `before = path`: takes the before-image, with `async fn(cx: &StepContext, arguments…) -> Result<B, StepError>`; read it
///   with `cx.before::<B>()?` and `undo.read_before::<B>()?`.
/// * `preview = path`: tells what it would change, with `async fn(cx: &StepContext, arguments…) -> Result<Vec<Change>, StepError>`.
///   It is called only when every argument is known; before a run, those that hang on other steps are not.
/// * `keep`, `ask_undo`: what becomes of its effect when a run unwinds, in place of undoing it.
/// * `needs(name: dyn Trait, …)`: the providers that it asks for with `cx.provider::<dyn Trait>("name")?`. A missing one
///   is found before the run begins.
/// * `local`: its effects cannot outlive the process that makes them.
/// * `crate = path`: where `towpath` is, for a crate that depends on `towpath-step` alone: `crate = towpath_step`. One
///   `extern crate towpath_step as towpath;` at the root of such a crate does it for all its macros.
#[proc_macro_attribute]
pub fn step(args: TokenStream, item: TokenStream) -> TokenStream {
    step::expand(args.into(), item.into()).into()
}

/// Makes the fields of handles to this type handles themselves, and the type one that a step can give back.
///
/// It wants `Serialize` and `Deserialize` beside it, and follows the names that serde gives the fields. A field that serde
/// skips or flattens has no handle. `#[towpath(crate = path)]` says where `towpath` is.
#[proc_macro_derive(Output, attributes(towpath))]
pub fn output(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    output::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type a provider that offers the traits in `#[offers(TraitA, TraitB)]`, which it implements.
///
/// `#[towpath(crate = path)]` says where `towpath` is.
#[proc_macro_derive(Provider, attributes(offers, towpath))]
pub fn provider(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    provider::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct a step: `new` with its required fields, setters for the others, and what the plan has to know.
///
/// ```text
/// #[derive(Serialize, Deserialize, Step)]
/// #[kind("kind/v1", no_effect | idempotent | observe | ask_operator, …)]
/// pub struct Name {
///     required: Input<T>,               // an argument of `new`: a value, a literal, or a handle
///     optional: Option<Input<T>>,       // a setter of the same name
///     #[set(default = 5)] plain: u32,   // a setter as well; what the author writes, never a handle
/// }
/// ```
///
/// What it does is `impl Body for Name`. The words in `#[kind(…)]` are those of [`#[step]`](macro@step), without paths:
/// each asks for an impl of a trait.
///
/// | Word | Trait |
/// |---|---|
/// | `observe` | `Observe` |
/// | `undo` | `Compensate` |
/// | `before` | `Before` |
/// | `preview` | `Preview` |
/// | `foresee` | `Foresee` |
/// | `claims` | `Claims` |
/// | `declares` | `Declares` |
///
/// `keep`, `ask_undo`, `needs(name: dyn Trait, …)` and `local` mean what they mean there. **The names of the fields are
/// stored**; a field of the type `Environment` is the one that the step goes into; `#[serde(rename = …)]` is followed. A field whose type mentions `Input` makes edges of the graph: `Input<T>`,
/// and options, lists and maps of it. `#[towpath(crate = path)]` says where `towpath` is.
#[proc_macro_derive(Step, attributes(kind, set, towpath))]
pub fn derive_step(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    structs::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// A text that the run fills in: `text!("http://{}:{port}", &host)`.
///
/// Each `{}` takes the next part, `{name}` a variable or a field of one, as in `{live.url}`; braces are doubled where they
/// stand for themselves. Parts are texts, whole numbers, booleans, and handles to them. What comes out is data, so that a
/// plan shows it, and is given wherever a step wants a `String`.
#[proc_macro]
pub fn text(input: TokenStream) -> TokenStream {
    let text = parse_macro_input!(input as text::Text);
    text::expand(&text).unwrap_or_else(syn::Error::into_compile_error).into()
}
