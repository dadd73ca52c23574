//! The client: imports, and the bodies of its methods.

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Expr, ExprLit, ExprMethodCall, File, ImplItem, Item, ItemImpl, ItemUse, Lit, Stmt, Type,
    parse_quote,
};

use super::syntax::spelt;

/// Imports are made anew; the panicking constructor, the client's metadata and the prelude go.
pub(super) fn remove_unused_items(file: &mut File) {
    file.items.retain(|item| match item {
        Item::Use(_) => false,
        Item::Mod(module) => module.ident != "prelude",
        Item::Impl(item) => !implements(item, "ClientInfo"),
        _ => true,
    });
    for item in &mut file.items {
        let Item::Impl(item) = item else { continue };
        item.items
            .retain(|item| !matches!(item, ImplItem::Fn(f) if f.sig.ident == "new"));
        for item in &mut item.items {
            let ImplItem::Fn(function) = item else {
                continue;
            };
            if function.sig.ident == "new_with_client" {
                function.sig.ident = parse_quote!(from_parts);
                function.vis = parse_quote!(pub(crate));
                function.attrs = vec![
                    parse_quote!(#[doc = "A client from its parts; `baseurl` has no trailing slash."]),
                ];
            }
        }
    }
    let imports: [ItemUse; 4] = [
        parse_quote!(
            use super::types;
        ),
        parse_quote!(
            use crate::error::Error;
        ),
        parse_quote!(
            use crate::transport::request::{ClientHooks, OperationInfo, build_error, encode_path};
        ),
        parse_quote!(
            use crate::transport::response::{ResponseValue, unexpected};
        ),
    ];
    file.items.splice(0..0, imports.map(Item::Use));
}

fn implements(item: &ItemImpl, name: &str) -> bool {
    item.trait_
        .as_ref()
        .and_then(|(path, ..)| path.segments.last())
        .is_some_and(|segment| segment.ident == name)
}

/// Rewrites the bodies of the generated methods.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) methods: usize,
    pub(super) version_headers: usize,
    pub(super) successes: usize,
    pub(super) unexpected: usize,
    pub(super) builds: usize,
}

impl VisitMut for Calls {
    fn visit_impl_item_fn_mut(&mut self, function: &mut syn::ImplItemFn) {
        if function.sig.asyncness.is_some() {
            self.methods += 1;
            let statements = &mut function.block.stmts;
            let before = statements.len();
            statements.retain(|statement| !is_api_version(statement));
            self.version_headers += before - statements.len();
            if !statements
                .iter()
                .any(|statement| mentions(statement, "append"))
            {
                drop_header_map(statements);
            }
        }
        visit_mut::visit_impl_item_fn_mut(self, function);
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        if let Expr::MethodCall(call) = expr {
            if let Some(credential) = credential_of(call) {
                *expr = parse_quote!(self.authorize(&mut header_map, #credential)?);
                return;
            }
            if call.method == "build" {
                let call = call.clone();
                self.builds += 1;
                *expr = parse_quote!(#call.map_err(build_error));
                return;
            }
        }
        let text = expr.to_token_stream().to_string();
        if text == "Err (Error :: UnexpectedResponse (response))" {
            self.unexpected += 1;
            *expr = parse_quote!(Err(unexpected(response).await));
        } else if matches!(expr, Expr::Call(_)) && text.starts_with("encode_path (") {
            let call = expr.clone();
            *expr = parse_quote!(#call?);
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        visit_mut::visit_arm_mut(self, arm);
        // Whatever success the service or a gateway gives is one.
        let is_success = |status: &str| status.starts_with('2') && status.ends_with("u16");
        if matches!(&arm.pat, syn::Pat::Lit(status) if is_success(&spelt(status))) {
            arm.pat = parse_quote!(200..=299);
            self.successes += 1;
        }
    }

    fn visit_macro_mut(&mut self, node: &mut syn::Macro) {
        // `format!` hides its arguments from the visitor.
        if node.path.is_ident("format") {
            let parser = syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated;
            if let Ok(mut arguments) = node.parse_body_with(parser) {
                for argument in &mut arguments {
                    self.visit_expr_mut(argument);
                }
                node.tokens = arguments.to_token_stream();
            }
        }
    }

    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        visit_mut::visit_path_mut(self, path);
        if let Some(first) = path.segments.first_mut()
            && first.ident == "progenitor_client"
        {
            first.ident = parse_quote!(request);
            path.segments.insert(0, parse_quote!(transport));
            path.segments.insert(0, parse_quote!(crate));
        }
    }

    fn visit_type_mut(&mut self, node: &mut Type) {
        visit_mut::visit_type_mut(self, node);
        if node.to_token_stream().to_string() == "Error < () >" {
            *node = parse_quote!(Error);
        }
    }
}

fn mentions(statement: &Stmt, word: &str) -> bool {
    statement.to_token_stream().to_string().contains(word)
}

/// The statement that sends the description's own version along; the service asks for none.
fn is_api_version(statement: &Stmt) -> bool {
    mentions(statement, "append") && mentions(statement, "\"api-version\"")
}

/// An operation without headers of its own needs no map for them.
fn drop_header_map(statements: &mut Vec<Stmt>) {
    struct DropHeaders;

    impl VisitMut for DropHeaders {
        fn visit_expr_mut(&mut self, expr: &mut Expr) {
            visit_mut::visit_expr_mut(self, expr);
            if let Expr::MethodCall(call) = expr
                && call.method == "headers"
            {
                *expr = (*call.receiver).clone();
            }
        }
    }

    statements.retain(|statement| {
        !matches!(statement, Stmt::Local(local) if local.pat.to_token_stream().to_string() == "mut header_map")
    });
    for statement in statements {
        DropHeaders.visit_stmt_mut(statement);
    }
}

/// From `header_map.append("Authorization", X.to_string().try_into()?)` the X.
fn credential_of(call: &ExprMethodCall) -> Option<Expr> {
    let mut arguments = call.args.iter();
    let (Some(name), Some(value)) = (arguments.next(), arguments.next()) else {
        return None;
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(name),
        ..
    }) = name
    else {
        return None;
    };
    if call.method != "append" || !name.value().eq_ignore_ascii_case("authorization") {
        return None;
    }
    let Expr::Try(value) = value else { return None };
    let Expr::MethodCall(try_into) = &*value.expr else {
        return None;
    };
    let Expr::MethodCall(to_string) = &*try_into.receiver else {
        return None;
    };
    Some((*to_string.receiver).clone())
}
