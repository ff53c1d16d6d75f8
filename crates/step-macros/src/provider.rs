//! `#[derive(Provider)]`.

use crate::krate;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Path, Result, Token, punctuated::Punctuated};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let krate = krate::of(&input.attrs)?;
    let mut traits: Vec<Path> = Vec::new();
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("offers")) {
        traits.extend(attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)?);
    }
    if traits.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "say what this provider offers: #[offers(TrafficRouter, Scanner)], traits that it implements",
        ));
    }
    let name = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Provider for #name #ty_generics #where_clause {
            fn offer(self: ::std::sync::Arc<Self>, to: &mut #krate::Offers<'_>) {
                #({
                    let offered: ::std::sync::Arc<Self> = ::std::clone::Clone::clone(&self);
                    to.put::<dyn #traits>(offered);
                })*
            }
        }
    })
}
