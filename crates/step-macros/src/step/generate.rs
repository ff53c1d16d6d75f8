//! The step beside the fn.

use super::{
    args::{Args, InDoubt, Policy},
    function::{Argument, Function},
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Path, ext::IdentExt, spanned::Spanned};

pub(super) fn step(args: &Args, function: &Function) -> TokenStream {
    let definition = definition(&args.krate, function);
    let behaviour = behaviour(args, function);
    quote! {
        #definition
        const _: () = { #behaviour };
    }
}

/// A braced struct, which is in the namespace of types: the fn of the same name keeps that of values.
fn definition(krate: &Path, function: &Function) -> TokenStream {
    let Function { name, vis, docs, arguments, .. } = function;
    let (names, types): (Vec<_>, Vec<_>) = arguments.iter().map(|Argument { name, ty }| (name, ty)).unzip();
    let generics: Vec<_> = (0..names.len()).map(|i| format_ident!("I{i}")).collect();
    let place = format!("The step that runs [`{name}`](fn@{name}): a pipeline places it as `{name}::of(…)`.");
    let serde = quote!(#krate::__private::serde).to_string();
    quote! {
        #(#docs)*
        #[doc = ""]
        #[doc = #place]
        #[allow(non_camel_case_types, reason = "it has the name of its fn")]
        #[derive(#krate::__private::serde::Serialize, #krate::__private::serde::Deserialize)]
        #[serde(crate = #serde, deny_unknown_fields)]
        #vis struct #name {
            #(#names: #krate::Input<#types>,)*
        }
        impl #name {
            #[doc = "The step with these inputs: each is a value, or a handle."]
            #vis fn of<#(#generics: #krate::IntoInput<#types>),*>(#(#names: #generics),*) -> Self {
                #name { #(#names: #krate::IntoInput::into_input(#names),)* }
            }
        }
    }
}

fn behaviour(args: &Args, function: &Function) -> TokenStream {
    let Args { kind, krate, .. } = args;
    let Function { name, arguments, returns, .. } = function;
    let private = quote!(#krate::__private);
    let names: Vec<_> = arguments.iter().map(|a| &a.name).collect();
    let texts = names.iter().map(|name| name.unraw().to_string());
    let inputs = quote!(#(cx.get(&self.#names)?),*);
    let (in_doubt, observes) = match &args.in_doubt {
        InDoubt::NoEffect => (quote!(NoEffect), false),
        InDoubt::Idempotent => (quote!(Idempotent), false),
        InDoubt::Observe(_) => (quote!(Observe), true),
        InDoubt::AskOperator => (quote!(AskOperator), false),
    };
    let undo = match args.policy {
        Policy::Undo => quote!(Undo),
        Policy::Keep => quote!(Keep),
        Policy::Ask => quote!(Ask),
    };
    let (before, compensate, local) = (args.before.is_some(), args.undo.is_some(), args.local);
    let output = quote_spanned!(returns.span()=> <#returns as #private::StepResult>::Output);
    let needs = args.needs.iter().map(|need| {
        let (name, ty) = (need.name.unraw().to_string(), &need.ty);
        quote!(#krate::Need::of::<#ty>(#name))
    });
    let methods = methods(args, &inputs);
    quote! {
        #[automatically_derived]
        impl #krate::Step for #name {
            const KIND: &'static str = #kind;
            const IN_DOUBT: #private::InDoubt = #private::InDoubt::#in_doubt;
            const METHODS: #private::Methods = #private::Methods {
                preview: false,
                before: #before,
                observe: #observes,
                compensate: #compensate,
                local: #local,
            };
            const UNDO: #private::UndoPolicy = #private::UndoPolicy::#undo;
            type Output = #output;
            fn reads(&self) -> #krate::Reads {
                #krate::Reads::none()#(.and(#texts, &self.#names))*
            }
            fn needs() -> ::std::vec::Vec<#krate::Need> {
                ::std::vec![#(#needs),*]
            }
            async fn run(&self, cx: &#krate::StepContext) -> ::core::result::Result<Self::Output, #krate::StepError> {
                #name(cx, #inputs).await
            }
            #methods
        }
    }
}

/// The methods beside `run` that the arguments name.
fn methods(args: &Args, inputs: &TokenStream) -> TokenStream {
    let krate = &args.krate;
    let result = quote!(::core::result::Result);
    let observe = match &args.in_doubt {
        InDoubt::Observe(path) => quote! {
            async fn observe(
                &self,
                cx: &#krate::StepContext,
            ) -> #result<#krate::Observed<Self::Output>, #krate::StepError> {
                #path(cx, #inputs).await
            }
        },
        _ => TokenStream::new(),
    };
    let undo = args.undo.iter().map(|path| {
        quote! {
            async fn compensate(
                &self,
                cx: &#krate::StepContext,
                undo: #krate::Undo<Self::Output>,
            ) -> #result<(), #krate::StepError> {
                #path(cx, undo, #inputs).await
            }
        }
    });
    let before = args.before.iter().map(|path| {
        quote! {
            async fn before(&self, cx: &#krate::StepContext) -> #result<#krate::__private::Json, #krate::StepError> {
                #krate::__private::before_image(&#path(cx, #inputs).await?)
            }
        }
    });
    quote!(#observe #(#undo)* #(#before)*)
}
