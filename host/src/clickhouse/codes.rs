//! Every error code of ClickHouse, and what it means for an INSERT.
//!
//! The numbers and names are those of ClickHouse 26.7 (`errorCodeToName`). The classes are for
//! rows that are sent over HTTP as an Arrow stream into a table that may have constraints,
//! DEFAULT and MATERIALIZED expressions, skip indexes, a TTL, a partition key and materialized
//! views. [`Ground`] says how each is known:
//!
//! - measured: an INSERT, or a function that a table may compute, threw the code on 26.7. Nearly
//!   all functions were called over hostile values of each type, and each Arrow type was sent into
//!   each column type;
//! - read: ClickHouse's source shows where the code is thrown. It lists the codes that a function
//!   may throw over its values (`execution_errors` of its stress test for functions) and those of
//!   a value that cannot be parsed (`isParseError`);
//! - named: assumed from the name.
//!
//! A class errs on the side of keeping rows: a code is `Data` only if a value is at fault wherever
//! it comes from. [`Leaves`] is about the table itself, not about its views, and about one block
//! that goes into one partition: rows of other partitions may stay, whatever the code.
//!
//! The file is over 400 lines because it is a table. A comment on a line marks a code with two meanings,
//! which `errors.rs` tells apart by the text.

/// What a code means for the rows of an INSERT, before its text is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeClass {
    /// A value of a row is at fault, wherever the code comes from.
    Data,
    /// A value of a row is at fault if the text says that an expression was computed over it or
    /// that it was converted ("while executing", "while converting"). Otherwise the table is not
    /// what the plan says.
    DataOrSchema,
    /// A value of a row is at fault if the text says so, as above. Otherwise an operator must mend
    /// something.
    DataOrOperator,
    /// The table is not what the plan says: read it again, decode again.
    Schema,
    /// The server has no memory for the rows as they are.
    Memory,
    /// Time alone heals it.
    Transient,
    /// An operator must mend something; time alone does not.
    Operator,
    /// The code says nothing about rows or tables here: it belongs to another protocol, statement or
    /// subsystem, or is a bug of the server.
    Foreign,
}

/// Whether an INSERT that ended with the code may have left rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// It left none: the code is thrown before anything is written.
    Nothing,
    /// Unknown: the code may be thrown while a part is committed, or after.
    Unclear,
}

/// How the class of a code is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Measured on ClickHouse 26.7.
    Measured,
    /// Read in ClickHouse's source or documentation.
    Read,
    /// Assumed from the name.
    Named,
}

/// An error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The number, as in "Code: 241".
    pub number: u32,
    /// The name, as in "(MEMORY_LIMIT_EXCEEDED)".
    pub name: &'static str,
    /// What it means for the rows.
    pub class: CodeClass,
    /// Whether rows may be in the table anyway.
    pub leaves: Leaves,
    /// How the class is known.
    pub ground: Ground,
}

/// The entry of a code; `None` if only another version of the server has it.
pub fn find_code(number: u32) -> Option<&'static Code> {
    let at = CODES.binary_search_by_key(&number, |code| code.number).ok()?;
    CODES.get(at)
}

const fn entry(
    number: u32,
    name: &'static str,
    class: CodeClass,
    leaves: Leaves,
    ground: Ground,
) -> Code {
    Code { number, name, class, leaves, ground }
}

use CodeClass::{Data, DataOrOperator, DataOrSchema, Foreign, Memory, Operator, Schema, Transient};
use Ground::{Measured, Named, Read};
use Leaves::{Nothing, Unclear};

/// The table, sorted by number.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    entry(0, "OK", Foreign, Unclear, Named), // no error
    entry(1, "UNSUPPORTED_METHOD", Operator, Nothing, Read),
    entry(2, "UNSUPPORTED_PARAMETER", Operator, Nothing, Named),
    entry(3, "UNEXPECTED_END_OF_FILE", Transient, Unclear, Named),
    entry(4, "EXPECTED_END_OF_FILE", Foreign, Unclear, Named),
    entry(6, "CANNOT_PARSE_TEXT", Data, Nothing, Measured),
    entry(7, "INCORRECT_NUMBER_OF_COLUMNS", Schema, Nothing, Named),
    entry(8, "THERE_IS_NO_COLUMN", Schema, Nothing, Measured),
    entry(9, "SIZES_OF_COLUMNS_DOESNT_MATCH", Schema, Nothing, Named),
    entry(10, "NOT_FOUND_COLUMN_IN_BLOCK", Schema, Nothing, Named),
    entry(11, "POSITION_OUT_OF_BOUND", Foreign, Unclear, Read),
    entry(12, "PARAMETER_OUT_OF_BOUND", DataOrOperator, Nothing, Measured),
    entry(13, "SIZES_OF_COLUMNS_IN_TUPLE_DOESNT_MATCH", Foreign, Unclear, Named),
    entry(15, "DUPLICATE_COLUMN", Schema, Nothing, Measured),
    entry(16, "NO_SUCH_COLUMN_IN_TABLE", Schema, Nothing, Measured),
    entry(19, "SIZE_OF_FIXED_STRING_DOESNT_MATCH", Operator, Nothing, Read),
    entry(20, "NUMBER_OF_COLUMNS_DOESNT_MATCH", Schema, Nothing, Named),
    entry(23, "CANNOT_READ_FROM_ISTREAM", Transient, Unclear, Named),
    entry(24, "CANNOT_WRITE_TO_OSTREAM", Transient, Unclear, Named),
    entry(25, "CANNOT_PARSE_ESCAPE_SEQUENCE", DataOrOperator, Nothing, Measured),
    entry(26, "CANNOT_PARSE_QUOTED_STRING", Data, Nothing, Measured),
    entry(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", DataOrOperator, Nothing, Measured), // a setting's value has no "while ..."
    entry(28, "CANNOT_PRINT_FLOAT_OR_DOUBLE_NUMBER", DataOrOperator, Nothing, Measured),
    entry(32, "ATTEMPT_TO_READ_AFTER_EOF", DataOrOperator, Nothing, Measured), // a setting's value has no "while ..."
    entry(33, "CANNOT_READ_ALL_DATA", Transient, Unclear, Measured), // the body was cut; "while converting": a row's aggregate state
    entry(34, "TOO_MANY_ARGUMENTS_FOR_FUNCTION", Operator, Nothing, Read),
    entry(35, "TOO_FEW_ARGUMENTS_FOR_FUNCTION", Operator, Nothing, Read),
    entry(36, "BAD_ARGUMENTS", DataOrSchema, Nothing, Measured), // also a setting's value, a codec, a dictionary; a row's without "while ..." in sumMap columns
    entry(37, "UNKNOWN_ELEMENT_IN_AST", Operator, Nothing, Named),
    entry(38, "CANNOT_PARSE_DATE", Data, Nothing, Measured),
    entry(39, "TOO_LARGE_SIZE_COMPRESSED", Foreign, Unclear, Named),
    entry(40, "CHECKSUM_DOESNT_MATCH", Transient, Unclear, Named),
    entry(41, "CANNOT_PARSE_DATETIME", Data, Nothing, Measured),
    entry(42, "NUMBER_OF_ARGUMENTS_DOESNT_MATCH", DataOrSchema, Nothing, Measured), // `printf` with a format of the row
    entry(43, "ILLEGAL_TYPE_OF_ARGUMENT", DataOrSchema, Nothing, Measured),
    entry(44, "ILLEGAL_COLUMN", DataOrSchema, Nothing, Measured),
    entry(46, "UNKNOWN_FUNCTION", Operator, Nothing, Measured),
    entry(47, "UNKNOWN_IDENTIFIER", Schema, Nothing, Measured),
    entry(48, "NOT_IMPLEMENTED", DataOrSchema, Nothing, Measured),
    entry(49, "LOGICAL_ERROR", Foreign, Unclear, Measured), // a bug of the server: no function threw it over hostile values
    entry(50, "UNKNOWN_TYPE", DataOrSchema, Nothing, Measured),
    entry(51, "EMPTY_LIST_OF_COLUMNS_QUERIED", Schema, Nothing, Named),
    entry(52, "COLUMN_QUERIED_MORE_THAN_ONCE", Schema, Nothing, Named),
    entry(53, "TYPE_MISMATCH", DataOrSchema, Nothing, Measured),
    entry(55, "STORAGE_REQUIRES_PARAMETER", Operator, Nothing, Named),
    entry(56, "UNKNOWN_STORAGE", Operator, Nothing, Named),
    entry(57, "TABLE_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(58, "TABLE_METADATA_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(59, "ILLEGAL_TYPE_OF_COLUMN_FOR_FILTER", Operator, Nothing, Named),
    entry(60, "UNKNOWN_TABLE", Schema, Nothing, Measured), // also a dictionary's source, which `dictGet` reads
    entry(62, "SYNTAX_ERROR", DataOrOperator, Nothing, Measured), // "while executing": `formatQuery` over a row's value
    entry(63, "UNKNOWN_AGGREGATE_FUNCTION", Operator, Nothing, Named),
    entry(68, "CANNOT_GET_SIZE_OF_FIELD", Foreign, Unclear, Named),
    entry(69, "ARGUMENT_OUT_OF_BOUND", DataOrOperator, Nothing, Measured),
    entry(70, "CANNOT_CONVERT_TYPE", DataOrSchema, Nothing, Measured), // "Unexpected inf or nan": a row's; also a setting's value
    entry(71, "CANNOT_WRITE_AFTER_END_OF_BUFFER", Foreign, Unclear, Named),
    entry(72, "CANNOT_PARSE_NUMBER", DataOrOperator, Nothing, Measured), // a setting's value has no "while ..."
    entry(73, "UNKNOWN_FORMAT", Operator, Nothing, Measured),
    entry(74, "CANNOT_READ_FROM_FILE_DESCRIPTOR", Transient, Unclear, Named),
    entry(75, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", Transient, Unclear, Named),
    entry(76, "CANNOT_OPEN_FILE", Transient, Unclear, Named),
    entry(77, "CANNOT_CLOSE_FILE", Transient, Unclear, Named),
    entry(78, "UNKNOWN_TYPE_OF_QUERY", Foreign, Nothing, Named),
    entry(79, "INCORRECT_FILE_NAME", Operator, Unclear, Named),
    entry(80, "INCORRECT_QUERY", Operator, Nothing, Named),
    entry(81, "UNKNOWN_DATABASE", Schema, Nothing, Measured),
    entry(82, "DATABASE_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(83, "DIRECTORY_DOESNT_EXIST", Operator, Unclear, Named),
    entry(84, "DIRECTORY_ALREADY_EXISTS", Transient, Unclear, Named),
    entry(85, "FORMAT_IS_NOT_SUITABLE_FOR_INPUT", Operator, Nothing, Named),
    entry(86, "RECEIVED_ERROR_FROM_REMOTE_IO_SERVER", Transient, Unclear, Named),
    entry(87, "CANNOT_SEEK_THROUGH_FILE", Transient, Unclear, Named),
    entry(88, "CANNOT_TRUNCATE_FILE", Transient, Unclear, Named),
    entry(89, "UNKNOWN_COMPRESSION_METHOD", Operator, Nothing, Named),
    entry(90, "EMPTY_LIST_OF_COLUMNS_PASSED", Schema, Nothing, Named),
    entry(91, "SIZES_OF_MARKS_FILES_ARE_INCONSISTENT", Operator, Unclear, Named),
    entry(92, "EMPTY_DATA_PASSED", Foreign, Unclear, Named),
    entry(93, "UNKNOWN_AGGREGATED_DATA_VARIANT", Foreign, Unclear, Named),
    entry(94, "CANNOT_MERGE_DIFFERENT_AGGREGATED_DATA_VARIANTS", Foreign, Unclear, Named),
    entry(95, "CANNOT_READ_FROM_SOCKET", Transient, Unclear, Named),
    entry(96, "CANNOT_WRITE_TO_SOCKET", Transient, Unclear, Named),
    entry(99, "UNKNOWN_PACKET_FROM_CLIENT", Foreign, Unclear, Named),
    entry(100, "UNKNOWN_PACKET_FROM_SERVER", Transient, Unclear, Named),
    entry(101, "UNEXPECTED_PACKET_FROM_CLIENT", Foreign, Unclear, Named),
    entry(102, "UNEXPECTED_PACKET_FROM_SERVER", Transient, Unclear, Named),
    entry(104, "TOO_SMALL_BUFFER_SIZE", Foreign, Unclear, Named),
    entry(107, "FILE_DOESNT_EXIST", Transient, Unclear, Named),
    entry(108, "NO_DATA_TO_INSERT", Foreign, Nothing, Read),
    entry(109, "CANNOT_BLOCK_SIGNAL", Transient, Unclear, Named),
    entry(110, "CANNOT_UNBLOCK_SIGNAL", Transient, Unclear, Named),
    entry(111, "CANNOT_MANIPULATE_SIGSET", Transient, Unclear, Named),
    entry(112, "CANNOT_WAIT_FOR_SIGNAL", Transient, Unclear, Named),
    entry(113, "THERE_IS_NO_SESSION", Foreign, Unclear, Named),
    entry(114, "CANNOT_CLOCK_GETTIME", Transient, Unclear, Named),
    entry(115, "UNKNOWN_SETTING", Operator, Nothing, Measured),
    entry(116, "THERE_IS_NO_DEFAULT_VALUE", Schema, Nothing, Named),
    entry(117, "INCORRECT_DATA", Data, Nothing, Measured), // a body that is no Arrow stream: the host's
    entry(119, "ENGINE_REQUIRED", Foreign, Unclear, Named),
    entry(120, "CANNOT_INSERT_VALUE_OF_DIFFERENT_SIZE_INTO_TUPLE", DataOrSchema, Nothing, Named),
    entry(121, "UNSUPPORTED_JOIN_KEYS", Operator, Nothing, Named),
    entry(122, "INCOMPATIBLE_COLUMNS", Schema, Nothing, Read),
    entry(123, "UNKNOWN_TYPE_OF_AST_NODE", Operator, Nothing, Named),
    entry(124, "INCORRECT_ELEMENT_OF_SET", Operator, Nothing, Named),
    entry(125, "INCORRECT_RESULT_OF_SCALAR_SUBQUERY", Operator, Nothing, Measured),
    entry(127, "ILLEGAL_INDEX", Operator, Nothing, Named),
    entry(128, "TOO_LARGE_ARRAY_SIZE", Data, Nothing, Measured),
    entry(129, "FUNCTION_IS_SPECIAL", Operator, Nothing, Named),
    entry(130, "CANNOT_READ_ARRAY_FROM_TEXT", Data, Nothing, Measured),
    entry(131, "TOO_LARGE_STRING_SIZE", Data, Nothing, Measured),
    entry(133, "AGGREGATE_FUNCTION_DOESNT_ALLOW_PARAMETERS", Operator, Nothing, Named),
    entry(134, "PARAMETERS_TO_AGGREGATE_FUNCTIONS_MUST_BE_LITERALS", Operator, Nothing, Named),
    entry(135, "ZERO_ARRAY_OR_TUPLE_INDEX", Data, Nothing, Measured),
    entry(137, "UNKNOWN_ELEMENT_IN_CONFIG", Operator, Unclear, Named),
    entry(138, "EXCESSIVE_ELEMENT_IN_CONFIG", Operator, Unclear, Named),
    entry(139, "NO_ELEMENTS_IN_CONFIG", Operator, Unclear, Named),
    entry(141, "SAMPLING_NOT_SUPPORTED", Operator, Nothing, Named),
    entry(142, "NOT_FOUND_NODE", Foreign, Unclear, Named),
    entry(145, "UNKNOWN_OVERFLOW_MODE", Operator, Nothing, Named),
    entry(152, "UNKNOWN_DIRECTION_OF_SORTING", Operator, Nothing, Named),
    entry(153, "ILLEGAL_DIVISION", Data, Nothing, Measured),
    entry(156, "DICTIONARIES_WAS_NOT_LOADED", Operator, Nothing, Named),
    entry(158, "TOO_MANY_ROWS", Operator, Nothing, Named),
    entry(159, "TIMEOUT_EXCEEDED", Transient, Unclear, Measured),
    entry(160, "TOO_SLOW", DataOrOperator, Nothing, Read), // `sequenceMatch` over too many events; otherwise a limit
    entry(161, "TOO_MANY_COLUMNS", Operator, Nothing, Named),
    entry(162, "TOO_DEEP_SUBQUERIES", Operator, Nothing, Named),
    entry(164, "READONLY", Operator, Nothing, Measured), // "Replica is not active right now": time heals it
    entry(165, "TOO_MANY_TEMPORARY_COLUMNS", Operator, Nothing, Named),
    entry(166, "TOO_MANY_TEMPORARY_NON_CONST_COLUMNS", Operator, Nothing, Named),
    entry(167, "TOO_DEEP_AST", Operator, Nothing, Named),
    entry(168, "TOO_BIG_AST", Operator, Nothing, Measured),
    entry(169, "BAD_TYPE_OF_FIELD", DataOrSchema, Nothing, Read),
    entry(170, "BAD_GET", DataOrOperator, Nothing, Measured), // a setting's value has no "while ..."
    entry(172, "CANNOT_CREATE_DIRECTORY", Transient, Unclear, Named),
    entry(173, "CANNOT_ALLOCATE_MEMORY", Memory, Unclear, Named),
    entry(174, "CYCLIC_ALIASES", Operator, Nothing, Named),
    entry(179, "MULTIPLE_EXPRESSIONS_FOR_ALIAS", Operator, Nothing, Named),
    entry(180, "THERE_IS_NO_PROFILE", Operator, Nothing, Named),
    entry(181, "ILLEGAL_FINAL", Operator, Nothing, Named),
    entry(182, "ILLEGAL_PREWHERE", Operator, Nothing, Named),
    entry(183, "UNEXPECTED_EXPRESSION", Operator, Nothing, Named),
    entry(184, "ILLEGAL_AGGREGATION", Operator, Nothing, Named),
    entry(186, "UNSUPPORTED_COLLATION_LOCALE", Operator, Nothing, Named),
    entry(187, "COLLATION_COMPARISON_FAILED", Foreign, Unclear, Named),
    entry(190, "SIZES_OF_ARRAYS_DONT_MATCH", Data, Nothing, Measured),
    entry(191, "SET_SIZE_LIMIT_EXCEEDED", Operator, Nothing, Named),
    entry(192, "UNKNOWN_USER", Operator, Nothing, Named),
    entry(193, "WRONG_PASSWORD", Operator, Nothing, Named),
    entry(194, "REQUIRED_PASSWORD", Operator, Nothing, Named),
    entry(195, "IP_ADDRESS_NOT_ALLOWED", Operator, Nothing, Named),
    entry(196, "UNKNOWN_ADDRESS_PATTERN_TYPE", Operator, Nothing, Named),
    entry(198, "DNS_ERROR", Transient, Unclear, Named),
    entry(199, "UNKNOWN_QUOTA", Operator, Nothing, Named),
    entry(201, "QUOTA_EXCEEDED", Operator, Nothing, Read), // of rows or bytes written: counted before they are
    entry(202, "TOO_MANY_SIMULTANEOUS_QUERIES", Transient, Nothing, Read),
    entry(203, "NO_FREE_CONNECTION", Transient, Unclear, Named),
    entry(204, "CANNOT_FSYNC", Transient, Unclear, Named),
    entry(206, "ALIAS_REQUIRED", Operator, Nothing, Named),
    entry(207, "AMBIGUOUS_IDENTIFIER", Operator, Nothing, Named),
    entry(208, "EMPTY_NESTED_TABLE", Schema, Nothing, Named),
    entry(209, "SOCKET_TIMEOUT", Transient, Unclear, Named),
    entry(210, "NETWORK_ERROR", Transient, Unclear, Named),
    entry(211, "EMPTY_QUERY", Foreign, Nothing, Named),
    entry(212, "UNKNOWN_LOAD_BALANCING", Operator, Nothing, Named),
    entry(213, "UNKNOWN_TOTALS_MODE", Operator, Nothing, Named),
    entry(214, "CANNOT_STATVFS", Transient, Unclear, Named),
    entry(215, "NOT_AN_AGGREGATE", Operator, Nothing, Named),
    entry(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", Transient, Nothing, Read), // of this INSERT; an earlier try still runs
    entry(217, "CLIENT_HAS_CONNECTED_TO_WRONG_PORT", Operator, Nothing, Named),
    entry(218, "TABLE_IS_DROPPED", Schema, Nothing, Read),
    entry(219, "DATABASE_NOT_EMPTY", Foreign, Unclear, Named),
    entry(220, "DUPLICATE_INTERSERVER_IO_ENDPOINT", Foreign, Unclear, Named),
    entry(221, "NO_SUCH_INTERSERVER_IO_ENDPOINT", Foreign, Unclear, Named),
    entry(223, "UNEXPECTED_AST_STRUCTURE", Operator, Nothing, Named),
    entry(224, "REPLICA_IS_ALREADY_ACTIVE", Transient, Unclear, Named),
    entry(225, "NO_ZOOKEEPER", Transient, Unclear, Named),
    entry(226, "NO_FILE_IN_DATA_PART", Operator, Unclear, Named),
    entry(227, "UNEXPECTED_FILE_IN_DATA_PART", Operator, Unclear, Named),
    entry(228, "BAD_SIZE_OF_FILE_IN_DATA_PART", Operator, Unclear, Named),
    entry(229, "QUERY_IS_TOO_LARGE", Operator, Nothing, Named),
    entry(230, "NOT_FOUND_EXPECTED_DATA_PART", Operator, Unclear, Named),
    entry(231, "TOO_MANY_UNEXPECTED_DATA_PARTS", Operator, Unclear, Named),
    entry(232, "NO_SUCH_DATA_PART", Foreign, Unclear, Named),
    entry(233, "BAD_DATA_PART_NAME", Foreign, Unclear, Named),
    entry(234, "NO_REPLICA_HAS_PART", Transient, Unclear, Named),
    entry(235, "DUPLICATE_DATA_PART", Transient, Unclear, Named),
    entry(236, "ABORTED", Transient, Unclear, Named),
    entry(237, "NO_REPLICA_NAME_GIVEN", Operator, Nothing, Named),
    entry(238, "FORMAT_VERSION_TOO_OLD", Operator, Unclear, Named),
    entry(239, "CANNOT_MUNMAP", Foreign, Unclear, Named),
    entry(240, "CANNOT_MREMAP", Memory, Unclear, Named),
    entry(241, "MEMORY_LIMIT_EXCEEDED", Memory, Unclear, Measured),
    entry(242, "TABLE_IS_READ_ONLY", Transient, Unclear, Read),
    entry(243, "NOT_ENOUGH_SPACE", Operator, Unclear, Measured),
    entry(244, "UNEXPECTED_ZOOKEEPER_ERROR", Transient, Unclear, Read),
    entry(246, "CORRUPTED_DATA", Operator, Unclear, Named),
    entry(248, "INVALID_PARTITION_VALUE", Foreign, Unclear, Read),
    entry(251, "NO_SUCH_REPLICA", Foreign, Unclear, Named),
    entry(252, "TOO_MANY_PARTS", Transient, Nothing, Measured), // "Too many partitions": time heals nothing, the rows have to be split
    entry(253, "REPLICA_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(254, "NO_ACTIVE_REPLICAS", Transient, Unclear, Named),
    entry(255, "TOO_MANY_RETRIES_TO_FETCH_PARTS", Transient, Unclear, Named),
    entry(256, "PARTITION_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(257, "PARTITION_DOESNT_EXIST", Foreign, Unclear, Named),
    entry(258, "UNION_ALL_RESULT_STRUCTURES_MISMATCH", Operator, Nothing, Named),
    entry(260, "CLIENT_OUTPUT_FORMAT_SPECIFIED", Foreign, Unclear, Named),
    entry(261, "UNKNOWN_BLOCK_INFO_FIELD", Foreign, Unclear, Named),
    entry(262, "BAD_COLLATION", Operator, Nothing, Named),
    entry(263, "CANNOT_COMPILE_CODE", Foreign, Unclear, Named),
    entry(264, "INCOMPATIBLE_TYPE_OF_JOIN", Operator, Nothing, Named),
    entry(265, "NO_AVAILABLE_REPLICA", Transient, Unclear, Named),
    entry(266, "MISMATCH_REPLICAS_DATA_SOURCES", Foreign, Unclear, Named),
    entry(269, "INFINITE_LOOP", Operator, Nothing, Named),
    entry(270, "CANNOT_COMPRESS", DataOrOperator, Nothing, Read),
    entry(271, "CANNOT_DECOMPRESS", Foreign, Unclear, Measured), // a damaged body: the host sends no other compression
    entry(272, "CANNOT_IO_SUBMIT", Transient, Unclear, Named),
    entry(273, "CANNOT_IO_GETEVENTS", Transient, Unclear, Named),
    entry(274, "AIO_READ_ERROR", Transient, Unclear, Named),
    entry(275, "AIO_WRITE_ERROR", Transient, Unclear, Named),
    entry(277, "INDEX_NOT_USED", Foreign, Unclear, Named),
    entry(279, "ALL_CONNECTION_TRIES_FAILED", Transient, Unclear, Measured),
    entry(280, "NO_AVAILABLE_DATA", Foreign, Unclear, Named),
    entry(281, "DICTIONARY_IS_EMPTY", Operator, Nothing, Named),
    entry(282, "INCORRECT_INDEX", Foreign, Unclear, Named),
    entry(283, "UNKNOWN_DISTRIBUTED_PRODUCT_MODE", Operator, Nothing, Named),
    entry(284, "WRONG_GLOBAL_SUBQUERY", Operator, Nothing, Named),
    entry(285, "TOO_FEW_LIVE_REPLICAS", Transient, Nothing, Read),
    entry(286, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", Transient, Nothing, Read),
    entry(287, "UNKNOWN_FORMAT_VERSION", Foreign, Unclear, Named),
    entry(288, "DISTRIBUTED_IN_JOIN_SUBQUERY_DENIED", Operator, Nothing, Named),
    entry(289, "REPLICA_IS_NOT_IN_QUORUM", Transient, Unclear, Named),
    entry(290, "LIMIT_EXCEEDED", DataOrOperator, Nothing, Read), // `highlight` over one value; otherwise a limit
    entry(291, "DATABASE_ACCESS_DENIED", Operator, Nothing, Named),
    entry(293, "MONGODB_CANNOT_AUTHENTICATE", Operator, Unclear, Named),
    entry(294, "CANNOT_WRITE_TO_FILE", Transient, Unclear, Named),
    entry(295, "RECEIVED_EMPTY_DATA", Transient, Unclear, Named),
    entry(297, "SHARD_HAS_NO_CONNECTIONS", Transient, Unclear, Named),
    entry(298, "CANNOT_PIPE", Transient, Unclear, Named),
    entry(299, "CANNOT_FORK", Transient, Unclear, Named),
    entry(300, "CANNOT_DLSYM", Operator, Nothing, Named),
    entry(301, "CANNOT_CREATE_CHILD_PROCESS", Transient, Unclear, Named),
    entry(302, "CHILD_WAS_NOT_EXITED_NORMALLY", DataOrOperator, Nothing, Named), // an executable function that died over a row
    entry(303, "CANNOT_SELECT", Transient, Unclear, Named),
    entry(304, "CANNOT_WAITPID", Transient, Unclear, Named),
    entry(305, "TABLE_WAS_NOT_DROPPED", Foreign, Unclear, Named),
    entry(306, "TOO_DEEP_RECURSION", DataOrOperator, Nothing, Read), // a value that nests too deeply; otherwise a query
    entry(307, "TOO_MANY_BYTES", Operator, Nothing, Named),
    entry(308, "UNEXPECTED_NODE_IN_ZOOKEEPER", Transient, Unclear, Named),
    entry(309, "FUNCTION_CANNOT_HAVE_PARAMETERS", Operator, Nothing, Named),
    entry(318, "INVALID_CONFIG_PARAMETER", Operator, Unclear, Named),
    entry(319, "UNKNOWN_STATUS_OF_INSERT", Transient, Unclear, Read), // the token decides
    entry(321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE", Data, Nothing, Measured),
    entry(336, "UNKNOWN_DATABASE_ENGINE", Foreign, Unclear, Named),
    entry(341, "UNFINISHED", Transient, Unclear, Named),
    entry(342, "METADATA_MISMATCH", Operator, Unclear, Read),
    entry(344, "SUPPORT_IS_DISABLED", Operator, Nothing, Named),
    entry(345, "TABLE_DIFFERS_TOO_MUCH", Operator, Unclear, Read),
    entry(346, "CANNOT_CONVERT_CHARSET", DataOrOperator, Nothing, Named),
    entry(347, "CANNOT_LOAD_CONFIG", Operator, Unclear, Named),
    entry(349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN", Data, Nothing, Measured),
    entry(352, "AMBIGUOUS_COLUMN_NAME", Operator, Nothing, Named),
    entry(353, "INDEX_OF_POSITIONAL_ARGUMENT_IS_OUT_OF_RANGE", DataOrOperator, Nothing, Measured),
    entry(354, "ZLIB_INFLATE_FAILED", Foreign, Unclear, Named),
    entry(355, "ZLIB_DEFLATE_FAILED", Foreign, Unclear, Named),
    entry(358, "INTO_OUTFILE_NOT_ALLOWED", Foreign, Unclear, Named),
    entry(359, "TABLE_SIZE_EXCEEDS_MAX_DROP_SIZE_LIMIT", Foreign, Unclear, Named),
    entry(360, "CANNOT_CREATE_CHARSET_CONVERTER", DataOrOperator, Nothing, Measured),
    entry(361, "SEEK_POSITION_OUT_OF_BOUND", Foreign, Unclear, Named),
    entry(362, "CURRENT_WRITE_BUFFER_IS_EXHAUSTED", Foreign, Unclear, Named),
    entry(363, "CANNOT_CREATE_IO_BUFFER", Foreign, Unclear, Named),
    entry(364, "RECEIVED_ERROR_TOO_MANY_REQUESTS", Transient, Unclear, Named),
    entry(366, "SIZES_OF_NESTED_COLUMNS_ARE_INCONSISTENT", DataOrSchema, Nothing, Named),
    entry(369, "ALL_REPLICAS_ARE_STALE", Transient, Unclear, Named),
    entry(370, "DATA_TYPE_CANNOT_BE_USED_IN_TABLES", Foreign, Unclear, Named),
    entry(371, "INCONSISTENT_CLUSTER_DEFINITION", Operator, Nothing, Named),
    entry(372, "SESSION_NOT_FOUND", Transient, Nothing, Read), // of a session that another server has
    entry(373, "SESSION_IS_LOCKED", Transient, Nothing, Read),
    entry(374, "INVALID_SESSION_TIMEOUT", Operator, Nothing, Named),
    entry(375, "CANNOT_DLOPEN", Operator, Unclear, Named),
    entry(376, "CANNOT_PARSE_UUID", Data, Nothing, Measured),
    entry(377, "ILLEGAL_SYNTAX_FOR_DATA_TYPE", Operator, Nothing, Named),
    entry(378, "DATA_TYPE_CANNOT_HAVE_ARGUMENTS", Operator, Nothing, Named),
    entry(380, "CANNOT_KILL", Foreign, Unclear, Named),
    entry(381, "HTTP_LENGTH_REQUIRED", Operator, Nothing, Read),
    entry(382, "CANNOT_LOAD_CATBOOST_MODEL", Operator, Nothing, Named),
    entry(383, "CANNOT_APPLY_CATBOOST_MODEL", DataOrOperator, Nothing, Named),
    entry(384, "PART_IS_TEMPORARILY_LOCKED", Transient, Unclear, Read),
    entry(385, "MULTIPLE_STREAMS_REQUIRED", Foreign, Unclear, Named),
    entry(386, "NO_COMMON_TYPE", DataOrSchema, Nothing, Measured),
    entry(387, "DICTIONARY_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(388, "CANNOT_ASSIGN_OPTIMIZE", Foreign, Unclear, Named),
    entry(389, "INSERT_WAS_DEDUPLICATED", Foreign, Unclear, Read), // never thrown: only written to system.part_log, the INSERT succeeds
    entry(390, "CANNOT_GET_CREATE_TABLE_QUERY", Foreign, Unclear, Named),
    entry(391, "EXTERNAL_LIBRARY_ERROR", Operator, Unclear, Named),
    entry(392, "QUERY_IS_PROHIBITED", Operator, Nothing, Named),
    entry(393, "THERE_IS_NO_QUERY", Foreign, Unclear, Named),
    entry(394, "QUERY_WAS_CANCELLED", Transient, Unclear, Measured),
    entry(395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO", Data, Nothing, Measured),
    entry(396, "TOO_MANY_ROWS_OR_BYTES", Operator, Nothing, Named),
    entry(397, "QUERY_IS_NOT_SUPPORTED_IN_MATERIALIZED_VIEW", Operator, Nothing, Named),
    entry(398, "UNKNOWN_MUTATION_COMMAND", Foreign, Unclear, Named),
    entry(399, "FORMAT_IS_NOT_SUITABLE_FOR_OUTPUT", Foreign, Unclear, Named),
    entry(400, "CANNOT_STAT", Transient, Unclear, Named),
    entry(401, "FEATURE_IS_NOT_ENABLED_AT_BUILD_TIME", Operator, Nothing, Named),
    entry(402, "CANNOT_IOSETUP", Transient, Unclear, Named),
    entry(403, "INVALID_JOIN_ON_EXPRESSION", Operator, Nothing, Named),
    entry(404, "BAD_ODBC_CONNECTION_STRING", Operator, Nothing, Named),
    entry(406, "TOP_AND_LIMIT_TOGETHER", Operator, Nothing, Named),
    entry(407, "DECIMAL_OVERFLOW", Data, Nothing, Measured),
    entry(408, "BAD_REQUEST_PARAMETER", Operator, Nothing, Named),
    entry(410, "EXTERNAL_SERVER_IS_NOT_RESPONDING", Transient, Unclear, Named),
    entry(411, "PTHREAD_ERROR", Transient, Unclear, Named),
    entry(412, "NETLINK_ERROR", Foreign, Unclear, Named),
    entry(413, "CANNOT_SET_SIGNAL_HANDLER", Foreign, Unclear, Named),
    entry(415, "ALL_REPLICAS_LOST", Transient, Unclear, Named),
    entry(416, "REPLICA_STATUS_CHANGED", Transient, Unclear, Named),
    entry(417, "EXPECTED_ALL_OR_ANY", Operator, Nothing, Named),
    entry(418, "UNKNOWN_JOIN", Operator, Nothing, Named),
    entry(419, "MULTIPLE_ASSIGNMENTS_TO_COLUMN", Foreign, Unclear, Named),
    entry(420, "CANNOT_UPDATE_COLUMN", Foreign, Unclear, Named),
    entry(421, "CANNOT_ADD_DIFFERENT_AGGREGATE_STATES", DataOrOperator, Nothing, Named),
    entry(422, "UNSUPPORTED_URI_SCHEME", Operator, Nothing, Named),
    entry(423, "CANNOT_GETTIMEOFDAY", Transient, Unclear, Named),
    entry(424, "CANNOT_LINK", Transient, Unclear, Named),
    entry(425, "SYSTEM_ERROR", Transient, Unclear, Named),
    entry(427, "CANNOT_COMPILE_REGEXP", DataOrOperator, Nothing, Measured),
    entry(429, "FAILED_TO_GETPWUID", Foreign, Unclear, Named),
    entry(430, "MISMATCHING_USERS_FOR_PROCESS_AND_DATA", Foreign, Unclear, Named),
    entry(431, "ILLEGAL_SYNTAX_FOR_CODEC_TYPE", Operator, Nothing, Named),
    entry(432, "UNKNOWN_CODEC", Operator, Nothing, Named),
    entry(433, "ILLEGAL_CODEC_PARAMETER", Operator, Nothing, Named),
    entry(434, "CANNOT_PARSE_PROTOBUF_SCHEMA", Foreign, Unclear, Named),
    entry(435, "NO_COLUMN_SERIALIZED_TO_REQUIRED_PROTOBUF_FIELD", Foreign, Unclear, Named),
    entry(436, "PROTOBUF_BAD_CAST", Foreign, Unclear, Named),
    entry(437, "PROTOBUF_FIELD_NOT_REPEATED", Foreign, Unclear, Named),
    entry(438, "DATA_TYPE_CANNOT_BE_PROMOTED", Operator, Nothing, Read),
    entry(439, "CANNOT_SCHEDULE_TASK", Transient, Unclear, Named),
    entry(440, "INVALID_LIMIT_EXPRESSION", Operator, Nothing, Named),
    entry(441, "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING", Data, Nothing, Read), // before 22.12: 675 and 676
    entry(442, "BAD_DATABASE_FOR_TEMPORARY_TABLE", Foreign, Unclear, Named),
    entry(443, "NO_COLUMNS_SERIALIZED_TO_PROTOBUF_FIELDS", Foreign, Unclear, Named),
    entry(444, "UNKNOWN_PROTOBUF_FORMAT", Foreign, Unclear, Named),
    entry(445, "CANNOT_MPROTECT", Foreign, Unclear, Named),
    entry(446, "FUNCTION_NOT_ALLOWED", Operator, Nothing, Named),
    entry(447, "HYPERSCAN_CANNOT_SCAN_TEXT", DataOrOperator, Nothing, Read),
    entry(448, "BROTLI_READ_FAILED", Foreign, Unclear, Named),
    entry(449, "BROTLI_WRITE_FAILED", Foreign, Unclear, Named),
    entry(450, "BAD_TTL_EXPRESSION", Operator, Nothing, Named),
    entry(451, "BAD_TTL_FILE", Operator, Unclear, Named),
    entry(452, "SETTING_CONSTRAINT_VIOLATION", Operator, Nothing, Named),
    entry(453, "MYSQL_CLIENT_INSUFFICIENT_CAPABILITIES", Foreign, Unclear, Named),
    entry(454, "OPENSSL_ERROR", DataOrOperator, Nothing, Measured),
    entry(455, "SUSPICIOUS_TYPE_FOR_LOW_CARDINALITY", Operator, Nothing, Named),
    entry(456, "UNKNOWN_QUERY_PARAMETER", Operator, Nothing, Named),
    entry(457, "BAD_QUERY_PARAMETER", Operator, Nothing, Named),
    entry(458, "CANNOT_UNLINK", Transient, Unclear, Named),
    entry(459, "CANNOT_SET_THREAD_PRIORITY", Foreign, Unclear, Named),
    entry(460, "CANNOT_CREATE_TIMER", Foreign, Unclear, Named),
    entry(461, "CANNOT_SET_TIMER_PERIOD", Foreign, Unclear, Named),
    entry(463, "CANNOT_FCNTL", Transient, Unclear, Named),
    entry(464, "CANNOT_PARSE_ELF", Foreign, Unclear, Named),
    entry(465, "CANNOT_PARSE_DWARF", Foreign, Unclear, Named),
    entry(466, "INSECURE_PATH", Operator, Nothing, Named),
    entry(467, "CANNOT_PARSE_BOOL", DataOrOperator, Nothing, Measured), // a setting's value has no "while ..."
    entry(468, "CANNOT_PTHREAD_ATTR", Transient, Unclear, Named),
    entry(469, "VIOLATED_CONSTRAINT", Data, Nothing, Measured),
    entry(471, "INVALID_SETTING_VALUE", Operator, Nothing, Named),
    entry(472, "READONLY_SETTING", Operator, Nothing, Named),
    entry(473, "DEADLOCK_AVOIDED", Transient, Nothing, Read),
    entry(474, "INVALID_TEMPLATE_FORMAT", Foreign, Unclear, Named),
    entry(475, "INVALID_WITH_FILL_EXPRESSION", Operator, Nothing, Named),
    entry(476, "WITH_TIES_WITHOUT_ORDER_BY", Operator, Nothing, Named),
    entry(477, "INVALID_USAGE_OF_INPUT", Operator, Nothing, Named),
    entry(478, "UNKNOWN_POLICY", Operator, Unclear, Named),
    entry(479, "UNKNOWN_DISK", Operator, Unclear, Named),
    entry(480, "UNKNOWN_PROTOCOL", Operator, Unclear, Named),
    entry(481, "PATH_ACCESS_DENIED", Operator, Unclear, Measured),
    entry(482, "DICTIONARY_ACCESS_DENIED", Operator, Nothing, Named),
    entry(483, "TOO_MANY_REDIRECTS", Operator, Unclear, Named),
    entry(484, "INTERNAL_REDIS_ERROR", Transient, Unclear, Named),
    entry(487, "CANNOT_GET_CREATE_DICTIONARY_QUERY", Foreign, Unclear, Named),
    entry(489, "INCORRECT_DICTIONARY_DEFINITION", Operator, Nothing, Named),
    entry(490, "CANNOT_FORMAT_DATETIME", Data, Nothing, Measured),
    entry(491, "UNACCEPTABLE_URL", Operator, Nothing, Named),
    entry(492, "ACCESS_ENTITY_NOT_FOUND", Operator, Nothing, Named),
    entry(493, "ACCESS_ENTITY_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(495, "ACCESS_STORAGE_READONLY", Operator, Nothing, Named),
    entry(496, "QUOTA_REQUIRES_CLIENT_KEY", Operator, Nothing, Named),
    entry(497, "ACCESS_DENIED", Operator, Nothing, Measured),
    entry(498, "LIMIT_BY_WITH_TIES_IS_NOT_SUPPORTED", Operator, Nothing, Named),
    entry(499, "S3_ERROR", Transient, Unclear, Named),
    entry(500, "AZURE_BLOB_STORAGE_ERROR", Transient, Unclear, Named),
    entry(501, "CANNOT_CREATE_DATABASE", Foreign, Unclear, Named),
    entry(502, "CANNOT_SIGQUEUE", Foreign, Unclear, Named),
    entry(503, "AGGREGATE_FUNCTION_THROW", Foreign, Nothing, Read), // only the test function `aggThrow` throws it, by chance
    entry(504, "FILE_ALREADY_EXISTS", Transient, Unclear, Named),
    entry(507, "UNABLE_TO_SKIP_UNUSED_SHARDS", Operator, Nothing, Named),
    entry(508, "UNKNOWN_ACCESS_TYPE", Operator, Nothing, Named),
    entry(509, "INVALID_GRANT", Foreign, Unclear, Named),
    entry(510, "CACHE_DICTIONARY_UPDATE_FAIL", Transient, Nothing, Named),
    entry(511, "UNKNOWN_ROLE", Operator, Nothing, Named),
    entry(512, "SET_NON_GRANTED_ROLE", Operator, Nothing, Named),
    entry(513, "UNKNOWN_PART_TYPE", Operator, Unclear, Named),
    entry(514, "ACCESS_STORAGE_FOR_INSERTION_NOT_FOUND", Foreign, Unclear, Named),
    entry(515, "INCORRECT_ACCESS_ENTITY_DEFINITION", Operator, Nothing, Named),
    entry(516, "AUTHENTICATION_FAILED", Operator, Nothing, Measured),
    entry(517, "CANNOT_ASSIGN_ALTER", Foreign, Unclear, Named),
    entry(518, "CANNOT_COMMIT_OFFSET", Foreign, Unclear, Named),
    entry(519, "NO_REMOTE_SHARD_AVAILABLE", Transient, Unclear, Named),
    entry(520, "CANNOT_DETACH_DICTIONARY_AS_TABLE", Foreign, Unclear, Named),
    entry(521, "ATOMIC_RENAME_FAIL", Transient, Unclear, Named),
    entry(523, "UNKNOWN_ROW_POLICY", Operator, Nothing, Named),
    entry(524, "ALTER_OF_COLUMN_IS_FORBIDDEN", Foreign, Unclear, Named),
    entry(525, "INCORRECT_DISK_INDEX", Operator, Unclear, Named),
    entry(527, "NO_SUITABLE_FUNCTION_IMPLEMENTATION", Operator, Nothing, Named),
    entry(528, "CASSANDRA_INTERNAL_ERROR", Transient, Unclear, Named),
    entry(529, "NOT_A_LEADER", Transient, Unclear, Named),
    entry(530, "CANNOT_CONNECT_RABBITMQ", Transient, Unclear, Named),
    entry(531, "CANNOT_FSTAT", Transient, Unclear, Named),
    entry(532, "LDAP_ERROR", Transient, Nothing, Named),
    entry(535, "UNKNOWN_RAID_TYPE", Foreign, Unclear, Named),
    entry(536, "CANNOT_RESTORE_FROM_FIELD_DUMP", Foreign, Unclear, Read),
    entry(537, "ILLEGAL_MYSQL_VARIABLE", Foreign, Unclear, Named),
    entry(538, "MYSQL_SYNTAX_ERROR", Foreign, Unclear, Named),
    entry(539, "CANNOT_BIND_RABBITMQ_EXCHANGE", Foreign, Unclear, Named),
    entry(540, "CANNOT_DECLARE_RABBITMQ_EXCHANGE", Foreign, Unclear, Named),
    entry(541, "CANNOT_CREATE_RABBITMQ_QUEUE_BINDING", Foreign, Unclear, Named),
    entry(542, "CANNOT_REMOVE_RABBITMQ_EXCHANGE", Foreign, Unclear, Named),
    entry(543, "UNKNOWN_MYSQL_DATATYPES_SUPPORT_LEVEL", Foreign, Unclear, Named),
    entry(544, "ROW_AND_ROWS_TOGETHER", Operator, Nothing, Named),
    entry(545, "FIRST_AND_NEXT_TOGETHER", Operator, Nothing, Named),
    entry(546, "NO_ROW_DELIMITER", Foreign, Unclear, Named),
    entry(547, "INVALID_RAID_TYPE", Foreign, Unclear, Named),
    entry(548, "UNKNOWN_VOLUME", Operator, Unclear, Named),
    entry(549, "DATA_TYPE_CANNOT_BE_USED_IN_KEY", Operator, Nothing, Named),
    entry(552, "UNRECOGNIZED_ARGUMENTS", Foreign, Unclear, Named),
    entry(553, "LZMA_STREAM_ENCODER_FAILED", Foreign, Unclear, Named),
    entry(554, "LZMA_STREAM_DECODER_FAILED", Foreign, Unclear, Named),
    entry(555, "ROCKSDB_ERROR", Transient, Unclear, Named),
    entry(556, "SYNC_MYSQL_USER_ACCESS_ERROR", Foreign, Unclear, Named),
    entry(557, "UNKNOWN_UNION", Operator, Nothing, Named),
    entry(558, "EXPECTED_ALL_OR_DISTINCT", Operator, Nothing, Named),
    entry(559, "INVALID_GRPC_QUERY_INFO", Foreign, Unclear, Named),
    entry(560, "ZSTD_ENCODER_FAILED", Foreign, Unclear, Named),
    entry(561, "ZSTD_DECODER_FAILED", Foreign, Unclear, Named),
    entry(562, "TLD_LIST_NOT_FOUND", Operator, Nothing, Measured),
    entry(563, "CANNOT_READ_MAP_FROM_TEXT", Data, Nothing, Read),
    entry(564, "INTERSERVER_SCHEME_DOESNT_MATCH", Foreign, Unclear, Named),
    entry(565, "TOO_MANY_PARTITIONS", Operator, Nothing, Read),
    entry(566, "CANNOT_RMDIR", Transient, Unclear, Named),
    entry(567, "DUPLICATED_PART_UUIDS", Foreign, Unclear, Named),
    entry(568, "RAFT_ERROR", Transient, Unclear, Named),
    entry(569, "MULTIPLE_COLUMNS_SERIALIZED_TO_SAME_PROTOBUF_FIELD", Foreign, Unclear, Named),
    entry(570, "DATA_TYPE_INCOMPATIBLE_WITH_PROTOBUF_FIELD", Foreign, Unclear, Named),
    entry(571, "DATABASE_REPLICATION_FAILED", Transient, Unclear, Named),
    entry(572, "TOO_MANY_QUERY_PLAN_OPTIMIZATIONS", Operator, Nothing, Named),
    entry(573, "EPOLL_ERROR", Transient, Unclear, Named),
    entry(574, "DISTRIBUTED_TOO_MANY_PENDING_BYTES", Transient, Unclear, Named),
    entry(575, "UNKNOWN_SNAPSHOT", Foreign, Unclear, Named),
    entry(576, "KERBEROS_ERROR", Operator, Unclear, Named),
    entry(577, "INVALID_SHARD_ID", Operator, Nothing, Named),
    entry(578, "INVALID_FORMAT_INSERT_QUERY_WITH_DATA", Foreign, Nothing, Named),
    entry(579, "INCORRECT_PART_TYPE", Operator, Unclear, Named),
    entry(580, "CANNOT_SET_ROUNDING_MODE", Foreign, Unclear, Named),
    entry(581, "TOO_LARGE_DISTRIBUTED_DEPTH", Operator, Nothing, Named),
    entry(582, "NO_SUCH_PROJECTION_IN_TABLE", Operator, Nothing, Named),
    entry(583, "ILLEGAL_PROJECTION", Operator, Nothing, Named),
    entry(584, "PROJECTION_NOT_USED", Operator, Nothing, Named),
    entry(585, "CANNOT_PARSE_YAML", Operator, Nothing, Named),
    entry(586, "CANNOT_CREATE_FILE", Transient, Unclear, Named),
    entry(587, "CONCURRENT_ACCESS_NOT_SUPPORTED", Transient, Unclear, Named),
    entry(588, "DISTRIBUTED_BROKEN_BATCH_INFO", Foreign, Unclear, Named),
    entry(589, "DISTRIBUTED_BROKEN_BATCH_FILES", Foreign, Unclear, Named),
    entry(590, "CANNOT_SYSCONF", Foreign, Unclear, Named),
    entry(591, "SQLITE_ENGINE_ERROR", Operator, Unclear, Measured),
    entry(592, "DATA_ENCRYPTION_ERROR", Operator, Unclear, Read),
    entry(593, "ZERO_COPY_REPLICATION_ERROR", Transient, Unclear, Named),
    entry(594, "BZIP2_STREAM_DECODER_FAILED", Foreign, Unclear, Named),
    entry(595, "BZIP2_STREAM_ENCODER_FAILED", Foreign, Unclear, Named),
    entry(596, "INTERSECT_OR_EXCEPT_RESULT_STRUCTURES_MISMATCH", Operator, Nothing, Named),
    entry(597, "NO_SUCH_ERROR_CODE", Foreign, Unclear, Named),
    entry(598, "BACKUP_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(599, "BACKUP_NOT_FOUND", Foreign, Unclear, Named),
    entry(600, "BACKUP_VERSION_NOT_SUPPORTED", Foreign, Unclear, Named),
    entry(601, "BACKUP_DAMAGED", Foreign, Unclear, Named),
    entry(602, "NO_BASE_BACKUP", Foreign, Unclear, Named),
    entry(603, "WRONG_BASE_BACKUP", Foreign, Unclear, Named),
    entry(604, "BACKUP_ENTRY_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(605, "BACKUP_ENTRY_NOT_FOUND", Foreign, Unclear, Named),
    entry(606, "BACKUP_IS_EMPTY", Foreign, Unclear, Named),
    entry(607, "CANNOT_RESTORE_DATABASE", Foreign, Unclear, Named),
    entry(608, "CANNOT_RESTORE_TABLE", Foreign, Unclear, Named),
    entry(609, "FUNCTION_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(610, "CANNOT_DROP_FUNCTION", Foreign, Unclear, Named),
    entry(611, "CANNOT_CREATE_RECURSIVE_FUNCTION", Foreign, Unclear, Named),
    entry(614, "POSTGRESQL_CONNECTION_FAILURE", Transient, Unclear, Measured),
    entry(615, "CANNOT_ADVISE", Transient, Unclear, Named),
    entry(616, "UNKNOWN_READ_METHOD", Operator, Unclear, Named),
    entry(617, "LZ4_ENCODER_FAILED", Foreign, Unclear, Named),
    entry(618, "LZ4_DECODER_FAILED", Foreign, Unclear, Named),
    entry(619, "POSTGRESQL_REPLICATION_INTERNAL_ERROR", Foreign, Unclear, Named),
    entry(620, "QUERY_NOT_ALLOWED", Operator, Nothing, Named),
    entry(621, "CANNOT_NORMALIZE_STRING", Data, Nothing, Measured),
    entry(622, "CANNOT_PARSE_CAPN_PROTO_SCHEMA", Foreign, Unclear, Named),
    entry(623, "CAPN_PROTO_BAD_CAST", Foreign, Unclear, Named),
    entry(624, "BAD_FILE_TYPE", Foreign, Unclear, Named),
    entry(625, "IO_SETUP_ERROR", Transient, Unclear, Named),
    entry(626, "CANNOT_SKIP_UNKNOWN_FIELD", Foreign, Unclear, Named),
    entry(627, "BACKUP_ENGINE_NOT_FOUND", Foreign, Unclear, Named),
    entry(628, "OFFSET_FETCH_WITHOUT_ORDER_BY", Operator, Nothing, Named),
    entry(629, "HTTP_RANGE_NOT_SATISFIABLE", Foreign, Unclear, Named),
    entry(630, "HAVE_DEPENDENT_OBJECTS", Foreign, Unclear, Named),
    entry(631, "UNKNOWN_FILE_SIZE", Foreign, Unclear, Named),
    entry(632, "UNEXPECTED_DATA_AFTER_PARSED_VALUE", Data, Nothing, Read),
    entry(633, "QUERY_IS_NOT_SUPPORTED_IN_WINDOW_VIEW", Operator, Nothing, Named),
    entry(634, "MONGODB_ERROR", Transient, Unclear, Named),
    entry(635, "CANNOT_POLL", Transient, Unclear, Named),
    entry(636, "CANNOT_EXTRACT_TABLE_STRUCTURE", Operator, Nothing, Named),
    entry(637, "INVALID_TABLE_OVERRIDE", Foreign, Unclear, Named),
    entry(638, "SNAPPY_UNCOMPRESS_FAILED", Foreign, Unclear, Named),
    entry(639, "SNAPPY_COMPRESS_FAILED", Foreign, Unclear, Named),
    entry(640, "NO_HIVEMETASTORE", Transient, Unclear, Named),
    entry(641, "CANNOT_APPEND_TO_FILE", Transient, Unclear, Named),
    entry(642, "CANNOT_PACK_ARCHIVE", Foreign, Unclear, Named),
    entry(643, "CANNOT_UNPACK_ARCHIVE", Foreign, Unclear, Named),
    entry(645, "NUMBER_OF_DIMENSIONS_MISMATCHED", DataOrSchema, Nothing, Named),
    entry(647, "CANNOT_BACKUP_TABLE", Foreign, Unclear, Named),
    entry(648, "WRONG_DDL_RENAMING_SETTINGS", Foreign, Unclear, Named),
    entry(649, "INVALID_TRANSACTION", Foreign, Unclear, Named),
    entry(650, "SERIALIZATION_ERROR", DataOrOperator, Nothing, Read), // a QBit of another size; otherwise transactions
    entry(651, "CAPN_PROTO_BAD_TYPE", Foreign, Unclear, Named),
    entry(652, "ONLY_NULLS_WHILE_READING_SCHEMA", Foreign, Unclear, Named),
    entry(653, "CANNOT_PARSE_BACKUP_SETTINGS", Foreign, Unclear, Named),
    entry(654, "WRONG_BACKUP_SETTINGS", Foreign, Unclear, Named),
    entry(655, "FAILED_TO_SYNC_BACKUP_OR_RESTORE", Foreign, Unclear, Named),
    entry(659, "UNKNOWN_STATUS_OF_TRANSACTION", Transient, Unclear, Named),
    entry(660, "HDFS_ERROR", Transient, Unclear, Named),
    entry(661, "CANNOT_SEND_SIGNAL", Foreign, Unclear, Named),
    entry(662, "FS_METADATA_ERROR", Transient, Unclear, Named),
    entry(663, "INCONSISTENT_METADATA_FOR_BACKUP", Foreign, Unclear, Named),
    entry(664, "ACCESS_STORAGE_DOESNT_ALLOW_BACKUP", Foreign, Unclear, Named),
    entry(665, "CANNOT_CONNECT_NATS", Transient, Unclear, Named),
    entry(667, "NOT_INITIALIZED", Transient, Unclear, Named),
    entry(668, "INVALID_STATE", Foreign, Unclear, Named),
    entry(669, "NAMED_COLLECTION_DOESNT_EXIST", Operator, Nothing, Named),
    entry(670, "NAMED_COLLECTION_ALREADY_EXISTS", Foreign, Unclear, Named),
    entry(671, "NAMED_COLLECTION_IS_IMMUTABLE", Foreign, Unclear, Named),
    entry(672, "INVALID_SCHEDULER_NODE", Transient, Unclear, Read),
    entry(673, "RESOURCE_ACCESS_DENIED", Operator, Unclear, Named),
    entry(674, "RESOURCE_NOT_FOUND", Operator, Unclear, Named),
    entry(675, "CANNOT_PARSE_IPV4", Data, Nothing, Measured),
    entry(676, "CANNOT_PARSE_IPV6", Data, Nothing, Measured),
    entry(677, "THREAD_WAS_CANCELED", Transient, Unclear, Named),
    entry(678, "IO_URING_INIT_FAILED", Transient, Unclear, Named),
    entry(679, "IO_URING_SUBMIT_ERROR", Transient, Unclear, Named),
    entry(690, "MIXED_ACCESS_PARAMETER_TYPES", Operator, Nothing, Named),
    entry(691, "UNKNOWN_ELEMENT_OF_ENUM", Data, Nothing, Measured),
    entry(692, "TOO_MANY_MUTATIONS", Operator, Nothing, Named),
    entry(693, "AWS_ERROR", Transient, Unclear, Named),
    entry(694, "ASYNC_LOAD_CYCLE", Operator, Nothing, Named),
    entry(695, "ASYNC_LOAD_FAILED", Operator, Nothing, Named),
    entry(696, "ASYNC_LOAD_CANCELED", Transient, Nothing, Named),
    entry(697, "CANNOT_RESTORE_TO_NONENCRYPTED_DISK", Foreign, Unclear, Named),
    entry(698, "INVALID_REDIS_STORAGE_TYPE", Operator, Nothing, Named),
    entry(699, "INVALID_REDIS_TABLE_STRUCTURE", Operator, Nothing, Named),
    entry(700, "USER_SESSION_LIMIT_EXCEEDED", Transient, Nothing, Read),
    entry(701, "CLUSTER_DOESNT_EXIST", Operator, Nothing, Named),
    entry(702, "CLIENT_INFO_DOES_NOT_MATCH", Foreign, Unclear, Named),
    entry(703, "INVALID_IDENTIFIER", Operator, Nothing, Named),
    entry(704, "QUERY_CACHE_USED_WITH_NONDETERMINISTIC_FUNCTIONS", Foreign, Unclear, Named),
    entry(705, "TABLE_NOT_EMPTY", Foreign, Unclear, Named),
    entry(706, "LIBSSH_ERROR", Foreign, Unclear, Named),
    entry(707, "GCP_ERROR", Transient, Unclear, Named),
    entry(708, "ILLEGAL_STATISTICS", Operator, Nothing, Named),
    entry(709, "CANNOT_GET_REPLICATED_DATABASE_SNAPSHOT", Foreign, Unclear, Named),
    entry(710, "FAULT_INJECTED", Transient, Unclear, Named),
    entry(711, "FILECACHE_ACCESS_DENIED", Operator, Unclear, Named),
    entry(712, "TOO_MANY_MATERIALIZED_VIEWS", Operator, Nothing, Named),
    entry(713, "BROKEN_PROJECTION", Operator, Unclear, Named),
    entry(714, "UNEXPECTED_CLUSTER", Operator, Unclear, Named),
    entry(715, "CANNOT_DETECT_FORMAT", Foreign, Unclear, Named),
    entry(716, "CANNOT_FORGET_PARTITION", Foreign, Unclear, Named),
    entry(717, "EXPERIMENTAL_FEATURE_ERROR", Operator, Nothing, Named),
    entry(718, "TOO_SLOW_PARSING", DataOrOperator, Nothing, Read), // as 62
    entry(719, "QUERY_CACHE_USED_WITH_SYSTEM_TABLE", Foreign, Unclear, Named),
    entry(720, "USER_EXPIRED", Operator, Nothing, Named),
    entry(721, "DEPRECATED_FUNCTION", Operator, Nothing, Named),
    entry(722, "ASYNC_LOAD_WAIT_FAILED", Transient, Nothing, Named),
    entry(723, "PARQUET_EXCEPTION", Foreign, Unclear, Named),
    entry(724, "TOO_MANY_TABLES", Foreign, Unclear, Named),
    entry(725, "TOO_MANY_DATABASES", Foreign, Unclear, Named),
    entry(726, "UNEXPECTED_HTTP_HEADERS", Foreign, Unclear, Named),
    entry(727, "UNEXPECTED_TABLE_ENGINE", Operator, Nothing, Named),
    entry(728, "UNEXPECTED_DATA_TYPE", Operator, Nothing, Read),
    entry(729, "ILLEGAL_TIME_SERIES_TAGS", DataOrOperator, Nothing, Read),
    entry(730, "REFRESH_FAILED", Foreign, Unclear, Named),
    entry(731, "QUERY_CACHE_USED_WITH_NON_THROW_OVERFLOW_MODE", Foreign, Unclear, Named),
    entry(733, "TABLE_IS_BEING_RESTARTED", Transient, Unclear, Named),
    entry(734, "CANNOT_WRITE_AFTER_BUFFER_CANCELED", Transient, Unclear, Named),
    entry(735, "QUERY_WAS_CANCELLED_BY_CLIENT", Transient, Unclear, Named),
    entry(736, "DATALAKE_DATABASE_ERROR", Operator, Unclear, Named),
    entry(737, "GOOGLE_CLOUD_ERROR", Transient, Unclear, Named),
    entry(738, "PART_IS_LOCKED", Transient, Unclear, Named),
    entry(739, "BUZZHOUSE", Foreign, Unclear, Named),
    entry(740, "POTENTIALLY_BROKEN_DATA_PART", Operator, Unclear, Named),
    entry(741, "TABLE_UUID_MISMATCH", Schema, Nothing, Read),
    entry(742, "DELTA_KERNEL_ERROR", Foreign, Unclear, Named),
    entry(743, "ICEBERG_SPECIFICATION_VIOLATION", Foreign, Unclear, Named),
    entry(744, "SESSION_ID_EMPTY", Operator, Nothing, Named),
    entry(745, "SERVER_OVERLOADED", Transient, Unclear, Read),
    entry(746, "DEPENDENCIES_NOT_FOUND", Operator, Nothing, Read),
    entry(747, "FILECACHE_CANNOT_WRITE_THROUGH_CACHE_WITH_CONCURRENT_READS", Operator, Unclear, Named),
    entry(748, "AVRO_EXCEPTION", Foreign, Unclear, Named),
    entry(749, "TCP_CONNECTION_LIMIT_REACHED", Transient, Nothing, Named),
    entry(750, "ARROWFLIGHT_INTERNAL_ERROR", Foreign, Unclear, Named),
    entry(751, "ARROWFLIGHT_CONNECTION_FAILURE", Foreign, Unclear, Named),
    entry(752, "ARROWFLIGHT_FETCH_SCHEMA_ERROR", Foreign, Unclear, Named),
    entry(753, "ARROWFLIGHT_WRITE_ERROR", Foreign, Unclear, Named),
    entry(754, "UDF_EXECUTION_FAILED", DataOrOperator, Nothing, Read),
    entry(755, "TOO_LARGE_LIGHTWEIGHT_UPDATES", Foreign, Unclear, Named),
    entry(756, "CANNOT_PARSE_PROMQL_QUERY", Foreign, Unclear, Named),
    entry(757, "CANNOT_GET_THREAD_PRIORITY", Foreign, Unclear, Named),
    entry(758, "TOO_MANY_NAMED_COLLECTIONS", Foreign, Unclear, Named),
    entry(759, "LICENSING_EXCEPTION", Operator, Nothing, Named),
    entry(760, "UNICODE_ERROR", DataOrOperator, Nothing, Read),
    entry(761, "ACME_ERROR", Foreign, Unclear, Named),
    entry(762, "HTTP_CONNECTION_LIMIT_REACHED", Transient, Nothing, Named),
    entry(763, "SESSION_REFUSED", Transient, Nothing, Named),
    entry(764, "DEDUPLICATION_IS_NOT_POSSIBLE", Operator, Nothing, Read),
    entry(765, "UNKNOWN_MASKING_POLICY", Operator, Nothing, Named),
    entry(766, "INSTRUMENTATION_ERROR", Foreign, Unclear, Named),
    entry(767, "REQUIRED_SECOND_FACTOR", Operator, Nothing, Named),
    entry(768, "CANNOT_EXECUTE_PROMQL_QUERY", DataOrOperator, Nothing, Measured),
    entry(769, "NAMED_COLLECTION_IS_USED", Foreign, Unclear, Named),
    entry(770, "WASM_ERROR", DataOrOperator, Nothing, Read),
    entry(771, "CACHE_CANNOT_WRITE_TO_CACHE_DISK", Transient, Unclear, Named),
    entry(772, "INCOMPATIBLE_SCHEMA", Operator, Nothing, Read),
    entry(773, "MALFORMED_AI_PROVIDER_RESPONSE", Transient, Nothing, Named),
    entry(774, "TABLE_IS_PERMANENTLY_READ_ONLY", Operator, Nothing, Measured),
    entry(775, "STATELESS_WORKER_DISCOVERY_ERROR", Transient, Unclear, Named),
    entry(776, "RESOURCE_LIMIT_EXCEEDED", Operator, Unclear, Read),
    entry(777, "MEMORY_RESERVATION_KILLED", Memory, Unclear, Read),
    entry(778, "MEMORY_RESERVATION_FAILED", Memory, Unclear, Read),
    entry(779, "UNSUPPORTED_MEDIA_TYPE", Operator, Nothing, Named),
    entry(800, "PY_EXCEPTION_OCCURED", Foreign, Unclear, Named), // chDB's, not ClickHouse's
    entry(801, "PY_OBJECT_NOT_FOUND", Foreign, Unclear, Named), // chDB's, not ClickHouse's
    entry(900, "DISTRIBUTED_CACHE_ERROR", Transient, Unclear, Named),
    entry(901, "CANNOT_USE_DISTRIBUTED_CACHE", Transient, Unclear, Named),
    entry(902, "PROTOCOL_VERSION_MISMATCH", Foreign, Unclear, Named),
    entry(903, "DISTRIBUTED_CACHE_REGISTRY_SHUTDOWN", Transient, Unclear, Named),
    entry(904, "TOO_MANY_UNAVAILABLE_SHARDS", Transient, Unclear, Named),
    entry(999, "KEEPER_EXCEPTION", Transient, Unclear, Named),
    entry(1000, "POCO_EXCEPTION", Transient, Unclear, Measured), // of Poco: the network, most often
    entry(1001, "STD_EXCEPTION", DataOrOperator, Unclear, Measured), // a row's has no "while ..." either, so neighbours alone can tell
    entry(1002, "UNKNOWN_EXCEPTION", Transient, Unclear, Measured),
    entry(1003, "SSH_EXCEPTION", Foreign, Unclear, Named),
    entry(1004, "STARTUP_SCRIPTS_ERROR", Operator, Unclear, Named),
    entry(1005, "STALE_VERSION", Transient, Unclear, Read),
    entry(1006, "INVALID_CURSOR_LOOKUP", Foreign, Unclear, Named),
    entry(1007, "ILLEGAL_STREAM", Foreign, Unclear, Named),
    entry(1008, "TEMPORARY_DATA_NOT_IN_CACHE", Foreign, Unclear, Named),
    entry(1009, "S3_OBJECT_CHANGED_DURING_READ", Transient, Unclear, Named),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_holds_no_number_twice() {
        assert!(CODES.windows(2).all(|pair| pair[0].number < pair[1].number));
        for entry in CODES {
            assert_eq!(find_code(entry.number), Some(entry));
        }
        assert_eq!(find_code(5), None);
        assert_eq!(find_code(4242), None);
    }

    #[test]
    fn no_name_stands_twice() {
        let names: std::collections::BTreeSet<_> = CODES.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), CODES.len());
        let is_name = |name: &str| {
            name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        };
        assert!(CODES.iter().all(|code| !code.name.is_empty() && is_name(code.name)));
    }

    fn all_are(class: CodeClass, numbers: &[u32]) {
        for number in numbers {
            let code = find_code(*number).unwrap();
            assert_eq!(code.class, class, "{} {}", code.number, code.name);
        }
    }

    #[test]
    fn a_code_that_only_a_value_causes_is_data() {
        all_are(
            Data,
            &[6, 26, 38, 41, 117, 130, 131, 153, 190, 321, 349, 376, 395, 407, 469, 675, 676, 691],
        );
        all_are(Data, &[128, 135, 441, 490, 563, 621, 632]);
    }

    #[test]
    fn a_code_of_values_that_something_else_may_cause_has_to_be_proved() {
        all_are(DataOrSchema, &[36, 42, 43, 44, 48, 50, 53, 70, 386]);
        all_are(DataOrOperator, &[12, 25, 27, 32, 62, 69, 72, 170, 360, 427, 447, 454, 467]);
        all_are(DataOrOperator, &[306, 754, 760, 770, 1001]);
    }

    #[test]
    fn the_other_classes_hold_what_the_sink_relies_on() {
        all_are(Schema, &[7, 8, 9, 10, 15, 16, 20, 47, 60, 81, 218, 741]);
        all_are(Memory, &[173, 241, 777, 778]);
        all_are(Transient, &[3, 159, 202, 209, 210, 216, 225, 236, 242, 252, 279, 285, 286]);
        all_are(Transient, &[319, 394, 425, 439, 473, 499, 745, 749, 762, 999, 1000, 1002]);
        all_are(
            Operator,
            &[46, 115, 243, 164, 192, 193, 194, 201, 291, 452, 471, 497, 516, 764, 774],
        );
        all_are(Foreign, &[0, 49, 389, 503, 598]);
    }

    #[test]
    fn a_value_that_is_refused_leaves_nothing() {
        let computed = [Data, DataOrSchema, Schema];
        for code in CODES.iter().filter(|code| computed.contains(&code.class)) {
            assert_eq!(code.leaves, Nothing, "{} {}", code.number, code.name);
        }
        for number in [62, 115, 164, 201, 252, 285, 286, 372, 373, 497, 516, 774] {
            assert_eq!(find_code(number).unwrap().leaves, Nothing, "{number}");
        }
    }

    #[test]
    fn what_ends_while_a_part_may_be_committed_is_unclear() {
        for number in [75, 159, 209, 210, 236, 241, 242, 243, 244, 319, 394, 425, 999, 1000, 1001] {
            assert_eq!(find_code(number).unwrap().leaves, Unclear, "{number}");
        }
    }
}
