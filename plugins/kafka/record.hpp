// SPDX-License-Identifier: Apache-2.0
//
// What an event is as a record of Kafka: its headers. Any thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tide/sink.hpp"

namespace tide::kafka {

// The header that holds the event's key, by which a consumer knows an event that comes again.
inline constexpr std::string_view kEventId = "event-id";

using Headers = std::unique_ptr<rd_kafka_headers_t, void (*)(rd_kafka_headers_t*)>;

// The event's headers, then its key. A CloudEvent's attributes are named and written as its Kafka binding has it.
Headers headers_of(const tide_message& event);

// Why the event can't be a record in the topic; nothing where it can.
std::optional<std::string> why_unsendable(const tide_message& event, std::string_view topic);

}  // namespace tide::kafka
