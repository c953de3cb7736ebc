//! Signatures of functions and tracepoints.

use super::{
    Btf, MAX_CHAIN,
    format::{Kind, Record},
};

/// What a function takes and gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSignature {
    /// Its parameters in order.
    pub parameters: Vec<Parameter>,
    /// The type of its result, as in C; `void` for none.
    pub result: String,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name; empty for the parameters of tracepoints, whose prototypes have no names.
    pub name: String,
    /// Its type as in C: `struct folio *`, `enum ttu_flags`, `long unsigned int`; `...` where the
    /// function takes any number of further ones.
    pub type_name: String,
    /// Bytes of its type; 0 when unknown.
    pub size: u64,
}

impl FunctionSignature {
    /// Position of the parameter of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|parameter| parameter.name == name)
    }
}

impl Btf {
    /// The signature of a kernel function; `None` where BTF does not have it (it was inlined everywhere,
    /// is not configured, or was left out because its versions differ).
    pub fn function(&self, name: &str) -> Option<FunctionSignature> {
        let (_, function) = self.named(name).find(|(_, record)| record.kind() == Kind::Function)?;
        self.signature(function.reference(), 0)
    }

    /// The names of all functions.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        let functions = self.starts.iter().map(|start| self.record_at(*start));
        functions
            .filter(|record| record.kind() == Kind::Function)
            .filter_map(|record| str::from_utf8(self.string(record.name_offset())).ok())
    }

    /// The arguments of a tracepoint as a BTF-typed raw tracepoint program sees them, from the typedef
    /// `btf_trace_NAME` (6.12 include/trace/bpf_probe.h). Its first parameter, `void *__data`, is not an
    /// argument of the program and is left out.
    pub fn tracepoint(&self, name: &str) -> Option<FunctionSignature> {
        let typedef = format!("btf_trace_{name}");
        let (type_id, _) = self.named(&typedef).find(|(_, record)| record.kind() == Kind::Typedef)?;
        let (_, pointer) = self.resolve(type_id).filter(|(_, record)| record.kind() == Kind::Pointer)?;
        self.signature(pointer.reference(), 1)
    }

    fn signature(&self, prototype: u32, skip: usize) -> Option<FunctionSignature> {
        let (_, prototype) =
            self.resolve(prototype).filter(|(_, record)| record.kind() == Kind::Prototype)?;
        let parameters = prototype
            .items()
            .skip(skip)
            .map(|[name, type_id, _]| Parameter {
                name: self.text(name),
                // The kernel writes "any number" as a last parameter without name and type.
                type_name: if name == 0 && type_id == 0 { "...".to_owned() } else { self.type_name(type_id) },
                size: self.size(type_id).unwrap_or(0),
            })
            .collect();
        Some(FunctionSignature { parameters, result: self.type_name(prototype.reference()) })
    }

    /// A type as C writes it, without the name that it declares.
    fn type_name(&self, mut type_id: u32) -> String {
        let mut qualifiers = String::new();
        let mut suffix = String::new();
        for _ in 0..MAX_CHAIN {
            let Some(record) = self.record(type_id) else {
                return join(&qualifiers, "void", &suffix);
            };
            match record.kind() {
                Kind::Pointer => {
                    // Qualifiers gathered so far are those of the pointer: `char * const`.
                    suffix = format!("*{}{suffix}", qualifiers.trim_end());
                    qualifiers.clear();
                }
                Kind::Const => qualifiers.push_str("const "),
                Kind::Volatile => qualifiers.push_str("volatile "),
                // They change neither what is passed nor how.
                Kind::Restrict | Kind::TypeTag => {}
                Kind::Array => {
                    suffix.push_str(&format!("[{}]", record.array_length()));
                    type_id = record.array_element();
                    continue;
                }
                Kind::Prototype => return join(&qualifiers, "(function)", &suffix),
                _ => return join(&qualifiers, &self.tagged_name(&record), &suffix),
            }
            type_id = record.reference();
        }
        "?".to_owned()
    }

    /// A type's own name, with its tag.
    fn tagged_name(&self, record: &Record<'_>) -> String {
        let name = self.text(record.name_offset());
        let name = if name.is_empty() { "(anonymous)".to_owned() } else { name };
        match record.kind() {
            Kind::Struct => format!("struct {name}"),
            Kind::Union => format!("union {name}"),
            Kind::Forward if record.flag() => format!("union {name}"),
            Kind::Forward => format!("struct {name}"),
            Kind::Enum | Kind::Enum64 => format!("enum {name}"),
            _ => name,
        }
    }

    fn text(&self, offset: u32) -> String {
        String::from_utf8_lossy(self.string(offset)).into_owned()
    }
}

fn join(qualifiers: &str, name: &str, suffix: &str) -> String {
    let space = if suffix.starts_with('*') { " " } else { "" };
    format!("{qualifiers}{name}{space}{suffix}")
}
