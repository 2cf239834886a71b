//! One `impl NamesThings` for each request of an RPC and one `impl GivesPages` for each answer: what a request names is read
//! off the field option `shipei.common.v1.named`, so that nothing is looked up by reflection while a call waits. Fields of
//! inner messages count like those of the request, by their dotted path.

use std::{collections::BTreeSet, error::Error, fmt::Write as _};

use protox::prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
};

const OPTION: &str = "shipei.common.v1.named";
/// What says that nothing is to be looked at.
const LOOKED_AT_BY_NOBODY: [&str; 4] = ["NAMED_UNSPECIFIED", "NAMED_PART", "NAMED_REFERENCE", "NAMED_NEW"];
/// How deep messages may lie in each other; deeper ones would be a circle.
const DEPTH_MAX: usize = 8;

/// All impls.
pub(crate) fn impls(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let option = pool.get_extension_by_name(OPTION).ok_or("no option `named`")?;
    let mut code = String::new();
    let mut requests = BTreeSet::new();
    let mut answers = BTreeSet::new();
    let ours = |service: &str| service.starts_with("shipei.");
    for service in pool.services().filter(|service| ours(service.full_name())) {
        for method in service.methods() {
            let (request, answer) = (method.input(), method.output());
            if requests.insert(request.full_name().to_owned()) {
                let body = told(&request, &option, "self", "", 0)?;
                let unused = if body.is_empty() { "let _ = tell;" } else { "" };
                writeln!(
                    code,
                    "impl crate::NamesThings for {} {{\n    \
                       fn tell_named<'a>(&'a self, tell: &mut dyn FnMut(crate::common::v1::Named, &'static str, &'a str)) {{\n        \
                         {unused}{body}\n    }}\n{}}}",
                    rust_path(request.full_name()),
                    token_of(&request, "page_token"),
                )?;
            }
            if answers.insert(answer.full_name().to_owned()) {
                let path = rust_path(answer.full_name());
                let token = token_of(&answer, "next_page_token");
                let broken = match answer.get_field_by_name("broken") {
                    Some(_) => "    fn broken(&self) -> &[crate::common::v1::BrokenRow] { &self.broken }\n",
                    None => "",
                };
                writeln!(code, "impl crate::GivesPages for {path} {{\n{token}{broken}}}")?;
            }
        }
    }
    Ok(code)
}

fn token_of(message: &MessageDescriptor, field: &str) -> String {
    match message.get_field_by_name(field) {
        Some(_) => {
            format!("    fn {field}_mut(&mut self) -> Option<&mut String> {{ Some(&mut self.{field}) }}\n")
        }
        None => String::new(),
    }
}

/// The code that tells what `value` (an expression) names.
fn told(
    message: &MessageDescriptor,
    option: &ExtensionDescriptor,
    value: &str,
    path: &str,
    depth: usize,
) -> Result<String, Box<dyn Error>> {
    if depth > DEPTH_MAX {
        return Err(format!("{} lies in itself", message.full_name()).into());
    }
    let mut code = String::new();
    for field in message.fields() {
        let name = field.name();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let inner = format!("inner_{depth}");
        let body = told_of_value(&field, option, &inner, &path, depth)?;
        if body.is_empty() || field.is_map() {
            continue;
        }
        if let Some(oneof) = field.containing_oneof().filter(|oneof| !is_made_up(oneof)) {
            let variant = upper_camel(name);
            let kind = format!("{}::{}", oneof_module(message), upper_camel(oneof.name()));
            let place = format!("{value}.{}", oneof.name());
            write!(code, "if let Some({kind}::{variant}({inner})) = &{place} {{ {body} }}\n        ")?;
        } else if field.is_list() {
            write!(code, "for {inner} in &{value}.{name} {{ {body} }}\n        ")?;
        } else if field.supports_presence() {
            write!(code, "if let Some({inner}) = &{value}.{name} {{ {body} }}\n        ")?;
        } else {
            write!(code, "{{ let {inner} = &{value}.{name}; {body} }}\n        ")?;
        }
    }
    Ok(code)
}

/// The code for one value of a field, an expression of its own.
fn told_of_value(
    field: &FieldDescriptor,
    option: &ExtensionDescriptor,
    value: &str,
    path: &str,
    depth: usize,
) -> Result<String, Box<dyn Error>> {
    match field.kind() {
        Kind::String => {
            let stated = field.options().get_extension(option).as_enum_number().unwrap_or_default();
            let Kind::Enum(named) = option.kind() else { return Err("`named` is no enum".into()) };
            let named = named.get_value(stated).ok_or("a value of `named` that there is not")?;
            if LOOKED_AT_BY_NOBODY.contains(&named.name()) {
                return Ok(String::new());
            }
            let variant = upper_camel(&named.name().trim_start_matches("NAMED_").to_lowercase());
            Ok(format!(
                "if !{value}.is_empty() {{ tell(crate::common::v1::Named::{variant}, {path:?}, {value}); }}"
            ))
        }
        Kind::Message(inner) if inner.full_name().starts_with("shipei.") => {
            told(&inner, option, value, path, depth + 1)
        }
        _ => Ok(String::new()),
    }
}

/// Whether a oneof is how protobuf says `optional`.
fn is_made_up(oneof: &OneofDescriptor) -> bool {
    oneof.is_synthetic()
}

/// `shipei.event.v1.SubscribeRequest` as prost has it here.
fn rust_path(full_name: &str) -> String {
    format!("crate::{}", full_name.trim_start_matches("shipei.").replace('.', "::"))
}

/// The module in which prost puts the oneofs of a message.
fn oneof_module(message: &MessageDescriptor) -> String {
    let path = rust_path(message.full_name());
    let (package, name) = path.rsplit_once("::").unwrap_or(("crate", &path));
    format!("{package}::{}", snake(name))
}

fn upper_camel(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (place, letter) in name.char_indices() {
        if letter.is_uppercase() && place > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
