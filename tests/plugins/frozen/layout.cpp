// Each field of the first header is where it was, and what it was: since then fields were only appended.
#include <stdint.h>

#include <cstddef>
#include <type_traits>

namespace first {
#define tide_sink_v1 first_tide_sink_v1  // functions of one C name are one function, in whatever namespace
#include "sink-1.0.h"
#undef tide_sink_v1
#undef TIDE_SINK_H
#undef TIDE_SINK_EXPORT
}  // namespace first
#include <tide/sink.h>

// Of numbers and plain pointers the type itself; of what consists of the header's own types only the size.
template <class First, class Now>
constexpr bool kSameType = sizeof(First) == sizeof(Now) && (std::is_same_v<First, Now> || !std::is_arithmetic_v<First>);

#define SAME(type, field)                                                             \
  static_assert(offsetof(first::type, field) == offsetof(::type, field) &&            \
                    kSameType<decltype(first::type::field), decltype(::type::field)>, \
                #type "." #field " is no longer what it was in ABI 1.0")

SAME(tide_str, data);
SAME(tide_str, size);
SAME(tide_host, struct_size);
SAME(tide_host, abi_minor);
SAME(tide_host, ctx);
SAME(tide_host, log);
SAME(tide_host, get_extension);
SAME(tide_error, struct_size);
SAME(tide_error, size);
SAME(tide_error, native_code);
SAME(tide_error, text);
SAME(tide_option, name);
SAME(tide_option, type);
SAME(tide_option, flags);
SAME(tide_option, default_value);
SAME(tide_option, description);
SAME(tide_option, min_value);
SAME(tide_option, max_value);
SAME(tide_option, choices);
SAME(tide_value, name);
SAME(tide_value, type);
SAME(tide_value, is_set);
SAME(tide_value, string);
SAME(tide_value, integer);
SAME(tide_value, alternatives);
SAME(tide_value, alternative_count);
SAME(tide_config, struct_size);
SAME(tide_config, value_size);
SAME(tide_config, values);
SAME(tide_config, value_count);
SAME(tide_config, pipeline);
SAME(tide_config, deadline_ms);
SAME(tide_config, reserved);
SAME(tide_config, sink_position);
SAME(tide_header, name);
SAME(tide_header, value);
SAME(tide_message, token);
SAME(tide_message, key);
SAME(tide_message, payload);
SAME(tide_message, fields);
SAME(tide_message, field_count);
SAME(tide_message, headers);
SAME(tide_message, header_count);
SAME(tide_message, outbox);
SAME(tide_message, stream_table);
SAME(tide_message, op);
SAME(tide_message, outbox_id);
SAME(tide_message, created_at_us);
SAME(tide_message, maybe_sent);
SAME(tide_message, reserved);
SAME(tide_batch, struct_size);
SAME(tide_batch, message_size);
SAME(tide_batch, messages);
SAME(tide_batch, count);
SAME(tide_result, token);
SAME(tide_result, status);
SAME(tide_result, flags);
SAME(tide_result, native_code);
SAME(tide_result, sink_position);
SAME(tide_result, error);
SAME(tide_ops, struct_size);
SAME(tide_ops, reserved);
SAME(tide_ops, connect);
SAME(tide_ops, publish);
SAME(tide_ops, ack);
SAME(tide_ops, close);
SAME(tide_sink, struct_size);
SAME(tide_sink, abi_major);
SAME(tide_sink, abi_minor);
SAME(tide_sink, option_size);
SAME(tide_sink, id);
SAME(tide_sink, sink_types);
SAME(tide_sink, version);
SAME(tide_sink, description);
SAME(tide_sink, capabilities);
SAME(tide_sink, options);
SAME(tide_sink, option_count);
SAME(tide_sink, ops);
SAME(tide_sink, get_extension);

static_assert(sizeof(first::tide_str) == sizeof(::tide_str), "tide_str has no size with it and never changes");
static_assert(sizeof(first::tide_header) == sizeof(::tide_header), "tide_header has no size with it and never changes");

int main() {}
