// SPDX-License-Identifier: Apache-2.0
//
// Lookups of names for librdkafka, which would wait for as long as the resolver is silent, and its end with it. Any
// thread.
#pragma once

#include <netdb.h>

namespace tide::kafka {

// What rd_kafka_conf_set_resolve_cb() takes: getaddrinfo() within a time, and freeaddrinfo() of what it gave where no
// node and no service are named.
int look_up(const char* node, const char* service, const addrinfo* hints, addrinfo** result, void* opaque) noexcept;

}  // namespace tide::kafka
