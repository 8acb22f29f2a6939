//! Small components that keep the contract, with places where hostile code goes.

use std::fmt::Write as _;

/// The text in a record at which the code of [`Guest::at_mark`] runs.
pub const MARK: &str = "EVIL";

/// What a plugin sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum World {
    Rows,
    Arrow,
}

/// A component. Each part is text of WebAssembly; an empty one leaves the plugin honest: it keeps every row.
#[derive(Debug)]
pub struct Guest {
    pub world: World,
    /// Between `(memory` and `)`.
    pub memory: String,
    /// Before the component's own definitions.
    pub component: String,
    /// Fields of the module beside its functions.
    pub module: String,
    /// At the start of `cabi_realloc`.
    pub realloc: String,
    /// At the start of `init`, whose parameters 0 and 1 are the configuration.
    pub init: String,
    /// At the start of `plan`.
    pub plan: String,
    /// Fields that it plans to read, as name and type.
    pub fields: Vec<(String, String)>,
    /// In `transform`, if a row holds [`MARK`].
    pub at_mark: String,
    /// The version in the names of its exports.
    pub version: String,
}

/// Where the answer of `transform` stands. All of its lists are empty but that of actions, or of rows.
pub const ANSWER: u32 = 2_048;
/// Zeros.
const ZEROS: u32 = 8_192;
const PLAN: u32 = 3_072;
const FIELDS: u32 = 131_072;

impl Guest {
    /// An honest plugin.
    pub fn new(world: World) -> Self {
        let none = String::new;
        Self {
            world,
            memory: "32".to_owned(),
            component: none(),
            module: none(),
            realloc: none(),
            init: none(),
            plan: none(),
            fields: Vec::new(),
            at_mark: none(),
            version: "0.1.0".to_owned(),
        }
    }

    /// The component's bytes.
    pub fn build(&self) -> anyhow::Result<Vec<u8>> {
        Ok(wat::parse_str(self.text())?)
    }

    /// The component as text.
    pub fn text(&self) -> String {
        let Self { component, version, .. } = self;
        let module = self.module();
        let rest = match self.world {
            World::Rows => ROWS,
            World::Arrow => ARROW,
        };
        let rest = rest.replace("VERSION", version);
        format!(
            r#"(component {component}
              (core module $module {module})
              (core instance $core (instantiate $module))
              (alias core export $core "memory" (core memory $memory))
              (alias core export $core "cabi_realloc" (core func $realloc))
              (alias core export $core "init" (core func $core-init))
              (alias core export $core "transform" (core func $core-transform))
              (type $wants-type (flags "offsets" "timestamps" "keys" "headers"))
              (export $wants "wants" (type $wants-type))
              (func $init (param "config" string) (result (result $wants (error string)))
                (canon lift (core func $core-init) (memory $memory) (realloc $realloc)))
              (instance $lifecycle (export "init" (func $init)))
              (export "sluicegate:plugin/lifecycle@{version}" (instance $lifecycle))
              (type $rejection-type (record (field "message" string) (field "column" (option string))))
              (export $rejection "rejection" (type $rejection-type))
              {rest})"#
        )
    }

    fn module(&self) -> String {
        let Self { memory, module, realloc, init, at_mark, .. } = self;
        let transform = match self.world {
            // Parameter 0 is the batch: behind its runs, the payloads and their ends.
            World::Rows => format!(
                "(func (export \"transform\") (param i32) (result i32) (local $at i32) (local $left i32)
                   (local.set $at (i32.load offset=8 (local.get 0)))
                   (local.set $left (i32.load offset=12 (local.get 0)))
                   {scan}
                   (i32.store (i32.const {actions}) (i32.const {ZEROS}))
                   (i32.store (i32.const {count}) (i32.load offset=20 (local.get 0)))
                   (i32.const {ANSWER}))",
                scan = scan(at_mark),
                actions = ANSWER + 4,
                count = ANSWER + 8,
            ),
            // It gives what it reads, so its answer is the very stream that it was given.
            World::Arrow => format!(
                "(func (export \"transform\") (param i32 i32) (result i32) (local $at i32) (local $left i32)
                   (local.set $at (local.get 0)) (local.set $left (local.get 1))
                   {scan}
                   (i32.store (i32.const {rows}) (local.get 0))
                   (i32.store (i32.const {bytes}) (local.get 1))
                   (i32.const {ANSWER}))
                 {plan}",
                scan = scan(at_mark),
                rows = ANSWER + 4,
                bytes = ANSWER + 8,
                plan = self.planning(),
            ),
        };
        format!(
            "(memory (export \"memory\") {memory})
             (global $heap (mut i32) (i32.const {heap}))
             {module}
             (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)
               {realloc}
               (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
               (global.set $heap (i32.add (local.get $at) (local.get 3)))
               (block $fits (loop $grow
                 (br_if $fits
                   (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                 (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
                 unreachable))
               (local.get $at))
             (func (export \"init\") (param i32 i32) (result i32)
               {init}
               (i32.const {ZEROS}))
             {transform}",
            heap = FIELDS as usize
                + self.fields.iter().map(|(name, ty)| name.len() + ty.len()).sum::<usize>()
                + 64,
        )
    }

    /// `plan`, and what it reads and writes: the column `mark`, and its fields beside.
    fn planning(&self) -> String {
        let mut code = self.plan.clone();
        let (mut data, mut at) = (String::new(), FIELDS);
        let mut put = |text: &str| {
            let place = at;
            write!(data, "(data (i32.const {place}) \"{}\")", escaped(text)).unwrap();
            at += u32::try_from(text.len()).unwrap_or_default();
            (place, text.len())
        };
        let mut store = |at: u32, (place, length): (u32, usize)| {
            write!(
                code,
                "(i32.store (i32.const {at}) (i32.const {place}))
                 (i32.store (i32.const {}) (i32.const {length}))",
                at + 4
            )
            .unwrap();
        };
        let (mark, fields) = (PLAN + 64, PLAN + 128);
        store(mark, put("mark"));
        for (number, (name, ty)) in (0..).zip(&self.fields) {
            store(fields + 16 * number, put(name));
            store(fields + 16 * number + 8, put(ty));
        }
        for (at, list) in [(4, (mark, 1)), (12, (fields, self.fields.len())), (20, (mark, 1))] {
            store(PLAN + at, list);
        }
        format!(
            "{data} (func (export \"plan\") (param i32 i32 i32 i32) (result i32)
               {code} (i32.const {PLAN}))"
        )
    }
}

/// Looks for [`MARK`] in the memory between two locals.
fn scan(at_mark: &str) -> String {
    if at_mark.is_empty() {
        return String::new();
    }
    format!(
        "(block $scanned (loop $next
           (br_if $scanned (i32.lt_u (local.get $left) (i32.const 4)))
           (if (i32.eq (i32.load (local.get $at)) (i32.const 0x4c495645))
             (then {at_mark} (br $scanned)))
           (local.set $at (i32.add (local.get $at) (i32.const 1)))
           (local.set $left (i32.sub (local.get $left) (i32.const 1)))
           (br $next)))"
    )
}

/// A text within quotes.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' '..=b'~' if byte != b'"' && byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

const ROWS: &str = r#"
  (type $run-type (record (field "topic" string) (field "partition" s32) (field "rows" u32)))
  (export $run "run" (type $run-type))
  (type $header-type (record
    (field "row" u32) (field "name" string) (field "value" (option (list u8)))))
  (export $header "header" (type $header-type))
  (type $batch-type (record
    (field "runs" (list $run)) (field "values" (list u8)) (field "value-ends" (list u32))
    (field "offsets" (list s64)) (field "timestamps" (list s64)) (field "keys" (list u8))
    (field "key-ends" (list u32)) (field "no-keys" (list u32)) (field "headers" (list $header))))
  (export $batch "batch" (type $batch-type))
  (type $action-type (enum "keep" "replace" "many" "drop" "reject"))
  (export $action "action" (type $action-type))
  (type $outcome-type (record
    (field "actions" (list $action)) (field "values" (list u8)) (field "value-ends" (list u32))
    (field "counts" (list u32)) (field "rejections" (list $rejection))))
  (export $outcome "outcome" (type $outcome-type))
  (func $transform (param "batch" $batch) (result (result $outcome (error string)))
    (canon lift (core func $core-transform) (memory $memory) (realloc $realloc)))
  (instance $rows (export "transform" (func $transform)))
  (export "sluicegate:plugin/rows@VERSION" (instance $rows))
"#;

const ARROW: &str = r#"
  (type $column-type (record (field "name" string) (field "clickhouse-type" string)))
  (export $column "column" (type $column-type))
  (type $planned-type (record
    (field "reads" (list string)) (field "fields" (list $column)) (field "writes" (list string))))
  (export $planned "planned" (type $planned-type))
  (type $refused-type (record (field "row" u32) (field "why" $rejection)))
  (export $refused "refused" (type $refused-type))
  (type $outcome-type (record (field "rows" (list u8)) (field "rejections" (list $refused))))
  (export $outcome "outcome" (type $outcome-type))
  (alias core export $core "plan" (core func $core-plan))
  (func $plan (param "table" (list $column)) (param "schema" (list u8))
    (result (result $planned (error string)))
    (canon lift (core func $core-plan) (memory $memory) (realloc $realloc)))
  (func $transform (param "rows" (list u8)) (result (result $outcome (error string)))
    (canon lift (core func $core-transform) (memory $memory) (realloc $realloc)))
  (instance $arrow (export "plan" (func $plan)) (export "transform" (func $transform)))
  (export "sluicegate:plugin/arrow@VERSION" (instance $arrow))
"#;
