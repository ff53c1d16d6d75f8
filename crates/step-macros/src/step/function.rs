//! The async fn under `#[step]`.

use proc_macro2::{Span, TokenStream};
use syn::{
    Attribute, Error, FnArg, GenericArgument, GenericParam, Ident, ItemFn, Pat, PathArguments, Result,
    ReturnType, Type, Visibility, ext::IdentExt, spanned::Spanned,
};

const CONTEXT: &str = "the first argument is the context: `cx: &StepContext`";

/// What the macro needs of the fn.
pub(super) struct Function {
    pub(super) name: Ident,
    pub(super) vis: Visibility,
    pub(super) docs: Vec<Attribute>,
    /// Under what the fn is there at all: so is its step.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) arguments: Vec<Argument>,
    pub(super) returns: Type,
    /// The output, when the text of `returns` tells it.
    pub(super) output: Option<Type>,
}

/// An argument: its name as it is stored, and its type.
pub(super) struct Argument {
    pub(super) name: Ident,
    pub(super) ty: Type,
}

impl Function {
    pub(super) fn parse(item: TokenStream) -> Result<Self> {
        let item: ItemFn = syn::parse2(item).map_err(|e| {
            Error::new(
                e.span(),
                "`#[step]` belongs on a free async fn: `async fn smoke(cx: &StepContext, …) -> Result<…>`",
            )
        })?;
        let mut errors: Vec<Error> = Vec::new();
        let sig = &item.sig;
        if sig.asyncness.is_none() {
            errors.push(Error::new(sig.fn_token.span, "a step is an `async fn`"));
        }
        if let Some(param) = sig.generics.params.iter().find(|p| !matches!(p, GenericParam::Lifetime(_))) {
            errors.push(Error::new(param.span(), "a step is not generic: its kind names one type"));
        }
        let mut inputs = sig.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(this)) => errors.push(a_method(this.span())),
            Some(FnArg::Typed(first)) if is_context(&first.ty) => {}
            Some(FnArg::Typed(first)) => errors.push(Error::new(first.span(), CONTEXT)),
            None => errors.push(Error::new(sig.paren_token.span.join(), CONTEXT)),
        }
        let mut arguments = Vec::new();
        // Behind a `self` the context stands where an argument does: nothing true can be said of it.
        let is_method = sig.receiver().is_some();
        for input in inputs.filter(|_| !is_method) {
            match argument(input) {
                Ok(argument) => arguments.push(argument),
                Err(error) => errors.push(error),
            }
        }
        let returns = match &sig.output {
            ReturnType::Type(_, ty) => (**ty).clone(),
            ReturnType::Default => {
                let text = "a step returns `Result<Output, StepError>`; for one that gives nothing, `Result<(), StepError>`";
                errors.push(Error::new(sig.ident.span(), text));
                Type::Verbatim(TokenStream::new())
            }
        };
        if let Some(error) = errors.into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        }) {
            return Err(error);
        }
        let cfgs = item.attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect();
        let docs = item.attrs.into_iter().filter(|attr| attr.path().is_ident("doc")).collect();
        let output = output_of(&returns).cloned();
        Ok(Function { name: item.sig.ident, vis: item.vis, docs, cfgs, arguments, returns, output })
    }
}

fn a_method(span: Span) -> Error {
    Error::new(
        span,
        "a step is a free fn, without `self`: give what it needs as arguments, which are stored in the plan",
    )
}

fn is_context(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    reference.mutability.is_none()
        && path.path.segments.last().is_some_and(|last| last.ident == "StepContext")
}

/// `Image` of `Result<Image, StepError>`: what is wrong with it is best shown there. An alias tells nothing.
fn output_of(returns: &Type) -> Option<&Type> {
    let Type::Path(path) = returns else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let mut types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    match (types.next()??, types.next()??, types.next()) {
        (output, Type::Path(error), None) => {
            error.path.segments.last().filter(|last| last.ident == "StepError").map(|_| output)
        }
        _ => None,
    }
}

fn argument(input: &FnArg) -> Result<Argument> {
    let FnArg::Typed(input) = input else { return Err(a_method(input.span())) };
    let Pat::Ident(pattern) = &*input.pat else {
        return Err(Error::new(input.pat.span(), "name this argument: its name is stored in the plan"));
    };
    match &*input.ty {
        Type::Reference(_) => {
            return Err(Error::new(
                input.ty.span(),
                "take this argument by value: it is read from the plan or another step",
            ));
        }
        Type::ImplTrait(_) => {
            return Err(Error::new(
                input.ty.span(),
                "give this argument one type: it is read from the plan or another step",
            ));
        }
        _ => {}
    }
    // `_image` is stored as `image`: leaving an argument unused for a while changes no plan.
    let text = pattern.ident.unraw().to_string();
    let stored = text.trim_start_matches('_');
    let name = match stored {
        "" => return Err(Error::new(pattern.span(), "name this argument: its name is stored in the plan")),
        _ if stored == text => pattern.ident.clone(),
        _ => ident(stored, pattern.ident.span()),
    };
    Ok(Argument { name, ty: (*input.ty).clone() })
}

/// A keyword is a name as well, when it is raw.
fn ident(text: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(text) {
        Ok(_) => Ident::new(text, span),
        Err(_) => Ident::new_raw(text, span),
    }
}
