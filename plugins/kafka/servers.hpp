// SPDX-License-Identifier: Apache-2.0
//
// The option `brokers`: "host:port,host:port", each with Kafka's name of a listener's protocol before it or not, as
// in "SASL_SSL://host:port". Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tide::kafka {

struct Servers {
  explicit Servers(std::string_view text);  // throws a fatal Error

  std::string list;      // "host:port,host:port"
  std::string protocol;  // "SASL_SSL", or another; empty where none is named
};

}  // namespace tide::kafka
