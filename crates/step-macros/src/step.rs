//! `#[step]`.

mod args;
mod function;
mod generate;

use crate::structs::one_environment;
use args::Args;
pub(crate) use args::{Need, Policy, wrong_kind};
use function::Function;
use proc_macro2::TokenStream;
use quote::quote;

/// The function as it was, and the step beside it; or the function and everything that is wrong.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let made = match (syn::parse2::<Args>(args), Function::parse(item.clone())) {
        (Ok(args), Ok(function)) => {
            match one_environment(function.arguments.iter().map(|a| (&a.ty, false))) {
                Ok(()) => generate::step(&args, &function),
                Err(error) => error.into_compile_error(),
            }
        }
        (Err(mut first), Err(second)) => {
            first.combine(second);
            first.into_compile_error()
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => error.into_compile_error(),
    };
    quote!(#item #made)
}
