// SPDX-License-Identifier: Apache-2.0
//
// Whether the brokers are there and have the topics. One thread at a time.
#pragma once

#include <chrono>

#include "producer.hpp"
#include "settings.hpp"

namespace tide::kafka {

// Throws an Error that says what is wrong, within the time.
void reach(Producer& producer, const Settings& settings, std::chrono::steady_clock::time_point until);

}  // namespace tide::kafka
