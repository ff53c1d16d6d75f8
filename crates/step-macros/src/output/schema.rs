//! The schema of an output: what serde writes of it.

use super::serde_names::{Names, Variant};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Data, DataEnum, DeriveInput, Expr, ExprLit, Field, Fields, Lit, Meta, Path, Result, Type,
    ext::IdentExt,
};

/// The method `schema` of a derive of `Output`.
pub(super) fn method(krate: &Path, input: &DeriveInput, names: &Names) -> Result<TokenStream> {
    let private = quote!(#krate::__private);
    let docs = docs(&input.attrs);
    let schema = match &input.data {
        _ if names.opaque && !names.transparent => quote!(#private::anything()),
        Data::Struct(data) => fields(krate, &data.fields, names, &docs)?,
        Data::Enum(data) => variants(krate, data, names, &docs)?,
        Data::Union(_) => quote!(#private::anything()),
    };
    let name = input.ident.unraw().to_string();
    Ok(quote! {
        fn schema(schemas: &mut #private::Schemas) -> #private::Value {
            #[allow(unused_imports, reason = "a type may have no field that asks")]
            use #private::{OfAnything as _, OfOutput as _};
            schemas.named::<Self>(#name, |schemas| {
                let _ = &schemas;
                #schema
            })
        }
    })
}

/// What stands in the comments above it.
pub(crate) fn docs(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter_map(|attr| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    // The first paragraph; the rest is for who reads the code.
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The schema of a type, when it has one.
pub(crate) fn of(krate: &Path, ty: &Type) -> TokenStream {
    quote!((&#krate::__private::Probe::<#ty>::new()).schema(schemas))
}

fn fields(krate: &Path, fields: &Fields, names: &Names, docs: &str) -> Result<TokenStream> {
    let private = quote!(#krate::__private);
    Ok(match fields {
        Fields::Named(named) => object(krate, named.named.iter(), names, docs, &TokenStream::new())?,
        Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => of(krate, &unnamed.unnamed[0].ty),
        Fields::Unnamed(unnamed) => {
            let (parts, n) =
                (unnamed.unnamed.iter().map(|field| of(krate, &field.ty)), unnamed.unnamed.len());
            quote!(#private::tuple(::std::vec![#(#parts),*], #n))
        }
        Fields::Unit => quote!(#private::constant(&())),
    })
}

fn object<'a>(
    krate: &Path,
    fields: impl Iterator<Item = &'a Field> + Clone,
    names: &Names,
    docs: &str,
    first: &TokenStream,
) -> Result<TokenStream> {
    let private = quote!(#krate::__private);
    if names.transparent {
        return Ok(fields
            .clone()
            .next()
            .map_or_else(|| quote!(#private::anything()), |field| of(krate, &field.ty)));
    }
    let mut parts = Vec::new();
    let mut closed = names.closed;
    for field in fields {
        let ident = field.ident.as_ref().expect("a named field has a name");
        let form = names.form(ident, &field.attrs)?;
        closed &= !form.flat;
        let Some(name) = form.name else { continue };
        let schema = if form.other { quote!(#private::anything()) } else { of(krate, &field.ty) };
        let (required, docs) = (form.required && !is_option(&field.ty), self::docs(&field.attrs));
        parts.push(quote!(.field(#name, #schema, #required, #docs)));
    }
    Ok(quote!(#private::ObjectSchema::default()#first #(#parts)*.schema(#closed, #docs)))
}

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

fn variants(krate: &Path, data: &DataEnum, names: &Names, docs: &str) -> Result<TokenStream> {
    let private = quote!(#krate::__private);
    let mut all = Vec::new();
    for variant in &data.variants {
        let Variant { name, skipped, inner } = names.variant(&variant.ident, &variant.attrs)?;
        if skipped {
            continue;
        }
        let docs = self::docs(&variant.attrs);
        let is_unit = matches!(variant.fields, Fields::Unit);
        let content = || fields(krate, &variant.fields, &inner, "");
        let constant = quote!(#private::constant(&#name));
        all.push(match (&names.tag, &names.content) {
            (None, _) if is_unit => quote!(#private::described(#constant, #docs)),
            (None, _) => {
                let content = content()?;
                quote!(#private::ObjectSchema::default().field(#name, #content, true, "").schema(true, #docs))
            }
            (Some(tag), None) => {
                let tagged = quote!(.field(#tag, #constant, true, ""));
                match &variant.fields {
                    Fields::Named(named) => object(krate, named.named.iter(), &inner, &docs, &tagged)?,
                    // What else there is stands beside the tag, and only serde knows what.
                    _ => quote!(#private::ObjectSchema::default()#tagged.schema(false, #docs)),
                }
            }
            (Some(tag), Some(at)) => {
                let content = if is_unit {
                    TokenStream::new()
                } else {
                    let content = content()?;
                    quote!(.field(#at, #content, true, ""))
                };
                quote! {
                    #private::ObjectSchema::default().field(#tag, #constant, true, "")#content.schema(false, #docs)
                }
            }
        });
    }
    Ok(quote!(#private::described(#private::one_of(::std::vec![#(#all),*]), #docs)))
}
