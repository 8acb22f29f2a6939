//! The table of error codes against the engine's own.

use sluicegate::clickhouse::codes::CODES;
use sluicegate_local::LocalStack;
use sluicegate_tests::stack_options;

#[tokio::test]
async fn every_code_of_the_engine_is_classed() -> anyhow::Result<()> {
    let stack = LocalStack::start(stack_options()?.with_brokers(0)).await?;
    let told = stack
        .query(
            "SELECT number, errorCodeToName(number) FROM numbers(3001) \
             WHERE errorCodeToName(number) != '' ORDER BY number FORMAT TabSeparated",
        )
        .await?;
    let of_engine: Vec<&str> = told.lines().collect();
    let of_table: Vec<String> =
        CODES.iter().map(|code| format!("{}\t{}", code.number, code.name)).collect();
    let missing: Vec<_> =
        of_engine.iter().filter(|line| !of_table.iter().any(|code| code == *line)).collect();
    let surplus: Vec<_> = of_table.iter().filter(|code| !of_engine.contains(&&***code)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    assert!(surplus.is_empty(), "not in the engine: {surplus:?}");
    Ok(())
}
