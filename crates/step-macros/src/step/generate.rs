//! The step beside the fn.

use crate::{output::schema, structs::is_environment};

use super::{
    args::{Args, InDoubt},
    function::{Argument, Function},
};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Path, ext::IdentExt, spanned::Spanned};

pub(super) fn step(args: &Args, function: &Function) -> TokenStream {
    let definition = definition(&args.krate, function);
    let behaviour = behaviour(args, function);
    let cfgs = &function.cfgs;
    quote! {
        #definition
        #(#cfgs)*
        const _: () = { #behaviour };
    }
}

/// A braced struct, which is in the namespace of types: the fn of the same name keeps that of values.
fn definition(krate: &Path, function: &Function) -> TokenStream {
    let Function { name, vis, docs, cfgs, arguments, .. } = function;
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
        #(#cfgs)*
        #vis struct #name {
            #(#names: #krate::Input<#types>,)*
        }
        #(#cfgs)*
        impl #name {
            #[allow(dead_code, reason = "a kind is kept for runs of old when no pipeline places it any more")]
            #[allow(clippy::too_many_arguments, reason = "it has those of its fn")]
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
    let (in_doubt, observes) = match &args.in_doubt {
        InDoubt::NoEffect => (quote!(NoEffect), false),
        InDoubt::Idempotent => (quote!(Idempotent), false),
        InDoubt::Observe(_) => (quote!(Observe), true),
        InDoubt::AskOperator => (quote!(AskOperator), false),
    };
    let undo = args.policy;
    let (before, compensate, local) = (args.before.is_some(), args.undo.is_some(), args.local);
    let preview = args.preview.is_some();
    let needs = args.needs.iter().map(|need| {
        let (name, ty) = (need.name.unraw().to_string(), &need.ty);
        quote!(#krate::Need::of::<#ty>(#name))
    });
    let output = match &function.output {
        Some(output) => quote!(#output),
        None => quote_spanned!(returns.span()=> <#returns as #private::StepResult>::Output),
    };
    let methods = methods(args, function);
    let schema = schema(krate, function);
    let environment = function.arguments.iter().find(|a| is_environment(&a.ty)).map(|a| {
        let name = &a.name;
        quote! {
            fn environment(&self) -> ::core::option::Option<&#krate::Environment> {
                self.#name.as_value()
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #krate::Step for #name {
            const KIND: &'static str = #kind;
            const IN_DOUBT: #private::InDoubt = #private::InDoubt::#in_doubt;
            const METHODS: #private::Methods = #private::Methods {
                preview: #preview,
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
            #schema
            fn needs() -> ::std::vec::Vec<#krate::Need> {
                ::std::vec![#(#needs),*]
            }
            #environment
            #methods
        }
    }
}

fn schema(krate: &Path, function: &Function) -> TokenStream {
    let private = quote!(#krate::__private);
    let docs = schema::docs(&function.docs);
    let fields = function.arguments.iter().map(|Argument { name, ty }| {
        let (name, schema) = (name.unraw().to_string(), schema::of(krate, ty));
        quote!(.field(#name, #schema, true, ""))
    });
    quote! {
        fn schema(schemas: &mut #private::Schemas) -> #private::Value {
            #[allow(unused_imports, reason = "a step may have no argument")]
            use #private::{OfAnything as _, OfOutput as _};
            let _ = &schemas;
            #private::ObjectSchema::default()#(#fields)*.schema(true, #docs)
        }
    }
}

/// `run`, and the methods beside it that the arguments name.
fn methods(args: &Args, function: &Function) -> TokenStream {
    let krate = &args.krate;
    let private = quote!(#krate::__private);
    let cx = quote!(cx: &#krate::StepContext);
    let result = quote!(::core::result::Result);
    let error = quote!(#krate::StepError);
    let gets = gets(&private, function);
    let run = run(krate, function, &gets);
    let observe = match &args.in_doubt {
        InDoubt::Observe(path) => {
            let call = call(path, None, function);
            quote! {
                async fn observe(&self, #cx) -> #result<#krate::Observed<Self::Output>, #error> { #gets #call }
            }
        }
        _ => TokenStream::new(),
    };
    let undo = args.undo.iter().map(|path| {
        let call = call(path, Some(quote!(undo,)), function);
        quote! {
            async fn compensate(&self, #cx, undo: #krate::Undo<Self::Output>) -> #result<(), #error> { #gets #call }
        }
    });
    let before = args.before.iter().map(|path| {
        let call = call(path, None, function);
        quote! {
            async fn before(&self, #cx) -> #result<#private::Json, #error> { #gets #private::before_image(#call) }
        }
    });
    let preview = args.preview.iter().map(|path| {
        let call = call(path, None, function);
        let names = function.arguments.iter().map(|a| &a.name);
        quote! {
            async fn preview(&self, #cx) -> #result<::std::vec::Vec<#private::Change>, #error> {
                if let Some(unknown) = #private::preview::<Self>(cx, true #(&& cx.is_known(&self.#names))*) {
                    return Ok(unknown);
                }
                #gets
                #call
            }
        }
    });
    quote!(#run #observe #(#undo)* #(#before)* #(#preview)*)
}

fn run(krate: &Path, function: &Function, gets: &TokenStream) -> TokenStream {
    let returns = &function.returns;
    let call = call(&function.name, None, function);
    match &function.output {
        Some(_) => quote! {
            async fn run(
                &self,
                cx: &#krate::StepContext,
            ) -> ::core::result::Result<Self::Output, #krate::StepError> { #gets #call }
        },
        // What comes back has whatever name the fn has for it; it is there that errors about it belong.
        None => quote_spanned! {returns.span()=>
            async fn run(
                &self,
                cx: &#krate::StepContext,
            ) -> ::core::result::Result<<#returns as #krate::__private::StepResult>::Output, #krate::StepError> {
                #gets
                <#returns as #krate::__private::StepResult>::result(#call)
            }
        },
    }
}

/// Reads the arguments, as `__value_0` and so on: an argument may have the name of the fn.
fn gets(private: &TokenStream, function: &Function) -> TokenStream {
    let gets = function.arguments.iter().enumerate().map(|(i, Argument { name, ty })| {
        let value = format_ident!("__value_{i}", span = Span::call_site());
        let get = quote_spanned!(ty.span()=> #private::get::<#ty>);
        quote!(let #value = #get(cx, &self.#name)?;)
    });
    quote!(#(#gets)*)
}

/// Calls `what`, with the spans of its name: a helper with other arguments is what an error should point at.
fn call(what: &(impl ToTokens + Spanned), undo: Option<TokenStream>, function: &Function) -> TokenStream {
    let at = Span::call_site().located_at(what.span());
    let values = (0..function.arguments.len()).map(|i| format_ident!("__value_{i}", span = at));
    quote_spanned!(at=> #what(cx, #undo #(#values),*).await)
}
