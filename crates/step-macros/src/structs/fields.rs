//! The fields of a struct step.

use crate::output::{Names, schema};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Error, Expr, GenericArgument, Ident, Path, PathArguments, Result, Token, Type, ext::IdentExt,
};

/// A field of a struct step.
pub(super) struct Field {
    pub(super) name: Ident,
    pub(super) docs: Vec<Attribute>,
    pub(super) form: Form,
    /// `Option<…>`: the setter takes what is inside.
    pub(super) is_option: bool,
    /// What it is when nobody sets it; required in `new` without.
    pub(super) default: Option<TokenStream>,
    ty: Type,
    stored: String,
}

/// What a field holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Inputs, somewhere in its type: what they refer to are edges.
    Inputs,
    /// A value that the author writes.
    Plain,
}

impl Field {
    pub(super) fn parse(krate: &Path, field: &syn::Field) -> Result<Self> {
        let name = field.ident.clone().expect("a named field has a name");
        let docs = field.attrs.iter().filter(|attr| attr.path().is_ident("doc")).cloned().collect();
        let (inner, is_option) = match inside(&field.ty, "Option") {
            Some(inner) => (inner.clone(), true),
            None => (field.ty.clone(), false),
        };
        let form = if mentions_input(&inner) { Form::Inputs } else { Form::Plain };
        let set = field.attrs.iter().find(|attr| attr.path().is_ident("set"));
        let given = set.map(default).transpose()?.flatten();
        let input = inside(&inner, "Input").is_some();
        let default = match (given, set.is_some() || is_option) {
            (Some(value), _) if is_option => {
                return Err(Error::new_spanned(
                    value,
                    "an `Option` is `None` until it is set: take the default out",
                ));
            }
            (Some(value), _) if input => Some(quote!(#krate::IntoInput::into_input(#value))),
            (Some(value), _) => Some(quote!(#value)),
            (None, true) if input && !is_option => {
                let text =
                    "say what it is when nobody sets it: `#[set(default = …)]`, or make it an `Option`";
                return Err(Error::new_spanned(&field.ty, text));
            }
            (None, true) => Some(quote!(::core::default::Default::default())),
            (None, false) => None,
        };
        let stored = Names::default().field(&name, &field.attrs)?.unwrap_or_else(|| name.unraw().to_string());
        Ok(Field { name, docs, form, is_option, default, ty: inner, stored })
    }

    /// The schema of what it stands for.
    pub(super) fn schema(&self, krate: &Path) -> TokenStream {
        schema_of(krate, &self.ty)
    }

    /// The name under which a plan stores it.
    pub(super) fn stored(&self) -> &str {
        &self.stored
    }

    /// Whether it says into which environment the step goes.
    pub(super) fn is_environment(&self) -> bool {
        is_environment(&self.ty)
    }

    /// The type of what may be given for it.
    pub(super) fn given(&self, krate: &Path) -> TokenStream {
        let ty = &self.ty;
        match inside(ty, "Input") {
            Some(value) => quote!(impl #krate::IntoInput<#value>),
            // A literal would be taken for an `i32`, and that is no `u32`.
            None if is_primitive(ty) => quote!(#ty),
            None if self.is_environment() => quote!(&#ty),
            None => quote!(impl ::core::convert::Into<#ty>),
        }
    }

    /// What is given, as the field holds it.
    pub(super) fn take(&self, krate: &Path) -> TokenStream {
        let name = &self.name;
        match inside(&self.ty, "Input") {
            Some(_) => quote!(#krate::IntoInput::into_input(#name)),
            None if is_primitive(&self.ty) => quote!(#name),
            None if self.is_environment() => quote!(::core::clone::Clone::clone(#name)),
            None => quote!(::core::convert::Into::into(#name)),
        }
    }
}

/// `default = …` of `#[set(default = …)]`.
fn default(attr: &Attribute) -> Result<Option<Expr>> {
    if matches!(attr.meta, syn::Meta::Path(_)) {
        return Ok(None);
    }
    attr.parse_args_with(|input: syn::parse::ParseStream<'_>| {
        let word: Ident = input.call(Ident::parse_any)?;
        if word != "default" {
            return Err(Error::new(
                word.span(),
                "means nothing here: want `#[set]` or `#[set(default = …)]`",
            ));
        }
        input.parse::<Token![=]>()?;
        input.parse().map(Some)
    })
}

/// Everything that is wrong with how a step says where it goes.
pub(crate) fn one_environment<'a>(types: impl Iterator<Item = (&'a Type, bool)>) -> Result<()> {
    let mut first = false;
    for (ty, optional) in types {
        let direct = is_environment(ty) || (optional && inside(ty, "Option").is_some_and(is_environment));
        if direct && !std::mem::replace(&mut first, true) {
            continue;
        }
        if direct {
            return Err(Error::new_spanned(
                ty,
                "a step goes into one environment, whose gates are checked: take the other one by its name, as a text",
            ));
        }
        if mentions(ty, "Environment") {
            return Err(Error::new_spanned(
                ty,
                "an environment stands by itself, so that its gates can be checked: take it as `Environment`",
            ));
        }
    }
    Ok(())
}

/// `Environment`, by whatever path.
pub(crate) fn is_environment(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Environment"))
}

/// `u32`, `bool`: the names of primitive types begin with a small letter.
fn is_primitive(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.get_ident().is_some_and(|name| name.to_string().starts_with(|c: char| c.is_ascii_lowercase()))
}

/// `T` of `Wrapper<T>`.
fn inside<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == wrapper)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) if arguments.args.len() == 1 => Some(ty),
        _ => None,
    }
}

/// The schema of a type, with inputs as what they stand for.
fn schema_of(krate: &Path, ty: &Type) -> TokenStream {
    let private = quote!(#krate::__private);
    if let Some(value) = inside(ty, "Input") {
        return schema::of(krate, value);
    }
    if !mentions_input(ty) {
        return schema::of(krate, ty);
    }
    match inside(ty, "Vec") {
        Some(part) => {
            let part = schema_of(krate, part);
            quote!(#private::list(#part))
        }
        None => quote!(#private::anything()),
    }
}

/// Whether inputs stand in a type: `Input<T>`, `Vec<Input<T>>`, `BTreeMap<String, Input<T>>`.
fn mentions_input(ty: &Type) -> bool {
    mentions(ty, "Input")
}

/// Whether a name stands in a type.
fn mentions(ty: &Type, name: &str) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.iter().any(|segment| {
        segment.ident == name
            || matches!(&segment.arguments, PathArguments::AngleBracketed(arguments)
                if arguments.args.iter().any(|arg| matches!(arg, GenericArgument::Type(ty) if mentions(ty, name))))
    })
}
