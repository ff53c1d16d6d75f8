//! `#[derive(Output)]`.

pub(crate) mod schema;
mod serde_names;

use crate::krate;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
pub(crate) use serde_names::Names;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Generics, Result, parse_quote};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let krate = krate::of(&input.attrs)?;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(
            lifetime,
            "an output owns what it holds: it is stored, and read by others later",
        ));
    }
    let names = Names::of(&input.attrs)?;
    let mut generics = input.generics.clone();
    for param in &mut generics.params {
        if let GenericParam::Type(param) = param {
            param.bounds.push(parse_quote!(#krate::Output));
        }
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let (name, vis) = (&input.ident, &input.vis);
    let fields = match &input.data {
        Data::Struct(data) if !names.opaque => &data.fields,
        _ => &Fields::Unit,
    };
    let (mut idents, mut types, mut stored, mut docs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    if let Fields::Named(fields) = fields {
        for field in &fields.named {
            let ident = field.ident.as_ref().expect("a named field has a name");
            let Some(as_stored) = names.field(ident, &field.attrs)? else { continue };
            idents.push((&field.vis, ident));
            types.push(&field.ty);
            stored.push(as_stored);
            docs.push(format!("Handle of the field `{ident}`."));
        }
    }
    let schema = schema::method(&krate, input, &names)?;
    if idents.is_empty() {
        return Ok(quote! {
            #[automatically_derived]
            impl #impl_generics #krate::Output for #name #ty_generics #where_clause {
                type Fields = ();
                fn fields(_: &#krate::__private::At) {}
                #schema
            }
        });
    }
    let (visibilities, idents): (Vec<_>, Vec<_>) = idents.into_iter().unzip();
    let fields_name = format_ident!("{name}Fields");
    let doc = format!("The fields of a handle to [`{name}`].");
    let phantom = phantom(&generics);
    Ok(quote! {
        #[doc = #doc]
        #vis struct #fields_name #impl_generics #where_clause {
            #(#[doc = #docs] #visibilities #idents: #krate::Handle<#types>,)*
            __of: #phantom,
        }
        #[automatically_derived]
        impl #impl_generics #krate::Output for #name #ty_generics #where_clause {
            type Fields = #fields_name #ty_generics;
            fn fields(at: &#krate::__private::At) -> Self::Fields {
                #fields_name {
                    #(#idents: #krate::__private::field(at, #stored),)*
                    __of: ::core::marker::PhantomData,
                }
            }
            #schema
        }
    })
}

/// A field may use only some of the parameters, and a struct has to use all.
fn phantom(generics: &Generics) -> TokenStream {
    let params = generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        _ => None,
    });
    quote!(::core::marker::PhantomData<fn() -> (#(#params,)*)>)
}
