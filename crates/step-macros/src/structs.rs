//! `#[derive(Step)]`.

mod fields;
mod words;

use crate::krate;
use fields::{Field, Form};
pub(crate) use fields::{is_environment, one_environment};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Path, Result, Visibility, ext::IdentExt};
use words::Words;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let krate = krate::of(&input.attrs)?;
    if let Some(param) = input.generics.params.first() {
        return Err(Error::new_spanned(param, "a kind has one stored form: a step cannot be generic"));
    }
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "a step is a struct, whose fields are stored in the plan",
        ));
    };
    let fields = match &data.fields {
        Fields::Named(named) => {
            named.named.iter().map(|field| Field::parse(&krate, field)).collect::<Result<Vec<_>>>()?
        }
        Fields::Unit => Vec::new(),
        Fields::Unnamed(unnamed) => {
            return Err(Error::new_spanned(
                unnamed,
                "name the fields of a step: their names are stored in the plan",
            ));
        }
    };
    if let Fields::Named(named) = &data.fields {
        one_environment(named.named.iter().map(|field| (&field.ty, true)))?;
    }
    let words = Words::of(input)?;
    let construction = construction(&krate, &input.ident, &input.vis, &fields);
    let behaviour = behaviour(&krate, input, &words, &fields);
    Ok(quote!(#construction #behaviour))
}

/// `new` and the setters.
fn construction(krate: &Path, name: &Ident, vis: &Visibility, fields: &[Field]) -> TokenStream {
    let (required, optional): (Vec<_>, Vec<_>) = fields.iter().partition(|field| field.default.is_none());
    let arguments: Vec<_> = required.iter().map(|field| &field.name).collect();
    let types = required.iter().map(|field| field.given(krate));
    let taken = required.iter().map(|field| {
        let (name, value) = (&field.name, field.take(krate));
        quote!(#name: #value)
    });
    let defaults = optional.iter().map(|field| {
        let (name, value) = (&field.name, &field.default);
        quote!(#name: #value)
    });
    let setters = optional.iter().map(|field| setter(krate, vis, field));
    let doc = match required.as_slice() {
        [] => "The step.".to_owned(),
        some => {
            let names: Vec<_> = some.iter().map(|field| format!("`{}`", field.name.unraw())).collect();
            format!("The step with {}; what else there is has setters.", names.join(", "))
        }
    };
    quote! {
        #[automatically_derived]
        impl #name {
            #[doc = #doc]
            #[allow(clippy::new_without_default, clippy::too_many_arguments, reason = "it has the fields of its struct")]
            #vis fn new(#(#arguments: #types),*) -> Self {
                #name { #(#taken,)* #(#defaults,)* }
            }
            #(#setters)*
        }
    }
}

fn setter(krate: &Path, vis: &Visibility, field: &Field) -> TokenStream {
    let Field { name, docs, .. } = field;
    let (given, value) = (field.given(krate), field.take(krate));
    let docs = if docs.is_empty() {
        let text = format!("Sets `{}`.", name.unraw());
        quote!(#[doc = #text])
    } else {
        quote!(#(#docs)*)
    };
    let value = if field.is_option { quote!(::core::option::Option::Some(#value)) } else { value };
    quote! {
        #docs
        #[must_use]
        #vis fn #name(mut self, #name: #given) -> Self {
            self.#name = #value;
            self
        }
    }
}

fn schema(krate: &Path, docs: &[Attribute], fields: &[Field]) -> TokenStream {
    let private = quote!(#krate::__private);
    let docs = crate::output::schema::docs(docs);
    let fields = fields.iter().map(|field| {
        let (name, schema) = (field.stored(), field.schema(krate));
        let (required, docs) = (field.default.is_none(), crate::output::schema::docs(&field.docs));
        quote!(.field(#name, #schema, #required, #docs))
    });
    quote! {
        fn schema(schemas: &mut #private::Schemas) -> #private::Value {
            #[allow(unused_imports, reason = "a step may have no field that asks")]
            use #private::{OfAnything as _, OfOutput as _};
            let _ = &schemas;
            #private::ObjectSchema::default()#(#fields)*.schema(false, #docs)
        }
    }
}

fn behaviour(krate: &Path, input: &DeriveInput, words: &Words, fields: &[Field]) -> TokenStream {
    let (name, docs) = (&input.ident, &input.attrs);
    let private = quote!(#krate::__private);
    let Words { kind, in_doubt, policy, local, observe, undo, before, preview, .. } = words;
    let inputs = fields.iter().filter(|field| field.form == Form::Inputs).map(|field| {
        let (name, text) = (&field.name, field.stored());
        quote!(#krate::__private::AddReads::add_reads(&self.#name, #text, &mut reads);)
    });
    let needs = words.needs.iter().map(|need| {
        let (name, ty) = (need.name.unraw().to_string(), &need.ty);
        quote!(#krate::Need::of::<#ty>(#name))
    });
    let methods = methods(krate, words);
    let schema = schema(krate, docs, fields);
    let environment = fields.iter().find(|field| field.is_environment()).map(|field| {
        let name = &field.name;
        let given = if field.is_option {
            quote!(self.#name.as_ref())
        } else {
            quote!(::core::option::Option::Some(&self.#name))
        };
        quote!(fn environment(&self) -> ::core::option::Option<&#krate::Environment> { #given })
    });
    let declares = words.declares.then(|| {
        quote! {
            fn declared(&self) -> #krate::Declared { #krate::Declares::declared(self) }
        }
    });
    let claims = words.claims.then(|| {
        quote! {
            fn claims(&self) -> ::std::vec::Vec<#krate::Claim> { #krate::Claims::claims(self) }
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
                observe: #observe,
                compensate: #undo,
                local: #local,
            };
            const UNDO: #private::UndoPolicy = #private::UndoPolicy::#policy;
            type Output = <#name as #krate::Body>::Output;
            fn reads(&self) -> #krate::Reads {
                #[allow(unused_mut, reason = "a step may have no input")]
                let mut reads = #krate::Reads::none();
                #(#inputs)*
                reads
            }
            #schema
            fn needs() -> ::std::vec::Vec<#krate::Need> {
                ::std::vec![#(#needs),*]
            }
            #environment
            #claims
            #declares
            #methods
        }
    }
}

fn methods(krate: &Path, words: &Words) -> TokenStream {
    let cx = quote!(cx: &#krate::StepContext);
    let result = quote!(::core::result::Result);
    let error = quote!(#krate::StepError);
    let private = quote!(#krate::__private);
    let preview = words.preview.then(|| {
        quote! {
            async fn preview(&self, #cx) -> #result<::std::vec::Vec<#private::Change>, #error> {
                #krate::Preview::preview(self, cx).await
            }
        }
    });
    let foresee = words.foresee.then(|| {
        quote! {
            fn foresee(&self, #cx) -> #result<::core::option::Option<Self::Output>, #error> {
                #krate::Foresee::foresee(self, cx)
            }
        }
    });
    let before = words.before.then(|| {
        quote! {
            async fn before(&self, #cx) -> #result<#private::Json, #error> {
                #private::before_image(#krate::Before::before(self, cx).await)
            }
        }
    });
    let observe = words.observe.then(|| {
        quote! {
            async fn observe(&self, #cx) -> #result<#krate::Observed<Self::Output>, #error> {
                #krate::Observe::observe(self, cx).await
            }
        }
    });
    let compensate = words.undo.then(|| {
        quote! {
            async fn compensate(&self, #cx, undo: #krate::Undo<Self::Output>) -> #result<(), #error> {
                #krate::Compensate::compensate(self, cx, undo).await
            }
        }
    });
    quote! {
        async fn run(&self, #cx) -> #result<Self::Output, #error> {
            #krate::Body::run(self, cx).await
        }
        #foresee #preview #before #observe #compensate
    }
}
