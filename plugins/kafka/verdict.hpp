// SPDX-License-Identifier: Apache-2.0
//
// What an error of Kafka or librdkafka means for the records that it befell. Any thread.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>
#include <string_view>

namespace tide::kafka {

enum class Verdict {
  later,    // another time
  topic,    // not into this topic: it is not there, or not for this user
  content,  // of a record: of this one, or another in its batch
  rights    // nothing can be published with this configuration
};

Verdict verdict_on(rd_kafka_resp_err_t error);

// "Broker: Message size too large (MSG_SIZE_TOO_LARGE)", and what somebody may do about it.
std::string described(rd_kafka_resp_err_t error);
std::string_view advice(rd_kafka_resp_err_t error);

}  // namespace tide::kafka
