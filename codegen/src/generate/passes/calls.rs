//! The client: its imports, and methods that make a `Call`, which takes what is optional by setters.

use std::collections::BTreeMap;

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;
use syn::{
    Attribute, Fields, File, FnArg, ImplItem, ImplItemFn, Item, ItemImpl, Pat, ReturnType, Type,
    parse_quote,
};

use super::docs::{alias, rename};
use super::names::deprecate;
use super::syntax::doc_text;
use crate::error::{Error, OUTPUT};
use crate::generate::document::{
    former_names, is_true, items, operation_pointer, operations, plain, rust_name, text,
};
use crate::generate::generator::FORMATS;
use crate::generate::load::Source;
use crate::generate::prepare::credential;

/// The client's methods and what they are made of, from what the generator has made of the operations;
/// gives the name of each method with its operation.
pub(super) fn make_calls<'a>(
    source: &'a Source,
    client: &mut File,
) -> Result<Vec<(Ident, &'a Value)>, Error> {
    let mut generated = keep_client(client)?;
    let (mut methods, mut setters, mut markers): (Vec<ImplItem>, Vec<Item>, Vec<Item>) =
        Default::default();
    let (mut names, mut findings) = (Vec::new(), Vec::new());
    operations(&source.value, |path, verb, operation| {
        let made = find_method(&mut generated, operation)
            .and_then(|method| Method::new(&method, path, verb, operation));
        match made {
            Err(message) => {
                findings.push(source.finding(&operation_pointer(path, verb), message));
            }
            Ok(made) => {
                names.push((made.name.clone(), operation));
                methods.push(made.method());
                methods.extend(made.former_methods(operation));
                setters.extend(made.setters());
                markers.extend(made.markers(operation));
            }
        }
    });
    if let Some(left) = generated.first() {
        let message = format!("its method `{}` is of no operation", left.sig.ident);
        return Err(Error::Pass(message));
    }
    Error::of(OUTPUT, findings)?;
    client
        .items
        .push(parse_quote!(impl Client { #(#methods)* }));
    client.items.append(&mut setters);
    client.items.push(parse_quote! {
        /// One type for each operation: what a [`Call`] is of.
        pub mod operations {
            use crate::raw::types;
            #(#markers)*
        }
    });
    Ok(names)
}

/// Leaves the struct, with a field of our own, and gives the methods.
fn keep_client(client: &mut File) -> Result<Vec<ImplItemFn>, Error> {
    let (mut kept, mut generated) = (None, Vec::new());
    for item in std::mem::take(&mut client.items) {
        match item {
            Item::Struct(mut item) if item.ident == "Client" => {
                item.fields = Fields::Named(parse_quote!({
                    pub(crate) inner: crate::raw::hooks::Inner
                }));
                kept = Some(item);
            }
            Item::Impl(ItemImpl {
                trait_: None,
                items,
                ..
            }) => generated.extend(items),
            _ => {}
        }
    }
    let kept = kept.ok_or_else(|| Error::Pass("it has no struct `Client`".to_owned()))?;
    client.items = vec![
        parse_quote!(
            use reqwest::Method;
        ),
        // As text: it is no import of this file.
        syn::parse_str("use super::call::Call;").map_err(|error| Error::Pass(error.to_string()))?,
        parse_quote!(
            use super::types;
        ),
        Item::Struct(kept),
    ];
    let methods = generated.into_iter().filter_map(|item| match item {
        ImplItem::Fn(function) if function.sig.asyncness.is_some() => Some(function),
        _ => None,
    });
    Ok(methods.collect())
}

fn find_method(generated: &mut Vec<ImplItemFn>, operation: &Value) -> Result<ImplItemFn, String> {
    let id = plain(text(operation, "operationId"));
    let at = generated
        .iter()
        .position(|method| plain(&method.sig.ident.to_string()) == id);
    at.map(|at| generated.remove(at))
        .ok_or_else(|| "has no method; give it another operationId".to_owned())
}

/// Where a part of a call goes.
enum Place {
    Credential,
    Path,
    Query(String),
    Body,
}

/// A part of a call: an argument of its method, or a setter.
struct Argument {
    name: Ident,
    of: Type,
    place: Place,
    is_required: bool,
    described: Value,
}

/// What is generated of one operation.
struct Method {
    name: Ident,
    marker: Ident,
    attributes: Vec<Attribute>,
    verb: Ident,
    /// With `{}` for each value.
    template: String,
    /// The values in the path.
    values: Vec<TokenStream>,
    arguments: Vec<Argument>,
    response: Type,
}

impl Method {
    /// What the generator made of it is compared with the description: it leaves out, without a word, what
    /// it cannot name twice.
    fn new(
        generated: &ImplItemFn,
        path: &str,
        verb: &str,
        operation: &Value,
    ) -> Result<Self, String> {
        let mut given: Vec<(Ident, Type)> = inputs(generated);
        let mut take = |name: &str| {
            let at = given
                .iter()
                .position(|(other, _)| plain(&other.to_string()) == plain(name));
            at.map(|at| given.remove(at))
                .ok_or_else(|| format!("its method does not take `{name}`"))
        };
        let mut arguments = Vec::new();
        if let Some(parameter) = credential(operation) {
            let (_, of) = take("Authorization")?;
            let format = parameter.pointer("/schema/format");
            let named = FORMATS
                .iter()
                .find(|(name, _)| format.is_some_and(|f| f == name));
            let (_, named) = named.ok_or("its credential has no type")?;
            let name = named.rsplit("::").next().unwrap_or(named);
            arguments.push(Argument {
                name: format_ident!("{}", name.to_snake_case()),
                of: plain_type(&of),
                place: Place::Credential,
                is_required: is_true(parameter.get("required")),
                described: Value::Null,
            });
        }
        let mut parameters: Vec<(usize, &str, &Value)> = items(operation, "parameters")
            .map(|parameter| {
                let name = text(parameter, "name");
                let at = path.find(&format!("{{{name}}}"));
                let at = at.filter(|_| text(parameter, "in") == "path");
                (at.unwrap_or(path.len()), name, parameter)
            })
            .collect();
        parameters.sort_by_key(|(at, ..)| *at);
        let mut values = Vec::new();
        for (at, wire, parameter) in parameters {
            let (name, of) = take(wire)?;
            if let Some(known) = parameter.get("x-from-client").and_then(Value::as_str) {
                let known = format_ident!("{known}");
                values.push(quote!(&self.inner.settings.#known));
                continue;
            }
            let name = format_ident!("{}", rust_name(parameter, &name.to_string()));
            let place = if at < path.len() {
                values.push(quote!(&#name));
                Place::Path
            } else {
                Place::Query(wire.to_owned())
            };
            arguments.push(Argument {
                name,
                of: plain_type(&of),
                place,
                is_required: is_true(parameter.get("required")),
                described: parameter.clone(),
            });
        }
        if operation.get("requestBody").is_some() {
            let (name, of) = take("body")?;
            arguments.push(Argument {
                name,
                of: plain_type(&of),
                place: Place::Body,
                is_required: true,
                described: Value::Null,
            });
        }
        if let Some((name, _)) = given.first() {
            return Err(format!("its method takes `{name}`, which is not described"));
        }
        let parts = path
            .split('{')
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
        let template = parts.collect::<Vec<_>>().join("{}");
        let given = generated.sig.ident.to_string();
        let name = format_ident!("{}", rust_name(operation, &given));
        let response = response(&generated.sig.output)?;
        // The generator lists the arguments, what is optional among them.
        let is_description = |attribute: &&Attribute| {
            doc_text(attribute).is_none_or(|text| text.trim() != "Arguments:")
        };
        let mut attributes: Vec<Attribute> = generated
            .attrs
            .iter()
            .take_while(is_description)
            .cloned()
            .collect();
        while attributes
            .pop_if(|last| doc_text(last).is_some_and(|text| text.is_empty()))
            .is_some()
        {}
        attributes.extend(said_of(&response, &arguments).into_iter().flatten());
        deprecate(&mut attributes, operation);
        alias(&mut attributes, &[path, text(operation, "operationId")]);
        Ok(Self {
            marker: format_ident!("{}", name.to_string().to_upper_camel_case()),
            name,
            attributes,
            verb: format_ident!("{}", verb.to_uppercase()),
            template,
            values,
            arguments,
            response,
        })
    }

    fn required(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|part| part.is_required)
    }

    fn signature(&self, name: &Ident) -> TokenStream {
        let arguments = self
            .required()
            .map(|Argument { name, of, .. }| quote!(#name: #of));
        let marker = &self.marker;
        quote!(pub fn #name(&self, #(#arguments),*) -> Call<'_, operations::#marker>)
    }

    fn method(&self) -> ImplItem {
        let signature = self.signature(&self.name);
        let (attributes, verb) = (&self.attributes, &self.verb);
        let (template, values) = (&self.template, &self.values);
        let parts = self.required().map(|argument| argument.set());
        parse_quote! {
            #(#attributes)*
            #signature {
                Call::described(self, Method::#verb, #template, &[#(#values),*]) #(#parts)*
            }
        }
    }

    /// Methods under the names that it had before.
    fn former_methods(&self, operation: &Value) -> Vec<ImplItem> {
        let methods = former_names(operation).map(|old| {
            let signature = self.signature(&format_ident!("{old}"));
            let new = &self.name;
            let note = format!("now `{new}`");
            let names = self.required().map(|argument| &argument.name);
            parse_quote!(#[deprecated = #note] #signature { self.#new(#(#names),*) })
        });
        methods.collect()
    }

    /// What is optional.
    fn setters(&self) -> Option<Item> {
        let optional = self.arguments.iter().filter(|part| !part.is_required);
        let mut setters: Vec<ImplItemFn> = optional.map(Argument::setter).collect();
        let in_rust = self.arguments.iter().filter_map(|part| match &part.place {
            Place::Query(wire) if part.name != wire => {
                Some((wire.clone(), format!("[`{0}`](Self::{0})", part.name)))
            }
            _ => None,
        });
        let in_rust: BTreeMap<String, String> = in_rust.collect();
        for attribute in setters.iter_mut().flat_map(|setter| &mut setter.attrs) {
            rename(attribute, &in_rust);
        }
        let marker = &self.marker;
        (!setters.is_empty()).then(|| {
            parse_quote! {
                /// What is optional.
                impl Call<'_, operations::#marker> { #(#setters)* }
            }
        })
    }

    /// The type that stands for it, and the names that this had before.
    fn markers(&self, operation: &Value) -> Vec<Item> {
        let (marker, name, response) = (&self.marker, self.name.to_string(), &self.response);
        let mut items: Vec<Item> = vec![parse_quote!(operation!(#marker, #name, #response);)];
        items.extend(former_names(operation).map(|old| -> Item {
            let old = format_ident!("{}", old.to_upper_camel_case());
            let note = format!("now `{marker}`");
            parse_quote!(#[deprecated = #note] pub type #old = #marker;)
        }));
        items
    }
}

impl Argument {
    /// The call that puts it into a `Call`.
    fn set(&self) -> TokenStream {
        let name = &self.name;
        match &self.place {
            Place::Credential => quote!(.authorized(#name)),
            Place::Path => quote!(),
            Place::Query(wire) => quote!(.query(#wire, #name)),
            Place::Body => quote!(.body(#name)),
        }
    }

    fn setter(&self) -> ImplItemFn {
        let Self {
            name,
            of,
            described,
            ..
        } = self;
        let docs = described.get("description").and_then(Value::as_str);
        let docs = docs.unwrap_or("On whose behalf the call is made; without it, nobody's.");
        let mut attributes: Vec<Attribute> = docs
            .lines()
            .map(|line| format!(" {line}"))
            .map(|line| parse_quote!(#[doc = #line]))
            .collect();
        if let Place::Query(wire) = &self.place
            && name != wire
        {
            attributes.push(parse_quote!(#[doc(alias = #wire)]));
        }
        deprecate(&mut attributes, described);
        let set = self.set();
        parse_quote!(#(#attributes)* pub fn #name(self, #name: #of) -> Self { self #set })
    }
}

/// What a method gives and takes, as far as its signature does not show it.
fn said_of(response: &Type, arguments: &[Argument]) -> Option<[Attribute; 2]> {
    let mut said = Vec::new();
    if let Type::Path(path) = response
        && let Some(last) = path.path.segments.last()
    {
        said.push(format!(" Response: [`{0}`](types::{0}).", last.ident));
    }
    let optional = arguments.iter().filter(|part| !part.is_required);
    let links: Vec<String> = optional
        .map(|part| format!("[`{0}`](Call::{0})", part.name))
        .collect();
    if !links.is_empty() {
        said.push(format!(" Optional: {}.", links.join(", ")));
    }
    let said = said.concat();
    (!said.is_empty()).then(|| [parse_quote!(#[doc = ""]), parse_quote!(#[doc = #said])])
}

/// The arguments of a generated method.
fn inputs(function: &ImplItemFn) -> Vec<(Ident, Type)> {
    let named = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => match &*argument.pat {
            Pat::Ident(name) => Some((name.ident.clone(), (*argument.ty).clone())),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    });
    named.collect()
}

/// Without `Option` and lifetime.
fn plain_type(of: &Type) -> Type {
    let mut of = inner(of, "Option").unwrap_or_else(|| of.clone());
    if let Type::Reference(reference) = &mut of {
        reference.lifetime = None;
    }
    of
}

/// The `T` of a `Name<T>`.
fn inner(of: &Type, name: &str) -> Option<Type> {
    let Type::Path(path) = of else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == name)?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(of) => Some(of.clone()),
        _ => None,
    })
}

/// What the body of a success is, from `Result<ResponseValue<T>, Error<()>>`.
fn response(output: &ReturnType) -> Result<Type, String> {
    let ReturnType::Type(_, output) = output else {
        return Err("its method gives nothing".to_owned());
    };
    inner(output, "Result")
        .and_then(|value| inner(&value, "ResponseValue"))
        .ok_or_else(|| format!("its method gives `{}`", output.to_token_stream()))
}
