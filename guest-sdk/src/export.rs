//! The macros that make a plugin a component. All but [`export!`](crate::export) are parts of it.

/// Makes a plugin the component that the host loads: `export!(Redact)` a
/// [`RowsPlugin`](crate::RowsPlugin), `export!(arrow Enrich)` an `ArrowPlugin`, which needs the
/// feature `arrow`. Stands once in a plugin's crate.
///
/// Natively it only checks that the type is a plugin, so that the same crate is tested by
/// `cargo test`.
#[macro_export]
macro_rules! export {
    // The first of the two, so that `arrow::Redact` is a path.
    ($plugin:ty) => {
        $crate::export_instance!($crate::Instance<$plugin>, $crate::export_rows_hook);
    };
    (arrow $plugin:ty) => {
        $crate::export_arrow_plugin!($plugin);
    };
}

#[cfg(feature = "arrow")]
#[doc(hidden)]
#[macro_export]
macro_rules! export_arrow_plugin {
    ($plugin:ty) => {
        $crate::export_instance!($crate::ArrowInstance<$plugin>, $crate::export_arrow_hook);
    };
}

#[cfg(not(feature = "arrow"))]
#[doc(hidden)]
#[macro_export]
macro_rules! export_arrow_plugin {
    ($plugin:ty) => {
        ::std::compile_error!("an arrow plugin needs the feature `arrow` of sluicegate-plugin");
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_instance {
    ($instance:ty, $($hook:tt)+) => {
        const _: () = {
            #[cfg(not(target_family = "wasm"))]
            const _: $instance = <$instance>::new();

            #[cfg(target_family = "wasm")]
            struct Component;

            #[cfg(target_family = "wasm")]
            ::std::thread_local! {
                static INSTANCE: $instance = const { <$instance>::new() };
            }

            #[cfg(target_family = "wasm")]
            impl $crate::bindings::Lifecycle for Component {
                fn init(
                    config: ::std::string::String,
                ) -> ::std::result::Result<$crate::wire::Wants, ::std::string::String> {
                    INSTANCE.with(|instance| instance.init(&config))
                }
            }

            #[cfg(target_family = "wasm")]
    $crate::bindings::export_lifecycle!(Component with_types_in $crate::bindings);

            #[cfg(target_family = "wasm")]
            $($hook)+!(Component, INSTANCE);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_rows_hook {
    ($component:ident, $instance:ident) => {
        impl $crate::bindings::rows::Rows for $component {
            fn transform(
                batch: $crate::wire::Batch,
            ) -> ::std::result::Result<$crate::wire::Outcome, ::std::string::String> {
                $instance.with(|instance| instance.transform(&batch))
            }
        }

    $crate::bindings::rows::export_rows!($component with_types_in $crate::bindings::rows);
    };
}

#[cfg(feature = "arrow")]
#[doc(hidden)]
#[macro_export]
macro_rules! export_arrow_hook {
    ($component:ident, $instance:ident) => {
        impl $crate::bindings::arrow::Arrow for $component {
            fn plan(
                table: ::std::vec::Vec<$crate::wire::arrow::Column>,
                schema: ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<$crate::wire::arrow::Planned, ::std::string::String> {
                $instance.with(|instance| instance.plan(table, schema))
            }

            fn transform(
                rows: ::std::vec::Vec<u8>,
            ) -> ::std::result::Result<$crate::wire::arrow::Outcome, ::std::string::String> {
                $instance.with(|instance| instance.transform(rows))
            }
        }

    $crate::bindings::arrow::export_arrow!($component with_types_in $crate::bindings::arrow);
    };
}
