//! Compiles every file under `proto/` with protox (no protoc on the machine), keeps the descriptor set for
//! reflection and access policies, and writes one `impl WriteRequest` for each request that carries a
//! `request_id`, one `impl EventMessage` for each event, so that the write path of all services is one, and one
//! `impl NamesThings` for each request (`build/named.rs`), so that rights are looked at in one place.

#[path = "build/named.rs"]
mod named;

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto").canonicalize()?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();

    // protox keeps the custom options (access, reason_text) in the encoded set; prost_types would drop them.
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("commented.bin"), &encoded)?;
    // Decoded, comments and their places take 9 of 11 MB, and a server reads the set three times.
    fs::write(out.join("shipei.bin"), compiler.include_source_info(false).encode_file_descriptor_set())?;

    let set = prost_types_set(&encoded)?;
    fs::write(out.join("write_requests.rs"), write_requests(&set)?)?;
    fs::write(out.join("event_messages.rs"), event_messages(&set)?)?;
    fs::write(out.join("named_things.rs"), named::impls(&compiler.descriptor_pool())?)?;

    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure().compile_fds_with_config(set, config)?;
    Ok(())
}

fn collect(folder: &PathBuf, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

fn prost_types_set(encoded: &[u8]) -> Result<prost_types::FileDescriptorSet, Box<dyn Error>> {
    Ok(prost_types::FileDescriptorSet::decode(encoded)?)
}

/// The fields that say what a request is about, the narrowest first.
const CONCERNS: [&str; 8] = [
    "activity_id",
    "submission_id",
    "seminar_id",
    "person_id",
    "class_id",
    "county_code",
    "region_code",
    "programme_id",
];

/// One impl for each event: a message of an `events.proto` that says of which programme it is.
fn event_messages(set: &prost_types::FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for file in set.file.iter().filter(|file| file.name().ends_with("/events.proto")) {
        let module = file.package().replace("shipei.", "").replace('.', "::");
        for message in &file.message_type {
            if message.field.iter().any(|field| field.name() == "programme_id") {
                writeln!(
                    code,
                    "impl crate::EventMessage for crate::{module}::{name} {{\n    \
                       fn programme_id(&self) -> &str {{ &self.programme_id }}\n}}",
                    name = message.name(),
                )?;
            }
        }
    }
    Ok(code)
}

/// One impl for each message of our packages that has a `request_id`; `occurred_at` and `validate_only` where they stand.
fn write_requests(set: &prost_types::FileDescriptorSet) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    for file in set.file.iter().filter(|file| file.package().starts_with("shipei.")) {
        let module = file.package().replace("shipei.", "").replace('.', "::");
        for message in &file.message_type {
            let has = |name: &str| message.field.iter().any(|field| field.name() == name);
            if !has("request_id") {
                continue;
            }
            let concerns = CONCERNS.iter().find(|name| has(name));
            let concerns = concerns.map_or("\"\"".to_owned(), |name| format!("&self.{name}"));
            let correction = if has("correction") { "self.correction.as_ref()" } else { "None" };
            let programme_id = if has("programme_id") { "&self.programme_id" } else { "\"\"" };
            let validate_only = if has("validate_only") { "self.validate_only" } else { "false" };
            let occurred_at = if has("occurred_at") { "self.occurred_at" } else { "None" };
            writeln!(
                code,
                "impl crate::WriteRequest for crate::{module}::{name} {{\n    \
                   fn request_id(&self) -> &str {{ &self.request_id }}\n    \
                   fn occurred_at(&self) -> Option<prost_types::Timestamp> {{ {occurred_at} }}\n    \
                   fn validate_only(&self) -> bool {{ {validate_only} }}\n    \
                   fn concerns(&self) -> &str {{ {concerns} }}\n    \
                   fn programme_id(&self) -> &str {{ {programme_id} }}\n    \
                   fn correction(&self) -> Option<&crate::common::v1::Correction> {{ {correction} }}\n}}",
                name = message.name(),
            )?;
        }
    }
    Ok(code)
}
